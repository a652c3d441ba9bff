//! OpenAI's errors: `{error: {message, type, param, code}}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

/// One error.
#[derive(Debug, Clone)]
pub(crate) struct OpenAiError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
}

impl OpenAiError {
    /// A request that can never succeed: 400.
    pub(crate) fn invalid(message: impl Into<String>, param: Option<&str>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            kind: "invalid_request_error",
            param: param.map(str::to_owned),
            code: None,
        }
    }

    /// The same error with a machine-readable code.
    pub(crate) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same error under another HTTP status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A key that is not ours, shown as OpenAI shows it: ends only.
    pub(crate) fn wrong_key(key: &str) -> Self {
        let characters: Vec<char> = key.chars().collect();
        let shown = if characters.len() > 8 {
            let head: String = characters[..5].iter().collect();
            let tail: String = characters[characters.len() - 4..].iter().collect();
            format!("{head}****{tail}")
        } else {
            "*".repeat(characters.len())
        };
        Self::invalid(format!("Incorrect API key provided: {shown}."), None)
            .with_code("invalid_api_key")
            .with_status(StatusCode::UNAUTHORIZED)
    }

    pub(crate) fn no_key() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an \
                       Authorization header using Bearer auth.";
        Self::invalid(message, None).with_status(StatusCode::UNAUTHORIZED)
    }

    pub(crate) fn no_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self::invalid(message, None).with_code("model_not_found").with_status(StatusCode::NOT_FOUND)
    }

    /// The likeliest error behind an HTTP status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::wrong_key("sk-sandbox0000"),
            404 => Self::no_model("unknown"),
            429 => Self {
                status,
                message: "Rate limit reached for gpt-4o-mini in organization org-sandbox on \
                          tokens per min (TPM): Limit 200000, Used 199900, Requested 500. Please \
                          try again in 120ms."
                    .into(),
                kind: "tokens",
                param: None,
                code: Some("rate_limit_exceeded"),
            },
            400..=499 => Self::invalid("Invalid request.", None).with_status(status),
            _ => Self {
                status,
                message: "The server had an error while processing your request. Sorry about that!".into(),
                kind: "server_error",
                param: None,
                code: None,
            },
        }
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        let error = json!({
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        });
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
