//! The WhatsApp Cloud API's webhook: `GET /{slug}` is Meta's verification, `POST /{slug}` brings events.

use app::App;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use runtime::http::{ApiError, ValidQuery};
use serde::Deserialize;

/// The header that carries the signature over the raw body.
const SIGNATURE: &str = "x-hub-signature-256";

/// The routes of this function.
pub fn router() -> Router<App> {
    Router::new().route("/{slug}", get(verify).post(receive))
}

#[derive(Deserialize)]
struct Verification {
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    #[serde(rename = "hub.verify_token")]
    token: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
}

async fn verify(
    State(app): State<App>,
    Path(slug): Path<String>,
    ValidQuery(query): ValidQuery<Verification>,
) -> Result<String, ApiError> {
    let (mode, token, challenge) =
        (query.mode.as_deref(), query.token.as_deref(), query.challenge.as_deref());
    Ok(app::webhooks::meta::verify(&app, &slug, mode, token, challenge).await?)
}

async fn receive(
    State(app): State<App>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let events = app::webhooks::meta::receive(&app, &slug, &body, signature).await?;
    tracing::info!(webhook.events = events, "webhook taken");
    Ok(StatusCode::OK)
}
