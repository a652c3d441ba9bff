//! Normalising what the phone's app shares of a number that is in it and at the Cloud API (coexistence): old messages, their
//! files, and the address book. (Webhooks reference, `history` and `smb_app_state_sync`.)

use domain::inbound::{Customer, History, InboundEvent, PastMessage};
use domain::message::MessageStatus;
use domain::phone;
use serde_json::Value;

use super::lenient::{flag, list, text};
use super::message;
use super::normalise::{Addresses, Event, Normalised, fault};

/// What Meta answers for a phone whose owner shares nothing.
const REFUSED: &str = "2593109";

/// Reads an element of `history`: some messages, or why none come.
///
/// A message without an id, or of a thread that names no customer, is left out.
pub(super) fn history(event: &Event<'_>, history: &Value) -> Normalised {
    let mut messages = Vec::new();
    let mut left_out = 0;
    for thread in list(history, "threads") {
        for message in list(thread, "messages") {
            match past(event, thread, message) {
                Some(past) => messages.push(past),
                None => left_out += 1,
            }
        }
    }
    let percent = text(&history["metadata"], "progress").and_then(|percent| percent.parse::<u8>().ok());
    let percent = percent.map(|percent| percent.min(100));
    let refused = list(history, "errors").iter().map(fault).find(|fault| fault.code == REFUSED);
    let says_nothing = messages.is_empty() && percent.is_none() && refused.is_none();
    Ok((!says_nothing).then_some(InboundEvent::History(History { messages, left_out, percent, refused })))
}

/// Reads the file of a message that came without it.
pub(super) fn file(message: &Value) -> Normalised {
    Ok(message::read_file(message)?.map(|file| InboundEvent::PastFile(Box::new(file))))
}

/// Reads entries of the phone's address book. Whom it does not have any more stays a customer all the same.
pub(super) fn address_book(entries: &Value) -> Option<InboundEvent> {
    let added: Vec<_> = entries
        .as_array()?
        .iter()
        .filter(|entry| text(entry, "action").as_deref() == Some("add"))
        .map(|entry| entry_of(&entry["contact"]))
        .collect();
    let left_out = added.iter().filter(|entry| entry.is_none()).count();
    let customers: Vec<_> = added.into_iter().flatten().collect();
    (!customers.is_empty()).then_some(InboundEvent::AddressBook { customers, left_out })
}

/// A phone's address book holds short numbers and codes of its network, too, which are nobody on WhatsApp.
fn entry_of(contact: &Value) -> Option<Customer> {
    let number = text(contact, "phone_number")?;
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let is_international = (8..=15).contains(&digits.len()) && !digits.starts_with('0');
    let is_number = number.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
    let name = text(contact, "full_name").or_else(|| text(contact, "first_name"));
    of_address(digits, name, None).filter(|_| is_international && is_number)
}

fn of_address(address: String, name: Option<String>, user_id: Option<String>) -> Option<Customer> {
    let mut addresses = Addresses::default();
    if address.bytes().all(|byte| byte.is_ascii_digit()) {
        addresses.wa_id(Some(address));
    } else {
        addresses.bsuid(Some(address));
    }
    addresses.bsuid(user_id);
    let addresses = addresses.done();
    (!addresses.is_empty()).then_some(Customer { addresses, name, username: None })
}

fn past(event: &Event<'_>, thread: &Value, piece: &Value) -> Option<PastMessage> {
    let context = &piece["history_context"];
    let address = text(thread, "id")?;
    // Whoever is not the thread's customer is the business, in all spellings of the customer's number.
    let is_address = |from: String| phone::match_key(&from) == phone::match_key(&address);
    let is_customers =
        ["from", "from_user_id"].into_iter().any(|name| text(piece, name).is_some_and(&is_address));
    let echo = !is_customers || flag(context, "from_me");
    let user_id = text(piece, if echo { "to_user_id" } else { "from_user_id" });
    let customer = of_address(address, None, user_id)?;
    let message = message::read(event, piece, echo, customer).ok()?;
    let word = text(context, "status");
    let status = if echo { status(word.as_deref()) } else { MessageStatus::Received };
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
