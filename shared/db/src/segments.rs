//! Segments: saved filters over contacts, and who passes one.
//!
//! Rooms: here what is saved · [`filter`] a filter in SQL.

mod filter;

use chrono::{DateTime, Utc};
use domain::SegmentId;
use serde_json::Value;
use uuid::Uuid;

use crate::error::OnConstraint as _;
use crate::{Result, TenantTx};

pub use filter::{count, list_contacts};

const NAME_TAKEN: &str = "a segment of this name exists";

/// A segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// What it is called; unique in the company.
    pub name: String,
    /// As [`domain::segment`] reads it.
    pub filter: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lists the segments by name, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<Segment>> {
    let company_id = tx.company_id();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Segment,
        r#"SELECT id AS "id: SegmentId", name, filter, created_at, updated_at
           FROM segments
           WHERE company_id = $1 AND ($2::text IS NULL OR (lower(name), id) > (lower($2), $3::uuid))
           ORDER BY lower(name), id LIMIT $4"#,
        company_id.0,
        after_name,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: SegmentId) -> Result<Option<Segment>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Segment,
        r#"SELECT id AS "id: SegmentId", name, filter, created_at, updated_at
           FROM segments WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds one, and keeps others from changing or removing it.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: SegmentId) -> Result<Option<Segment>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Segment,
        r#"SELECT id AS "id: SegmentId", name, filter, created_at, updated_at
           FROM segments WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Saves one.
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn insert(tx: &mut TenantTx, segment: &Segment) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO segments (company_id, id, name, filter, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        company_id.0,
        segment.id.0,
        segment.name,
        segment.filter,
        segment.created_at,
        segment.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("segments_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Writes what may change of one.
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn update(tx: &mut TenantTx, segment: &Segment) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE segments SET name = $3, filter = $4, updated_at = $5 WHERE company_id = $1 AND id = $2",
        company_id.0,
        segment.id.0,
        segment.name,
        segment.filter,
        segment.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("segments_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Removes one; whether there was one.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: SegmentId) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!("DELETE FROM segments WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() > 0)
}
