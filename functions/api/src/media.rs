//! `/media`: files. Their bytes go between browsers and the store of files, by links that are good for minutes.

use std::collections::BTreeMap;

use app::App;
use app::media::{self, Link, NewUpload, View};
use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderName, StatusCode};
use chrono::{DateTime, Utc};
use db::media::Media;
use domain::MediaId;
use domain::media::{self as rules, Attachment, MediaReason, MediaState, Purpose};
use domain::user::Permission;
use runtime::http::{ApiError, Caller, Idempotency, IdempotencyHeader, PathId, Problem, ValidJson};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::{PREFIX, words};

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(create))
        .routes(routes!(find))
        .routes(routes!(complete))
        .routes(routes!(file))
        .routes(routes!(thumbnail))
}

/// What may be uploaded.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadPurpose {
    /// A file to send.
    Message,
    /// Rows to read in.
    Import,
}

impl From<UploadPurpose> for Purpose {
    fn from(purpose: UploadPurpose) -> Self {
        match purpose {
            UploadPurpose::Message => Self::Message,
            UploadPurpose::Import => Self::Import,
        }
    }
}

/// A file to upload.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMediaBody {
    /// What it is for; `message` by default.
    #[serde(default = "to_send")]
    #[schema(value_type = Option<words::UploadPurpose>)]
    purpose: UploadPurpose,
    /// Its name, to 240 characters.
    file_name: String,
    /// Its type. To send: what WhatsApp takes (JPEG and PNG to 5 MB, WebP stickers to 500 KB, AAC, AMR, MP3, M4A and Ogg to
    /// 16 MB, MP4 and 3GP to 16 MB, PDF, text and Office to 100 MB). To read in: CSV to 1 GB.
    mime_type: String,
    /// Bytes, exactly.
    #[schema(minimum = 1)]
    size: i64,
}

fn to_send() -> UploadPurpose {
    UploadPurpose::Message
}

/// A file.
#[derive(Serialize, ToSchema)]
pub struct MediaBody {
    #[schema(value_type = Uuid)]
    id: MediaId,
    #[schema(value_type = words::MediaPurpose)]
    purpose: Purpose,
    #[schema(value_type = words::MediaState)]
    state: MediaState,
    /// Why it is refused or gone.
    #[schema(value_type = Option<words::MediaReason>)]
    reason: Option<MediaReason>,
    mime_type: String,
    /// Bytes.
    size: Option<i64>,
    file_name: Option<String>,
    /// Where it can be fetched for a while, without credentials; while it is ready, and not of rows.
    url: Option<String>,
    /// Until when.
    url_expires_at: Option<DateTime<Utc>>,
    /// Where to put it; while it is waiting.
    upload: Option<UploadBody>,
    created_at: DateTime<Utc>,
    ready_at: Option<DateTime<Utc>>,
}

/// A request to be made with the file as its body, without credentials. Afterwards call `complete`.
#[derive(Serialize, ToSchema)]
pub struct UploadBody {
    /// `PUT`.
    method: String,
    url: String,
    /// Headers that it must carry, exactly so. Browsers send `content-length` themselves.
    headers: BTreeMap<String, String>,
    /// It must begin before.
    expires_at: DateTime<Utc>,
}

impl MediaBody {
    fn of(media: Media) -> Self {
        Self {
            id: media.id,
            purpose: media.purpose,
            state: media.state,
            reason: media.reason,
            mime_type: media.mime_type,
            size: media.size,
            file_name: media.file_name,
            url: None,
            url_expires_at: None,
            upload: None,
            created_at: media.created_at,
            ready_at: media.ready_at,
        }
    }

    fn with_link(self, link: Option<Link>) -> Self {
        let (url, url_expires_at) = link.map(|link| (link.signed.url, link.expires_at)).unzip();
        Self { url, url_expires_at, ..self }
    }

    fn with_upload(self, link: Option<Link>) -> Self {
        let upload = link.map(|Link { signed, expires_at }| UploadBody {
            method: signed.method,
            url: signed.url,
            headers: signed.headers.into_iter().collect(),
            expires_at,
        });
        Self { upload, ..self }
    }
}

/// The file of a message.
#[derive(Serialize, ToSchema)]
pub struct AttachmentBody {
    /// The file; null for one of a time when files stayed with the provider.
    #[schema(value_type = Option<Uuid>)]
    id: Option<MediaId>,
    #[schema(value_type = words::MediaState)]
    state: MediaState,
    /// Why it is refused or gone.
    #[schema(value_type = Option<words::MediaReason>)]
    reason: Option<MediaReason>,
    mime_type: Option<String>,
    /// Bytes.
    size: Option<i64>,
    file_name: Option<String>,
    /// Recorded in the app: a voice note.
    voice: bool,
    /// A path of this API, which leads to the file; while it is ready.
    url: Option<String>,
    /// A path of this API, which leads to a small picture of it; of pictures.
    thumbnail_url: Option<String>,
    /// What is said in it.
    transcription: Option<String>,
}

impl AttachmentBody {
    /// What stands with a message about its file.
    pub(crate) fn of(stored: &Value) -> Self {
        let attachment = Attachment::read(stored);
        let ready = attachment.id.filter(|_| attachment.state == Some(MediaState::Ready));
        let path = |view: &str| ready.map(|id| format!("{PREFIX}/media/{id}/{view}"));
        let is_picture = attachment.mime_type.as_deref().is_some_and(rules::has_thumbnail);
        Self {
            id: attachment.id,
            state: attachment.state.unwrap_or(MediaState::Gone),
            reason: attachment.reason,
            size: attachment.size,
            file_name: attachment.filename,
            voice: attachment.voice,
            url: path("file"),
            thumbnail_url: path("thumbnail").filter(|_| is_picture),
            mime_type: attachment.mime_type,
            transcription: attachment.transcription,
        }
    }
}

/// Begins an upload. Put the file where the answer says, then call `complete`.
#[utoipa::path(post, path = "/media", tag = "media", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewMediaBody, responses(
    (status = 201, body = MediaBody),
    (status = 409, description = "idempotency_key_reused", body = Problem),
    (status = 422, description = "A wrong field, a type that is not taken, or too many bytes for it", body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(body): ValidJson<NewMediaBody>,
) -> Result<(StatusCode, Json<MediaBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let NewMediaBody { purpose, file_name, mime_type, size } = body;
    let new = NewUpload { purpose: purpose.into(), file_name, mime_type, size, idempotency_key: key };
    let (media, link) = media::upload(&app, caller.identity(), new).await?;
    Ok((StatusCode::CREATED, Json(MediaBody::of(media).with_upload(link))))
}

/// Finds a file, with a link to it for a quarter of an hour.
#[utoipa::path(get, path = "/media/{id}", tag = "media", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = MediaBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<MediaId>,
) -> Result<Json<MediaBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let (media, link) = media::find(&app, caller.scope(), id).await?;
    Ok(Json(MediaBody::of(media).with_link(link)))
}

/// Says that an upload is there. It is looked at, and taken or refused. Harmless to repeat.
#[utoipa::path(post, path = "/media/{id}/complete", tag = "media", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = MediaBody),
    (status = 404, body = Problem),
    (status = 409, description = "not_uploaded; media_refused: it is not what was said", body = Problem),
))]
async fn complete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<MediaId>,
) -> Result<Json<MediaBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let media = media::complete(&app, caller.scope(), id).await?;
    Ok(Json(MediaBody::of(media)))
}

/// Leads to a file's bytes.
#[utoipa::path(get, path = "/media/{id}/file", tag = "media", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 302, description = "To the file"),
    (status = 404, body = Problem),
    (status = 409, description = "media_not_ready", body = Problem),
))]
async fn file(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<MediaId>,
) -> Result<Redirect, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(redirect(media::link(&app, caller.scope(), id, View::File).await?))
}

/// Leads to a small picture of a file: to the file itself until there is one. Only pictures have one.
#[utoipa::path(get, path = "/media/{id}/thumbnail", tag = "media", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 302, description = "To the picture"),
    (status = 404, body = Problem),
    (status = 409, description = "media_not_ready", body = Problem),
))]
async fn thumbnail(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<MediaId>,
) -> Result<Redirect, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(redirect(media::link(&app, caller.scope(), id, View::Thumbnail).await?))
}

/// An answer that leads elsewhere.
type Redirect = (StatusCode, [(HeaderName, String); 2]);

/// A browser that shows the same list again need not ask again, as long as the link is good.
fn redirect(link: Link) -> Redirect {
    const GOOD_FOR: &str = "private, max-age=600";
    (StatusCode::FOUND, [(LOCATION, link.signed.url), (CACHE_CONTROL, GOOD_FOR.to_owned())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_there_has_an_address() {
        let id = "0198f000-0000-7000-8000-000000000001";
        let shown = |stored: Value| serde_json::to_value(AttachmentBody::of(&stored)).expect("serialises");
        let ready = shown(json!({ "id": id, "state": "ready", "mime_type": "image/jpeg", "size": 3 }));
        assert_eq!(ready["url"], format!("/api/v1/media/{id}/file"));
        assert_eq!(ready["thumbnail_url"], format!("/api/v1/media/{id}/thumbnail"));
        let voice = shown(json!({ "id": id, "state": "ready", "mime_type": "audio/ogg", "voice": true }));
        assert_eq!((&voice["thumbnail_url"], &voice["voice"]), (&Value::Null, &json!(true)));
        let waiting = shown(json!({ "id": id, "state": "waiting", "mime_type": "image/jpeg" }));
        assert_eq!((&waiting["url"], &waiting["thumbnail_url"]), (&Value::Null, &Value::Null));
        let old = shown(json!({ "provider_media_id": "1", "mime_type": "image/jpeg", "voice": false }));
        assert_eq!((&old["state"], &old["url"]), (&json!("gone"), &Value::Null));
    }
}
