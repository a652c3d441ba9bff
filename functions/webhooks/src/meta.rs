//! The WhatsApp Cloud API's webhook: `GET /{slug}` is Meta's verification, `POST /{slug}` brings events.

use app::App;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use runtime::http::ApiError;

/// The header that carries the signature over the raw body.
const SIGNATURE: &str = "x-hub-signature-256";

/// The routes of this function.
pub fn router() -> Router<App> {
    Router::new().route("/{slug}", get(verify).post(receive))
}

async fn verify(
    State(app): State<App>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<String, ApiError> {
    Ok(app::webhooks::meta::verify(&app, &slug, &query.unwrap_or_default()).await?)
}

async fn receive(
    State(app): State<App>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let events = app::webhooks::meta::receive(&app, &slug, &body, signature).await?;
    tracing::debug!(webhook.events = events, "webhook taken");
    Ok(StatusCode::OK)
}
