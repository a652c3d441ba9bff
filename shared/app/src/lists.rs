//! Lists of contacts, which people put together by hand.

use db::TenantTx;
use db::lists::List;
use domain::user::Permission;
use domain::{ContactId, ListId};
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::contacts::{self, AddressedContact};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::{App, Page, Position, text};

/// The longest name and description, as the table has them.
const NAME_CHARS: usize = 100;
const DESCRIPTION_CHARS: usize = 1_000;

/// Contacts of one call at most.
const CONTACTS: usize = 1_000;

/// What shall be true of a list; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What it is called.
    pub name: Option<String>,
    /// What it is for; `Some(None)`: nothing in particular.
    pub description: Option<Option<String>>,
}

/// What became of contacts that were put into a list, or taken out.
#[derive(Clone, Debug)]
pub struct Changed {
    /// How many were not in it before, or were in it.
    pub contacts: u64,
    /// The list afterwards.
    pub list: List,
}

/// The lists by name.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<List, String>> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin_list(identity.scope).await?;
    let rows = db::lists::list(&mut tx, after, limit + 1).await?;
    Ok(Page::cut(rows, limit, |list| (list.name.clone(), list.id.0)))
}

/// One list.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: ListId) -> Result<List> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::lists::find(&mut tx, id).await?.ok_or(Error::NotFound("list"))
}

/// Makes one, with nobody in it; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for a field, `Conflict` for a name that is taken.
pub async fn create(
    app: &App,
    identity: &Identity,
    name: &str,
    description: Option<&str>,
    key: Option<&IdempotencyKey>,
) -> Result<List> {
    identity.require(Permission::ManageContacts)?;
    let id = ListId(app.clock.new_id());
    let now = app.clock.now();
    let list = List {
        id,
        name: text::line("name", name, NAME_CHARS)?,
        description: checked_description(description)?,
        contact_count: 0,
        created_at: now,
        updated_at: now,
    };
    let mut tx = app.db().await?.begin(identity.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "list", &json!([name, description]), id.0).await? {
        return db::lists::find(&mut tx, ListId(known)).await?.ok_or(Error::NotFound("list"));
    }
    db::lists::insert(&mut tx, &list).await?;
    tx.commit().await?;
    Ok(list)
}

/// Changes one.
///
/// # Errors
/// As [`create`], and `NotFound`.
pub async fn change(app: &App, identity: &Identity, id: ListId, change: Change) -> Result<List> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let mut list = db::lists::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("list"))?;
    if let Some(name) = &change.name {
        list.name = text::line("name", name, NAME_CHARS)?;
    }
    if let Some(description) = &change.description {
        list.description = checked_description(description.as_deref())?;
    }
    list.updated_at = app.clock.now();
    db::lists::update(&mut tx, &list).await?;
    tx.commit().await?;
    Ok(list)
}

/// Removes one; the contacts in it stay.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, identity: &Identity, id: ListId) -> Result<()> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let list = db::lists::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("list"))?;
    db::lists::delete(&mut tx, id).await?;
    let detail = json!({ "name": list.name, "contacts": list.contact_count });
    audit::record(app, &mut tx, By::Caller(identity), "list.deleted", ("list", Some(id.0)), detail).await?;
    Ok(tx.commit().await?)
}

/// The contacts in a list, who came last first.
///
/// # Errors
/// `NotFound`.
pub async fn contacts(
    app: &App,
    identity: &Identity,
    id: ListId,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<AddressedContact>> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin_list(identity.scope).await?;
    db::lists::find(&mut tx, id).await?.ok_or(Error::NotFound("list"))?;
    let rows = db::lists::list_contacts(&mut tx, id, before, limit + 1).await?;
    let page = Page::cut(rows, limit, |listed| (listed.added_at, listed.contact.id.0));
    let contacts = page.items.into_iter().map(|listed| listed.contact).collect();
    Ok(Page { items: contacts::with_addresses(&mut tx, contacts).await?, next: page.next })
}

/// Puts contacts into a list; those that are in it stay. Who was merged is in it as who they are now.
///
/// # Errors
/// `NotFound`; `Invalid` for none or too many, or for somebody who is no contact of the company; `Rule` `contact_erased`.
pub async fn add_contacts(app: &App, identity: &Identity, id: ListId, ids: &[ContactId]) -> Result<Changed> {
    identity.require(Permission::ManageContacts)?;
    check_number(ids)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let ids = resolved(&mut tx, id, ids).await?;
    let contacts = db::lists::insert_contacts(&mut tx, id, &ids, app.clock.now()).await?;
    finish(tx, id, contacts).await
}

/// Takes contacts out of a list; those that are not in it are no error.
///
/// # Errors
/// As [`add_contacts`].
pub async fn remove_contacts(
    app: &App,
    identity: &Identity,
    id: ListId,
    ids: &[ContactId],
) -> Result<Changed> {
    identity.require(Permission::ManageContacts)?;
    check_number(ids)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let ids = resolved(&mut tx, id, ids).await?;
    let contacts = db::lists::delete_contacts(&mut tx, id, &ids).await?;
    finish(tx, id, contacts).await
}

async fn finish(mut tx: TenantTx, id: ListId, contacts: u64) -> Result<Changed> {
    let list = db::lists::find(&mut tx, id).await?.ok_or(Error::NotFound("list"))?;
    tx.commit().await?;
    Ok(Changed { contacts, list })
}

fn check_number(ids: &[ContactId]) -> Result<()> {
    if (1..=CONTACTS).contains(&ids.len()) {
        return Ok(());
    }
    Err(Error::invalid("contact_ids", format!("1 to {CONTACTS} contacts")))
}

/// Who these are by now, once each. They stay that until the end of the transaction, and so does the list: contacts before
/// lists, as in merges.
async fn resolved(tx: &mut TenantTx, id: ListId, ids: &[ContactId]) -> Result<Vec<ContactId>> {
    db::lists::find(tx, id).await?.ok_or(Error::NotFound("list"))?;
    let mut wanted = ids.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let known = db::contacts::list_standing(tx, &wanted).await?;
    if known.len() != wanted.len() {
        return Err(Error::invalid("contact_ids", "somebody in this list is no contact of the company"));
    }
    if known.iter().any(|standing| standing.erased) {
        return Err(contacts::erased());
    }
    let mut ids: Vec<_> = known.into_iter().map(|standing| standing.current_id).collect();
    ids.sort_unstable();
    ids.dedup();
    db::lists::find_for_update(tx, id).await?.ok_or(Error::NotFound("list"))?;
    Ok(ids)
}

/// An empty description is none.
fn checked_description(description: Option<&str>) -> Result<Option<String>> {
    let given = description.filter(|description| !description.trim().is_empty());
    given.map(|description| text::lines("description", description, DESCRIPTION_CHARS)).transpose()
}
