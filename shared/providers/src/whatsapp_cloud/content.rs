//! What can be sent, and how it stands on the wire.

use serde_json::{Map, Value, json};

pub use crate::channel::content::{MediaKind, MediaSource, OutboundContent, OutboundMedia};

/// One message to one customer.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboundMessage {
    /// To whom.
    pub to: Recipient,
    /// What.
    pub content: OutboundContent,
    /// The provider's id of the message that this one answers. Ignored for reactions, which name theirs.
    pub reply_to: Option<String>,
    /// Our own id: every status of the message repeats it. At most 512 characters.
    pub callback: String,
}

/// How the customer is addressed. A stored `wa_id` is better than a number, which is better than a user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// `+` and digits.
    E164(String),
    /// WhatsApp's digits, as WhatsApp gave them.
    WaId(String),
    /// Business-scoped user id.
    Bsuid(String),
}

impl OutboundMessage {
    /// The request body.
    pub(super) fn to_wire(&self) -> Value {
        let mut wire = Map::new();
        let (kind, part) = self.content.to_wire();
        wire.insert("messaging_product".to_owned(), "whatsapp".into());
        wire.insert("recipient_type".to_owned(), "individual".into());
        let (name, address) = match &self.to {
            Recipient::E164(number) | Recipient::WaId(number) => ("to", with_plus(number)),
            Recipient::Bsuid(id) => ("recipient", id.clone()),
        };
        wire.insert(name.to_owned(), address.into());
        let reaction = matches!(self.content, OutboundContent::Reaction { .. });
        if let Some(answered) = self.reply_to.as_ref().filter(|_| !reaction) {
            wire.insert("context".to_owned(), json!({ "message_id": answered }));
        }
        wire.insert("biz_opaque_callback_data".to_owned(), self.callback.clone().into());
        wire.insert("type".to_owned(), kind.into());
        wire.insert(kind.to_owned(), part);
        Value::Object(wire)
    }
}

/// Without `+` Meta may put the business's own country code in front.
fn with_plus(number: &str) -> String {
    if number.starts_with('+') { number.to_owned() } else { format!("+{number}") }
}

impl OutboundContent {
    fn to_wire(&self) -> (&'static str, Value) {
        match self {
            Self::Text { body, preview_url } => ("text", json!({ "body": body, "preview_url": preview_url })),
            Self::Media(media) => (media.kind.as_str(), media.to_wire()),
            Self::Template(template) => ("template", template.clone()),
            Self::Interactive(interactive) => ("interactive", interactive.clone()),
            Self::Reaction { message_id, emoji, .. } => {
                ("reaction", json!({ "message_id": message_id, "emoji": emoji }))
            }
            Self::Location(location) => ("location", location.clone()),
            Self::Contacts(contacts) => ("contacts", contacts.clone()),
        }
    }
}

impl OutboundMedia {
    fn to_wire(&self) -> Value {
        let mut wire = Map::new();
        match &self.source {
            MediaSource::Id(id) => wire.insert("id".to_owned(), id.clone().into()),
            MediaSource::Link(link) => wire.insert("link".to_owned(), link.clone().into()),
        };
        if let (Some(caption), MediaKind::Image | MediaKind::Video | MediaKind::Document) =
            (&self.caption, self.kind)
        {
            wire.insert("caption".to_owned(), caption.clone().into());
        }
        if let (Some(filename), MediaKind::Document) = (&self.filename, self.kind) {
            wire.insert("filename".to_owned(), filename.clone().into());
        }
        if self.voice && self.kind == MediaKind::Audio {
            wire.insert("voice".to_owned(), true.into());
        }
        Value::Object(wire)
    }
}
