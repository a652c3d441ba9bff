//! The audit log: who did what to which object, from where. Only grows.

use chrono::{DateTime, Utc};
use domain::UserId;
use uuid::Uuid;

use crate::{PersonTx, Result, TenantTx};

/// One line of the log.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// `person`, `api_key` or `system`.
    pub actor_kind: String,
    /// Who.
    pub actor_id: Option<Uuid>,
    /// What, as `<object>.<verb>`.
    pub action: String,
    /// The kind of the object.
    pub object_kind: String,
    /// Which.
    pub object_id: Option<Uuid>,
    /// From which address; empty for the system.
    pub ip: String,
    /// More about it; never a secret.
    pub detail: serde_json::Value,
}

/// Adds a line.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, entry: &AuditEntry) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO audit_log (company_id, id, at, actor_kind, actor_id, action, object_kind, object_id, ip, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        company_id.0,
        entry.id,
        entry.at,
        entry.actor_kind,
        entry.actor_id,
        entry.action,
        entry.object_kind,
        entry.object_id,
        entry.ip,
        entry.detail
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Adds a line about a person, whom `tx` acts as, to the log of every company in which they are active.
///
/// # Errors
/// Database errors only.
pub async fn insert_of_person(tx: &mut impl PersonTx, user_id: UserId, entry: &AuditEntry) -> Result<()> {
    sqlx::query!(
        "INSERT INTO audit_log (company_id, id, at, actor_kind, actor_id, action, object_kind, object_id, ip, detail)
         SELECT company_id, $2, $3, $4, $5, $6, $7, $1, $8, $9
         FROM memberships WHERE user_id = $1 AND deactivated_at IS NULL",
        user_id.0,
        entry.id,
        entry.at,
        entry.actor_kind,
        entry.actor_id,
        entry.action,
        entry.object_kind,
        entry.ip,
        entry.detail
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Which lines to list; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of whom.
    pub actor_id: Option<Uuid>,
    /// What was done.
    pub action: Option<String>,
    /// To which kind of object.
    pub object_kind: Option<String>,
    /// To which object.
    pub object_id: Option<Uuid>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
}

/// A page of the log, newest first.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<AuditEntry>> {
    let company_id = tx.company_id();
    let (at, id) = after.map_or((None, Uuid::max()), |(at, id)| (Some(at), id));
    Ok(sqlx::query_as!(
        AuditEntry,
        r#"SELECT id, at, actor_kind, actor_id, action, object_kind, object_id, ip, detail
           FROM audit_log
           WHERE company_id = $1 AND (at, id) < (coalesce($2, 'infinity'::timestamptz), $3)
             AND ($5::uuid IS NULL OR actor_id = $5) AND ($6::text IS NULL OR action = $6)
             AND ($7::text IS NULL OR object_kind = $7) AND ($8::uuid IS NULL OR object_id = $8)
             AND ($9::timestamptz IS NULL OR at >= $9) AND ($10::timestamptz IS NULL OR at < $10)
           ORDER BY at DESC, id DESC LIMIT $4"#,
        company_id.0,
        at,
        id,
        limit,
        filter.actor_id,
        filter.action,
        filter.object_kind,
        filter.object_id,
        filter.from,
        filter.to
    )
    .fetch_all(tx.connection())
    .await?)
}
