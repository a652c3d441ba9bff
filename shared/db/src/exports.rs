//! Exports of contacts: what was asked for, how far it got, and the contacts in their order.

use chrono::{DateTime, Utc};
use domain::transfer::{ExportFilter, TransferState};
use domain::{ContactId, ExportId, MediaId};
use serde_json::Value;
pub use sqlx::types::Json;
use uuid::Uuid;

use crate::{Result, TenantTx};

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// The file that it writes.
    pub media_id: MediaId,
    /// Where it stands.
    pub state: TransferState,
    /// Why it failed.
    pub reason: Option<String>,
    /// Which contacts.
    pub filter: Json<ExportFilter>,
    /// As Excel wants it.
    pub excel: bool,
    /// Keys of the company's own fields that have a column.
    pub fields: Vec<String>,
    /// Contacts so far.
    pub contacts: i64,
    /// The last contact of the last part that is stored: when it was made.
    pub after_at: Option<DateTime<Utc>>,
    /// Its id.
    pub after_id: Option<Uuid>,
    /// The store's name for the upload.
    pub upload_id: Option<String>,
    /// The store's names for the parts that it has.
    pub parts: Vec<String>,
    /// Bytes so far.
    pub size: i64,
    /// Which job's turn it is.
    pub run: i32,
    /// When browsers were told last.
    pub told_at: DateTime<Utc>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

macro_rules! select_export {
    ($filter:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Export,
            r#"SELECT id AS "id: ExportId", media_id AS "media_id: MediaId", state AS "state: TransferState", reason,
                      filter AS "filter: Json<ExportFilter>", excel, fields, contacts, after_at, after_id, upload_id, parts,
                      size, run, told_at, created_at, started_at, finished_at
               FROM contact_exports WHERE "# + $filter,
            $($argument),+
        )
    };
}

/// Asks for an export.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, export: &Export) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO contact_exports (company_id, id, media_id, state, filter, excel, fields, told_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8)",
        company_id.0,
        export.id.0,
        export.media_id.0,
        export.state as _,
        export.filter as _,
        export.excel,
        &export.fields,
        export.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ExportId) -> Result<Option<Export>> {
    let company_id = tx.company_id();
    Ok(select_export!("company_id = $1 AND id = $2", company_id.0, id.0)
        .fetch_optional(tx.connection())
        .await?)
}

/// As [`find`], and keeps everybody else from changing it until the end of the transaction.
///
/// # Errors
/// Database errors only.
pub async fn lock(tx: &mut TenantTx, id: ExportId) -> Result<Option<Export>> {
    let company_id = tx.company_id();
    Ok(select_export!("company_id = $1 AND id = $2 FOR NO KEY UPDATE", company_id.0, id.0)
        .fetch_optional(tx.connection())
        .await?)
}

/// How far it got, and where it stands.
///
/// # Errors
/// Database errors only.
pub async fn update(tx: &mut TenantTx, export: &Export, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE contact_exports SET state = $3, reason = $4, contacts = $5, after_at = $6, after_id = $7, upload_id = $8,
             parts = $9, size = $10, run = $11, told_at = $12, started_at = $13, finished_at = $14, updated_at = $15
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        export.id.0,
        export.state as _,
        export.reason,
        export.contacts,
        export.after_at,
        export.after_id,
        export.upload_id,
        &export.parts,
        export.size,
        export.run,
        export.told_at,
        export.started_at,
        export.finished_at,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A contact as it is written out.
#[derive(Clone, Debug)]
pub struct ExportedContact {
    /// Its id.
    pub id: ContactId,
    /// What it is called.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// WhatsApp username.
    pub username: Option<String>,
    /// Where it came from.
    pub source: String,
    /// The id in the company's own system.
    pub external_id: Option<String>,
    /// The AI leaves this customer alone.
    pub bypass_bots: bool,
    /// Custom fields.
    pub custom: Value,
    /// Tags.
    pub tags: Vec<String>,
    /// Opted out of everything.
    pub opted_out_at: Option<DateTime<Utc>>,
    /// Opted out of marketing.
    pub marketing_opted_out_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Lists the contacts of an export that was asked for at `until`, oldest first, after the position `after`.
///
/// # Errors
/// Database errors only.
pub async fn list_contacts(
    tx: &mut TenantTx,
    filter: &ExportFilter,
    until: DateTime<Utc>,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<ExportedContact>> {
    let company_id = tx.company_id();
    let (after_at, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        ExportedContact,
        r#"SELECT c.id AS "id: ContactId", c.name, c.phone, c.email, c.username, c.source, c.external_id,
                  c.bypass_bots, c.custom, c.tags, c.opted_out_at, c.marketing_opted_out_at, c.created_at
           FROM contacts c
           WHERE c.company_id = $1 AND c.merged_into_id IS NULL AND c.erased_at IS NULL
             AND (c.created_at, c.id) > (coalesce($2, '-infinity'::timestamptz),
                                         coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
             AND c.created_at <= $4
             AND ($5::text IS NULL OR c.tags @> ARRAY[$5])
             AND ($6::text IS NULL OR c.source = $6)
             AND ($7::boolean IS NULL OR (c.opted_out_at IS NOT NULL) = $7)
             AND ($8::timestamptz IS NULL OR c.created_at >= $8)
             AND ($9::timestamptz IS NULL OR c.created_at < $9)
             AND ($10::uuid IS NULL OR EXISTS (SELECT FROM list_contacts l
                  WHERE l.company_id = $1 AND l.list_id = $10 AND l.contact_id = c.id))
           ORDER BY c.created_at, c.id LIMIT $11"#,
        company_id.0,
        after_at,
        after_id,
        until,
        filter.tag,
        filter.source,
        filter.opted_out,
        filter.created_from,
        filter.created_to,
        filter.list_id as _,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}
