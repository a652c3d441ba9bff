//! How use cases fail, in the domain's words. What a failure means in HTTP or on a queue is decided at the edge.

use std::time::Duration;

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a use case did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credentials, or wrong ones.
    #[error("missing or invalid credentials")]
    Unauthenticated,
    /// The caller's role does not allow it.
    #[error("not allowed to {0}")]
    Forbidden(&'static str),
    /// It does not exist, or belongs to another company.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The state of things forbids it.
    #[error("{0}")]
    Conflict(&'static str),
    /// A rule of a channel or of the product forbids it.
    #[error("{message}")]
    Rule {
        /// Stable word for it.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// The customer has been silent for too long to be written to freely.
    #[error("the customer last wrote more than 24 hours ago: send a template")]
    WindowClosed {
        /// What may be sent instead.
        templates: Vec<db::templates::Sendable>,
    },
    /// One field of the input is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// The field, as the input names it.
        field: std::borrow::Cow<'static, str>,
        /// What is wrong with it.
        message: String,
    },
    /// Input that is not of the expected form at all.
    #[error("malformed input: {0}")]
    Malformed(String),
    /// Too much at once; try again later.
    #[error("try again later")]
    RetryLater {
        /// Not sooner.
        after: Duration,
        /// What made us wait.
        #[source]
        source: anyhow::Error,
    },
    /// A third party failed.
    #[error("{provider} failed")]
    Provider {
        /// Which.
        provider: &'static str,
        /// Whether the same call may succeed later.
        retryable: bool,
        /// How.
        #[source]
        source: anyhow::Error,
    },
    /// We failed.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
    /// The data at hand can never be processed.
    #[error("cannot be processed")]
    Poison(#[source] anyhow::Error),
}

impl Error {
    /// One field of the input is wrong.
    pub fn invalid(field: impl Into<std::borrow::Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// Whether the same work may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::RetryLater { .. } | Self::Internal(_) => true,
            Self::Provider { retryable, .. } => *retryable,
            Self::Unauthenticated
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Rule { .. }
            | Self::WindowClosed { .. }
            | Self::Invalid { .. }
            | Self::Malformed(_)
            | Self::Poison(_) => false,
        }
    }

    /// The stable word for this failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Rule { code, .. } => code,
            Self::WindowClosed { .. } => "window_closed",
            Self::Invalid { .. } => "invalid",
            Self::Malformed(_) => "malformed",
            Self::RetryLater { .. } => "rate_limited",
            Self::Provider { .. } => "provider_failed",
            Self::Internal(_) => "internal",
            Self::Poison(_) => "unprocessable",
        }
    }

    /// The whole chain of causes in one line, for a log or a dead letter.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::Conflict(message) => Self::Conflict(message),
            error if error.is_transient() => Self::Internal(error.into()),
            error => Self::Poison(error.into()),
        }
    }
}

/// An internal error with a reason of ours.
pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Error {
    Error::Internal(error.into())
}
