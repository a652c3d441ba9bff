//! Encryption of single values at rest: provider tokens, app secrets, verify tokens.
//!
//! AES-256-GCM under a key derived from the master key. Each value is bound to where it stands (its associated data:
//! company, table, column), so that a ciphertext copied into another row or company does not open.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const VERSION: &str = "v1";
/// The purpose of the key that seals credentials at rest.
pub const AT_REST: &str = "master-ia/seal/v1";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const KEY_ID_CHARS: usize = 8;
/// A shorter master key would be weaker than the cipher.
const MIN_MASTER_KEY_BYTES: usize = 32;

/// Why a value does not open. None of these goes away by trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a sealed value, or of a version that we do not know.
    #[error("the text is no sealed value")]
    Malformed,
    /// Sealed under another master key.
    #[error("the value was sealed under another key")]
    OtherKey,
    /// Altered, or moved from where it was sealed for.
    #[error("the sealed value was altered or belongs elsewhere")]
    Refused,
    /// The secret that a key is derived from has fewer than 32 bytes.
    #[error("the secret of the key is too short")]
    WeakKey,
    /// The operating system gave no random numbers.
    #[error("no random numbers for a nonce")]
    NoRandomness,
}

impl SealError {
    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::NoRandomness => true,
            Self::Malformed | Self::OtherKey | Self::Refused | Self::WeakKey => false,
        }
    }
}

/// An encrypted value: `v1.<key id>.<base64url of nonce and ciphertext>`. Safe to store; not printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed(String);

impl Sealed {
    /// The form to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which key opens it: the first eight hex digits of the derived key's SHA-256.
    pub fn key_id(&self) -> &str {
        self.0.split('.').nth(1).unwrap_or_default()
    }

    fn bytes(&self) -> Result<Vec<u8>, SealError> {
        let text = self.0.split('.').nth(2).unwrap_or_default();
        URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Malformed)
    }
}

impl TryFrom<String> for Sealed {
    type Error = SealError;

    fn try_from(text: String) -> Result<Self, SealError> {
        let parts: Vec<&str> = text.split('.').collect();
        let &[VERSION, key_id, _] = parts.as_slice() else { return Err(SealError::Malformed) };
        let hex_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if key_id.len() != KEY_ID_CHARS || !key_id.bytes().all(hex_digit) {
            return Err(SealError::Malformed);
        }
        let sealed = Self(text);
        if sealed.bytes()?.len() < NONCE_BYTES + TAG_BYTES {
            return Err(SealError::Malformed);
        }
        Ok(sealed)
    }
}

impl FromStr for Sealed {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        sealed.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({VERSION}.{}.…)", self.key_id())
    }
}

/// What seals and opens. Cheap to clone.
#[derive(Clone)]
pub struct MasterKey {
    cipher: Arc<Aes256Gcm>,
    key_id: Arc<str>,
}

/// Derives 32 bytes (HKDF-SHA256) from a random text of at least 32 bytes. `purpose` names use and version: the keys of two
/// purposes tell nothing of each other.
///
/// # Errors
/// [`SealError::WeakKey`] when the text is shorter.
pub fn derive_key(secret: &SecretString, purpose: &str) -> Result<SecretBox<[u8; KEY_BYTES]>, SealError> {
    let material = secret.expose_secret().as_bytes();
    if material.len() < MIN_MASTER_KEY_BYTES {
        return Err(SealError::WeakKey);
    }
    Ok(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| {
        let expanded = Hkdf::<Sha256>::new(None, material).expand(purpose.as_bytes(), key);
        expanded.expect("32 bytes are within what HKDF-SHA256 gives");
    }))
}

impl MasterKey {
    /// Derives the key that seals credentials at rest.
    ///
    /// # Errors
    /// As [`derive_key`].
    pub fn derive(master_key: &SecretString) -> Result<Self, SealError> {
        Self::derive_for(master_key, AT_REST)
    }

    /// Derives the key for another purpose.
    ///
    /// # Errors
    /// As [`derive_key`].
    pub fn derive_for(secret: &SecretString, purpose: &str) -> Result<Self, SealError> {
        let key = derive_key(secret, purpose)?;
        let mut key_id = hex::encode(Sha256::digest(key.expose_secret()));
        key_id.truncate(KEY_ID_CHARS);
        let cipher = Aes256Gcm::new(key.expose_secret().into());
        Ok(Self { cipher: Arc::new(cipher), key_id: key_id.into() })
    }

    /// The id that this key writes into what it seals.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Encrypts a text for one place: `associated` names it, for instance company id, table, column.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`] when the operating system has none.
    pub fn seal(&self, plaintext: &SecretString, associated: &[&str]) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        OsRng.try_fill_bytes(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let aad = self.associated_data(associated);
        let payload = Payload { msg: plaintext.expose_secret().as_bytes(), aad: &aad };
        let ciphertext = self.cipher.encrypt(&Nonce::from(nonce), payload);
        let ciphertext = ciphertext.expect("a text in memory is within the 64 GiB that GCM takes");
        let bytes = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &ciphertext].concat());
        Ok(Sealed(format!("{VERSION}.{}.{bytes}", self.key_id)))
    }

    /// Decrypts what was sealed by the same key for the same place.
    ///
    /// # Errors
    /// When key, place or ciphertext is another.
    pub fn open(&self, sealed: &Sealed, associated: &[&str]) -> Result<SecretString, SealError> {
        if sealed.key_id() != &*self.key_id {
            return Err(SealError::OtherKey);
        }
        let bytes = sealed.bytes()?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        let aad = self.associated_data(associated);
        let payload = Payload { msg: ciphertext, aad: &aad };
        let plaintext = self.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Refused)?;
        String::from_utf8(plaintext).map(SecretString::from).map_err(|_| SealError::Refused)
    }

    /// Version, key id and each part behind its length: no two lists give the same bytes.
    fn associated_data(&self, parts: &[&str]) -> Vec<u8> {
        let mut data = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum::<usize>() + 32);
        for part in [VERSION, &self.key_id].iter().chain(parts) {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: &[&str] = &["0190f5a0-company", "channel_connections", "access_token"];

    fn key(text: &str) -> MasterKey {
        MasterKey::derive(&SecretString::from(text.repeat(32))).expect("long enough")
    }

    fn sealed(plaintext: &str, associated: &[&str]) -> Sealed {
        key("a").seal(&SecretString::from(plaintext), associated).expect("there is randomness")
    }

    /// What an earlier release sealed must open in every later one. Computed by another implementation (Python's
    /// `cryptography`), so that it also pins the derivation and the associated data.
    #[test]
    fn a_value_of_the_first_version_still_opens() {
        let stored: Sealed = FIRST_VERSION.parse().expect("well-formed");
        let opened = key("a").open(&stored, PLACE).expect("opens");
        assert_eq!(opened.expose_secret(), "EAAG-olá");
    }

    const FIRST_VERSION: &str = "v1.058b72be.AAECAwQFBgcICQoLVYohPIaPKVFEZDczKnWkny3FWvyGvXSh6Q";

    #[test]
    fn the_same_text_never_looks_the_same() {
        assert_ne!(sealed("x", PLACE), sealed("x", PLACE));
    }

    #[test]
    fn another_key_is_told_apart() {
        assert_eq!(key("b").open(&sealed("x", PLACE), PLACE).unwrap_err(), SealError::OtherKey);
    }

    #[test]
    fn the_key_of_another_purpose_is_another() {
        let other =
            MasterKey::derive_for(&SecretString::from("a".repeat(32)), "another/v1").expect("long enough");
        assert_eq!(other.open(&sealed("x", PLACE), PLACE).unwrap_err(), SealError::OtherKey);
    }

    #[test]
    fn a_short_master_key_is_refused() {
        assert_eq!(MasterKey::derive(&SecretString::from("short")).unwrap_err(), SealError::WeakKey);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let value = sealed("x", PLACE);
        let secret = value.as_str().rsplit('.').next().expect("three parts");
        assert!(!format!("{value:?} {:?}", key("a")).contains(secret));
    }

    #[test]
    fn only_sealed_values_parse() {
        for text in ["", "v1", "v1..", "v2.00000000.AAAA", "v1.0000000g.AAAA", "v1.00000000.AAAA", "token"] {
            assert_eq!(text.parse::<Sealed>().unwrap_err(), SealError::Malformed, "{text}");
        }
        let value = sealed("x", PLACE);
        let json = serde_json::to_string(&value).expect("serialises");
        assert_eq!(serde_json::from_str::<Sealed>(&json).expect("and back"), value);
        assert!(serde_json::from_str::<Sealed>("\"plain\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(text in ".*", place in prop::collection::vec(".*", 0..4)) {
            let place: Vec<&str> = place.iter().map(String::as_str).collect();
            let value: Sealed = sealed(&text, &place).as_str().parse().expect("well-formed");
            let opened = key("a").open(&value, &place).expect("opens");
            prop_assert_eq!(opened.expose_secret(), text);
        }

        #[test]
        fn no_single_bit_can_be_changed(text in ".{0,40}", position in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let value = sealed(&text, PLACE);
            let mut bytes = value.bytes().expect("well-formed");
            let position = position.index(bytes.len());
            bytes[position] ^= 1 << bit;
            let altered = format!("v1.{}.{}", value.key_id(), URL_SAFE_NO_PAD.encode(bytes));
            let altered: Sealed = altered.parse().expect("well-formed");
            prop_assert_eq!(key("a").open(&altered, PLACE).unwrap_err(), SealError::Refused);
        }

        #[test]
        fn another_place_does_not_open(
            here in prop::collection::vec("[ab]{0,3}", 0..4),
            there in prop::collection::vec("[ab]{0,3}", 0..4),
        ) {
            prop_assume!(here != there);
            let here: Vec<&str> = here.iter().map(String::as_str).collect();
            let there: Vec<&str> = there.iter().map(String::as_str).collect();
            prop_assert_eq!(key("a").open(&sealed("x", &here), &there).unwrap_err(), SealError::Refused);
        }
    }
}
