//! UAZapi, under `/uazapi/…`: an instance's calls, and its webhooks.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
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
    Router::new().route("/uazapi/webhook", post(set_webhook)).route("/uazapi/{room}/{call}", any(call))
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

fn account_of(sandbox: &Sandbox, headers: &HeaderMap) -> Option<Account> {
    let token = headers.get("token")?.to_str().ok()?;
    sandbox.world().accounts.with_secret(Provider::Uazapi, token).cloned()
}

async fn set_webhook(State(sandbox): Shared, headers: HeaderMap, body: Bytes) -> Response {
    script::run(&sandbox, Target::Uazapi, &body, async {
        let Some(account) = account_of(&sandbox, &headers) else {
            return error(StatusCode::UNAUTHORIZED, "Invalid token.");
        };
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(account) = sandbox.world().accounts.find_mut(Provider::Uazapi, &account.name) {
            account.webhook_url = body["url"].as_str().map(str::to_owned);
        }
        Json(json!([body])).into_response()
    })
    .await
}

async fn call(
    State(sandbox): Shared,
    Path((room, call)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = format!("{room}/{call}");
    let asked = [path.as_bytes(), &body].concat();
    script::run(&sandbox, Target::Uazapi, &asked, async {
        let Some(account) = account_of(&sandbox, &headers) else {
            return error(StatusCode::UNAUTHORIZED, "Invalid token.");
        };
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        answer(&sandbox, &account, &path, body)
    })
    .await
}

fn answer(sandbox: &Arc<Sandbox>, account: &Account, path: &str, body: Value) -> Response {
    match path {
        "instance/status" => {
            let status = if account.linked { "connected" } else { "disconnected" };
            let instance = json!({ "name": account.name, "status": status, "profileName": "Loja de Teste" });
            Json(json!({ "instance": instance })).into_response()
        }
        "instance/connect" => {
            let status = if account.linked { "connected" } else { "connecting" };
            let mut instance = json!({ "name": account.name, "status": status });
            if !account.linked {
                instance["qrcode"] = "data:image/png;base64,iVBORw0KGgo=".into();
            }
            Json(json!({ "connected": account.linked, "instance": instance })).into_response()
        }
        "chat/check" => {
            let numbers = body["numbers"].as_array().cloned().unwrap_or_default();
            let known: Vec<Value> = numbers
                .iter()
                .filter_map(Value::as_str)
                .map(|asked| {
                    let jid = format!("{}@s.whatsapp.net", number::wa_id(asked));
                    json!({ "query": asked, "jid": jid, "isInWhatsapp": true })
                })
                .collect();
            Json(known).into_response()
        }
        "message/download" => {
            Json(json!({ "mimetype": "image/jpeg", "base64Data": "/9j/4AAQSkZJRg==" })).into_response()
        }
        path if path.starts_with("send/") => {
            let to = body["number"].as_str().unwrap_or_default().to_owned();
            let id = new_id(Provider::Uazapi);
            let answer =
                json!({ "id": format!("{}:{id}", account.number), "messageid": id, "status": "Pending" });
            accept(sandbox, account, sent(id, to, path, body));
            Json(answer).into_response()
        }
        path => {
            let to = body["number"].as_str().unwrap_or_default().to_owned();
            let id = new_id(Provider::Uazapi);
            let answer = json!({ "messageid": id });
            note(sandbox, account, sent(id, to, path, body));
            Json(answer).into_response()
        }
    }
}

fn envelope(account: &Account, event: &str, rest: Value) -> Call {
    let mut body = json!({
        "BaseUrl": "https://exemplo.uazapi.com", "EventType": event, "token": account.secret,
        "owner": account.number, "instanceName": account.name,
    });
    for (name, value) in rest.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Call { url: None, body: Body::Json(body) }
}

fn message(account: &Account, id: &str, digits: &str, text: &str, more: Value) -> Call {
    let jid = format!("{}@s.whatsapp.net", number::wa_id(digits));
    let mut message = json!({
        "id": format!("{}:{id}", account.number), "messageid": id, "chatid": jid, "fromMe": false,
        "isGroup": false, "messageType": "Conversation", "type": "text", "mediaType": "",
        "messageTimestamp": clock::now_ms(), "text": text, "content": text, "quoted": "", "reaction": "",
        "edited": "", "track_id": "", "track_source": "", "wasSentByApi": false,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    envelope(account, "messages", json!({ "message": message, "chat": { "wa_chatid": jid } }))
}

pub(super) fn inbound(account: &Account, asked: &Inbound, id: &str) -> Call {
    let jid = format!("{}@s.whatsapp.net", number::wa_id(&asked.from));
    let more = json!({ "sender_pn": jid, "sender": "100000000000123@lid", "senderName": asked.customer });
    message(account, id, &asked.from, &asked.text, more)
}

/// The echo of what the API was asked to send.
pub(super) fn own(account: &Account, sent: &Sent) -> Call {
    let text = sent.body["text"].as_str().unwrap_or_default();
    let more = json!({
        "fromMe": true, "wasSentByApi": true, "track_id": sent.body["track_id"],
        "track_source": sent.body["track_source"],
    });
    message(account, &sent.id, &sent.to, text, more)
}

/// A report; the gateway tells of no others.
pub(super) fn status(account: &Account, sent: &Sent, stage: &str) -> Option<Call> {
    let word = match stage {
        "delivered" => "Delivered",
        "read" => "Read",
        _ => return None,
    };
    let event = json!({
        "Chat": format!("{}@s.whatsapp.net", sent.to), "MessageIDs": [sent.id], "IsFromMe": false,
        "Timestamp": clock::now_s(), "Type": word,
    });
    Some(envelope(
        account,
        "messages_update",
        json!({ "type": "ReadReceipt", "state": word, "event": event }),
    ))
}

pub(super) fn connection(account: &Account) -> Call {
    let instance = if account.linked {
        json!({ "name": account.name, "status": "connected" })
    } else {
        json!({
            "name": account.name, "status": "disconnected",
            "lastDisconnectReason": "401: logged out from another device",
        })
    };
    let rest = if account.linked {
        json!({ "instance": instance })
    } else {
        json!({ "instance": instance, "type": "LoggedOut" })
    };
    envelope(account, "connection", rest)
}
