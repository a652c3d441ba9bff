//! One webhook call into events for the queue. Forms become JSON; nothing is dropped.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::channel::event::{ACCOUNT_GROUP, Event, group, notice_key};

/// Which address was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A customer wrote.
    Message,
    /// A message of ours got on.
    Status,
}

impl About {
    fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Status => "status",
        }
    }
}

/// PostgreSQL has no NUL in texts: what is stored has U+FFFD in its place, and so has what it is known by.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Makes events of a form that arrived `at`: forms carry no time. `callback` is what the address of a report says of its
/// message. An MMS of several files becomes several messages, each with one.
pub fn split(about: About, form: &[u8], callback: Option<&str>, at: DateTime<Utc>) -> Vec<Event> {
    let fields: Map<String, Value> = url::form_urlencoded::parse(form)
        .map(|(name, value)| (storable(&name), Value::String(storable(&value))))
        .collect();
    let field = |name: &str| fields.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    let payload = |file: usize| {
        json!({
            "about": about.as_str(), "file": file, "callback": callback,
            "received_at_ms": at.timestamp_millis(), "fields": fields,
        })
        .to_string()
    };
    let sid = field("MessageSid").or(field("SmsSid"));
    let (customer, ours) = match about {
        About::Message => (field("From"), field("To")),
        About::Status => (field("To"), field("From")),
    };
    let event = |key: String, file: usize| Event {
        key,
        group: customer.map_or_else(|| ACCOUNT_GROUP.to_owned(), group),
        accounts: [field("MessagingServiceSid"), ours].into_iter().flatten().map(str::to_owned).collect(),
        payload: payload(file),
    };
    match (about, sid, field("MessageStatus").or(field("SmsStatus"))) {
        (About::Message, Some(sid), _) => {
            let files = field("NumMedia").and_then(|count| count.parse().ok()).unwrap_or(0_usize).min(10);
            let others = (1..files).map(|file| event(format!("message:{sid}:{file}"), file));
            std::iter::once(event(format!("message:{sid}"), 0)).chain(others).collect()
        }
        (About::Status, Some(sid), Some(status)) => vec![event(format!("status:{sid}:{status}"), 0)],
        (About::Status, Some(_) | None, _) | (About::Message, None, _) => {
            vec![event(notice_key(&[about.as_str(), &String::from_utf8_lossy(form)]), 0)]
        }
    }
}
