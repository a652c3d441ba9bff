//! What AWS answered, in the form that every room here shares.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Codes that mean "later", whatever the HTTP status beside them.
const LATER: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "KmsThrottled",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Codes by which a service refuses what is in a request, as opposed to who sends it or where to.
const CONTENT: &[&str] = &[
    "BatchRequestTooLong",
    "InvalidAttributeValue",
    "InvalidMessageContents",
    "InvalidParameterValue",
    "ValidationException",
];

/// A request to AWS that failed after the SDK's own retries.
///
/// It keeps the service's code and the cause, never the raw answer: that of a secret would be the secret.
#[derive(Clone, Debug)]
pub struct AwsError {
    operation: &'static str,
    code: Option<String>,
    status: Option<u16>,
    retryable: bool,
    source: Arc<dyn Error + Send + Sync>,
}

impl AwsError {
    pub(crate) fn from_sdk<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let code = error.code().map(|code| bare(code).to_owned());
        let status = error.raw_response().map(|response| response.status().as_u16());
        let retryable = match &error {
            SdkError::ServiceError(_) => is_later(code.as_deref(), status),
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
            _ => false,
        };
        let source: Arc<dyn Error + Send + Sync> = match error.into_source() {
            Ok(source) => Arc::from(source),
            Err(_) => Arc::from(Box::<dyn Error + Send + Sync>::from("a cause that the SDK does not tell")),
        };
        Self { operation, code, status, retryable, source }
    }

    /// A request that could not even be put together.
    pub(crate) fn unbuilt(operation: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        Self { operation, code: None, status: None, retryable: false, source: Arc::new(error) }
    }

    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        self.retryable
    }

    /// The service's error code, if it answered with one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether the service dislikes what is in the request, so that a part of it may be fine.
    pub(crate) fn blames_content(&self) -> bool {
        !self.retryable && self.code.as_deref().is_some_and(|code| CONTENT.contains(&code))
    }

    #[cfg(test)]
    pub(crate) fn invented(code: &str, retryable: bool) -> Self {
        let source = Arc::from(Box::<dyn Error + Send + Sync>::from("invented by a test"));
        Self { operation: "test", code: Some(code.to_owned()), status: None, retryable, source }
    }
}

/// A code of the older query protocol stands behind a namespace: `AWS.SimpleQueueService.NonExistentQueue`.
fn bare(code: &str) -> &str {
    code.rsplit(['.', '#']).next().unwrap_or(code)
}

/// Whether an error code, or else an HTTP status, means that the same request may succeed later.
pub(crate) fn is_later(code: Option<&str>, status: Option<u16>) -> bool {
    code.is_some_and(|code| LATER.contains(&bare(code))) || status.is_some_and(|s| s >= 500 || s == 429)
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.operation)?;
        match (&self.code, self.status) {
            (Some(code), _) => write!(f, " with {code}"),
            (None, Some(status)) => write!(f, " with status {status}"),
            (None, None) => Ok(()),
        }
    }
}

impl Error for AwsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_tell_later_from_never() {
        assert!(is_later(Some("ThrottlingException"), Some(400)));
        assert!(is_later(Some("AWS.SimpleQueueService.RequestThrottled"), Some(403)));
        assert!(is_later(None, Some(503)));
        assert!(is_later(None, Some(429)));
        assert!(!is_later(Some("AccessDeniedException"), Some(403)));
        assert!(!is_later(None, None));
    }
}
