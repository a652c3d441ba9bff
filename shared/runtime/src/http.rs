//! The HTTP edge. Rooms: [`caller`] who calls · [`client`] from where · [`cookies`] what keeps a browser logged in ·
//! [`problem`] what a failure looks like · [`body`] JSON bodies and queries · [`page`] keyset cursors ·
//! [`idempotency`] repetitions · [`language`]
//! problems in Portuguese.

pub mod body;
pub mod caller;
pub mod client;
pub mod cookies;
pub mod idempotency;
pub mod language;
pub mod page;
mod portuguese;
pub mod problem;

use app::App;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use lambda_http::request::RequestContext;
use tracing::Instrument as _;

pub use body::{PathId, ValidJson, ValidQuery};
pub use caller::Caller;
pub use client::{CalledHost, Client};
pub use cookies::OwnPage;
pub use idempotency::{Idempotency, IdempotencyHeader};
pub use page::{Cursor, PageBody, PageQuery};
pub use problem::{ApiError, Problem};

/// API Gateway takes 10 MB, Lambda 6 MB; a webhook brings 3 MB at most.
const LARGEST_BODY: usize = 6 * 1024 * 1024;

/// Browsers that came by HTTPS once come by nothing else; over plain HTTP they ignore it.
const TWO_YEARS: &str = "max-age=63072000; includeSubDomains";

/// What the API answers is never a page, and loads nothing.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// Serves `router` as a Lambda behind API Gateway or a function URL.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn serve(router: Router<App>, app: App) -> Result<(), lambda_http::Error> {
    // Not `lambda_http::run`: its span would say again what ours does, at every request.
    lambda_runtime::Runtime::new(lambda_http::Adapter::from(finish(router, app))).run().await
}

/// Adds what every route has: trace, security headers, problems for unknown routes, a body limit.
pub fn finish(router: Router<App>, app: App) -> Router {
    router
        .fallback(async || problem::no_such_route())
        .method_not_allowed_fallback(async || problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .with_state(app)
}

async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let traced = request.headers().get("x-amzn-trace-id").and_then(|value| value.to_str().ok());
    let context =
        traced.and_then(crate::trace::from_xray).unwrap_or_else(|| crate::trace::fresh(app.clock.new_id()));
    let request_id = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    let span = tracing::info_span!("http.request", request.id = request_id, trace.parent = context);
    let in_portuguese = language::asks_for_portuguese(request.headers());
    let response = app::trace::within(Some(context), next.run(request).instrument(span)).await;
    let mut response = language::tell(response, in_portuguese);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TWO_YEARS));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NO_PAGE));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
