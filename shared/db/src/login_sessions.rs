//! Log-in sessions: one a person and device, a family of refresh tokens each.

use chrono::{DateTime, Utc};
use domain::user::Role;
use domain::{CompanyId, LoginSessionId, UserId};

use crate::{IdentityTx, Result, SystemTx, TenantTx};

/// A session.
#[derive(Clone, Debug)]
pub struct LoginSession {
    /// Its id.
    pub id: LoginSessionId,
    /// Whose.
    pub user_id: UserId,
    /// The company that its tokens speak for.
    pub active_company_id: CompanyId,
    /// Where it began.
    pub ip: String,
    /// With which program.
    pub user_agent: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When its tokens were last renewed.
    pub refreshed_at: DateTime<Utc>,
    /// When it is over at the latest.
    pub expires_at: DateTime<Utc>,
}

/// A refresh token that somebody shows.
#[derive(Clone, Copy, Debug)]
pub struct ShownToken {
    /// The family that it belongs to.
    pub session_id: LoginSessionId,
    /// Whose.
    pub user_id: UserId,
}

/// Makes a session; `tx` must be about its person.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut IdentityTx, session: &LoginSession) -> Result<()> {
    sqlx::query!(
        "INSERT INTO login_sessions (id, user_id, active_company_id, ip, user_agent, created_at, refreshed_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        session.id.0,
        session.user_id.0,
        session.active_company_id.0,
        session.ip,
        session.user_agent,
        session.created_at,
        session.refreshed_at,
        session.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Adds a refresh token to a session.
///
/// # Errors
/// Database errors only.
pub async fn insert_token(
    tx: &mut IdentityTx,
    session: &LoginSession,
    token_hash: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO refresh_tokens (token_hash, session_id, user_id, created_at) VALUES ($1, $2, $3, $4)",
        token_hash,
        session.id.0,
        session.user_id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds the refresh token whose hash `tx` was told, used or not.
///
/// # Errors
/// Database errors only.
pub async fn find_shown_token(tx: &mut IdentityTx, token_hash: &str) -> Result<Option<ShownToken>> {
    Ok(sqlx::query_as!(
        ShownToken,
        r#"SELECT session_id AS "session_id: LoginSessionId", user_id AS "user_id: UserId"
           FROM refresh_tokens WHERE token_hash = $1"#,
        token_hash
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Uses a refresh token up; `false` when it was used before. Of many at once one succeeds.
///
/// # Errors
/// Database errors only.
pub async fn use_token(tx: &mut IdentityTx, token_hash: &str, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE refresh_tokens SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL",
        token_hash,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes that a session's tokens were renewed; `None` when it has ended.
///
/// # Errors
/// Database errors only.
pub async fn refresh(
    tx: &mut IdentityTx,
    id: LoginSessionId,
    now: DateTime<Utc>,
) -> Result<Option<LoginSession>> {
    Ok(sqlx::query_as!(
        LoginSession,
        r#"UPDATE login_sessions SET refreshed_at = $2 WHERE id = $1 AND ended_at IS NULL AND expires_at > $2
           RETURNING id AS "id: LoginSessionId", user_id AS "user_id: UserId",
                     active_company_id AS "active_company_id: CompanyId", ip, user_agent, created_at, refreshed_at,
                     expires_at"#,
        id.0,
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes a session speak for another company; `false` when it has ended.
///
/// # Errors
/// Database errors only.
pub async fn switch_company(tx: &mut IdentityTx, id: LoginSessionId, company_id: CompanyId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE login_sessions SET active_company_id = $2 WHERE id = $1 AND ended_at IS NULL",
        id.0,
        company_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The role that a session's person has in a company now; `None` when the session has ended or the person was shut out.
///
/// # Errors
/// Database errors only.
pub async fn find_role(
    tx: &mut IdentityTx,
    id: LoginSessionId,
    company_id: CompanyId,
    now: DateTime<Utc>,
) -> Result<Option<Role>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT m.role AS "role: Role" FROM login_sessions s JOIN memberships m ON m.user_id = s.user_id
           WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $3
             AND m.company_id = $2 AND m.deactivated_at IS NULL"#,
        id.0,
        company_id.0,
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lists a person's open sessions, newest first.
///
/// # Errors
/// Database errors only.
pub async fn list_open(
    tx: &mut IdentityTx,
    user_id: UserId,
    now: DateTime<Utc>,
) -> Result<Vec<LoginSession>> {
    Ok(sqlx::query_as!(
        LoginSession,
        r#"SELECT id AS "id: LoginSessionId", user_id AS "user_id: UserId",
                  active_company_id AS "active_company_id: CompanyId", ip, user_agent, created_at, refreshed_at,
                  expires_at
           FROM login_sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2
           ORDER BY created_at DESC, id DESC"#,
        user_id.0,
        now
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Ends one session of a person; whether it was open.
///
/// # Errors
/// Database errors only.
pub async fn end(
    tx: &mut IdentityTx,
    user_id: UserId,
    id: LoginSessionId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE login_sessions SET ended_at = $4, end_reason = $3 WHERE id = $2 AND user_id = $1 AND ended_at IS NULL",
        user_id.0,
        id.0,
        reason,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends all sessions of a person; those that were open until now.
///
/// # Errors
/// Database errors only.
pub async fn end_all(
    tx: &mut IdentityTx,
    user_id: UserId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Vec<LoginSessionId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE login_sessions SET ended_at = $3, end_reason = $2 WHERE user_id = $1 AND ended_at IS NULL
           RETURNING id AS "id: LoginSessionId""#,
        user_id.0,
        reason,
        now
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Ends the sessions of a member that speak for the company.
///
/// # Errors
/// Database errors only.
pub async fn end_of_member(
    tx: &mut TenantTx,
    user_id: UserId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE login_sessions SET ended_at = $4, end_reason = $3
         WHERE active_company_id = $1 AND user_id = $2 AND ended_at IS NULL",
        company_id.0,
        user_id.0,
        reason,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes at most `limit` sessions of anybody that were over before `time`, with their refresh tokens; how many.
///
/// # Errors
/// Database errors only.
pub async fn delete_over(tx: &mut SystemTx, time: DateTime<Utc>, limit: i64) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM login_sessions WHERE id IN
             (SELECT id FROM login_sessions WHERE least(expires_at, ended_at) < $1 LIMIT $2)",
        time,
        limit
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}
