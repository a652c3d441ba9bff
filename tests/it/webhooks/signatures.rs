//! Signatures and verification calls: Meta's vectors one by one, and what the deployed webhook makes of bad ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use providers::whatsapp_cloud::signature::{verify, verify_challenge};
use secrecy::SecretString;
use serde_json::Value;
use testkit::{PATIENCE, Stack, Tenant, TenantOptions, eventually, new_word};

use super::fixture_json;
use crate::history::journal_count;

fn secret(value: &Value) -> SecretString {
    SecretString::from(value.as_str().unwrap().to_owned())
}

#[test]
fn every_signature_vector_is_judged_as_documented() {
    let vectors = fixture_json("signatures.json");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 9);
    for vector in vectors {
        let body = match (&vector["body"], &vector["body_base64"]) {
            (Value::String(text), _) => text.clone().into_bytes(),
            (_, Value::String(encoded)) => STANDARD.decode(encoded).unwrap(),
            _ => panic!("a vector without a body: {vector:#}"),
        };
        let header = vector["signature"].as_str().filter(|signature| !signature.is_empty());
        let judged = verify(&secret(&vector["app_secret"]), &body, header).is_ok();
        assert_eq!(
            judged,
            vector["expected_valid"].as_bool().unwrap(),
            "{}: {}",
            vector["name"],
            vector["why"]
        );
    }
}

#[test]
fn every_verification_vector_is_judged_as_documented() {
    let vectors = fixture_json("signatures.json");
    for vector in vectors["get_verification"].as_array().unwrap() {
        let query = vector["query"].as_str().unwrap();
        let answer = verify_challenge(query, &secret(&vector["verify_token"]));
        let expected = vector["expect"]["body"].as_str();
        assert_eq!(answer.as_deref().ok(), expected, "{}", vector["query"]);
    }
}

#[tokio::test]
async fn a_bad_signature_is_401_and_nothing_is_stored() {
    let stack = Stack::load();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let tenant = Tenant::seed(&stack, options).await;
    let message = |wamid: &str| {
        let message = testkit::webhook::text("556281234567", wamid, testkit::now_seconds(), "Oi");
        let contact = testkit::webhook::contact("556281234567", "Ana Exemplo");
        let change = testkit::webhook::change(&tenant.phone_number_id, &[contact], &[message], &[]);
        testkit::webhook::body(&tenant.waba_id, &[change]).to_string()
    };
    let body = message(&new_word("wamid."));
    let right = testkit::webhook::sign(&tenant.app_secret, body.as_bytes());
    let wrong = testkit::webhook::sign("another secret", body.as_bytes());
    let of_another_body = testkit::webhook::sign(&tenant.app_secret, b"{}");
    let without_prefix = right.trim_start_matches("sha256=");
    let bad =
        [None, Some(""), Some(wrong.as_str()), Some(&of_another_body), Some(without_prefix), Some("sha1=00")];
    for signature in bad {
        let (status, problem) = tenant.deliver_signed(body.clone(), signature).await;
        assert_eq!(status, 401, "{signature:?}");
        assert_eq!(problem["code"], "unauthenticated", "{signature:?}");
    }
    // A good one behind them: when it has arrived, the bad ones would have, too.
    assert_eq!(tenant.deliver(message(&new_word("wamid."))).await, 200);
    let admin = stack.admin();
    eventually("the good one", PATIENCE, async || (journal_count(&admin, &tenant).await > 0).then_some(()))
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(journal_count(&admin, &tenant).await, 1);
}

#[tokio::test]
async fn metas_verification_call_is_answered_with_the_challenge_alone() {
    let stack = Stack::load();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let tenant = Tenant::seed(&stack, options).await;
    let ask = async |url: &str, mode: &str, token: &str| {
        let query = [("hub.mode", mode), ("hub.challenge", "1158201444"), ("hub.verify_token", token)];
        let answer = testkit::http_client().get(url).query(&query).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
    };
    let (status, headers, body) = ask(&tenant.webhook_url, "subscribe", &tenant.verify_token).await;
    assert_eq!((status, body.as_str()), (200, "1158201444"));
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(ask(&tenant.webhook_url, "subscribe", "errado").await.0, 403);
    assert_eq!(ask(&tenant.webhook_url, "unsubscribe", &tenant.verify_token).await.0, 403);
    assert_eq!(testkit::http_client().get(&tenant.webhook_url).send().await.unwrap().status(), 403);
    let unknown = stack.meta_webhook("nao-existe");
    assert_eq!(ask(&unknown, "subscribe", &tenant.verify_token).await.0, 404);
}
