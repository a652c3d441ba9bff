//! Contacts: here as the API reads them · [`edit`] made, changed, deleted · [`fields`] what a company wants to know of
//! them · [`tags`] · [`notes`] · [`consents`] whether they want to be written to · `history` what was changed ·
//! [`timeline`] all that happened.

pub mod consents;
pub mod edit;
pub mod fields;
pub(crate) mod history;
pub mod notes;
pub mod tags;
pub mod timeline;

use std::collections::HashMap;
use std::slice;

use chrono::{DateTime, Utc};
use db::contacts::Contact;
use db::contacts::search::{Filter, Words};
use domain::inbound::{Address, AddressKind};
use domain::{CompanyScope, ContactId, phone};

use crate::error::{Error, Result};
use crate::{App, Page, Position, text};

/// Where a number without a country is read.
const REGION: &str = "BR";

/// The longest words to look for, in characters.
const Q_CHARS: usize = 200;

/// A contact with every address that leads to it.
#[derive(Clone, Debug)]
pub struct AddressedContact {
    /// The contact.
    pub contact: Contact,
    /// Its addresses, oldest first.
    pub addresses: Vec<Address>,
}

/// Which contacts to list; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Words, or parts of them, of name, username, email and phone.
    pub q: Option<String>,
    /// With one tag.
    pub tag: Option<String>,
    /// To whom this number leads, in any spelling.
    pub phone: Option<String>,
    /// To whom this email address leads.
    pub email: Option<String>,
    /// From one source.
    pub source: Option<String>,
    /// Whom the company's own system calls so.
    pub external_id: Option<String>,
    /// Who opted out, or did not.
    pub opted_out: Option<bool>,
    /// Not made before.
    pub created_from: Option<DateTime<Utc>>,
    /// Made before.
    pub created_to: Option<DateTime<Utc>>,
}

/// Lists contacts, newest first.
///
/// # Errors
/// `Invalid` for a number that is none, and for times that contradict each other.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    query: &Query,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<AddressedContact>> {
    if query.created_from.zip(query.created_to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::invalid("created_to", "after `created_from`"));
    }
    let words = query.q.as_deref().filter(|q| !q.trim().is_empty()).map(words).transpose()?;
    let wanted = wanted_addresses(query)?;
    let mut tx = app.db().await?.begin_search(scope).await?;
    let filter = Filter {
        words,
        tag: query.tag.clone(),
        ids: find_wanted(&mut tx, &wanted).await?,
        source: query.source.clone(),
        opted_out: query.opted_out,
        created_from: query.created_from,
        created_to: query.created_to,
    };
    let contacts = db::contacts::search::list(&mut tx, &filter, before, limit + 1).await?;
    let page = Page::cut(contacts, limit, |contact| (contact.created_at, contact.id.0));
    let items = with_addresses(&mut tx, page.items).await?;
    Ok(Page { items, next: page.next })
}

/// A number that somebody typed as a whole is looked for as it is stored.
fn words(q: &str) -> Result<Words> {
    let q = &text::line("q", q, Q_CHARS)?;
    let is_number = q.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "+()-./".contains(c));
    let whole = if is_number { known_number(q) } else { None };
    let joined = || q.split_whitespace().collect::<String>();
    let q = if is_number { whole.unwrap_or_else(joined) } else { q.clone() };
    Words::parse(&q).ok_or_else(|| Error::invalid("q", "letters or digits"))
}

/// The canonical form of a whole number.
fn known_number(text: &str) -> Option<String> {
    let phone = phone::parse(text, REGION).ok()?;
    (phone.valid || phone.mobile).then(|| phone.canonical())
}

/// For each filter by address, the addresses of which one is enough.
fn wanted_addresses(query: &Query) -> Result<Vec<Vec<Address>>> {
    let mut wanted = Vec::new();
    if let Some(text) = &query.phone {
        wanted.push(spellings(text)?);
    }
    let one = |kind, value: String| vec![Address { kind, value }];
    if let Some(email) = &query.email {
        wanted.push(one(AddressKind::Email, email.trim().to_lowercase()));
    }
    if let Some(external_id) = &query.external_id {
        wanted.push(one(AddressKind::External, external_id.trim().to_owned()));
    }
    Ok(wanted)
}

/// The addresses under which a number may be known: the canonical one for people first, then WhatsApp's.
fn spellings(text: &str) -> Result<Vec<Address>> {
    let canonical = match phone::parse(text, REGION) {
        Ok(phone) => phone.canonical(),
        Err(error) => phone::canonical_from_wa_id(text.trim())
            .ok_or_else(|| Error::invalid("phone", error.to_string()))?,
    };
    Ok(addresses_of(&canonical))
}

/// The addresses under which WhatsApp and people may know a canonical number.
fn addresses_of(canonical: &str) -> Vec<Address> {
    let whatsapp = phone::wa_id_candidates(canonical).into_iter();
    let number = Address { kind: AddressKind::E164, value: canonical.to_owned() };
    std::iter::once(number).chain(whatsapp.map(|value| Address { kind: AddressKind::WaId, value })).collect()
}

/// Whom one of each list of addresses leads to; `None` when there are no lists.
async fn find_wanted(tx: &mut db::TenantTx, wanted: &[Vec<Address>]) -> Result<Option<Vec<ContactId>>> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let found = db::contacts::find_by_addresses(tx, &wanted.concat()).await?;
    let leads_to = |addresses: &Vec<Address>, id: ContactId| {
        found.iter().any(|found| found.known.contact_id == id && addresses.contains(&found.known.address))
    };
    let mut ids: Vec<_> = found.iter().map(|found| found.known.contact_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| wanted.iter().all(|addresses| leads_to(addresses, *id)));
    Ok(Some(ids))
}

/// Finds a contact, also one that was merged, which says into whom, or erased.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: ContactId) -> Result<AddressedContact> {
    let mut tx = app.db().await?.begin(scope).await?;
    read(&mut tx, id).await
}

/// Refuses a contact that is another one now, or nobody.
pub(crate) fn require_somebody(contact: &Contact) -> Result<()> {
    match contact.merged_into_id {
        Some(into) => Err(merged_into(into)),
        None if contact.erased_at.is_some() => Err(erased()),
        None => Ok(()),
    }
}

/// As [`require_somebody`], and it stays so until the end of the transaction: what is about the contact goes along when
/// it is merged.
pub(crate) async fn stay_somebody(tx: &mut db::TenantTx, id: ContactId) -> Result<()> {
    match db::contacts::list_standing(tx, &[id]).await?.first() {
        None => Err(Error::NotFound("contact")),
        Some(standing) if standing.current_id != id => Err(merged_into(standing.current_id)),
        Some(standing) if standing.erased => Err(erased()),
        Some(_) => Ok(()),
    }
}

/// It is another contact now.
pub(crate) fn merged_into(into: ContactId) -> Error {
    Error::Rule { code: "contact_merged", message: format!("this contact was merged into {into}") }
}

/// Nobody is there any more.
pub(crate) fn erased() -> Error {
    let message = "everything about this person was erased".to_owned();
    Error::Rule { code: "contact_erased", message }
}

/// Finds the contact of a number, in any spelling: national or international, with Brazil's ninth digit or without. When
/// WhatsApp's spellings lead elsewhere, the number that people use counts.
///
/// # Errors
/// `Invalid` for what is no number; `NotFound`.
pub async fn find_by_phone(app: &App, scope: CompanyScope, text: &str) -> Result<AddressedContact> {
    let wanted = spellings(text)?;
    let mut tx = app.db().await?.begin_keyed(scope).await?;
    let found = db::contacts::find_by_first_address(&mut tx, &wanted).await?;
    let (mut contact, addresses) = found.ok_or(Error::NotFound("contact"))?;
    fields::hide_unknown(&mut tx, slice::from_mut(&mut contact)).await?;
    Ok(AddressedContact { contact, addresses })
}

pub(crate) async fn read(tx: &mut db::TenantTx, id: ContactId) -> Result<AddressedContact> {
    let contact = db::contacts::find(tx, id).await?.ok_or(Error::NotFound("contact"))?;
    with_addresses(tx, vec![contact]).await?.pop().ok_or(Error::NotFound("contact"))
}

/// Contacts as they are shown: with their addresses, and of the custom fields those that the company has.
pub(crate) async fn with_addresses(
    tx: &mut db::TenantTx,
    mut contacts: Vec<Contact>,
) -> Result<Vec<AddressedContact>> {
    fields::hide_unknown(tx, &mut contacts).await?;
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
    let mut addresses: HashMap<ContactId, Vec<Address>> = HashMap::new();
    for known in db::contacts::list_addresses(tx, &ids).await? {
        addresses.entry(known.contact_id).or_default().push(known.address);
    }
    Ok(contacts
        .into_iter()
        .map(|contact| AddressedContact {
            addresses: addresses.remove(&contact.id).unwrap_or_default(),
            contact,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_looked_for_as_it_is_stored() {
        for (typed, looked_for) in [
            ("(62) 98888-0001", "+5562988880001"),
            ("62 8888 0001", "+5562988880001"),
            ("+55 62 8888-0001", "+5562988880001"),
            ("8888-0001", "8888-0001"),
            ("0001", "0001"),
            ("Ana 0001", "Ana 0001"),
        ] {
            assert_eq!(words(typed).expect("words"), Words::parse(looked_for).expect("words"), "{typed}");
        }
        assert!(words("( )").is_err());
    }

    #[test]
    fn a_number_has_many_spellings() {
        let all = |text: &str| spellings(text).expect("a number");
        let whole = all("+5562988880001");
        assert_eq!(whole.len(), 3, "{whole:?}");
        for text in ["62988880001", "(62) 8888-0001", "556288880001", "5562988880001", "+55 62 98888-0001"] {
            assert_eq!(all(text), whole, "{text}");
        }
        assert!(spellings("ana").is_err());
    }
}
