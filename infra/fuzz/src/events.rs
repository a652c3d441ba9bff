//! What must hold of the events of a webhook, whoever reported them.

use chrono::{DateTime, Datelike as _, Utc};
use domain::inbound::{Address, AddressKind, InboundEvent, InboundMessage};
use providers::channel::event::Event;
use serde_json::Value;
use serde_json::value::RawValue;

/// When the calls of targets arrive.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_768_053_650, 0).expect("it is a time")
}

/// Reads a payload that [`hold`] and [`read`] are asked about.
pub(crate) type Normalise = fn(&str) -> InboundEvent;

/// Holds a body's events to what everybody behind the queue relies on. `growth` is how many times the body they may be, once
/// they are larger than nine mebibytes.
pub(crate) fn hold(body: &[u8], events: &[Event], normalise: Normalise, growth: usize) {
    let size: usize = events.iter().map(|event| event.payload.len() + event.key.len()).sum();
    let most = (growth * body.len()).max(9 << 20);
    assert!(size <= most, "{} bytes became {size}, of {} events", body.len(), events.len());
    // Each is held to the same: of very many the first ones will do.
    for event in events.iter().take(50) {
        let Event { key, group, payload, .. } = event;
        assert!(!key.is_empty() && !key.contains('\0'), "no key for a database: {key:?}");
        assert!(
            (1..=64).contains(&group.len())
                && group.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
            "no group for a queue: {group:?}"
        );
        serde_json::from_str::<&RawValue>(payload).expect("a payload is JSON");
        let normalised = read(payload, normalise);
        match &normalised {
            InboundEvent::Message(message) => {
                let id = &message.provider_message_id;
                let known = [format!("message:{id}"), format!("echo:{id}")];
                assert!(known.contains(key), "the message {id:?} is known by {key:?}");
            }
            InboundEvent::Status(status) => {
                let id = &status.provider_message_id;
                assert!(
                    key.starts_with(&format!("status:{id}:")),
                    "the status of {id:?} is known by {key:?}"
                );
            }
            _ => {}
        }
    }
}

/// Normalises a payload, and holds the event to what must hold of every event.
pub(crate) fn read(payload: &str, normalise: Normalise) -> InboundEvent {
    let event = normalise(payload);
    assert_eq!(event, normalise(payload), "normalised twice");
    let written = serde_json::to_value(&event).expect("an event serialises");
    let text = written.to_string();
    let back: InboundEvent = serde_json::from_str(&text).expect("an event is read back");
    assert_eq!(back, event, "written and read back");
    assert!(!holds_nul(&written), "no text for a database: {text}");
    match &event {
        InboundEvent::Message(message) => hold_message(message),
        InboundEvent::Status(status) => {
            assert!(!status.provider_message_id.is_empty(), "a status without a message");
            hold_addresses(&status.recipient);
            hold_time(status.at);
        }
        InboundEvent::AddressChange(change) => {
            hold_customer(&change.previous);
            assert!(!change.previous.contains(&change.current), "nothing changed");
            hold_time(change.at);
        }
        InboundEvent::MarketingPreference(preference) => {
            hold_customer(&preference.customer.addresses);
            hold_time(preference.at);
        }
        InboundEvent::Template(update) => {
            assert!(!update.provider_template_id.is_empty(), "a template without an id");
            hold_time(update.at);
        }
        InboundEvent::Account(update) => {
            let number = update.number.as_deref().unwrap_or_default();
            assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
            hold_time(update.at);
        }
        InboundEvent::History(history) => {
            for past in &history.messages {
                hold_message(&past.message);
            }
        }
        InboundEvent::PastFile(file) => {
            assert!(!file.provider_message_id.is_empty(), "a file of no message");
            assert!(file.content.is_object(), "the rest of a message is an object");
        }
        InboundEvent::AddressBook { customers, .. } => {
            assert!(!customers.is_empty(), "an address book of nobody");
            for customer in customers {
                hold_customer(&customer.addresses);
            }
        }
        InboundEvent::Connection(_) | InboundEvent::Refusal(_) => {}
        InboundEvent::Notice { reason, .. } => assert!(!reason.is_empty(), "a notice without a reason"),
    }
    event
}

fn hold_message(message: &InboundMessage) {
    assert!(!message.provider_message_id.is_empty(), "a message without an id");
    assert!(message.content.is_object(), "the rest of a message is an object");
    hold_customer(&message.customer.addresses);
    hold_time(message.sent_at);
}

fn hold_customer(addresses: &[Address]) {
    assert!(!addresses.is_empty(), "a customer without an address");
    hold_addresses(addresses);
}

fn hold_addresses(addresses: &[Address]) {
    for (place, address) in addresses.iter().enumerate() {
        assert!(!address.value.is_empty(), "an empty address");
        assert!(!addresses[..place].contains(address), "an address stands twice");
        if address.kind == AddressKind::E164 {
            let digits = address.value.strip_prefix('+').expect("E.164 begins with +");
            assert!((5..=16).contains(&digits.len()), "{digits}");
            assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
        }
    }
}

/// What RFC 3339 can write, and PostgreSQL store.
fn hold_time(at: DateTime<Utc>) {
    assert!((1970..=9999).contains(&at.year()), "no time of a message: {at}");
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => {
            members.iter().any(|(name, member)| name.contains('\0') || holds_nul(member))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
