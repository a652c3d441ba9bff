//! Contacts into files. The work is done in [`run`].

pub mod run;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cloud::media::{Served, Signed};
use db::exports::{Export, Json};
use db::media::{Media, NewMedia};
use domain::event::Event;
use domain::job::Job;
use domain::media::Purpose;
use domain::transfer::{ExportFilter, TransferState};
use domain::user::Permission;
use domain::{ExportId, MediaId};
use serde::Serialize;
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result, internal};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, media};

/// What the file is.
const TYPE: &str = "text/csv";

/// So long the bucket keeps what is written (template.yaml: `expire-exports`).
const KEPT: TimeDelta = TimeDelta::days(30);

/// How long a link to the file is good.
const LINK_LIFE: Duration = Duration::from_secs(15 * 60);

/// An export that is asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewExport {
    /// Which contacts.
    pub filter: ExportFilter,
    /// As Excel wants it where the comma is the decimal sign: a byte order mark, and semicolons.
    pub excel: bool,
}

/// An export, and where its file can be fetched when it is done.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The export.
    pub export: Export,
    /// A link to the file, and until when it is good.
    pub file: Option<(Signed, DateTime<Utc>)>,
}

/// Asks for an export of the contacts that there are now.
///
/// # Errors
/// `NotFound` for the list; `Invalid` for a time that there is not; `Forbidden` without the permission.
pub async fn create(
    app: &App,
    identity: &Identity,
    key: Option<&IdempotencyKey>,
    new: NewExport,
) -> Result<Exported> {
    identity.require(Permission::ManageContacts)?;
    check(&new.filter)?;
    let id = ExportId(app.clock.new_id());
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(identity.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "export", &new, id.0).await? {
        tx.commit().await?;
        return find(app, identity, ExportId(known)).await;
    }
    if let Some(list_id) = new.filter.list_id
        && !db::lists::hold(&mut tx, list_id).await?
    {
        return Err(Error::NotFound("list"));
    }
    let mut fields = db::contact_fields::list_all(&mut tx).await?;
    fields.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    let media = new_media(app, identity, now);
    db::media::insert(&mut tx, &media, now).await?;
    let export = Export {
        id,
        media_id: media.id,
        state: TransferState::Waiting,
        reason: None,
        filter: Json(new.filter),
        excel: new.excel,
        fields: fields.into_iter().map(|field| field.key).collect(),
        contacts: 0,
        after_at: None,
        after_id: None,
        upload_id: None,
        parts: Vec::new(),
        size: 0,
        run: 0,
        told_at: now,
        created_at: now,
        started_at: None,
        finished_at: None,
    };
    db::exports::insert(&mut tx, &export).await?;
    let object = ("export", Some(id.0));
    let detail = json!({ "filter": *export.filter, "excel": export.excel });
    audit::record(app, &mut tx, By::Caller(identity), "export.created", object, detail).await?;
    let mut outgoing = Outgoing::default();
    outgoing.job(identity.scope, Job::ExportContacts { export_id: id, run: 0 })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(Exported { export, file: None })
}

fn new_media(app: &App, identity: &Identity, now: DateTime<Utc>) -> NewMedia {
    let id = MediaId(app.clock.new_id());
    NewMedia {
        id,
        purpose: Purpose::Export,
        mime_type: TYPE.to_owned(),
        size: None,
        key: media::key_of(Purpose::Export, identity.scope.company_id(), id),
        file_name: Some(format!("contacts-{}.csv", now.format("%Y-%m-%d"))),
        created_by: identity.user_id(),
    }
}

fn check(filter: &ExportFilter) -> Result<()> {
    for (name, text) in [("filter.tag", &filter.tag), ("filter.source", &filter.source)] {
        if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
            return Err(Error::invalid(name, "not empty"));
        }
    }
    if filter.created_from.zip(filter.created_to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::invalid("filter.created_to", "after `created_from`"));
    }
    Ok(())
}

/// One export.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: ExportId) -> Result<Exported> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let export = db::exports::find(&mut tx, id).await?.ok_or(Error::NotFound("export"))?;
    let media = db::media::find(&mut tx, export.media_id).await?;
    tx.commit().await?;
    let file = match media {
        Some(media) if is_there(&export, app.clock.now()) => Some(link(app, &media).await?),
        _ => None,
    };
    Ok(Exported { export, file })
}

fn is_there(export: &Export, now: DateTime<Utc>) -> bool {
    export.state == TransferState::Done && export.finished_at.is_some_and(|at| now < at + KEPT)
}

async fn link(app: &App, media: &Media) -> Result<(Signed, DateTime<Utc>)> {
    let served = Served {
        content_type: "text/csv; charset=utf-8",
        inline: false,
        file_name: media.file_name.as_deref().unwrap_or("contacts.csv"),
    };
    let expires_at = app.clock.now() + LINK_LIFE;
    let signed = app.media.sign_get(&media.key, served, LINK_LIFE).await.map_err(internal)?;
    Ok((signed, expires_at))
}

fn progress(export: &Export) -> Event {
    Event::ExportProgress { export_id: export.id, state: export.state, contacts: export.contacts }
}
