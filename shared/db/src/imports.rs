//! Imports of contacts: what was asked for, how far it got, and which rows are no contact. What a stretch of rows does to
//! the contacts stands in [`contacts`].

pub mod contacts;

use chrono::{DateTime, Utc};
use domain::csv::{Delimiter, Encoding};
use domain::transfer::TransferState;
use domain::{ImportId, ListId, MediaId};

use crate::{Result, TenantTx};

/// An import.
#[derive(Clone, Debug)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The file.
    pub media_id: MediaId,
    /// The list that its contacts are put into.
    pub list_id: Option<ListId>,
    /// Where it stands.
    pub state: TransferState,
    /// Why it failed.
    pub reason: Option<String>,
    /// It only tells what it would do.
    pub dry_run: bool,
    /// What stands between two cells.
    pub delimiter: Delimiter,
    /// How letters are written.
    pub encoding: Encoding,
    /// The first row holds the columns' names.
    pub header: bool,
    /// The file's columns.
    pub columns: Vec<String>,
    /// What each of them says; empty for one that is left out.
    pub fields: Vec<String>,
    /// Where numbers without a country are of.
    pub default_country: String,
    /// Bytes of the file.
    pub size: i64,
    /// How many of them are done.
    pub position: i64,
    /// Number of the last row that is done.
    pub row_number: i64,
    /// Rows that made a contact.
    pub created: i64,
    /// Rows that changed one.
    pub updated: i64,
    /// Rows that said what was known.
    pub unchanged: i64,
    /// Rows that are no contact.
    pub failed: i64,
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

macro_rules! select_import {
    ($filter:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Import,
            r#"SELECT id AS "id: ImportId", media_id AS "media_id: MediaId", list_id AS "list_id: ListId",
                      state AS "state: TransferState", reason, dry_run, delimiter AS "delimiter: Delimiter",
                      encoding AS "encoding: Encoding", header, columns, fields, default_country, size, position,
                      row_number, created, updated, unchanged, failed, run, told_at, created_at, started_at, finished_at
               FROM contact_imports WHERE "# + $filter,
            $($argument),+
        )
    };
}

/// Asks for an import.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, import: &Import) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO contact_imports (company_id, id, media_id, list_id, state, dry_run, delimiter, encoding, header,
             columns, fields, default_country, size, position, row_number, told_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $16)",
        company_id.0,
        import.id.0,
        import.media_id.0,
        import.list_id as _,
        import.state as _,
        import.dry_run,
        import.delimiter as _,
        import.encoding as _,
        import.header,
        &import.columns,
        &import.fields,
        import.default_country,
        import.size,
        import.position,
        import.row_number,
        import.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ImportId) -> Result<Option<Import>> {
    let company_id = tx.company_id();
    Ok(select_import!("company_id = $1 AND id = $2", company_id.0, id.0)
        .fetch_optional(tx.connection())
        .await?)
}

/// As [`find`], and keeps everybody else from changing it until the end of the transaction.
///
/// # Errors
/// Database errors only.
pub async fn lock(tx: &mut TenantTx, id: ImportId) -> Result<Option<Import>> {
    let company_id = tx.company_id();
    Ok(select_import!("company_id = $1 AND id = $2 FOR NO KEY UPDATE", company_id.0, id.0)
        .fetch_optional(tx.connection())
        .await?)
}

/// Lists imports, newest first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    before: Option<(DateTime<Utc>, uuid::Uuid)>,
    limit: i64,
) -> Result<Vec<Import>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(select_import!(
        "company_id = $1 AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
             coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
         ORDER BY created_at DESC, id DESC LIMIT $4",
        company_id.0,
        before_at,
        before_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// How far it got, and where it stands.
///
/// # Errors
/// Database errors only.
pub async fn update(tx: &mut TenantTx, import: &Import, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE contact_imports SET state = $3, reason = $4, position = $5, row_number = $6, created = $7, updated = $8,
             unchanged = $9, failed = $10, run = $11, told_at = $12, started_at = $13, finished_at = $14, updated_at = $15
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        import.id.0,
        import.state as _,
        import.reason,
        import.position,
        import.row_number,
        import.created,
        import.updated,
        import.unchanged,
        import.failed,
        import.run,
        import.told_at,
        import.started_at,
        import.finished_at,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// One thing that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The row's number; the header's is 1.
    pub row_number: i64,
    /// The field; empty when it is about the whole row.
    pub field: String,
    /// Stable word for it.
    pub code: String,
    /// For people.
    pub reason: String,
    /// The row, as the file has it.
    pub cells: Vec<String>,
}

/// What stands between the cells of a row on their way: no cell holds it (see `app::imports`).
const BETWEEN_CELLS: &str = "\u{1f}";

/// Keeps what is wrong with rows.
///
/// # Errors
/// Database errors only.
pub async fn insert_errors(tx: &mut TenantTx, id: ImportId, errors: &[ImportError]) -> Result<()> {
    let company_id = tx.company_id();
    let rows: Vec<_> = errors.iter().map(|error| error.row_number).collect();
    let fields: Vec<_> = errors.iter().map(|error| error.field.clone()).collect();
    let codes: Vec<_> = errors.iter().map(|error| error.code.clone()).collect();
    let reasons: Vec<_> = errors.iter().map(|error| error.reason.clone()).collect();
    let cells: Vec<_> = errors.iter().map(|error| error.cells.join(BETWEEN_CELLS)).collect();
    sqlx::query!(
        "INSERT INTO contact_import_errors (company_id, import_id, row_number, field, code, reason, cells)
         SELECT $1, $2, row_number, field, code, reason, string_to_array(cells, chr(31))
         FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
              AS new (row_number, field, code, reason, cells)",
        company_id.0,
        id.0,
        &rows,
        &fields,
        &codes,
        &reasons,
        &cells
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Lists what is wrong with the rows behind `after`, in their order. All of a row, or nothing of it, unless it alone is
/// more than `limit`.
///
/// # Errors
/// Database errors only.
pub async fn list_errors(
    tx: &mut TenantTx,
    id: ImportId,
    after: i64,
    limit: i64,
) -> Result<Vec<ImportError>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        ImportError,
        "SELECT row_number, field, code, reason, cells FROM contact_import_errors
         WHERE company_id = $1 AND import_id = $2 AND row_number > $3 ORDER BY row_number, field LIMIT $4",
        company_id.0,
        id.0,
        after,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Deletes what was wrong with the rows of imports that were over before `time`.
///
/// # Errors
/// Database errors only.
pub async fn delete_old_errors(tx: &mut TenantTx, time: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "DELETE FROM contact_import_errors WHERE company_id = $1 AND import_id IN
             (SELECT id FROM contact_imports WHERE company_id = $1 AND finished_at < $2)",
        company_id.0,
        time
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
