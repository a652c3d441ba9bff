//! Files: brought by people, fetched from providers, sent to customers. What they are is decided by their bytes.
//!
//! Rooms: here uploads and links · [`inbound`] files that came with messages ·
//! [`thumbnail`] small pictures · [`sending`] what a message to a customer needs of its file · [`erasure`] files that
//! somebody wants to be gone.
//!
//! An upload lands beside the place where files are used from, and is moved there when it was looked at: whoever still
//! holds its link can change nothing any more. What is never looked at runs out by the bucket's lifecycle.

pub(crate) mod erasure;
pub(crate) mod inbound;
pub(crate) mod sending;
pub(crate) mod thumbnail;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cloud::media::{MediaError, Served, Signed};
use db::media::{Arrived, Media, NewMedia};
use domain::job::Job;
use domain::media::{self as rules, MediaReason, MediaState, Purpose, sniff};
use domain::{CompanyId, CompanyScope, MediaId};
use serde_json::json;

use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, text};

pub use erasure::{delete_bytes, erase_of_messages};
pub use inbound::fetch;
pub use thumbnail::make as make_thumbnail;

/// An upload must begin within so long after it was asked for.
const UPLOAD_LIFE: Duration = Duration::from_secs(60 * 60);

/// A download must begin within so long after it was asked for.
const DOWNLOAD_LIFE: Duration = Duration::from_secs(15 * 60);

/// Whoever uploads a file says within so long that it is there.
const FINISHED_WITHIN: TimeDelta = TimeDelta::days(2);

/// The longest name of a file.
const NAME_CHARS: usize = 240;

/// A file that somebody wants to bring.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// To be sent, or to be read in.
    pub purpose: Purpose,
    /// Its name.
    pub file_name: String,
    /// Its type.
    pub mime_type: String,
    /// Its bytes.
    pub size: i64,
    /// The client's key for this request.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A request that a browser makes itself, at the store of files.
#[derive(Clone, Debug)]
pub struct Link {
    /// The request.
    pub signed: Signed,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// Makes note of a file that will be brought, and signs its upload; no link when the key was used before and the file is
/// there already.
///
/// # Errors
/// `Invalid` for a type that is not taken, or too many bytes; `Rule` `idempotency_key_reused`.
pub async fn upload(app: &App, identity: &Identity, new: NewUpload) -> Result<(Media, Option<Link>)> {
    let file_name = file_name(&new.file_name)?;
    let mime_type = rules::essence(&new.mime_type);
    let largest = rules::largest(new.purpose, &mime_type)
        .ok_or_else(|| Error::invalid("mime_type", "files of this type are not taken for this purpose"))?;
    if !(1..=largest).contains(&new.size) {
        return Err(Error::invalid("size", format!("1 to {largest} bytes for this type")));
    }
    let scope = identity.scope;
    let id = MediaId(app.clock.new_id());
    let asked = json!([new.purpose, file_name, mime_type, new.size]);
    let mut tx = app.db().await?.begin(scope).await?;
    let key = new.idempotency_key.as_ref();
    let id = match idempotency::claim(&mut tx, key, "media", &asked, id.0).await? {
        Some(known) => MediaId(known),
        None => {
            let media = NewMedia {
                id,
                purpose: new.purpose,
                mime_type,
                size: Some(new.size),
                key: key_of(new.purpose, scope.company_id(), id),
                file_name: Some(file_name),
                created_by: identity.user_id(),
            };
            let now = app.clock.now();
            db::media::insert(&mut tx, &media, now).await?;
            // What the company began before and never finished goes by the way.
            db::media::delete_unfinished(&mut tx, now - FINISHED_WITHIN).await?;
            id
        }
    };
    let media = db::media::find(&mut tx, id).await?.ok_or(Error::NotFound("media"))?;
    tx.commit().await?;
    if media.state != MediaState::Waiting {
        return Ok((media, None));
    }
    let place = upload_key(&media);
    let size = media.size.unwrap_or_default();
    let signed = app.media.sign_put(&place, &media.mime_type, size, UPLOAD_LIFE).await.map_err(store)?;
    Ok((media, Some(Link { signed, expires_at: app.clock.now() + UPLOAD_LIFE })))
}

/// Looks at an upload that is said to be there, and takes or refuses it. Once it is there, this changes nothing.
///
/// # Errors
/// `NotFound`; `Rule` `not_uploaded` when no bytes came, `media_refused` when they are not what was said.
pub async fn complete(app: &App, scope: CompanyScope, id: MediaId) -> Result<Media> {
    let media = find_upload(app, scope, id).await?;
    match media.state {
        MediaState::Waiting => {}
        MediaState::Ready => return Ok(media),
        MediaState::Refused | MediaState::Gone => return Err(refused(media.reason)),
    }
    match examine(app, scope, media).await {
        Err(error) => {
            // Another call may have taken it meanwhile, and its bytes with it.
            let media = find_upload(app, scope, id).await?;
            if media.state == MediaState::Ready { Ok(media) } else { Err(error) }
        }
        taken => taken,
    }
}

async fn examine(app: &App, scope: CompanyScope, media: Media) -> Result<Media> {
    let head = app.media.head(&upload_key(&media)).await.map_err(store)?.ok_or_else(not_uploaded)?;
    if let Some(reason) = objection(app, &media, &head).await? {
        let mut tx = app.db().await?.begin(scope).await?;
        db::media::set_lost(&mut tx, media.id, MediaState::Refused, reason).await?;
        tx.commit().await?;
        app.media.delete(&upload_key(&media)).await.map_err(store)?;
        return Err(refused(Some(reason)));
    }
    take(app, scope, media, &head).await
}

async fn find_upload(app: &App, scope: CompanyScope, id: MediaId) -> Result<Media> {
    let mut tx = app.db().await?.begin(scope).await?;
    let media = db::media::find(&mut tx, id).await?;
    media.filter(|media| is_upload(media.purpose)).ok_or(Error::NotFound("media"))
}

fn is_upload(purpose: Purpose) -> bool {
    match purpose {
        Purpose::Message | Purpose::Import => true,
        Purpose::Export | Purpose::Inbound => false,
    }
}

/// What speaks against an upload.
async fn objection(app: &App, media: &Media, head: &cloud::media::Head) -> Result<Option<MediaReason>> {
    if media.size != Some(head.size) {
        return Ok(Some(MediaReason::WrongSize));
    }
    let mut beginning = Vec::new();
    let range = 0..sniff::ENOUGH as u64;
    let mut download = app.media.get_range(&upload_key(media), range).await.map_err(store)?;
    if download.etag != head.etag {
        return Err(store(MediaError::Changed));
    }
    while let Some(part) = download.next().await.map_err(store)? {
        beginning.extend_from_slice(&part);
    }
    let sniffed = sniff::look(&beginning);
    let agrees = rules::agrees(media.purpose, &media.mime_type, sniffed.mime_type, sniffed.is_text);
    if !agrees {
        return Ok(Some(MediaReason::WrongType));
    }
    Ok((!sniff::fits(&media.mime_type, &beginning, head.size)).then_some(MediaReason::TooLarge))
}

/// Moves an upload to where it is used from.
async fn take(app: &App, scope: CompanyScope, media: Media, head: &cloud::media::Head) -> Result<Media> {
    let from = upload_key(&media);
    if from != media.key {
        app.media.copy(&from, &media.key, head.etag.as_deref()).await.map_err(store)?;
    }
    let arrived = Arrived { mime_type: media.mime_type, size: head.size, sha256: None };
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    let taken = db::media::set_ready(&mut tx, media.id, &arrived, app.clock.now()).await?;
    if taken && media.purpose == Purpose::Message && rules::has_thumbnail(&arrived.mime_type) {
        outgoing.job(scope, Job::MakeThumbnail { media_id: media.id })?;
    }
    let known = db::media::find(&mut tx, media.id).await?.ok_or(Error::NotFound("media"))?;
    outbox::commit(app, tx, outgoing).await?;
    if from != media.key
        && let Err(error) = app.media.delete(&from).await
    {
        tracing::warn!(media.id = %media.id, %error, "upload left to the bucket's lifecycle");
    }
    Ok(known)
}

/// Finds a file; with a link to it when it is there and for people to see.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: MediaId) -> Result<(Media, Option<Link>)> {
    let mut tx = app.db().await?.begin(scope).await?;
    let media = db::media::find(&mut tx, id).await?.ok_or(Error::NotFound("media"))?;
    tx.commit().await?;
    let link = match is_shown(&media) {
        true => Some(sign(app, &media, &media.key, &media.mime_type).await?),
        false => None,
    };
    Ok((media, link))
}

/// Which picture of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The file itself.
    File,
    /// A small picture of it; the file while there is none.
    Thumbnail,
}

/// A link to a file's bytes.
///
/// # Errors
/// `NotFound`; `Rule` `media_not_ready` for a file that is not there.
pub async fn link(app: &App, scope: CompanyScope, id: MediaId, view: View) -> Result<Link> {
    let mut tx = app.db().await?.begin(scope).await?;
    let media = db::media::find(&mut tx, id).await?.ok_or(Error::NotFound("media"))?;
    tx.commit().await?;
    if !is_shown(&media) {
        return Err(not_ready(media.state));
    }
    match (view, &media.thumbnail_key) {
        (View::Thumbnail, Some(key)) => sign(app, &media, key, thumbnail::MIME_TYPE).await,
        (View::Thumbnail, None) if !rules::has_thumbnail(&media.mime_type) => {
            Err(Error::NotFound("thumbnail"))
        }
        _ => sign(app, &media, &media.key, &media.mime_type).await,
    }
}

/// Files of rows are for who may read them, by the routes of their own.
fn is_shown(media: &Media) -> bool {
    let for_people = match media.purpose {
        Purpose::Message | Purpose::Inbound => true,
        Purpose::Import | Purpose::Export => false,
    };
    for_people && media.state == MediaState::Ready
}

async fn sign(app: &App, media: &Media, key: &str, mime_type: &str) -> Result<Link> {
    let plain = media.id.to_string();
    let served = Served {
        content_type: mime_type,
        inline: rules::is_shown_inline(mime_type),
        file_name: media.file_name.as_deref().unwrap_or(&plain),
    };
    let signed = app.media.sign_get(key, served, DOWNLOAD_LIFE).await.map_err(store)?;
    Ok(Link { signed, expires_at: app.clock.now() + DOWNLOAD_LIFE })
}

pub(crate) fn not_ready(state: MediaState) -> Error {
    let message = match state {
        MediaState::Waiting => "the file is not there yet",
        MediaState::Ready => "the file is not to be looked at here",
        MediaState::Refused => "the file was refused",
        MediaState::Gone => "the file is not there any more",
    };
    Error::Rule { code: "media_not_ready", message: message.to_owned() }
}

fn not_uploaded() -> Error {
    Error::Rule { code: "not_uploaded", message: "the file has not been uploaded".to_owned() }
}

fn refused(reason: Option<MediaReason>) -> Error {
    let message = match reason {
        Some(MediaReason::WrongSize) => "the file has another size than was said",
        Some(MediaReason::WrongType) => "the file is of another type than was said",
        Some(MediaReason::TooLarge) => "the file is larger than its type may be",
        _ => "the file is not there any more",
    };
    Error::Rule { code: "media_refused", message: message.to_owned() }
}

/// A name, without a way to it.
fn file_name(given: &str) -> Result<String> {
    let name = text::line("file_name", given, NAME_CHARS)?;
    match name.contains(['/', '\\']) {
        true => Err(Error::invalid("file_name", "a name without slashes")),
        false => Ok(name),
    }
}

/// Where a file lies. What is for one purpose has one beginning: the bucket keeps some for a while only.
pub fn key_of(purpose: Purpose, company_id: CompanyId, id: MediaId) -> String {
    format!("{}/{company_id}/{id}", purpose.as_str())
}

/// Where an upload lands. Rows are used where they land: they are read as whatever they are, and moving a gigabyte takes
/// longer than an answer may.
fn upload_key(media: &Media) -> String {
    match media.purpose {
        Purpose::Message => format!("upload/{}", media.key),
        Purpose::Import | Purpose::Export | Purpose::Inbound => media.key.clone(),
    }
}

/// What the store's failures mean here. Rights that are missing are our own fault, and somebody will mend it.
pub(crate) fn store(error: MediaError) -> Error {
    match error {
        MediaError::NotFound | MediaError::TooLarge => Error::Poison(error.into()),
        MediaError::Changed => Error::Conflict("the file was changed while it was looked at"),
        MediaError::Aws(_) | MediaError::Credentials(_) | MediaError::Broken(_) => {
            Error::Internal(error.into())
        }
    }
}
