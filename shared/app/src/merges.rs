//! Contacts that are one person. Merging is for people to decide; nothing of either is lost, and it can be undone.
//!
//! A person with two numbers has two chats at the provider, each with a window of its own: so threads stay apart, and what
//! comes by an address that was merged goes on in its own thread, under the surviving contact. That is also how it is
//! known whose it is when they are taken apart again.

use db::TenantTx;
use db::merges::{Candidate, Locked, Merge, Traits};
use domain::event::Event;
use domain::inbound::{Address, AddressKind};
use domain::user::Permission;
use domain::{CompanyScope, ContactId, MergeId, phone};
use serde_json::json;

use crate::App;
use crate::audit::{self, By};
use crate::auth::Identity;
use crate::contacts::{self, AddressedContact};
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};

/// Candidates that are shown at most.
const CANDIDATES: i64 = 50;

/// How often it is tried when something else wants the same rows in another order.
const ATTEMPTS: usize = 3;

/// A contact that may be the same person, and why.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// Who.
    pub contact: AddressedContact,
    /// What both have: `phone`, `email`, `external_id`, `name`.
    pub reasons: Vec<String>,
}

/// Contacts that may be the same person as this one, those with the most in common first.
///
/// # Errors
/// `NotFound`.
pub async fn candidates(app: &App, scope: CompanyScope, id: ContactId) -> Result<Vec<Suggestion>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let contact = contacts::read(&mut tx, id).await?;
    let found = db::merges::list_candidates(&mut tx, id, &traits(&contact), CANDIDATES).await?;
    let (reasons, found): (Vec<_>, Vec<_>) =
        found.into_iter().map(|Candidate { contact, reasons }| (reasons, contact)).unzip();
    let found = contacts::with_addresses(&mut tx, found).await?;
    Ok(found.into_iter().zip(reasons).map(|(contact, reasons)| Suggestion { contact, reasons }).collect())
}

fn traits(AddressedContact { contact, addresses }: &AddressedContact) -> Traits {
    let of = |kinds: &[AddressKind]| {
        let wanted = addresses.iter().filter(|address| kinds.contains(&address.kind));
        wanted.map(|address: &Address| address.value.clone()).collect::<Vec<_>>()
    };
    let mut numbers = of(&[AddressKind::E164, AddressKind::WaId]);
    numbers.extend(contact.phone.clone());
    let mut spellings: Vec<_> = numbers.iter().flat_map(|number| spellings(number)).collect();
    spellings.sort_unstable();
    spellings.dedup();
    let mut emails = of(&[AddressKind::Email]);
    emails.extend(contact.email.clone());
    emails.extend(emails.iter().map(|email| email.to_lowercase()).collect::<Vec<_>>());
    let mut external_ids = of(&[AddressKind::External]);
    external_ids.extend(contact.external_id.clone());
    Traits {
        numbers: spellings,
        emails,
        external_ids,
        names: names(&contact.name),
        has_phone: contact.phone.is_some(),
    }
}

/// The ways in which people write a name. Too many are called Ana: one word tells nobody apart.
fn names(name: &str) -> Vec<String> {
    let words: Vec<_> = name.split_whitespace().collect();
    if words.len() < 2 {
        return Vec::new();
    }
    let plain = words.join(" ");
    let capital = |word: &&str| {
        let mut letters = word.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        first + &letters.as_str().to_lowercase()
    };
    let capitals: Vec<_> = words.iter().map(capital).collect();
    vec![name.to_owned(), plain.to_lowercase(), plain.to_uppercase(), capitals.join(" "), plain]
}

/// Every way in which a number may stand in an address, with `+` and without.
fn spellings(number: &str) -> Vec<String> {
    let Some(canonical) = phone::canonical_from_wa_id(number) else { return Vec::new() };
    let mut digits = phone::wa_id_candidates(&canonical);
    digits.push(canonical.trim_start_matches('+').to_owned());
    // Argentina's mobiles are written with a 9 after the country and without it.
    let key = phone::match_key(number);
    digits.extend(key.strip_prefix("54").filter(|rest| rest.len() == 10).map(|rest| format!("549{rest}")));
    digits.push(key);
    digits.iter().flat_map(|digits| [digits.clone(), format!("+{digits}")]).collect()
}

/// Makes the contact `id` one with `into`, who survives; who it is already.
///
/// # Errors
/// `NotFound`; `Invalid` for an `into` that is no contact of the company; `Rule` (`same_contact`, `contact_merged`,
/// `contact_erased`).
pub async fn merge(app: &App, caller: &Identity, id: ContactId, into: ContactId) -> Result<AddressedContact> {
    caller.require(Permission::ManageContacts)?;
    retried(|| try_merge(app, caller, id, into)).await
}

/// Takes a contact apart again from whom it was merged into: each side has what it had, and what came by its addresses
/// in between.
///
/// # Errors
/// `NotFound`; `Rule` (`not_merged`, `merged_further`, `contact_erased`).
pub async fn unmerge(app: &App, caller: &Identity, id: ContactId) -> Result<AddressedContact> {
    caller.require(Permission::ManageContacts)?;
    retried(|| try_unmerge(app, caller, id)).await
}

/// Two that want the same rows in another order: the database lets one of them go on, and the other one tries again.
pub(crate) async fn retried<T, F: Future<Output = Result<T>>>(once: impl Fn() -> F) -> Result<T> {
    for attempt in 1..ATTEMPTS {
        match once().await {
            Err(error) if error.retryable() => {
                tracing::warn!(attempt, error = error.chain(), "contacts not changed yet");
            }
            outcome => return outcome,
        }
    }
    once().await
}

/// Locks contacts and everything by which something is filed under them, in the order in which that locks them.
pub(crate) async fn lock(tx: &mut TenantTx, ids: &[ContactId]) -> Result<Vec<Locked>> {
    db::merges::lock_addresses_of(tx, ids).await?;
    let contacts = db::merges::lock_contacts(tx, ids).await?;
    // One that was learned in between; from here on there is no other.
    db::merges::lock_addresses_of(tx, ids).await?;
    Ok(contacts)
}

fn rule(code: &'static str, message: impl Into<String>) -> Error {
    Error::Rule { code, message: message.into() }
}

async fn try_merge(app: &App, caller: &Identity, id: ContactId, into: ContactId) -> Result<AddressedContact> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let locked = lock(&mut tx, &[id, into]).await?;
    let find = |id| locked.iter().find(|contact| contact.id == id);
    let merged = find(id).ok_or(Error::NotFound("contact"))?;
    if id == into {
        return Err(rule("same_contact", "this is one contact already"));
    }
    let survivor = find(into).ok_or_else(|| Error::invalid("into", "no contact of the company"))?;
    match (merged.merged_into_id, survivor.merged_into_id) {
        (Some(known), _) if known == into => return contacts::read(&mut tx, into).await,
        (Some(other), _) | (None, Some(other)) => return Err(contacts::merged_into(other)),
        (None, None) => {}
    }
    if merged.erased_at.is_some() || survivor.erased_at.is_some() {
        return Err(contacts::erased());
    }
    let now = app.clock.now();
    let merge = Merge {
        id: MergeId(app.clock.new_id()),
        contact_id: id,
        into_id: into,
        had: survivor.facts.clone(),
        got: survivor.facts.with(&merged.facts),
        merged_at: now,
    };
    let sides = db::merges::list_sides(&mut tx, id).await?;
    db::merges::insert(&mut tx, &merge).await?;
    db::merges::insert_items(&mut tx, merge.id, id, into).await?;
    db::merges::move_addresses(&mut tx, id, into).await?;
    // Conversations before sessions and messages, as everywhere.
    db::merges::move_conversations(&mut tx, id, into).await?;
    db::merges::move_sessions(&mut tx, id, into).await?;
    db::merges::move_messages(&mut tx, id, into).await?;
    db::merges::move_lists(&mut tx, id, into).await?;
    db::merges::move_belongings(&mut tx, id, into).await?;
    db::merges::update_facts(&mut tx, into, &merge.got, now).await?;
    db::merges::set_merged(&mut tx, &sides, Some(into), now).await?;
    let (object, detail) = (("contact", Some(id.0)), json!({ "into": into }));
    audit::record(app, &mut tx, By::Caller(caller), "contact.merged", object, detail).await?;
    let contact = contacts::read(&mut tx, into).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::ContactMerged { contact_id: id, into_id: into })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(contact)
}

async fn try_unmerge(app: &App, caller: &Identity, id: ContactId) -> Result<AddressedContact> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let contact = db::contacts::find(&mut tx, id).await?.ok_or(Error::NotFound("contact"))?;
    let into = contact.merged_into_id.ok_or_else(|| rule("not_merged", "this contact was not merged"))?;
    let locked = lock(&mut tx, &[id, into]).await?;
    let find = |id| locked.iter().find(|contact| contact.id == id).ok_or(Error::NotFound("contact"));
    let (merged, survivor) = (find(id)?, find(into)?);
    let merge = db::merges::find_standing(&mut tx, id).await;
    if merged.merged_into_id != Some(into) {
        return Err(Error::Conflict("somebody else merged or took this contact apart just now"));
    }
    if survivor.erased_at.is_some() {
        return Err(contacts::erased());
    }
    let merge = merge?.ok_or_else(|| rule("not_merged", "this contact was not merged"))?;
    if merge.into_id != into {
        let message =
            format!("this contact was merged into {}, which was merged itself: begin there", merge.into_id);
        return Err(rule("merged_further", message));
    }
    let now = app.clock.now();
    let left = survivor.facts.without(&merge.had, &merge.got);
    let back = merged.facts.after(&survivor.facts, &merge.got);
    let sides = db::merges::list_sides(&mut tx, id).await?;
    let others: Vec<_> = sides.iter().copied().filter(|side| *side != id).collect();
    // Who it is first: what it learns is its own from here on.
    db::merges::set_undone(&mut tx, merge.id, now).await?;
    db::merges::set_merged(&mut tx, &[id], None, now).await?;
    db::merges::set_merged(&mut tx, &others, Some(id), now).await?;
    db::merges::return_addresses(&mut tx, into, id, &sides).await?;
    db::merges::return_conversations(&mut tx, merge.id, into, id, &sides).await?;
    db::merges::return_sessions(&mut tx, merge.id, into, id).await?;
    db::merges::return_messages(&mut tx, into, id, &sides).await?;
    db::merges::return_lists(&mut tx, merge.id, into, id).await?;
    db::merges::return_belongings(&mut tx, merge.id, into, id).await?;
    db::merges::update_facts(&mut tx, into, &left, now).await?;
    db::merges::update_facts(&mut tx, id, &back, now).await?;
    let (object, detail) = (("contact", Some(id.0)), json!({ "from": into }));
    audit::record(app, &mut tx, By::Caller(caller), "contact.unmerged", object, detail).await?;
    let contact = contacts::read(&mut tx, id).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::ContactUnmerged { contact_id: id, from_id: into })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(contact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_looked_for_in_every_spelling() {
        for (number, spelling) in [
            ("+5531988880001", "553188880001"),
            ("553188880001", "+5531988880001"),
            ("+541123456789", "5491123456789"),
            ("5491123456789", "+541123456789"),
            ("+525512345678", "5215512345678"),
        ] {
            assert!(spellings(number).contains(&spelling.to_owned()), "{number} as {spelling}");
        }
        assert!(spellings("BR.10000000000000000001").is_empty());
    }
}
