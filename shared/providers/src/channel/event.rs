//! What webhooks of several providers have in common: single events on their way to the queue, and the addresses in them.

use domain::inbound::{Address, AddressKind, InboundEvent};
use domain::phone;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The group of events that concern no customer.
pub const ACCOUNT_GROUP: &str = "account";

/// Longer groups are hashed: a FIFO queue allows 128 characters, of which the connection takes some.
const LONGEST_GROUP: usize = 64;

/// One message, status or notice, cut out of a webhook's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Idempotency key, unique within a connection: `message:<id>`, `echo:<id>`, `status:<id>:<status>`, otherwise
    /// `notice:<sha256>`.
    pub key: String,
    /// Which customer it concerns, in at most 64 ASCII characters, the same for all spellings of a number. Orders a FIFO
    /// queue; not an address.
    pub group: String,
    /// The provider's names of the account that it came to, where it says so: one of them is the connection's.
    pub accounts: Vec<String>,
    /// JSON of this event alone, for the provider's `normalise`. It holds nothing that opens the account.
    pub payload: String,
}

/// The most events of one call. Meta puts up to a thousand updates into one (webhooks overview, "Frequency"); others fewer.
const MOST_EVENTS: usize = 4_000;

/// What the events of one call may be in all, in bytes; those of a larger body this many times its size.
const MOST_BYTES: usize = 8 << 20;
const GROWTH: usize = 4;

/// Adds up what a body becomes. Each of its events takes along what stands around it, so that a body that is made for it
/// could become a million times as large. One that exceeds this is kept whole, as one event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bulk {
    events: usize,
    bytes: usize,
    most_bytes: usize,
}

impl Bulk {
    /// Of nothing yet.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        Self { events: 0, bytes: 0, most_bytes: MOST_BYTES.max(GROWTH * body.len()) }
    }

    /// Adds an event with a payload of so many bytes.
    pub(crate) fn add(&mut self, payload: usize) {
        self.events += 1;
        self.bytes += payload;
    }

    /// Whether it is too much.
    pub(crate) fn is_exceeded(self) -> bool {
        // One event is never too much: what is not split is not larger.
        self.events > MOST_EVENTS || (self.events > 1 && self.bytes > self.most_bytes)
    }
}

/// The reason of notices that are understood well enough, and that nobody acts upon.
pub(crate) const NOT_HANDLED: &str = "not_handled";

/// An event that is kept in the journal and not acted upon.
pub(crate) fn notice(field: &str, reason: &str) -> InboundEvent {
    InboundEvent::Notice { field: field.to_owned(), reason: reason.to_owned() }
}

/// The key of an event that has no id of its own.
pub(crate) fn notice_key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths keep two different splits of the same text apart.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("notice:{}", hex::encode(hash.finalize()))
}

/// The group of a customer's address: a number in any spelling, or another id.
pub(crate) fn group(address: &str) -> String {
    let group = phone::match_key(address);
    let plain = group.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if plain && (1..=LONGEST_GROUP).contains(&group.len()) {
        group
    } else {
        hex::encode(Sha256::digest(address.as_bytes()))
    }
}

/// A WhatsApp address (JID), as gateways write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Jid {
    /// `<digits>@s.whatsapp.net`: a number.
    Number(String),
    /// `<digits>@lid`: an identity whose number is hidden.
    Lid(String),
    /// `<id>@g.us`, whole.
    Group(String),
    /// Status posts, newsletters, broadcast lists: nothing that a customer writes to the business.
    Broadcast,
}

impl Jid {
    /// Reads one; `None` for what is none. A device (`:12`) and an agent (`_1`) are left out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (user, server) = text.split_once('@')?;
        let user = user.split([':', '_']).next().unwrap_or_default();
        match server {
            "s.whatsapp.net" | "c.us" if !user.is_empty() => Some(Self::Number(user.to_owned())),
            "lid" if !user.is_empty() => Some(Self::Lid(user.to_owned())),
            "g.us" if !user.is_empty() => Some(Self::Group(text.to_owned())),
            "broadcast" | "newsletter" => Some(Self::Broadcast),
            _ => None,
        }
    }

    /// As an address of a customer; a group is none.
    pub(crate) fn address(self) -> Option<Address> {
        match self {
            Self::Number(value) => Some(Address { kind: AddressKind::WaId, value }),
            Self::Lid(value) => Some(Address { kind: AddressKind::Lid, value }),
            Self::Group(_) | Self::Broadcast => None,
        }
    }
}

/// The addresses of a customer out of JIDs: each once, a number before an identity, then the canonical numbers that follow
/// from them. Gateways send to both; a number is what other channels know, too.
pub(crate) fn addresses<'a>(jids: impl IntoIterator<Item = Option<&'a str>>) -> Vec<Address> {
    let given = jids.into_iter().flatten().filter_map(Jid::parse).filter_map(Jid::address);
    let mut addresses: Vec<Address> = Vec::new();
    for address in given {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.sort_by_key(|address| address.kind != AddressKind::WaId);
    with_numbers(addresses)
}

/// Adds the canonical numbers that follow from WhatsApp's.
pub(crate) fn with_numbers(mut addresses: Vec<Address>) -> Vec<Address> {
    let numbers: Vec<Address> = addresses
        .iter()
        .filter(|address| address.kind == AddressKind::WaId)
        .filter_map(|address| phone::canonical_from_wa_id(&address.value))
        .map(|value| Address { kind: AddressKind::E164, value })
        .collect();
    for number in numbers {
        if !addresses.contains(&number) {
            addresses.push(number);
        }
    }
    addresses
}

/// How an address of a customer is written in a gateway's `number`: digits, or an identity with its server.
pub(crate) fn gateway_number(address: &Address) -> Option<String> {
    match address.kind {
        AddressKind::WaId => Some(address.value.clone()),
        AddressKind::E164 => Some(address.value.trim_start_matches('+').to_owned()),
        AddressKind::Lid => Some(format!("{}@lid", address.value)),
        AddressKind::Bsuid | AddressKind::Email | AddressKind::External => None,
    }
}

/// A customer's address as a gateway names chats.
pub(crate) fn gateway_jid(address: &Address) -> Option<String> {
    let number = gateway_number(address)?;
    Some(if number.contains('@') { number } else { format!("{number}@s.whatsapp.net") })
}

/// The name of a shared contact card: what it says of itself, or the formatted name of the vCard.
pub(crate) fn card_name(card: &Value) -> Option<String> {
    let from_vcard = || {
        let vcard = card["vcard"].as_str()?;
        vcard.lines().find_map(|line| line.strip_prefix("FN:")).map(|name| name.trim().to_owned())
    };
    card["displayName"].as_str().map(str::to_owned).or_else(from_vcard).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jids_are_told_apart() {
        let number = |digits: &str| Some(Jid::Number(digits.to_owned()));
        assert_eq!(Jid::parse("5511900000123@s.whatsapp.net"), number("5511900000123"));
        assert_eq!(Jid::parse("5511900000123:7@s.whatsapp.net"), number("5511900000123"));
        assert_eq!(Jid::parse("100000000000123@lid"), Some(Jid::Lid("100000000000123".to_owned())));
        let group = "120363000000000001@g.us";
        assert_eq!(Jid::parse(group), Some(Jid::Group(group.to_owned())));
        assert_eq!(Jid::parse("status@broadcast"), Some(Jid::Broadcast));
        assert_eq!(Jid::parse("120363@newsletter"), Some(Jid::Broadcast));
        for nothing in ["", "5511900000123", "@s.whatsapp.net", "a@example.com"] {
            assert_eq!(Jid::parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_number_comes_before_an_identity_and_brings_its_canonical_form() {
        let known = addresses([Some("100000000000123@lid"), Some("553188880001@s.whatsapp.net"), None]);
        let shown: Vec<_> = known.iter().map(|address| (address.kind, address.value.as_str())).collect();
        assert_eq!(
            shown,
            [
                (AddressKind::WaId, "553188880001"),
                (AddressKind::Lid, "100000000000123"),
                (AddressKind::E164, "+5531988880001")
            ]
        );
    }

    #[test]
    fn one_customer_has_one_group() {
        assert_eq!(group("+553188880001"), group("5531988880001"));
        assert_eq!(group("100000000000123"), "100000000000123");
        assert_eq!(group("a b").len(), 64);
    }
}
