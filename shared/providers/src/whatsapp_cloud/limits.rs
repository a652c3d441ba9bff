//! What Meta would refuse for its size, found before it is sent. Figures: Meta's reference of message types.

use std::fmt;

use serde_json::Value;

use super::content::{MediaKind, MediaSource, OutboundContent, OutboundMedia};

/// Characters of a text.
pub const TEXT: usize = 4096;
/// Characters under a picture, video or document.
pub const CAPTION: usize = 1024;
/// Reply buttons of a message.
pub const BUTTONS: usize = 3;
/// Characters of a reply button's id.
pub const BUTTON_ID: usize = 256;
/// Characters of a button's title, of a list's button and of a link button.
pub const BUTTON_TITLE: usize = 20;
/// Characters of an interactive message's body, except of lists.
pub const BODY: usize = 1024;
/// Characters of a list message's body.
pub const LIST_BODY: usize = 4096;
/// Characters of a header text.
pub const HEADER: usize = 60;
/// Characters of a footer.
pub const FOOTER: usize = 60;
/// Sections of a list.
pub const SECTIONS: usize = 10;
/// Rows of a list, over all sections.
pub const ROWS: usize = 10;
/// Characters of a section's title.
pub const SECTION_TITLE: usize = 24;
/// Characters of a row's id.
pub const ROW_ID: usize = 200;
/// Characters of a row's title.
pub const ROW_TITLE: usize = 24;
/// Characters of a row's description.
pub const ROW_DESCRIPTION: usize = 72;
/// Characters of a template's name.
pub const TEMPLATE_NAME: usize = 512;

/// Content that Meta would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {bound} {limit} {unit}, but there are {actual}")]
pub struct LimitError {
    /// Which part, as a path in Meta's field names: `text.body`, `interactive.action.buttons[0].reply.title`.
    pub field: String,
    /// Whether there is too much or too little.
    pub bound: Bound,
    /// The figure that is allowed.
    pub limit: usize,
    /// What is there.
    pub actual: usize,
    /// What is counted.
    pub unit: Unit,
}

/// Which side of a limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// There is more than allowed.
    AtMost,
    /// There is less than needed.
    AtLeast,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Unicode characters.
    Characters,
    /// Elements of a list.
    Items,
    /// Bytes of a file.
    Bytes,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtMost => "at most",
            Self::AtLeast => "at least",
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "characters",
            Self::Items => "items",
            Self::Bytes => "bytes",
        })
    }
}

/// Checks every limit of a content.
///
/// # Errors
/// [`LimitError`] for the first that is passed.
pub fn check(content: &OutboundContent) -> Result<(), LimitError> {
    match content {
        OutboundContent::Text { body, .. } => {
            least("text.body", body.trim().chars().count(), 1, Unit::Characters)?;
            most("text.body", body.chars().count(), TEXT, Unit::Characters)
        }
        OutboundContent::Media(media) => check_media(media),
        OutboundContent::Template(template) => {
            required(&template["name"], "template.name", TEMPLATE_NAME)?;
            required(&template["language"]["code"], "template.language.code", TEMPLATE_NAME)
        }
        OutboundContent::Interactive(interactive) => check_interactive(interactive),
        OutboundContent::Reaction { message_id, .. } => {
            least("reaction.message_id", message_id.chars().count(), 1, Unit::Characters)
        }
        OutboundContent::Location(location) => {
            for name in ["latitude", "longitude"] {
                least(&format!("location.{name}"), usize::from(!location[name].is_null()), 1, Unit::Items)?;
            }
            Ok(())
        }
        OutboundContent::Contacts(cards) => {
            least("contacts", cards.as_array().map_or(0, Vec::len), 1, Unit::Items)
        }
    }
}

/// The largest file of a kind, in bytes. Stickers: 100 KB still, 500 KB `animated`.
pub fn largest_file(kind: MediaKind, animated: bool) -> usize {
    const KILOBYTE: usize = 1024;
    const MEGABYTE: usize = 1024 * KILOBYTE;
    match kind {
        MediaKind::Image => 5 * MEGABYTE,
        MediaKind::Audio | MediaKind::Video => 16 * MEGABYTE,
        MediaKind::Document => 100 * MEGABYTE,
        MediaKind::Sticker if animated => 500 * KILOBYTE,
        MediaKind::Sticker => 100 * KILOBYTE,
    }
}

/// Checks a file's size before uploading it.
///
/// # Errors
/// [`LimitError`] if it is empty or larger than [`largest_file`].
pub fn check_file(kind: MediaKind, animated: bool, bytes: usize) -> Result<(), LimitError> {
    least(kind.as_str(), bytes, 1, Unit::Bytes)?;
    most(kind.as_str(), bytes, largest_file(kind, animated), Unit::Bytes)
}

fn check_media(media: &OutboundMedia) -> Result<(), LimitError> {
    let kind = media.kind.as_str();
    let (name, source) = match &media.source {
        MediaSource::Id(id) => ("id", id),
        MediaSource::Link(link) => ("link", link),
    };
    least(&format!("{kind}.{name}"), source.chars().count(), 1, Unit::Characters)?;
    let caption = media.caption.as_deref().unwrap_or("").chars().count();
    most(&format!("{kind}.caption"), caption, CAPTION, Unit::Characters)
}

fn check_interactive(interactive: &Value) -> Result<(), LimitError> {
    let list = interactive["type"] == "list";
    required(&interactive["body"]["text"], "interactive.body.text", if list { LIST_BODY } else { BODY })?;
    optional(&interactive["header"]["text"], "interactive.header.text", HEADER)?;
    optional(&interactive["footer"]["text"], "interactive.footer.text", FOOTER)?;
    let action = &interactive["action"];
    match interactive["type"].as_str() {
        Some("button") => check_buttons(action),
        Some("list") => check_list(action),
        Some("cta_url") => {
            let parameters = &action["parameters"];
            required(&parameters["display_text"], "interactive.action.parameters.display_text", BUTTON_TITLE)
        }
        // Types without limits of their own (products, flows, location and contact requests).
        _ => Ok(()),
    }
}

fn check_buttons(action: &Value) -> Result<(), LimitError> {
    let path = "interactive.action.buttons";
    let buttons = action["buttons"].as_array().map_or(&[][..], Vec::as_slice);
    least(path, buttons.len(), 1, Unit::Items)?;
    most(path, buttons.len(), BUTTONS, Unit::Items)?;
    for (index, button) in buttons.iter().enumerate() {
        required(&button["reply"]["id"], &format!("{path}[{index}].reply.id"), BUTTON_ID)?;
        required(&button["reply"]["title"], &format!("{path}[{index}].reply.title"), BUTTON_TITLE)?;
    }
    Ok(())
}

fn check_list(action: &Value) -> Result<(), LimitError> {
    required(&action["button"], "interactive.action.button", BUTTON_TITLE)?;
    let path = "interactive.action.sections";
    let sections = action["sections"].as_array().map_or(&[][..], Vec::as_slice);
    least(path, sections.len(), 1, Unit::Items)?;
    most(path, sections.len(), SECTIONS, Unit::Items)?;
    let mut all_rows = 0;
    for (index, section) in sections.iter().enumerate() {
        let path = format!("{path}[{index}]");
        optional(&section["title"], &format!("{path}.title"), SECTION_TITLE)?;
        let rows = section["rows"].as_array().map_or(&[][..], Vec::as_slice);
        least(&format!("{path}.rows"), rows.len(), 1, Unit::Items)?;
        all_rows += rows.len();
        for (index, row) in rows.iter().enumerate() {
            let path = format!("{path}.rows[{index}]");
            required(&row["id"], &format!("{path}.id"), ROW_ID)?;
            required(&row["title"], &format!("{path}.title"), ROW_TITLE)?;
            optional(&row["description"], &format!("{path}.description"), ROW_DESCRIPTION)?;
        }
    }
    most("interactive.action.sections[].rows", all_rows, ROWS, Unit::Items)
}

fn required(text: &Value, field: &str, limit: usize) -> Result<(), LimitError> {
    least(field, text.as_str().unwrap_or("").chars().count(), 1, Unit::Characters)?;
    optional(text, field, limit)
}

fn optional(text: &Value, field: &str, limit: usize) -> Result<(), LimitError> {
    most(field, text.as_str().unwrap_or("").chars().count(), limit, Unit::Characters)
}

fn most(field: &str, actual: usize, limit: usize, unit: Unit) -> Result<(), LimitError> {
    if actual <= limit {
        return Ok(());
    }
    Err(LimitError { field: field.to_owned(), bound: Bound::AtMost, limit, actual, unit })
}

fn least(field: &str, actual: usize, limit: usize, unit: Unit) -> Result<(), LimitError> {
    if actual >= limit {
        return Ok(());
    }
    Err(LimitError { field: field.to_owned(), bound: Bound::AtLeast, limit, actual, unit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(length: usize) -> String {
        "é".repeat(length)
    }

    fn buttons(count: usize, id: usize, title: usize) -> OutboundContent {
        let button = json!({ "type": "reply", "reply": { "id": text(id), "title": text(title) } });
        OutboundContent::Interactive(json!({
            "type": "button", "body": { "text": text(BODY) }, "footer": { "text": text(FOOTER) },
            "action": { "buttons": vec![button; count] }
        }))
    }

    fn list(sections: usize, rows: usize, title: usize, description: usize, body: usize) -> OutboundContent {
        let row = json!({ "id": text(ROW_ID), "title": text(title), "description": text(description) });
        let section = json!({ "title": text(SECTION_TITLE), "rows": vec![row; rows] });
        OutboundContent::Interactive(json!({
            "type": "list", "body": { "text": text(body) },
            "action": { "button": text(BUTTON_TITLE), "sections": vec![section; sections] }
        }))
    }

    fn words(length: usize) -> OutboundContent {
        OutboundContent::Text { body: text(length), preview_url: false }
    }

    fn captioned(length: usize) -> OutboundContent {
        OutboundContent::Media(OutboundMedia {
            kind: MediaKind::Image,
            source: MediaSource::Id("1".to_owned()),
            caption: Some(text(length)),
            filename: None,
            voice: false,
        })
    }

    #[test]
    fn what_just_fits_is_accepted() {
        for content in [
            words(TEXT),
            captioned(CAPTION),
            buttons(BUTTONS, BUTTON_ID, BUTTON_TITLE),
            list(SECTIONS, 1, ROW_TITLE, ROW_DESCRIPTION, LIST_BODY),
            list(1, ROWS, ROW_TITLE, 0, 1),
            OutboundContent::Template(json!({ "name": "oi", "language": { "code": "pt_BR" } })),
            OutboundContent::Reaction {
                message_id: "wamid.1".to_owned(),
                emoji: String::new(),
                of_ours: false,
            },
            OutboundContent::Location(json!({ "latitude": 0, "longitude": "-46.6" })),
        ] {
            assert_eq!(check(&content), Ok(()), "{content:?}");
        }
    }

    #[test]
    fn one_more_is_refused_and_the_error_names_the_limit() {
        for (content, expected) in [
            (words(TEXT + 1), "text.body: at most 4096 characters, but there are 4097"),
            (words(0), "text.body: at least 1 characters, but there are 0"),
            (captioned(CAPTION + 1), "image.caption: at most 1024 characters, but there are 1025"),
            (buttons(4, 1, 1), "interactive.action.buttons: at most 3 items, but there are 4"),
            (buttons(0, 1, 1), "interactive.action.buttons: at least 1 items, but there are 0"),
            (
                buttons(1, 257, 1),
                "interactive.action.buttons[0].reply.id: at most 256 characters, but there are 257",
            ),
            (
                buttons(2, 1, 21),
                "interactive.action.buttons[0].reply.title: at most 20 characters, but there are 21",
            ),
            (list(11, 1, 1, 1, 1), "interactive.action.sections: at most 10 items, but there are 11"),
            (list(4, 3, 1, 1, 1), "interactive.action.sections[].rows: at most 10 items, but there are 12"),
            (
                list(1, 1, 25, 1, 1),
                "interactive.action.sections[0].rows[0].title: at most 24 characters, but there are 25",
            ),
            (
                list(1, 1, 1, 73, 1),
                "interactive.action.sections[0].rows[0].description: at most 72 characters, but there are 73",
            ),
            (list(1, 1, 1, 1, 4097), "interactive.body.text: at most 4096 characters, but there are 4097"),
            (OutboundContent::Template(json!({})), "template.name: at least 1 characters, but there are 0"),
            (OutboundContent::Contacts(json!([])), "contacts: at least 1 items, but there are 0"),
            (
                OutboundContent::Location(json!({ "latitude": 1 })),
                "location.longitude: at least 1 items, but there are 0",
            ),
        ] {
            assert_eq!(check(&content).expect_err("too much").to_string(), expected);
        }
    }

    #[test]
    fn files_have_limits_by_kind() {
        assert!(check_file(MediaKind::Image, false, 5 << 20).is_ok());
        assert!(check_file(MediaKind::Image, false, (5 << 20) + 1).is_err());
        assert!(check_file(MediaKind::Sticker, false, 101 << 10).is_err());
        assert!(check_file(MediaKind::Sticker, true, 500 << 10).is_ok());
        assert!(check_file(MediaKind::Document, false, 0).is_err());
    }
}
