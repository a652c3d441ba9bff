//! Normalising: one event as the gateway words it into one of ours. Booleans and numbers come as strings, too.

use chrono::{DateTime, Utc};
use domain::connection::ConnectionState;
use domain::health::{Finding, Obstacle};
use domain::inbound::{ConnectionUpdate, Customer, InboundEvent, InboundMedia, InboundMessage, StatusUpdate};
use domain::message::{MessageStatus, MessageType};
use serde_json::{Map, Value, json};

use super::client::state_of;
use super::webhook::callback;
use crate::channel::event::{Jid, NOT_HANDLED, addresses, card_name, notice};
use crate::lenient::{flag, instant, parse, text, without};

/// Reads a payload of [`super::webhook::split`]. An event without an id or a customer is a notice, `unparseable: …`.
pub fn normalise(payload: &str) -> InboundEvent {
    let event = match parse(payload) {
        Ok(event) => event,
        Err(error) => return notice("unknown", &format!("unparseable: {error}")),
    };
    let name = event["EventType"].as_str().unwrap_or("unknown");
    let at = instant(event.get("received_at_ms")).unwrap_or(DateTime::UNIX_EPOCH);
    let read = match name {
        "messages" => message(&event, at),
        "messages_update" => Ok(status(&event, at)),
        "connection" => Ok(connection(&event)),
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

fn message(event: &Value, at: DateTime<Utc>) -> Read {
    let message = &event["message"];
    let id = text(message, "messageid").ok_or("a message without an id")?;
    let sent_at = instant(message.get("messageTimestamp")).unwrap_or(at);
    let echo = flag(message, "fromMe");
    if let Some(callback) = callback(message).filter(|_| echo) {
        let recipient = addresses([text(message, "chatid").as_deref()]);
        return Ok(Some(report(id, Some(callback), MessageStatus::Sent, sent_at, recipient)));
    }
    let Some((customer, group_id)) = customer(event, message, echo)? else { return Ok(None) };
    let body = Body::read(message);
    let media = body.is_file.then(|| InboundMedia {
        provider_media_id: id.clone(),
        mime_type: text(&message["content"], "mimetype"),
        sha256: None,
        filename: text(&message["content"], "fileName"),
        url: None,
        voice: text(message, "mediaType").as_deref() == Some("ptt"),
    });
    Ok(Some(InboundEvent::Message(Box::new(InboundMessage {
        provider_message_id: id,
        customer,
        sent_at,
        message_type: body.message_type,
        text: body.text,
        media,
        content: Value::Object(body.content),
        reply_to: body.reply_to,
        keyword: None,
        echo,
        group_id,
    }))))
}

/// `None` for what is no chat with a customer: status posts, newsletters, and what the business itself says in groups.
fn customer(
    event: &Value,
    message: &Value,
    echo: bool,
) -> Result<Option<(Customer, Option<String>)>, &'static str> {
    let chat_id = text(message, "chatid").or_else(|| text(&event["chat"], "wa_chatid"));
    let chat_id = chat_id.ok_or("a message without a chat")?;
    let given = |name: &str| text(message, name);
    let (jids, group_id) = match Jid::parse(&chat_id) {
        Some(Jid::Broadcast) => return Ok(None),
        Some(Jid::Group(_)) if echo => return Ok(None),
        Some(Jid::Group(group)) => ([given("sender_pn"), given("sender_lid"), given("sender")], Some(group)),
        // The sender of an echo is the business.
        Some(Jid::Number(_) | Jid::Lid(_)) if echo => ([Some(chat_id), given("chatlid"), None], None),
        Some(Jid::Number(_) | Jid::Lid(_)) => {
            ([given("sender_pn"), Some(chat_id), given("sender_lid")], None)
        }
        None => return Err("a message of an unknown chat"),
    };
    let addresses = addresses(jids.iter().map(Option::as_deref));
    if addresses.is_empty() {
        return Err("a message without a customer");
    }
    let name = given("senderName").filter(|_| !echo);
    Ok(Some((Customer { addresses, name, username: None }, group_id)))
}

/// What a message holds.
struct Body {
    message_type: MessageType,
    text: Option<String>,
    is_file: bool,
    content: Map<String, Value>,
    reply_to: Option<String>,
}

/// Members of a file that open it at WhatsApp, or are large, or have a place of their own.
const OF_FILES: [&str; 20] = [
    "URL",
    "directPath",
    "mediaKey",
    "mediaKeyTimestamp",
    "fileSHA256",
    "fileEncSHA256",
    "fileLength",
    "fileName",
    "mimetype",
    "caption",
    "PTT",
    "JPEGThumbnail",
    "thumbnailDirectPath",
    "thumbnailSHA256",
    "thumbnailEncSHA256",
    "waveform",
    "streamingSidecar",
    "contextInfo",
    "pairedMediaType",
    "externalShareFullVideoDurationInSeconds",
];

impl Body {
    fn read(message: &Value) -> Self {
        let kind = text(message, "messageType").unwrap_or_default();
        let content = &message["content"];
        let said = text(message, "text").or_else(|| content.as_str().map(str::to_owned));
        let quoted = text(message, "quoted");
        if let Some(about) = text(message, "reaction") {
            // An empty text takes the reaction back.
            return Self::of(MessageType::Reaction, Some(said.unwrap_or_default()), Some(about));
        }
        if let Some(about) = text(message, "edited") {
            return Self::of(MessageType::Edit, said, Some(about));
        }
        let file = |message_type, word: &str| {
            let mut body =
                Self::of(message_type, said.clone().or_else(|| text(content, "caption")), quoted.clone());
            body.is_file = true;
            let rest = without(content, &OF_FILES);
            if !rest.is_empty() {
                body.content.insert(word.to_owned(), Value::Object(rest));
            }
            body
        };
        match kind.as_str() {
            "Conversation" | "ExtendedTextMessage" => {
                Self::of(MessageType::Text, said.or_else(|| text(content, "text")), quoted)
            }
            "ImageMessage" => file(MessageType::Image, "image"),
            "VideoMessage" | "PtvMessage" => file(MessageType::Video, "video"),
            "AudioMessage" => file(MessageType::Audio, "audio"),
            "DocumentMessage" | "DocumentWithCaptionMessage" => file(MessageType::Document, "document"),
            "StickerMessage" => file(MessageType::Sticker, "sticker"),
            "LocationMessage" | "LiveLocationMessage" => location(content, quoted),
            "ContactMessage" => cards(std::slice::from_ref(content), quoted),
            "ContactsArrayMessage" => cards(crate::lenient::list(content, "contacts"), quoted),
            "ListResponseMessage"
            | "ButtonsResponseMessage"
            | "TemplateButtonReplyMessage"
            | "PollUpdateMessage" => {
                // What was chosen, in words; its id beside it.
                let chosen = text(message, "vote").or(said).or_else(|| text(content, "title"));
                let mut body = Self::of(MessageType::Interactive, chosen, quoted);
                if let Some(id) = text(message, "buttonOrListid") {
                    body.content.insert("reply".to_owned(), json!({ "id": id }));
                }
                body
            }
            _ if text(message, "type").as_deref() == Some("text") => {
                Self::of(MessageType::Text, said, quoted)
            }
            _ => {
                let mut body = Self::of(MessageType::Unsupported, said, quoted);
                body.content = Map::from_iter([(kind, Value::Object(without(content, &OF_FILES)))]);
                body
            }
        }
    }

    fn of(message_type: MessageType, text: Option<String>, reply_to: Option<String>) -> Self {
        Self { message_type, text, is_file: false, content: Map::new(), reply_to }
    }
}

/// A place, in the words in which the Cloud API has it.
fn location(part: &Value, quoted: Option<String>) -> Body {
    let (latitude, longitude) = (&part["degreesLatitude"], &part["degreesLongitude"]);
    let said: Vec<String> = ["name", "address"].into_iter().filter_map(|name| text(part, name)).collect();
    let said = if said.is_empty() { format!("{latitude}, {longitude}") } else { said.join(", ") };
    let mut body = Body::of(MessageType::Location, Some(said), quoted);
    let mut place = json!({ "latitude": latitude, "longitude": longitude });
    for name in ["name", "address"] {
        if let Some(value) = text(part, name) {
            place[name] = value.into();
        }
    }
    body.content.insert("location".to_owned(), place);
    body
}

fn cards(cards: &[Value], quoted: Option<String>) -> Body {
    let names: Vec<String> = cards.iter().filter_map(card_name).collect();
    let said = (!names.is_empty()).then(|| names.join(", "));
    let mut body = Body::of(MessageType::Contacts, said, quoted);
    let cards = cards.iter().map(|card| Value::Object(without(card, &["contextInfo"]))).collect();
    body.content.insert("contacts".to_owned(), Value::Array(cards));
    body
}

fn status(event: &Value, at: DateTime<Utc>) -> Option<InboundEvent> {
    let about = &event["about"];
    let said = &event["event"];
    let status = match text(about, "status")?.to_ascii_lowercase().as_str() {
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" | "played" => MessageStatus::Read,
        _ => return None,
    };
    let at = instant(said.get("Timestamp").or(event.get("messageTimestamp"))).unwrap_or(at);
    let named = [text(said, "sender_pn"), text(said, "Chat"), text(event, "chatid")];
    // The business's own devices read the customer's messages: that is nothing of ours that got on.
    let own_device = flag(said, "IsFromMe");
    (!own_device).then(|| {
        let recipient = addresses(named.iter().map(Option::as_deref));
        text(about, "id").map(|id| report(id, None, status, at, recipient))
    })?
}

fn report(
    provider_message_id: String,
    callback: Option<String>,
    status: MessageStatus,
    at: DateTime<Utc>,
    recipient: Vec<domain::inbound::Address>,
) -> InboundEvent {
    InboundEvent::Status(Box::new(StatusUpdate {
        provider_message_id,
        callback,
        status,
        at,
        error: None,
        opted_out: None,
        obstacle: None,
        recipient,
        billing: Value::Null,
    }))
}

fn connection(event: &Value) -> Option<InboundEvent> {
    let instance = &event["instance"];
    let reason = text(instance, "lastDisconnectReason");
    let is_logout = text(event, "type").as_deref() == Some("LoggedOut")
        // "401: logged out from another device"
        || reason.as_ref().is_some_and(|reason| reason.starts_with("401"));
    let found = match state_of(instance) {
        ConnectionState::Connected => None,
        ConnectionState::Connecting => Some(Finding::bare(Obstacle::Linking)),
        ConnectionState::Down if is_logout => Some(Finding { obstacle: Obstacle::LoggedOut, detail: reason }),
        ConnectionState::Down => Some(Finding { obstacle: Obstacle::LinkClosed, detail: reason }),
        ConnectionState::Unknown | ConnectionState::Degraded => return None,
    };
    let is_linking = found.as_ref().is_some_and(|finding| finding.obstacle == Obstacle::Linking);
    let has_code = is_linking && text(instance, "qrcode").or_else(|| text(instance, "paircode")).is_some();
    Some(InboundEvent::Connection(ConnectionUpdate { found, has_code }))
}
