//! Normalising: one event as the gateway words it into one of ours.

use chrono::{DateTime, Utc};
use domain::connection::ConnectionState;
use domain::health::{Finding, Obstacle};
use domain::inbound::{
    ConnectionUpdate, Customer, InboundEvent, InboundMedia, InboundMessage, ProviderFault, StatusUpdate,
};
use domain::message::{MessageStatus, MessageType};
use serde_json::{Map, Value};

use super::client::state_of;
use super::message::{self, Body};
use super::webhook::{deleted_id, edit_id};
use crate::channel::event::{Jid, NOT_HANDLED, addresses, notice};
use crate::lenient::{as_text, flag, instant, parse, text};

/// Reads a payload of [`super::webhook::split`]. An event without an id or a customer is a notice, `unparseable: …`.
pub fn normalise(payload: &str) -> InboundEvent {
    let event = match parse(payload) {
        Ok(event) => event,
        Err(error) => return notice("unknown", &format!("unparseable: {error}")),
    };
    let name = event["event"].as_str().unwrap_or("unknown");
    let data = &event["data"];
    let at = instant(event.get("received_at_ms")).unwrap_or(DateTime::UNIX_EPOCH);
    let read = match name {
        "messages.upsert" => upsert(data, at),
        "messages.update" => update(data, at),
        "messages.edited" => edited(data, at),
        "messages.delete" => deleted(data, at),
        "send.message" => sent(data, at),
        "connection.update" => Ok(connection(data)),
        "qrcode.updated" => Ok(Some(code(data))),
        "status.instance" => Ok((text(data, "status").as_deref() == Some("closed"))
            .then(|| told(Some(closed(text(data, "disconnectionReasonCode").as_deref()))))),
        "logout.instance" => Ok(Some(told(Some(Finding::bare(Obstacle::LoggedOut))))),
        "remove.instance" => Ok(Some(told(Some(Finding::told(Obstacle::LinkClosed, "removed"))))),
        _ => Ok(None),
    };
    match read {
        Ok(Some(event)) => event,
        Ok(None) => notice(name, NOT_HANDLED),
        Err(missing) => notice(name, &format!("unparseable: {missing}")),
    }
}

/// `None`: nobody acts upon it. `Err`: what is missing.
type Read = Result<Option<InboundEvent>, &'static str>;

/// Who the other side of a message is, and the group that it stands in.
struct Chat {
    customer: Customer,
    group_id: Option<String>,
    echo: bool,
}

/// `None` for what is no chat with a customer: status posts, newsletters, and what the business itself says in groups.
fn chat(key: &Value, name: Option<String>) -> Result<Option<Chat>, &'static str> {
    let echo = flag(key, "fromMe");
    let jid = text(key, "remoteJid").ok_or("a message without a chat")?;
    let given = |name: &str| text(key, name);
    let (one, other, group_id) = match Jid::parse(&jid) {
        Some(Jid::Broadcast) => return Ok(None),
        Some(Jid::Group(_)) if echo => return Ok(None),
        Some(Jid::Group(group)) => (given("participant"), given("participantAlt"), Some(group)),
        Some(Jid::Number(_) | Jid::Lid(_)) => (Some(jid), given("remoteJidAlt"), None),
        None => return Err("a message of an unknown chat"),
    };
    let addresses = addresses([one.as_deref(), other.as_deref()]);
    if addresses.is_empty() {
        return Err("a message without a customer");
    }
    // With an echo the name is the business's own.
    let name = name.filter(|_| !echo);
    Ok(Some(Chat { customer: Customer { addresses, name, username: None }, group_id, echo }))
}

fn upsert(data: &Value, at: DateTime<Utc>) -> Read {
    let key = &data["key"];
    let id = text(key, "id").ok_or("a message without an id")?;
    let Some(chat) = chat(key, text(data, "pushName"))? else { return Ok(None) };
    if let Some(event) = protocol(&data["message"]["protocolMessage"], &chat, &id, time(data).unwrap_or(at)) {
        return Ok(Some(event));
    }
    let Body { message_type, text: said, media, mut content, reply_to } = message::read(&data["message"]);
    let context = &data["contextInfo"];
    if let Some(referral) = context.get("externalAdReply").filter(|referral| referral.is_object()) {
        content.insert("referral".to_owned(), referral.clone());
    }
    let media = media.map(|media| InboundMedia {
        provider_media_id: id.clone(),
        mime_type: media.mime_type,
        sha256: None,
        filename: media.filename,
        url: None,
        voice: media.voice,
    });
    Ok(Some(InboundEvent::Message(Box::new(InboundMessage {
        provider_message_id: id,
        customer: chat.customer,
        sent_at: time(data).unwrap_or(at),
        message_type,
        text: said,
        media,
        content: Value::Object(content),
        reply_to: reply_to.or_else(|| message::quoted(context)),
        keyword: None,
        echo: chat.echo,
        group_id: chat.group_id,
    }))))
}

/// Messages about messages: one taken back, one corrected.
fn protocol(protocol: &Value, chat: &Chat, id: &str, at: DateTime<Utc>) -> Option<InboundEvent> {
    let about = text(&protocol["key"], "id")?;
    let (message_type, said) = match as_text(protocol.get("type")?)?.as_str() {
        "REVOKE" | "0" => (MessageType::Revoke, None),
        "MESSAGE_EDIT" | "14" => (MessageType::Edit, message::read(&protocol["editedMessage"]).text),
        _ => return None,
    };
    Some(about_message(chat.customer.clone(), chat, id.to_owned(), message_type, said, about, at))
}

fn about_message(
    customer: Customer,
    chat: &Chat,
    id: String,
    message_type: MessageType,
    said: Option<String>,
    about: String,
    at: DateTime<Utc>,
) -> InboundEvent {
    InboundEvent::Message(Box::new(InboundMessage {
        provider_message_id: id,
        customer,
        sent_at: at,
        message_type,
        text: said,
        media: None,
        content: Value::Object(Map::new()),
        reply_to: Some(about),
        keyword: None,
        echo: chat.echo,
        group_id: chat.group_id.clone(),
    }))
}

/// `messages.edited` is the protocol message alone.
fn edited(data: &Value, at: DateTime<Utc>) -> Read {
    let about = text(&data["key"], "id").ok_or("an edit without a message")?;
    let id = edit_id(&about, data).ok_or("an edit without a time")?;
    let Some(chat) = chat(&data["key"], None)? else { return Ok(None) };
    let said = message::read(&data["editedMessage"]).text;
    let at = instant(data.get("timestampMs")).unwrap_or(at);
    Ok(Some(about_message(chat.customer.clone(), &chat, id, MessageType::Edit, said, about, at)))
}

fn deleted(data: &Value, at: DateTime<Utc>) -> Read {
    let about = deleted_id(data).ok_or("a withdrawal without a message")?;
    let key = if data["key"].is_object() { &data["key"] } else { data };
    let Some(chat) = chat(key, None)? else { return Ok(None) };
    let id = format!("{about}:revoke");
    Ok(Some(about_message(chat.customer.clone(), &chat, id, MessageType::Revoke, None, about, at)))
}

/// What the gateway sent for whoever asked it by its API: if it was us, the message has gone out.
fn sent(data: &Value, at: DateTime<Utc>) -> Read {
    let id = text(&data["key"], "id").ok_or("a sent message without an id")?;
    Ok(Some(report(id, MessageStatus::Sent, time(data).unwrap_or(at), None, data)))
}

fn update(data: &Value, at: DateTime<Utc>) -> Read {
    let id = text(data, "keyId").ok_or("a status without a message")?;
    let word = text(data, "status").ok_or("a status without a status")?;
    // How far the customer's own messages got is nothing that they do.
    if !flag(data, "fromMe") {
        return Ok(None);
    }
    let status = match word.as_str() {
        "SERVER_ACK" => MessageStatus::Sent,
        "DELIVERY_ACK" => MessageStatus::Delivered,
        "READ" | "PLAYED" => MessageStatus::Read,
        "ERROR" => MessageStatus::Failed,
        _ => return Ok(None),
    };
    let error = (status == MessageStatus::Failed).then(|| ProviderFault {
        code: "ERROR".to_owned(),
        title: "WhatsApp did not take the message".to_owned(),
        detail: None,
    });
    Ok(Some(report(id, status, at, error, data)))
}

fn report(
    provider_message_id: String,
    status: MessageStatus,
    at: DateTime<Utc>,
    error: Option<ProviderFault>,
    data: &Value,
) -> InboundEvent {
    let jid = text(data, "remoteJid").or_else(|| text(&data["key"], "remoteJid"));
    InboundEvent::Status(Box::new(StatusUpdate {
        provider_message_id,
        callback: None,
        status,
        at,
        error,
        opted_out: None,
        obstacle: None,
        recipient: addresses([jid.as_deref()]),
        billing: Value::Null,
    }))
}

/// Seconds, as a number or as the two halves of a long one.
fn time(data: &Value) -> Option<DateTime<Utc>> {
    let time = data.get("messageTimestamp")?;
    instant(time.get("low").or(Some(time)))
}

fn connection(data: &Value) -> Option<InboundEvent> {
    let found = match state_of(data) {
        ConnectionState::Connected => None,
        ConnectionState::Connecting => Some(Finding::bare(Obstacle::Linking)),
        ConnectionState::Down => Some(closed(text(data, "statusReason").as_deref())),
        // The gateway shows no more codes: somebody has to ask for new ones.
        ConnectionState::Unknown | ConnectionState::Degraded if data["state"] == "refused" => {
            Some(Finding::bare(Obstacle::CodeLimit))
        }
        ConnectionState::Unknown | ConnectionState::Degraded => return None,
    };
    Some(told(found))
}

/// Why a line closed: Baileys' `DisconnectReason`.
fn closed(code: Option<&str>) -> Finding {
    let word = match code {
        Some("401") => return Finding::bare(Obstacle::LoggedOut),
        Some("402" | "403") => return Finding::bare(Obstacle::PhoneBarred),
        Some("408") => "timed_out",
        Some("411") => "multi_device_mismatch",
        Some("428") => "connection_closed",
        Some("440") => "replaced",
        Some("500") => "bad_session",
        Some("503") => "unavailable",
        Some("515") => "restart_required",
        _ => return Finding::bare(Obstacle::LinkClosed),
    };
    Finding::told(Obstacle::LinkClosed, word)
}

fn code(data: &Value) -> InboundEvent {
    if data["qrcode"].is_object() {
        let found = Some(Finding::bare(Obstacle::Linking));
        return InboundEvent::Connection(ConnectionUpdate { found, has_code: true });
    }
    told(Some(Finding::bare(Obstacle::CodeLimit)))
}

fn told(found: Option<Finding>) -> InboundEvent {
    InboundEvent::Connection(ConnectionUpdate { found, has_code: false })
}
