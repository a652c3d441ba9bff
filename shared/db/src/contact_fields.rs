//! Fields of its own that a company keeps of its customers. Values stand in `contacts.custom`.

use chrono::{DateTime, Utc};
use domain::ContactFieldId;
use domain::contact::FieldType;
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{Result, TenantTx};

/// A field.
#[derive(Clone, Debug)]
pub struct ContactField {
    /// Its id.
    pub id: ContactFieldId,
    /// Its name in `custom`; unique in the company, and never changed.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// What it holds; never changed.
    pub field_type: FieldType,
    /// What there is to choose from.
    pub options: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lists fields by label, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<ContactField>> {
    let company_id = tx.company_id();
    let (after_label, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        ContactField,
        r#"SELECT id AS "id: ContactFieldId", key, label, type AS "field_type: FieldType", options, created_at, updated_at
           FROM contact_fields
           WHERE company_id = $1 AND ($2::text IS NULL OR (lower(label), id) > (lower($2), $3::uuid))
           ORDER BY lower(label), id LIMIT $4"#,
        company_id.0,
        after_label,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Lists every field.
///
/// # Errors
/// Database errors only.
pub async fn list_all(tx: &mut TenantTx) -> Result<Vec<ContactField>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        ContactField,
        r#"SELECT id AS "id: ContactFieldId", key, label, type AS "field_type: FieldType", options, created_at, updated_at
           FROM contact_fields WHERE company_id = $1"#,
        company_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds a field.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ContactFieldId) -> Result<Option<ContactField>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        ContactField,
        r#"SELECT id AS "id: ContactFieldId", key, label, type AS "field_type: FieldType", options, created_at, updated_at
           FROM contact_fields WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds a field, and keeps others from changing it.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: ContactFieldId) -> Result<Option<ContactField>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        ContactField,
        r#"SELECT id AS "id: ContactFieldId", key, label, type AS "field_type: FieldType", options, created_at, updated_at
           FROM contact_fields WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// How many there are.
///
/// # Errors
/// Database errors only.
pub async fn count(tx: &mut TenantTx) -> Result<i64> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM contact_fields WHERE company_id = $1"#,
        company_id.0
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Makes a field.
///
/// # Errors
/// `Conflict` when the key is taken.
pub async fn insert(tx: &mut TenantTx, field: &ContactField) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO contact_fields (company_id, id, key, label, type, options, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        company_id.0,
        field.id.0,
        field.key,
        field.label,
        field.field_type as _,
        &field.options,
        field.created_at,
        field.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("contact_fields_key_key", "a field with this key exists")?;
    Ok(())
}

/// Writes what may change of a field.
///
/// # Errors
/// Database errors only.
pub async fn update(
    tx: &mut TenantTx,
    id: ContactFieldId,
    label: &str,
    options: &[String],
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE contact_fields SET label = $3, options = $4, updated_at = $5 WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        label,
        options,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes a field; its key, if there was one. Values of contacts stay.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: ContactFieldId) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "DELETE FROM contact_fields WHERE company_id = $1 AND id = $2 RETURNING key",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}
