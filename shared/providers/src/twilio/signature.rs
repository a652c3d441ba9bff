//! Proof that Twilio calls: HMAC-SHA1 over the public address and, of a form, its fields. (`lib/webhooks/webhooks.js` of
//! Twilio's Node SDK.)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

/// The header that carries the signature.
pub const HEADER: &str = "x-twilio-signature";

/// The call was not signed with the account's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the webhook signature is missing or wrong")]
pub struct BadSignature;

/// Checks a call to `url`, which is the public address as Twilio was given it, with its query.
///
/// `is_form` for a form, whose fields are signed; of another body the address carries a hash, `bodySHA256`. The address
/// counts with its scheme's port and without, as the SDK has it; everything is compared in constant time.
///
/// # Errors
/// [`BadSignature`], whatever the reason.
pub fn verify(
    auth_token: &SecretString,
    url: &str,
    is_form: bool,
    body: &[u8],
    header: Option<&str>,
) -> Result<(), BadSignature> {
    let claimed = STANDARD.decode(header.ok_or(BadSignature)?).map_err(|_| BadSignature)?;
    let fields = if is_form { signed_fields(body) } else { String::new() };
    if !is_form {
        verify_hash(url, body)?;
    }
    // Each spelling is tried, so that the time does not tell which one is right.
    let mut right = false;
    for url in spellings(url) {
        right |= keyed(auth_token, &url, &fields).verify_slice(&claimed).is_ok();
    }
    if right { Ok(()) } else { Err(BadSignature) }
}

/// The header with which Twilio would sign a form posted to `url`; for stand-ins and tests.
pub fn sign(auth_token: &SecretString, url: &str, form: &[u8]) -> String {
    STANDARD.encode(keyed(auth_token, url, &signed_fields(form)).finalize().into_bytes())
}

fn keyed(auth_token: &SecretString, url: &str, fields: &str) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(url.as_bytes());
    mac.update(fields.as_bytes());
    mac
}

/// Names and decoded values, sorted by name, then by value; what stands twice counts once.
fn signed_fields(body: &[u8]) -> String {
    let mut fields: Vec<_> = url::form_urlencoded::parse(body).collect();
    fields.sort_unstable();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]).collect()
}

fn verify_hash(url: &str, body: &[u8]) -> Result<(), BadSignature> {
    let url = Url::parse(url).map_err(|_| BadSignature)?;
    let hash = url.query_pairs().find(|(name, _)| name == "bodySHA256").ok_or(BadSignature)?.1;
    let actual = hex::encode(Sha256::digest(body));
    let same: bool = actual.as_bytes().ct_eq(hash.to_ascii_lowercase().as_bytes()).into();
    if same { Ok(()) } else { Err(BadSignature) }
}

/// The address as it is, with its scheme's port, and without.
fn spellings(url: &str) -> Vec<String> {
    let mut spellings = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return spellings };
    let port = if scheme == "https" { ":443" } else { ":80" };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.strip_suffix(port) {
        Some(host) => spellings.push(format!("{scheme}://{host}{path}")),
        None if !authority.contains(':') => spellings.push(format!("{scheme}://{authority}{port}{path}")),
        None => {}
    }
    spellings
}
