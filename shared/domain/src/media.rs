//! Files: what they are for, how far they got, and which types and sizes a channel takes.

pub mod sniff;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::MediaId;
use crate::message::MessageType;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Purpose {
    /// To be sent to customers.
    Message,
    /// Rows to be read in.
    Import,
    /// Rows that were written out, by us.
    Export,
    /// What a customer sent.
    Inbound,
}

impl Purpose {
    /// The stable name; the first part of the keys of such files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Import => "import",
            Self::Export => "export",
            Self::Inbound => "inbound",
        }
    }
}

/// How far a file got. Only `Waiting` ever changes, but for `Ready` to `Gone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MediaState {
    /// It has not arrived yet.
    Waiting,
    /// It is there.
    Ready,
    /// It is not what it was said to be, or more than we take.
    Refused,
    /// It is nowhere any more.
    Gone,
}

impl MediaState {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }
}

/// Why a file is refused or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MediaReason {
    /// It has another size than was said.
    WrongSize,
    /// Its first bytes are of another type than was said.
    WrongType,
    /// It is larger than we take.
    TooLarge,
    /// It holds nothing.
    Empty,
    /// The provider has it no longer.
    Expired,
    /// The provider would not give it to us, for all the time that it keeps files.
    Unavailable,
    /// A person had it deleted.
    Erased,
}

impl MediaReason {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongSize => "wrong_size",
            Self::WrongType => "wrong_type",
            Self::TooLarge => "too_large",
            Self::Empty => "empty",
            Self::Expired => "expired",
            Self::Unavailable => "unavailable",
            Self::Erased => "erased",
        }
    }
}

/// The file of a message, as it stands with the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file; `None` for what an earlier release stored, which never came over to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MediaId>,
    /// How far it got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<MediaState>,
    /// Why it is refused or gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<MediaReason>,
    /// Its type; what the provider says of it, until it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Its name where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Recorded in the app (a voice note), not an audio file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub voice: bool,
    /// What is said in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcription: Option<String>,
}

impl Attachment {
    /// Reads what stands with a message.
    pub fn read(stored: &Value) -> Self {
        serde_json::from_value(stored.clone()).unwrap_or_default()
    }
}

const KILOBYTE: i64 = 1024;
const MEGABYTE: i64 = 1024 * KILOBYTE;

/// The largest file that a customer may send us: WhatsApp's own limit.
pub const LARGEST_INBOUND: i64 = 100 * MEGABYTE;

/// The largest file of rows.
pub const LARGEST_IMPORT: i64 = 1024 * MEGABYTE;

/// Types of documents that WhatsApp takes, all up to 100 MB.
const DOCUMENTS: [&str; 8] = [
    "application/pdf",
    "text/plain",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

/// What systems call a file of rows. Windows with Excel calls it Excel's.
const ROWS: [&str; 5] =
    ["text/csv", "text/plain", "text/tab-separated-values", "application/csv", "application/vnd.ms-excel"];

/// The type without its parameters, in the spelling of the registry: `audio/ogg; codecs=opus` is `audio/ogg`.
pub fn essence(mime_type: &str) -> String {
    let essence = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg",
        "audio/mp3" => "audio/mpeg",
        "audio/m4a" | "audio/x-m4a" => "audio/mp4",
        "audio/opus" => "audio/ogg",
        _ => return essence,
    }
    .to_owned()
}

/// The kind of message that shows files of a type; `None` when WhatsApp takes no such file.
/// Source: WhatsApp Cloud API, media: supported types.
pub fn message_type(essence: &str) -> Option<MessageType> {
    match essence {
        "image/jpeg" | "image/png" => Some(MessageType::Image),
        "image/webp" => Some(MessageType::Sticker),
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" => Some(MessageType::Audio),
        "video/mp4" | "video/3gpp" => Some(MessageType::Video),
        document if DOCUMENTS.contains(&document) => Some(MessageType::Document),
        _ => None,
    }
}

/// The most bytes of a file to upload; `None` when there is no such upload.
pub fn largest(purpose: Purpose, essence: &str) -> Option<i64> {
    match purpose {
        Purpose::Message => match message_type(essence)? {
            MessageType::Image => Some(5 * MEGABYTE),
            // The limit of animated ones; a still one may have 100 KB, which the bytes alone tell.
            MessageType::Sticker => Some(500 * KILOBYTE),
            MessageType::Audio | MessageType::Video => Some(16 * MEGABYTE),
            _ => Some(100 * MEGABYTE),
        },
        Purpose::Import => ROWS.contains(&essence).then_some(LARGEST_IMPORT),
        Purpose::Export | Purpose::Inbound => None,
    }
}

/// Whether bytes in which `detected` was recognised, if anything was, may be what they were said to be. Text has nothing
/// by which it is recognised; whoever asks has looked whether it is text.
pub fn agrees(purpose: Purpose, said: &str, detected: Option<&str>, is_text: bool) -> bool {
    const OPEN_XML: &str = "application/vnd.openxmlformats-officedocument.";
    let detected = detected.map(essence);
    if purpose == Purpose::Import || said.starts_with("text/") {
        // Of two letters some types are recognised, and a table may begin with any; those below are text themselves.
        let other_text = ["application/pdf", "application/postscript", "application/rtf"];
        return is_text && !detected.is_some_and(|detected| other_text.contains(&detected.as_str()));
    }
    let Some(detected) = detected else { return false };
    match said {
        // One container: with sound alone it may call itself either way.
        "audio/mp4" => matches!(detected.as_str(), "audio/mp4" | "video/mp4" | "video/x-m4v"),
        "video/mp4" => matches!(detected.as_str(), "video/mp4" | "video/x-m4v"),
        "video/3gpp" => matches!(detected.as_str(), "video/3gpp" | "video/mp4"),
        // The three of them are one container too, and where the parts lie that tell them apart is nobody's promise.
        "application/msword" | "application/vnd.ms-excel" | "application/vnd.ms-powerpoint" => {
            matches!(
                detected.as_str(),
                "application/x-ole-storage"
                    | "application/msword"
                    | "application/vnd.ms-excel"
                    | "application/vnd.ms-powerpoint"
            )
        }
        said if said.starts_with(OPEN_XML) => detected == "application/zip" || detected.starts_with(OPEN_XML),
        said => detected == said,
    }
}

/// Whether a browser may show a file of this type where it stands. What could hold a script is saved instead.
pub fn is_shown_inline(essence: &str) -> bool {
    matches!(essence, "image/jpeg" | "image/png" | "image/webp" | "image/gif" | "application/pdf")
        || essence.starts_with("audio/")
        || essence.starts_with("video/")
}

/// Whether a small picture can be made of a file of this type.
pub fn has_thumbnail(essence: &str) -> bool {
    matches!(essence, "image/jpeg" | "image/png" | "image/webp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_spelling() {
        assert_eq!(essence(" Audio/OGG; codecs=opus"), "audio/ogg");
        assert_eq!(essence("image/jpg"), "image/jpeg");
        assert_eq!(essence(""), "");
    }

    #[test]
    fn limits_are_whatsapps() {
        for (mime_type, megabytes) in
            [("image/jpeg", 5), ("audio/ogg", 16), ("video/mp4", 16), ("application/pdf", 100)]
        {
            assert_eq!(largest(Purpose::Message, mime_type), Some(megabytes * MEGABYTE), "{mime_type}");
        }
        assert_eq!(largest(Purpose::Message, "image/webp"), Some(500 * KILOBYTE));
        for refused in ["image/gif", "text/csv", "application/zip", "text/html", ""] {
            assert_eq!(largest(Purpose::Message, refused), None, "{refused}");
        }
        assert_eq!(largest(Purpose::Import, "text/csv"), Some(LARGEST_IMPORT));
        assert_eq!(largest(Purpose::Import, "image/png"), None);
        assert_eq!(largest(Purpose::Export, "text/csv"), None);
    }

    #[test]
    fn what_was_said_is_held_against_what_is_there() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (said, detected, agree) in [
            ("image/jpeg", Some("image/jpeg"), true),
            ("image/jpeg", Some("image/png"), false),
            ("image/jpeg", None, false),
            ("audio/mp4", Some("audio/m4a"), true),
            ("audio/ogg", Some("audio/opus"), true),
            ("video/mp4", Some("video/quicktime"), false),
            ("application/msword", Some("application/x-ole-storage"), true),
            (docx, Some("application/zip"), true),
            (docx, Some("application/pdf"), false),
            ("application/pdf", Some("application/vnd.microsoft.portable-executable"), false),
        ] {
            assert_eq!(agrees(Purpose::Message, said, detected, false), agree, "{said}, {detected:?}");
        }
        for said in ["text/csv", "application/vnd.ms-excel"] {
            assert!(agrees(Purpose::Import, said, None, true), "{said}");
            assert!(!agrees(Purpose::Import, said, None, false), "{said} of bytes that are no text");
            assert!(
                agrees(Purpose::Import, said, Some("image/bmp"), true),
                "{said} whose first column is `BMI`"
            );
            assert!(!agrees(Purpose::Import, said, Some("application/pdf"), true), "{said}");
        }
        assert!(agrees(Purpose::Message, "text/plain", None, true));
        for said in ["image/png", "application/vnd.ms-excel"] {
            assert!(!agrees(Purpose::Message, said, None, true), "{said}");
        }
    }

    #[test]
    fn what_earlier_releases_stored_is_read() {
        let stored = serde_json::json!({
            "provider_media_id": "1", "mime_type": "image/jpeg", "sha256": "x", "filename": null, "url": null,
            "voice": false,
        });
        let attachment = Attachment::read(&stored);
        assert_eq!((attachment.id, attachment.mime_type.as_deref()), (None, Some("image/jpeg")));
    }
}
