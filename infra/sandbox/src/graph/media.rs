//! Media: upload, look-up, download, deletion.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Multipart, Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::GraphError;
use crate::clock;
use crate::script::{self, Target};
use crate::webhooks::sign;
use crate::world::Sandbox;
use crate::world::media::Media;
use crate::world::messages::{Attachment, Message};

const MEGABYTE: usize = 1024 * 1024;
/// How long an address given out stays good.
const ADDRESS_SECONDS: i64 = 5 * 60;

pub(crate) async fn upload(
    State(sandbox): Shared,
    Path((_, phone_number_id)): Path<(String, String)>,
    headers: HeaderMap,
    form: Multipart,
) -> Response {
    let asked = format!("upload {phone_number_id}");
    script::run(&sandbox, Target::GraphMedia, asked.as_bytes(), async {
        match keep(&sandbox, &phone_number_id, &headers, form).await {
            Ok(id) => Json(json!({ "id": id })).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await
}

async fn keep(
    sandbox: &Sandbox,
    phone_number_id: &str,
    headers: &HeaderMap,
    mut form: Multipart,
) -> Result<String, GraphError> {
    super::line(&sandbox.world(), headers, phone_number_id)?;
    let unreadable = |error| GraphError::parameter(format!("Unreadable form: {error}"));
    let (mut product, mut file, mut declared) = (None, None, None);
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        match field.name().unwrap_or_default() {
            "messaging_product" => product = Some(field.text().await.map_err(unreadable)?),
            "type" => declared = Some(field.text().await.map_err(unreadable)?),
            "file" => {
                let mime_type = field.content_type().map(str::to_owned);
                let filename = field.file_name().map(str::to_owned);
                file = Some((mime_type, filename, field.bytes().await.map_err(unreadable)?));
            }
            _ => {}
        }
    }
    if product.as_deref() != Some("whatsapp") {
        return Err(GraphError::parameter("The parameter messaging_product is required."));
    }
    let (mime_type, filename, bytes) =
        file.ok_or_else(|| GraphError::parameter("The parameter file is required."))?;
    let mime_type = mime_type.or(declared).unwrap_or_default();
    check(&mime_type, bytes.len())?;
    let mut world = sandbox.world();
    Ok(world.media.insert(&mime_type, filename, bytes).id)
}

/// Refuses what the Cloud API refuses: unknown types, and files over the limit of their kind.
pub(crate) fn check(mime_type: &str, length: usize) -> Result<(), GraphError> {
    let essence = mime_type.split(';').next().unwrap_or_default().trim();
    let limit = match essence {
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" | "video/mp4" | "video/3gpp" => {
            16 * MEGABYTE
        }
        "image/jpeg" | "image/png" => 5 * MEGABYTE,
        "image/webp" => MEGABYTE / 2,
        "text/plain" | "application/pdf" => 100 * MEGABYTE,
        office if office.starts_with("application/vnd.") || office == "application/msword" => 100 * MEGABYTE,
        other => {
            return Err(GraphError::parameter(format!(
                "Param file must be a file with one of the following types: audio/aac, \
                 audio/mp4, audio/mpeg, audio/amr, audio/ogg, application/pdf, \
                 application/msword, text/plain, image/jpeg, image/png, image/webp, video/mp4, \
                 video/3gpp. Received file of type '{other}'."
            )));
        }
    };
    if length == 0 || length > limit {
        return Err(GraphError::of_code(131_053).details(format!(
            "Media file size {length} is outside the limits for {essence}: 1 to {limit} bytes"
        )));
    }
    Ok(())
}

/// `GET /{MEDIA_ID}`, or nothing when there is no such file.
pub(crate) fn look_up(sandbox: &Sandbox, headers: &HeaderMap, id: &str) -> Option<Value> {
    let media = sandbox.world().media.get(id).cloned()?;
    let origin = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .map_or_else(|| sandbox.origin.clone(), |host| format!("http://{host}"));
    Some(json!({
        "messaging_product": "whatsapp",
        "url": address(sandbox, &origin, id),
        "mime_type": media.mime_type,
        "sha256": media.sha256_hex(),
        "file_size": media.bytes.len().to_string(),
        "id": media.id,
    }))
}

/// An address good for five minutes.
pub(crate) fn address(sandbox: &Sandbox, origin: &str, id: &str) -> String {
    let expires = clock::now_s() + ADDRESS_SECONDS;
    let hash = hash(sandbox, id, expires);
    format!("{origin}/graph/attachments?mid={id}&ext={expires}&hash={hash}")
}

fn hash(sandbox: &Sandbox, id: &str, expires: i64) -> String {
    let secret = &sandbox.config.line.app_secret;
    sign::signature(secret, format!("{id} {expires}").as_bytes())[7..39].to_owned()
}

#[derive(Deserialize)]
pub(crate) struct Download {
    mid: String,
    ext: i64,
    hash: String,
}

pub(crate) async fn download(
    State(sandbox): Shared,
    Query(asked): Query<Download>,
    headers: HeaderMap,
) -> Response {
    let wanted = format!("download {}", asked.mid);
    script::run(&sandbox, Target::GraphMedia, wanted.as_bytes(), async {
        if let Err(error) = super::token(&sandbox.world(), &headers) {
            return error.into_response();
        }
        let good = asked.ext >= clock::now_s() && asked.hash == hash(&sandbox, &asked.mid, asked.ext);
        let media = sandbox.world().media.get(&asked.mid).cloned();
        match media.filter(|_| good) {
            Some(media) => ([(header::CONTENT_TYPE, media.mime_type)], media.bytes).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    })
    .await
}

pub(crate) async fn delete(
    State(sandbox): Shared,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let asked = format!("delete {id}");
    script::run(&sandbox, Target::GraphMedia, asked.as_bytes(), async {
        let mut world = sandbox.world();
        if let Err(error) = super::token(&world, &headers) {
            return error.into_response();
        }
        if world.media.remove(&id) {
            Json(json!({ "success": true })).into_response()
        } else {
            GraphError::unknown_object("delete", &id).into_response()
        }
    })
    .await
}

/// Gives a message of the business its file, fetching it first when only a link was given.
/// The error is Meta's code: the media is not there, or the link gives nothing usable.
pub(crate) async fn attach(sandbox: &Arc<Sandbox>, message: &Message) -> Result<(), u32> {
    let linked = message.content["link"].as_str();
    let media = match (message.content["id"].as_str(), linked) {
        (Some(id), _) if is_media(&message.kind) => {
            let found = sandbox.world().media.get(id).cloned();
            found.ok_or(131_053_u32)?
        }
        (None, Some(link)) if is_media(&message.kind) => fetch(sandbox, link).await?,
        _ => return Ok(()),
    };
    let given = message.content["filename"].as_str().map(str::to_owned);
    if let Some(message) = sandbox.world().messages.get_mut(&message.id) {
        message.attachment =
            Some(Attachment { id: media.id, mime_type: media.mime_type, filename: given.or(media.filename) });
    }
    Ok(())
}

fn is_media(kind: &str) -> bool {
    matches!(kind, "image" | "video" | "document" | "audio" | "sticker")
}

async fn fetch(sandbox: &Sandbox, link: &str) -> Result<Media, u32> {
    let failed = |error: reqwest::Error| {
        tracing::info!(%error, "media could not be fetched from its link");
        131_053_u32
    };
    let response =
        sandbox.http.get(link).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let mime_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes: Bytes = response.bytes().await.map_err(failed)?;
    check(&mime_type, bytes.len()).map_err(|_| 131_053_u32)?;
    Ok(sandbox.world().media.insert(&mime_type, None, bytes))
}
