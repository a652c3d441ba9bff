//! Normalising: one event as Twilio words it into one of ours.

use chrono::{DateTime, Utc};
use domain::contact::ConsentScope;
use domain::inbound::{
    Address, AddressKind, Customer, InboundEvent, InboundMedia, InboundMessage, Keyword, ProviderFault,
    StatusUpdate,
};
use domain::message::{MessageStatus, MessageType};
use domain::phone;
use serde_json::{Map, Value, json};

use super::error::{fault, obstacle, told};
use crate::channel::error::SendError;
use crate::channel::event::{NOT_HANDLED, notice};
use crate::lenient::{instant, parse, text};

/// What Twilio's long codes take for a stop by default, besides the words that every channel knows. A messaging service
/// with its own words says so in `OptOutType`.
const STOP: [&str; 8] = ["stop", "unsubscribe", "end", "quit", "stopall", "revoke", "optout", "cancel"];

/// What takes a stop back. `YES` does, too, but says other things to a person.
const START: [&str; 2] = ["start", "unstop"];

/// What Twilio answers with who we are.
const HELP: [&str; 2] = ["help", "info"];

/// Reads a payload of [`super::webhook::split`].
pub fn normalise(payload: &str) -> InboundEvent {
    let event = match parse(payload) {
        Ok(event) => event,
        Err(error) => return notice("unknown", &format!("unparseable: {error}")),
    };
    let fields = &event["fields"];
    let at = instant(event.get("received_at_ms")).unwrap_or(DateTime::UNIX_EPOCH);
    let about = event["about"].as_str().unwrap_or("unknown");
    let read = match about {
        "message" => message(fields, event["file"].as_u64().unwrap_or(0), at),
        "status" => status(fields, text(&event, "callback"), at),
        _ => Ok(None),
    };
    match read {
        Ok(Some(event)) => event,
        Ok(None) => notice(about, NOT_HANDLED),
        Err(missing) => notice(about, &format!("unparseable: {missing}")),
    }
}

/// `None`: nobody acts upon it. `Err`: what is missing.
type Read = Result<Option<InboundEvent>, &'static str>;

fn message(fields: &Value, file: u64, at: DateTime<Utc>) -> Read {
    let sid = sid(fields).ok_or("a message without a sid")?;
    let addresses = addresses(text(fields, "From")).ok_or("a message without a sender")?;
    let media = media(fields, file);
    let first = file == 0;
    let body = text(fields, "Body").filter(|_| first);
    Ok(Some(InboundEvent::Message(Box::new(InboundMessage {
        provider_message_id: if first { sid } else { format!("{sid}:{file}") },
        customer: Customer { addresses, name: text(fields, "ProfileName"), username: None },
        sent_at: at,
        message_type: media.as_ref().map_or(MessageType::Text, |(kind, _)| *kind),
        keyword: keyword(fields, body.as_deref()).filter(|_| first),
        text: body,
        media: media.map(|(_, media)| media),
        content: content(fields, first),
        reply_to: None,
        echo: false,
        group_id: None,
    }))))
}

fn sid(fields: &Value) -> Option<String> {
    text(fields, "MessageSid").or_else(|| text(fields, "SmsSid"))
}

/// A number; or the short code or name of a sender that has none, which cannot be answered, and is kept all the same.
fn addresses(from: Option<String>) -> Option<Vec<Address>> {
    let from = from?;
    Some(vec![match phone::canonical_from_wa_id(&from) {
        Some(value) if from.starts_with('+') => Address { kind: AddressKind::E164, value },
        _ => Address { kind: AddressKind::External, value: format!("sms:{from}") },
    }])
}

fn media(fields: &Value, file: u64) -> Option<(MessageType, InboundMedia)> {
    let url = text(fields, &format!("MediaUrl{file}"))?;
    let mime_type = text(fields, &format!("MediaContentType{file}"));
    let kind = match mime_type.as_deref().and_then(|mime_type| mime_type.split('/').next()) {
        Some("image") => MessageType::Image,
        Some("video") => MessageType::Video,
        Some("audio") => MessageType::Audio,
        _ => MessageType::Document,
    };
    let media = InboundMedia {
        provider_media_id: url,
        mime_type,
        sha256: None,
        filename: None,
        url: None,
        voice: false,
    };
    Some((kind, media))
}

fn keyword(fields: &Value, body: Option<&str>) -> Option<Keyword> {
    match text(fields, "OptOutType").as_deref() {
        Some("STOP") => return Some(Keyword::Stop),
        Some("START") => return Some(Keyword::Start),
        Some("HELP") => return Some(Keyword::Help),
        _ => {}
    }
    match body?.trim().to_lowercase().as_str() {
        word if STOP.contains(&word) => Some(Keyword::Stop),
        word if START.contains(&word) => Some(Keyword::Start),
        word if HELP.contains(&word) => Some(Keyword::Help),
        "yes" => Some(Keyword::Yes),
        _ => None,
    }
}

/// What has no place of its own: how many SMS it was, and where the number is from.
fn content(fields: &Value, first: bool) -> Value {
    let mut content = Map::new();
    if let Some(segments) = text(fields, "NumSegments").and_then(|count| count.parse::<u32>().ok())
        && first
    {
        content.insert("sms".to_owned(), json!({ "segments": segments }));
    }
    for (name, ours) in [("FromCountry", "country"), ("FromState", "state"), ("FromCity", "city")] {
        if let Some(value) = text(fields, name).filter(|_| first) {
            content.insert(ours.to_owned(), value.into());
        }
    }
    Value::Object(content)
}

fn status(fields: &Value, callback: Option<String>, at: DateTime<Utc>) -> Read {
    let provider_message_id = sid(fields).ok_or("a status without a sid")?;
    let word = text(fields, "MessageStatus")
        .or_else(|| text(fields, "SmsStatus"))
        .ok_or("a status without a status")?;
    let status = match word.as_str() {
        // Twilio has it, which is all that an answer to a send says, too.
        "accepted" | "scheduled" | "queued" | "sending" | "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" => MessageStatus::Read,
        "failed" | "undelivered" | "canceled" => MessageStatus::Failed,
        _ => return Ok(None),
    };
    let code = text(fields, "ErrorCode").and_then(|code| code.parse().ok()).filter(|code| *code != 0);
    let error = (status == MessageStatus::Failed).then(|| match code {
        Some(code) => fault(code, text(fields, "ErrorMessage")),
        None => ProviderFault { code: word.clone(), title: format!("The message is {word}"), detail: None },
    });
    let told = code.zip(error.as_ref()).map(|(code, fault)| told(code, fault));
    Ok(Some(InboundEvent::Status(Box::new(StatusUpdate {
        provider_message_id,
        callback,
        status,
        at,
        error,
        opted_out: matches!(told, Some(SendError::OptedOut(_))).then_some(ConsentScope::All),
        obstacle: told.as_ref().and_then(obstacle),
        recipient: addresses(text(fields, "To")).unwrap_or_default(),
        billing: Value::Null,
    }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_own_words_are_known_alone() {
        for (body, expected) in [
            (" Stop ", Some(Keyword::Stop)),
            ("UNSTOP", Some(Keyword::Start)),
            ("Info", Some(Keyword::Help)),
            ("HELP", Some(Keyword::Help)),
            ("YES", Some(Keyword::Yes)),
            ("Yes, please", None),
            ("I need help", None),
        ] {
            assert_eq!(keyword(&json!({}), Some(body)), expected, "{body}");
        }
        assert_eq!(keyword(&json!({ "OptOutType": "STOP" }), Some("Basta")), Some(Keyword::Stop));
    }
}
