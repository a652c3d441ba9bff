//! What happened to leads. Only grows, and goes with its lead.

use chrono::{DateTime, Utc};
use domain::LeadId;
use domain::board::LeadChange;
use serde_json::Value;
use uuid::Uuid;

use crate::{Result, TenantTx};

/// One thing that happened to a lead.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: LeadChange,
    /// `person`, `api_key` or `system`.
    pub actor_kind: String,
    /// Who.
    pub actor_id: Option<Uuid>,
    /// What it was before: the stage, or the fields that changed.
    pub was: Option<Value>,
    /// What it became.
    pub became: Option<Value>,
    /// Why.
    pub reason: Option<String>,
}

/// Adds the same entry to several leads, to each with an id of its own in place of the entry's.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, leads: &[(LeadId, Uuid)], entry: &Entry) -> Result<()> {
    let company_id = tx.company_id();
    let (leads, ids): (Vec<_>, Vec<_>) = leads.iter().map(|(lead, id)| (lead.0, *id)).unzip();
    sqlx::query!(
        "INSERT INTO lead_history (company_id, lead_id, id, at, kind, actor_kind, actor_id, was, became, reason)
         SELECT $1, lead_id, id, $4, $5, $6, $7, $8, $9, $10
         FROM unnest($2::uuid[], $3::uuid[]) AS new (lead_id, id)",
        company_id.0,
        &leads,
        &ids,
        entry.at,
        entry.kind as _,
        entry.actor_kind,
        entry.actor_id,
        entry.was,
        entry.became,
        entry.reason
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What happened to one, newest first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    lead_id: LeadId,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Entry>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Entry,
        r#"SELECT id, at, kind AS "kind: LeadChange", actor_kind, actor_id, was, became, reason
           FROM lead_history
           WHERE company_id = $1 AND lead_id = $2
             AND (at, id) < (coalesce($3, 'infinity'::timestamptz),
                             coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           ORDER BY at DESC, id DESC LIMIT $5"#,
        company_id.0,
        lead_id.0,
        before_at,
        before_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}
