//! What went wrong with a call to OpenAI, by what to do about it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::redact;

/// Waits that are asked for are cut at this length: nobody's answer is worth more.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A call that gave no answer. `detail` is one line in OpenAI's words, for logs;
/// the key in it is masked by OpenAI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// Overload, rate limit, timeout: try again, `after` that long if given.
    #[error("OpenAI cannot answer now: {detail}")]
    Retry {
        /// How long OpenAI wants to be left alone, if it said so.
        after: Option<Duration>,
        /// What happened.
        detail: String,
    },
    /// The account has no money left: nothing works until somebody pays.
    #[error("the OpenAI account is out of quota: {detail}")]
    Quota {
        /// What OpenAI said.
        detail: String,
    },
    /// Wrong key, country or model: nothing works until somebody changes the configuration.
    #[error("the OpenAI configuration is wrong: {detail}")]
    Configuration {
        /// What OpenAI said.
        detail: String,
    },
    /// This request will never be answered: malformed, too long, refused, filtered.
    #[error("OpenAI does not answer this: {detail}")]
    Rejected {
        /// What OpenAI said.
        detail: String,
    },
}

/// The kind of a [`ChatError`], for decisions and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatClass {
    /// See [`ChatError::Retry`].
    Retry,
    /// See [`ChatError::Quota`].
    Quota,
    /// See [`ChatError::Configuration`].
    Configuration,
    /// See [`ChatError::Rejected`].
    Rejected,
}

impl ChatError {
    /// What to do about it.
    pub fn class(&self) -> ChatClass {
        match self {
            Self::Retry { .. } => ChatClass::Retry,
            Self::Quota { .. } => ChatClass::Quota,
            Self::Configuration { .. } => ChatClass::Configuration,
            Self::Rejected { .. } => ChatClass::Rejected,
        }
    }

    pub(super) fn rejected(detail: impl Into<String>) -> Self {
        Self::Rejected { detail: detail.into() }
    }

    /// An answer that is cut or garbled; the next one may be whole.
    pub(super) fn unreadable(detail: impl Into<String>) -> Self {
        Self::Retry { after: None, detail: detail.into() }
    }

    pub(super) fn transport(error: reqwest::Error) -> Self {
        let unbuildable = error.is_builder();
        let detail = redact::transport(error);
        // A key with a line break in it, or a base address that is none.
        if unbuildable { Self::Configuration { detail } } else { Self::Retry { after: None, detail } }
    }

    /// An answer that is not a success.
    pub(super) fn response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &parsed["error"];
        let word = |name: &str| error[name].as_str().unwrap_or("").to_owned();
        let (code, kind) = (word("code"), word("type"));
        let request = request_id(headers).unwrap_or_else(|| "unknown".to_owned());
        let detail =
            format!("HTTP {} {code} {kind}: {} (request {request})", status.as_u16(), word("message"));
        if code == "insufficient_quota" || kind == "insufficient_quota" {
            return Self::Quota { detail };
        }
        match status.as_u16() {
            408 | 409 | 429 | 500.. => Self::Retry { after: wait(headers), detail },
            401 | 403 | 404 => Self::Configuration { detail },
            _ if code == "model_not_found" || code == "invalid_api_key" => Self::Configuration { detail },
            _ => Self::Rejected { detail },
        }
    }
}

/// The id to quote to OpenAI's support.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("x-request-id")?.to_str().ok()?.to_owned())
}

/// `retry-after-ms`, else `retry-after` in seconds (fractions allowed).
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds =
        number("retry-after-ms").map(|milliseconds| milliseconds / 1000.0).or(number("retry-after"))?;
    Some(Duration::try_from_secs_f64(seconds).ok()?.min(LONGEST_WAIT))
}
