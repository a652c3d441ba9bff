//! What went wrong with a log-in, by what to do about it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::redact;

/// Waits that are asked for are cut at this length: nobody stays on a log-in page for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A log-in that gave no profile. `detail` is one line of statuses and error codes, for logs: providers' sentences stay
/// out, because Graph repeats the token that it does not like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// The person said no. Nothing is wrong: back to the log-in page.
    #[error("the person did not agree at the identity provider")]
    Refused,
    /// The code is used, expired, of another attempt or made up: the person starts over.
    #[error("the authorisation code is not valid: {detail}")]
    CodeInvalid {
        /// What the provider said.
        detail: String,
    },
    /// Overload, timeout, an answer that cannot be read. The same code may be tried again, but may be spent by now:
    /// then comes a [`OAuthError::CodeInvalid`].
    #[error("the identity provider cannot answer now: {detail}")]
    Unavailable {
        /// How long the provider wants to be left alone, if it said so.
        after: Option<Duration>,
        /// What happened.
        detail: String,
    },
    /// The provider vouched with a token that does not hold. Nobody is logged in; look into it.
    #[error("the identity token is not acceptable: {0}")]
    TokenRejected(TokenFault),
    /// Wrong client id, secret or redirect address: nobody can log in until somebody changes the configuration.
    #[error("the identity provider's configuration is wrong: {detail}")]
    Configuration {
        /// What the provider said.
        detail: String,
    },
}

/// The kind of an [`OAuthError`], for decisions and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OAuthClass {
    /// See [`OAuthError::Refused`].
    Refused,
    /// See [`OAuthError::CodeInvalid`].
    CodeInvalid,
    /// See [`OAuthError::Unavailable`].
    Unavailable,
    /// See [`OAuthError::TokenRejected`].
    TokenRejected,
    /// See [`OAuthError::Configuration`].
    Configuration,
}

/// The check that an identity token failed. Says nothing of what is in the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenFault {
    /// Not three parts of base64url JSON, or a claim that every token has is missing.
    #[error("it is malformed")]
    Malformed,
    /// Signed by anything but RS256, `none` included.
    #[error("it is not signed by RS256")]
    Algorithm,
    /// Signed by a key that the provider does not publish.
    #[error("its key is not among the provider's keys")]
    UnknownKey,
    /// Changed, or signed by somebody else.
    #[error("its signature is wrong")]
    Signature,
    /// Issued by somebody else.
    #[error("it is of another issuer")]
    Issuer,
    /// Issued to another application.
    #[error("it is for another application")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come: one of the clocks is wrong.
    #[error("it was issued in the future")]
    IssuedInFuture,
    /// Issued for another log-in attempt.
    #[error("it is of another log-in attempt")]
    Nonce,
}

impl From<TokenFault> for OAuthError {
    fn from(fault: TokenFault) -> Self {
        Self::TokenRejected(fault)
    }
}

impl OAuthError {
    /// What to do about it.
    pub fn class(&self) -> OAuthClass {
        match self {
            Self::Refused => OAuthClass::Refused,
            Self::CodeInvalid { .. } => OAuthClass::CodeInvalid,
            Self::Unavailable { .. } => OAuthClass::Unavailable,
            Self::TokenRejected(_) => OAuthClass::TokenRejected,
            Self::Configuration { .. } => OAuthClass::Configuration,
        }
    }

    pub(super) fn code_invalid(detail: impl Into<String>) -> Self {
        Self::CodeInvalid { detail: detail.into() }
    }

    pub(super) fn configuration(detail: impl Into<String>) -> Self {
        Self::Configuration { detail: detail.into() }
    }

    /// An answer that is cut or garbled; the next one may be whole.
    pub(super) fn unreadable(detail: impl Into<String>) -> Self {
        Self::Unavailable { after: None, detail: detail.into() }
    }

    /// An answer of a provider that is overloaded or broken.
    pub(super) fn unavailable(headers: &HeaderMap, detail: String) -> Self {
        Self::Unavailable { after: wait(headers), detail }
    }

    pub(super) fn transport(error: reqwest::Error) -> Self {
        let unbuildable = error.is_builder();
        let detail = redact::transport(error);
        if unbuildable { Self::configuration(detail) } else { Self::unreadable(detail) }
    }
}

/// Whether the status alone says that another try may succeed.
pub(super) fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500..)
}

/// A provider's error code if it looks like one: what comes from outside must not fill a log.
pub(super) fn word(text: &str) -> &str {
    let is_code = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_code { text } else { "(unprintable)" }
}

/// `Retry-After` in seconds.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}
