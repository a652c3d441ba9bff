//! Logging in by Google: what comes back from its servers.

use std::sync::LazyLock;

use chrono::DateTime;
use providers::oauth::id_token::{Claims, Expected, IdToken};
use providers::oauth::jwks::read;
use serde_json::{Value, json};

use super::tampering::Tampering;
use crate::events;
use crate::seeds::{self, Seed};

const FIXTURES: &str = "shared/providers/tests/fixtures/oauth";
const CLIENT_ID: &str = "000000000000-exemplo.apps.googleusercontent.com";
const NONCE: &str = "n-0001";

static VECTORS: LazyLock<Value> = LazyLock::new(|| seeds::json_of(&format!("{FIXTURES}/signatures.json")));

/// What the key of the vectors signed.
static GENUINE: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let vectors = VECTORS["vectors"].as_array().expect("there are vectors");
    let keys = read(VECTORS["jwks"].to_string().as_bytes()).expect("a set of keys");
    let holds = |token: &&str| {
        IdToken::parse(token)
            .is_ok_and(|read| keys.get(read.key_id()).is_some_and(|key| read.verify(key).is_ok()))
    };
    vectors.iter().filter_map(|vector| vector["id_token"].as_str()).filter(holds).collect()
});

/// A token as it came; a genuine one that was changed; and claims that somebody made up, as if they were signed.
pub(super) fn id_token(input: &[u8]) {
    let Some(tampering) = Tampering::read(input) else { return };
    assert!(!GENUINE.is_empty(), "the vectors hold genuine tokens");
    if let Ok(text) = str::from_utf8(tampering.rest) {
        assert!(!verifies(text) || GENUINE.contains(&text), "nobody signed {text}");
    }
    let genuine = GENUINE[tampering.rest.len() % GENUINE.len()];
    if let Some(changed) = tampering.change_text(genuine) {
        assert!(!verifies(&changed), "nobody signed {changed}");
    }
    claims(tampering.rest);
}

fn verifies(token: &str) -> bool {
    static KEYS: LazyLock<Vec<u8>> = LazyLock::new(|| VECTORS["jwks"].to_string().into_bytes());
    let Ok(read_token) = IdToken::parse(token) else { return false };
    let keys = read(&KEYS).expect("a set of keys");
    keys.get(read_token.key_id()).is_some_and(|key| read_token.verify(key).is_ok())
}

fn claims(text: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Claims>(text) else { return };
    // Members that claims do not have are not looked at, and may hold what is no character.
    let Ok(said) = serde_json::from_slice::<Value>(text) else { return };
    let issuers = ["https://accounts.google.com".to_owned(), "accounts.google.com".to_owned()];
    let expected = Expected { issuers: &issuers, client_id: CLIENT_ID, nonce: NONCE };
    let now = events::now();
    let Ok(profile) = claims.accept(&expected, now) else { return };
    assert_eq!(said["nonce"], NONCE, "of another attempt");
    assert!(issuers.iter().any(|issuer| said["iss"] == *issuer), "of another issuer");
    let for_us = said["aud"] == CLIENT_ID
        || said["aud"].as_array().is_some_and(|ids| ids.iter().any(|id| id == CLIENT_ID));
    assert!(for_us, "for somebody else");
    let expires = said["exp"].as_i64().and_then(|at| DateTime::from_timestamp(at, 0));
    assert!(expires.is_none_or(|at| at > now), "over");
    assert!(!profile.subject.is_empty(), "nobody");
    assert!(profile.email_verified || !profile.email_authoritative, "vouched for, and not seen");
    assert!(profile.email.is_some() || !profile.email_verified, "seen, and not there");
}

/// A set of keys.
pub(super) fn jwks(body: &[u8]) {
    let Ok(keys) = read(body) else { return };
    let Ok(said) = serde_json::from_slice::<Value>(body) else { return };
    let said = said["keys"].as_array().expect("it is a set");
    assert!(!keys.is_empty() && keys.len() <= said.len());
    for id in keys.keys() {
        assert!(said.iter().any(|key| key["kid"] == **id && key["kty"] == "RSA"), "{id} is made up");
    }
    let genuine = IdToken::parse(GENUINE[0]).expect("it is genuine");
    for key in keys.values().take(4) {
        // Whether it holds depends on the key; that it is asked for harms nobody.
        drop(genuine.verify(key));
    }
}

pub(super) fn seeds_of_tokens() -> Vec<Seed> {
    let mut all = seeds::signed(&format!("{FIXTURES}/signatures.json"), "id_token");
    let claims = seeds::json_of(&format!("{FIXTURES}/google_id_token_claims.json"));
    all.push(("claims".to_owned(), claims.to_string().into_bytes()));
    let mut several = claims;
    several["aud"] = json!([CLIENT_ID, "another"]);
    several["email_verified"] = "true".into();
    several["hd"] = "example.com".into();
    all.push(("claims_for_several".to_owned(), several.to_string().into_bytes()));
    seeds::tampered(all)
}

pub(super) fn seeds_of_keys() -> Vec<Seed> {
    let keys = &VECTORS["jwks"];
    let mut others = keys.clone();
    let list = others["keys"].as_array_mut().expect("it is a set");
    list.push(json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "ec" }));
    list.push(json!({ "kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB", "kid": "enc" }));
    let seed = |name: &str, value: &Value| (name.to_owned(), value.to_string().into_bytes());
    vec![seed("keys", keys), seed("other_keys", &others), seed("none", &json!({ "keys": [] }))]
}
