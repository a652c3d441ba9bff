//! Departments, and who works in them.

use db::departments::Department;
use domain::user::Permission;
use domain::{DepartmentId, UserId};
use serde_json::json;

use super::{Gone, note_released, tell_released};
use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position, text};

/// The longest name, as the table has it.
const NAME_CHARS: usize = 100;

/// What shall be true of a department; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its name.
    pub name: Option<String>,
    /// Who works in it.
    pub member_ids: Option<Vec<UserId>>,
}

/// The departments by name.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<Department, String>> {
    identity.require(Permission::ReadCompany)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let rows = db::departments::list(&mut tx, after, limit + 1).await?;
    Ok(Page::cut(rows, limit, |department| (department.name.clone(), department.id.0)))
}

/// One department.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: DepartmentId) -> Result<Department> {
    identity.require(Permission::ReadCompany)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::departments::find(&mut tx, id).await?.ok_or(Error::NotFound("department"))
}

/// Makes one; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for the name or for somebody who is no member, `Conflict` for a name that is taken.
pub async fn create(
    app: &App,
    identity: &Identity,
    name: &str,
    member_ids: Vec<UserId>,
    key: Option<&IdempotencyKey>,
) -> Result<Department> {
    identity.require(Permission::ManageDepartments)?;
    let id = DepartmentId(app.clock.new_id());
    let name = text::line("name", name, NAME_CHARS)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let asked = json!([name, member_ids]);
    if let Some(known) = idempotency::claim(&mut tx, key, "department", &asked, id.0).await? {
        let known = db::departments::find(&mut tx, DepartmentId(known)).await?;
        return known.ok_or(Error::NotFound("department"));
    }
    db::departments::insert(&mut tx, id, &name, app.clock.now()).await?;
    set_members(&mut tx, id, member_ids).await?;
    let object = ("department", Some(id.0));
    let detail = json!({ "name": name });
    audit::record(app, &mut tx, By::Caller(identity), "department.created", object, detail).await?;
    let department = db::departments::find(&mut tx, id).await?.ok_or(Error::NotFound("department"))?;
    tx.commit().await?;
    Ok(department)
}

/// Changes one.
///
/// # Errors
/// As [`create`], and `NotFound`.
pub async fn change(app: &App, identity: &Identity, id: DepartmentId, change: Change) -> Result<Department> {
    identity.require(Permission::ManageDepartments)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::departments::find(&mut tx, id).await?.ok_or(Error::NotFound("department"))?;
    if let Some(name) = &change.name {
        db::departments::rename(&mut tx, id, &text::line("name", name, NAME_CHARS)?).await?;
    }
    let detail = json!({ "name": change.name, "member_ids": change.member_ids });
    if let Some(members) = change.member_ids {
        set_members(&mut tx, id, members).await?;
    }
    let object = ("department", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "department.changed", object, detail).await?;
    let department = db::departments::find(&mut tx, id).await?.ok_or(Error::NotFound("department"))?;
    tx.commit().await?;
    Ok(department)
}

/// Removes one; what waited in its queue is nobody's, and who held some of it still does.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, identity: &Identity, id: DepartmentId) -> Result<()> {
    identity.require(Permission::ManageDepartments)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    // Conversations, sessions, departments, as everywhere.
    let conversations = db::conversations::leave_department(&mut tx, id).await?;
    let sessions = db::sessions::leave_department(&mut tx, id, app.clock.now()).await?;
    if !db::departments::delete(&mut tx, id).await? {
        return Err(Error::NotFound("department"));
    }
    let mut outgoing = Outgoing::default();
    note_released(app, identity, &mut tx, Gone::Department(id), &conversations).await?;
    tell_released(identity.scope, conversations, sessions, &mut outgoing)?;
    let object = ("department", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "department.deleted", object, json!({})).await?;
    outbox::commit(app, tx, outgoing).await
}

async fn set_members(tx: &mut db::TenantTx, id: DepartmentId, mut members: Vec<UserId>) -> Result<()> {
    members.sort_unstable();
    members.dedup();
    let put_in = db::departments::set_members(tx, id, &members).await?;
    if put_in == members.len() as u64 {
        Ok(())
    } else {
        Err(Error::invalid("member_ids", "somebody in this list is no member of the company"))
    }
}
