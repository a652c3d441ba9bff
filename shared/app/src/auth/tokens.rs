//! What a browser shows at each request: a JWT (RFC 7519) signed with Ed25519 (RFC 8037), good for fifteen minutes.
//!
//! The key is derived from a secret that may be rotated at any time: the token names its key, and the key before the
//! last rotation still opens.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cloud::keys::{DerivedKeys, KeysError};
use cloud::seal::{SealError, derive_key};
use cloud::secrets::{Asking, Search};
use domain::user::Role;
use domain::{CompanyId, LoginSessionId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::error::{Error, Result, internal};

/// How long a token is good for.
pub const TOKEN_LIFE: TimeDelta = TimeDelta::minutes(15);

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The installation: a token of one is worth nothing at another.
    pub iss: String,
    /// The person.
    pub sub: UserId,
    /// The session that it belongs to.
    #[serde(rename = "sid")]
    pub session: LoginSessionId,
    /// The company that it speaks for.
    pub company: CompanyId,
    /// The role when it was made. What counts is the role now.
    pub role: Role,
    /// When it was made, seconds since 1970.
    pub iat: i64,
    /// Until when it is good, seconds since 1970.
    pub exp: i64,
}

/// The purpose of the key that signs.
const SIGNING: &str = "master-ia/token/v2";

/// The pairs that this process has derived.
pub(crate) type TokenKeys = DerivedKeys<Arc<KeyPair>>;

/// What signs tokens, and what tells that we signed them.
pub(crate) struct KeyPair {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// What signs tokens now.
pub struct Signer(Arc<KeyPair>);

/// Whose token it is.
#[derive(Clone, Copy, Debug)]
pub struct Bearer {
    /// The person.
    pub user_id: UserId,
    /// The session.
    pub session_id: LoginSessionId,
    /// The company that the token speaks for.
    pub company_id: CompanyId,
    /// The person's role in it.
    pub role: Role,
}

/// Reads the key that signs. Before anything is changed that only a token makes up for.
///
/// # Errors
/// When it cannot be read.
pub async fn signer(app: &App) -> Result<Signer> {
    let secret = app.secrets.get(&app.settings.token_key_secret).await.map_err(internal)?;
    Ok(Signer(derive(app, secret).map_err(internal)?))
}

impl Signer {
    /// Makes a token, good from now on for [`TOKEN_LIFE`]; and its end.
    ///
    /// # Errors
    /// `Internal` only.
    pub fn issue(&self, app: &App, bearer: Bearer) -> Result<(SecretString, DateTime<Utc>)> {
        let now = app.clock.now();
        let expires_at = now + TOKEN_LIFE;
        let claims = Claims {
            iss: issuer(app),
            sub: bearer.user_id,
            session: bearer.session_id,
            company: bearer.company_id,
            role: bearer.role,
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let header = Header { kid: Some(self.0.id.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &self.0.encoding).map_err(internal)?;
        Ok((SecretString::from(token), expires_at))
    }
}

/// What a genuine token says.
///
/// # Errors
/// `Unauthenticated` for everything that is not one of ours, in force.
pub async fn verify(app: &App, token: &str) -> Result<Claims> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| Error::Unauthenticated)?;
    let key_id = header.kid.ok_or(Error::Unauthenticated)?;
    let key = find_key(app, &key_id).await?.ok_or(Error::Unauthenticated)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[issuer(app)]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.leeway = 0;
    // Time is the clock's, so that tests decide it.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
        .map_err(|_| Error::Unauthenticated)?
        .claims;
    if claims.exp <= app.clock.now().timestamp() { Err(Error::Unauthenticated) } else { Ok(claims) }
}

async fn find_key(app: &App, key_id: &str) -> Result<Option<Arc<KeyPair>>> {
    let accept = |secret| {
        let key = derive(app, secret)?;
        Ok::<_, KeysError>((key.id == key_id).then_some(key))
    };
    let secret_id = &app.settings.token_key_secret;
    match app.secrets.find_version(secret_id, key_id, Asking::Seldom, accept).await.map_err(internal)? {
        Search::Found(key) => Ok(Some(key)),
        // Who shows a token whose key is not known yet renews it, or shows it again.
        Search::Absent | Search::Unknown => Ok(None),
    }
}

fn derive(app: &App, secret: SecretString) -> Result<Arc<KeyPair>, SealError> {
    app.token_keys.get(secret, |secret| Ok(Arc::new(KeyPair::derive(secret)?)))
}

fn issuer(app: &App) -> String {
    format!("master-ia/{}", app.settings.environment)
}

impl KeyPair {
    fn derive(secret: &SecretString) -> Result<Self, SealError> {
        let seed = derive_key(secret, SIGNING)?;
        let signing = ed25519_dalek::SigningKey::from_bytes(seed.expose_secret());
        // PKCS #8 (RFC 8410): a fixed head, then the seed.
        let mut pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        pkcs8.extend_from_slice(signing.as_bytes());
        let public = signing.verifying_key().to_bytes();
        Ok(Self {
            id: hex::encode(&Sha256::digest(public)[..8]),
            encoding: EncodingKey::from_ed_der(&pkcs8),
            decoding: DecodingKey::from_ed_der(&public),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_the_secret() {
        let claims = Claims {
            iss: "master-ia/test".to_owned(),
            sub: UserId(uuid::Uuid::nil()),
            session: LoginSessionId(uuid::Uuid::nil()),
            company: CompanyId(uuid::Uuid::nil()),
            role: Role::Owner,
            iat: 0,
            exp: 4_000_000_000,
        };
        let derive = |text: &str| KeyPair::derive(&SecretString::from(text.repeat(32)));
        let (ours, other) = (derive("a").expect("long enough"), derive("b").expect("long enough"));
        let short = KeyPair::derive(&SecretString::from("um segredo"));
        assert!(matches!(short, Err(SealError::WeakKey)));
        assert_ne!(ours.id, other.id);
        let header = Header::new(Algorithm::EdDSA);
        let token = jsonwebtoken::encode(&header, &claims, &ours.encoding).expect("signs");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&["master-ia/test"]);
        assert!(jsonwebtoken::decode::<Claims>(&token, &ours.decoding, &validation).is_ok());
        assert!(jsonwebtoken::decode::<Claims>(&token, &other.decoding, &validation).is_err());
    }
}
