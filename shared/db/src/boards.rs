//! Boards, and what stands on them in sum.

use chrono::{DateTime, Utc};
use domain::{BoardId, StageId};
use uuid::Uuid;

use crate::{Result, TenantTx};

/// A board, without its stages.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its id.
    pub id: BoardId,
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Grows with every change of the board or of its stages.
    pub version: i32,
    /// Since when there is one.
    pub created_at: DateTime<Utc>,
    /// When it, or a stage of it, last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lists the boards by name, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<Board>> {
    let company_id = tx.company_id();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Board,
        r#"SELECT id AS "id: BoardId", name, description, version, created_at, updated_at
           FROM boards
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
pub async fn find(tx: &mut TenantTx, id: BoardId) -> Result<Option<Board>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Board,
        r#"SELECT id AS "id: BoardId", name, description, version, created_at, updated_at
           FROM boards WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Waits for every other transaction that puts something on this board or into another order, and keeps the next ones
/// waiting; whether there is one.
///
/// # Errors
/// Database errors only.
pub async fn lock(tx: &mut TenantTx, id: BoardId) -> Result<bool> {
    let company_id = tx.company_id();
    let found = sqlx::query!(
        "SELECT id FROM boards WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.is_some())
}

/// Makes one.
///
/// # Errors
/// Database errors only.
pub async fn insert(
    tx: &mut TenantTx,
    id: BoardId,
    name: &str,
    description: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO boards (company_id, id, name, description, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)",
        company_id.0,
        id.0,
        name,
        description,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Says what one is called and what it is for.
///
/// # Errors
/// Database errors only.
pub async fn describe(tx: &mut TenantTx, id: BoardId, name: &str, description: Option<&str>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE boards SET name = $3, description = $4 WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        name,
        description
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that a board, or a stage of it, changed; its version now.
///
/// # Errors
/// Database errors only.
pub async fn touch(tx: &mut TenantTx, id: BoardId, now: DateTime<Utc>) -> Result<i32> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE boards SET version = version + 1, updated_at = $3 WHERE company_id = $1 AND id = $2
         RETURNING version",
        company_id.0,
        id.0,
        now
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Removes one with its stages. No lead stands on it any more.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: BoardId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("DELETE FROM boards WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The leads of one stage whose value is in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The stage; `None` when the board has none.
    pub stage_id: Option<StageId>,
    /// The currency; `None` of leads without a value, and for a stage without leads.
    pub currency: Option<String>,
    /// How many leads.
    pub count: i64,
    /// Their values together, in minor units.
    pub value: i64,
}

/// What stands on a board in sum: at least one row a stage, in the order of the stages; nothing when there is no such
/// board.
///
/// # Errors
/// Database errors only.
pub async fn sum_up(tx: &mut TenantTx, id: BoardId) -> Result<Vec<Sum>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Sum,
        r#"SELECT s.id AS "stage_id?: StageId", sums.currency AS "currency?",
                  coalesce(sums.count, 0) AS "count!", coalesce(sums.value, 0) AS "value!"
           FROM boards b
           LEFT JOIN board_stages s ON s.company_id = $1 AND s.board_id = b.id
           LEFT JOIN LATERAL (
               SELECT l.currency, count(*) AS count, sum(l.value)::bigint AS value FROM leads l
               WHERE l.company_id = $1 AND l.stage_id = s.id GROUP BY l.currency) AS sums ON true
           WHERE b.company_id = $1 AND b.id = $2
           ORDER BY s.position, sums.currency"#,
        company_id.0,
        id.0
    )
    .fetch_all(tx.connection())
    .await?)
}
