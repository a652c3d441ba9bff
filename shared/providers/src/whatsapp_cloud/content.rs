//! What can be sent, and how it stands on the wire.

use serde_json::{Map, Value, json};

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

/// What a message holds. `Value`s go out as they are, in Meta's field names.
#[derive(Clone, Debug, PartialEq)]
pub enum OutboundContent {
    /// Plain text, with WhatsApp's own markup.
    Text {
        /// The text.
        body: String,
        /// Show a preview of the first link.
        preview_url: bool,
    },
    /// A file.
    Media(OutboundMedia),
    /// `{name, language{code}, components[]}`; the only content that is allowed outside the 24-hour window.
    Template(Value),
    /// `{type, header?, body, footer?, action}`.
    Interactive(Value),
    /// A reaction to a message.
    Reaction {
        /// The provider's id of the message.
        message_id: String,
        /// One emoji; empty takes the reaction back.
        emoji: String,
    },
    /// `{latitude, longitude, name?, address?}`.
    Location(Value),
    /// An array of contact cards.
    Contacts(Value),
}

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundMedia {
    /// How WhatsApp shows it.
    pub kind: MediaKind,
    /// Where it lies.
    pub source: MediaSource,
    /// Text under a picture, video or document.
    pub caption: Option<String>,
    /// Name of a document.
    pub filename: Option<String>,
    /// Show an audio as a voice note; needs ogg with opus.
    pub voice: bool,
}

/// How WhatsApp shows a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// An audio file or voice note.
    Audio,
    /// A document.
    Document,
    /// A sticker.
    Sticker,
}

/// Where a file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// Uploaded before, by its media id.
    Id(String),
    /// On a public web server, from which Meta fetches it.
    Link(String),
}

impl MediaKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
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
            Self::Reaction { message_id, emoji } => {
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
