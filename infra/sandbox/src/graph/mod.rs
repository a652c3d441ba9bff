//! WhatsApp Cloud API, Graph v23.0, under `/graph/{version}/…`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, Method, Uri, header};

use crate::Line;
use crate::world::{Sandbox, World};

pub(crate) mod error;
pub(crate) mod media;
mod messages;
mod numbers;
pub(crate) mod progress;
mod signup;
pub(crate) mod templates;
mod validate;

use error::GraphError;
pub(crate) use numbers::spelled;

/// Every route of the Graph API.
pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    let graph = Router::new()
        .route("/{version}/{node}/messages", post(messages::post))
        .route("/{version}/{node}/media", post(media::upload))
        .route("/attachments", get(media::download))
        .route(
            "/{version}/{node}/message_templates",
            get(templates::list).post(templates::create).delete(templates::delete),
        )
        .route("/{version}/{node}/phone_numbers", get(signup::phone_numbers))
        .route(
            "/{version}/{node}/subscribed_apps",
            get(numbers::subscriptions).post(signup::subscribe).delete(numbers::unsubscribe),
        )
        .route("/{version}/{node}", get(numbers::node).post(numbers::change).delete(media::delete))
        .route("/{version}/{node}/register", post(signup::register))
        .route("/{version}/{node}/smb_app_data", post(signup::share))
        .route("/{version}/oauth/access_token", get(signup::token_by_query).post(signup::token))
        .route("/{version}/debug_token", get(signup::debug_token))
        .fallback(unknown);
    Router::new().nest("/graph", graph)
}

async fn unknown(method: Method, uri: Uri) -> Response {
    let id = uri.path().split('/').nth(2).unwrap_or_default();
    GraphError::unknown_object(&method.as_str().to_lowercase(), id).into_response()
}

/// The Bearer token, when it belongs to some line; otherwise code 190.
pub(crate) fn token<'a>(world: &World, headers: &'a HeaderMap) -> Result<&'a str, GraphError> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .filter(|token| {
            world.lines.values().any(|line| line.access_token == *token)
                || world.signups.granted(token).is_some()
        })
        .ok_or_else(GraphError::token)
        .and_then(|token| if is_taken(world, token) { Ok(token) } else { Err(GraphError::of_code(190)) })
}

/// Whether a token's time is not over and it was not taken back.
pub(crate) fn is_taken(world: &World, token: &str) -> bool {
    let now = crate::clock::now_s();
    let mut lines = world.lines.values().filter(|line| line.access_token == token);
    lines.all(|line| world.conditions.of(&line.phone_number_id).takes_token(now))
}

/// The line with this phone number id, when the token is its own; otherwise code 100 / 33.
pub(crate) fn line<'w>(
    world: &'w World,
    headers: &HeaderMap,
    phone_number_id: &str,
) -> Result<&'w Line, GraphError> {
    let token = token(world, headers)?;
    world
        .lines
        .get(phone_number_id)
        .filter(|line| line.access_token == token)
        .ok_or_else(|| GraphError::unknown_object("post", phone_number_id))
}

/// Shared state as handlers take it.
pub(crate) type Shared = State<Arc<Sandbox>>;
