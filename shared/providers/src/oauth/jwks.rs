//! Google's public keys: fetched when first needed, kept as long as Google allows, fetched again when a token names
//! one that is not there.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::DecodingKey;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::Client;
use super::error::{OAuthError, TokenFault};

/// How long keys are kept when Google does not say.
const DEFAULT_LIFE: TimeDelta = TimeDelta::hours(1);

/// The longest life that is believed: a key that was withdrawn must not be good for ever.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(1);

/// The least time between two fetches, whatever tokens name and however short a life Google gives.
const LEAST_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// The keys at one address.
pub(super) struct Jwks {
    url: Url,
    kept: RwLock<Option<Kept>>,
}

struct Kept {
    keys: HashMap<String, DecodingKey>,
    fetched_at: DateTime<Utc>,
    good_until: DateTime<Utc>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// One RSA key (RFC 7517, RFC 7518 section 6.3.1).
#[derive(Deserialize)]
struct RsaKey {
    kty: String,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    kid: String,
    n: String,
    e: String,
}

impl Jwks {
    pub(super) fn new(url: Url) -> Self {
        Self { url, kept: RwLock::new(None) }
    }

    /// The key of this id.
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`] if Google does not publish it, or did not a minute ago; `Unavailable` if that cannot
    /// be found out.
    pub(super) async fn key(
        &self,
        client: &Client,
        key_id: &str,
        now: DateTime<Utc>,
    ) -> Result<DecodingKey, OAuthError> {
        if let Some(known) = self.kept(key_id, now) {
            return known.ok_or(TokenFault::UnknownKey.into());
        }
        let fetched = self.fetch(client, now).await?;
        let key = fetched.keys.get(key_id).cloned();
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        key.ok_or(TokenFault::UnknownKey.into())
    }

    /// What is known without asking: the key, that there is none, or (the outer `None`) nothing.
    fn kept(&self, key_id: &str, now: DateTime<Utc>) -> Option<Option<DecodingKey>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref().filter(|kept| now < kept.good_until)?;
        match kept.keys.get(key_id) {
            Some(key) => Some(Some(key.clone())),
            None if now < kept.fetched_at + LEAST_PAUSE => Some(None),
            None => None,
        }
    }

    async fn fetch(&self, client: &Client, now: DateTime<Utc>) -> Result<Kept, OAuthError> {
        let request = client.http.get(self.url.clone()).timeout(client.timeout);
        let response = request.send().await.map_err(OAuthError::transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            let detail = format!("HTTP {} in place of the keys", status.as_u16());
            return Err(OAuthError::unavailable(&headers, detail));
        }
        let body = response.bytes().await.map_err(OAuthError::transport)?;
        Ok(Kept { keys: read(&body)?, fetched_at: now, good_until: now + life(&headers) })
    }
}

/// Reads a set of keys: those for RS256 by their ids. Keys of other kinds and uses may stand beside them.
///
/// # Errors
/// `Unavailable` for what is no set of keys, or holds none for us.
pub fn read(body: &[u8]) -> Result<HashMap<String, DecodingKey>, OAuthError> {
    let set: KeySet =
        serde_json::from_slice(body).map_err(|_| OAuthError::unreadable("the answer is no set of keys"))?;
    let keys: HashMap<String, DecodingKey> =
        set.keys.into_iter().filter_map(|key| usable(serde_json::from_value(key).ok()?)).collect();
    if keys.is_empty() {
        return Err(OAuthError::unreadable("the set of keys holds none for RS256"));
    }
    Ok(keys)
}

fn usable(key: RsaKey) -> Option<(String, DecodingKey)> {
    if key.kty != "RSA" || key.usage.is_some_and(|usage| usage != "sig") {
        return None;
    }
    Some((key.kid, DecodingKey::from_rsa_components(&key.n, &key.e).ok()?))
}

/// `max-age` of `Cache-Control`, within bounds.
fn life(headers: &HeaderMap) -> TimeDelta {
    let stated = headers.get("cache-control").and_then(|value| value.to_str().ok()).and_then(|value| {
        value.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<u32>().ok())
    });
    let life = stated.map_or(DEFAULT_LIFE, |seconds| TimeDelta::seconds(seconds.into()));
    life.clamp(LEAST_PAUSE, LONGEST_LIFE)
}
