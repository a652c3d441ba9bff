//! The work of an import: stretch by stretch of rows, each in one transaction with the place in the file that it ends at.
//! Whoever dies, the next one goes on behind the last stretch that is stored; and a stretch is stored once, or not at all.
//!
//! A job does as much as fits well into its function's time, and asks for the next job in the transaction of its last
//! stretch. Jobs are numbered, so that one that comes twice does nothing the second time.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use db::imports::{Import, ImportError, contacts};
use domain::contact::ContactChange;
use domain::csv::{Format, Record};
use domain::import::{Counts, Draft, Field, Roster, Row, RowError, Rows, Values};
use domain::inbound::Address;
use domain::job::Job;
use domain::transfer::TransferState;
use domain::{CompanyScope, ContactId, ImportId};
use serde_json::{Value, json};

use super::source::{Source, SourceError};
use super::{end, progress};
use crate::App;
use crate::audit::By;
use crate::contacts::history::{self, Changed};
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};

/// Rows of a stretch. More of them make the transaction longer and not much cheaper.
const STRETCH: usize = 5_000;

/// How long a job works before it asks for the next one: half of its function's time.
const ONE_JOB: TimeDelta = TimeDelta::seconds(60);

/// Browsers are not told more often.
const TELL_EVERY: TimeDelta = TimeDelta::seconds(1);

/// Rows that are no contact and are kept with what is wrong with them; further ones are only counted.
const KEPT_FAILURES: i64 = 100_000;

/// Characters of a cell that are kept of such a row.
const KEPT_CHARS: usize = 1_000;

/// How often a stretch is read again because somebody else changed its contacts meanwhile.
const TRIES: usize = 5;

/// Where the contacts come from.
const SOURCE: &str = "import";

/// A row as it was read.
struct Reading {
    number: i64,
    cells: Vec<String>,
    outcome: Result<Row, Vec<RowError>>,
}

/// Rows that are stored together.
struct Stretch {
    readings: Vec<Reading>,
    /// Number of the last row, empty ones counted.
    row_number: i64,
    /// Where the file goes on.
    position: i64,
    is_last: bool,
}

/// What became of a stretch.
enum Stored {
    /// It is stored, and there is more to do.
    GoOn,
    /// There is nothing more to do for this job.
    Stop,
    /// Somebody gave an address of it to a contact, or merged or erased one, while it was being read.
    Raced,
}

/// Does the part `run` of an import.
///
/// # Errors
/// Errors that are worth another try: it then goes on where it was. What can never succeed ends the import first.
pub async fn run(app: &App, scope: CompanyScope, import_id: ImportId, run: i32) -> Result<()> {
    let Some((mut import, key, rows)) = begin(app, scope, import_id, run).await? else { return Ok(()) };
    match work(app, scope, &mut import, key, &rows).await {
        Ok(()) => Ok(()),
        Err(SourceError::Gone) => fail(app, scope, &import, "file_gone").await,
        Err(SourceError::TooLong) => fail(app, scope, &import, "row_too_long").await,
        Err(SourceError::Failed(error)) if error.retryable() => Err(error),
        Err(SourceError::Failed(error)) => {
            fail(app, scope, &import, "internal").await?;
            Err(error)
        }
    }
}

/// What a job needs to know; `None` when it is not its turn.
async fn begin(
    app: &App,
    scope: CompanyScope,
    import_id: ImportId,
    run: i32,
) -> Result<Option<(Import, String, Rows)>> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(mut import) = db::imports::lock(&mut tx, import_id).await? else { return Ok(None) };
    if import.run != run || import.state.is_over() {
        return Ok(None);
    }
    let Some(media) = db::media::find(&mut tx, import.media_id).await? else { return Ok(None) };
    let custom = super::fields(&mut tx).await?;
    let mut outgoing = Outgoing::default();
    if import.state == TransferState::Waiting {
        import.state = TransferState::Running;
        import.started_at = Some(now);
        import.told_at = now;
        db::imports::update(&mut tx, &import, now).await?;
        outgoing.event(scope, progress(&import))?;
    }
    outbox::commit(app, tx, outgoing).await?;
    let columns = import.fields.iter().enumerate();
    let columns = columns.filter_map(|(number, name)| Some((number, Field::parse(name)?)));
    let rows = Rows::new(columns.collect(), custom, &import.default_country);
    Ok(Some((import, media.key, rows)))
}

async fn work(
    app: &App,
    scope: CompanyScope,
    import: &mut Import,
    key: String,
    rows: &Rows,
) -> Result<(), SourceError> {
    let format = Format { delimiter: import.delimiter, encoding: import.encoding, header: import.header };
    let mut source = Source::new(key, format, import.position.unsigned_abs(), import.size.unsigned_abs());
    let until = app.clock.now() + ONE_JOB;
    let mut stretch = read(app, &mut source, rows, (import.position, import.row_number)).await?;
    loop {
        let place = (stretch.position, stretch.row_number);
        // While PostgreSQL is busy with these rows, the next ones are read.
        let next = async {
            if stretch.is_last { Ok(None) } else { read(app, &mut source, rows, place).await.map(Some) }
        };
        let (stored, next) = futures::join!(store(app, scope, import, &stretch, until), next);
        let go_on = stored.map_err(SourceError::Failed)?;
        match next {
            _ if !go_on => return Ok(()),
            Ok(Some(next)) => stretch = next,
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

async fn read(
    app: &App,
    source: &mut Source,
    rows: &Rows,
    (position, row_number): (i64, i64),
) -> Result<Stretch, SourceError> {
    let (records, is_last) = source.next(app, STRETCH).await?;
    let position = records.last().map_or(position, |last| i64::try_from(last.end).unwrap_or(i64::MAX));
    let last = row_number + i64::try_from(records.len()).unwrap_or_default();
    let readings = (row_number + 1..).zip(records).filter_map(|(number, Record { cells, .. })| {
        let outcome = rows.read(&cells).transpose()?;
        Some(Reading { number, cells, outcome })
    });
    Ok(Stretch { readings: readings.collect(), row_number: last, position, is_last })
}

/// The cells of a row as they are kept: PostgreSQL holds no NUL, and one control character stands between two cells.
fn kept(cells: &[String]) -> Vec<String> {
    let keep = |cell: &String| {
        let chars = cell.chars().map(|c| if matches!(c, '\0' | '\u{1f}') { ' ' } else { c });
        chars.take(KEPT_CHARS).collect()
    };
    cells.iter().map(keep).collect()
}

/// Stores a stretch; whether there is more to do for this job.
async fn store(
    app: &App,
    scope: CompanyScope,
    import: &mut Import,
    stretch: &Stretch,
    until: DateTime<Utc>,
) -> Result<bool> {
    for _ in 0..TRIES {
        match store_once(app, scope, import, stretch, until).await? {
            Stored::GoOn => return Ok(true),
            Stored::Stop => return Ok(false),
            Stored::Raced => {}
        }
    }
    Err(Error::RetryLater {
        after: Duration::from_secs(1),
        source: anyhow::anyhow!("others change the contacts of these rows all the time"),
    })
}

async fn store_once(
    app: &App,
    scope: CompanyScope,
    import: &mut Import,
    stretch: &Stretch,
    until: DateTime<Utc>,
) -> Result<Stored> {
    let now = app.clock.now();
    let is_over_time = now >= until && !stretch.is_last;
    let db = app.db().await?;
    // A stretch that is lost is repeated, unless its job was the one to repeat it.
    let last_of_job = is_over_time || stretch.is_last;
    let mut tx = if last_of_job { db.begin(scope).await? } else { db.begin_relaxed(scope).await? };
    let Some(mut known) = db::imports::lock(&mut tx, import.id).await? else { return Ok(Stored::Stop) };
    if known.state != TransferState::Running || (known.run, known.position) != (import.run, import.position) {
        return Ok(Stored::Stop);
    }
    let Some(effect) = apply(app, &mut tx, &known, stretch, now).await? else { return Ok(Stored::Raced) };
    known.created += effect.counts.created;
    known.updated += effect.counts.updated;
    known.unchanged += effect.counts.unchanged;
    known.failed += effect.failed;
    (known.position, known.row_number) = (stretch.position, stretch.row_number);
    let mut outgoing = Outgoing::default();
    if stretch.is_last {
        end(&mut known, TransferState::Done, None, now);
        outgoing.event(scope, progress(&known))?;
    } else if now - known.told_at >= TELL_EVERY {
        known.told_at = now;
        outgoing.event(scope, progress(&known))?;
    }
    if is_over_time {
        known.run += 1;
        outgoing.job(scope, Job::ImportContacts { import_id: known.id, run: known.run })?;
    }
    db::imports::update(&mut tx, &known, now).await?;
    outbox::commit(app, tx, outgoing).await?;
    *import = known;
    Ok(if last_of_job { Stored::Stop } else { Stored::GoOn })
}

/// What a stretch did.
#[derive(Default)]
struct Effect {
    counts: Counts,
    failed: i64,
}

/// Puts the rows into the contacts; `None` when somebody else was quicker, and all of it has to be done again.
async fn apply(
    app: &App,
    tx: &mut TenantTx,
    import: &Import,
    stretch: &Stretch,
    now: DateTime<Utc>,
) -> Result<Option<Effect>> {
    if !import.dry_run {
        contacts::lock_all_addresses(tx).await?;
    }
    let Some(mut roster) = call(tx, stretch).await? else { return Ok(None) };
    let mut errors = Vec::new();
    let mut failed = BTreeSet::new();
    for Reading { number, cells, outcome } in &stretch.readings {
        let wrong = match outcome {
            Ok(row) => match roster.put(row.clone(), || ContactId(app.clock.new_id())) {
                Ok(()) => continue,
                Err(error) => vec![error],
            },
            Err(wrong) => wrong.clone(),
        };
        failed.insert(*number);
        if import.failed + (failed.len() as i64) <= KEPT_FAILURES {
            errors.extend(wrong.into_iter().map(|error| ImportError {
                row_number: *number,
                field: error.field,
                code: error.code.to_owned(),
                reason: error.reason.into_owned(),
                cells: kept(cells),
            }));
        }
    }
    let (drafts, counts) = roster.finish();
    if !import.dry_run && !write(app, tx, import, &drafts, now).await? {
        return Ok(None);
    }
    if !errors.is_empty() {
        db::imports::insert_errors(tx, import.id, &errors).await?;
    }
    Ok(Some(Effect { counts, failed: failed.len() as i64 }))
}

/// The contacts that the rows' addresses lead to; `None` when one of them is none any more.
async fn call(tx: &mut TenantTx, stretch: &Stretch) -> Result<Option<Roster>> {
    let rows = stretch.readings.iter().filter_map(|reading| reading.outcome.as_ref().ok());
    let addresses: BTreeSet<Address> =
        rows.flat_map(|row| row.addresses().chain(row.whatsapp_addresses())).collect();
    let addresses: Vec<Address> = addresses.into_iter().collect();
    let mut found = contacts::find_by_addresses(tx, &addresses).await?;
    let mut roster = Roster::default();
    if found.is_empty() {
        return Ok(Some(roster));
    }
    let ids: Vec<ContactId> = found.keys().copied().collect();
    let known = contacts::lock(tx, &ids).await?;
    // Contacts that were taken apart while we waited for them gave addresses away; from here on they keep them.
    let theirs: Vec<Address> = found.values().flatten().cloned().collect();
    if contacts::find_by_addresses(tx, &theirs).await? != found {
        return Ok(None);
    }
    for (id, values) in known {
        roster.know(id, values, found.remove(&id).unwrap_or_default());
    }
    Ok(found.is_empty().then_some(roster))
}

async fn write(
    app: &App,
    tx: &mut TenantTx,
    import: &Import,
    drafts: &[Draft],
    now: DateTime<Utc>,
) -> Result<bool> {
    let made = || drafts.iter().filter(|draft| draft.before.is_none());
    let changed = || drafts.iter().filter(|draft| draft.is_changed && draft.before.is_some());
    contacts::insert(tx, made(), SOURCE, now).await?;
    contacts::update(tx, changed(), now).await?;
    history::record(app, tx, By::System, changed().filter_map(|draft| told(import, draft))).await?;
    if !contacts::insert_addresses(tx, drafts, now).await? {
        return Ok(false);
    }
    // A list that is deleted meanwhile takes nobody in.
    if let Some(list_id) = import.list_id
        && db::lists::hold(tx, list_id).await?
    {
        let ids: Vec<ContactId> = drafts.iter().map(|draft| draft.id).collect();
        db::lists::insert_contacts(tx, list_id, &ids, now).await?;
    }
    Ok(true)
}

/// What the history of a contact that was there has of a change.
fn told(import: &Import, draft: &Draft) -> Option<Changed> {
    Some(Changed {
        contact_id: draft.id,
        kind: ContactChange::ContactChanged,
        object_id: Some(import.id.0),
        was: particulars(draft.before.as_ref()?),
        became: particulars(&draft.values),
    })
}

/// As of a contact that a person changes.
fn particulars(values: &Values) -> Value {
    let fields = json!({
        "name": values.name,
        "phone": values.phone,
        "email": values.email,
        "external_id": values.external_id,
        "tags": values.tags,
    });
    history::with_custom(fields, &values.custom)
}

/// Ends an import that cannot go on.
async fn fail(app: &App, scope: CompanyScope, import: &Import, reason: &str) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(mut known) = db::imports::lock(&mut tx, import.id).await? else { return Ok(()) };
    if known.run != import.run || !known.state.may_become(TransferState::Failed) {
        return Ok(());
    }
    tracing::warn!(import.id = %import.id, reason, "import failed");
    end(&mut known, TransferState::Failed, Some(reason), now);
    db::imports::update(&mut tx, &known, now).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(scope, progress(&known))?;
    outbox::commit(app, tx, outgoing).await
}
