//! Normalising messages: what a person reads, what the type holds, and what it answers.

use chrono::DateTime;
use domain::inbound::{Customer, InboundEvent, InboundMedia, InboundMessage, PastFile};
use domain::message::MessageType;
use serde_json::{Map, Value};

use super::lenient::{flag, list, text, without};
use super::normalise::{Addresses, Event, Normalised, own_number_shared};

/// The members that every message has, and that have places of their own.
const COMMON: [&str; 10] = [
    "id",
    "from",
    "from_user_id",
    "to",
    "to_user_id",
    "timestamp",
    "type",
    "group_id",
    "recipient_type",
    "history_context",
];

/// The members of a file that have places of their own.
const MEDIA: [&str; 7] = ["id", "mime_type", "sha256", "filename", "url", "voice", "caption"];

/// The types of Meta and ours.
const TYPES: [(&str, MessageType); 16] = [
    ("text", MessageType::Text),
    ("image", MessageType::Image),
    ("video", MessageType::Video),
    ("audio", MessageType::Audio),
    ("document", MessageType::Document),
    ("sticker", MessageType::Sticker),
    ("location", MessageType::Location),
    ("contacts", MessageType::Contacts),
    ("interactive", MessageType::Interactive),
    ("button", MessageType::Button),
    ("reaction", MessageType::Reaction),
    ("order", MessageType::Order),
    ("template", MessageType::Template),
    ("system", MessageType::System),
    ("edit", MessageType::Edit),
    ("revoke", MessageType::Revoke),
];

/// Reads a message of a customer, or with `echo` one that the business wrote in its phone app.
pub(super) fn normalise(event: &Event<'_>, message: &Value, echo: bool) -> Normalised {
    text(message, "id").ok_or("a message without an id")?;
    let customer = customer(event, message, echo).ok_or("a message without a customer")?;
    let read = read(event, message, echo, customer)?;
    Ok(Some(InboundEvent::Message(Box::new(read))))
}

/// Reads a message whose customer is known.
pub(super) fn read(
    event: &Event<'_>,
    message: &Value,
    echo: bool,
    customer: Customer,
) -> Result<InboundMessage, &'static str> {
    let provider_message_id = text(message, "id").ok_or("a message without an id")?;
    let (name, message_type) = kind(message);
    let body = Body::read(message_type, &message[name]);
    let answered = match message_type {
        MessageType::Reaction => text(&message["reaction"], "message_id"),
        MessageType::Edit | MessageType::Revoke => text(&message[name], "original_message_id"),
        _ => text(&message["context"], "id"),
    };
    Ok(InboundMessage {
        provider_message_id,
        customer,
        sent_at: event.time_of(message).unwrap_or(DateTime::UNIX_EPOCH),
        message_type,
        text: body.text,
        media: body.media,
        content: content(message, name, message_type),
        reply_to: answered,
        keyword: None,
        echo,
        group_id: text(message, "group_id"),
    })
}

/// Reads a file that comes after its message.
pub(super) fn read_file(message: &Value) -> Result<Option<PastFile>, &'static str> {
    let provider_message_id = text(message, "id").ok_or("a message without an id")?;
    let (name, message_type) = kind(message);
    let Body { text, media } = Body::read(message_type, &message[name]);
    let content = content(message, name, message_type);
    Ok(media.map(|media| PastFile { provider_message_id, message_type, text, media, content }))
}

/// The type by its name, or by the member that is there when the name is missing.
fn kind(message: &Value) -> (&'static str, MessageType) {
    let named = text(message, "type");
    TYPES
        .into_iter()
        .find(|(name, _)| match named.as_deref() {
            Some(named) => named == *name,
            None => message.get(name).is_some(),
        })
        .unwrap_or(("unsupported", MessageType::Unsupported))
}

fn customer(event: &Event<'_>, message: &Value, echo: bool) -> Option<Customer> {
    let mut addresses = Addresses::default();
    if echo {
        addresses.wa_id(text(message, "to"));
        addresses.bsuid(text(message, "to_user_id"));
    } else {
        addresses.wa_id(text(message, "from"));
        addresses.bsuid(text(message, "from_user_id"));
    }
    let (mut name, mut username) = (None, None);
    for contact in event.contacts() {
        addresses.wa_id(text(contact, "wa_id"));
        addresses.bsuid(text(contact, "user_id"));
        name = name.or_else(|| text(&contact["profile"], "name"));
        username = username.or_else(|| text(&contact["profile"], "username"));
    }
    if !echo && !addresses.has_wa_id() {
        addresses.wa_id(own_number_shared(message));
    }
    let addresses = addresses.done();
    (!addresses.is_empty()).then_some(Customer { addresses, name, username })
}

/// What a person reads, and the file.
struct Body {
    text: Option<String>,
    media: Option<InboundMedia>,
}

impl Body {
    fn read(message_type: MessageType, part: &Value) -> Self {
        let line = match message_type {
            MessageType::Text | MessageType::System => text(part, "body"),
            MessageType::Image
            | MessageType::Video
            | MessageType::Audio
            | MessageType::Document
            | MessageType::Sticker => {
                return Self { text: text(part, "caption"), media: media(part) };
            }
            MessageType::Location => location(part),
            MessageType::Contacts => contact_names(part),
            MessageType::Interactive => interactive(part),
            MessageType::Button => text(part, "text"),
            // An empty text takes the reaction back.
            MessageType::Reaction => Some(text(part, "emoji").unwrap_or_default()),
            MessageType::Order => order(part),
            MessageType::Template => text(part, "name"),
            MessageType::Edit => {
                let corrected = &part["message"];
                let (name, corrected_type) = kind(corrected);
                // An edit inside an edit would be nonsense, and endless.
                match corrected_type {
                    MessageType::Edit => None,
                    _ => Self::read(corrected_type, &corrected[name]).text,
                }
            }
            MessageType::Note | MessageType::Revoke | MessageType::Unsupported => None,
        };
        Self { text: line, media: None }
    }
}

fn media(part: &Value) -> Option<InboundMedia> {
    Some(InboundMedia {
        provider_media_id: text(part, "id")?,
        mime_type: text(part, "mime_type"),
        sha256: text(part, "sha256"),
        filename: text(part, "filename"),
        url: text(part, "url"),
        voice: flag(part, "voice"),
    })
}

fn location(part: &Value) -> Option<String> {
    let named: Vec<String> = ["name", "address"].into_iter().filter_map(|name| text(part, name)).collect();
    if !named.is_empty() {
        return Some(named.join(", "));
    }
    Some(format!("{}, {}", text(part, "latitude")?, text(part, "longitude")?))
}

fn contact_names(cards: &Value) -> Option<String> {
    let names: Vec<String> = cards
        .as_array()?
        .iter()
        .filter_map(|card| {
            text(&card["name"], "formatted_name")
                .or_else(|| list(card, "phones").iter().find_map(|phone| text(phone, "phone")))
        })
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn interactive(part: &Value) -> Option<String> {
    text(&part["button_reply"], "title")
        .or_else(|| text(&part["list_reply"], "title"))
        .or_else(|| text(&part["nfm_reply"], "body"))
        .or_else(|| text(&part["nfm_reply"], "name"))
        // In echoes: what the business sent.
        .or_else(|| text(&part["body"], "text"))
}

fn order(part: &Value) -> Option<String> {
    let items: Vec<String> = list(part, "product_items")
        .iter()
        .filter_map(|item| {
            let product = text(item, "product_retailer_id")?;
            Some(format!("{} × {product}", text(item, "quantity").unwrap_or_else(|| "1".to_owned())))
        })
        .collect();
    text(part, "text").or_else(|| (!items.is_empty()).then(|| items.join(", ")))
}

/// The rest: an object that holds what has no place of its own, in Meta's words. An unknown type keeps everything.
fn content(message: &Value, name: &str, message_type: MessageType) -> Value {
    if message_type == MessageType::Unsupported {
        return Value::Object(without(
            message,
            &COMMON.map(|common| if common == "type" { "" } else { common }),
        ));
    }
    let mut rest = without(message, &COMMON);
    match message_type {
        MessageType::Text => keep(&mut rest, name, without(&message[name], &["body"])),
        MessageType::Image
        | MessageType::Video
        | MessageType::Audio
        | MessageType::Document
        | MessageType::Sticker
            if message[name].get("id").is_some() =>
        {
            keep(&mut rest, name, without(&message[name], &MEDIA));
        }
        _ => {}
    }
    // A plain reply's context says nothing that `reply_to` does not.
    keep(&mut rest, "context", without(&message["context"], &["id", "from"]));
    Value::Object(rest)
}

/// Puts `value` in `name`'s place, or nothing if nothing is left of it.
fn keep(rest: &mut Map<String, Value>, name: &str, value: Map<String, Value>) {
    if value.is_empty() {
        rest.remove(name);
    } else {
        rest.insert(name.to_owned(), Value::Object(value));
    }
}
