//! The sealing keys in force: the one that seals, and the one before the last rotation, which still opens.
//!
//! A sealed value names its key. A process that does not know the name reads the secret again: perhaps it was rotated a
//! moment ago, and another process seals with the new key already.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

use crate::seal::{AT_REST, MasterKey, SealError, Sealed};
use crate::secrets::{Asking, Search, Secrets, SecretsError};

/// Why a value was not sealed or opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeysError {
    /// The secret cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The key does not fit the value, or is none.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The value's key is none that we know, and the secret was read moments ago for another one.
    #[error("the value's key is not known yet: the secret was read moments ago")]
    NotAskedAgain,
}

impl KeysError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Secrets(error) => error.retryable(),
            Self::Seal(error) => error.retryable(),
            Self::NotAskedAgain => true,
        }
    }
}

/// Keys by the secrets that they were derived from: deriving one takes longer than using it.
pub struct DerivedKeys<K>(Mutex<Vec<(SecretString, K)>>);

/// The current key and the one before, and one of each from before a rotation.
const REMEMBERED: usize = 4;

impl<K> Default for DerivedKeys<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone> DerivedKeys<K> {
    /// The key of a secret, from memory or by `derive`.
    ///
    /// # Errors
    /// Those of `derive`.
    pub fn get<E>(
        &self,
        secret: SecretString,
        derive: impl FnOnce(&SecretString) -> Result<K, E>,
    ) -> Result<K, E> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = keys.iter().find(|(known, _)| known.expose_secret() == secret.expose_secret());
        if let Some((_, key)) = known {
            return Ok(key.clone());
        }
        let key = derive(&secret)?;
        if keys.len() == REMEMBERED {
            keys.remove(0);
        }
        keys.push((secret, key.clone()));
        Ok(key)
    }
}

impl<K> fmt::Debug for DerivedKeys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedKeys").finish_non_exhaustive()
    }
}

/// Seals and opens with the keys of one secret, which may be rotated at any time. Clones share their memory.
#[derive(Clone)]
pub struct SealingKeys {
    secrets: Secrets,
    secret_id: Arc<str>,
    purpose: &'static str,
    derived: Arc<DerivedKeys<MasterKey>>,
}

impl SealingKeys {
    /// Those that seal credentials at rest. Reads the secret at the first use.
    pub fn new(secrets: Secrets, secret_id: impl Into<Arc<str>>) -> Self {
        Self::for_purpose(secrets, secret_id, AT_REST)
    }

    /// Those of another purpose, which names use and version: one secret gives each its own.
    pub fn for_purpose(secrets: Secrets, secret_id: impl Into<Arc<str>>, purpose: &'static str) -> Self {
        Self { secrets, secret_id: secret_id.into(), purpose, derived: Arc::default() }
    }

    /// The key that seals: where there is time for it, so that there need not be later.
    ///
    /// # Errors
    /// When the secret cannot be read or is too short.
    pub async fn current(&self) -> Result<MasterKey, KeysError> {
        let secret = self.secrets.get(&self.secret_id).await?;
        Ok(self.derive(secret)?)
    }

    /// Reads the secret anew at the next use: perhaps it was rotated a moment ago.
    pub fn forget(&self) {
        self.secrets.forget(&self.secret_id);
    }

    /// Encrypts a text for one place: see [`MasterKey::seal`].
    ///
    /// # Errors
    /// As [`Self::current`], and without randomness.
    pub async fn seal(&self, plaintext: &SecretString, associated: &[&str]) -> Result<Sealed, KeysError> {
        Ok(self.current().await?.seal(plaintext, associated)?)
    }

    /// Decrypts what was sealed for a place by the current key or by the one before the last rotation.
    ///
    /// # Errors
    /// When key, place or ciphertext is another, or the secret cannot be read; `NotAskedAgain` while it is not known
    /// whether there is such a key.
    pub async fn open(&self, sealed: &Sealed, associated: &[&str]) -> Result<SecretString, KeysError> {
        Ok(self.find(sealed, Asking::Seldom).await?.open(sealed, associated)?)
    }

    /// Seals a value anew for the same place; `None` when the current key sealed it. For values of our own: every key that
    /// is not known has the secret read again.
    ///
    /// # Errors
    /// When key, place or ciphertext is another, or the secret cannot be read.
    pub async fn renew(&self, sealed: &Sealed, associated: &[&str]) -> Result<Option<Sealed>, KeysError> {
        let key = self.find(sealed, Asking::Always).await?;
        // After the search, which may have found out that the secret was rotated.
        let current = self.current().await?;
        if current.key_id() == sealed.key_id() {
            return Ok(None);
        }
        let plaintext = key.open(sealed, associated)?;
        Ok(Some(current.seal(&plaintext, associated)?))
    }

    async fn find(&self, sealed: &Sealed, asking: Asking) -> Result<MasterKey, KeysError> {
        let key_id = sealed.key_id();
        let accept = |secret| {
            let key = self.derive(secret)?;
            Ok::<_, KeysError>((key.key_id() == key_id).then_some(key))
        };
        match self.secrets.find_version(&self.secret_id, key_id, asking, accept).await? {
            Search::Found(key) => Ok(key),
            Search::Absent => Err(SealError::OtherKey.into()),
            Search::Unknown => Err(KeysError::NotAskedAgain),
        }
    }

    fn derive(&self, secret: SecretString) -> Result<MasterKey, SealError> {
        self.derived.get(secret, |secret| MasterKey::derive_for(secret, self.purpose))
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeys").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}
