//! Splitting: one webhook body, up to 3 MB and 1000 updates, into single events for the queue.
//!
//! The webhook answers Meta within milliseconds, so that this reads no more than it must: addresses and ids. The
//! pieces are cut out of the body as text and put together again, never re-serialised.
//!
//! What is not understood is not dropped: it becomes a notice, whole. Meta adds fields and shapes at will, and
//! there is no way to ask for a webhook again.

use std::borrow::Cow;

use domain::phone;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::raw::{
    Element, Members, array, elements, find, object, part, push_string, read_object, scalar, write_array,
    write_object,
};

/// The group of events that concern no customer.
pub const ACCOUNT_GROUP: &str = "account";

/// Longer addresses are hashed, so that a caller can put its own prefix before a group within the 128 characters
/// that a FIFO queue allows.
const LONGEST_GROUP: usize = 64;

/// One message, status or notice, cut out of a webhook body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitEvent {
    /// Idempotency key, unique within a connection: `message:<id>`, `echo:<id>`, `status:<id>:<status>` (in groups
    /// with the participant behind it), otherwise `notice:<sha256>` over the piece, its field and the entry's time.
    pub key: String,
    /// Which customer it concerns, in at most 64 ASCII characters: digits that are the same for all spellings of a
    /// number, or the business-scoped user id, or [`ACCOUNT_GROUP`]. Orders a FIFO queue; not an address.
    pub group: String,
    /// The business number that it came to, to be checked against the connection. Account-level events have none.
    pub phone_number_id: Option<String>,
    /// Compact JSON of this event alone, for [`super::normalise::normalise`]: `field`, `entry_id`, `entry_time`,
    /// `metadata`, `contacts` (its own), and the piece under the name of its kind. Meta's text, byte for byte.
    pub payload: String,
}

/// The body is not a webhook. Answer 400: the sender will not get better by retrying.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Not JSON.
    #[error("the webhook body is not JSON")]
    Malformed(#[source] serde_json::Error),
    /// JSON, but not an object with an `entry`.
    #[error("the webhook body is not an object with an entry")]
    Shape,
}

/// Cuts a body into its events, in the order in which they stand in it.
///
/// # Errors
/// [`SplitError`] if the body is no webhook at all. Within a webhook nothing is an error: whatever is not
/// recognised comes out as a notice.
pub fn split(body: &[u8]) -> Result<Vec<SplitEvent>, SplitError> {
    let Some(envelope) = read_object(body) else {
        serde_json::from_slice::<&RawValue>(body).map_err(SplitError::Malformed)?;
        return Err(SplitError::Shape);
    };
    if !envelope.iter().any(|(name, _)| name == "entry") {
        return Err(SplitError::Shape);
    }
    let mut events = Vec::new();
    let (known, extra) = part(envelope, &["object", "entry"]);
    for (_, entries) in known.iter().filter(|(name, _)| name == "entry") {
        match elements(entries) {
            Some(entries) if !entries.is_empty() => {
                for entry in entries {
                    split_entry(entry, &mut events);
                }
            }
            _ => {
                let whole = serde_json::from_slice(body).map_err(SplitError::Malformed)?;
                events.push(Scope::default().notice("value", whole));
            }
        }
    }
    attach("extra_envelope", &extra, 0, &mut events);
    Ok(events)
}

fn split_entry(mut entry: Element<'_>, events: &mut Vec<SplitEvent>) {
    let first = events.len();
    let Some(members) = entry.members.take() else {
        return events.push(Scope::default().notice("value", entry.raw()));
    };
    let (known, extra) = part(members, &["id", "time", "changes"]);
    let scope = Scope { entry_id: find(&known, "id"), entry_time: find(&known, "time"), ..Scope::default() };
    let mut changed = false;
    for (_, changes) in known.iter().filter(|(name, _)| name == "changes") {
        for change in elements(changes).unwrap_or_default() {
            changed = true;
            split_change(change, scope.clone(), events);
        }
    }
    if !changed {
        return events.push(scope.notice("value", entry.raw()));
    }
    attach("extra_entry", &extra, first, events);
}

fn split_change<'a>(mut change: Element<'a>, mut scope: Scope<'a>, events: &mut Vec<SplitEvent>) {
    let first = events.len();
    let (known, mut extra) = part(change.members.take().unwrap_or_default(), &["field", "value"]);
    scope.field = find(&known, "field").and_then(scalar);
    if scope.field.is_none() {
        extra.extend(known.iter().filter(|(name, _)| name == "field").cloned());
    }
    let mut values = known.iter().filter(|(name, _)| name == "value").peekable();
    if values.peek().is_none() {
        return events.push(scope.notice("value", change.raw()));
    }
    for (_, value) in values {
        split_value(value, scope.clone(), events);
    }
    attach("extra_change", &extra, first, events);
}

/// The arrays of a change's value whose elements are events of their own.
const LISTS: [(&str, Kind); 6] = [
    ("messages", Kind::Message),
    ("message_echoes", Kind::Echo),
    ("statuses", Kind::Status),
    ("errors", Kind::Error),
    ("user_id_update", Kind::UserIdUpdate),
    ("user_preferences", Kind::UserPreference),
];

fn split_value<'a>(value: &'a RawValue, mut scope: Scope<'a>, events: &mut Vec<SplitEvent>) {
    let first = events.len();
    let members = object(value).unwrap_or_default();
    // Some official examples nest the field inside the value, or leave it out.
    scope.field = scope.field.or_else(|| find(&members, "field").and_then(scalar));
    scope.metadata = find(&members, "metadata");
    let metadata = scope.metadata.and_then(object).unwrap_or_default();
    scope.phone_number_id = find(&metadata, "phone_number_id").and_then(scalar);
    let listed_contacts = find(&members, "contacts").and_then(array);
    let contacts_are_listed = listed_contacts.is_some();
    let mut contacts: Vec<Contact<'_>> =
        listed_contacts.unwrap_or_default().into_iter().map(Contact::read).collect();

    // A history's messages are old ones: it stays whole, whatever it holds.
    let history = scope.field.as_deref() == Some("history");
    let mut rest: Members<'a> = Vec::new();
    for (name, member) in &members {
        match name.as_ref() {
            "messaging_product" | "metadata" => continue,
            "contacts" if contacts_are_listed => continue,
            _ => {}
        }
        let kind = LISTS.iter().find(|(list, _)| list == name && !history).map(|(_, kind)| *kind);
        match (kind, array(member)) {
            (Some(kind), Some(elements)) if !elements.is_empty() => {
                if scope.field.is_none() {
                    scope.field = Some(kind.usual_field().into());
                }
                let alone = elements.len() == 1;
                for element in elements {
                    events.push(scope.event(kind, element, &mut contacts, alone));
                }
            }
            _ => rest.push((name.clone(), member)),
        }
    }
    if events.len() == first {
        return events.push(scope.notice("value", value));
    }
    if contacts.iter().any(|contact| !contact.used) {
        let unused: Members<'a> = contacts
            .iter()
            .filter(|contact| !contact.used)
            .map(|contact| ("contact".into(), contact.raw))
            .collect();
        attach("other_contacts", &unused, first, events);
    }
    // Something beside the lists that we know may be an event that we do not know.
    if !rest.is_empty() {
        let mut text = String::new();
        write_object(&rest, &mut text);
        events.push(scope.notice_text("value", &text));
    }
}

/// Adds members that stand around a scope's events to the first of them: worth keeping, not worth an event.
fn attach(name: &str, extra: &Members<'_>, first: usize, events: &mut [SplitEvent]) {
    let Some(event) = events.get_mut(first) else { return };
    if extra.is_empty() {
        return;
    }
    event.payload.pop();
    event.payload.push_str(",\"");
    event.payload.push_str(name);
    event.payload.push_str("\":");
    if name == "other_contacts" {
        write_array(extra.iter().map(|(_, raw)| *raw), &mut event.payload);
    } else {
        write_object(extra, &mut event.payload);
    }
    event.payload.push('}');
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Echo,
    Status,
    Error,
    UserIdUpdate,
    UserPreference,
}

impl Kind {
    /// The name under which the piece stands in the payload.
    fn member(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Echo => "echo",
            Self::Status => "status",
            Self::Error => "error",
            Self::UserIdUpdate => "user_id_update",
            Self::UserPreference => "user_preference",
        }
    }

    fn usual_field(self) -> &'static str {
        match self {
            Self::Message | Self::Status | Self::Error => "messages",
            Self::Echo => "smb_message_echoes",
            Self::UserIdUpdate => "user_id_update",
            Self::UserPreference => "user_preferences",
        }
    }

    /// Where the customer's phone address stands, and where the user id.
    fn addresses(self) -> (&'static str, &'static str) {
        match self {
            Self::Message => ("from", "from_user_id"),
            Self::Echo => ("to", "to_user_id"),
            Self::Status => ("recipient_id", "recipient_user_id"),
            Self::Error | Self::UserIdUpdate | Self::UserPreference => ("wa_id", "user_id"),
        }
    }
}

/// What is known around an event.
#[derive(Clone, Default)]
struct Scope<'a> {
    field: Option<Cow<'a, str>>,
    entry_id: Option<&'a RawValue>,
    entry_time: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    phone_number_id: Option<Cow<'a, str>>,
}

impl<'a> Scope<'a> {
    fn event(
        &self,
        kind: Kind,
        piece: &'a RawValue,
        contacts: &mut [Contact<'a>],
        alone: bool,
    ) -> SplitEvent {
        let members = object(piece).unwrap_or_default();
        let text = |name: &str| find(&members, name).and_then(scalar);
        let (phone_member, user_member) = kind.addresses();
        let phone = text(phone_member);
        let user = text(user_member).or_else(|| new_user_id(kind, &members));
        let phone_key = phone.as_deref().map(phone::match_key);
        let only_choice = alone && contacts.len() == 1 && kind != Kind::Error;
        let own: Vec<&Contact<'a>> = contacts
            .iter_mut()
            .filter(|contact| only_choice || contact.is(phone_key.as_deref(), user.as_deref()))
            .map(|contact| {
                contact.used = true;
                &*contact
            })
            .collect();

        let mut payload =
            self.open(piece.get().len() + own.iter().map(|contact| contact.raw.get().len()).sum::<usize>());
        if !own.is_empty() {
            payload.push_str(",\"contacts\":");
            write_array(own.iter().map(|contact| contact.raw), &mut payload);
        }
        close(&mut payload, kind.member(), piece.get());

        let id = text("id").filter(|id| !id.is_empty());
        let key = match (kind, id, text("status")) {
            (Kind::Message, Some(id), _) => format!("message:{id}"),
            (Kind::Echo, Some(id), _) => format!("echo:{id}"),
            (Kind::Status, Some(id), Some(status)) => match text("recipient_participant_id") {
                Some(participant) => format!("status:{id}:{status}:{participant}"),
                None => format!("status:{id}:{status}"),
            },
            _ => self.hash_key(piece.get()),
        };
        let address = phone
            .or_else(|| own.iter().find_map(|contact| contact.phone.clone()))
            .or(user)
            .or_else(|| own.iter().find_map(|contact| contact.user.clone()));
        SplitEvent {
            key,
            group: address.map_or_else(|| ACCOUNT_GROUP.to_owned(), |address| group(&address)),
            phone_number_id: self.phone_number_id.as_deref().map(str::to_owned),
            payload,
        }
    }

    fn notice(&self, member: &str, piece: &RawValue) -> SplitEvent {
        self.notice_text(member, piece.get())
    }

    fn notice_text(&self, member: &str, piece: &str) -> SplitEvent {
        let mut payload = self.open(piece.len());
        close(&mut payload, member, piece);
        SplitEvent {
            key: self.hash_key(piece),
            group: ACCOUNT_GROUP.to_owned(),
            phone_number_id: self.phone_number_id.as_deref().map(str::to_owned),
            payload,
        }
    }

    /// The beginning of a payload, with room for `size` more bytes.
    fn open(&self, size: usize) -> String {
        let mut payload = String::with_capacity(size + 256);
        payload.push_str("{\"field\":");
        match &self.field {
            Some(field) => push_string(field, &mut payload),
            None => payload.push_str("null"),
        }
        for (name, raw) in
            [("entry_id", self.entry_id), ("entry_time", self.entry_time), ("metadata", self.metadata)]
        {
            if let Some(raw) = raw {
                payload.push_str(",\"");
                payload.push_str(name);
                payload.push_str("\":");
                payload.push_str(raw.get());
            }
        }
        payload
    }

    fn hash_key(&self, piece: &str) -> String {
        let mut hash = Sha256::new();
        for part in [
            self.field.as_deref().unwrap_or(""),
            self.entry_id.map_or("", RawValue::get),
            self.entry_time.map_or("", RawValue::get),
            self.phone_number_id.as_deref().unwrap_or(""),
            piece,
        ] {
            // Lengths keep two different splits of the same text apart.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        format!("notice:{}", hex::encode(hash.finalize()))
    }
}

/// `user_id_update` carries its ids in an object: what the customer is called from now on.
fn new_user_id<'a>(kind: Kind, members: &Members<'a>) -> Option<Cow<'a, str>> {
    if kind != Kind::UserIdUpdate {
        return None;
    }
    find(&object(find(members, "user_id")?)?, "current").and_then(scalar)
}

/// An element of `contacts`, and whether an event took it along.
struct Contact<'a> {
    raw: &'a RawValue,
    phone: Option<Cow<'a, str>>,
    phone_key: Option<String>,
    user: Option<Cow<'a, str>>,
    used: bool,
}

impl<'a> Contact<'a> {
    fn read(raw: &'a RawValue) -> Self {
        let members = object(raw).unwrap_or_default();
        let phone = find(&members, "wa_id").and_then(scalar);
        Self {
            raw,
            phone_key: phone.as_deref().map(phone::match_key),
            phone,
            user: find(&members, "user_id").and_then(scalar),
            used: false,
        }
    }

    /// Spellings of one number are one number: `wa_id` may lack a digit that the message's address has.
    fn is(&self, phone_key: Option<&str>, user: Option<&str>) -> bool {
        (phone_key.is_some() && self.phone_key.as_deref() == phone_key)
            || (user.is_some() && self.user.as_deref() == user)
    }
}

fn group(address: &str) -> String {
    let key = phone::match_key(address);
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if plain && (1..=LONGEST_GROUP).contains(&key.len()) {
        key
    } else {
        hex::encode(Sha256::digest(key.as_bytes()))
    }
}

fn close(payload: &mut String, member: &str, piece: &str) {
    payload.push_str(",\"");
    payload.push_str(member);
    payload.push_str("\":");
    payload.push_str(piece);
    payload.push('}');
}
