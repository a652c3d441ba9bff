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
    asked: Arc<Mutex<HashMap<String, Asked>>>,
}

/// What became of the search for a version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search<T> {
    /// This version.
    Found(T),
    /// There is no such version: the secret was read for it.
    Absent,
    /// None that we know, and the secret was read moments ago for another one: ask again later.
    Unknown,
}

/// How often a secret may be read for versions that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Every ten seconds: whoever invents versions shall not have us ask each time.
    Seldom,
    /// For every version: it comes from ourselves.
    Always,
}

/// The last time that a secret was read for versions that nobody knew.
struct Asked {
    at: Instant,
    /// Those that there were none of.
    absent: Vec<String>,
}

impl Secrets {
    /// Connects at the first secret.
    pub fn new(aws: Aws) -> Self {
        let cache = Arc::new(Cache::new("secrets", POLICY));
        Self { aws, cache, asked: Arc::default() }
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
        self.cache.get(&previous_key(secret_id), async || self.load_previous(secret_id).await).await
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
        self.cache.forget(&previous_key(secret_id));
    }

    /// What `accept` makes of the secret's current text, or else of the one before; `version` names the one that is
    /// looked for. When it takes neither, both are read again: perhaps the secret was rotated a moment ago. What is known
    /// stays while that fails.
    ///
    /// # Errors
    /// As [`get`](Self::get), and those of `accept`.
    pub async fn find_version<T, E: From<SecretsError>>(
        &self,
        secret_id: &str,
        version: &str,
        asking: Asking,
        accept: impl Fn(SecretString) -> Result<Option<T>, E>,
    ) -> Result<Search<T>, E> {
        if let Some(found) = self.find_known(secret_id, &accept).await? {
            return Ok(Search::Found(found));
        }
        match self.asked_lately(secret_id, version) {
            Some(Search::Unknown) if asking == Asking::Always => {}
            Some(known) => return Ok(known),
            None => {}
        }
        self.reload(secret_id).await?;
        let found = self.find_known(secret_id, &accept).await?;
        if found.is_none() {
            self.note_absent(secret_id, version);
        }
        Ok(found.map_or(Search::Absent, Search::Found))
    }

    /// Reads both versions anew. What is known goes when its successor is there.
    async fn reload(&self, secret_id: &str) -> Result<(), SecretsError> {
        let current = async || self.load(secret_id, CURRENT).await.map(Some);
        self.cache.reload(secret_id, current).await?;
        let previous = async || self.load_previous(secret_id).await;
        self.cache.reload(&previous_key(secret_id), previous).await?;
        Ok(())
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

    /// What the last reading of the secret says of a version, unless it is time for another one, which this notes.
    fn asked_lately<T>(&self, secret_id: &str, version: &str) -> Option<Search<T>> {
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = asked.get(secret_id).filter(|last| last.at + ASK_AGAIN > now) {
            let absent = last.absent.iter().any(|known| known == version);
            return Some(if absent { Search::Absent } else { Search::Unknown });
        }
        asked.insert(secret_id.to_owned(), Asked { at: now, absent: Vec::new() });
        None
    }

    fn note_absent(&self, secret_id: &str, version: &str) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = asked.get_mut(secret_id) {
            last.absent.push(version.to_owned());
        }
    }

    async fn load_previous(&self, secret_id: &str) -> Result<Option<SecretString>, SecretsError> {
        match self.load(secret_id, PREVIOUS).await {
            Ok(text) => Ok(Some(text)),
            Err(SecretsError::Aws(error)) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn load(&self, secret_id: &str, stage: &str) -> Result<SecretString, SecretsError> {
        let request = self.aws.secretsmanager().await.get_secret_value().secret_id(secret_id);
        let answer = request.version_stage(stage).send().await;
        let answer = answer.map_err(|error| AwsError::from_sdk("secretsmanager.GetSecretValue", error))?;
        answer.secret_string.map(SecretString::from).ok_or(SecretsError::NotText)
    }
}

/// Where the memory keeps the version before.
fn previous_key(secret_id: &str) -> String {
    format!("{secret_id}#{PREVIOUS}")
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}
