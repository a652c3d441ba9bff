//! What Meta says about tokens.

use chrono::{DateTime, Utc};
use providers::whatsapp_cloud::client::WhatsAppCloud;
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::{header, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn inspected(data: Value) -> providers::whatsapp_cloud::token::TokenInfo {
    let server = MockServer::start().await;
    Mock::given(path("/v23.0/debug_token"))
        .and(query_param("input_token", "token"))
        .and(header("authorization", "Bearer 1|secret"))
        .respond_with(ResponseTemplate::new(200).set_body_json(data))
        .mount(&server)
        .await;
    let client = WhatsAppCloud::new(&server.uri(), crate::http());
    let secret = |text: &str| SecretString::from(text.to_owned());
    client.inspect_token(&secret("token"), &secret("1|secret"), now()).await.unwrap()
}

#[tokio::test]
async fn a_token_that_never_ends_is_read() {
    let scope = |name: &str| json!({ "scope": name, "target_ids": ["100000000000001"] });
    let token = inspected(json!({ "data": {
        "app_id": "100000000000099", "type": "SYSTEM_USER", "application": "App Exemplo", "data_access_expires_at": 0,
        "expires_at": 0, "is_valid": true, "issued_at": 1_768_053_600, "user_id": "100000000000098",
        "scopes": ["business_management", "whatsapp_business_management", "whatsapp_business_messaging"],
        "granular_scopes": [scope("whatsapp_business_management"), scope("whatsapp_business_messaging")],
    } }))
    .await;
    assert!(token.is_valid && !token.is_expired);
    assert_eq!((token.expires_at, token.app_id.as_deref()), (None, Some("100000000000099")));
    assert_eq!(token.granular_scopes.len(), 2);
    assert!(token.granular_scopes.iter().all(|(_, waba_ids)| *waba_ids == ["100000000000001"]));
    assert!(token.scopes.iter().any(|scope| scope == "whatsapp_business_messaging"));
}

#[tokio::test]
async fn an_end_is_read_from_the_time_or_the_subcode() {
    let soon = inspected(json!({ "data": { "is_valid": true, "expires_at": now().timestamp() + 60 } })).await;
    assert!(soon.is_valid && !soon.is_expired);
    assert_eq!(soon.expires_at.unwrap().timestamp(), now().timestamp() + 60);
    let over =
        inspected(json!({ "data": { "is_valid": false, "expires_at": now().timestamp() - 60 } })).await;
    assert!(over.is_expired);
    let error = json!({ "code": 190, "subcode": 463, "message": "Session has expired" });
    let told = inspected(json!({ "data": { "is_valid": false, "expires_at": 0, "error": error } })).await;
    assert!(told.is_expired);
    assert_eq!(told.error.unwrap().title, "Session has expired");
    let error = json!({ "code": 190, "subcode": 460, "message": "The password was changed" });
    let revoked = inspected(json!({ "data": { "is_valid": false, "error": error } })).await;
    assert!(!revoked.is_expired && !revoked.is_valid);
}
