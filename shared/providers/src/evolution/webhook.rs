//! One webhook call into events for the queue. What opens the instance, its `apikey`, does not go along.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::channel::event::{ACCOUNT_GROUP, Bulk, Event, Jid, group, notice_key};
use crate::lenient::{as_text, flag, text};

/// The body is no webhook.
#[derive(Debug, thiserror::Error)]
#[error("the webhook body is not an object with an event")]
pub struct NoWebhook;

/// Makes events of a body that arrived `at`; what is not recognised comes out as a notice, whole. So does a list that would
/// become many times as large as it is.
///
/// # Errors
/// [`NoWebhook`] if it is none at all.
pub fn split(body: &[u8], at: DateTime<Utc>) -> Result<Vec<Event>, NoWebhook> {
    let text_of_body = String::from_utf8_lossy(body);
    let mut whole = crate::lenient::parse(&text_of_body).map_err(|_| NoWebhook)?;
    let event = text(&whole, "event").ok_or(NoWebhook)?;
    let account = text(&whole, "instance");
    let said_at = text(&whole, "date_time").unwrap_or_default();
    let one = |data: &Value| Event {
        key: key(&event, data, &said_at),
        group: customer(data).unwrap_or_else(|| ACCOUNT_GROUP.to_owned()),
        accounts: account.iter().cloned().collect(),
        payload: json!({
            "event": event, "received_at_ms": at.timestamp_millis(), "date_time": said_at, "data": data,
        })
        .to_string(),
    };
    // Events of messages are objects; lists of them are accepted, too.
    let data = whole["data"].take();
    let Value::Array(pieces) = &data else { return Ok(vec![one(&data)]) };
    let mut bulk = Bulk::of_body(body);
    let mut events = Vec::new();
    for piece in pieces {
        let event = one(piece);
        bulk.add(event.payload.len());
        if bulk.is_exceeded() {
            return Ok(vec![one(&data)]);
        }
        events.push(event);
    }
    Ok(events)
}

fn key(event: &str, data: &Value, said_at: &str) -> String {
    let id = text(&data["key"], "id");
    let own = || match (event, id.as_deref()) {
        ("messages.upsert", Some(id)) if flag(&data["key"], "fromMe") => Some(format!("echo:{id}")),
        ("messages.upsert", Some(id)) => Some(format!("message:{id}")),
        ("send.message", Some(id)) => Some(format!("status:{id}:SENT")),
        ("messages.update", _) => Some(format!("status:{}:{}", text(data, "keyId")?, text(data, "status")?)),
        ("messages.edited", Some(id)) => Some(format!("message:{}", edit_id(id, data)?)),
        ("messages.delete", _) => Some(format!("message:{}:revoke", deleted_id(data)?)),
        _ => None,
    };
    own().unwrap_or_else(|| notice_key(&[event, said_at, &data.to_string()]))
}

/// An edit has no id of its own, but a time.
pub(super) fn edit_id(edited: &str, data: &Value) -> Option<String> {
    Some(format!("{edited}:edit:{}", as_text(data.get("timestampMs")?)?))
}

/// Which message is taken back.
pub(super) fn deleted_id(data: &Value) -> Option<String> {
    text(&data["key"], "id").or_else(|| text(data, "keyId")).or_else(|| text(data, "id"))
}

/// The chat that it is of: a group, or the customer by number if it is known.
fn customer(data: &Value) -> Option<String> {
    let key = &data["key"];
    let chat = text(key, "remoteJid").or_else(|| text(data, "remoteJid"))?;
    match (Jid::parse(&chat)?, text(key, "remoteJidAlt").as_deref().and_then(Jid::parse)) {
        (Jid::Number(number), _) | (Jid::Lid(_), Some(Jid::Number(number))) => Some(group(&number)),
        (Jid::Lid(lid), _) => Some(group(&lid)),
        (Jid::Group(id), _) => Some(group(&id)),
        (Jid::Broadcast, _) => None,
    }
}
