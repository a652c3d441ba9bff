//! What the OpenAPI document says of every operation, written once: its name, the answers that its extractors may give, how
//! one shows who one is, and what is missing of descriptions. What a handler says of itself stays.

use runtime::http::cookies;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::security::SecurityScheme;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement};
use utoipa::openapi::{ContentBuilder, Object, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema, Type};

/// The name of the scheme that guarded handlers are annotated with.
const BEARER: &str = "bearer";

/// The name of the scheme of browsers.
const COOKIE: &str = "session_cookie";

/// Guarded operations: `runtime::http::Caller`.
const OF_GUARDED: [&str; 3] = ["401", "403", "429"];

/// Operations with a body: `runtime::http::ValidJson`.
const OF_BODIES: [&str; 4] = ["400", "413", "415", "422"];

/// Operations with query parameters: `runtime::http::ValidQuery`.
const OF_QUERIES: [&str; 1] = ["422"];

/// Says of every operation what its handler does not say itself.
pub(crate) fn complete(document: &mut OpenApi) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of `auth/login`, or an API key (`mia_…`)"))
        .build();
    let cookie = ApiKeyValue::with_description(
        cookies::SESSION,
        "Set by `auth/login`. A call that changes something must come from a page of ours (`Origin`)",
    );
    let components = document.components.get_or_insert_with(Default::default);
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            complete_operation(path, operation);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn complete_operation(path: &str, operation: &mut Operation) {
    if let Some(handler) = operation.operation_id.take() {
        operation.operation_id = Some(operation_id(path, &handler));
    }
    let parameters = operation.parameters.iter_mut().flatten();
    let mut has_query = false;
    for parameter in parameters {
        let RefOr::T(parameter) = parameter else { continue };
        has_query |= parameter.parameter_in == ParameterIn::Query;
        describe_parameter(path, parameter);
    }
    let mut expected = Vec::new();
    if let Some(security) = &mut operation.security {
        security.push(SecurityRequirement::new(COOKIE, std::iter::empty::<String>()));
        expected.extend(OF_GUARDED);
    }
    if operation.request_body.is_some() {
        expected.extend(OF_BODIES);
    }
    if has_query {
        expected.extend(OF_QUERIES);
    }
    let answers = &mut operation.responses.responses;
    for status in expected {
        answers.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem()));
    }
    for (status, answer) in answers {
        if let RefOr::T(answer) = answer {
            describe_answer(status, answer);
        }
    }
}

/// The name by which generated clients call it: what the path begins with, and the handler.
fn operation_id(path: &str, handler: &str) -> String {
    let resource =
        path.trim_start_matches(crate::PREFIX).split('/').nth(1).unwrap_or_default().replace('-', "_");
    if resource == handler { resource } else { format!("{resource}_{handler}") }
}

/// An answer that is a problem; its description comes by its status.
fn problem() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().content(PROBLEM_JSON, content).build()
}

const PROBLEM_JSON: &str = "application/problem+json";

fn is_problem(schema: Option<&RefOr<Schema>>) -> bool {
    matches!(schema, Some(RefOr::Ref(schema)) if schema.ref_location.ends_with("/Problem"))
}

fn describe_answer(status: &str, answer: &mut Response) {
    if answer.description.is_empty() {
        description(status).clone_into(&mut answer.description);
    }
    if status == "429" {
        let seconds = HeaderBuilder::new()
            .schema(Some(Object::with_type(Type::Integer)))
            .description(Some("Not before so many seconds"))
            .build();
        answer.headers.entry("Retry-After".to_owned()).or_insert(RefOr::T(seconds));
    }
    // Annotations call every body `application/json`.
    let content = std::mem::take(&mut answer.content);
    answer.content = content
        .into_iter()
        .map(|(media_type, content)| match &content {
            RefOr::T(body) if is_problem(body.schema.as_ref()) => (PROBLEM_JSON.to_owned(), content),
            _ => (media_type, content),
        })
        .collect();
}

fn description(status: &str) -> &'static str {
    match status {
        "200" => "What was asked for",
        "201" => "It is made",
        "202" => "It is taken, and done soon",
        "204" => "It is done",
        "400" => "The body is no JSON",
        "401" => "No credentials, or none that are good",
        "403" => "The caller may not do this; or another site's page calls with cookies",
        "404" => "There is none, or it belongs to another company",
        "409" => "The state of things forbids it; `code` says why",
        "413" => "The body is too large",
        "415" => "The body does not say that it is JSON: `Content-Type: application/json`",
        "422" => "A field or parameter is wrong; `errors` names it",
        "429" => "Too many requests; `Retry-After` says when to come again",
        "503" => "Not able to work now",
        _ => "Another answer",
    }
}

/// `{id}` is of what stands before it.
fn describe_parameter(path: &str, parameter: &mut Parameter) {
    if parameter.parameter_in != ParameterIn::Path || parameter.description.is_some() {
        return;
    }
    let before = path.split(&format!("/{{{}}}", parameter.name)).next().unwrap_or_default();
    let segment = before.rsplit('/').next().unwrap_or_default();
    let thing = match segment.strip_prefix("by-").unwrap_or(segment).trim_end_matches('s') {
        "api-key" => "API key",
        "quick-replie" => "quick reply",
        thing => thing,
    };
    parameter.description = Some(format!("The {thing}'s id, a UUID"));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_operation_lists_the_answers_of_its_extractors() {
        let document = serde_json::to_value(crate::platform::openapi()).expect("a document");
        let (mut guarded, mut with_body) = (0, 0);
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let route = format!("{method} {path}");
                let mut expected = Vec::new();
                if operation["security"].is_array() {
                    guarded += 1;
                    expected.extend(["401", "403", "429"]);
                    assert_eq!(operation["security"].to_string(), r#"[{"bearer":[]},{"session_cookie":[]}]"#);
                }
                if operation["requestBody"].is_object() {
                    with_body += 1;
                    expected.extend(["400", "413", "415", "422"]);
                }
                let answers = operation["responses"].as_object().expect("answers");
                for status in expected {
                    let answer =
                        &answers.get(status).unwrap_or_else(|| panic!("{route} does not list {status}"));
                    assert!(answer["content"]["application/problem+json"].is_object(), "{route} {status}");
                }
                for (status, answer) in answers {
                    assert!(answer["description"].is_string(), "{route} {status} has no description");
                    let retry_after = &answer["headers"]["Retry-After"]["schema"]["type"];
                    assert_eq!(retry_after == "integer", status == "429", "{route} {status}");
                }
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let described = parameter["description"].as_str().is_some_and(|text| !text.is_empty());
                    assert!(described, "{route}: {} has no description", parameter["name"]);
                }
            }
        }
        assert!(guarded >= 36 && with_body >= 18, "{guarded} guarded, {with_body} with a body");
        let schemes = &document["components"]["securitySchemes"];
        assert_eq!(schemes["session_cookie"]["name"], "__Host-session");
        assert_eq!(schemes["bearer"]["scheme"], "bearer");
    }

    /// What generators of clients stumble over.
    #[test]
    fn the_document_is_one_that_clients_can_be_made_of() {
        let document = serde_json::to_value(crate::platform::openapi()).expect("a document");
        let described: Vec<_> =
            document["tags"].as_array().expect("tags").iter().map(|tag| &tag["name"]).collect();
        assert_eq!(document["servers"][0]["url"], "/");
        let mut ids = std::collections::BTreeSet::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let route = format!("{method} {path}");
                let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{route} has no name"));
                assert!(ids.insert(id.to_owned()), "{route}: {id} is the name of another one too");
                assert!(operation["summary"].is_string(), "{route} has no summary");
                for tag in operation["tags"].as_array().expect("tags") {
                    assert!(described.contains(&tag), "{route}: {tag} is not described");
                }
                for (status, answer) in operation["responses"].as_object().expect("answers") {
                    assert!(
                        answer["description"].as_str().is_some_and(|text| !text.is_empty()),
                        "{route} {status}"
                    );
                    let content = answer["content"].as_object();
                    let problem =
                        content.is_some_and(|it| it.len() == 1 && it.contains_key(super::PROBLEM_JSON));
                    // What is not well says which part of it.
                    let is_health = path == "/api/v1/health/ready" && status == "503";
                    let is_failure = status.starts_with(['4', '5']) && !is_health;
                    assert_eq!(problem, is_failure, "{route} {status}");
                }
            }
        }
        assert!(
            ids.contains("members_list") && ids.contains("auth_log_in") && ids.contains("health"),
            "{ids:?}"
        );
        resolve(&document, &document);
        for (schema, field, word) in [
            ("MessageBody", "status", "delivered"),
            ("MessageBody", "direction", "inbound"),
            ("MessageBody", "type", "interactive"),
            ("MessageBody", "author", "AGENT_PLATFORM"),
            ("SessionBody", "status", "PAUSED"),
            ("ConversationBody", "status", "closed"),
            ("MemberBody", "role", "supervisor"),
            ("AuditEntryBody", "actor_kind", "api_key"),
        ] {
            let field = &document["components"]["schemas"][schema]["properties"][field];
            let target = field["$ref"].as_str().or(field["allOf"][0]["$ref"].as_str());
            let words = document
                .pointer(target.unwrap_or_else(|| panic!("{schema}: {field}")).trim_start_matches('#'));
            let words = words.and_then(|words| words["enum"].as_array()).expect("words");
            assert!(words.iter().any(|it| it == word), "{schema}: {words:?}");
        }
    }

    /// Every reference leads somewhere.
    fn resolve(document: &Value, part: &Value) {
        match part {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let target = document.pointer(reference.trim_start_matches('#'));
                    assert!(target.is_some(), "{reference} leads nowhere");
                }
                fields.values().for_each(|part| resolve(document, part));
            }
            Value::Array(items) => items.iter().for_each(|part| resolve(document, part)),
            _ => {}
        }
    }

    #[test]
    fn what_a_handler_says_of_itself_stays() {
        let document = serde_json::to_value(crate::platform::openapi()).expect("a document");
        let log_in = &document["paths"]["/api/v1/auth/login"]["post"];
        assert_eq!(log_in["responses"]["429"]["description"], "Five failures in fifteen minutes");
        assert_eq!(log_in["security"], Value::Null, "nobody has to be logged in to log in");
        let find = &document["paths"]["/api/v1/api-keys/{id}"]["delete"]["parameters"][0];
        assert_eq!(find["description"], "The API key's id, a UUID");
    }
}
