//! Tokens that are sent by mail and good once. Only their SHA-256 is kept.

use chrono::{DateTime, Utc};
use domain::UserId;

use crate::{IdentityTx, Result, SystemTx};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Proves an address.
    VerifyEmail,
    /// Allows a new password.
    ResetPassword,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }
}

/// Makes the person's token for a purpose, in place of the last.
///
/// # Errors
/// Database errors only.
pub async fn replace(
    tx: &mut IdentityTx,
    user_id: UserId,
    purpose: Purpose,
    token_hash: &str,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO account_tokens (user_id, purpose, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, purpose) DO UPDATE
         SET token_hash = excluded.token_hash, created_at = excluded.created_at, expires_at = excluded.expires_at",
        user_id.0,
        purpose.as_str(),
        token_hash,
        now,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whose token this is; `tx` was told its hash. `None` for an unknown, used, replaced or expired one.
///
/// # Errors
/// Database errors only.
pub async fn find_shown(
    tx: &mut IdentityTx,
    purpose: Purpose,
    token_hash: &str,
    now: DateTime<Utc>,
) -> Result<Option<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id: UserId" FROM account_tokens
           WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3"#,
        token_hash,
        purpose.as_str(),
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Uses a token up; `false` when somebody else was faster.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut IdentityTx, token_hash: &str) -> Result<bool> {
    let done = sqlx::query!("DELETE FROM account_tokens WHERE token_hash = $1", token_hash)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes at most `limit` tokens of anybody that expired before `time`; how many.
///
/// # Errors
/// Database errors only.
pub async fn delete_expired(tx: &mut SystemTx, time: DateTime<Utc>, limit: i64) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM account_tokens WHERE (user_id, purpose) IN
             (SELECT user_id, purpose FROM account_tokens WHERE expires_at < $1 LIMIT $2)",
        time,
        limit
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}
