//! Contacts made, changed and deleted by people and programs. An address belongs to one contact of a company: who gives
//! one that is another's is told whose it is, and may merge the two.

use db::TenantTx;
use db::contacts::{Contact, Details, KnownAddress};
use domain::contact::{ContactChange, EXTERNAL_ID_CHARS, NAME_CHARS, TAG_CHARS, TAGS};
use domain::event::Event;
use domain::inbound::{Address, AddressKind};
use domain::user::is_email;
use domain::{ContactId, phone};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::history::{self, Changed};
use super::{AddressedContact, REGION, addresses_of, fields, read, require_somebody};
use crate::audit::{self, By};
use crate::auth::{Actor, Identity};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, text};

/// The longest source, in characters.
const SOURCE_CHARS: usize = 60;

/// A contact to be made. It has a name or an address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewContact {
    /// What the customer is called.
    pub name: Option<String>,
    /// A number in any spelling; without a country it is Brazil's.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Where it came from; `manual` or `api` when nobody says.
    pub source: Option<String>,
    /// Id in the company's own system.
    pub external_id: Option<String>,
    /// The AI leaves this customer alone.
    pub bypass_bots: bool,
    /// Values of the company's fields.
    pub custom: Map<String, Value>,
    /// Tags.
    pub tags: Vec<String>,
}

/// What shall be true of a contact; what is `None` stays, what is `Some(None)` goes.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What the customer is called.
    pub name: Option<Option<String>>,
    /// A number in any spelling; without a country it is Brazil's.
    pub phone: Option<Option<String>>,
    /// Email address.
    pub email: Option<Option<String>>,
    /// Where it came from.
    pub source: Option<String>,
    /// Id in the company's own system.
    pub external_id: Option<Option<String>>,
    /// The AI leaves this customer alone.
    pub bypass_bots: Option<bool>,
    /// Values of the company's fields; those that are not named stay, `null` takes one away.
    pub custom: Map<String, Value>,
    /// Tags, in place of those that there were.
    pub tags: Option<Vec<String>>,
}

/// Makes a contact; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for a field that is wrong, or when there is neither name nor address; `Rule` (`address_taken`,
/// `idempotency_key_reused`).
pub async fn create(
    app: &App,
    caller: &Identity,
    new: NewContact,
    key: Option<&IdempotencyKey>,
) -> Result<AddressedContact> {
    let now = app.clock.now();
    let id = ContactId(app.clock.new_id());
    let mut details = Details {
        name: given(new.name.as_deref(), name)?.unwrap_or_default(),
        phone: given(new.phone.as_deref(), number)?,
        email: given(new.email.as_deref(), email)?,
        source: given(new.source.as_deref(), source)?.unwrap_or_else(|| source_of(caller).to_owned()),
        external_id: given(new.external_id.as_deref(), external_id)?,
        bypass_bots: new.bypass_bots,
        custom: json!({}),
        tags: tags(&new.tags)?,
    };
    let addresses = addresses(&details);
    if details.name.is_empty() && addresses.is_empty() {
        return Err(Error::invalid("name", "a contact has a name, phone, email or external_id"));
    }
    let mut tx = app.db().await?.begin(caller.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "contact", &new, id.0).await? {
        return read(&mut tx, ContactId(known)).await;
    }
    fields::take_over(&mut tx, &mut details.custom, &new.custom).await?;
    require_free(&mut tx, id, &addresses).await?;
    db::contacts::insert(&mut tx, id, &details, now).await?;
    db::contacts::insert_addresses(&mut tx, &own(id, addresses), now).await?;
    let contact = read(&mut tx, id).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::ContactCreated { contact_id: id })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(contact)
}

/// Changes a contact. A number, email or id that it had leads to it no more; WhatsApp's own addresses do.
///
/// # Errors
/// As [`create`], and `NotFound`; `Rule` (`contact_merged`, `contact_erased`).
pub async fn change(app: &App, caller: &Identity, id: ContactId, change: Change) -> Result<AddressedContact> {
    let now = app.clock.now();
    let new_name = change.name.as_ref().map(|new| given(new.as_deref(), name)).transpose()?;
    let new_phone = change.phone.as_ref().map(|new| given(new.as_deref(), number)).transpose()?;
    let new_email = change.email.as_ref().map(|new| given(new.as_deref(), email)).transpose()?;
    let new_external_id =
        change.external_id.as_ref().map(|new| given(new.as_deref(), external_id)).transpose()?;
    let new_source = change.source.as_deref().map(source).transpose()?;
    let new_tags = change.tags.as_deref().map(tags).transpose()?;

    let mut tx = app.db().await?.begin(caller.scope).await?;
    let wanted = [
        (AddressKind::E164, new_phone.clone().flatten()),
        (AddressKind::Email, new_email.clone().flatten()),
        (AddressKind::External, new_external_id.clone().flatten()),
    ];
    let wanted: Vec<_> =
        wanted.into_iter().filter_map(|(kind, value)| Some(Address { kind, value: value? })).collect();
    db::contacts::find(&mut tx, id).await?.ok_or(Error::NotFound("contact"))?;
    // Addresses before the contact, as everywhere.
    require_free(&mut tx, id, &wanted).await?;
    let contact = db::contacts::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("contact"))?;
    require_somebody(&contact)?;
    let mut details = details_of(contact);
    let was = particulars(&details);
    let before = addresses(&details);
    details.name = new_name.map_or(details.name, Option::unwrap_or_default);
    details.phone = new_phone.unwrap_or(details.phone);
    details.email = new_email.unwrap_or(details.email);
    details.external_id = new_external_id.unwrap_or(details.external_id);
    details.source = new_source.unwrap_or(details.source);
    details.bypass_bots = change.bypass_bots.unwrap_or(details.bypass_bots);
    details.tags = new_tags.unwrap_or(details.tags);
    fields::take_over(&mut tx, &mut details.custom, &change.custom).await?;
    let after = addresses(&details);
    let gone: Vec<_> = before.iter().filter(|address| !after.contains(address)).cloned().collect();
    let come: Vec<_> = after.into_iter().filter(|address| !before.contains(address)).collect();
    db::contacts::update(&mut tx, id, &details, now).await?;
    db::contacts::delete_addresses(&mut tx, id, &gone).await?;
    db::contacts::insert_addresses(&mut tx, &own(id, come), now).await?;
    record(app, caller, &mut tx, id, was, &details).await?;
    let contact = read(&mut tx, id).await?;
    announce(app, caller, tx, id).await?;
    Ok(contact)
}

/// Deletes a contact that nobody has written to or heard from, with its notes and what was changed of it.
///
/// # Errors
/// `NotFound`; `Rule` (`contact_has_history`) when it has conversations, or said whether it wants messages.
pub async fn delete(app: &App, caller: &Identity, id: ContactId) -> Result<()> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    match db::contacts::delete(&mut tx, id).await {
        Ok(true) => {}
        Ok(false) => return Err(Error::NotFound("contact")),
        Err(db::Error::Conflict(_)) => {
            return Err(Error::Rule {
                code: "contact_has_history",
                message: "this contact has a history: erase the person instead".to_owned(),
            });
        }
        Err(error) => return Err(error.into()),
    }
    let object = ("contact", Some(id.0));
    audit::record(app, &mut tx, By::Caller(caller), "contact.deleted", object, json!({})).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::ContactDeleted { contact_id: id })?;
    outbox::commit(app, tx, outgoing).await
}

/// Commits a change of a contact, and tells of it.
pub(super) async fn announce(app: &App, caller: &Identity, tx: TenantTx, id: ContactId) -> Result<()> {
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::ContactChanged { contact_id: id })?;
    outbox::commit(app, tx, outgoing).await
}

/// Notes what of a contact is not as it was.
pub(super) async fn record(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    id: ContactId,
    was: Value,
    details: &Details,
) -> Result<()> {
    let (kind, became) = (ContactChange::ContactChanged, particulars(details));
    let changed = Changed { contact_id: id, kind, object_id: None, was, became };
    history::record(app, tx, By::Caller(caller), [changed]).await
}

/// Waits for whoever is giving one of `addresses` to a contact, and refuses when one is another's than `id`'s. A number
/// is another's also when WhatsApp knows it under another spelling.
async fn require_free(tx: &mut TenantTx, id: ContactId, addresses: &[Address]) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut all = Vec::new();
    for address in addresses {
        match address.kind {
            AddressKind::E164 => all.extend(addresses_of(&address.value)),
            _ => all.push(address.clone()),
        }
    }
    db::contacts::lock_addresses(tx, &all).await?;
    let found = db::contacts::hold_by_addresses(tx, &all).await?;
    let Some(taken) = found.into_iter().find(|found| found.known.contact_id != id) else { return Ok(()) };
    let KnownAddress { address, contact_id, .. } = taken.known;
    let what = match address.kind {
        AddressKind::E164 | AddressKind::WaId | AddressKind::Lid | AddressKind::Bsuid => "phone",
        AddressKind::Email => "email",
        AddressKind::External => "external_id",
    };
    Err(Error::Rule {
        code: "address_taken",
        message: format!("this {what} belongs to contact {contact_id}"),
    })
}

fn own(id: ContactId, addresses: Vec<Address>) -> Vec<(Address, ContactId)> {
    addresses.into_iter().map(|address| (address, id)).collect()
}

/// The addresses that stand in a contact's own fields.
fn addresses(details: &Details) -> Vec<Address> {
    let fields = [
        (AddressKind::E164, &details.phone),
        (AddressKind::Email, &details.email),
        (AddressKind::External, &details.external_id),
    ];
    fields.into_iter().filter_map(|(kind, value)| Some(Address { kind, value: value.clone()? })).collect()
}

pub(super) fn details_of(contact: Contact) -> Details {
    Details {
        name: contact.name,
        phone: contact.phone,
        email: contact.email,
        source: contact.source,
        external_id: contact.external_id,
        bypass_bots: contact.bypass_bots,
        custom: contact.custom,
        tags: contact.tags,
    }
}

/// The fields of a contact as its history has them.
pub(super) fn particulars(details: &Details) -> Value {
    let fields = json!({
        "name": details.name,
        "phone": details.phone,
        "email": details.email,
        "source": details.source,
        "external_id": details.external_id,
        "bypass_bots": details.bypass_bots,
        "tags": details.tags,
    });
    history::with_custom(fields, details.custom.as_object().into_iter().flatten())
}

/// What nobody says where it came from.
fn source_of(caller: &Identity) -> &'static str {
    match caller.actor {
        Actor::Person { .. } => "manual",
        Actor::Key { .. } => "api",
    }
}

/// A field that may be left empty.
fn given(text: Option<&str>, check: impl Fn(&str) -> Result<String>) -> Result<Option<String>> {
    text.filter(|text| !text.trim().is_empty()).map(check).transpose()
}

fn name(text: &str) -> Result<String> {
    text::line("name", text, NAME_CHARS)
}

fn number(text: &str) -> Result<String> {
    let phone = phone::parse(text, REGION).map_err(|error| Error::invalid("phone", error.to_string()))?;
    if phone.possible || phone.mobile {
        Ok(phone.canonical())
    } else {
        Err(Error::invalid("phone", "no number of any country has this form"))
    }
}

fn email(text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    if is_email(&email) { Ok(email) } else { Err(Error::invalid("email", "not an email address")) }
}

fn source(text: &str) -> Result<String> {
    text::line("source", text, SOURCE_CHARS)
}

fn external_id(text: &str) -> Result<String> {
    text::line("external_id", text, EXTERNAL_ID_CHARS)
}

fn tags(tags: &[String]) -> Result<Vec<String>> {
    let mut checked = Vec::new();
    for tag in tags {
        let tag = text::line("tags", tag, TAG_CHARS)?;
        if !checked.contains(&tag) {
            checked.push(tag);
        }
    }
    if checked.len() > TAGS {
        return Err(Error::invalid("tags", format!("a contact has at most {TAGS} tags")));
    }
    Ok(checked)
}
