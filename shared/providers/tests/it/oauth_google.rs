//! Logging in by Google: what is asked, what is believed, and what is not.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use providers::oauth::google::Endpoints;
use providers::oauth::{
    Callback, Client, Exchange, OAuthClass, OAuthError, Profile, Provider, Registration, Secrets, TokenFault,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const CLIENT_ID: &str = "000000000000-exemplo.apps.googleusercontent.com";
const CLIENT_SECRET: &str = "GOCSPX-exemplo";
const NONCE: &str = "n-0001";
const CODE: &str = "4/0A-codigo-exemplo";

pub(crate) fn registration() -> Registration {
    Registration {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.into(),
        redirect_uri: "https://painel.example.com/api/v1/auth/oauth/google/callback".to_owned(),
    }
}

pub(crate) fn secrets() -> Secrets {
    Secrets { state: [1; 32], nonce: [2; 32], code_verifier: [3; 32] }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_768_053_700, 0).unwrap()
}

fn endpoints(server: &MockServer) -> Endpoints {
    Endpoints { issuers: Endpoints::of_google().issuers, ..Endpoints::below(&server.uri()).unwrap() }
}

fn client(server: &MockServer) -> Client {
    Client::google(registration(), endpoints(server), crate::http())
}

/// A key pair of the test, made once: it takes a moment.
fn key(which: usize) -> &'static KeyPair {
    static KEYS: [OnceLock<KeyPair>; 2] = [const { OnceLock::new() }; 2];
    KEYS[which].get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn key_set(keys: &[(&str, &KeyPair)]) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(id, pair)| {
            let public = pair.public_key();
            let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            json!({
                "kty": "RSA", "alg": "RS256", "use": "sig", "kid": id,
                "n": part(public.modulus().big_endian_without_leading_zero()),
                "e": part(public.exponent().big_endian_without_leading_zero()),
            })
        })
        .collect();
    json!({ "keys": keys })
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn signed_as(header: &Value, claims: &Value, pair: &KeyPair) -> String {
    let text = unsigned(header, claims);
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn signed(claims: &Value) -> String {
    signed_as(&json!({ "alg": "RS256", "kid": "a", "typ": "JWT" }), claims, key(0))
}

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com", "azp": CLIENT_ID, "aud": CLIENT_ID,
        "sub": "100000000000000000001", "email": "ana@example.com", "email_verified": true,
        "nonce": NONCE, "name": "Ana Exemplo", "iat": 1_768_053_600, "exp": 1_768_057_200,
    })
}

fn but(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

async fn answer_with(server: &MockServer, token: &str) {
    let body = json!({ "access_token": "ya29.exemplo", "token_type": "Bearer", "id_token": token });
    let answer = ResponseTemplate::new(200).set_body_json(body);
    Mock::given(method("POST")).and(path("/token")).respond_with(answer).mount(server).await;
}

async fn publish(server: &MockServer, keys: Value) {
    let answer = ResponseTemplate::new(200)
        .set_body_json(keys)
        .insert_header("cache-control", "public, max-age=21600, must-revalidate");
    Mock::given(method("GET")).and(path("/certs")).respond_with(answer).mount(server).await;
}

async fn exchange_at(client: &Client, nonce: &str, now: DateTime<Utc>) -> Result<Profile, OAuthError> {
    let (code, code_verifier) = (SecretString::from(CODE), SecretString::from("v".repeat(43)));
    client.exchange(Exchange { code: &code, code_verifier: &code_verifier, nonce }, now).await
}

async fn exchange(client: &Client) -> Result<Profile, OAuthError> {
    exchange_at(client, NONCE, now()).await
}

/// The verdict on one token, of a Google that publishes key `a`.
async fn verdict(token: &str) -> Result<Profile, OAuthError> {
    let server = MockServer::start().await;
    answer_with(&server, token).await;
    publish(&server, key_set(&[("a", key(0))])).await;
    exchange(&client(&server)).await
}

async fn fetches(server: &MockServer) -> usize {
    let requests = server.received_requests().await.unwrap();
    requests.iter().filter(|request| request.url.path() == "/certs").count()
}

#[test]
fn the_browser_is_sent_with_everything_that_google_wants() {
    let client = Client::google(registration(), Endpoints::of_google(), crate::http());
    let start = client.start(&secrets());
    assert_eq!(client.provider(), Provider::Google);
    assert!(start.url.as_str().starts_with("https://accounts.google.com/o/oauth2/v2/auth?"));
    let query: std::collections::HashMap<_, _> = start.url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("client_id", CLIENT_ID),
        ("redirect_uri", "https://painel.example.com/api/v1/auth/oauth/google/callback"),
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("state", &start.state),
        ("nonce", &start.nonce),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query[name], value);
    }
    for secret in [&start.state, &start.nonce, start.code_verifier.expose_secret()] {
        assert_eq!(secret.len(), 43);
    }
    assert_eq!(query["code_challenge"].len(), 43);
    assert!(!start.url.as_str().contains(start.code_verifier.expose_secret()));
    assert!(!format!("{client:?}{start:?}").contains(CLIENT_SECRET));
}

#[test]
fn the_endpoints_are_those_of_the_discovery_document() {
    let discovery: Value =
        serde_json::from_str(include_str!("../fixtures/oauth/google_discovery.json")).unwrap();
    let endpoints = Endpoints::of_google();
    assert_eq!(endpoints.authorise.as_str(), discovery["authorization_endpoint"]);
    assert_eq!(endpoints.token.as_str(), discovery["token_endpoint"]);
    assert_eq!(endpoints.keys.as_str(), discovery["jwks_uri"]);
    assert_eq!(endpoints.issuers[0], discovery["issuer"]);
}

#[test]
fn a_callback_brings_a_code_or_says_why_not() {
    let code = |query: Value| {
        let callback: Callback = serde_json::from_value(query).unwrap();
        callback.code().map(|code| code.expose_secret().to_owned())
    };
    assert_eq!(code(json!({ "state": "s", "code": CODE, "scope": "email", "authuser": "0" })).unwrap(), CODE);
    for (query, class) in [
        (json!({ "error": "access_denied", "error_reason": "user_denied" }), OAuthClass::Refused),
        (json!({ "error": "access_denied", "code": CODE }), OAuthClass::Refused),
        (json!({ "error": "temporarily_unavailable" }), OAuthClass::Unavailable),
        (json!({ "error": "invalid_scope" }), OAuthClass::Configuration),
        (json!({ "error_code": "1349126", "error_message": "App not active" }), OAuthClass::Configuration),
        (
            json!({ "error_code": "4201", "error_message": "User canceled the Dialog flow" }),
            OAuthClass::Refused,
        ),
        (json!({ "state": "s" }), OAuthClass::CodeInvalid),
        (json!({ "code": "" }), OAuthClass::CodeInvalid),
    ] {
        assert_eq!(code(query).unwrap_err().class(), class);
    }
    let callback: Callback = serde_json::from_value(json!({ "code": CODE, "error": "<b>\n" })).unwrap();
    assert!(!format!("{callback:?}").contains(CODE));
    assert!(!callback.code().unwrap_err().to_string().contains('<'));
}

#[tokio::test]
async fn a_code_becomes_a_profile() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(body_string_contains("grant_type=authorization_code"))
        .and(body_string_contains("code=4%2F0A-codigo-exemplo"))
        .and(body_string_contains(format!("code_verifier={}", "v".repeat(43))))
        .and(body_string_contains(format!("client_id={CLIENT_ID}")))
        .and(body_string_contains(format!("client_secret={CLIENT_SECRET}")))
        .and(body_string_contains("redirect_uri=https%3A%2F%2Fpainel.example.com%2F"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "id_token": signed(&claims()) })))
        .mount(&server)
        .await;
    publish(&server, key_set(&[("a", key(0))])).await;
    let profile = exchange(&client(&server)).await.unwrap();
    assert_eq!(
        profile,
        Profile {
            subject: "100000000000000000001".to_owned(),
            email: Some("ana@example.com".to_owned()),
            email_verified: true,
            email_authoritative: false,
            name: "Ana Exemplo".to_owned(),
        }
    );
    assert!(!format!("{profile:?}").contains("ana@"));
}

#[tokio::test]
async fn an_address_is_worth_what_google_says_it_is() {
    for (changes, email, verified, authoritative) in [
        (json!({ "email": null }), None, false, false),
        (json!({ "email": "" }), None, false, false),
        (json!({ "email_verified": false }), Some("ana@example.com"), false, false),
        (json!({ "email_verified": null }), Some("ana@example.com"), false, false),
        (json!({ "email_verified": "true" }), Some("ana@example.com"), true, false),
        (json!({ "hd": "example.com" }), Some("ana@example.com"), true, true),
        (json!({ "hd": "example.com", "email_verified": false }), Some("ana@example.com"), false, false),
        (json!({ "email": "ana@Gmail.com" }), Some("ana@Gmail.com"), true, true),
        (json!({ "email": "ana@notgmail.com" }), Some("ana@notgmail.com"), true, false),
        (json!({ "name": null }), Some("ana@example.com"), true, false),
    ] {
        let profile = verdict(&signed(&but(changes.clone()))).await.unwrap();
        assert_eq!(profile.email.as_deref(), email, "{changes}");
        assert_eq!(
            (profile.email_verified, profile.email_authoritative),
            (verified, authoritative),
            "{changes}"
        );
    }
}

#[tokio::test]
async fn every_claim_that_does_not_hold_is_refused() {
    for (changes, fault) in [
        (json!({ "iss": "https://evil.example.com" }), TokenFault::Issuer),
        (json!({ "aud": "outro" }), TokenFault::Audience),
        (json!({ "aud": ["outro"] }), TokenFault::Audience),
        (json!({ "aud": [] }), TokenFault::Audience),
        (json!({ "aud": [CLIENT_ID, "outro"], "azp": null }), TokenFault::Audience),
        (json!({ "aud": [CLIENT_ID, "outro"], "azp": "outro" }), TokenFault::Audience),
        (json!({ "azp": "outro" }), TokenFault::Audience),
        (json!({ "exp": 1_768_053_700 }), TokenFault::Expired),
        (json!({ "iat": 1_768_054_001 }), TokenFault::IssuedInFuture),
        (json!({ "nonce": "n-0002" }), TokenFault::Nonce),
        (json!({ "nonce": null }), TokenFault::Nonce),
        (json!({ "sub": "" }), TokenFault::Malformed),
        (json!({ "sub": null }), TokenFault::Malformed),
        (json!({ "exp": null }), TokenFault::Malformed),
        (json!({ "aud": null }), TokenFault::Malformed),
    ] {
        let refused = verdict(&signed(&but(changes.clone()))).await.unwrap_err();
        assert_eq!(refused, OAuthError::TokenRejected(fault), "{changes}");
    }
    for changes in
        [json!({ "aud": [CLIENT_ID] }), json!({ "aud": [CLIENT_ID, "outro"] }), json!({ "azp": null })]
    {
        assert!(verdict(&signed(&but(changes.clone()))).await.is_ok(), "{changes}");
    }
}

#[tokio::test]
async fn a_token_that_expects_no_nonce_is_refused() {
    let server = MockServer::start().await;
    answer_with(&server, &signed(&but(json!({ "nonce": "" })))).await;
    publish(&server, key_set(&[("a", key(0))])).await;
    let refused = exchange_at(&client(&server), "", now()).await.unwrap_err();
    assert_eq!(refused, OAuthError::TokenRejected(TokenFault::Nonce));
}

#[tokio::test]
async fn the_algorithm_and_the_key_are_ours_to_choose() {
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
    let none = format!("{}.", unsigned(&header("none", "a"), &claims()));
    let set = key_set(&[("a", key(0))]);
    let with_public_key = |secret: &[u8]| {
        let text = unsigned(&header("HS256", "a"), &claims());
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        mac.update(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let good = signed(&claims());
    let (body, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = body.split_once('.').unwrap();
    let other = URL_SAFE_NO_PAD.encode(but(json!({ "email": "eve@example.com" })).to_string());
    for (token, fault) in [
        (none.clone(), TokenFault::Algorithm),
        (format!("{none}{signature}"), TokenFault::Algorithm),
        (signed_as(&header("rs256", "a"), &claims(), key(0)), TokenFault::Algorithm),
        (signed_as(&header("RS512", "a"), &claims(), key(0)), TokenFault::Algorithm),
        (with_public_key(key(0).public_key().as_ref()), TokenFault::Algorithm),
        (with_public_key(set["keys"][0]["n"].as_str().unwrap().as_bytes()), TokenFault::Algorithm),
        (signed_as(&header("RS256", "a"), &claims(), key(1)), TokenFault::Signature),
        (format!("{head}.{other}.{signature}"), TokenFault::Signature),
        (format!("{body}."), TokenFault::Signature),
        (format!("{body}.!"), TokenFault::Signature),
        (signed_as(&header("RS256", "b"), &claims(), key(1)), TokenFault::UnknownKey),
        (signed_as(&json!({ "alg": "RS256" }), &claims(), key(0)), TokenFault::UnknownKey),
        (
            signed_as(&json!({ "alg": "RS256", "kid": "a", "crit": ["x"] }), &claims(), key(0)),
            TokenFault::Malformed,
        ),
        (signed_as(&json!({ "kid": "a" }), &claims(), key(0)), TokenFault::Malformed),
        (body.to_owned(), TokenFault::Malformed),
        (format!("{good}.x"), TokenFault::Signature),
        ("nonsense".to_owned(), TokenFault::Malformed),
        (String::new(), TokenFault::Malformed),
    ] {
        let refused = verdict(&token).await.unwrap_err();
        assert_eq!(refused, OAuthError::TokenRejected(fault), "{token}");
        assert!(!refused.to_string().contains("eyJ"));
    }
}

#[tokio::test]
async fn the_vectors_of_an_independent_implementation_agree() {
    let vectors: Value = serde_json::from_str(include_str!("../fixtures/oauth/signatures.json")).unwrap();
    let all = vectors["vectors"].as_array().unwrap();
    assert_eq!(all.len(), 10);
    for vector in all {
        let server = MockServer::start().await;
        answer_with(&server, vector["id_token"].as_str().unwrap()).await;
        publish(&server, vectors["jwks"].clone()).await;
        let registration =
            Registration { client_id: vector["audience"].as_str().unwrap().to_owned(), ..registration() };
        let client = Client::google(registration, endpoints(&server), crate::http());
        let now = DateTime::from_timestamp(vector["now_s"].as_i64().unwrap(), 0).unwrap();
        let verdict = exchange_at(&client, vector["nonce"].as_str().unwrap(), now).await;
        assert_eq!(verdict.is_ok(), vector["expected_valid"] == true, "{}: {verdict:?}", vector["name"]);
    }
}

#[tokio::test]
async fn keys_are_kept_and_fetched_again_for_a_new_one_once_a_minute() {
    let server = MockServer::start().await;
    answer_with(&server, &signed(&claims())).await;
    publish(&server, key_set(&[("a", key(0))])).await;
    let client = client(&server);
    for _ in 0..3 {
        exchange(&client).await.unwrap();
    }
    assert_eq!(fetches(&server).await, 1);

    server.reset().await;
    let next = signed_as(&json!({ "alg": "RS256", "kid": "b" }), &claims(), key(1));
    answer_with(&server, &next).await;
    publish(&server, key_set(&[("a", key(0)), ("b", key(1))])).await;
    let at = |seconds| exchange_at(&client, NONCE, now() + TimeDelta::seconds(seconds));
    assert_eq!(at(59).await.unwrap_err(), OAuthError::TokenRejected(TokenFault::UnknownKey));
    assert_eq!(fetches(&server).await, 0);
    at(60).await.unwrap();
    at(61).await.unwrap();
    assert_eq!(fetches(&server).await, 1);
    // Past the life that Google gave, six hours, they are fetched although they are known.
    let later = but(json!({ "iat": 1_768_080_000, "exp": 1_768_083_600 }));
    server.reset().await;
    answer_with(&server, &signed(&later)).await;
    publish(&server, key_set(&[("b", key(1))])).await;
    let withdrawn = at(60 + 21_600).await.unwrap_err();
    assert_eq!(withdrawn, OAuthError::TokenRejected(TokenFault::UnknownKey));
}

#[tokio::test]
async fn keys_of_other_kinds_are_passed_over() {
    let server = MockServer::start().await;
    answer_with(&server, &signed(&claims())).await;
    let mut set = key_set(&[("a", key(0))]);
    let keys = set["keys"].as_array_mut().unwrap();
    let mut encrypts = key_set(&[("a", key(1))])["keys"][0].clone();
    encrypts["use"] = json!("enc");
    keys.push(encrypts);
    keys.insert(0, json!({ "kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA" }));
    keys.insert(0, json!({ "kty": "next", "kid": 7 }));
    publish(&server, set).await;
    exchange(&client(&server)).await.unwrap();
}

#[tokio::test]
async fn every_error_has_its_class() {
    let fixture = include_str!("../fixtures/oauth/google_token_error.json");
    let error = |status, code: &str| {
        let body = json!({ "error": code, "error_description": format!("about {CODE}") });
        ResponseTemplate::new(status).set_body_json(body)
    };
    for (response, class) in [
        (ResponseTemplate::new(400).set_body_raw(fixture, "application/json"), OAuthClass::CodeInvalid),
        (error(401, "invalid_client"), OAuthClass::Configuration),
        (error(400, "redirect_uri_mismatch"), OAuthClass::Configuration),
        (error(400, "unauthorized_client"), OAuthClass::Configuration),
        (error(429, "rate_limit_exceeded"), OAuthClass::Unavailable),
        (error(500, "internal_failure"), OAuthClass::Unavailable),
        (ResponseTemplate::new(502).set_body_string("<html>"), OAuthClass::Unavailable),
        (ResponseTemplate::new(200).set_body_string("<html>"), OAuthClass::Unavailable),
        (
            ResponseTemplate::new(200).set_body_json(json!({ "access_token": "ya29.x" })),
            OAuthClass::Unavailable,
        ),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(response).mount(&server).await;
        let error = exchange(&client(&server)).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        for secret in [CODE, CLIENT_SECRET, "ya29"] {
            assert!(!error.to_string().contains(secret), "{error}");
        }
    }
}

#[tokio::test]
async fn silence_is_no_verdict() {
    let server = MockServer::start().await;
    answer_with(&server, &signed(&claims())).await;
    let error = exchange(&client(&server)).await.unwrap_err();
    assert_eq!(error.class(), OAuthClass::Unavailable, "no keys to be had: {error}");

    let busy = MockServer::start().await;
    let wait = ResponseTemplate::new(503).insert_header("retry-after", "7");
    Mock::given(method("POST")).respond_with(wait).mount(&busy).await;
    let error = exchange(&client(&busy)).await.unwrap_err();
    assert!(matches!(error, OAuthError::Unavailable { after: Some(wait), .. } if wait.as_secs() == 7));

    let slow = MockServer::start().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(20));
    Mock::given(method("POST")).respond_with(late).mount(&slow).await;
    let impatient = client(&slow).with_timeout(Duration::from_millis(200));
    assert_eq!(exchange(&impatient).await.unwrap_err().class(), OAuthClass::Unavailable);

    let nobody = Endpoints::below("http://127.0.0.1:9").unwrap();
    let nobody = Client::google(registration(), nobody, crate::http());
    assert_eq!(exchange(&nobody).await.unwrap_err().class(), OAuthClass::Unavailable);
}
