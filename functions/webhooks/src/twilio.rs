//! Twilio's webhooks: `POST /{slug}/messages` brings what customers write, `POST /{slug}/status` how far our messages got.

use app::App;
use app::webhooks::twilio::{self, Call};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts as _, Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use providers::twilio::webhook::About;
use runtime::http::{ApiError, CalledHost};
use serde::Deserialize;

/// The header that carries the signature over address and fields.
const SIGNATURE: &str = "x-twilio-signature";

/// What Twilio signs the fields of.
const FORM: &str = "application/x-www-form-urlencoded";

/// An answer that says nothing to the customer.
const NOTHING: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// The routes of this function.
pub fn router() -> Router<App> {
    Router::new().route("/{slug}/messages", post(messages)).route("/{slug}/status", post(status))
}

/// What the address of a report says beside its path.
#[derive(Deserialize)]
struct Asked {
    /// Which message of ours it is about.
    message: Option<String>,
}

async fn messages(
    State(app): State<App>,
    Path(slug): Path<String>,
    call: Arrived,
) -> Result<Response, ApiError> {
    call.receive(&app, &slug, About::Message, None).await?;
    Ok(([(CONTENT_TYPE, "text/xml")], NOTHING).into_response())
}

async fn status(
    State(app): State<App>,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
    call: Arrived,
) -> Result<(), ApiError> {
    call.receive(&app, &slug, About::Status, asked.message.as_deref()).await
}

/// A call with everything that its signature is about.
struct Arrived {
    path_and_query: String,
    host: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl FromRequest<App> for Arrived {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(CalledHost(host)) = CalledHost::from_request_parts(&mut parts, app).await;
        let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let headers = parts.headers.clone();
        let body = Bytes::from_request(Request::from_parts(parts, body), app).await;
        let body = body.map_err(IntoResponse::into_response)?;
        Ok(Self { path_and_query, host, headers, body })
    }
}

impl Arrived {
    async fn receive(
        &self,
        app: &App,
        slug: &str,
        about: About,
        callback: Option<&str>,
    ) -> Result<(), ApiError> {
        let header = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let call = Call {
            path_and_query: &self.path_and_query,
            host: self.host.as_deref(),
            is_form: header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with(FORM)),
            body: &self.body,
            signature: header(SIGNATURE),
            callback,
        };
        let events = twilio::receive(app, slug, about, call).await?;
        tracing::debug!(webhook.events = events, "webhook taken");
        Ok(())
    }
}
