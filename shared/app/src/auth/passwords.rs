//! Passwords: Argon2id with the parameters that OWASP recommends (19 MiB, 2 passes), off the async threads.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, PasswordHash};
use domain::user::PASSWORD_CHARS;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, Result, internal};

/// Refuses a password that is too short or too long.
///
/// # Errors
/// `Invalid` for the field `password`.
pub fn check(password: &SecretString) -> Result<()> {
    if PASSWORD_CHARS.contains(&password.expose_secret().chars().count()) {
        return Ok(());
    }
    let (least, most) = (PASSWORD_CHARS.start(), PASSWORD_CHARS.end());
    Err(Error::invalid("password", format!("a password has {least} to {most} characters")))
}

/// Hashes a password.
///
/// # Errors
/// `Internal` only.
pub async fn hash(password: SecretString) -> Result<String> {
    tokio::task::spawn_blocking(move || {
        let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|error| internal(anyhow::anyhow!("{error}")))
    })
    .await
    .map_err(internal)?
}

/// Compared with when there is nobody: an unknown address costs as much as a known one.
static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| {
    Argon2::default().hash_password(b"nobody").expect("Argon2 hashes six bytes").to_string()
});

/// Whether a password is the one of `hash`; without a hash never, after the same work.
///
/// # Errors
/// `Internal` only.
pub async fn verify(hash: Option<String>, password: SecretString) -> Result<bool> {
    tokio::task::spawn_blocking(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS_HASH.clone());
        let parsed = PasswordHash::new(&hash).map_err(|error| internal(anyhow::anyhow!("{error}")))?;
        let matches = Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok();
        Ok(known && matches)
    })
    .await
    .map_err(internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let correct = hash(SecretString::from("correta")).await.expect("hashes");
        assert!(correct.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "OWASP's parameters: {correct}");
        assert!(verify(Some(correct.clone()), SecretString::from("correta")).await.expect("checks"));
        assert!(!verify(Some(correct), SecretString::from("errada")).await.expect("checks"));
        assert!(!verify(None, SecretString::from("correta")).await.expect("checks"));
    }

    #[test]
    fn characters_count_and_not_bytes() {
        assert!(check(&SecretString::from("áéíóúâêôãõ")).is_ok());
        assert!(check(&SecretString::from("áéíóúâêôã")).is_err());
        assert!(check(&SecretString::from("x".repeat(129))).is_err());
    }
}
