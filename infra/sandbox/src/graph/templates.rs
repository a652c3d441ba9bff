//! Message templates of an account: listing, making, changing and deleting them, what Meta decides about them, and sends
//! that use them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::Shared;
use super::error::GraphError;
use crate::script::{self, Target};
use crate::webhooks::{self, payload::Part, payload::Update};
use crate::world::{Sandbox, World};

/// Subcode of a name that is taken in this language.
const EXISTS: u32 = 2_388_024;
/// Subcode of components that Meta does not take.
const BAD_FORMAT: u32 = 2_388_043;

/// Templates of a page, if nobody says how many.
const PAGE: usize = 25;

type Node = Path<(String, String)>;
type Parameters = Query<HashMap<String, String>>;

/// What became of a template with its parameters in it.
#[derive(Debug)]
pub(crate) struct Filled {
    /// Lower case, as pricing writes it.
    pub(crate) category: String,
    /// `{body, footer?, buttons[]}`, for the page.
    pub(crate) rendered: Value,
}

/// The token of a call about this account.
fn owner(world: &World, headers: &HeaderMap, waba_id: &str, method: &str) -> Result<String, GraphError> {
    let token = super::token(world, headers)?;
    if world.lines.values().any(|line| line.waba_id == waba_id && line.access_token == token) {
        return Ok(token.to_owned());
    }
    Err(GraphError::unknown_object(method, waba_id))
}

/// `GET /{WABA}/message_templates`, a page at a time; cursors are the ids of the last ones.
pub(crate) async fn list(
    State(sandbox): Shared,
    Path((_, waba_id)): Node,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let asked = format!("list {}", parameters.get("name").map_or("", String::as_str));
    script::run(&sandbox, Target::GraphTemplates, asked.as_bytes(), async {
        let world = sandbox.world();
        match owner(&world, &headers, &waba_id, "get") {
            Ok(token) => Json(page(&world, &token, &parameters)).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await
}

fn page(world: &World, token: &str, parameters: &HashMap<String, String>) -> Value {
    let mut all = world.templates.seen_by(token);
    if let Some(name) = parameters.get("name") {
        // As Meta does: whatever has it in its name.
        all.retain(|template| template["name"].as_str().is_some_and(|known| known.contains(name.as_str())));
    }
    if let Some(status) = parameters.get("status") {
        all.retain(|template| template["status"] == status.as_str());
    }
    let begin = parameters
        .get("after")
        .and_then(|after| all.iter().position(|template| template["id"] == after.as_str()))
        .map_or(0, |position| position + 1);
    let limit = parameters.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).max(1);
    let more = all.len() > begin + limit;
    let data: Vec<Value> = all.into_iter().skip(begin).take(limit).collect();
    let mut paging = json!({});
    if let (Some(first), Some(last)) = (data.first(), data.last()) {
        paging["cursors"] = json!({ "before": first["id"], "after": last["id"] });
        if more {
            paging["next"] = json!("https://graph.facebook.com/v23.0/…");
        }
    }
    json!({ "data": data, "paging": paging })
}

/// `POST /{WABA}/message_templates`.
pub(crate) async fn create(
    State(sandbox): Shared,
    Path((_, waba_id)): Node,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    script::run(&sandbox, Target::GraphTemplates, &body, async {
        match make(&sandbox, &headers, &waba_id, &body) {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await
}

fn make(
    sandbox: &Arc<Sandbox>,
    headers: &HeaderMap,
    waba_id: &str,
    body: &[u8],
) -> Result<Value, GraphError> {
    let asked: Value =
        serde_json::from_slice(body).map_err(|_| GraphError::parameter("Invalid parameter"))?;
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let (name, language, category) = (text("name"), text("language"), text("category"));
    let mut guard = sandbox.world();
    let token = owner(&guard, headers, waba_id, "post")?;
    if name.is_empty() || language.is_empty() || category.is_empty() {
        return Err(GraphError::parameter("(#100) The parameters name, language and category are required"));
    }
    if guard.templates.named(&token, &name, &language).is_some() {
        let sentence = "There is already content in this language for this template. You can create a new template and \
                        try again.";
        return Err(GraphError::of_template(EXISTS, "Content in this language already exists", sentence));
    }
    check(&asked["components"])?;
    let template = json!({
        "name": name, "language": language, "category": category, "status": "PENDING",
        "parameter_format": asked["parameter_format"].as_str().unwrap_or("POSITIONAL"),
        "components": asked["components"],
    });
    let id = guard.templates.insert(&token, template);
    drop(guard);
    review(sandbox.clone(), id.clone());
    Ok(json!({ "id": id, "status": "PENDING", "category": category }))
}

/// A body with an example for each variable: the part of Meta's rules that is easily forgotten.
fn check(components: &Value) -> Result<(), GraphError> {
    let body = component(&json!({ "components": components }), "BODY");
    let text = body["text"].as_str().unwrap_or_default();
    let examples = body["example"]["body_text"][0]
        .as_array()
        .or_else(|| body["example"]["body_text_named_params"].as_array())
        .map_or(0, Vec::len);
    if body.is_null() || examples != text.matches("{{").count() {
        let sentence = "The message template is missing expected fields or has a wrong number of examples.";
        return Err(GraphError::of_template(BAD_FORMAT, "Message template is incomplete", sentence));
    }
    Ok(())
}

/// `POST /{TEMPLATE_ID}`.
pub(crate) fn edit(
    sandbox: &Arc<Sandbox>,
    headers: &HeaderMap,
    id: &str,
    body: &[u8],
) -> Result<Value, GraphError> {
    let asked: Value =
        serde_json::from_slice(body).map_err(|_| GraphError::parameter("Invalid parameter"))?;
    let mut guard = sandbox.world();
    let token = super::token(&guard, headers)?.to_owned();
    let made = guard
        .templates
        .get_mut(id)
        .filter(|made| made.token == token)
        .ok_or_else(|| GraphError::unknown_object("post", id))?;
    if asked["components"].is_array() {
        check(&asked["components"])?;
        made.template["components"] = asked["components"].clone();
    }
    if asked["category"].is_string() {
        made.template["category"] = asked["category"].clone();
    }
    made.template["status"] = json!("PENDING");
    drop(guard);
    review(sandbox.clone(), id.to_owned());
    Ok(json!({ "success": true }))
}

/// `DELETE /{WABA}/message_templates`, by name, or by `hsm_id` and name.
pub(crate) async fn delete(
    State(sandbox): Shared,
    Path((_, waba_id)): Node,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let name = parameters.get("name").map_or("", String::as_str);
    let asked = format!("delete {name}");
    script::run(&sandbox, Target::GraphTemplates, asked.as_bytes(), async {
        let mut world = sandbox.world();
        let token = match owner(&world, &headers, &waba_id, "delete") {
            Ok(token) => token,
            Err(error) => return error.into_response(),
        };
        let gone = world.templates.remove(&token, name, parameters.get("hsm_id").map(String::as_str));
        if gone == 0 {
            let title = "Message template not found";
            return GraphError::of_template(2_593_002, title, "The message template was not found.")
                .into_response();
        }
        Json(json!({ "success": true })).into_response()
    })
    .await
}

/// Meta decides: names that end in `_pendente` wait for ever, those in `_recusado` are rejected, others approved.
fn review(sandbox: Arc<Sandbox>, id: String) {
    let (generation, wait) = {
        let world = sandbox.world();
        (world.generation, world.settings.review_ms)
    };
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let name = {
            let mut world = sandbox.world();
            if world.generation != generation {
                return;
            }
            let Some(made) = world.templates.get_mut(&id) else { return };
            made.template["name"].as_str().unwrap_or_default().to_owned()
        };
        if name.ends_with("_recusado") {
            decide(&sandbox, &id, "REJECTED", Some("INVALID_FORMAT"));
        } else if !name.ends_with("_pendente") {
            decide(&sandbox, &id, "APPROVED", None);
        }
    });
}

/// Gives a template a status, and tells the business; whether there is such a template.
pub(crate) fn decide(sandbox: &Arc<Sandbox>, id: &str, status: &str, reason: Option<&str>) -> bool {
    let told = {
        let mut guard = sandbox.world();
        let world = &mut *guard;
        let Some(made) = world.templates.get_mut(id) else { return false };
        made.template["status"] = json!(status);
        if let Some(reason) = reason {
            made.template["rejected_reason"] = json!(reason);
        }
        let value = json!({
            "event": status,
            "message_template_id": id.parse::<u64>().unwrap_or_default(),
            "message_template_name": made.template["name"],
            "message_template_language": made.template["language"],
            "message_template_category": made.template["category"],
            "reason": reason.unwrap_or("NONE"),
        });
        let token = made.token.clone();
        let lines = world.lines.values().filter(|line| line.access_token == token);
        lines.map(|line| (line.phone_number_id.clone(), value.clone())).next()
    };
    if let Some((line, value)) = told {
        let field = "message_template_status_update";
        let (message_id, wa_id) = (id.to_owned(), "account".to_owned());
        webhooks::enqueue(sandbox, Update { line, wa_id, message_id, part: Part::Account { field, value } });
    }
    true
}

/// Finds the template of a send and fills its parameters in: 132001 when there is none, 132015
/// when it is paused, 132000 when their number is wrong.
pub(crate) fn fill(world: &World, token: &str, content: &Value) -> Result<Filled, GraphError> {
    let name = content["name"].as_str().unwrap_or_default();
    let language = content["language"]["code"].as_str().unwrap_or_default();
    let template = world.templates.named(token, name, language).ok_or_else(|| {
        GraphError::of_code(132_001).details(format!("template name ({name}) does not exist in {language}"))
    })?;
    match template["status"].as_str() {
        Some("APPROVED") => {}
        Some("DISABLED") => return Err(GraphError::of_code(132_016)),
        Some("PAUSED") => return Err(GraphError::of_code(132_015)),
        _ => return Err(GraphError::of_code(132_001).details("the template is not approved")),
    }
    let body = component(&template, "BODY");
    let text = body["text"].as_str().unwrap_or_default();
    let rendered = json!({
        "body": render(text, &parameters(content))?,
        "footer": component(&template, "FOOTER")["text"],
        "buttons": component(&template, "BUTTONS")["buttons"],
    });
    let category = template["category"].as_str().unwrap_or_default();
    Ok(Filled { category: category.to_lowercase(), rendered })
}

fn component(template: &Value, kind: &str) -> Value {
    template["components"]
        .as_array()
        .and_then(|components| {
            components.iter().find(|c| c["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(kind)))
        })
        .cloned()
        .unwrap_or_default()
}

/// Name (or position from 1) and value of the body's parameters.
fn parameters(content: &Value) -> Vec<(String, String)> {
    let body = content["components"].as_array().and_then(|components| {
        components.iter().find(|c| c["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("body")))
    });
    let given = body.and_then(|body| body["parameters"].as_array());
    given
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, parameter)| {
            let name = parameter["parameter_name"].as_str();
            (
                name.map_or_else(|| (index + 1).to_string(), str::to_owned),
                parameter["text"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

fn render(text: &str, parameters: &[(String, String)]) -> Result<String, GraphError> {
    let expected = text.matches("{{").count();
    let mut rendered = text.to_owned();
    for (name, value) in parameters {
        rendered = rendered.replace(&format!("{{{{{name}}}}}"), value);
    }
    if parameters.len() != expected || rendered.contains("{{") {
        return Err(GraphError::of_code(132_000).details(format!(
            "body: number of localizable_params ({}) does not match the expected number of \
             params ({expected})",
            parameters.len()
        )));
    }
    Ok(rendered)
}
