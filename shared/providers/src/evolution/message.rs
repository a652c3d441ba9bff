//! What a WhatsApp message holds, in the protocol's own JSON (`proto.Message`), as Baileys writes it.

use domain::message::MessageType;
use serde_json::{Map, Value, json};

use crate::channel::event::card_name;
use crate::lenient::{flag, list, text, without};

/// A message, read.
#[derive(Debug, PartialEq)]
pub(super) struct Body {
    pub(super) message_type: MessageType,
    pub(super) text: Option<String>,
    pub(super) media: Option<Media>,
    pub(super) content: Map<String, Value>,
    /// The provider's id of what it answers, or is about.
    pub(super) reply_to: Option<String>,
}

/// What is known of its file.
#[derive(Debug, PartialEq)]
pub(super) struct Media {
    pub(super) mime_type: Option<String>,
    pub(super) filename: Option<String>,
    pub(super) voice: bool,
}

/// Members around a message that wrap another one.
const WRAPPERS: [&str; 6] = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "deviceSentMessage",
];

/// Members of a file that open it at WhatsApp, or are large, or have a place of their own.
const OF_FILES: [&str; 22] = [
    "url",
    "directPath",
    "mediaKey",
    "mediaKeyTimestamp",
    "fileSha256",
    "fileEncSha256",
    "fileLength",
    "mimetype",
    "caption",
    "fileName",
    "ptt",
    "jpegThumbnail",
    "thumbnailDirectPath",
    "thumbnailSha256",
    "thumbnailEncSha256",
    "waveform",
    "streamingSidecar",
    "scansSidecar",
    "scanLengths",
    "midQualityFileSha256",
    "contextInfo",
    "viewOnce",
];

/// Reads `message`. An unknown kind is `Unsupported`, and keeps everything but what the gateway put beside it.
pub(super) fn read(message: &Value) -> Body {
    let mut message = message;
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| message.get(wrapper)?.get("message")) {
        message = inner;
    }
    let named = |name: &str| message.get(name).filter(|part| !part.is_null());
    if let Some(body) = text(message, "conversation") {
        return Body::of(MessageType::Text, Some(body), None);
    }
    if let Some(part) = named("extendedTextMessage") {
        return Body::of(MessageType::Text, text(part, "text"), Some(part));
    }
    for (name, message_type) in [
        ("imageMessage", MessageType::Image),
        ("videoMessage", MessageType::Video),
        ("ptvMessage", MessageType::Video),
        ("audioMessage", MessageType::Audio),
        ("documentMessage", MessageType::Document),
        ("stickerMessage", MessageType::Sticker),
    ] {
        if let Some(part) = named(name) {
            return Body::file(message_type, part);
        }
    }
    for name in ["locationMessage", "liveLocationMessage"] {
        if let Some(part) = named(name) {
            return location(part);
        }
    }
    if let Some(part) = named("contactMessage") {
        return cards(std::slice::from_ref(part), part);
    }
    if let Some(part) = named("contactsArrayMessage") {
        return cards(list(part, "contacts"), part);
    }
    if let Some(part) = named("reactionMessage") {
        // An empty text takes the reaction back.
        let said = Some(text(part, "text").unwrap_or_default());
        let mut body = Body::of(MessageType::Reaction, said, None);
        body.reply_to = text(&part["key"], "id");
        return body;
    }
    for (name, said) in [
        ("buttonsResponseMessage", "selectedDisplayText"),
        ("templateButtonReplyMessage", "selectedDisplayText"),
        ("listResponseMessage", "title"),
    ] {
        if let Some(part) = named(name) {
            let mut body = Body::of(MessageType::Interactive, text(part, said), Some(part));
            body.content.insert(name.to_owned(), Value::Object(without(part, &["contextInfo"])));
            return body;
        }
    }
    let mut body = Body::of(MessageType::Unsupported, None, None);
    body.content = without(message, &["base64", "mediaUrl", "messageContextInfo"]);
    body
}

impl Body {
    fn of(message_type: MessageType, text: Option<String>, part: Option<&Value>) -> Self {
        Self {
            message_type,
            text,
            media: None,
            content: Map::new(),
            reply_to: part.and_then(|part| quoted(&part["contextInfo"])),
        }
    }

    fn file(message_type: MessageType, part: &Value) -> Self {
        let mut body = Self::of(message_type, text(part, "caption"), Some(part));
        body.media = Some(Media {
            mime_type: text(part, "mimetype"),
            filename: text(part, "fileName"),
            voice: flag(part, "ptt"),
        });
        let rest = without(part, &OF_FILES);
        if !rest.is_empty() {
            body.content.insert(word(message_type).to_owned(), Value::Object(rest));
        }
        body
    }
}

fn word(message_type: MessageType) -> &'static str {
    match message_type {
        MessageType::Image => "image",
        MessageType::Video => "video",
        MessageType::Audio => "audio",
        MessageType::Sticker => "sticker",
        _ => "document",
    }
}

/// The message that one answers. (`contextInfo.stanzaId`; whatsmeow writes `stanzaID`)
pub(crate) fn quoted(context: &Value) -> Option<String> {
    text(context, "stanzaId").or_else(|| text(context, "stanzaID"))
}

/// A place, in the words in which the Cloud API has it.
fn location(part: &Value) -> Body {
    let said: Vec<String> = ["name", "address"].into_iter().filter_map(|name| text(part, name)).collect();
    let (latitude, longitude) = (&part["degreesLatitude"], &part["degreesLongitude"]);
    let said = if said.is_empty() { format!("{latitude}, {longitude}") } else { said.join(", ") };
    let mut body = Body::of(MessageType::Location, Some(said), Some(part));
    let mut place = json!({ "latitude": latitude, "longitude": longitude });
    for name in ["name", "address"] {
        if let Some(value) = text(part, name) {
            place[name] = value.into();
        }
    }
    body.content.insert("location".to_owned(), place);
    body
}

fn cards(cards: &[Value], part: &Value) -> Body {
    let names: Vec<String> = cards.iter().filter_map(card_name).collect();
    let mut body = Body::of(MessageType::Contacts, (!names.is_empty()).then(|| names.join(", ")), Some(part));
    let cards: Vec<Value> = cards.iter().map(|card| Value::Object(without(card, &["contextInfo"]))).collect();
    body.content.insert("contacts".to_owned(), Value::Array(cards));
    body
}
