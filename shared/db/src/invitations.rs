//! Invitations of people into a company.

use chrono::{DateTime, Utc};
use domain::user::{Locale, Role};
use domain::{CompanyId, InvitationId, UserId};
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{IdentityTx, Result, TenantTx};

/// An invitation.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Who is invited.
    pub email: String,
    /// What they will be.
    pub role: Role,
    /// The language of the mail.
    pub locale: Locale,
    /// Who invites.
    pub invited_by: Option<UserId>,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// An invitation that somebody shows the token of.
#[derive(Clone, Debug)]
pub struct ShownInvitation {
    /// The company that invites.
    pub company_id: CompanyId,
    /// Its id.
    pub id: InvitationId,
    /// Who is invited.
    pub email: String,
    /// What they will be.
    pub role: Role,
    /// The language of the mail, and of an account that is made by it.
    pub locale: Locale,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

/// Finds the open invitation whose token's hash `tx` was told.
///
/// # Errors
/// Database errors only.
pub async fn find_shown(tx: &mut IdentityTx, token_hash: &str) -> Result<Option<ShownInvitation>> {
    Ok(sqlx::query_as!(
        ShownInvitation,
        r#"SELECT company_id AS "company_id: CompanyId", id AS "id: InvitationId", email::text AS "email!",
                  role AS "role: Role", locale AS "locale: Locale", expires_at
           FROM invitations WHERE token_hash = $1 AND accepted_at IS NULL AND revoked_at IS NULL"#,
        token_hash
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lists the open ones, newest first.
///
/// # Errors
/// Database errors only.
pub async fn list_open(
    tx: &mut TenantTx,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Invitation>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Invitation,
        r#"SELECT id AS "id: InvitationId", email::text AS "email!", role AS "role: Role", locale AS "locale: Locale",
                  invited_by AS "invited_by: UserId", expires_at, created_at
           FROM invitations
           WHERE company_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL
             AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                     coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           ORDER BY created_at DESC, id DESC LIMIT $4"#,
        company_id.0,
        before_at,
        before_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Takes back the open ones to this address that nobody answered in time.
///
/// # Errors
/// Database errors only.
pub async fn revoke_expired(tx: &mut TenantTx, email: &str, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE invitations SET revoked_at = $3, token_hash = NULL
         WHERE company_id = $1 AND email = $2::text::citext AND expires_at <= $3
           AND accepted_at IS NULL AND revoked_at IS NULL",
        company_id.0,
        email,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds an open one.
///
/// # Errors
/// Database errors only.
pub async fn find_open(tx: &mut TenantTx, id: InvitationId) -> Result<Option<Invitation>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Invitation,
        r#"SELECT id AS "id: InvitationId", email::text AS "email!", role AS "role: Role", locale AS "locale: Locale",
                  invited_by AS "invited_by: UserId", expires_at, created_at
           FROM invitations WHERE company_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes one.
///
/// # Errors
/// `Conflict` when the person has an open one.
pub async fn insert(tx: &mut TenantTx, invitation: &Invitation) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO invitations (company_id, id, email, role, locale, invited_by, expires_at, created_at)
         VALUES ($1, $2, $3::text::citext, $4, $5, $6, $7, $8)",
        company_id.0,
        invitation.id.0,
        invitation.email,
        invitation.role as _,
        invitation.locale as _,
        invitation.invited_by.map(|user| user.0),
        invitation.expires_at,
        invitation.created_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("invitations_open", "this person was invited already")?;
    Ok(())
}

/// Sets the token by which an open one is accepted, in place of the last.
///
/// # Errors
/// Database errors only.
pub async fn set_token(tx: &mut TenantTx, id: InvitationId, token_hash: &str) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE invitations SET token_hash = $3 WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        token_hash
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that one was accepted; whether it was open until now.
///
/// # Errors
/// Database errors only.
pub async fn set_accepted(tx: &mut TenantTx, id: InvitationId, now: DateTime<Utc>) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE invitations SET accepted_at = $3, token_hash = NULL
         WHERE company_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL",
        company_id.0,
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes one back; whether it was open until now.
///
/// # Errors
/// Database errors only.
pub async fn revoke(tx: &mut TenantTx, id: InvitationId, now: DateTime<Utc>) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE invitations SET revoked_at = $3, token_hash = NULL
         WHERE company_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL",
        company_id.0,
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}
