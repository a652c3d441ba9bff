//! Numbers, accounts, subscriptions and tokens: enough to connect a number and check on it.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::error::GraphError;
use super::{Shared, media, signup, templates};
use crate::Line;
use crate::control::handshake;
use crate::script::{self, Target};
use crate::world::World;

/// The app that every token belongs to.
pub(crate) const APP_ID: &str = "670000000000001";

type Parameters = Query<HashMap<String, String>>;
type Node = Path<(String, String)>;

/// `GET /{id}`: a number, an account or a file.
pub(crate) async fn node(
    State(sandbox): Shared,
    Path((_, id)): Node,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let number = {
        let world = sandbox.world();
        match super::token(&world, &headers) {
            Err(error) => return error.into_response(),
            Ok(token) => world
                .lines
                .values()
                .find(|line| line.access_token == token && line.phone_number_id == id)
                .map(|line| only(signup::shown(&world, info(&world, line)), parameters.get("fields"))),
        }
    };
    if let Some(number) = number {
        return Json(number).into_response();
    }
    let asked = format!("look_up {id}");
    script::run(&sandbox, Target::GraphMedia, asked.as_bytes(), async {
        match media::look_up(&sandbox, &headers, &id) {
            Some(media) => Json(media).into_response(),
            None => GraphError::unknown_object("get", &id).into_response(),
        }
    })
    .await
}

/// `POST /{id}`: a template is changed.
pub(crate) async fn change(
    State(sandbox): Shared,
    Path((_, id)): Node,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    script::run(&sandbox, Target::GraphTemplates, &body, async {
        match templates::edit(&sandbox, &headers, &id, &body) {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await
}

fn info(world: &World, line: &Line) -> Value {
    let condition = world.conditions.of(&line.phone_number_id);
    json!({
        "verified_name": line.verified_name,
        "code_verification_status": "VERIFIED",
        "display_phone_number": spelled(&line.display_phone),
        "quality_rating": condition.quality_rating.as_deref().unwrap_or("GREEN"),
        "name_status": "APPROVED",
        "platform_type": "CLOUD_API",
        "throughput": { "level": "STANDARD" },
        "whatsapp_business_manager_messaging_limit": condition.messaging_limit.as_deref().unwrap_or("TIER_250"),
        "webhook_configuration": { "application": line.webhook_url },
        "id": line.phone_number_id,
    })
}

/// The fields asked for, and always the id.
fn only(mut info: Value, fields: Option<&String>) -> Value {
    if let (Some(fields), Some(object)) = (fields, info.as_object_mut()) {
        let wanted: Vec<&str> = fields.split(',').map(str::trim).collect();
        object.retain(|name, _| name == "id" || wanted.contains(&name.as_str()));
    }
    info
}

/// As Meta shows a number: `+1 650-555-0100`, `+55 62 98888-0001`.
pub(crate) fn spelled(digits: &str) -> String {
    let cut = |at: &[usize]| -> Vec<String> {
        let mut parts = Vec::new();
        let mut start = 0;
        for end in at.iter().copied().chain([digits.len()]) {
            parts.push(digits[start..end].to_owned());
            start = end;
        }
        parts
    };
    match digits.len() {
        11 if digits.starts_with('1') => {
            let parts = cut(&[1, 4, 7]);
            format!("+{} {}-{}-{}", parts[0], parts[1], parts[2], parts[3])
        }
        length @ (12 | 13) if digits.starts_with("55") => {
            let parts = cut(&[2, 4, length - 4]);
            format!("+{} {} {}-{}", parts[0], parts[1], parts[2], parts[3])
        }
        _ => format!("+{digits}"),
    }
}

/// `GET /{WABA}/phone_numbers`.
pub(crate) async fn of_account(
    State(sandbox): Shared,
    Path((_, waba_id)): Node,
    headers: HeaderMap,
) -> Response {
    let world = sandbox.world();
    if let Err(error) = super::token(&world, &headers) {
        return error.into_response();
    }
    let lines = world.lines.values().filter(|line| line.waba_id == waba_id);
    let numbers: Vec<Value> = lines.map(|line| signup::shown(&world, info(&world, line))).collect();
    if numbers.is_empty() && !world.signups.has_account(&waba_id) {
        return GraphError::unknown_object("get", &waba_id).into_response();
    }
    Json(json!({ "data": numbers, "paging": { "cursors": {} } })).into_response()
}

/// `GET /{WABA}/subscribed_apps`.
pub(crate) async fn subscriptions(
    State(sandbox): Shared,
    Path((_, waba_id)): Node,
    headers: HeaderMap,
) -> Response {
    let world = sandbox.world();
    if let Err(error) = super::token(&world, &headers) {
        return error.into_response();
    }
    let line = world.lines.values().find(|line| line.waba_id == waba_id);
    let app = json!({ "id": APP_ID, "name": "Sandbox", "link": "https://example.com/" });
    let data: Vec<Value> = line
        .and_then(|line| line.webhook_url.as_ref())
        .map(|url| json!({ "whatsapp_business_api_data": app, "override_callback_uri": url }))
        .into_iter()
        .collect();
    Json(json!({ "data": data })).into_response()
}

/// `POST /{WABA}/subscribed_apps`: with an address of its own, after the handshake with it.
pub(crate) async fn subscribe(
    State(sandbox): Shared,
    Path((_, waba_id)): Node,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let ids: Vec<String> = {
        let world = sandbox.world();
        if let Err(error) = super::token(&world, &headers) {
            return error.into_response();
        }
        let lines = world.lines.values().filter(|line| line.waba_id == waba_id);
        lines.map(|line| line.phone_number_id.clone()).collect()
    };
    if ids.is_empty() {
        return GraphError::unknown_object("post", &waba_id).into_response();
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(address) = asked["override_callback_uri"].as_str() {
        let token = asked["verify_token"].as_str().unwrap_or_default();
        if let Err(reason) = handshake(&sandbox, address, token).await {
            return GraphError::parameter("Invalid parameter")
                .details(format!("(#2200) Callback verification failed: {reason}"))
                .into_response();
        }
        let mut world = sandbox.world();
        for id in &ids {
            if let Some(line) = world.lines.get_mut(id) {
                line.webhook_url = Some(address.to_owned());
                line.verify_token = token.to_owned();
            }
        }
    }
    Json(json!({ "success": true })).into_response()
}

/// `DELETE /{WABA}/subscribed_apps`: webhooks wait from now on.
pub(crate) async fn unsubscribe(
    State(sandbox): Shared,
    Path((_, waba_id)): Node,
    headers: HeaderMap,
) -> Response {
    let mut world = sandbox.world();
    if let Err(error) = super::token(&world, &headers) {
        return error.into_response();
    }
    for line in world.lines.values_mut() {
        if line.waba_id == waba_id {
            line.webhook_url = None;
        }
    }
    Json(json!({ "success": true })).into_response()
}

/// `GET /debug_token`, for the app (`<id>|<secret>`), and for a token about itself.
pub(super) fn debug_token(
    world: &World,
    parameters: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Result<Json<Value>, GraphError> {
    let asked = parameters.get("input_token").map_or("", String::as_str);
    let bearer = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let by = bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .or(parameters.get("access_token").map(String::as_str));
    let line = world.lines.values().find(|line| line.access_token == asked);
    let is_app = by.is_some_and(|by| {
        let secret = by.strip_prefix(&format!("{APP_ID}|"));
        secret.is_some_and(|secret| line.is_none_or(|line| line.app_secret == secret))
    });
    // Whoever is refused everything is refused this, too.
    if !is_app && (by != Some(asked) || !super::is_taken(world, asked)) {
        return Err(GraphError::of_code(190));
    }
    let Some(line) = line else {
        let error = json!({ "code": 190, "message": "Invalid OAuth access token" });
        return Ok(Json(json!({ "data": { "error": error, "is_valid": false, "scopes": [] } })));
    };
    let condition = world.conditions.of(&line.phone_number_id);
    let is_valid = condition.takes_token(crate::clock::now_s());
    let scopes = ["whatsapp_business_management", "whatsapp_business_messaging"];
    let mut data = works(APP_ID, &line.waba_id, &scopes);
    data["expires_at"] = json!(condition.token_expires_at.unwrap_or(0));
    data["is_valid"] = json!(is_valid);
    if !is_valid {
        let subcode = if condition.token_revoked { 460 } else { 463 };
        data["error"] = json!({ "code": 190, "subcode": subcode, "message": "Error validating access token: Session has expired" });
    }
    Ok(Json(json!({ "data": data })))
}

/// A token that works and never ends.
pub(super) fn works(app_id: &str, waba_id: &str, scopes: &[impl AsRef<str>]) -> Value {
    let scopes: Vec<_> = scopes.iter().map(AsRef::as_ref).collect();
    let granular = scopes.iter().map(|scope| json!({ "scope": scope, "target_ids": [waba_id] }));
    json!({
        "app_id": app_id,
        "type": "SYSTEM_USER",
        "application": "Sandbox",
        "data_access_expires_at": 0,
        "expires_at": 0,
        "is_valid": true,
        "granular_scopes": granular.collect::<Vec<_>>(),
        "scopes": scopes,
        "user_id": "100000000000099",
    })
}
