//! Contacts out of files: what a file is, which column is what, and how far an import got. The work is done in [`run`].

pub mod run;
mod source;

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use db::imports::{Import, ImportError};
use db::media::Media;
use domain::csv::{self, Delimiter, Encoding, Format, NotText, Record, Sniffed};
use domain::event::Event;
use domain::import::{self, CustomField, Field};
use domain::job::Job;
use domain::media::{MediaState, Purpose};
use domain::transfer::TransferState;
use domain::user::Permission;
use domain::{ImportId, ListId, MediaId, phone};
use serde::Serialize;
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position, media};

/// How many bytes of a file are looked at before it is read.
const HEAD: u64 = 64 * 1024;

/// Rows of a preview.
const PREVIEW_ROWS: usize = 10;

/// What is wrong with the rows of an import is kept for so long after its end.
const ERRORS_FOR: TimeDelta = TimeDelta::days(30);

/// Lines of one answer that tells what is wrong with rows.
const ERRORS_AT_ONCE: i64 = 5_000;

/// Bytes of such an answer: a function's whole answer has 6 MB.
const ERROR_BYTES: usize = 4 << 20;

/// Where numbers without a country are of, when nobody says.
const DEFAULT_COUNTRY: &str = "BR";

/// What is known of how a file is to be read; what is `None` is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hints {
    /// What stands between two cells.
    pub delimiter: Option<Delimiter>,
    /// How letters are written.
    pub encoding: Option<Encoding>,
    /// The first row holds the columns' names.
    pub header: Option<bool>,
}

/// A file before it is read.
#[derive(Clone, Debug)]
pub struct Preview {
    /// How it is to be read.
    pub format: Format,
    /// Its columns, and what each of them probably says.
    pub columns: Vec<(String, Option<Field>)>,
    /// Its first rows, without the header.
    pub rows: Vec<Vec<String>>,
}

/// An import that is asked for.
#[derive(Clone, Debug, Serialize)]
pub struct NewImport {
    /// The file.
    pub media_id: MediaId,
    /// What the columns say: a field's name by the column's. A column that is not here is left out.
    pub mapping: BTreeMap<String, String>,
    /// The list that the contacts are put into.
    pub list_id: Option<ListId>,
    /// Where numbers without a country are of, ISO 3166; Brazil by default.
    pub default_country: Option<String>,
    /// Only tell what it would do.
    pub dry_run: bool,
    /// What is known of how the file is to be read.
    pub hints: Hints,
}

/// The beginning of a file, understood.
struct Head {
    sniffed: Sniffed,
    header: Option<Record>,
    rows: Vec<Record>,
    columns: Vec<String>,
}

/// Looks at a file: how it is to be read, its first rows, and what its columns probably say.
///
/// # Errors
/// `NotFound` for the file; `Rule` when it is not there yet; `Invalid` when it is no CSV; `Forbidden` without the permission.
pub async fn preview(app: &App, identity: &Identity, media_id: MediaId, hints: Hints) -> Result<Preview> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let media = uploaded(&mut tx, media_id).await?;
    let custom = fields(&mut tx).await?;
    tx.commit().await?;
    let head = read_head(app, &media, hints).await?;
    let suggested = import::suggest(&head.columns, &head.rows, &custom);
    let rows = head.rows.into_iter().take(PREVIEW_ROWS).map(|row| row.cells).collect();
    Ok(Preview {
        format: head.sniffed.format,
        columns: head.columns.into_iter().zip(suggested).collect(),
        rows,
    })
}

/// The company's own fields, by their keys.
async fn fields(tx: &mut TenantTx) -> Result<Vec<CustomField>> {
    let mut fields = db::contact_fields::list_all(tx).await?;
    fields.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    let fields = fields.into_iter().map(|field| CustomField {
        key: field.key,
        label: field.label,
        field_type: field.field_type,
        options: field.options,
    });
    Ok(fields.collect())
}

/// The file of an import, which must be there.
async fn uploaded(tx: &mut TenantTx, media_id: MediaId) -> Result<Media> {
    let media = db::media::find(tx, media_id).await?.ok_or(Error::NotFound("media"))?;
    if media.purpose != Purpose::Import {
        return Err(Error::invalid("media_id", "not a file for an import"));
    }
    match media.state {
        MediaState::Ready => Ok(media),
        state => Err(media::not_ready(state)),
    }
}

async fn read_head(app: &App, media: &Media, hints: Hints) -> Result<Head> {
    let size = media.size.unwrap_or_default().max(0).unsigned_abs();
    let bytes = source::read_range(app, &media.key, 0..size.min(HEAD)).await?;
    let is_whole = bytes.len() as u64 >= size;
    understand(&bytes, is_whole, hints)
}

fn understand(bytes: &[u8], is_whole: bool, hints: Hints) -> Result<Head> {
    let sniffed = csv::sniff(bytes, is_whole, hints.encoding, hints.delimiter, hints.header)
        .map_err(|NotText| no_csv("the file is no text; save it as CSV"))?;
    let mut reader = csv::Reader::new(sniffed.format, sniffed.start);
    let mut rows = Vec::new();
    let start = usize::try_from(sniffed.start).unwrap_or_default();
    let read = reader.feed(&bytes[start..], &mut rows);
    let read = if is_whole { read.and_then(|()| reader.finish(&mut rows)) } else { read };
    read.map_err(|error| no_csv(&error.to_string()))?;
    let width = rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
    let header = if sniffed.format.header && !rows.is_empty() { Some(rows.remove(0)) } else { None };
    if width == 0 {
        return Err(no_csv("the file has no rows"));
    }
    let columns = csv::column_names(header.as_ref(), width);
    Ok(Head { sniffed, header, rows, columns })
}

fn no_csv(message: &str) -> Error {
    Error::invalid("media_id", message)
}

/// Asks for an import.
///
/// # Errors
/// As [`preview`]; `NotFound` for the list; `Invalid` for what the columns are said to say.
pub async fn create(
    app: &App,
    identity: &Identity,
    key: Option<&IdempotencyKey>,
    new: NewImport,
) -> Result<Import> {
    identity.require(Permission::ManageContacts)?;
    let country = new.default_country.as_deref().unwrap_or(DEFAULT_COUNTRY);
    if !phone::is_region(country) {
        return Err(Error::invalid("default_country", "a country as ISO 3166 has it, as BR"));
    }
    let db = app.db().await?;
    let mut tx = db.begin(identity.scope).await?;
    let media = uploaded(&mut tx, new.media_id).await?;
    let custom = fields(&mut tx).await?;
    tx.commit().await?;
    let head = read_head(app, &media, new.hints).await?;
    let fields = fields_of(&head.columns, &new.mapping, &custom)?;

    let id = ImportId(app.clock.new_id());
    let now = app.clock.now();
    let mut tx = db.begin(identity.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "import", &new, id.0).await? {
        return db::imports::find(&mut tx, ImportId(known)).await?.ok_or(Error::NotFound("import"));
    }
    if let Some(list_id) = new.list_id
        && !db::lists::hold(&mut tx, list_id).await?
    {
        return Err(Error::NotFound("list"));
    }
    let begins_at = head.header.as_ref().map_or(head.sniffed.start, |header| header.end);
    let import = Import {
        id,
        media_id: media.id,
        list_id: new.list_id,
        state: TransferState::Waiting,
        reason: None,
        dry_run: new.dry_run,
        delimiter: head.sniffed.format.delimiter,
        encoding: head.sniffed.format.encoding,
        header: head.sniffed.format.header,
        columns: head.columns,
        fields,
        default_country: country.to_owned(),
        size: media.size.unwrap_or_default(),
        position: i64::try_from(begins_at).unwrap_or_default(),
        row_number: i64::from(head.header.is_some()),
        created: 0,
        updated: 0,
        unchanged: 0,
        failed: 0,
        run: 0,
        told_at: now,
        created_at: now,
        started_at: None,
        finished_at: None,
    };
    db::imports::insert(&mut tx, &import).await?;
    db::imports::delete_old_errors(&mut tx, now - ERRORS_FOR).await?;
    let object = ("import", Some(id.0));
    let detail = json!({
        "media_id": import.media_id, "file_name": media.file_name, "list_id": import.list_id, "dry_run": import.dry_run,
    });
    audit::record(app, &mut tx, By::Caller(identity), "import.created", object, detail).await?;
    let mut outgoing = Outgoing::default();
    outgoing.job(identity.scope, Job::ImportContacts { import_id: id, run: 0 })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(import)
}

/// What each column says, by the names that the caller gave; empty for one that is left out.
fn fields_of(
    columns: &[String],
    mapping: &BTreeMap<String, String>,
    custom: &[CustomField],
) -> Result<Vec<String>> {
    let mut fields = vec![String::new(); columns.len()];
    let mut taken = HashSet::new();
    let mut leads_to_a_contact = false;
    for (column, name) in mapping {
        let place = format!("mapping.{column}");
        let Some(number) = columns.iter().position(|known| known == column) else {
            return Err(Error::invalid(place, "the file has no such column"));
        };
        let Some(field) = Field::parse(name) else {
            return Err(Error::invalid(place, "name, phone, email, external_id, tags or custom.<key>"));
        };
        if let Field::Custom(key) = &field
            && !custom.iter().any(|known| known.key == *key)
        {
            return Err(Error::invalid(place, "there is no such field"));
        }
        if field != Field::Tags && !taken.insert(field.clone()) {
            return Err(Error::invalid(place, "another column says this already"));
        }
        leads_to_a_contact |= field.is_address();
        fields[number] = field.to_string();
    }
    if !leads_to_a_contact {
        return Err(Error::invalid("mapping", "a column must be phone, email or external_id"));
    }
    Ok(fields)
}

/// A page of the company's imports, newest first.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Import>> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let imports = db::imports::list(&mut tx, before, limit + 1).await?;
    Ok(Page::cut(imports, limit, |import| (import.created_at, import.id.0)))
}

/// One import.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: ImportId) -> Result<Import> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::imports::find(&mut tx, id).await?.ok_or(Error::NotFound("import"))
}

/// What is wrong with rows, as a file.
#[derive(Clone, Debug)]
pub struct ErrorFile {
    /// CSV in UTF-8: row, field, code, reason, and the row's own cells.
    pub csv: Vec<u8>,
    /// The last row in it, when there are more.
    pub more_after: Option<i64>,
}

/// What is wrong with the rows of an import, those behind the row `after`. `say` puts reasons into the reader's language.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn errors(
    app: &App,
    identity: &Identity,
    id: ImportId,
    after: i64,
    say: impl Fn(&str) -> String,
) -> Result<ErrorFile> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let import = db::imports::find(&mut tx, id).await?.ok_or(Error::NotFound("import"))?;
    let errors = db::imports::list_errors(&mut tx, id, after, ERRORS_AT_ONCE + 1).await?;
    tx.commit().await?;
    Ok(write_errors(&import, &errors, say))
}

fn write_errors(import: &Import, errors: &[ImportError], say: impl Fn(&str) -> String) -> ErrorFile {
    let mut writer = csv::Writer::new(Delimiter::Comma);
    // So that Excel reads the names of people as they are.
    writer.mark();
    // What the file guarded is as it was there, so that it may be mended and brought again.
    let as_before = |cell| csv::guard(csv::unguard(cell));
    let columns = import.columns.iter().map(|name| as_before(name));
    let header: Vec<_> =
        ["row", "field", "code", "reason"].map(Into::into).into_iter().chain(columns).collect();
    writer.row(header.iter().map(|cell| &**cell));
    let mut last = None;
    let mut more_after = None;
    let rows = errors.chunk_by(|one, next| one.row_number == next.row_number);
    let at_once = usize::try_from(ERRORS_AT_ONCE).unwrap_or(usize::MAX);
    let mut lines = 0;
    for row in rows {
        lines += row.len();
        // The last row may have more lines than were read. A row that is alone is told all the same.
        if last.is_some() && (lines > at_once || writer.len() > ERROR_BYTES) {
            more_after = last;
            break;
        }
        for error in row {
            let (number, reason) = (error.row_number.to_string(), say(&error.reason));
            let cells = [&number, &error.field, &error.code, &reason].map(|cell| csv::guard(cell));
            let cells: Vec<_> =
                cells.into_iter().chain(error.cells.iter().map(|cell| as_before(cell))).collect();
            writer.row(cells.iter().map(|cell| &**cell));
        }
        last = row.first().map(|error| error.row_number);
    }
    ErrorFile { csv: writer.take(), more_after }
}

/// Stops an import. What it did stays; it does no more than the rows that it has in hand.
///
/// # Errors
/// `NotFound`; `Rule` when it is over; `Forbidden` without the permission.
pub async fn cancel(app: &App, identity: &Identity, id: ImportId) -> Result<Import> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let mut import = db::imports::lock(&mut tx, id).await?.ok_or(Error::NotFound("import"))?;
    let now = app.clock.now();
    let mut outgoing = Outgoing::default();
    match import.state {
        TransferState::Cancelled => {}
        state if state.may_become(TransferState::Cancelled) => {
            end(&mut import, TransferState::Cancelled, None, now);
            db::imports::update(&mut tx, &import, now).await?;
            let object = ("import", Some(id.0));
            audit::record(app, &mut tx, By::Caller(identity), "import.cancelled", object, json!({})).await?;
            outgoing.event(identity.scope, progress(&import))?;
        }
        _ => {
            let message = "the import is over: there is nothing to cancel".to_owned();
            return Err(Error::Rule { code: "import_over", message });
        }
    }
    outbox::commit(app, tx, outgoing).await?;
    Ok(import)
}

fn end(import: &mut Import, state: TransferState, reason: Option<&str>, now: DateTime<Utc>) {
    import.state = state;
    import.reason = reason.map(str::to_owned);
    import.finished_at = Some(now);
    import.told_at = now;
}

fn progress(import: &Import) -> Event {
    Event::ImportProgress {
        import_id: import.id,
        state: import.state,
        percent: percent(import),
        rows: rows(import),
    }
}

/// How much of the file is done, 0 to 100.
pub fn percent(import: &Import) -> i32 {
    if import.state == TransferState::Done {
        return 100;
    }
    // Only the header is done before there was a row.
    let done = if import.state == TransferState::Waiting { 0 } else { import.position };
    let percent = 100 * done / import.size.max(1);
    i32::try_from(percent.clamp(0, 99)).unwrap_or_default()
}

/// How many rows are done.
pub fn rows(import: &Import) -> i64 {
    import.created + import.updated + import.unchanged + import.failed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn mapping(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect()
    }

    #[test]
    fn columns_are_what_they_are_said_to_be() {
        let columns = strings(&["Nome", "Fone", "Obs", "Tag"]);
        let good = mapping(&[("Nome", "name"), ("Fone", "phone"), ("Tag", "tags"), ("Obs", "tags")]);
        let fields = fields_of(&columns, &good, &[]).expect("right");
        assert_eq!(fields, ["name", "phone", "tags", "tags"]);
        for (wrong, field) in [
            (mapping(&[("Nome", "name")]), "mapping"),
            (mapping(&[]), "mapping"),
            (mapping(&[("Fone", "phone"), ("Celular", "name")]), "mapping.Celular"),
            (mapping(&[("Fone", "telefone")]), "mapping.Fone"),
            (mapping(&[("Fone", "phone"), ("Obs", "custom.city")]), "mapping.Obs"),
            (mapping(&[("Fone", "phone"), ("Nome", "name"), ("Obs", "phone")]), "mapping.Obs"),
        ] {
            match fields_of(&columns, &wrong, &[]) {
                Err(Error::Invalid { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{wrong:?}: {other:?}"),
            }
        }
    }
}
