//! Logging in by Facebook.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use providers::oauth::facebook::Endpoints;
use providers::oauth::{Client, Exchange, OAuthClass, OAuthError, Profile, Provider, Registration};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::oauth_google::{registration, secrets};

const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
const TOKEN: &str = "EAAexemplo";
const CODE: &str = "AQDexemplo";

fn client(server: &MockServer) -> Client {
    let endpoints = Endpoints::below(&server.uri(), &format!("{}/graph/", server.uri())).unwrap();
    let registration = Registration {
        client_id: "100000000000099".to_owned(),
        client_secret: APP_SECRET.into(),
        redirect_uri: "https://painel.example.com/callback".to_owned(),
    };
    Client::facebook(registration, endpoints, crate::http())
}

async fn exchange(server: &MockServer) -> Result<Profile, OAuthError> {
    let (code, code_verifier) = (SecretString::from(CODE), SecretString::from(""));
    let exchange = Exchange { code: &code, code_verifier: &code_verifier, nonce: "" };
    client(server).exchange(exchange, DateTime::<Utc>::UNIX_EPOCH).await
}

fn fixture(name: &str) -> ResponseTemplate {
    let body = match name {
        "token" => include_str!("../fixtures/oauth/facebook_token_response.json"),
        "me" => include_str!("../fixtures/oauth/facebook_me_response.json"),
        _ => include_str!("../fixtures/oauth/facebook_error.json"),
    };
    ResponseTemplate::new(if name == "error" { 400 } else { 200 }).set_body_raw(body, "application/json")
}

/// A Facebook that takes any code and answers about the person with this.
async fn knows(me: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let token = path("/graph/v23.0/oauth/access_token");
    Mock::given(method("POST")).and(token).respond_with(fixture("token")).mount(&server).await;
    Mock::given(method("GET")).and(path("/graph/v23.0/me")).respond_with(me).mount(&server).await;
    server
}

#[test]
fn the_browser_is_sent_with_everything_that_facebook_wants() {
    let endpoints = Endpoints::below("https://www.facebook.com", "https://graph.facebook.com").unwrap();
    let client = Client::facebook(registration(), endpoints, crate::http());
    let start = client.start(&secrets());
    assert_eq!(client.provider(), Provider::Facebook);
    assert_eq!(serde_json::to_value(Provider::Facebook).unwrap(), "facebook");
    assert!(start.url.as_str().starts_with("https://www.facebook.com/v23.0/dialog/oauth?"));
    let query: std::collections::HashMap<_, _> = start.url.query_pairs().into_owned().collect();
    for (name, value) in
        [("response_type", "code"), ("scope", "public_profile,email"), ("state", &start.state)]
    {
        assert_eq!(query[name], value);
    }
    assert!(!query.contains_key("code_challenge") && !query.contains_key("nonce"));
}

#[tokio::test]
async fn a_code_becomes_a_profile_whose_address_is_not_verified() {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
    mac.update(TOKEN.as_bytes());
    let proof = hex::encode(mac.finalize().into_bytes());
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/graph/v23.0/oauth/access_token"))
        .and(body_string_contains("client_id=100000000000099"))
        .and(body_string_contains(format!("client_secret={APP_SECRET}")))
        .and(body_string_contains("redirect_uri=https%3A%2F%2Fpainel.example.com%2Fcallback"))
        .and(body_string_contains(format!("code={CODE}")))
        .respond_with(fixture("token"))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/graph/v23.0/me"))
        .and(query_param("fields", "id,name,email"))
        .and(query_param("appsecret_proof", proof))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(fixture("me"))
        .mount(&server)
        .await;
    assert_eq!(
        exchange(&server).await.unwrap(),
        Profile {
            subject: "10000000000000001".to_owned(),
            email: Some("ana@example.com".to_owned()),
            email_verified: false,
            email_authoritative: false,
            name: "Ana Exemplo".to_owned(),
        }
    );
    for request in server.received_requests().await.unwrap() {
        let address = request.url.to_string();
        assert!(!address.contains(APP_SECRET) && !address.contains(TOKEN) && !address.contains(CODE));
    }
}

#[tokio::test]
async fn an_account_may_have_no_address() {
    for me in [json!({ "id": "1", "name": "Ana" }), json!({ "id": "1", "name": "Ana", "email": "" })] {
        let server = knows(ResponseTemplate::new(200).set_body_json(me)).await;
        assert_eq!(exchange(&server).await.unwrap().email, None);
    }
    for me in [json!({ "name": "Ana" }), json!({ "id": "" })] {
        let server = knows(ResponseTemplate::new(200).set_body_json(me)).await;
        assert_eq!(exchange(&server).await.unwrap_err().class(), OAuthClass::Unavailable);
    }
}

fn graph_error(status: u16, code: i64, more: Value) -> ResponseTemplate {
    let mut error =
        json!({ "message": format!("Malformed {TOKEN} {CODE}"), "type": "OAuthException", "code": code });
    for (name, value) in more.as_object().unwrap() {
        error[name] = value.clone();
    }
    ResponseTemplate::new(status).set_body_json(json!({ "error": error }))
}

#[tokio::test]
async fn every_error_of_the_exchange_has_its_class() {
    for (response, class) in [
        (fixture("error"), OAuthClass::CodeInvalid),
        (graph_error(400, 100, json!({ "error_subcode": 36009 })), OAuthClass::CodeInvalid),
        (graph_error(400, 100, json!({})), OAuthClass::CodeInvalid),
        (graph_error(400, 100, json!({ "error_subcode": 36008 })), OAuthClass::Configuration),
        (graph_error(400, 1, json!({})), OAuthClass::Configuration),
        (graph_error(400, 101, json!({})), OAuthClass::Configuration),
        (graph_error(400, 4, json!({})), OAuthClass::Unavailable),
        (graph_error(400, 1, json!({ "is_transient": true })), OAuthClass::Unavailable),
        (graph_error(500, 1, json!({})), OAuthClass::Unavailable),
        (ResponseTemplate::new(502).set_body_string("<html>"), OAuthClass::Unavailable),
        (ResponseTemplate::new(200).set_body_string("<html>"), OAuthClass::Unavailable),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(response).mount(&server).await;
        let error = exchange(&server).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains(CODE) && !error.to_string().contains(APP_SECRET), "{error}");
    }
}

#[tokio::test]
async fn every_error_about_the_person_has_its_class() {
    for (response, class) in [
        (graph_error(400, 190, json!({ "error_subcode": 463 })), OAuthClass::CodeInvalid),
        (graph_error(400, 100, json!({})), OAuthClass::Configuration),
        (graph_error(400, 17, json!({})), OAuthClass::Unavailable),
        (graph_error(503, 2, json!({})), OAuthClass::Unavailable),
    ] {
        let error = exchange(&knows(response).await).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
    }
}
