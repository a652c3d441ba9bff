//! Repeated POSTs: a key that a client chose stands for one created resource.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Result, SystemTx, TenantTx};

/// What a key stands for already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Hash of the request that came first.
    pub request_hash: String,
    /// What it made.
    pub resource_id: Uuid,
}

/// Takes `key` for `resource_id`, or returns what it stands for already.
///
/// Two requests with one key at once: the second waits for the first to commit or roll back.
///
/// # Errors
/// Database errors only.
pub async fn claim(
    tx: &mut TenantTx,
    key: &str,
    request_hash: &str,
    resource_id: Uuid,
) -> Result<Option<Known>> {
    let company_id = tx.company_id();
    let claimed = sqlx::query!(
        "INSERT INTO idempotency_keys (company_id, key, request_hash, resource_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT (company_id, key) DO NOTHING",
        company_id.0,
        key,
        request_hash,
        resource_id
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    if claimed == 1 {
        return Ok(None);
    }
    let known = sqlx::query_as!(
        Known,
        "SELECT request_hash, resource_id FROM idempotency_keys WHERE company_id = $1 AND key = $2",
        company_id.0,
        key
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Some(known))
}

/// Deletes at most `limit` keys of all companies that are older than `time`; how many.
///
/// # Errors
/// Database errors only.
pub async fn delete_older(tx: &mut SystemTx, time: DateTime<Utc>, limit: i64) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE (company_id, key) IN
             (SELECT company_id, key FROM idempotency_keys WHERE created_at < $1 LIMIT $2)",
        time,
        limit
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}
