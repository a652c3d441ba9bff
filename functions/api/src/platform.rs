//! Health, and the OpenAPI document of all groups with a page that renders it.

use std::sync::{Arc, OnceLock};

use app::App;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::Config;

use crate::group::{Group, routes};
use crate::{PREFIX, answers, words};

/// The page loads its own files, with styles and icons inside them.
const OWN_PAGE: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
    title = "Master IA",
    description = "Conversas com clientes por WhatsApp, SMS e voz. · Conversations with customers over WhatsApp, SMS and \
                   voice.\n\nErrors are `application/problem+json` with a stable `code`; lists are keyset pages \
                   (`limit`, `cursor` → `items`, `next_cursor`); ids are UUIDv7; times are RFC 3339 in UTC."
    ),
    servers((url = "/", description = "The installation that serves this document")),
    tags(
        (name = "auth", description = "Accounts of people: registration, log-in, sessions, forgotten passwords"),
        (name = "company", description = "The company, its people, departments and API keys, and who did what"),
        (name = "contacts", description = "The customers"),
        (name = "inbox", description = "Conversations with customers"),
        (name = "media", description = "Files: brought, sent and received"),
        (name = "messages", description = "What was said, and writing to a customer"),
        (name = "sessions", description = "Who handles a stretch of a conversation: a person or the AI"),
        (name = "boards", description = "Boards with stages, and the leads that stand on them in their order"),
        (name = "connections", description = "Accounts with messaging providers, and how they fare"),
        (name = "templates", description = "Message templates of WhatsApp accounts, here and at Meta"),
        (name = "platform", description = "Whether this installation works"),
    )
)]
struct Document;

/// The routes of this function, with and without the prefix. The gateway brings here whatever no other function has, too.
pub fn router() -> Router<App> {
    Router::new().merge(unprefixed()).nest(PREFIX, unprefixed())
}

fn unprefixed() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/health/ready", get(ready))
        .route("/openapi.json", get(document))
        // Relative, so that it leads to the page beside it with and without the prefix.
        .route("/docs", get(async || Redirect::temporary("docs/index.html")))
        .route("/docs/{file}", get(page))
}

fn documented() -> Group {
    Group::new().routes(routes!(health)).routes(routes!(ready))
}

/// The OpenAPI 3.1 document of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let groups =
        crate::groups().into_iter().fold(documented(), |all, (_, group)| all.merge(group)).document();
    let mut document = OpenApiRouter::with_openapi(Document::openapi()).nest(PREFIX, groups).into_openapi();
    answers::complete(&mut document);
    document
}

async fn document() -> Json<&'static utoipa::openapi::OpenApi> {
    static DOCUMENT: OnceLock<utoipa::openapi::OpenApi> = OnceLock::new();
    Json(DOCUMENT.get_or_init(openapi))
}

/// A file of the page that renders the document.
async fn page(Path(file): Path<String>) -> Response {
    let config = Arc::new(Config::from("../openapi.json"));
    match utoipa_swagger_ui::serve(&file, config) {
        Ok(Some(file)) => {
            let headers = [(CONTENT_TYPE, file.content_type), (CONTENT_SECURITY_POLICY, OWN_PAGE.to_owned())];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "page of the API's documentation not made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A sign of life.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(value_type = words::Standing)]
    status: &'static str,
}

/// Whether this installation can work.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// `ok` or `unavailable`.
    #[schema(value_type = words::Standing)]
    status: &'static str,
    /// Each part that the product needs.
    checks: Vec<CheckBody>,
}

/// One part.
#[derive(Serialize, ToSchema)]
pub struct CheckBody {
    /// `database` or `queues`.
    #[schema(value_type = String, example = "database")]
    name: &'static str,
    /// It answers.
    ok: bool,
}

/// A sign of life.
#[utoipa::path(get, path = "/health", tag = "platform", responses((status = 200, body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether this installation can work: database and queues answer.
#[utoipa::path(get, path = "/health/ready", tag = "platform", responses(
    (status = 200, body = Readiness),
    (status = 503, body = Readiness),
))]
async fn ready(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let checks: Vec<_> = app::health::ready(&app)
        .await
        .iter()
        .map(|check| CheckBody { name: check.name, ok: check.ok })
        .collect();
    let (code, status) = if checks.iter().all(|check| check.ok) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    (code, Json(Readiness { status, checks }))
}
