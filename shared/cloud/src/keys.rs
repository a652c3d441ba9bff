//! The sealing keys in force: the one that seals, and the one before the last rotation, which still opens.
//!
//! A sealed value names its key. A process that does not know the name reads the secret again: perhaps it was rotated a
//! moment ago, and another process seals with the new key already.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

use crate::seal::{MasterKey, SealError, Sealed};
use crate::secrets::{Secrets, SecretsError};

/// Why a value was not sealed or opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeysError {
    /// The secret cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The key does not fit the value, or is none.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl KeysError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Secrets(error) => error.retryable(),
            Self::Seal(error) => error.retryable(),
        }
    }
}

/// Seals and opens with the keys of one secret, which may be rotated at any time. Clones share their memory.
#[derive(Clone)]
pub struct SealingKeys {
    secrets: Secrets,
    secret_id: Arc<str>,
    derived: Arc<Mutex<Vec<Derived>>>,
}

/// Deriving a key takes longer than using it.
struct Derived {
    secret: SecretString,
    key: MasterKey,
}

/// The current key and the one before, and one of each from before a rotation.
const REMEMBERED: usize = 4;

impl SealingKeys {
    /// Reads the secret at the first use.
    pub fn new(secrets: Secrets, secret_id: impl Into<Arc<str>>) -> Self {
        Self { secrets, secret_id: secret_id.into(), derived: Arc::default() }
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
    /// When key, place or ciphertext is another, or the secret cannot be read.
    pub async fn open(&self, sealed: &Sealed, associated: &[&str]) -> Result<SecretString, KeysError> {
        let accept = |secret| {
            let key = self.derive(secret)?;
            Ok::<_, KeysError>((key.key_id() == sealed.key_id()).then_some(key))
        };
        let key = self.secrets.find_version(&self.secret_id, accept).await?;
        Ok(key.ok_or(SealError::OtherKey)?.open(sealed, associated)?)
    }

    /// Seals a value anew for the same place; `None` when the current key sealed it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn renew(&self, sealed: &Sealed, associated: &[&str]) -> Result<Option<Sealed>, KeysError> {
        let current = self.current().await?;
        if current.key_id() == sealed.key_id() {
            return Ok(None);
        }
        let plaintext = self.open(sealed, associated).await?;
        Ok(Some(current.seal(&plaintext, associated)?))
    }

    fn derive(&self, secret: SecretString) -> Result<MasterKey, SealError> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let known = derived.iter().find(|known| known.secret.expose_secret() == secret.expose_secret());
        if let Some(known) = known {
            return Ok(known.key.clone());
        }
        let key = MasterKey::derive(&secret)?;
        if derived.len() == REMEMBERED {
            derived.remove(0);
        }
        derived.push(Derived { secret, key: key.clone() });
        Ok(key)
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeys").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}
