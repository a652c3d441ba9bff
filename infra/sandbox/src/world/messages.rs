//! Messages of both directions.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

/// Messages remembered; the oldest go first.
const KEPT: usize = 50_000;

/// Who wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Writer {
    Customer,
    Business,
}

/// How far a message got. A customer's: accepted → sent (our webhook was taken) → read.
/// The business's: accepted → sent → delivered → read, or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Accepted,
    Sent,
    Delivered,
    Read,
    Failed,
}

/// A file that belongs to a message.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attachment {
    /// Media id, fetched by the page at `/phone/media/{id}`.
    pub(crate) id: String,
    pub(crate) mime_type: String,
    pub(crate) filename: Option<String>,
}

/// One message.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Message {
    /// The wamid.
    pub(crate) id: String,
    /// Phone number id of the line.
    #[serde(rename = "phone_number_id")]
    pub(crate) line: String,
    pub(crate) wa_id: String,
    pub(crate) writer: Writer,
    /// `to` exactly as the business gave it.
    pub(crate) to: Option<String>,
    /// Milliseconds since the epoch.
    pub(crate) at_ms: i64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What stands under the key named like the type.
    pub(crate) content: Value,
    pub(crate) reply_to: Option<String>,
    pub(crate) biz_opaque_callback_data: Option<String>,
    pub(crate) stage: Stage,
    /// Of a template: `utility`, `marketing`, `authentication`.
    pub(crate) category: Option<String>,
    /// Sent to a business-scoped user id instead of a number.
    pub(crate) user_id: Option<String>,
    /// Meta's code when it failed.
    pub(crate) error_code: Option<u32>,
    pub(crate) attachment: Option<Attachment>,
    /// The customer's phone shows it.
    pub(crate) visible: bool,
    /// Emoji by who gave it.
    pub(crate) reaction_of_customer: Option<String>,
    pub(crate) reaction_of_business: Option<String>,
}

impl Message {
    /// A message that was just written and went nowhere yet.
    pub(crate) fn new(line: &str, wa_id: &str, writer: Writer, kind: &str, content: Value) -> Self {
        Self {
            id: new_wamid(wa_id),
            line: line.to_owned(),
            wa_id: wa_id.to_owned(),
            writer,
            to: None,
            at_ms: crate::clock::now_ms(),
            kind: kind.to_owned(),
            content,
            reply_to: None,
            biz_opaque_callback_data: None,
            stage: Stage::Accepted,
            category: None,
            user_id: None,
            error_code: None,
            attachment: None,
            visible: writer == Writer::Customer,
            reaction_of_customer: None,
            reaction_of_business: None,
        }
    }
}

/// All messages by wamid.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    by_id: HashMap<String, Message>,
    order: VecDeque<String>,
}

impl Messages {
    pub(crate) fn get(&self, id: &str) -> Option<&Message> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.by_id.get_mut(id)
    }

    /// Adds a message; one with the same id is replaced.
    pub(crate) fn insert(&mut self, message: Message) {
        let id = message.id.clone();
        if self.by_id.insert(id.clone(), message).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    /// All, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Message> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }
}

/// A new id in Meta's form: a small binary record with the number and twenty hex digits, base64.
pub(crate) fn new_wamid(wa_id: &str) -> String {
    let length = u8::try_from(wa_id.len()).unwrap_or(u8::MAX);
    let mut record = vec![0x1c, 0x18, length];
    record.extend_from_slice(wa_id.as_bytes());
    record.extend_from_slice(&[0x15, 0x02, 0x00, 0x12, 0x18, 0x14]);
    record.extend_from_slice(hex::encode(rand::random::<[u8; 10]>()).to_uppercase().as_bytes());
    record.push(0);
    format!("wamid.{}", STANDARD.encode(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_documented_form() {
        let id = new_wamid("16505550123");
        assert!(id.starts_with("wamid.HBgLMTY1MDU1NTAxMjMVAgASGB"), "{id}");
        assert_eq!(id.len(), "wamid.HBgLMTY1MDU1NTAxMjMVAgASGBQ4RTc0QUJFMTYxQUExMjFGQjhBNQA=".len());
    }
}
