//! People: who they are, and where they belong. Seen by themselves, by who gives their address, and by colleagues.

use chrono::{DateTime, Utc};
use domain::user::{Locale, Role};
use domain::{CompanyId, UserId};

use crate::error::OnConstraint;
use crate::{IdentityTx, Result, TenantTx};

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Address, compared without case.
    pub email: String,
    /// Display name.
    pub name: String,
    /// PHC string (Argon2id); `None` for who never set one.
    pub password_hash: Option<String>,
    /// When the address was proved.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// The language of what they are written.
    pub locale: Locale,
}

/// A person's place in one company.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The company.
    pub company_id: CompanyId,
    /// Its name.
    pub company_name: String,
    /// The person's role in it.
    pub role: Role,
}

/// Finds the person with an address that `tx` was told.
///
/// # Errors
/// Database errors only.
pub async fn find_by_email(tx: &mut IdentityTx, email: &str) -> Result<Option<User>> {
    Ok(sqlx::query_as!(
        User,
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, password_hash, email_verified_at,
                  locale AS "locale: Locale"
           FROM users WHERE email = $1::text::citext"#,
        email
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds the person that `tx` is about.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut IdentityTx, user_id: UserId) -> Result<Option<User>> {
    Ok(sqlx::query_as!(
        User,
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, password_hash, email_verified_at,
                  locale AS "locale: Locale"
           FROM users WHERE id = $1"#,
        user_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lists the companies of the person that `tx` is about in which they are active, oldest membership first.
///
/// # Errors
/// Database errors only.
pub async fn list_memberships(tx: &mut IdentityTx, user_id: UserId) -> Result<Vec<Membership>> {
    Ok(sqlx::query_as!(
        Membership,
        r#"SELECT m.company_id AS "company_id: CompanyId", c.name AS company_name, m.role AS "role: Role"
           FROM memberships m JOIN companies c ON c.id = m.company_id
           WHERE m.user_id = $1 AND m.deactivated_at IS NULL ORDER BY m.created_at, m.company_id"#,
        user_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Makes a person; `tx` must act as them.
///
/// # Errors
/// `Conflict` when the address is taken.
pub async fn insert(tx: &mut TenantTx, user: &User) -> Result<()> {
    sqlx::query!(
        "INSERT INTO users (id, email, name, password_hash, email_verified_at, locale)
         VALUES ($1, $2::text::citext, $3, $4, $5, $6)",
        user.id.0,
        user.email,
        user.name,
        user.password_hash,
        user.email_verified_at,
        user.locale as _
    )
    .execute(tx.connection())
    .await
    .on_constraint("users_email_key", "this email address is in use")?;
    Ok(())
}

/// Notes that the person proved their address; what was proved before stays as it was.
///
/// # Errors
/// Database errors only.
pub async fn set_email_verified(tx: &mut IdentityTx, user_id: UserId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE users SET email_verified_at = coalesce(email_verified_at, $2) WHERE id = $1",
        user_id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Sets a new password.
///
/// # Errors
/// Database errors only.
pub async fn set_password(tx: &mut IdentityTx, user_id: UserId, password_hash: &str) -> Result<()> {
    sqlx::query!("UPDATE users SET password_hash = $2 WHERE id = $1", user_id.0, password_hash)
        .execute(tx.connection())
        .await?;
    Ok(())
}
