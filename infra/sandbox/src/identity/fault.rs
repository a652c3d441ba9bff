//! OAuth's errors: `{error, error_description}` (RFC 6749, section 5.2).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

/// One error of a token endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    status: StatusCode,
    error: String,
    description: &'static str,
}

impl Fault {
    pub(crate) fn new(error: &str, description: &'static str) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, error: error.to_owned(), description }
    }

    /// The error of this name, as Google words it when it says no more.
    pub(crate) fn named(error: &str) -> Self {
        Self::new(error, "Bad Request")
    }

    /// The likeliest error behind an HTTP status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let error = match status.as_u16() {
            401 => "invalid_client",
            429 => "rate_limit_exceeded",
            400..=499 => "invalid_request",
            _ => "internal_failure",
        };
        Self { status, ..Self::new(error, "Something went wrong") }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        (self.status, Json(body)).into_response()
    }
}
