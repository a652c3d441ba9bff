//! Proof that Meta calls: the HMAC over a webhook's raw body, and the handshake that registers the endpoint.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The header that carries the signature. The SHA-1 header `X-Hub-Signature` is never accepted.
pub const HEADER: &str = "x-hub-signature-256";

/// The longest challenge that is echoed; Meta's have some ten digits.
const LONGEST_CHALLENGE: usize = 256;

/// The body was not signed with the app secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the webhook signature is missing or wrong")]
pub struct BadSignature;

/// The handshake did not know our verify token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the webhook verification request is malformed or carries another token")]
pub struct BadChallenge;

/// Checks `header` (`sha256=<hex>`) against the body's HMAC-SHA256, in constant time.
///
/// `body` must be the bytes as received, after base64 when a gateway encoded them: Meta signs its own escaping, so
/// that re-serialised JSON does not match.
///
/// # Errors
/// [`BadSignature`], whatever the reason.
pub fn verify(app_secret: &SecretString, body: &[u8], header: Option<&str>) -> Result<(), BadSignature> {
    let claimed = header.and_then(|header| header.strip_prefix("sha256=")).ok_or(BadSignature)?;
    let mut expected = [0_u8; 32];
    hex::decode_to_slice(claimed, &mut expected).map_err(|_| BadSignature)?;
    keyed(app_secret, body).verify_slice(&expected).map_err(|_| BadSignature)
}

/// The header value with which Meta would sign `body`; for stand-ins and tests.
pub fn sign(app_secret: &SecretString, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(keyed(app_secret, body).finalize().into_bytes()))
}

fn keyed(app_secret: &SecretString, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(body);
    mac
}

/// Answers Meta's GET handshake: from the raw query string, the challenge to send back as `text/plain`.
///
/// # Errors
/// [`BadChallenge`] if the mode is not `subscribe`, the token is not `verify_token` (compared in constant time), or
/// the challenge is missing or is not made of letters, digits, `-`, `_` and `.`: it is echoed to whoever asks.
pub fn verify_challenge(query: &str, verify_token: &SecretString) -> Result<String, BadChallenge> {
    let (mut mode, mut token, mut challenge) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "hub.mode" => mode = Some(value),
            "hub.verify_token" => token = Some(value),
            "hub.challenge" => challenge = Some(value),
            _ => {}
        }
    }
    let (mode, token, challenge) =
        (mode.ok_or(BadChallenge)?, token.ok_or(BadChallenge)?, challenge.ok_or(BadChallenge)?);
    let token_is_ours: bool = token.as_bytes().ct_eq(verify_token.expose_secret().as_bytes()).into();
    let plain = challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let acceptable = plain && (1..=LONGEST_CHALLENGE).contains(&challenge.len());
    if mode == "subscribe" && token_is_ours && acceptable {
        Ok(challenge.into_owned())
    } else {
        Err(BadChallenge)
    }
}
