//! API keys: found by their hash before a company is known, managed by the company.

use chrono::{DateTime, Utc};
use domain::{ApiKeyId, CompanyId, UserId};
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{IdentityTx, Result, TenantTx};

/// What a key that was shown may do.
#[derive(Clone, Debug)]
pub struct ShownKey {
    /// The company that it speaks for.
    pub company_id: CompanyId,
    /// Its id.
    pub id: ApiKeyId,
    /// Names of permissions.
    pub permissions: Vec<String>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last seen, to a minute or two.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key as its company sees it: never the key itself.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// Its last four characters.
    pub hint: String,
    /// Names of permissions.
    pub permissions: Vec<String>,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it is good; for ever without one.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to a minute or two.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is refused.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Finds the key whose hash `tx` was told, unless it was revoked.
///
/// # Errors
/// Database errors only.
pub async fn find_shown(tx: &mut IdentityTx, key_hash: &str) -> Result<Option<ShownKey>> {
    Ok(sqlx::query_as!(
        ShownKey,
        r#"SELECT company_id AS "company_id: CompanyId", id AS "id: ApiKeyId", permissions, expires_at, last_used_at
           FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL"#,
        key_hash
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Notes that a key was used.
///
/// # Errors
/// Database errors only.
pub async fn touch(tx: &mut TenantTx, id: ApiKeyId, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    tx.relax_durability().await?;
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = greatest(last_used_at, $3) WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Lists the keys, newest first, the revoked ones too.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<ApiKey>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        ApiKey,
        r#"SELECT id AS "id: ApiKeyId", name, hint, permissions, created_by AS "created_by: UserId", created_at,
                  expires_at, last_used_at, revoked_at
           FROM api_keys
           WHERE company_id = $1
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

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        ApiKey,
        r#"SELECT id AS "id: ApiKeyId", name, hint, permissions, created_by AS "created_by: UserId", created_at,
                  expires_at, last_used_at, revoked_at
           FROM api_keys WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds one. It stays as it is until the end of the transaction: what a key may do is not changed twice at once.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let company_id = tx.company_id();
    sqlx::query_scalar!(
        "SELECT id FROM api_keys WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    find(tx, id).await
}

/// Makes a key; only its hash is kept.
///
/// # Errors
/// `Conflict` when the key exists.
pub async fn insert(tx: &mut TenantTx, key: &ApiKey, key_hash: &str) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO api_keys (company_id, id, name, key_hash, hint, permissions, created_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        company_id.0,
        key.id.0,
        key.name,
        key_hash,
        key.hint,
        &key.permissions,
        key.created_by.map(|user| user.0),
        key.created_at,
        key.expires_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("api_keys_key_hash_key", "this key exists already")?;
    Ok(())
}

/// Gives a key the name, the permissions and the end of `key`; its hash.
///
/// # Errors
/// Database errors only.
pub async fn update(tx: &mut TenantTx, key: &ApiKey) -> Result<String> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE api_keys SET name = $3, permissions = $4, expires_at = $5 WHERE company_id = $1 AND id = $2
         RETURNING key_hash",
        company_id.0,
        key.id.0,
        key.name,
        &key.permissions,
        key.expires_at
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Refuses a key from now on; its hash, if it was good until now.
///
/// # Errors
/// Database errors only.
pub async fn revoke(tx: &mut TenantTx, id: ApiKeyId, now: DateTime<Utc>) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE api_keys SET revoked_at = $3 WHERE company_id = $1 AND id = $2 AND revoked_at IS NULL
         RETURNING key_hash",
        company_id.0,
        id.0,
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}
