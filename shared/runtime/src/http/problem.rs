//! What a failure looks like: `application/problem+json` (RFC 9457) with a stable `code`.

use app::Error;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::templates::Sendable;
use domain::TemplateId;
use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong, on its way to the client.
#[derive(Debug)]
pub enum ApiError {
    /// A use case failed.
    Failed(Error),
    /// The body does not say that it is JSON.
    UnsupportedMediaType,
    /// The body is larger than any that we take.
    BodyTooLarge,
}

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The body of every answer that is no success.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI reference for this kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// What happened, for programs; never changes.
    pub code: String,
    /// Which fields are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Of `window_closed`: what may be sent instead, by name; a hundred at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<Vec<OfferedTemplate>>,
}

/// One field that is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The field, as the request names it.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// A template that may be sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OfferedTemplate {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: TemplateId,
    /// Its name.
    pub name: String,
    /// Its language, as `pt_BR`.
    pub language: String,
    /// `AUTHENTICATION`, `MARKETING` or `UTILITY`.
    pub category: String,
}

impl From<Sendable> for OfferedTemplate {
    fn from(template: Sendable) -> Self {
        let Sendable { id, name, language, category } = template;
        Self { id, name, language, category }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Failed(error) => error,
            Self::UnsupportedMediaType => {
                let detail = "send JSON, and say so: Content-Type: application/json";
                return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail);
            }
            Self::BodyTooLarge => {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large");
            }
        };
        let status = match &error {
            Error::Unauthenticated => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Conflict(_) | Error::Rule { .. } | Error::WindowClosed { .. } => StatusCode::CONFLICT,
            Error::Invalid { .. } | Error::Poison(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Malformed(_) => StatusCode::BAD_REQUEST,
            Error::RetryLater { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::Provider { .. } => StatusCode::BAD_GATEWAY,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() || matches!(error, Error::Poison(_)) {
            tracing::error!(error = error.chain(), "request failed");
        }
        let errors = match &error {
            Error::Invalid { field, message } => {
                vec![FieldProblem { field: field.clone().into_owned(), message: message.clone() }]
            }
            _ => Vec::new(),
        };
        let (code, detail) = (error.code(), error.to_string());
        let (after, templates) = match error {
            Error::RetryLater { after, .. } => (Some(after), None),
            Error::WindowClosed { templates } => (None, Some(templates)),
            _ => (None, None),
        };
        let templates = templates.map(|templates| templates.into_iter().map(Into::into).collect());
        let mut response = respond(status, code, detail, errors, templates);
        if let Some(after) = after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The path is known, and not with this method. The answer says with which (RFC 9110, 15.5.6): that is the caller's part.
pub fn method_not_allowed() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
}

/// There is no such path.
pub fn no_such_route() -> Response {
    plain(StatusCode::NOT_FOUND, "not_found", "no such route")
}

/// A problem that no use case reported.
pub(crate) fn plain(status: StatusCode, code: &str, detail: &str) -> Response {
    respond(status, code, detail.to_owned(), Vec::new(), None)
}

fn respond(
    status: StatusCode,
    code: &str,
    detail: String,
    errors: Vec<FieldProblem>,
    templates: Option<Vec<OfferedTemplate>>,
) -> Response {
    let problem = Problem {
        kind: format!("/problems/{code}"),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail,
        code: code.to_owned(),
        errors,
        templates,
    };
    let mut response = (status, Json(&problem)).into_response();
    // For who asks for another language.
    response.extensions_mut().insert(problem);
    let content_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
