//! The work of an export: part by part of the file, each stored before the place that it ends at is. Whoever dies, the next
//! one goes on behind the last part that is known; a part that is stored twice takes its own place.

use chrono::{DateTime, TimeDelta, Utc};
use cloud::media::MediaError;
use db::exports::{Export, ExportedContact};
use db::media::{Arrived, Media};
use domain::csv::{Delimiter, Writer, guard};
use domain::job::Job;
use domain::transfer::TransferState;
use domain::{CompanyScope, ExportId};
use serde_json::Value;
use uuid::Uuid;

use super::{TYPE, progress};
use crate::App;
use crate::error::{Error, Result, internal};
use crate::outbox::{self, Outgoing};

/// Contacts that are read at a time.
const BATCH: i64 = 2_000;

/// Bytes of a part: S3 takes at least 5 MiB, and 10,000 parts of a file.
const PART: usize = 8 << 20;

/// How long a job works before it asks for the next one; a part is finished first.
const ONE_JOB: TimeDelta = TimeDelta::seconds(60);

/// Columns before those of the company's own fields.
const COLUMNS: [&str; 11] = [
    "id",
    "name",
    "phone",
    "email",
    "external_id",
    "source",
    "tags",
    "bypass_bots",
    "opted_out_at",
    "marketing_opted_out_at",
    "created_at",
];

/// The column behind those: whoever reads by position finds everything where it was.
const USERNAME: &str = "username";

/// Why a part cannot be stored.
enum Trouble {
    /// The upload is over: its file is there, or the store gave it up.
    UploadOver,
    /// Anything else.
    Failed(Error),
}

impl From<MediaError> for Trouble {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::NotFound => Self::UploadOver,
            error => Self::Failed(internal(error)),
        }
    }
}

/// Does the part `run` of an export.
///
/// # Errors
/// Errors that are worth another try: it then goes on where it was. What can never succeed ends the export first.
pub async fn run(app: &App, scope: CompanyScope, export_id: ExportId, run: i32) -> Result<()> {
    let Some((mut export, media)) = begin(app, scope, export_id, run).await? else { return Ok(()) };
    match work(app, scope, &mut export, &media).await {
        Ok(()) => Ok(()),
        Err(error) if error.retryable() => Err(error),
        Err(error) => {
            fail(app, scope, &export).await?;
            Err(error)
        }
    }
}

async fn begin(
    app: &App,
    scope: CompanyScope,
    export_id: ExportId,
    run: i32,
) -> Result<Option<(Export, Media)>> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(mut export) = db::exports::lock(&mut tx, export_id).await? else { return Ok(None) };
    if export.run != run || export.state.is_over() {
        return Ok(None);
    }
    let Some(media) = db::media::find(&mut tx, export.media_id).await? else { return Ok(None) };
    let mut outgoing = Outgoing::default();
    if export.state == TransferState::Waiting {
        export.state = TransferState::Running;
        export.started_at = Some(now);
        db::exports::update(&mut tx, &export, now).await?;
        outgoing.event(scope, progress(&export))?;
    }
    outbox::commit(app, tx, outgoing).await?;
    Ok(Some((export, media)))
}

async fn work(app: &App, scope: CompanyScope, export: &mut Export, media: &Media) -> Result<()> {
    let until = app.clock.now() + ONE_JOB;
    loop {
        if export.upload_id.is_none() {
            let upload_id = app.media.begin_upload(&media.key, TYPE).await.map_err(internal)?;
            export.upload_id = Some(upload_id);
            if !save(app, scope, export, |_| Ok(())).await? {
                return Ok(());
            }
        }
        let part = write_part(app, scope, export).await?;
        let (is_last, contacts) = (part.is_last, export.contacts + part.contacts);
        let stored = match store(app, export, media, part).await {
            Ok(stored) => stored,
            Err(Trouble::Failed(error)) => return Err(error),
            Err(Trouble::UploadOver) => match app.media.head(&media.key).await.map_err(internal)? {
                // Who made the file of the parts died before it could say so.
                Some(head) => return finish(app, scope, export, media, (contacts, head.size)).await,
                // The store gave the upload up: all of it once more.
                None => {
                    start_over(export);
                    continue;
                }
            },
        };
        if is_last {
            return finish(app, scope, export, media, (contacts, stored.size)).await;
        }
        let is_over_time = app.clock.now() >= until;
        *export = stored;
        export.run += i32::from(is_over_time);
        let job = Job::ExportContacts { export_id: export.id, run: export.run };
        let event = progress(export);
        let told = save(app, scope, export, |outgoing| {
            outgoing.event(scope, event)?;
            if is_over_time { outgoing.job(scope, job) } else { Ok(()) }
        });
        if !told.await? || is_over_time {
            return Ok(());
        }
    }
}

fn start_over(export: &mut Export) {
    export.upload_id = None;
    export.parts.clear();
    (export.after_at, export.after_id) = (None, None);
    (export.contacts, export.size) = (0, 0);
}

/// A part of the file that is not stored yet.
struct Part {
    bytes: Vec<u8>,
    contacts: i64,
    after: Option<(DateTime<Utc>, Uuid)>,
    is_last: bool,
}

/// Writes contacts until they fill a part, or there are no more.
async fn write_part(app: &App, scope: CompanyScope, export: &Export) -> Result<Part> {
    let mut writer = Writer::new(if export.excel { Delimiter::Semicolon } else { Delimiter::Comma });
    if export.parts.is_empty() {
        if export.excel {
            writer.mark();
        }
        let own = export.fields.iter().map(|key| format!("custom.{key}"));
        let last = [USERNAME.to_owned()];
        let header: Vec<String> = COLUMNS.map(str::to_owned).into_iter().chain(own).chain(last).collect();
        writer.row(header.iter().map(String::as_str));
    }
    let mut part =
        Part { bytes: Vec::new(), contacts: 0, after: export.after_at.zip(export.after_id), is_last: false };
    while writer.len() < PART && !part.is_last {
        let mut tx = app.db().await?.begin_list(scope).await?;
        let contacts =
            db::exports::list_contacts(&mut tx, &export.filter, export.created_at, part.after, BATCH).await?;
        tx.commit().await?;
        part.is_last = i64::try_from(contacts.len()).unwrap_or_default() < BATCH;
        part.contacts += i64::try_from(contacts.len()).unwrap_or_default();
        part.after = contacts.last().map(|contact| (contact.created_at, contact.id.0)).or(part.after);
        for contact in &contacts {
            write(&mut writer, contact, &export.fields);
        }
    }
    part.bytes = writer.take();
    Ok(part)
}

fn write(writer: &mut Writer, contact: &ExportedContact, fields: &[String]) {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let own = fields.iter().map(|key| match contact.custom.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    });
    let cells: Vec<String> = [
        contact.id.to_string(),
        contact.name.clone(),
        contact.phone.clone().unwrap_or_default(),
        contact.email.clone().unwrap_or_default(),
        contact.external_id.clone().unwrap_or_default(),
        contact.source.clone(),
        contact.tags.join(", "),
        contact.bypass_bots.to_string(),
        contact.opted_out_at.map(time).unwrap_or_default(),
        contact.marketing_opted_out_at.map(time).unwrap_or_default(),
        time(contact.created_at),
    ]
    .into_iter()
    .chain(own)
    .chain([contact.username.clone().unwrap_or_default()])
    .collect();
    let cells: Vec<_> = cells.iter().map(|cell| guard(cell)).collect();
    writer.row(cells.iter().map(|cell| &**cell));
}

/// Stores a part, and makes the file of all parts behind the last one; the export as it is then.
async fn store(app: &App, export: &Export, media: &Media, part: Part) -> Result<Export, Trouble> {
    let mut next = export.clone();
    let upload_id = export.upload_id.as_deref().unwrap_or_default();
    next.size += i64::try_from(part.bytes.len()).unwrap_or_default();
    next.contacts += part.contacts;
    (next.after_at, next.after_id) = part.after.unzip();
    let number = i32::try_from(export.parts.len() + 1).unwrap_or(i32::MAX);
    let name = app.media.put_part(&media.key, upload_id, number, part.bytes.into()).await?;
    next.parts.push(name);
    if part.is_last {
        app.media.finish_upload(&media.key, upload_id, &next.parts).await?;
    }
    Ok(next)
}

/// Keeps how far an export got, with what leaves with it; whether it still was our turn.
async fn save(
    app: &App,
    scope: CompanyScope,
    export: &Export,
    tell: impl FnOnce(&mut Outgoing) -> Result<()>,
) -> Result<bool> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(known) = db::exports::lock(&mut tx, export.id).await? else { return Ok(false) };
    let is_ours = known.run == export.run || known.run + 1 == export.run;
    if known.state != TransferState::Running || !is_ours {
        return Ok(false);
    }
    db::exports::update(&mut tx, export, now).await?;
    let mut outgoing = Outgoing::default();
    tell(&mut outgoing)?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(true)
}

/// The file is there.
async fn finish(
    app: &App,
    scope: CompanyScope,
    export: &Export,
    media: &Media,
    (contacts, size): (i64, i64),
) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(mut known) = db::exports::lock(&mut tx, export.id).await? else { return Ok(()) };
    if known.run != export.run || known.state != TransferState::Running {
        return Ok(());
    }
    known.state = TransferState::Done;
    known.finished_at = Some(now);
    (known.contacts, known.size) = (contacts, size);
    db::exports::update(&mut tx, &known, now).await?;
    let arrived = Arrived { mime_type: TYPE.to_owned(), size, sha256: None };
    db::media::set_ready(&mut tx, media.id, &arrived, now).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(scope, progress(&known))?;
    outbox::commit(app, tx, outgoing).await
}

/// Ends an export that cannot go on.
async fn fail(app: &App, scope: CompanyScope, export: &Export) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(mut known) = db::exports::lock(&mut tx, export.id).await? else { return Ok(()) };
    if !known.state.may_become(TransferState::Failed) {
        return Ok(());
    }
    tracing::warn!(export.id = %export.id, "export failed");
    known.state = TransferState::Failed;
    known.reason = Some("internal".to_owned());
    known.finished_at = Some(now);
    db::exports::update(&mut tx, &known, now).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(scope, progress(&known))?;
    outbox::commit(app, tx, outgoing).await
}
