//! What the OpenAPI document says of each route.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;
use testkit::{Answer, Api};

use crate::template::documented_routes;

/// One operation of the document.
pub(super) struct Operation {
    /// `METHOD /path`, as the document has it.
    pub(super) route: String,
    pub(super) method: Method,
    /// With the names of its parameters in braces.
    path: String,
    /// Its handler asks for no credentials.
    pub(super) public: bool,
    pub(super) has_body: bool,
    /// Query parameters.
    pub(super) query: BTreeSet<String>,
    /// Those of them that are ids.
    pub(super) query_ids: BTreeSet<String>,
    /// Properties of the body that are ids, or lists of them, by their paths.
    pub(super) body_ids: BTreeSet<String>,
}

/// Every operation.
pub(super) fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(api::platform::openapi()).unwrap();
    documented_routes().into_iter().map(|route| Operation::read(&document, route)).collect()
}

/// Every operation that asks for credentials.
pub(super) fn guarded() -> Vec<Operation> {
    let guarded: Vec<_> = operations().into_iter().filter(|operation| !operation.public).collect();
    assert!(guarded.len() >= 36, "only {} guarded routes", guarded.len());
    guarded
}

impl Operation {
    fn read(document: &Value, route: String) -> Self {
        let (method, path) = route.split_once(' ').unwrap();
        let operation = &document["paths"][path][method.to_lowercase()];
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        let named = |ids_only: bool| {
            let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let wanted = query.filter(|parameter| !ids_only || is_id(&parameter["schema"]));
            wanted.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
        };
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let mut body_ids = BTreeSet::new();
        collect_ids(document, body, "", &mut body_ids);
        Self {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            public: operation.get("security").is_none(),
            has_body: !body.is_null(),
            query: named(false),
            query_ids: named(true),
            body_ids,
            route,
        }
    }

    /// What stands before each parameter of the path, below `/api/v1` and without the parameters before it:
    /// `contacts` and `contacts/notes` of `/api/v1/contacts/{id}/notes/{note_id}`.
    pub(super) fn prefixes(&self) -> Vec<String> {
        let mut prefix = String::new();
        let mut prefixes = Vec::new();
        for part in self.path.trim_start_matches("/api/v1/").split('/') {
            if part.starts_with('{') {
                prefixes.push(prefix.trim_start_matches('/').to_owned());
            } else {
                prefix = format!("{prefix}/{part}");
            }
        }
        prefixes
    }

    /// The path with `ids` in the place of its parameters.
    pub(super) fn path(&self, ids: &[&str]) -> String {
        let mut ids = ids.iter();
        let parts = self.path.split('/').map(|part| match part.starts_with('{') {
            true => ids.next().unwrap_or_else(|| panic!("{}: an id is missing", self.route)),
            false => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Asks it of the API.
    pub(super) async fn ask(&self, api: &Api, path: &str, body: Option<&Value>) -> Answer {
        api.send(self.method.clone(), path, body.map(Value::to_string), &[]).await
    }
}

fn is_id(schema: &Value) -> bool {
    schema["format"] == "uuid" || schema["items"]["format"] == "uuid"
}

fn collect_ids(document: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if is_id(schema) {
        found.insert(path.to_owned());
    }
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(name.trim_start_matches('#'));
        collect_ids(document, target.unwrap_or_else(|| panic!("no {name}")), path, found);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        for schema in schema[choice].as_array().into_iter().flatten() {
            collect_ids(document, schema, path, found);
        }
    }
    if schema["items"].is_object() && !is_id(schema) {
        collect_ids(document, &schema["items"], path, found);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect_ids(document, schema, &path, found);
    }
}

/// Puts ids in the place of their names, `$contact` and the like.
pub(super) fn fill(template: &Value, ids: &BTreeMap<&str, String>) -> Value {
    match template {
        Value::String(text) => match text.strip_prefix('$') {
            Some(thing) => Value::String(ids[thing].clone()),
            None => template.clone(),
        },
        Value::Array(items) => items.iter().map(|item| fill(item, ids)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), fill(value, ids))).collect()
        }
        _ => template.clone(),
    }
}
