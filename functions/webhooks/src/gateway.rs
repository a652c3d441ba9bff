//! The webhook of gateways to WhatsApp: `POST /{provider}/{slug}`. A gateway may put the event's name behind it.

use app::App;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use runtime::http::ApiError;

/// The routes of this function.
pub fn router() -> Router<App> {
    Router::new()
        .route("/{provider}/{slug}", post(receive))
        .route("/{provider}/{slug}/{event}", post(receive_named))
}

async fn receive(
    State(app): State<App>,
    Path((provider, slug)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    take(&app, &provider, &slug, &headers, &body).await
}

async fn receive_named(
    State(app): State<App>,
    Path((provider, slug, _event)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    take(&app, &provider, &slug, &headers, &body).await
}

async fn take(
    app: &App,
    provider: &str,
    slug: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<StatusCode, ApiError> {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let events = app::webhooks::gateway::receive(app, provider, slug, body, authorization).await?;
    tracing::debug!(webhook.events = events, "webhook taken");
    Ok(StatusCode::OK)
}
