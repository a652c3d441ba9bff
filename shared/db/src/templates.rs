//! Message templates: here what people want of them · [`provided`] what the provider has, and tells of it.

pub mod provided;

use chrono::{DateTime, Utc};
use domain::template::{ParameterFormat, Submission, TemplateStatus};
use domain::{ConnectionId, TemplateId};
use serde_json::Value;
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{Result, TenantTx};

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// The account that it belongs to.
    pub waba_id: String,
    /// Its name, unique with its language in the account.
    pub name: String,
    /// As `pt_BR`.
    pub language: String,
    /// The provider's word for what it is for.
    pub category: String,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components in the provider's words.
    pub components: Value,
    /// What the provider shall have instead: `category`, `components`.
    pub change: Option<Value>,
    /// Where it stands.
    pub status: TemplateStatus,
    /// Why, in the provider's word.
    pub status_reason: Option<String>,
    /// Why, in the provider's sentences.
    pub status_detail: Option<String>,
    /// How customers take it.
    pub quality: Option<String>,
    /// The category that it is about to get.
    pub next_category: Option<String>,
    /// When it gets that.
    pub next_category_at: Option<DateTime<Utc>>,
    /// What the provider was asked and has not done.
    pub submission: Submission,
    /// Why the provider did not do what it was asked last.
    pub error: Option<Value>,
    /// The provider's id of it.
    pub provider_template_id: Option<String>,
    /// Grows with every change.
    pub version: i32,
    /// Since when it is here.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Which templates to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of the account of one connection.
    pub connection_id: Option<ConnectionId>,
    /// Of one status.
    pub status: Option<TemplateStatus>,
    /// Of one category.
    pub category: Option<String>,
    /// In one language.
    pub language: Option<String>,
    /// Whose names have this in them.
    pub q: Option<String>,
}

/// Lists templates by name, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    after: Option<(String, Uuid)>,
    limit: i64,
) -> Result<Vec<Template>> {
    let company_id = tx.company_id();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Template,
        r#"SELECT t.id AS "id: TemplateId", t.waba_id, t.name, t.language, t.category,
                  t.parameter_format AS "parameter_format: ParameterFormat", t.components, t.change,
                  t.status AS "status: TemplateStatus", t.status_reason, t.status_detail, t.quality, t.next_category,
                  t.next_category_at, t.submission AS "submission: Submission", t.error, t.provider_template_id, t.version,
                  t.created_at, t.updated_at
           FROM templates t
           WHERE t.company_id = $1
             AND ($2::uuid IS NULL OR t.waba_id = (SELECT c.waba_id FROM connections c
                                                   WHERE c.company_id = $1 AND c.id = $2))
             AND ($3::text IS NULL OR t.status = $3)
             AND ($4::text IS NULL OR t.category = $4)
             AND ($5::text IS NULL OR t.language = $5)
             AND ($6::text IS NULL OR strpos(t.name, $6) > 0)
             AND ($7::text IS NULL OR (t.name, t.id) > ($7, $8::uuid))
           ORDER BY t.name, t.id LIMIT $9"#,
        company_id.0,
        filter.connection_id as _,
        filter.status.map(TemplateStatus::as_str),
        filter.category,
        filter.language,
        filter.q,
        after_name,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: TemplateId) -> Result<Option<Template>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Template,
        r#"SELECT id AS "id: TemplateId", waba_id, name, language, category,
                  parameter_format AS "parameter_format: ParameterFormat", components, change,
                  status AS "status: TemplateStatus", status_reason, status_detail, quality, next_category,
                  next_category_at, submission AS "submission: Submission", error, provider_template_id, version,
                  created_at, updated_at
           FROM templates WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Keeps everybody else from changing one until the transaction ends; whether there is one.
///
/// # Errors
/// Database errors only.
pub async fn lock(tx: &mut TenantTx, id: TemplateId) -> Result<bool> {
    let company_id = tx.company_id();
    let found = sqlx::query!(
        "SELECT id FROM templates WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.is_some())
}

/// What sending by a template depends on.
#[derive(Clone, Debug)]
pub struct Named {
    /// Where it stands.
    pub status: TemplateStatus,
    /// The provider's word for what it is for.
    pub category: String,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components.
    pub components: Value,
}

/// Finds the template that a connection sends by this name and language.
///
/// # Errors
/// Database errors only.
pub async fn find_named(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    name: &str,
    language: &str,
) -> Result<Option<Named>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Named,
        r#"SELECT t.status AS "status: TemplateStatus", t.category, t.parameter_format AS "parameter_format: ParameterFormat",
                  t.components
           FROM connections c JOIN templates t ON t.company_id = c.company_id AND t.waba_id = c.waba_id
           WHERE c.company_id = $1 AND c.id = $2 AND t.name = $3 AND t.language = $4"#,
        company_id.0,
        connection_id.0,
        name,
        language
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Whether all templates of a connection's account are known here.
///
/// # Errors
/// Database errors only.
pub async fn is_synced(tx: &mut TenantTx, connection_id: ConnectionId) -> Result<bool> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM connections c
                          JOIN template_syncs s ON s.company_id = c.company_id AND s.waba_id = c.waba_id
                          WHERE c.company_id = $1 AND c.id = $2) AS "is_synced!""#,
        company_id.0,
        connection_id.0
    )
    .fetch_one(tx.connection())
    .await?)
}

/// A template that may be sent, as one chooses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sendable {
    /// Its id.
    pub id: TemplateId,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// What it is for.
    pub category: String,
}

/// Lists what may be sent over a connection, by name.
///
/// # Errors
/// Database errors only.
pub async fn list_sendable(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    limit: i64,
) -> Result<Vec<Sendable>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Sendable,
        r#"SELECT t.id AS "id: TemplateId", t.name, t.language, t.category
           FROM connections c JOIN templates t ON t.company_id = c.company_id AND t.waba_id = c.waba_id
           WHERE c.company_id = $1 AND c.id = $2 AND t.status IN ('approved', 'flagged') AND t.submission <> 'deleting'
           ORDER BY t.name, t.language LIMIT $3"#,
        company_id.0,
        connection_id.0,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A template to be made here.
#[derive(Clone, Debug)]
pub struct NewTemplate<'a> {
    /// Its id.
    pub id: TemplateId,
    /// The account that it will belong to.
    pub waba_id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its language.
    pub language: &'a str,
    /// What it is for.
    pub category: &'a str,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components.
    pub components: &'a Value,
    /// What the provider is asked.
    pub submission: Submission,
}

/// Makes one, which the provider does not know.
///
/// # Errors
/// `Conflict` when the account has one of this name and language.
pub async fn insert(tx: &mut TenantTx, new: &NewTemplate<'_>, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO templates (company_id, id, waba_id, name, language, category, parameter_format, components, status,
                                submission, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'draft', $9, $10, $10)",
        company_id.0,
        new.id.0,
        new.waba_id,
        new.name,
        new.language,
        new.category,
        new.parameter_format as _,
        new.components,
        new.submission as _,
        now
    )
    .execute(tx.connection())
    .await
    .on_constraint("templates_name_key", "the account has a template of this name and language")?;
    Ok(())
}

/// What a person wants of a template.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// What it is for.
    pub category: &'a str,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components.
    pub components: &'a Value,
    /// What the provider shall have instead of these.
    pub change: Option<&'a Value>,
    /// What the provider is asked.
    pub submission: Submission,
}

/// Writes what a person wants of one; its version now.
///
/// # Errors
/// Database errors only.
pub async fn want(tx: &mut TenantTx, id: TemplateId, wanted: &Wanted<'_>, now: DateTime<Utc>) -> Result<i32> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE templates
         SET category = $3, parameter_format = $4, components = $5, change = $6, submission = $7, error = NULL,
             version = version + 1, updated_at = $8
         WHERE company_id = $1 AND id = $2 RETURNING version",
        company_id.0,
        id.0,
        wanted.category,
        wanted.parameter_format as _,
        wanted.components,
        wanted.change,
        wanted.submission as _,
        now
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Removes one; whether there was one.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: TemplateId) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!("DELETE FROM templates WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() > 0)
}
