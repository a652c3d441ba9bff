//! Embedded Signup: what Meta is asked between a code and a number that works, and how it refuses.

use chrono::DateTime;
use providers::oauth::facebook::{AppCredentials, business_token};
use providers::oauth::{OAuthClass, OAuthError};
use providers::whatsapp_cloud::SendClass;
use providers::whatsapp_cloud::signup::{Callback, Sync};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, body_string, header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::whatsapp_client::{client, credentials};

const WABA: &str = "100000000000001";
const TOKEN: &str = "token-exemplo";

fn app() -> AppCredentials {
    AppCredentials { id: "100000000000099".to_owned(), secret: SecretString::from("segredo") }
}

fn token() -> SecretString {
    SecretString::from(TOKEN)
}

async fn exchange(answer: ResponseTemplate) -> Result<SecretString, OAuthError> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v23.0/oauth/access_token"))
        // No redirect address: there was no redirect.
        .and(body_string("client_id=100000000000099&client_secret=segredo&code=AQBcodigo"))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    business_token(&crate::http(), &server.uri(), &app(), &SecretString::from("AQBcodigo")).await
}

fn refused(code: i64, subcode: Option<i64>) -> ResponseTemplate {
    let error =
        json!({ "message": "AQBcodigo", "type": "OAuthException", "code": code, "error_subcode": subcode });
    ResponseTemplate::new(400).set_body_json(json!({ "error": error }))
}

#[tokio::test]
async fn a_code_becomes_a_businesss_token() {
    let answer = include_str!("../fixtures/oauth/embedded_signup_exchange_response.json");
    let token = exchange(ResponseTemplate::new(200).set_body_raw(answer, "application/json")).await.unwrap();
    assert_eq!(token.expose_secret(), "EAAexemplo_business_token");
}

#[tokio::test]
async fn a_code_that_is_not_exchanged_says_why_and_not_what_it_was() {
    for (answer, class) in [
        (refused(100, Some(36007)), OAuthClass::CodeInvalid),
        (refused(100, Some(36009)), OAuthClass::CodeInvalid),
        (refused(100, None), OAuthClass::CodeInvalid),
        // The window was opened by a log-in with a redirect address.
        (refused(100, Some(36008)), OAuthClass::Configuration),
        (refused(1, None), OAuthClass::Configuration),
        (refused(101, None), OAuthClass::Configuration),
        (refused(4, None), OAuthClass::Unavailable),
        (ResponseTemplate::new(503), OAuthClass::Unavailable),
        (ResponseTemplate::new(200).set_body_string("<html>"), OAuthClass::Unavailable),
        (ResponseTemplate::new(200).set_body_json(json!({ "access_token": "" })), OAuthClass::Unavailable),
    ] {
        let error = exchange(answer).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(!format!("{error} {error:?}").contains("AQBcodigo"), "{error:?}");
    }
}

async fn granted(data: Value, waba_id: &str) -> bool {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v23.0/debug_token"))
        .and(query_param("input_token", TOKEN))
        .and(header("authorization", "Bearer 100000000000099|segredo"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "data": data })))
        .mount(&server)
        .await;
    let inspected = client(&server).inspect_token(&token(), &app().token(), DateTime::UNIX_EPOCH).await;
    inspected.unwrap().covers("100000000000099", waba_id)
}

#[tokio::test]
async fn a_token_covers_the_accounts_that_it_names_for_our_app() {
    let fixture = include_str!("../fixtures/oauth/facebook_debug_token_response.json");
    let data = serde_json::from_str::<Value>(fixture).unwrap()["data"].take();
    assert!(granted(data.clone(), WABA).await);
    assert!(!granted(data.clone(), "100000000000002").await);
    let with = |name: &str, value: Value| {
        let mut data = data.clone();
        data[name] = value;
        data
    };
    assert!(!granted(with("is_valid", json!(false)), WABA).await);
    assert!(!granted(with("app_id", json!("100000000000077")), WABA).await);
    assert!(!granted(with("scopes", json!([])), "100000000000002").await);
    let manages = json!([{ "scope": "whatsapp_business_management", "target_ids": [WABA] }]);
    let mut only_manages = with("granular_scopes", manages);
    only_manages["scopes"] = json!(["whatsapp_business_management"]);
    assert!(!granted(only_manages, WABA).await, "it may not send");
    // A right that names no account is one to all of them.
    assert!(granted(with("granular_scopes", json!([])), WABA).await);
}

#[tokio::test]
async fn the_numbers_of_an_account_are_read_to_the_last_page() {
    let server = MockServer::start().await;
    let numbers = || path(format!("/v23.0/{WABA}/phone_numbers"));
    let first = json!({
        "data": [{ "id": "1", "display_phone_number": "+55 62 98888-0001", "verified_name": "Loja",
                   "platform_type": "CLOUD_API", "is_on_biz_app": true }],
        "paging": { "cursors": { "after": "QVFI" }, "next": "https://graph.facebook.com/…" },
    });
    // The last page has a cursor as well, and no next page.
    let last = json!({ "data": [{ "id": "2" }], "paging": { "cursors": { "after": "QVFJ" } } });
    Mock::given(method("GET"))
        .and(numbers())
        .and(query_param_is_missing("after"))
        .respond_with(ResponseTemplate::new(200).set_body_json(first))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(numbers())
        .and(query_param("after", "QVFI"))
        .respond_with(ResponseTemplate::new(200).set_body_json(last))
        .mount(&server)
        .await;
    let numbers = client(&server).account_numbers(&token(), WABA).await.unwrap();
    let known: Vec<_> = numbers
        .iter()
        .map(|number| (number.id.as_str(), number.is_on_biz_app, number.platform_type.as_deref()))
        .collect();
    assert_eq!(known, [("1", true, Some("CLOUD_API")), ("2", false, None)]);
}

/// A call with this body, answered so.
async fn answering(at: &str, body: Option<Value>, answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let mock = Mock::given(method("POST"))
        .and(path(format!("/v23.0/{at}")))
        .and(header("authorization", "Bearer token-exemplo"));
    let mock = match body {
        Some(body) => mock.and(body_json(body)),
        None => mock.and(body_string("")),
    };
    mock.respond_with(answer).expect(1).mount(&server).await;
    server
}

fn done() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "success": true }))
}

#[tokio::test]
async fn each_step_is_asked_for_as_meta_wants_it() {
    let at = format!("{WABA}/subscribed_apps");
    let server = answering(&at, None, done()).await;
    client(&server).subscribe_app(&token(), WABA, None).await.unwrap();
    let address = json!({ "override_callback_uri": "https://w.example.com/a", "verify_token": "verifica" });
    let server = answering(&at, Some(address), done()).await;
    let callback = Callback { url: "https://w.example.com/a".to_owned(), verify_token: "verifica".into() };
    client(&server).subscribe_app(&token(), WABA, Some(&callback)).await.unwrap();

    let body = json!({ "messaging_product": "whatsapp", "pin": "012345" });
    let server = answering("100000000000002/register", Some(body), done()).await;
    client(&server).register(&credentials(), &SecretString::from("012345")).await.unwrap();

    for (what, name) in [(Sync::Contacts, "smb_app_state_sync"), (Sync::History, "history")] {
        let body = json!({ "messaging_product": "whatsapp", "sync_type": name });
        let answer = json!({ "messaging_product": "whatsapp", "request_id": "1" });
        let answer = ResponseTemplate::new(200).set_body_json(answer);
        let server = answering("100000000000002/smb_app_data", Some(body), answer).await;
        client(&server).share_app_data(&credentials(), what).await.unwrap();
    }
}

#[tokio::test]
async fn a_registration_that_is_refused_waits_for_whom_it_takes() {
    for (code, class) in [
        (133_005, SendClass::SenderBlocked),
        (133_006, SendClass::SenderBlocked),
        (133_008, SendClass::SenderBlocked),
        (133_015, SendClass::Retry),
        (133_016, SendClass::Rejected),
        (190, SendClass::Reauthorise),
    ] {
        let body = json!({ "messaging_product": "whatsapp", "pin": "012345" });
        let server = answering("100000000000002/register", Some(body), refused(code, None)).await;
        let error = client(&server).register(&credentials(), &"012345".into()).await.unwrap_err();
        assert_eq!((error.class(), error.fault().code.as_str()), (class, code.to_string().as_str()));
    }
}
