//! Evolution API, under `/evolution/…`: an instance's calls, and its webhooks.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::deliver::{Body, Call};
use super::{Account, Inbound, Provider, Sent, Shared, accept, new_id, note, sent};
use crate::script::{self, Target};
use crate::world::Sandbox;
use crate::{clock, number};

pub(super) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/evolution/message/{call}/{instance}", post(message))
        .route("/evolution/chat/{call}/{instance}", post(chat))
        .route("/evolution/webhook/set/{instance}", post(set_webhook))
        .route("/evolution/instance/{call}/{instance}", get(instance))
}

fn error(status: StatusCode, message: Value) -> Response {
    let error = status.canonical_reason().unwrap_or("Error");
    let body = json!({ "status": status.as_u16(), "error": error, "response": { "message": message } });
    (status, Json(body)).into_response()
}

/// The instance, when its key is right.
fn authorised(sandbox: &Sandbox, name: &str, headers: &HeaderMap) -> Result<Account, Box<Response>> {
    let account = sandbox.world().accounts.find(Provider::Evolution, name).cloned();
    let account =
        account.ok_or_else(|| Box::new(error(StatusCode::NOT_FOUND, json!(["no such instance"]))))?;
    let given = headers.get("apikey").and_then(|value| value.to_str().ok());
    match given == Some(&account.secret) {
        true => Ok(account),
        false => Err(Box::new(error(StatusCode::UNAUTHORIZED, json!("Unauthorized")))),
    }
}

/// Runs a call under the script, with its instance and its body.
async fn run(
    sandbox: &Arc<Sandbox>,
    path: &str,
    name: &str,
    headers: &HeaderMap,
    body: &[u8],
    process: impl FnOnce(Account, Value) -> Response,
) -> Response {
    let asked = [path.as_bytes(), body].concat();
    script::run(sandbox, Target::Evolution, &asked, async {
        match authorised(sandbox, name, headers) {
            Ok(account) => process(account, serde_json::from_slice(body).unwrap_or_default()),
            Err(refused) => *refused,
        }
    })
    .await
}

async fn message(
    State(sandbox): Shared,
    Path((call, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = format!("message/{call}");
    run(&sandbox, &path, &name, &headers, &body, |account, body| {
        let named = body["number"].as_str().or(body["key"]["remoteJid"].as_str()).unwrap_or_default();
        let to = named.trim_end_matches("@s.whatsapp.net").to_owned();
        if nobody(&to) {
            let message = json!([{ "jid": format!("{to}@s.whatsapp.net"), "exists": false, "number": to }]);
            return error(StatusCode::BAD_REQUEST, message);
        }
        let id = new_id(Provider::Evolution);
        let answer = json!({
            "key": { "remoteJid": jid(&to), "fromMe": true, "id": id },
            "status": "PENDING", "message": {}, "messageType": "conversation",
            "messageTimestamp": clock::now_s(), "source": "unknown",
        });
        accept(&sandbox, &account, sent(id, to, &path, body));
        (StatusCode::CREATED, Json(answer)).into_response()
    })
    .await
}

/// Numbers that end so are nobody's.
fn nobody(to: &str) -> bool {
    to.ends_with("0000000")
}

fn jid(to: &str) -> String {
    if to.contains('@') { to.to_owned() } else { format!("{}@s.whatsapp.net", number::wa_id(to)) }
}

async fn chat(
    State(sandbox): Shared,
    Path((call, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = format!("chat/{call}");
    run(&sandbox, &path, &name, &headers, &body, |account, body| match call.as_str() {
        "whatsappNumbers" => {
            let numbers = body["numbers"].as_array().cloned().unwrap_or_default();
            let known: Vec<Value> = numbers
                .iter()
                .filter_map(Value::as_str)
                .map(|asked| json!({ "jid": jid(asked), "exists": !nobody(asked), "number": asked }))
                .collect();
            Json(known).into_response()
        }
        "getBase64FromMediaMessage" => {
            let file = json!({ "mediaType": "imageMessage", "mimetype": "image/jpeg", "base64": "/9j/4AAQSkZJRg==" });
            (StatusCode::CREATED, Json(file)).into_response()
        }
        _ => {
            note(&sandbox, &account, sent(new_id(Provider::Evolution), String::new(), &path, body));
            (StatusCode::CREATED, Json(json!({ "message": "done" }))).into_response()
        }
    })
    .await
}

async fn set_webhook(
    State(sandbox): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    run(&sandbox, "webhook/set", &name, &headers, &body, |_, body| {
        let webhook = &body["webhook"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(account) = sandbox.world().accounts.find_mut(Provider::Evolution, &name) {
            account.webhook_url = text(&webhook["url"]);
            account.jwt_key = text(&webhook["headers"]["jwt_key"]);
        }
        (StatusCode::CREATED, Json(webhook.clone())).into_response()
    })
    .await
}

async fn instance(
    State(sandbox): Shared,
    Path((call, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let path = format!("instance/{call}");
    run(&sandbox, &path, &name, &headers, b"", |account, _| {
        let state = if account.linked { "open" } else { "connecting" };
        let stands = json!({ "instance": { "instanceName": account.name, "state": state } });
        match (call.as_str(), account.linked) {
            ("connect", false) => {
                let code = json!({
                    "pairingCode": "ABCD1234", "code": "2@codigo", "base64": "data:image/png;base64,iVBORw0KGgo=",
                    "count": 1,
                });
                Json(code).into_response()
            }
            _ => Json(stands).into_response(),
        }
    })
    .await
}

fn envelope(account: &Account, event: &str, data: Value) -> Call {
    let body = json!({
        "event": event, "instance": account.name, "data": data, "destination": account.webhook_url,
        "date_time": clock::now_ms().to_string(), "sender": format!("{}@s.whatsapp.net", account.number),
        "server_url": "https://evolution.example.com", "apikey": account.secret,
    });
    Call { url: None, body: Body::Json(body) }
}

pub(super) fn inbound(account: &Account, asked: &Inbound, id: &str) -> Call {
    let jid = format!("{}@s.whatsapp.net", number::wa_id(&asked.from));
    envelope(
        account,
        "messages.upsert",
        json!({
            "key": { "remoteJid": jid, "fromMe": false, "id": id },
            "pushName": asked.customer, "status": "DELIVERY_ACK", "message": { "conversation": asked.text },
            "messageType": "conversation", "messageTimestamp": clock::now_s(), "source": "android",
        }),
    )
}

pub(super) fn status(account: &Account, sent: &Sent, stage: &str) -> Call {
    let status = match stage {
        "sent" => "SERVER_ACK",
        "delivered" => "DELIVERY_ACK",
        "read" => "READ",
        _ => "ERROR",
    };
    envelope(
        account,
        "messages.update",
        json!({ "keyId": sent.id, "remoteJid": jid(&sent.to), "fromMe": true, "status": status }),
    )
}

pub(super) fn connection(account: &Account) -> Call {
    let (state, reason) = if account.linked { ("open", 200) } else { ("close", 401) };
    let data = json!({ "instance": account.name, "state": state, "statusReason": reason });
    envelope(account, "connection.update", data)
}
