//! Segments: saved filters over contacts. Who passes one is found anew whenever it is asked.

use db::TenantTx;
use db::segments::Segment;
use domain::SegmentId;
use domain::segment::{Filter, Named, Wrong};
use domain::user::Permission;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::contacts::{self, AddressedContact};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::{App, Page, Position, text};

/// The longest name, as the table has it.
const NAME_CHARS: usize = 100;

/// Contacts that a preview shows.
const SHOWN: i64 = 20;

/// Where the filter stands in a body.
const FILTER: &str = "filter";

/// What shall be true of a segment; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What it is called.
    pub name: Option<String>,
    /// Who passes.
    pub filter: Option<Value>,
}

/// Who passes a filter now.
#[derive(Clone, Debug)]
pub struct Preview {
    /// How many.
    pub count: i64,
    /// The newest of them.
    pub contacts: Vec<AddressedContact>,
}

/// The segments by name.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<Segment, String>> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin_list(identity.scope).await?;
    let rows = db::segments::list(&mut tx, after, limit + 1).await?;
    Ok(Page::cut(rows, limit, |segment| (segment.name.clone(), segment.id.0)))
}

/// One segment.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: SegmentId) -> Result<Segment> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::segments::find(&mut tx, id).await?.ok_or(Error::NotFound("segment"))
}

/// Saves one; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for the name or a node of the filter, `Conflict` for a name that is taken.
pub async fn create(
    app: &App,
    identity: &Identity,
    name: &str,
    filter: Value,
    key: Option<&IdempotencyKey>,
) -> Result<Segment> {
    identity.require(Permission::ManageContacts)?;
    let id = SegmentId(app.clock.new_id());
    let now = app.clock.now();
    let asked = json!([name, filter]);
    let name = text::line("name", name, NAME_CHARS)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "segment", &asked, id.0).await? {
        return db::segments::find(&mut tx, SegmentId(known)).await?.ok_or(Error::NotFound("segment"));
    }
    check(&mut tx, &filter).await?;
    let segment = Segment { id, name, filter, created_at: now, updated_at: now };
    db::segments::insert(&mut tx, &segment).await?;
    tx.commit().await?;
    Ok(segment)
}

/// Changes one.
///
/// # Errors
/// As [`create`], and `NotFound`.
pub async fn change(app: &App, identity: &Identity, id: SegmentId, change: Change) -> Result<Segment> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let found = db::segments::find_for_update(&mut tx, id).await?;
    let mut segment = found.ok_or(Error::NotFound("segment"))?;
    if let Some(name) = &change.name {
        segment.name = text::line("name", name, NAME_CHARS)?;
    }
    if let Some(filter) = change.filter {
        check(&mut tx, &filter).await?;
        segment.filter = filter;
    }
    segment.updated_at = app.clock.now();
    db::segments::update(&mut tx, &segment).await?;
    tx.commit().await?;
    Ok(segment)
}

/// Removes one.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, identity: &Identity, id: SegmentId) -> Result<()> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let found = db::segments::find_for_update(&mut tx, id).await?;
    let segment = found.ok_or(Error::NotFound("segment"))?;
    db::segments::delete(&mut tx, id).await?;
    let (object, detail) = (("segment", Some(id.0)), json!({ "name": segment.name }));
    audit::record(app, &mut tx, By::Caller(identity), "segment.deleted", object, detail).await?;
    Ok(tx.commit().await?)
}

/// Who passes a saved filter now. What it names and is no more holds nobody.
///
/// # Errors
/// `NotFound`.
pub async fn preview(app: &App, identity: &Identity, id: SegmentId) -> Result<Preview> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin_list(identity.scope).await?;
    let segment = db::segments::find(&mut tx, id).await?.ok_or(Error::NotFound("segment"))?;
    let filter = Filter::parse(&segment.filter, FILTER).map_err(invalid)?;
    passing(app, &mut tx, &filter).await
}

/// Who passes a filter that is not saved.
///
/// # Errors
/// `Invalid` for a node of the filter.
pub async fn preview_unsaved(app: &App, identity: &Identity, filter: &Value) -> Result<Preview> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin_list(identity.scope).await?;
    let filter = check(&mut tx, filter).await?;
    passing(app, &mut tx, &filter).await
}

async fn passing(app: &App, tx: &mut TenantTx, filter: &Filter) -> Result<Preview> {
    let now = app.clock.now();
    let count = db::segments::count(tx, filter, now).await?;
    let contacts = db::segments::list_contacts(tx, filter, None, SHOWN, now).await?;
    Ok(Preview { count, contacts: contacts::with_addresses(tx, contacts).await? })
}

/// Reads a filter, of which everything that it names is the company's.
async fn check(tx: &mut TenantTx, filter: &Value) -> Result<Filter> {
    let filter = Filter::parse(filter, FILTER).map_err(invalid)?;
    let (mut lists, mut connections) = (Vec::new(), Vec::new());
    for (named, path) in filter.named(FILTER) {
        match named {
            Named::List(id) => lists.push((id, path)),
            Named::Connection(id) => connections.push((id, path)),
        }
    }
    if !lists.is_empty() {
        let known = db::lists::list_known(tx, &ids(&lists)).await?;
        all_known(lists, &known, "no list of the company")?;
    }
    if !connections.is_empty() {
        let known = db::connections::list_known(tx, &ids(&connections)).await?;
        all_known(connections, &known, "no connection of the company")?;
    }
    Ok(filter)
}

fn ids(named: &[(Uuid, String)]) -> Vec<Uuid> {
    named.iter().map(|(id, _)| *id).collect()
}

fn all_known(named: Vec<(Uuid, String)>, known: &[Uuid], message: &str) -> Result<()> {
    match named.into_iter().find(|(id, _)| !known.contains(id)) {
        Some((_, path)) => Err(Error::invalid(path, message)),
        None => Ok(()),
    }
}

fn invalid(wrong: Wrong) -> Error {
    Error::invalid(wrong.path, wrong.message)
}
