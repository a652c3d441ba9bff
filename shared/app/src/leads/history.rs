//! What happened to leads: who, when, from where to where, and why.

use db::TenantTx;
use db::lead_history::Entry;
use domain::board::LeadChange;
use domain::{CompanyScope, LeadId};
use serde_json::Value;

use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::{App, Page, Position, audit};

/// What happened, without who and when.
pub(crate) struct Happened {
    pub(crate) kind: LeadChange,
    pub(crate) was: Option<Value>,
    pub(crate) became: Option<Value>,
    pub(crate) reason: Option<String>,
}

/// What happened to a lead, newest first.
///
/// # Errors
/// `NotFound`.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    id: LeadId,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Entry>> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::leads::places::find(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?;
    let rows = db::lead_history::list(&mut tx, id, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |entry| (entry.at, entry.id)))
}

/// Notes the same of several leads.
pub(crate) async fn record(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    leads: &[LeadId],
    happened: Happened,
) -> Result<()> {
    let (actor_kind, actor_id) = audit::actor(caller);
    let entry = Entry {
        id: app.clock.new_id(),
        at: app.clock.now(),
        kind: happened.kind,
        actor_kind: actor_kind.to_owned(),
        actor_id,
        was: happened.was,
        became: happened.became,
        reason: happened.reason,
    };
    let leads: Vec<_> = leads.iter().map(|lead| (*lead, app.clock.new_id())).collect();
    Ok(db::lead_history::insert(tx, &leads, &entry).await?)
}
