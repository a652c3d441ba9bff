//! Secrets Manager with a memory of five minutes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::aws::Aws;
use crate::cache::{Cache, Policy};
use crate::error::AwsError;

const POLICY: Policy = Policy {
    fresh: Duration::from_secs(5 * 60),
    // A secret without a previous version has none for a while.
    absent: Duration::from_secs(5 * 60),
    // A function that has worked for hours should not stop because Secrets Manager does.
    stale: Duration::from_secs(60 * 60),
    pause: Duration::from_secs(30),
    capacity: 1_000,
};

/// A secret that seems to have been rotated is read again at most once in so long.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The label of the version in force.
const CURRENT: &str = "AWSCURRENT";
/// The label of the version before it.
const PREVIOUS: &str = "AWSPREVIOUS";

/// Why there is no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretsError {
    /// The request failed: missing, forbidden or unreachable.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The secret exists but holds no text.
    #[error("the secret holds no text")]
    NotText,
    /// The secret's text is no JSON object with this text field.
    #[error("the secret is no JSON object with a text {0}")]
    NoField(String),
}

impl SecretsError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Aws(error) => error.retryable(),
            Self::NotText | Self::NoField(_) => false,
        }
    }
}

/// The account's secrets. Clones share their memory.
#[derive(Clone)]
pub struct Secrets {
    aws: Aws,
    cache: Arc<Cache<SecretString, SecretsError>>,
    asked_again: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Secrets {
    /// Connects at the first secret.
    pub fn new(aws: Aws) -> Self {
        let cache = Arc::new(Cache::new("secrets", POLICY));
        Self { aws, cache, asked_again: Arc::default() }
    }

    /// The current text of a secret, by name or ARN; up to five minutes old, or an hour while Secrets Manager fails.
    ///
    /// # Errors
    /// When it is missing, forbidden, not text, or cannot be reached.
    pub async fn get(&self, secret_id: &str) -> Result<SecretString, SecretsError> {
        let load = async || self.load(secret_id, CURRENT).await.map(Some);
        self.cache.get(secret_id, load).await?.ok_or(SecretsError::NotText)
    }

    /// The text that a secret had before its last rotation (the label AWSPREVIOUS); `None` when there was none. As old
    /// as [`get`](Self::get) may be.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_previous(&self, secret_id: &str) -> Result<Option<SecretString>, SecretsError> {
        let load = async || match self.load(secret_id, PREVIOUS).await {
            Ok(text) => Ok(Some(text)),
            Err(SecretsError::Aws(error)) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        };
        self.cache.get(&format!("{secret_id}#{PREVIOUS}"), load).await
    }

    /// One text field of a secret that is a JSON object, such as `url` of a database's.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when there is no such field.
    pub async fn get_field(&self, secret_id: &str, field: &str) -> Result<SecretString, SecretsError> {
        let secret = self.get(secret_id).await?;
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(secret.expose_secret())
            // The parser's error may quote the secret.
            .map_err(|_| SecretsError::NoField(field.to_owned()))?;
        match object.get(field) {
            Some(serde_json::Value::String(text)) => Ok(SecretString::from(text.as_str())),
            _ => Err(SecretsError::NoField(field.to_owned())),
        }
    }

    /// Forgets one secret: the next call asks again, for instance after a password was refused.
    pub fn forget(&self, secret_id: &str) {
        self.cache.forget(secret_id);
        self.cache.forget(&format!("{secret_id}#{PREVIOUS}"));
    }

    /// What `accept` makes of the secret's current text, or else of the one before. When it takes neither, both are read
    /// again: perhaps the secret was rotated a moment ago. At most every ten seconds, since whoever invents versions shall
    /// not have us ask each time.
    ///
    /// # Errors
    /// As [`get`](Self::get), and those of `accept`.
    pub async fn find_version<T, E: From<SecretsError>>(
        &self,
        secret_id: &str,
        accept: impl Fn(SecretString) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        if let Some(found) = self.find_known(secret_id, &accept).await? {
            return Ok(Some(found));
        }
        if !self.may_ask_again(secret_id) {
            return Ok(None);
        }
        self.forget(secret_id);
        self.find_known(secret_id, &accept).await
    }

    async fn find_known<T, E: From<SecretsError>>(
        &self,
        secret_id: &str,
        accept: &impl Fn(SecretString) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        if let Some(found) = accept(self.get(secret_id).await?)? {
            return Ok(Some(found));
        }
        match self.get_previous(secret_id).await? {
            Some(previous) => accept(previous),
            None => Ok(None),
        }
    }

    fn may_ask_again(&self, secret_id: &str) -> bool {
        let now = Instant::now();
        let mut asked = self.asked_again.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.get(secret_id).is_some_and(|last| *last + ASK_AGAIN > now) {
            return false;
        }
        asked.insert(secret_id.to_owned(), now);
        true
    }

    async fn load(&self, secret_id: &str, stage: &str) -> Result<SecretString, SecretsError> {
        let request = self.aws.secretsmanager().await.get_secret_value().secret_id(secret_id);
        let answer = request.version_stage(stage).send().await;
        let answer = answer.map_err(|error| AwsError::from_sdk("secretsmanager.GetSecretValue", error))?;
        answer.secret_string.map(SecretString::from).ok_or(SecretsError::NotText)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}
