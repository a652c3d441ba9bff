//! Is an identity token Google's, for us, for this attempt, and in time? By OpenID Connect Core 1.0, section 3.1.3.7,
//! and developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Profile;
use super::error::TokenFault;

/// How far Google's clock may be ahead of ours. `exp` gets no such allowance: a token is some seconds old when it is
/// read, and lives for an hour.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// What the claims are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who may have issued it.
    pub issuers: &'a [String],
    /// For whom: us.
    pub client_id: &'a str,
    /// For which attempt.
    pub nonce: &'a str,
}

/// A token whose header is acceptable, and nothing else of it known.
#[derive(Debug)]
pub struct IdToken<'a> {
    key_id: String,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515, section 4.1.11); we know none.
    #[serde(default)]
    crit: Option<Value>,
}

/// What a genuine token says.
#[derive(Deserialize)]
pub struct Claims {
    iss: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    sub: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Value,
    /// The domain of a Google Workspace account.
    #[serde(default)]
    hd: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl<'a> IdToken<'a> {
    /// Reads the header. The algorithm is ours to choose, not the token's: anything but RS256 goes no further.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub fn parse(token: &'a str) -> Result<Self, TokenFault> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let header: Header = decoded(header)?;
        if header.alg != "RS256" {
            return Err(TokenFault::Algorithm);
        }
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        let key_id = header.kid.ok_or(TokenFault::UnknownKey)?;
        Ok(Self { key_id, signed, payload, signature })
    }

    /// Which of Google's keys is said to have signed.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The claims, once the signature holds.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub fn verify(&self, key: &DecodingKey) -> Result<Claims, TokenFault> {
        // Not `jsonwebtoken::decode`: it compares times with the machine's clock.
        let holds =
            jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, Algorithm::RS256);
        match holds {
            Ok(true) => decoded(self.payload),
            Ok(false) | Err(_) => Err(TokenFault::Signature),
        }
    }
}

impl Claims {
    /// The profile, once every claim holds.
    ///
    /// # Errors
    /// [`TokenFault`]: the first claim that does not hold.
    pub fn accept(self, expected: &Expected<'_>, now: DateTime<Utc>) -> Result<Profile, TokenFault> {
        if !expected.issuers.contains(&self.iss) {
            return Err(TokenFault::Issuer);
        }
        let ours = |id: &String| id == expected.client_id;
        let for_us = match &self.aud {
            Audience::One(id) => ours(id),
            // Among several it must also be we who asked.
            Audience::Many(ids) => ids.iter().any(ours) && (ids.len() == 1 || self.azp.is_some()),
        };
        if !for_us || !self.azp.iter().all(ours) {
            return Err(TokenFault::Audience);
        }
        if self.exp <= now.timestamp() {
            return Err(TokenFault::Expired);
        }
        if self.iat > (now + SKEW).timestamp() {
            return Err(TokenFault::IssuedInFuture);
        }
        if self.nonce.as_deref() != Some(expected.nonce) || expected.nonce.is_empty() {
            return Err(TokenFault::Nonce);
        }
        if self.sub.is_empty() {
            return Err(TokenFault::Malformed);
        }
        let email = self.email.filter(|email| !email.is_empty());
        // A string in some of Google's answers.
        let email_verified =
            email.is_some() && (self.email_verified == true || self.email_verified == "true");
        let of_gmail = email.as_ref().is_some_and(|email| email.to_ascii_lowercase().ends_with("@gmail.com"));
        let of_workspace = self.hd.is_some_and(|domain| !domain.is_empty());
        Ok(Profile {
            subject: self.sub,
            email,
            email_verified,
            email_authoritative: email_verified && (of_gmail || of_workspace),
            name: self.name.unwrap_or_default(),
        })
    }
}

fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Malformed)
}
