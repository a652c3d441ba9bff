//! The keys that sign identity tokens. They outlive a reset, as a provider's keys outlive its customers' tests.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// One key for RS256.
pub(crate) struct Key {
    id: String,
    pair: KeyPair,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Key {
    fn generate() -> anyhow::Result<Arc<Self>> {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok().context("no RSA key could be made")?;
        Ok(Arc::new(Self { id: hex::encode(rand::random::<[u8; 20]>()), pair }))
    }

    /// `kid`.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A compact JWT of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({ "alg": "RS256", "kid": self.id, "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .ok()
            .context("the token could not be signed")?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn public(&self) -> Value {
        let public = self.pair.public_key();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.id,
            "n": part(public.modulus().big_endian_without_leading_zero()),
            "e": part(public.exponent().big_endian_without_leading_zero()),
        })
    }
}

/// The keys that are published; the last one signs. The first is made when it is needed: it takes a moment.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<Vec<Arc<Key>>>);

impl Keys {
    /// The key that signs.
    pub(crate) async fn current(&self) -> anyhow::Result<Arc<Key>> {
        let mut keys = self.0.lock().await;
        if let Some(key) = keys.last() {
            return Ok(key.clone());
        }
        let key = tokio::task::spawn_blocking(Key::generate).await??;
        keys.push(key.clone());
        Ok(key)
    }

    /// Signs by a new key from now on; the old ones stay published only if they are to be kept.
    pub(crate) async fn rotate(&self, keep: bool) -> anyhow::Result<Arc<Key>> {
        let mut keys = self.0.lock().await;
        let key = tokio::task::spawn_blocking(Key::generate).await??;
        if !keep {
            keys.clear();
        }
        keys.push(key.clone());
        Ok(key)
    }

    /// As a JWKS.
    pub(crate) async fn published(&self) -> anyhow::Result<Value> {
        self.current().await?;
        let keys: Vec<Value> = self.0.lock().await.iter().map(|key| key.public()).collect();
        Ok(json!({ "keys": keys }))
    }
}
