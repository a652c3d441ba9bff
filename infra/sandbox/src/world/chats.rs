//! A chat is what one customer and one line have with each other.

use std::collections::{HashMap, VecDeque};

/// Messages of a chat that its page can still show.
const KEPT: usize = 400;

/// Chats remembered; past that any one makes room.
const KEPT_CHATS: usize = 50_000;

/// One chat.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    /// Oldest first.
    pub(crate) messages: VecDeque<String>,
    /// When the customer last wrote; opens the 24-hour window.
    pub(crate) customer_wrote_at_ms: Option<i64>,
    /// Until when the business is shown as typing.
    pub(crate) typing_until_ms: i64,
}

/// All chats, by phone number id and `wa_id`.
#[derive(Debug, Default)]
pub(crate) struct Chats(HashMap<(String, String), Chat>);

impl Chats {
    pub(crate) fn get(&self, line: &str, wa_id: &str) -> Option<&Chat> {
        self.0.get(&(line.to_owned(), wa_id.to_owned()))
    }

    pub(crate) fn entry(&mut self, line: &str, wa_id: &str) -> &mut Chat {
        let key = (line.to_owned(), wa_id.to_owned());
        if self.0.len() >= KEPT_CHATS && !self.0.contains_key(&key) {
            let any = self.0.keys().next().cloned();
            any.map(|any| self.0.remove(&any));
        }
        self.0.entry(key).or_default()
    }

    /// Puts a message at the end of its chat.
    pub(crate) fn append(&mut self, line: &str, wa_id: &str, id: &str) {
        let chat = self.entry(line, wa_id);
        chat.messages.push_back(id.to_owned());
        if chat.messages.len() > KEPT {
            chat.messages.pop_front();
        }
    }

    /// Whether the customer wrote within 24 hours before `now_ms`.
    pub(crate) fn window_is_open(&self, line: &str, wa_id: &str, now_ms: i64) -> bool {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        self.get(line, wa_id)
            .and_then(|chat| chat.customer_wrote_at_ms)
            .is_some_and(|wrote_at| now_ms - wrote_at < DAY_MS)
    }
}
