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
    /// Makes a company for who has an account and none.
    NewCompany,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::NewCompany => "new_company",
        }
    }
}

/// A token that leaves by mail.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// Whose.
    pub user_id: UserId,
    /// What it is for.
    pub purpose: Purpose,
    /// Its SHA-256, hexadecimal.
    pub token_hash: &'a str,
    /// How the new company is called; for [`Purpose::NewCompany`] alone.
    pub company_name: Option<&'a str>,
    /// When it is made.
    pub created_at: DateTime<Utc>,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

/// Makes the person's token for a purpose, in place of the last.
///
/// # Errors
/// Database errors only.
pub async fn replace(tx: &mut IdentityTx, token: NewToken<'_>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO account_tokens (user_id, purpose, token_hash, company_name, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id, purpose) DO UPDATE
         SET token_hash = excluded.token_hash, company_name = excluded.company_name,
             created_at = excluded.created_at, expires_at = excluded.expires_at",
        token.user_id.0,
        token.purpose.as_str(),
        token.token_hash,
        token.company_name,
        token.created_at,
        token.expires_at
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

/// Whose token for a new company this is, and how that is called; `tx` was told its hash.
///
/// # Errors
/// Database errors only.
pub async fn find_new_company(
    tx: &mut IdentityTx,
    token_hash: &str,
    now: DateTime<Utc>,
) -> Result<Option<(UserId, String)>> {
    let found = sqlx::query!(
        r#"SELECT user_id AS "user_id: UserId", company_name AS "company_name!" FROM account_tokens
           WHERE token_hash = $1 AND purpose = 'new_company' AND expires_at > $2"#,
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.map(|row| (row.user_id, row.company_name)))
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
