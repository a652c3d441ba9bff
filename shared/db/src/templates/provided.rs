//! Templates as the provider has them: what it answers, lists and tells.

use chrono::{DateTime, Utc};
use domain::template::{ParameterFormat, Submission, TemplateStatus};
use domain::{CompanyId, ConnectionId, TemplateId};
use serde_json::Value;
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{Result, SystemTx, TenantTx};

/// A template as the provider has it.
#[derive(Clone, Debug)]
pub struct Provided {
    /// The provider's id.
    pub provider_template_id: String,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// What it is for.
    pub category: String,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components.
    pub components: Value,
    /// Where it stands.
    pub status: TemplateStatus,
    /// Why.
    pub status_reason: Option<String>,
    /// How customers take it.
    pub quality: Option<String>,
}

/// Writes what the provider has, and that it was not asked anything any more. `change` is what is still wanted beside that,
/// `error` why it is not done. What was told of its status since `asked_at` is newer, and stays. The version now; `None` when
/// the template is gone, or nobody waits for an answer.
///
/// # Errors
/// `Conflict` when another row has the provider's id, which the next comparison mends.
pub async fn record_provided(
    tx: &mut TenantTx,
    id: TemplateId,
    provided: &Provided,
    change: Option<&Value>,
    error: Option<&Value>,
    asked_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<i32>> {
    let company_id = tx.company_id();
    sqlx::query_scalar!(
        "UPDATE templates
         SET provider_template_id = $3, category = $4, parameter_format = $5, components = $6,
             status = CASE WHEN updated_at > $13 AND provider_template_id = $3 THEN status ELSE $7 END,
             status_reason = CASE WHEN updated_at > $13 AND provider_template_id = $3 THEN status_reason ELSE $8 END,
             status_detail = CASE WHEN updated_at > $13 AND provider_template_id = $3 THEN status_detail END,
             quality = coalesce($10, quality), change = $11, error = $12, submission = 'idle', version = version + 1,
             updated_at = $9
         WHERE company_id = $1 AND id = $2 AND submission = 'submitting' RETURNING version",
        company_id.0,
        id.0,
        provided.provider_template_id,
        provided.category,
        provided.parameter_format as _,
        provided.components,
        provided.status as _,
        provided.status_reason,
        now,
        provided.quality,
        change,
        error,
        asked_at
    )
    .fetch_optional(tx.connection())
    .await
    .on_constraint("templates_provider", "another template has this id at the provider")
}

/// Writes that the provider did not do what it was asked, and why; the version now.
///
/// # Errors
/// Database errors only.
pub async fn record_refused(
    tx: &mut TenantTx,
    id: TemplateId,
    asked: Submission,
    error: &Value,
    now: DateTime<Utc>,
) -> Result<Option<i32>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE templates SET submission = 'idle', error = $4, version = version + 1, updated_at = $5
         WHERE company_id = $1 AND id = $2 AND submission = $3 RETURNING version",
        company_id.0,
        id.0,
        asked as _,
        error,
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Writes an account's templates as the provider has listed them from `asked_at` on: new ones with the ids of `new_ids`,
/// which go with them one to one. What changed here later stays. A template that is only here and goes by the name of one of
/// the provider's becomes that, with what a person wrote as the change that is wanted. How many rows came or changed.
///
/// # Errors
/// Database errors only.
pub async fn record_listed(
    tx: &mut TenantTx,
    waba_id: &str,
    new_ids: &[Uuid],
    listed: &[Provided],
    asked_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64> {
    let company_id = tx.company_id();
    let texts =
        |of: fn(&Provided) -> &str| -> Vec<String> { listed.iter().map(|it| of(it).to_owned()).collect() };
    let components: Vec<Value> = listed.iter().map(|it| it.components.clone()).collect();
    let reasons: Vec<Option<String>> = listed.iter().map(|it| it.status_reason.clone()).collect();
    let qualities: Vec<Option<String>> = listed.iter().map(|it| it.quality.clone()).collect();
    let done = sqlx::query!(
        r#"INSERT INTO templates AS t (company_id, id, waba_id, name, language, category, parameter_format, components,
                                       status, status_reason, quality, provider_template_id, created_at, updated_at)
           SELECT $1, l.id, $2, l.name, l.language, l.category, l.parameter_format, l.components, l.status, l.reason,
                  l.quality, l.provider_id, $13, $13
           FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::text[], $10::text[],
                       $11::text[], $14::text[])
                AS l (id, name, language, category, parameter_format, components, status, reason, quality, provider_id)
           ON CONFLICT (company_id, waba_id, name, language) DO UPDATE
           SET provider_template_id = excluded.provider_template_id, category = excluded.category,
               parameter_format = excluded.parameter_format, components = excluded.components,
               change = CASE WHEN t.provider_template_id IS NULL AND t.components <> excluded.components
                             THEN jsonb_build_object('category', t.category, 'components', t.components)
                             ELSE t.change END,
               status = excluded.status,
               status_reason = CASE WHEN t.status = excluded.status THEN coalesce(excluded.status_reason, t.status_reason)
                                    ELSE excluded.status_reason END,
               status_detail = CASE WHEN t.status = excluded.status THEN t.status_detail END,
               quality = excluded.quality, version = t.version + 1, updated_at = excluded.updated_at
           WHERE t.updated_at <= $12
             AND (t.provider_template_id, t.category, t.parameter_format, t.components, t.status, t.quality)
                 IS DISTINCT FROM (excluded.provider_template_id, excluded.category, excluded.parameter_format,
                                   excluded.components, excluded.status, excluded.quality)"#,
        company_id.0,
        waba_id,
        new_ids,
        &texts(|it| &it.name),
        &texts(|it| &it.language),
        &texts(|it| &it.category),
        &texts(|it| it.parameter_format.as_str()),
        &components,
        &texts(|it| it.status.as_str()),
        &reasons as &[Option<String>],
        &qualities as &[Option<String>],
        asked_at,
        now,
        &texts(|it| &it.provider_template_id)
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// Marks as deleted what the provider has no more: templates of the account whose ids are not in `listed`, and that did not
/// change since `asked_at`. How many.
///
/// # Errors
/// Database errors only.
pub async fn record_missing(
    tx: &mut TenantTx,
    waba_id: &str,
    listed: &[String],
    asked_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE templates
         SET status = 'deleted', status_reason = NULL, status_detail = NULL, version = version + 1, updated_at = $5
         WHERE company_id = $1 AND waba_id = $2 AND provider_template_id IS NOT NULL
           AND NOT provider_template_id = ANY($3) AND status <> 'deleted' AND updated_at <= $4",
        company_id.0,
        waba_id,
        listed,
        asked_at,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// Notes that an account's templates are as the provider has them.
///
/// # Errors
/// Database errors only.
pub async fn record_synced(tx: &mut TenantTx, waba_id: &str, at: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO template_syncs AS s (company_id, waba_id, synced_at) VALUES ($1, $2, $3)
         ON CONFLICT (company_id, waba_id) DO UPDATE SET synced_at = greatest(s.synced_at, excluded.synced_at)",
        company_id.0,
        waba_id,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What the provider told of one template; what is `None` it did not tell.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The provider's id of the template.
    pub provider_template_id: String,
    /// Where it stands.
    pub status: Option<ToldStatus>,
    /// How customers take it, and since when.
    pub quality: Option<(String, DateTime<Utc>)>,
    /// What it is for.
    pub category: Option<ToldCategory>,
}

/// What a template is for.
#[derive(Clone, Debug)]
pub struct ToldCategory {
    /// What.
    pub category: String,
    /// What it is about to be for.
    pub next: Option<String>,
    /// From when on.
    pub next_at: Option<DateTime<Utc>>,
    /// When the provider said so.
    pub at: DateTime<Utc>,
}

/// Where a template stands.
#[derive(Clone, Debug)]
pub struct ToldStatus {
    /// Where.
    pub status: TemplateStatus,
    /// Why, in the provider's word.
    pub reason: Option<String>,
    /// Why, in the provider's sentences.
    pub detail: Option<String>,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// A template that changed.
#[derive(Clone, Debug)]
pub struct ChangedTemplate {
    /// Which.
    pub id: TemplateId,
    /// Its version now.
    pub version: i32,
}

/// Writes what the provider told of templates, each of which stands in `told` once; what it told earlier of the same thing
/// changes nothing. Which changed.
///
/// # Errors
/// Database errors only.
pub async fn record_told(
    tx: &mut TenantTx,
    told: &[Told],
    now: DateTime<Utc>,
) -> Result<Vec<ChangedTemplate>> {
    let company_id = tx.company_id();
    let ids: Vec<String> = told.iter().map(|told| told.provider_template_id.clone()).collect();
    let status = |told: &Told| told.status.clone();
    let statuses: Vec<_> = told.iter().map(|it| status(it).map(|it| it.status.as_str().to_owned())).collect();
    let reasons: Vec<_> = told.iter().map(|it| status(it).and_then(|it| it.reason)).collect();
    let details: Vec<_> = told.iter().map(|it| status(it).and_then(|it| it.detail)).collect();
    let status_ats: Vec<_> = told.iter().map(|it| status(it).map(|it| it.at)).collect();
    let qualities: Vec<_> = told.iter().map(|it| it.quality.clone().map(|it| it.0)).collect();
    let quality_ats: Vec<_> = told.iter().map(|it| it.quality.clone().map(|it| it.1)).collect();
    let category = |told: &Told| told.category.clone();
    let categories: Vec<_> = told.iter().map(|it| category(it).map(|it| it.category)).collect();
    let nexts: Vec<_> = told.iter().map(|it| category(it).and_then(|it| it.next)).collect();
    let next_ats: Vec<_> = told.iter().map(|it| category(it).and_then(|it| it.next_at)).collect();
    let category_ats: Vec<_> = told.iter().map(|it| category(it).map(|it| it.at)).collect();
    Ok(sqlx::query_as!(
        ChangedTemplate,
        r#"UPDATE templates t
           SET status = CASE WHEN n.new_status THEN n.status ELSE t.status END,
               status_reason = CASE WHEN n.new_status THEN n.reason ELSE t.status_reason END,
               status_detail = CASE WHEN n.new_status THEN n.detail ELSE t.status_detail END,
               status_at = CASE WHEN n.new_status THEN n.status_at ELSE t.status_at END,
               quality = CASE WHEN n.new_quality THEN n.quality ELSE t.quality END,
               quality_at = CASE WHEN n.new_quality THEN n.quality_at ELSE t.quality_at END,
               category = CASE WHEN n.new_category THEN n.category ELSE t.category END,
               next_category = CASE WHEN n.new_category THEN n.next ELSE t.next_category END,
               next_category_at = CASE WHEN n.new_category THEN n.next_at ELSE t.next_category_at END,
               category_at = CASE WHEN n.new_category THEN n.category_at ELSE t.category_at END,
               version = t.version + 1, updated_at = $12
           FROM (
               SELECT o.id, l.*, coalesce(o.status_at <= l.status_at, l.status IS NOT NULL) AS new_status,
                      coalesce(o.quality_at <= l.quality_at, l.quality IS NOT NULL) AS new_quality,
                      coalesce(o.category_at < l.category_at, l.category IS NOT NULL) AS new_category
               FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
                           $8::timestamptz[], $9::text[], $10::text[], $11::timestamptz[], $13::timestamptz[])
                    AS l (provider_id, status, reason, detail, status_at, quality, quality_at, category, next, next_at,
                          category_at)
               JOIN templates o ON o.company_id = $1 AND o.provider_template_id = l.provider_id
           ) n
           WHERE t.company_id = $1 AND t.id = n.id AND (n.new_status OR n.new_quality OR n.new_category)
           RETURNING t.id AS "id: TemplateId", t.version"#,
        company_id.0,
        &ids,
        &statuses as &[Option<String>],
        &reasons as &[Option<String>],
        &details as &[Option<String>],
        &status_ats as &[Option<DateTime<Utc>>],
        &qualities as &[Option<String>],
        &quality_ats as &[Option<DateTime<Utc>>],
        &categories as &[Option<String>],
        &nexts as &[Option<String>],
        &next_ats as &[Option<DateTime<Utc>>],
        now,
        &category_ats as &[Option<DateTime<Utc>>]
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Which of `ids` of the provider's are known here.
///
/// # Errors
/// Database errors only.
pub async fn list_known(tx: &mut TenantTx, ids: &[String]) -> Result<Vec<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT provider_template_id AS "id!" FROM templates
           WHERE company_id = $1 AND provider_template_id = ANY($2)"#,
        company_id.0,
        ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A connection of an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose.
    pub company_id: CompanyId,
    /// A connection of it.
    pub connection_id: ConnectionId,
    /// The account.
    pub waba_id: String,
}

/// Lists accounts of all companies whose templates were not compared since `before`, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list_unsynced(
    tx: &mut SystemTx,
    before: DateTime<Utc>,
    after: Option<(CompanyId, String)>,
    limit: i64,
) -> Result<Vec<Account>> {
    let (after_company, after_account) = after.unzip();
    Ok(sqlx::query_as!(
        Account,
        r#"SELECT DISTINCT ON (c.company_id, c.waba_id) c.company_id AS "company_id: CompanyId",
                  c.id AS "connection_id: ConnectionId", c.waba_id AS "waba_id!"
           FROM connections c
           LEFT JOIN template_syncs s ON s.company_id = c.company_id AND s.waba_id = c.waba_id
           WHERE c.kind = 'whatsapp_cloud' AND c.deleted_at IS NULL AND c.waba_id IS NOT NULL
             AND (s.synced_at IS NULL OR s.synced_at < $1)
             AND ($2::uuid IS NULL OR (c.company_id, c.waba_id) > ($2, $3))
           ORDER BY c.company_id, c.waba_id, c.id LIMIT $4"#,
        before,
        after_company.map(|id| id.0),
        after_account,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}
