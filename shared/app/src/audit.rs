//! Who did what to which object, from where: a line in the same transaction as the change.

use db::TenantTx;
use db::audit::AuditEntry;
use domain::UserId;
use domain::user::Permission;
use serde_json::Value;
use uuid::Uuid;

use crate::auth::{Actor, Client, Identity};
use crate::error::Result;
use crate::{App, Page, Position};

/// Who acts.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A caller of the API.
    Caller(&'a Identity),
    /// A person who is not logged in, but proved who they are.
    Person(UserId, &'a Client),
}

/// Adds a line: `action` is `<object>.<verb>`, `object` its kind and id. `detail` never holds a secret.
///
/// # Errors
/// Database errors only.
pub async fn record(
    app: &App,
    tx: &mut TenantTx,
    by: By<'_>,
    action: &str,
    object: (&str, Option<Uuid>),
    detail: Value,
) -> Result<()> {
    let (actor_kind, actor_id, client) = match by {
        By::Caller(Identity { actor: Actor::Person { user_id, .. }, client, .. }) => {
            ("person", user_id.0, client)
        }
        By::Caller(Identity { actor: Actor::Key { id, .. }, client, .. }) => ("api_key", id.0, client),
        By::Person(user_id, client) => ("person", user_id.0, client),
    };
    let entry = AuditEntry {
        id: app.clock.new_id(),
        at: app.clock.now(),
        actor_kind: actor_kind.to_owned(),
        actor_id: Some(actor_id),
        action: action.to_owned(),
        object_kind: object.0.to_owned(),
        object_id: object.1,
        ip: client.ip.clone(),
        detail,
    };
    Ok(db::audit::insert(tx, &entry).await?)
}

/// A page of the company's log, newest first.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    after: Option<Position>,
    limit: i64,
) -> Result<Page<AuditEntry>> {
    identity.require(Permission::ReadAuditLog)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let entries = db::audit::list(&mut tx, after, limit + 1).await?;
    Ok(Page::cut(entries, limit, |entry| (entry.at, entry.id)))
}
