//! OpenAI under `/openai/v1`: chat completions and embeddings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

use crate::script::{self, Target};
use crate::world::Sandbox;

mod answer;
mod chat;
mod embeddings;
pub(crate) mod error;
mod intents;
mod schema;
pub(crate) mod scripted;
mod words;

use error::OpenAiError;

/// Every route of the OpenAI API that is here.
pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/openai/v1/chat/completions", post(chat))
        .route("/openai/v1/embeddings", post(embed))
        .route("/openai/v1/models", get(models))
        .route("/openai/{*rest}", any(unknown))
}

async fn chat(State(sandbox): State<Arc<Sandbox>>, headers: HeaderMap, body: Bytes) -> Response {
    let response = script::run(&sandbox, Target::OpenAiChat, &body, async {
        match authorise(&sandbox, &headers) {
            Ok(()) => chat::complete(&sandbox, &body).await,
            Err(error) => error.into_response(),
        }
    })
    .await;
    with_rate_headers(response)
}

async fn embed(State(sandbox): State<Arc<Sandbox>>, headers: HeaderMap, body: Bytes) -> Response {
    let response = script::run(&sandbox, Target::OpenAiEmbeddings, &body, async {
        let vectors = authorise(&sandbox, &headers).and_then(|()| embeddings::answer(&body));
        match vectors {
            Ok(vectors) => axum::Json(vectors).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await;
    with_rate_headers(response)
}

async fn models(State(sandbox): State<Arc<Sandbox>>, headers: HeaderMap) -> Response {
    if let Err(error) = authorise(&sandbox, &headers) {
        return error.into_response();
    }
    let names = ["gpt-4o-mini", "gpt-4o", "text-embedding-3-small", "text-embedding-3-large"];
    let data = names
        .map(|name| json!({ "id": name, "object": "model", "created": 1_721_172_741, "owned_by": "system" }));
    axum::Json(json!({ "object": "list", "data": data })).into_response()
}

async fn unknown(uri: http::Uri) -> Response {
    OpenAiError::invalid(format!("Invalid URL ({})", uri.path()), None)
        .with_status(http::StatusCode::NOT_FOUND)
        .into_response()
}

fn authorise(sandbox: &Sandbox, headers: &HeaderMap) -> Result<(), OpenAiError> {
    let key = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match key {
        Some(key) if key == sandbox.config.openai_key => Ok(()),
        Some(key) => Err(OpenAiError::wrong_key(key)),
        None => Err(OpenAiError::no_key()),
    }
}

/// The headers every answer carries; what a script set stays.
fn with_rate_headers(mut response: Response) -> Response {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let spent = REQUESTS.fetch_add(1, Ordering::Relaxed) % 10_000;
    let values = [
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-limit-tokens", "2000000".to_owned()),
        ("x-ratelimit-remaining-requests", (9_999 - spent).to_string()),
        ("x-ratelimit-remaining-tokens", "1999000".to_owned()),
        ("x-ratelimit-reset-requests", "6ms".to_owned()),
        ("x-ratelimit-reset-tokens", "30ms".to_owned()),
        ("openai-version", "2020-10-01".to_owned()),
        ("openai-processing-ms", "12".to_owned()),
        ("x-request-id", format!("req_{}", hex::encode(rand::random::<[u8; 16]>()))),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().entry(name).or_insert(value);
        }
    }
    response
}
