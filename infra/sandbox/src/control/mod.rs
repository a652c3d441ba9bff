//! `/_sandbox/…`: what tests and the launcher drive and read. No authentication: the sandbox
//! listens on the loopback interface and holds nothing that is not made up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Line;
use crate::number;
use crate::openai::scripted::Reply;
use crate::script::{Rule, Target};
use crate::webhooks::{self, sign};
use crate::world::Sandbox;
use crate::world::conditions::Condition;
use crate::world::messages::{Message, Writer};
use crate::world::settings::Settings;

mod identity;
pub(crate) mod inbound;
mod media;
mod raw;
mod signups;
mod templates;

type Shared = State<Arc<Sandbox>>;

/// Every route below `/_sandbox`.
pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/_sandbox/health", get(health))
        .route("/_sandbox/script", get(script).post(add_rules).delete(clear_rules))
        .route("/_sandbox/openai/script", get(replies).post(add_replies).delete(clear_replies))
        .route("/_sandbox/settings", get(settings).post(change_settings))
        .route("/_sandbox/lines", get(lines).post(add_line))
        .route("/_sandbox/lines/{id}/condition", post(set_condition))
        .route("/_sandbox/log", get(log))
        .route("/_sandbox/messages", get(messages))
        .route("/_sandbox/inbound", post(inbound::post))
        .route("/_sandbox/media", post(media::keep).layer(DefaultBodyLimit::max(media::LARGEST)))
        .route("/_sandbox/media/{id}", get(media::find).delete(media::forget))
        .route("/_sandbox/templates", get(templates::list))
        .route("/_sandbox/templates/{id}", post(templates::decide))
        .route("/_sandbox/identity/accounts", get(identity::accounts).post(identity::put_account))
        .route("/_sandbox/identity/google/rotate", post(identity::rotate))
        .route("/_sandbox/signups", get(signups::list).post(signups::post))
        .route("/_sandbox/webhook", post(raw::post))
        .route("/_sandbox/webhook/pause", post(pause))
        .route("/_sandbox/webhook/resume", post(resume))
        .route("/_sandbox/webhook/verify", post(verify))
        .route("/_sandbox/reset", post(reset))
}

/// What went wrong, in words, for the author of a test.
pub(crate) fn refuse(status: StatusCode, reason: impl Into<String>) -> Response {
    let reason: String = reason.into();
    (status, Json(json!({ "error": reason }))).into_response()
}

async fn health(State(sandbox): Shared) -> Json<Value> {
    let world = sandbox.world();
    Json(json!({
        "status": "ok",
        "webhook": world.outbound.state,
        "webhook_url": world.line(None).and_then(|line| line.webhook_url.as_ref()),
        "phone_number_id": world.default_line,
    }))
}

async fn script(State(sandbox): Shared) -> Response {
    Json(&sandbox.world().script).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    target: Target,
    rules: Vec<Rule>,
}

async fn add_rules(State(sandbox): Shared, Json(asked): Json<Rules>) -> Response {
    sandbox.world().script.add(asked.target, asked.rules);
    script(State(sandbox)).await
}

#[derive(Deserialize)]
struct OneTarget {
    target: Option<Target>,
}

async fn clear_rules(State(sandbox): Shared, Query(asked): Query<OneTarget>) -> StatusCode {
    sandbox.world().script.clear(asked.target);
    StatusCode::NO_CONTENT
}

async fn replies(State(sandbox): Shared) -> Response {
    Json(json!({ "replies": sandbox.world().replies })).into_response()
}

#[derive(Deserialize)]
struct NewReplies {
    replies: Vec<Reply>,
}

async fn add_replies(State(sandbox): Shared, Json(asked): Json<NewReplies>) -> Response {
    sandbox.world().replies.add(asked.replies);
    replies(State(sandbox)).await
}

async fn clear_replies(State(sandbox): Shared) -> StatusCode {
    sandbox.world().replies.clear();
    StatusCode::NO_CONTENT
}

async fn settings(State(sandbox): Shared) -> Json<Settings> {
    Json(sandbox.world().settings.clone())
}

/// Lays what was posted over what holds.
async fn change_settings(State(sandbox): Shared, Json(changes): Json<Value>) -> Response {
    let mut world = sandbox.world();
    let mut merged = json!(world.settings);
    overlay(&mut merged, &changes);
    match serde_json::from_value::<Settings>(merged) {
        Ok(settings) => {
            world.settings = settings.clone();
            Json(settings).into_response()
        }
        Err(error) => refuse(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    }
}

fn overlay(value: &mut Value, changes: &Value) {
    match (value.as_object_mut(), changes.as_object()) {
        (Some(object), Some(changes)) => {
            for (name, change) in changes {
                overlay(object.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        _ => *value = changes.clone(),
    }
}

async fn lines(State(sandbox): Shared) -> Response {
    let lines: Vec<Line> = sandbox.world().lines.values().cloned().collect();
    Json(json!({ "items": lines })).into_response()
}

/// Adds a business number, or replaces the one with this id.
async fn add_line(State(sandbox): Shared, Json(line): Json<Line>) -> StatusCode {
    let mut world = sandbox.world();
    world.lines.insert(line.phone_number_id.clone(), line);
    StatusCode::CREATED
}

/// How a number and its token fare from now on.
async fn set_condition(
    State(sandbox): Shared,
    Path(id): Path<String>,
    Json(condition): Json<Condition>,
) -> StatusCode {
    sandbox.world().conditions.set(&id, condition);
    StatusCode::NO_CONTENT
}

/// Counts, requests, deliveries, and every message of the business that was accepted.
async fn log(State(sandbox): Shared) -> Response {
    let world = sandbox.world();
    let mut log = json!(world.log);
    let accepted: Vec<&Message> =
        world.messages.all().filter(|message| message.writer == Writer::Business).collect();
    log["messages"] = json!(accepted);
    log["webhook"] = json!(world.outbound.state);
    Json(log).into_response()
}

/// `?to=` a number in either spelling or a user id, `?from=` for a customer's own,
/// `?biz_opaque_callback_data=`; without any of them, all of both directions.
async fn messages(State(sandbox): Shared, Query(asked): Query<HashMap<String, String>>) -> Response {
    let world = sandbox.world();
    let account = |name: &str| {
        asked.get(name).map(|typed| {
            let digits = number::digits(typed);
            digits.map_or_else(|| typed.clone(), |digits| world.customers.resolve(&digits))
        })
    };
    let (to, from) = (account("to"), account("from"));
    let data = asked.get("biz_opaque_callback_data");
    let line = asked.get("phone_number_id");
    let fits = |message: &&Message| {
        let of = |wanted: &Option<String>, writer| {
            wanted.as_ref().is_none_or(|wanted| {
                message.writer == writer
                    && (message.wa_id == *wanted || message.user_id.as_ref() == Some(wanted))
            })
        };
        of(&to, Writer::Business)
            && of(&from, Writer::Customer)
            && line.is_none_or(|line| message.line == *line)
            && data.is_none_or(|data| message.biz_opaque_callback_data.as_ref() == Some(data))
    };
    let items: Vec<&Message> = world.messages.all().filter(fits).collect();
    Json(json!({ "items": items })).into_response()
}

async fn pause(State(sandbox): Shared) -> StatusCode {
    sandbox.world().settings.webhook.paused = true;
    StatusCode::NO_CONTENT
}

async fn resume(State(sandbox): Shared) -> StatusCode {
    sandbox.world().settings.webhook.paused = false;
    StatusCode::NO_CONTENT
}

async fn reset(State(sandbox): Shared) -> StatusCode {
    sandbox.reset();
    StatusCode::NO_CONTENT
}

/// Meta's handshake with the default line's address, or the one of `?phone_number_id=`.
async fn verify(State(sandbox): Shared, Query(asked): Query<HashMap<String, String>>) -> Response {
    let line = {
        let world = sandbox.world();
        let id = asked.get("phone_number_id").map(String::as_str);
        world.line(id).cloned()
    };
    let Some(line) = line else {
        return refuse(StatusCode::NOT_FOUND, "no such line");
    };
    let Some(address) = &line.webhook_url else {
        return refuse(StatusCode::CONFLICT, "no webhook address is subscribed");
    };
    match handshake(&sandbox, address, &line.verify_token).await {
        Ok(()) => Json(json!({ "verified": true })).into_response(),
        Err(reason) => refuse(StatusCode::BAD_GATEWAY, reason),
    }
}

/// `GET ?hub.mode=subscribe&…`: the answer must be 200 and nothing but the challenge.
pub(crate) async fn handshake(sandbox: &Sandbox, address: &str, verify_token: &str) -> Result<(), String> {
    let challenge = rand::random_range(100_000_000..2_000_000_000_u32).to_string();
    let response = sandbox
        .http
        .get(address)
        .query(&[
            ("hub.mode", "subscribe"),
            ("hub.challenge", &challenge),
            ("hub.verify_token", verify_token),
        ])
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status();
    let body = response.text().await.map_err(|error| error.to_string())?;
    if status == StatusCode::OK && body == challenge {
        Ok(())
    } else {
        Err(format!("HTTP {status}, and the body is not the challenge"))
    }
}
