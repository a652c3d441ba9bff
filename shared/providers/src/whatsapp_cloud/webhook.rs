//! Splitting: one webhook body, up to 3 MB and 1000 updates, into single events for the queue.
//!
//! The webhook answers Meta within milliseconds, so that this reads no more than it must: addresses and ids. The
//! pieces are cut out of the body as text and put together again, never re-serialised.
//!
//! What is not understood is not dropped: it becomes a notice, whole. Meta adds fields and shapes at will, and
//! there is no way to ask for a webhook again.

mod parts;

use std::borrow::Cow;
use std::collections::HashMap;

use domain::phone;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::raw::{
    Members, array, elements, find, object, part, push_string, read_object, scalar, write_array, write_object,
};
use crate::channel::event::Bulk;
use crate::lenient::storable;

/// The group of events that concern no customer.
pub const ACCOUNT_GROUP: &str = "account";

/// The group of what the phone's app shares: one part after the other, and none in the way of a customer who writes now.
const SHARED_GROUP: &str = "shared";

/// Longer addresses are hashed, so that a caller can put its own prefix before a group within the 128 characters
/// that a FIFO queue allows.
const LONGEST_GROUP: usize = 64;

/// One message, status or notice, cut out of a webhook body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitEvent {
    /// Idempotency key, unique within a connection: `message:<id>`, `echo:<id>`, `status:<id>:<status>` (in groups
    /// with the participant behind it), `history:<id>` for the file of an old message, otherwise `notice:<sha256>` over the
    /// piece, its field and the entry's time.
    pub key: String,
    /// Which customer it concerns, in at most 64 ASCII characters: digits that are the same for all spellings of a
    /// number, or the business-scoped user id, or [`ACCOUNT_GROUP`], or `shared`. Orders a FIFO queue; not an address.
    pub group: String,
    /// The business number that it came to, to be checked against the connection. Account-level events have none.
    pub phone_number_id: Option<String>,
    /// Compact JSON of this event alone, for [`super::normalise::normalise`]: `field`, `entry_id`, `entry_time`,
    /// `metadata`, `contacts` (its own), and the piece under the name of its kind. Meta's text, byte for byte, but for
    /// escapes that are no characters: half emojis and NULs are U+FFFD, for whoever reads them from here on.
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
/// recognised comes out as a notice. So does a body, whole, whose events would be many times as large as itself, or
/// several times as many as Meta ever sends: with a megabyte in `metadata`, of which each of a million messages takes a
/// copy.
pub fn split(body: &[u8]) -> Result<Vec<SplitEvent>, SplitError> {
    let text = match str::from_utf8(body) {
        Ok(text) => storable(text),
        Err(_) => return Err(malformed(body)),
    };
    let body = text.as_bytes();
    let Some(envelope) = read_object(body) else { return Err(malformed(body)) };
    if !envelope.iter().any(|(name, _)| name == "entry") {
        return Err(SplitError::Shape);
    }
    let mut events = Events { list: Vec::new(), bulk: Bulk::of_body(body) };
    let (known, extra) = part(envelope, &["object", "entry"]);
    for (_, entries) in known.iter().filter(|(name, _)| name == "entry") {
        match elements(entries) {
            Some(mut entries) if !entries.members.is_empty() => {
                for (index, members) in std::mem::take(&mut entries.members).into_iter().enumerate() {
                    split_entry(members, || entries.raw(index), &mut events);
                }
            }
            _ => events.push(|| Scope::default().notice_text("value", &text)),
        }
    }
    if events.bulk.is_exceeded() {
        return Ok(vec![Scope::default().notice_text("value", &text)]);
    }
    attach("extra_envelope", &extra, 0, &mut events.list);
    Ok(events.list)
}

/// What is no JSON, or no object.
fn malformed(body: &[u8]) -> SplitError {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(_) => SplitError::Shape,
        Err(error) => SplitError::Malformed(error),
    }
}

/// The events so far.
struct Events {
    list: Vec<SplitEvent>,
    bulk: Bulk,
}

impl Events {
    /// Adds one, unless there is too much of them already.
    fn push(&mut self, event: impl FnOnce() -> SplitEvent) {
        if self.bulk.is_exceeded() {
            return;
        }
        let event = event();
        self.bulk.add(event.payload.len());
        self.list.push(event);
    }
}

fn split_entry<'a>(members: Option<Members<'a>>, whole: impl Fn() -> &'a RawValue, events: &mut Events) {
    let first = events.list.len();
    let Some(members) = members else {
        return events.push(|| Scope::default().notice("value", whole()));
    };
    let (known, extra) = part(members, &["id", "time", "changes"]);
    let scope = Scope { entry_id: find(&known, "id"), entry_time: find(&known, "time"), ..Scope::default() };
    let mut changed = false;
    for (_, changes) in known.iter().filter(|(name, _)| name == "changes") {
        let Some(mut changes) = elements(changes) else { continue };
        for (index, members) in std::mem::take(&mut changes.members).into_iter().enumerate() {
            changed = true;
            split_change(members, || changes.raw(index), scope.clone(), events);
        }
    }
    if !changed {
        return events.push(|| scope.notice("value", whole()));
    }
    attach("extra_entry", &extra, first, &mut events.list);
}

fn split_change<'a>(
    members: Option<Members<'a>>,
    whole: impl Fn() -> &'a RawValue,
    mut scope: Scope<'a>,
    events: &mut Events,
) {
    let first = events.list.len();
    let (known, mut extra) = part(members.unwrap_or_default(), &["field", "value"]);
    scope.field = find(&known, "field").and_then(scalar);
    if scope.field.is_none() {
        extra.extend(known.iter().filter(|(name, _)| name == "field").cloned());
    }
    let mut values = known.iter().filter(|(name, _)| name == "value").peekable();
    if values.peek().is_none() {
        return events.push(|| scope.notice("value", whole()));
    }
    for (_, value) in values {
        split_value(value, scope.clone(), events);
    }
    attach("extra_change", &extra, first, &mut events.list);
}

/// The arrays of a change's value whose elements are events of their own.
const LISTS: [(&str, Kind); 8] = [
    ("history", Kind::History),
    ("state_sync", Kind::Contact),
    ("messages", Kind::Message),
    ("message_echoes", Kind::Echo),
    ("statuses", Kind::Status),
    ("errors", Kind::Error),
    ("user_id_update", Kind::UserIdUpdate),
    ("user_preferences", Kind::UserPreference),
];

fn split_value<'a>(value: &'a RawValue, mut scope: Scope<'a>, events: &mut Events) {
    let first = events.list.len();
    let members = object(value).unwrap_or_default();
    // Some official examples nest the field inside the value, or leave it out.
    scope.field = scope.field.or_else(|| find(&members, "field").and_then(scalar));
    scope.metadata = find(&members, "metadata");
    let metadata = scope.metadata.and_then(object).unwrap_or_default();
    scope.phone_number_id = find(&metadata, "phone_number_id").and_then(scalar);
    let listed_contacts = find(&members, "contacts").and_then(array);
    let contacts_are_listed = listed_contacts.is_some();
    let mut contacts = Contacts::read(listed_contacts.unwrap_or_default());

    let is_past = scope.field.as_deref() == Some("history");
    let mut rest: Members<'a> = Vec::new();
    for (name, member) in &members {
        match name.as_ref() {
            "messaging_product" | "metadata" => continue,
            "contacts" if contacts_are_listed => continue,
            _ => {}
        }
        let kind = LISTS.iter().find(|(list, _)| list == name).map(|(_, kind)| *kind);
        let kind = kind.and_then(|kind| if is_past { kind.in_the_past() } else { Some(kind) });
        match (kind, array(member)) {
            (Some(kind), Some(elements)) if !elements.is_empty() => {
                if scope.field.is_none() {
                    scope.field = Some(kind.usual_field().into());
                }
                match kind {
                    Kind::History => elements.into_iter().for_each(|it| split_history(it, &scope, events)),
                    Kind::Contact => {
                        for part in elements.chunks(parts::MOST) {
                            events.push(|| scope.shared(kind, &written(part)));
                        }
                    }
                    _ => {
                        let alone = elements.len() == 1;
                        for element in elements {
                            events.push(|| scope.event(kind, element, &mut contacts, alone));
                        }
                    }
                }
            }
            _ => rest.push((name.clone(), member)),
        }
    }
    if events.list.len() == first {
        return events.push(|| scope.notice("value", value));
    }
    let unused = contacts.all.iter().filter(|contact| !contact.used);
    let unused: Members<'a> = unused.map(|contact| ("contact".into(), contact.raw)).collect();
    attach("other_contacts", &unused, first, &mut events.list);
    // Something beside the lists that we know may be an event that we do not know.
    if !rest.is_empty() {
        let mut text = String::new();
        write_object(&rest, &mut text);
        events.push(|| scope.notice_text("value", &text));
    }
}

fn split_history(element: &RawValue, scope: &Scope<'_>, events: &mut Events) {
    let Some(threads) = parts::Threads::read(element) else {
        return events.push(|| scope.shared(Kind::History, element.get()));
    };
    let parts = threads.parts();
    for (place, part) in parts.iter().enumerate() {
        events.push(|| scope.shared(Kind::History, &threads.write(part, place + 1 == parts.len())));
    }
}

fn written(elements: &[&RawValue]) -> String {
    let mut text = String::new();
    write_array(elements.iter().copied(), &mut text);
    text
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
    History,
    PastFile,
    Contact,
}

impl Kind {
    /// What a list of a history holds: its messages are old ones, whose files come one by one.
    fn in_the_past(self) -> Option<Self> {
        match self {
            Self::Message => Some(Self::PastFile),
            Self::History | Self::Error => Some(self),
            _ => None,
        }
    }

    /// The name under which the piece stands in the payload.
    fn member(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Echo => "echo",
            Self::Status => "status",
            Self::Error => "error",
            Self::UserIdUpdate => "user_id_update",
            Self::UserPreference => "user_preference",
            Self::History => "history",
            Self::PastFile => "past_file",
            Self::Contact => "state_sync",
        }
    }

    fn usual_field(self) -> &'static str {
        match self {
            Self::Message | Self::Status | Self::Error => "messages",
            Self::Echo => "smb_message_echoes",
            Self::UserIdUpdate => "user_id_update",
            Self::UserPreference => "user_preferences",
            Self::History | Self::PastFile => "history",
            Self::Contact => "smb_app_state_sync",
        }
    }

    /// Where the customer's phone address stands, and where the user id.
    fn addresses(self) -> (&'static str, &'static str) {
        match self {
            Self::Message | Self::PastFile => ("from", "from_user_id"),
            Self::Echo => ("to", "to_user_id"),
            Self::Status => ("recipient_id", "recipient_user_id"),
            Self::Error | Self::UserIdUpdate | Self::UserPreference | Self::History | Self::Contact => {
                ("wa_id", "user_id")
            }
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
    fn event(&self, kind: Kind, piece: &'a RawValue, contacts: &mut Contacts<'a>, alone: bool) -> SplitEvent {
        let members = object(piece).unwrap_or_default();
        let text = |name: &str| find(&members, name).and_then(scalar);
        let (phone_member, user_member) = kind.addresses();
        let phone = text(phone_member);
        let user = text(user_member).or_else(|| new_user_id(kind, &members));
        let phone_key = phone.as_deref().map(phone::match_key);
        let only_choice = alone && contacts.all.len() == 1 && kind != Kind::Error;
        let own = contacts.take(only_choice, phone_key.as_deref(), user.as_deref());

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
            (Kind::PastFile, Some(id), _) => format!("history:{id}"),
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
            group: match (kind, address) {
                (Kind::PastFile, _) => SHARED_GROUP.to_owned(),
                (_, Some(address)) => group(&address),
                (_, None) => ACCOUNT_GROUP.to_owned(),
            },
            phone_number_id: self.phone_number_id.as_deref().map(str::to_owned),
            payload,
        }
    }

    fn notice(&self, member: &str, piece: &RawValue) -> SplitEvent {
        self.notice_text(member, piece.get())
    }

    fn notice_text(&self, member: &str, piece: &str) -> SplitEvent {
        self.of_no_customer(ACCOUNT_GROUP, member, piece)
    }

    fn shared(&self, kind: Kind, piece: &str) -> SplitEvent {
        self.of_no_customer(SHARED_GROUP, kind.member(), piece)
    }

    fn of_no_customer(&self, group: &str, member: &str, piece: &str) -> SplitEvent {
        let mut payload = self.open(piece.len());
        close(&mut payload, member, piece);
        SplitEvent {
            key: self.hash_key(piece),
            group: group.to_owned(),
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

/// The elements of `contacts`, found by what they are called: a body may hold very many.
struct Contacts<'a> {
    all: Vec<Contact<'a>>,
    /// Spellings of one number are one number: `wa_id` may lack a digit that the message's address has.
    by_phone: HashMap<String, Vec<usize>>,
    by_user: HashMap<Cow<'a, str>, Vec<usize>>,
}

/// One of them, and whether an event took it along.
struct Contact<'a> {
    raw: &'a RawValue,
    phone: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    used: bool,
}

impl<'a> Contacts<'a> {
    fn read(listed: Vec<&'a RawValue>) -> Self {
        let mut contacts = Self { all: Vec::new(), by_phone: HashMap::new(), by_user: HashMap::new() };
        for (place, raw) in listed.into_iter().enumerate() {
            let members = object(raw).unwrap_or_default();
            let phone = find(&members, "wa_id").and_then(scalar);
            let user = find(&members, "user_id").and_then(scalar);
            if let Some(phone) = &phone {
                contacts.by_phone.entry(phone::match_key(phone)).or_default().push(place);
            }
            if let Some(user) = &user {
                contacts.by_user.entry(user.clone()).or_default().push(place);
            }
            contacts.all.push(Contact { raw, phone, user, used: false });
        }
        contacts
    }

    /// Those of a customer, or all of them, in their order; from now on they are used.
    fn take(&mut self, all: bool, phone_key: Option<&str>, user: Option<&str>) -> Vec<&Contact<'a>> {
        let mut places: Vec<usize> = if all {
            (0..self.all.len()).collect()
        } else {
            let by_phone = phone_key.and_then(|key| self.by_phone.get(key));
            let by_user = user.and_then(|user| self.by_user.get(user));
            by_phone.into_iter().chain(by_user).flatten().copied().collect()
        };
        places.sort_unstable();
        places.dedup();
        for place in &places {
            self.all[*place].used = true;
        }
        places.into_iter().map(|place| &self.all[place]).collect()
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
