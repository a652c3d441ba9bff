//! Proof that the gateway calls. It does not sign bodies: with the header setting `jwt_key` it sends a token, HS256, for ten
//! minutes, with the claims `app: evolution` and `action: webhook` (`webhook.controller.ts`, `generateJwtToken`).

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The header that carries the token.
pub const HEADER: &str = "authorization";

/// How far the gateway's clock may be ahead of ours, in seconds.
const AHEAD: i64 = 60;

/// The token is missing, wrong, over, or for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the webhook token is missing or wrong")]
pub struct BadToken;

#[derive(Serialize, Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    app: String,
    action: String,
}

/// Checks `Authorization: Bearer <token>` against the key that the gateway was given. No other algorithm is taken than the
/// one that the gateway uses, and `none` least of all.
///
/// # Errors
/// [`BadToken`], whatever the reason; also for an empty key, which anybody could guess.
pub fn verify(jwt_key: &SecretString, header: Option<&str>, now: DateTime<Utc>) -> Result<(), BadToken> {
    let key = jwt_key.expose_secret();
    let token = header.and_then(|header| header.strip_prefix("Bearer ")).ok_or(BadToken)?;
    if key.is_empty() {
        return Err(BadToken);
    }
    let mut validation = Validation::new(Algorithm::HS256);
    // By the clock that is handed in, below.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(key.as_bytes());
    let claims =
        jsonwebtoken::decode::<Claims>(token.trim(), &key, &validation).map_err(|_| BadToken)?.claims;
    let now = now.timestamp();
    let is_now = claims.exp >= now && claims.iat <= now + AHEAD;
    if is_now && claims.app == "evolution" && claims.action == "webhook" { Ok(()) } else { Err(BadToken) }
}

/// The header that a gateway with this key would send; for stand-ins and tests.
///
/// # Panics
/// Never: these claims serialise.
pub fn sign(jwt_key: &SecretString, now: DateTime<Utc>) -> String {
    let iat = now.timestamp();
    let claims = Claims { iat, exp: iat + 600, app: "evolution".to_owned(), action: "webhook".to_owned() };
    let key = EncodingKey::from_secret(jwt_key.expose_secret().as_bytes());
    let token =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("claims serialise");
    format!("Bearer {token}")
}
