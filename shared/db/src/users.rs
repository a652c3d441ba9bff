//! People: who they are, and where they belong. Seen by themselves, by who gives their address, and by colleagues.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::user::{Locale, Role};
use domain::{CompanyId, UserId};

use crate::error::OnConstraint;
use crate::{IdentityTx, PersonTx, Result, TenantTx};

/// A person. `Debug` prints who, and nothing about them.
#[derive(Clone)]
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
    /// SHA-256 of the registration's proof; `None` once the address is proved.
    pub registration_hash: Option<String>,
    /// The language of what they are written.
    pub locale: Locale,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
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
                  registration_hash, locale AS "locale: Locale"
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
                  registration_hash, locale AS "locale: Locale"
           FROM users WHERE id = $1"#,
        user_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lists the companies of the person that `tx` is about, or acts as, in which they are active, oldest membership first.
///
/// # Errors
/// Database errors only.
pub async fn list_memberships(tx: &mut impl PersonTx, user_id: UserId) -> Result<Vec<Membership>> {
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
        "INSERT INTO users (id, email, name, password_hash, email_verified_at, registration_hash, locale)
         VALUES ($1, $2::text::citext, $3, $4, $5, $6, $7)",
        user.id.0,
        user.email,
        user.name,
        user.password_hash,
        user.email_verified_at,
        user.registration_hash,
        user.locale as _
    )
    .execute(tx.connection())
    .await
    .on_constraint("users_email_key", "this email address is in use")?;
    Ok(())
}

/// Writes who registers again over a registration whose address is not proved; `false` when it was proved meanwhile.
///
/// # Errors
/// Database errors only.
pub async fn register_again(tx: &mut TenantTx, user: &User) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE users SET name = $2, password_hash = $3, registration_hash = $4, locale = $5
         WHERE id = $1 AND email_verified_at IS NULL",
        user.id.0,
        user.name,
        user.password_hash,
        user.registration_hash,
        user.locale as _
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Puts another proof in the place of a registration's last one.
///
/// # Errors
/// Database errors only.
pub async fn set_registration_hash(tx: &mut IdentityTx, user_id: UserId, hash: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE users SET registration_hash = $2 WHERE id = $1 AND email_verified_at IS NULL",
        user_id.0,
        hash
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that the address of the registration with this proof is proved; `false` when there is none any more.
///
/// # Errors
/// Database errors only.
pub async fn set_email_verified(
    tx: &mut IdentityTx,
    user_id: UserId,
    registration_hash: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE users SET email_verified_at = $3, registration_hash = NULL
         WHERE id = $1 AND email_verified_at IS NULL AND registration_hash IS NOT DISTINCT FROM $2",
        user_id.0,
        registration_hash,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Gives an account whose address is not proved to who just proved it: no way in that was there before is left.
/// `false` when the address was proved meanwhile; then nothing changes.
///
/// # Errors
/// Database errors only.
pub async fn claim(
    tx: &mut impl PersonTx,
    user_id: UserId,
    name: &str,
    password_hash: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE users SET name = $2, password_hash = $3, email_verified_at = $4, registration_hash = NULL
         WHERE id = $1 AND email_verified_at IS NULL",
        user_id.0,
        name,
        password_hash,
        now
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    forget_ways_in(tx, user_id).await?;
    Ok(true)
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

/// Forgets the person's accounts at identity providers, and the links that were mailed.
///
/// # Errors
/// Database errors only.
pub async fn forget_ways_in(tx: &mut impl PersonTx, user_id: UserId) -> Result<()> {
    sqlx::query!(
        "WITH identities AS (DELETE FROM user_identities WHERE user_id = $1)
         DELETE FROM account_tokens WHERE user_id = $1",
        user_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_nothing_about_a_person() {
        let user = User {
            id: UserId(uuid::Uuid::nil()),
            email: "ana@example.com".to_owned(),
            name: "Ana".to_owned(),
            password_hash: Some("$argon2id$".to_owned()),
            email_verified_at: None,
            registration_hash: Some("abc".to_owned()),
            locale: Locale::Pt,
        };
        assert_eq!(format!("{user:?}"), "User { id: UserId(00000000-0000-0000-0000-000000000000), .. }");
        for principal in [crate::Principal::Email(user.email), crate::Principal::KeyHash("abc".to_owned())] {
            let shown = format!("{principal:?}");
            assert!(!shown.contains("ana") && !shown.contains("abc"), "{shown}");
        }
    }
}
