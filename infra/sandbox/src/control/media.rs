//! `/_sandbox/media`: files that a customer has, and those that the business brought.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::{Json, Shared};

/// Bytes of the largest file, and some more: whoever tests a limit has to get over it.
pub(super) const LARGEST: usize = 128 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    filename: Option<String>,
}

/// Keeps the body as a file of the type that `content-type` names, for `POST /_sandbox/inbound`.
pub(super) async fn keep(
    State(sandbox): Shared,
    Query(named): Query<Named>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let mime_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = sandbox.world().media.insert(mime_type, named.filename, bytes).id;
    (StatusCode::CREATED, Json(json!({ "id": id }))).into_response()
}

/// The bytes of a file, whoever brought it.
pub(super) async fn find(State(sandbox): Shared, Path(id): Path<String>) -> Response {
    match sandbox.world().media.get(&id).cloned() {
        Some(media) => ([(header::CONTENT_TYPE, media.mime_type)], media.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Forgets a file, as Meta does after some days.
pub(super) async fn forget(State(sandbox): Shared, Path(id): Path<String>) -> StatusCode {
    if sandbox.world().media.remove(&id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
