//! People, memberships and API keys.

use domain::user::Role;
use domain::{ApiKeyId, CompanyId, UserId};

use crate::error::OnConstraint;
use crate::{Db, IdentityTx, Result, TenantTx};

/// A person as log-in needs it.
#[derive(Clone, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Address, compared without case.
    pub email: String,
    /// Display name.
    pub name: String,
    /// PHC string (Argon2id).
    pub password_hash: String,
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

/// An API key that was found by its hash.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The company that it speaks for.
    pub company_id: CompanyId,
    /// Its id.
    pub id: ApiKeyId,
    /// What it may do.
    pub role: Role,
}

/// Finds a person by address, before anything about them is known.
///
/// # Errors
/// Database errors only.
pub async fn find_by_email(db: &Db, email: &str) -> Result<Option<User>> {
    let mut tx = db.begin_system().await?;
    Ok(sqlx::query_as!(
        User,
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, password_hash
           FROM users WHERE email = $1::text::citext"#,
        email
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds the person that an [`IdentityTx`] is about.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut IdentityTx, user_id: UserId) -> Result<Option<User>> {
    Ok(sqlx::query_as!(
        User,
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, password_hash FROM users WHERE id = $1"#,
        user_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lists the companies of the person that `tx` is about, oldest membership first.
///
/// # Errors
/// Database errors only.
pub async fn list_memberships(tx: &mut IdentityTx, user_id: UserId) -> Result<Vec<Membership>> {
    Ok(sqlx::query_as!(
        Membership,
        r#"SELECT m.company_id AS "company_id: CompanyId", c.name AS company_name, m.role AS "role: Role"
           FROM memberships m JOIN companies c ON c.id = m.company_id
           WHERE m.user_id = $1 ORDER BY m.created_at, m.company_id"#,
        user_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds the key that `tx` is about, unless it was revoked.
///
/// # Errors
/// Database errors only.
pub async fn find_api_key(tx: &mut IdentityTx, key_hash: &str) -> Result<Option<ApiKey>> {
    Ok(sqlx::query_as!(
        ApiKey,
        r#"SELECT company_id AS "company_id: CompanyId", id AS "id: ApiKeyId", role AS "role: Role"
           FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL"#,
        key_hash
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes a person.
///
/// # Errors
/// `Conflict` when the address is taken.
pub async fn insert(tx: &mut TenantTx, user: &User) -> Result<()> {
    sqlx::query!(
        "INSERT INTO users (id, email, name, password_hash, email_verified_at)
         VALUES ($1, $2::text::citext, $3, $4, now())",
        user.id.0,
        user.email,
        user.name,
        user.password_hash
    )
    .execute(tx.connection())
    .await
    .on_constraint("users_email_key", "this email address is in use")?;
    Ok(())
}

/// Makes the company that `tx` speaks for.
///
/// # Errors
/// Database errors only.
pub async fn insert_company(tx: &mut TenantTx, name: &str) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("INSERT INTO companies (id, name) VALUES ($1, $2)", company_id.0, name)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Makes a person a member of the company.
///
/// # Errors
/// `Conflict` when the person is one already.
pub async fn insert_membership(tx: &mut TenantTx, user_id: UserId, role: Role) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, $3)",
        company_id.0,
        user_id.0,
        role as _
    )
    .execute(tx.connection())
    .await
    .on_constraint("memberships_pkey", "this person is a member already")?;
    Ok(())
}

/// Makes an API key; only its hash is kept.
///
/// # Errors
/// `Conflict` when the key exists.
pub async fn insert_api_key(
    tx: &mut TenantTx,
    id: ApiKeyId,
    name: &str,
    key_hash: &str,
    role: Role,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO api_keys (company_id, id, name, key_hash, role) VALUES ($1, $2, $3, $4, $5)",
        company_id.0,
        id.0,
        name,
        key_hash,
        role as _
    )
    .execute(tx.connection())
    .await
    .on_constraint("api_keys_key_hash_key", "this key exists already")?;
    Ok(())
}
