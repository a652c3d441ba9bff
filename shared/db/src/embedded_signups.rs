//! Meta's Embedded Signup: the tokens that codes were exchanged for. Sealed, and kept for as long as somebody may ask again.

use chrono::{DateTime, Utc};

use crate::{Result, SystemTx, TenantTx};

/// Keeps the token of a code; one that is kept already stays.
///
/// # Errors
/// Database errors only.
pub async fn keep(tx: &mut TenantTx, code_hash: &str, access_token: &str, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO embedded_signups (company_id, code_hash, access_token, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (company_id, code_hash) DO NOTHING",
        company_id.0,
        code_hash,
        access_token,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The sealed token of a code that was exchanged after `since`.
///
/// # Errors
/// Database errors only.
pub async fn find_token(tx: &mut TenantTx, code_hash: &str, since: DateTime<Utc>) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "SELECT access_token FROM embedded_signups WHERE company_id = $1 AND code_hash = $2 AND created_at > $3",
        company_id.0,
        code_hash,
        since
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Deletes at most `limit` tokens of all companies that are older than `time`; how many.
///
/// # Errors
/// Database errors only.
pub async fn delete_older(tx: &mut SystemTx, time: DateTime<Utc>, limit: i64) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM embedded_signups WHERE (company_id, code_hash) IN
             (SELECT company_id, code_hash FROM embedded_signups WHERE created_at < $1 LIMIT $2)",
        time,
        limit
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}
