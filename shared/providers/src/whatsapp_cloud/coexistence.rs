//! Normalising what the phone's app shares of a number that is in it and at the Cloud API (coexistence): old messages, their
//! files, and the address book. (Webhooks reference, `history` and `smb_app_state_sync`.)

use domain::inbound::{Customer, History, InboundEvent, PastMessage};
use domain::message::MessageStatus;
use domain::phone;
use serde_json::Value;

use super::lenient::{flag, list, text};
use super::message;
use super::normalise::{Addresses, Event, Normalised, fault};

/// Reads an element of `history`: some messages, or why none come.
///
/// A message without an id, or of a thread that names no customer, is left out.
pub(super) fn history(event: &Event<'_>, history: &Value) -> Normalised {
    let threads = list(history, "threads").iter();
    let messages = threads.flat_map(|thread| {
        list(thread, "messages").iter().filter_map(move |message| past(event, thread, message))
    });
    let percent = text(&history["metadata"], "progress").and_then(|percent| percent.parse::<u8>().ok());
    let history = History {
        messages: messages.collect(),
        percent: percent.map(|percent| percent.min(100)),
        refused: list(history, "errors").first().map(fault),
    };
    let says_nothing = history.messages.is_empty() && history.percent.is_none() && history.refused.is_none();
    Ok((!says_nothing).then_some(InboundEvent::History(history)))
}

/// Reads the file of a message that came without it.
pub(super) fn file(message: &Value) -> Normalised {
    Ok(message::read_file(message)?.map(|file| InboundEvent::PastFile(Box::new(file))))
}

/// Reads entries of the phone's address book. Whom it does not have any more stays a customer all the same.
pub(super) fn address_book(entries: &Value) -> Option<InboundEvent> {
    let added = entries.as_array()?.iter().filter(|entry| text(entry, "action").as_deref() == Some("add"));
    let customers: Vec<_> = added.filter_map(|entry| entry_of(&entry["contact"])).collect();
    if customers.is_empty() {
        return None;
    }
    Some(InboundEvent::AddressBook { customers })
}

fn entry_of(contact: &Value) -> Option<Customer> {
    // People write it, the app writes it: digits are what the two have in common.
    let number: String = text(contact, "phone_number")?.chars().filter(char::is_ascii_digit).collect();
    let name = text(contact, "full_name").or_else(|| text(contact, "first_name"));
    of_address(number, name, None)
}

fn of_address(address: String, name: Option<String>, user_id: Option<String>) -> Option<Customer> {
    let mut addresses = Addresses::default();
    match !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_digit()) {
        true => addresses.wa_id(Some(address)),
        false => addresses.bsuid(Some(address).filter(|address| !address.is_empty())),
    }
    addresses.bsuid(user_id);
    let addresses = addresses.done();
    (!addresses.is_empty()).then_some(Customer { addresses, name, username: None })
}

fn past(event: &Event<'_>, thread: &Value, piece: &Value) -> Option<PastMessage> {
    let context = &piece["history_context"];
    let address = text(thread, "id")?;
    // Whoever is not the thread's customer is the business, in all spellings of the customer's number.
    let is_customers = text(piece, "from")
        .or_else(|| text(piece, "from_user_id"))
        .is_some_and(|from| phone::match_key(&from) == phone::match_key(&address));
    let echo = !is_customers || flag(context, "from_me");
    let user_id = text(piece, if echo { "to_user_id" } else { "from_user_id" });
    let customer = of_address(address, None, user_id)?;
    let message = message::read(event, piece, echo, customer).ok()?;
    let status = match echo {
        true => status(text(context, "status").as_deref()),
        false => MessageStatus::Received,
    };
    let awaits_file = text(piece, "type").as_deref() == Some("media_placeholder");
    Some(PastMessage { message, status, awaits_file })
}

/// How far a message of the business got. One that the phone has yet to send may never go.
fn status(word: Option<&str>) -> MessageStatus {
    let is = |other: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(other));
    if is("READ") || is("PLAYED") {
        MessageStatus::Read
    } else if is("DELIVERED") {
        MessageStatus::Delivered
    } else if is("ERROR") {
        MessageStatus::Failed
    } else if is("PENDING") {
        MessageStatus::Unknown
    } else {
        MessageStatus::Sent
    }
}
