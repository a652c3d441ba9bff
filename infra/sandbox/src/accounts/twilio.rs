//! Twilio, under `/twilio/2010-04-01/…`: messages, the account, and forms to webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::deliver::{Body, Call};
use super::{Account, Inbound, Provider, Sent, Shared, accept, new_id, sent};
use crate::script::{self, Target};
use crate::world::Sandbox;

pub(super) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/twilio/2010-04-01/Accounts/{account}/Messages.json", post(send))
        .route("/twilio/2010-04-01/Accounts/{account}/Messages/{sid}/Media/{media}", get(media))
        .route("/twilio/2010-04-01/Accounts/{account}", get(account))
}

/// `{code, message, more_info, status}`.
fn error(status: StatusCode, code: u32, message: &str) -> Response {
    let body = json!({
        "code": code, "message": message, "status": status.as_u16(),
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
    });
    (status, Json(body)).into_response()
}

/// The account, when its token is right.
fn authorised(sandbox: &Sandbox, name: &str, headers: &HeaderMap) -> Option<Account> {
    let account = sandbox.world().accounts.find(Provider::Twilio, name)?.clone();
    let expected = format!("Basic {}", STANDARD.encode(format!("{name}:{}", account.secret)));
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    (given == expected).then_some(account)
}

async fn account(State(sandbox): Shared, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let name = name.trim_end_matches(".json");
    script::run(&sandbox, Target::Twilio, name.as_bytes(), async {
        match authorised(&sandbox, name, &headers) {
            Some(account) => {
                Json(json!({ "sid": account.name, "status": "active", "friendly_name": "Loja de Teste" }))
                    .into_response()
            }
            None => error(StatusCode::UNAUTHORIZED, 20003, "Authenticate"),
        }
    })
    .await
}

async fn send(State(sandbox): Shared, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    script::run(&sandbox, Target::Twilio, &body, async {
        let Some(account) = authorised(&sandbox, &name, &headers) else {
            return error(StatusCode::UNAUTHORIZED, 20003, "Authenticate");
        };
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        if !field("To").starts_with('+') {
            return error(StatusCode::BAD_REQUEST, 21211, "Invalid 'To' Phone Number");
        }
        if field("Body").is_empty() && field("MediaUrl").is_empty() {
            return error(StatusCode::BAD_REQUEST, 21602, "Message body is required");
        }
        if field("From") != account.number && field("MessagingServiceSid").is_empty() {
            return error(StatusCode::BAD_REQUEST, 21606, "The From number is not SMS-capable");
        }
        let id = new_id(Provider::Twilio);
        let answer = json!({
            "sid": id, "account_sid": name, "status": "queued", "to": field("To"), "from": field("From"),
            "body": field("Body"), "num_segments": "1", "num_media": "0", "direction": "outbound-api",
            "error_code": null, "error_message": null, "price": null,
        });
        accept(&sandbox, &account, sent(id, field("To"), "Messages.json", json!(form)));
        (StatusCode::CREATED, Json(answer)).into_response()
    })
    .await
}

/// A file of an MMS: a picture, or nothing for `ME0`.
async fn media(
    State(sandbox): Shared,
    Path((name, _sid, media)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    match authorised(&sandbox, &name, &headers) {
        None => error(StatusCode::UNAUTHORIZED, 20003, "Authenticate"),
        Some(_) if media == "ME0" => {
            error(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
        }
        Some(_) => ([(header::CONTENT_TYPE, "image/jpeg")], PICTURE).into_response(),
    }
}

/// The beginning of a JPEG.
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF";

fn form(fields: &[(&str, &str)]) -> Body {
    Body::Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// A report on a message; nothing when nobody asked for any.
pub(super) fn status(account: &Account, sent: &Sent, stage: &str) -> Option<Call> {
    let url = sent.body["StatusCallback"].as_str()?.to_owned();
    let mut fields = vec![
        ("MessageSid", sent.id.as_str()),
        ("SmsSid", &sent.id),
        ("MessageStatus", stage),
        ("SmsStatus", stage),
        ("To", &sent.to),
        ("From", &account.number),
        ("AccountSid", &account.name),
        ("ApiVersion", "2010-04-01"),
    ];
    if stage == "failed" {
        fields.push(("ErrorCode", "30007"));
    }
    Some(Call { url: Some(url), body: form(&fields) })
}

/// A customer's SMS; its webhook is the account's address with `/messages` behind it.
pub(super) fn inbound(account: &Account, asked: &Inbound, id: &str) -> Call {
    let from = format!("+{}", asked.from);
    let body = form(&[
        ("MessageSid", id),
        ("SmsSid", id),
        ("SmsMessageSid", id),
        ("AccountSid", &account.name),
        ("From", &from),
        ("To", &account.number),
        ("Body", &asked.text),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsStatus", "received"),
        ("ApiVersion", "2010-04-01"),
    ]);
    Call { url: account.webhook_url.as_ref().map(|url| format!("{url}/messages")), body }
}
