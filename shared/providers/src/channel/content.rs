//! What messages to customers hold, whatever the channel.

use serde_json::Value;

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
        /// It is about a message of ours: gateways ask.
        of_ours: bool,
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
