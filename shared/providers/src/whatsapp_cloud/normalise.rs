//! Normalising: one event as Meta words it into one of ours. Never fails: what is not understood becomes a notice
//! that says why, and the journal keeps the original.

use chrono::{DateTime, Utc};
use domain::contact::ConsentScope;
use domain::health::Finding;
use domain::inbound::{
    Address, AddressChange, AddressKind, Customer, InboundEvent, MarketingPreference, ProviderFault,
    StatusUpdate,
};
use domain::message::MessageStatus;
use domain::phone;
use serde_json::{Map, Value};

use super::condition::obstacle;
use super::error::SendError;
use super::lenient::{instant, list, parse, text};
use super::{account, coexistence, message};

/// The reason of notices that are understood well enough, and that nobody acts upon.
pub const NOT_HANDLED: &str = "not_handled";

/// Reads a [`super::webhook::SplitEvent::payload`].
///
/// A customer message without a time gets the entry's, or 1970: it is worth more than its time. Half emojis and
/// NULs in texts become U+FFFD. An event without an id or a customer is a notice, `unparseable: …`.
pub fn normalise(payload: &str) -> InboundEvent {
    match parse(payload) {
        Ok(event) => Event::new(&event).normalise(),
        Err(error) => notice("unknown", &format!("unparseable: {error}")),
    }
}

/// One split event, and what stands around its piece.
pub(super) struct Event<'a> {
    whole: &'a Value,
    pub(super) field: &'a str,
}

impl<'a> Event<'a> {
    fn new(whole: &'a Value) -> Self {
        let field = whole.get("field").and_then(Value::as_str).unwrap_or("unknown");
        Self { whole, field }
    }

    fn normalise(&self) -> InboundEvent {
        let normalised = if let Some(message) = self.piece("message") {
            self.message(message)
        } else if let Some(echo) = self.piece("echo") {
            message::normalise(self, echo, true)
        } else if let Some(status) = self.piece("status") {
            self.status(status)
        } else if let Some(update) = self.piece("user_id_update") {
            self.user_id_update(update)
        } else if let Some(preference) = self.piece("user_preference") {
            self.marketing_preference(preference)
        } else if let Some(history) = self.piece("history") {
            coexistence::history(self, history)
        } else if let Some(file) = self.piece("past_file") {
            coexistence::file(file)
        } else if let Some(contacts) = self.piece("state_sync") {
            Ok(coexistence::address_book(contacts))
        } else if let Some(error) = self.piece("error") {
            Ok(refusal(error))
        } else if let Some(value) = self.piece("value") {
            account::normalise(self, value)
        } else {
            Ok(None)
        };
        match normalised {
            Ok(Some(event)) => event,
            Ok(None) => notice(self.field, NOT_HANDLED),
            Err(missing) => notice(self.field, &format!("unparseable: {missing}")),
        }
    }

    fn piece(&self, name: &str) -> Option<&'a Value> {
        self.whole.get(name)
    }

    /// The contact cards that came with the event; the customer's own.
    pub(super) fn contacts(&self) -> &'a [Value] {
        list(self.whole, "contacts")
    }

    /// The account, where an entry is one.
    pub(super) fn entry_id(&self) -> Option<String> {
        text(self.whole, "entry_id")
    }

    /// The piece's own time, else the entry's.
    pub(super) fn time_of(&self, piece: &Value) -> Option<DateTime<Utc>> {
        instant(piece.get("timestamp")).or_else(|| instant(self.whole.get("entry_time")))
    }

    fn message(&self, message: &'a Value) -> Normalised {
        let system = &message["system"];
        match text(system, "type").as_deref() {
            Some("user_changed_number" | "customer_changed_number") => self.changed_number(message, system),
            Some("user_changed_user_id") => self.changed_user_id(message, system),
            _ => message::normalise(self, message, false),
        }
    }

    fn status(&self, status: &Value) -> Normalised {
        let provider_message_id = text(status, "id").ok_or("a status without a message id")?;
        let word = text(status, "status").ok_or("a status without a status")?;
        let reached = match word.as_str() {
            "sent" => MessageStatus::Sent,
            "delivered" => MessageStatus::Delivered,
            "read" | "played" => MessageStatus::Read,
            "failed" => MessageStatus::Failed,
            _ => return Ok(None),
        };
        let mut recipient = Addresses::default();
        // In a group the recipient is the group; its participant is who it is about.
        if text(status, "recipient_type").as_deref() == Some("group") {
            recipient.wa_id(text(status, "recipient_participant_id"));
        } else {
            recipient.wa_id(text(status, "recipient_id"));
        }
        recipient.bsuid(text(status, "recipient_user_id"));
        for contact in self.contacts() {
            recipient.wa_id(text(contact, "wa_id"));
            recipient.bsuid(text(contact, "user_id"));
        }
        let error = list(status, "errors").first().map(fault);
        let told = error.as_ref().and_then(SendError::told);
        let mut billing = Map::new();
        for name in ["pricing", "conversation"] {
            if let Some(value) = status.get(name) {
                billing.insert(name.to_owned(), value.clone());
            }
        }
        Ok(Some(InboundEvent::Status(Box::new(StatusUpdate {
            provider_message_id,
            callback: text(status, "biz_opaque_callback_data"),
            status: reached,
            at: self.time_of(status).unwrap_or(DateTime::UNIX_EPOCH),
            error,
            opted_out: matches!(told, Some(SendError::MarketingStopped(_)))
                .then_some(ConsentScope::Marketing),
            obstacle: told.as_ref().and_then(obstacle),
            recipient: recipient.done(),
            billing: if billing.is_empty() { Value::Null } else { Value::Object(billing) },
        }))))
    }

    fn changed_number(&self, message: &Value, system: &Value) -> Normalised {
        let mut previous = Addresses::default();
        previous.wa_id(text(message, "from"));
        previous.bsuid(text(message, "from_user_id"));
        let current = text(system, "wa_id")
            .or_else(|| text(system, "new_wa_id"))
            .map(wa_id)
            .ok_or("a changed number without the new one")?;
        self.change(message, previous, current).ok_or("a changed number without the old one")
    }

    fn changed_user_id(&self, message: &Value, system: &Value) -> Normalised {
        let current = text(system, "user_id").map(bsuid).ok_or("a changed user id without the new one")?;
        let mut previous = Addresses::default();
        previous.wa_id(text(message, "from"));
        if previous.given.is_empty() {
            // The old id stands only in the sentence, at its end: "… changed from BR.1 to BR.2". The name before it is
            // the customer's to choose, so that the sentence counts only when nothing better is there.
            let told = || {
                let body = text(system, "body")?;
                let (head, new) = body.rsplit_once(" to ")?;
                let (_, old) = head.rsplit_once(" changed from ")?;
                (new == current.value && !old.contains(' ')).then(|| old.to_owned())
            };
            previous.bsuid(told());
        }
        self.change(message, previous, current).ok_or("a changed user id without the old one")
    }

    fn user_id_update(&self, update: &Value) -> Normalised {
        let ids = &update["user_id"];
        let current = text(ids, "current").map(bsuid).ok_or("a user id update without the new id")?;
        let mut previous = Addresses::default();
        previous.bsuid(text(ids, "previous"));
        previous.wa_id(text(update, "wa_id"));
        self.change(update, previous, current).ok_or("a user id update without the old id")
    }

    fn change(&self, piece: &Value, previous: Addresses, current: Address) -> Option<Option<InboundEvent>> {
        let mut previous = previous.done();
        previous.retain(|address| *address != current);
        if previous.is_empty() {
            return None;
        }
        let at = self.time_of(piece).unwrap_or(DateTime::UNIX_EPOCH);
        Some(Some(InboundEvent::AddressChange(AddressChange { previous, current, at })))
    }

    fn marketing_preference(&self, preference: &Value) -> Normalised {
        if text(preference, "category").is_some_and(|category| category != "marketing_messages") {
            return Ok(None);
        }
        let stopped = match text(preference, "value").as_deref() {
            Some("stop") => true,
            Some("resume") => false,
            _ => return Ok(None),
        };
        let mut addresses = Addresses::default();
        addresses.wa_id(text(preference, "wa_id"));
        addresses.bsuid(text(preference, "user_id"));
        let addresses = addresses.done();
        if addresses.is_empty() {
            return Err("a preference without a customer");
        }
        Ok(Some(InboundEvent::MarketingPreference(MarketingPreference {
            customer: Customer { addresses, name: None, username: None },
            stopped,
            at: self.time_of(preference).unwrap_or(DateTime::UNIX_EPOCH),
        })))
    }
}

/// `None`: nobody acts upon it. `Err`: what is missing.
pub(super) type Normalised = Result<Option<InboundEvent>, &'static str>;

fn notice(field: &str, reason: &str) -> InboundEvent {
    InboundEvent::Notice { field: field.to_owned(), reason: reason.to_owned() }
}

/// What an error that names no message says of the number.
fn refusal(error: &Value) -> Option<InboundEvent> {
    let fault = fault(error);
    let obstacle = SendError::told(&fault).as_ref().and_then(obstacle)?;
    Some(InboundEvent::Refusal(Finding::told(obstacle, fault.title)))
}

/// Reads an element of `errors`.
pub(super) fn fault(error: &Value) -> ProviderFault {
    let title = text(error, "title").or_else(|| text(error, "message"));
    ProviderFault {
        code: text(error, "code").unwrap_or_else(|| "unknown".to_owned()),
        title: title.unwrap_or_else(|| "no reason given".to_owned()),
        detail: text(&error["error_data"], "details"),
    }
}

fn wa_id(value: String) -> Address {
    Address { kind: AddressKind::WaId, value }
}

fn bsuid(value: String) -> Address {
    Address { kind: AddressKind::Bsuid, value }
}

/// Collects addresses, each once: the provider's own, then the canonical numbers that follow from them.
#[derive(Default)]
pub(super) struct Addresses {
    given: Vec<Address>,
}

impl Addresses {
    pub(super) fn wa_id(&mut self, value: Option<String>) {
        self.give(value.map(wa_id));
    }

    pub(super) fn bsuid(&mut self, value: Option<String>) {
        self.give(value.map(bsuid));
    }

    pub(super) fn has_wa_id(&self) -> bool {
        self.given.iter().any(|address| address.kind == AddressKind::WaId)
    }

    fn give(&mut self, address: Option<Address>) {
        self.given.extend(address.filter(|address| !self.given.contains(address)));
    }

    pub(super) fn done(mut self) -> Vec<Address> {
        let numbers: Vec<String> = self
            .given
            .iter()
            .filter(|address| address.kind == AddressKind::WaId)
            .filter_map(|address| phone::canonical_from_wa_id(&address.value))
            .collect();
        for value in numbers {
            self.give(Some(Address { kind: AddressKind::E164, value }));
        }
        self.given
    }
}

/// The number that a customer shared when the business asked for it: the customer's own. `None` for cards that were
/// shared by hand, which may be anybody's.
pub(super) fn own_number_shared(message: &Value) -> Option<String> {
    let [card] = list(message, "contacts") else { return None };
    let [phone] = list(card, "phones") else { return None };
    (text(card, "origin")? == "contact_request").then(|| text(phone, "wa_id")).flatten()
}
