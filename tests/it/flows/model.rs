//! The AI provider fails: the customer is answered once all the same, when it is back.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{PATIENCE, eventually, new_word};

use crate::inbox::{Inbox, conversation_of};
use testkit::{Sandbox, Stack, Tenant, TenantOptions};

/// A customer whose words no other test uses writes while the model fails as `rules` say; answered once within `limit`.
async fn answered_once(rules: &[Value], limit: Duration) {
    let stack = Stack::load();
    let sandbox = Sandbox::of(&stack);
    let tenant = Tenant::seed(&stack, TenantOptions { persona: true, ..TenantOptions::default() }).await;
    let word = new_word("palavra");
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            let mut rule = rule.clone();
            rule["contains"] = json!(word);
            rule
        })
        .collect();
    let failures: u64 = rules.iter().map(|rule| rule["times"].as_u64().unwrap()).sum();
    sandbox.script("openai.chat", json!(rules)).await;
    let phone = testkit::new_phone();
    let said = format!("Oi, vocês têm {word}?");
    let (_, wa_id) = sandbox.customer_writes(&tenant.phone_number_id, &phone, "Ana Exemplo", &said).await;
    let conversation = conversation_of(&tenant.api, &wa_id).await;
    eventually(&format!("an answer after {failures} failures of the model"), limit, async || {
        (!sandbox.sent_to(&tenant.phone_number_id, &phone).await.is_empty()).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(sandbox.sent_to(&tenant.phone_number_id, &phone).await.len(), 1, "answered once");
    let id = conversation["id"].as_str().unwrap();
    assert_eq!(crate::inbox::messages_of(&tenant.api, id).await.len(), 2);
    let script = sandbox.get("script").await.to_string();
    assert!(!script.contains(&word), "the model was asked again after every failure: {script}");
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    let rule = json!({ "times": 2, "status": 429, "headers": { "retry-after": "2" } });
    answered_once(&[rule], Duration::from_secs(150)).await;
}

#[tokio::test]
async fn server_errors_are_tried_again() {
    let rules = [json!({ "times": 1, "status": 500 }), json!({ "times": 1, "status": 503 })];
    answered_once(&rules, Duration::from_secs(180)).await;
}

#[tokio::test]
async fn a_lost_connection_is_tried_again() {
    answered_once(&[json!({ "times": 1, "drop": "before" })], Duration::from_secs(150)).await;
}

#[tokio::test]
async fn an_empty_account_is_asked_again_later() {
    let body: Value = serde_json::from_str(
        &std::fs::read_to_string(
            testkit::stack::checkout().join("tests/fixtures/openai/error_429_insufficient_quota.json"),
        )
        .unwrap(),
    )
    .unwrap();
    answered_once(&[json!({ "times": 1, "status": 429, "body": body })], Duration::from_secs(210)).await;
}

#[tokio::test]
async fn what_the_model_refuses_goes_to_a_person() {
    let inbox = Inbox::open(false).await;
    // The persona comes now: the first message was not for the model.
    sqlx::query("UPDATE connections SET persona_id = (SELECT id FROM personas WHERE company_id = $1) WHERE company_id = $1")
        .bind(inbox.tenant.company_id)
        .execute(&inbox.stack.admin())
        .await
        .unwrap();
    let word = new_word("palavra");
    inbox.sandbox.script("openai.chat", json!([{ "times": 1, "status": 400, "contains": word }])).await;
    let said = format!("E {word}?");
    inbox.sandbox.customer_writes(&inbox.tenant.phone_number_id, &inbox.phone, "Ana Exemplo", &said).await;
    let admin = inbox.stack.admin();
    let reason: String = eventually("the turn to be given up", PATIENCE, async || {
        sqlx::query_scalar("SELECT reason FROM turns WHERE company_id = $1 AND state = 'failed'")
            .bind(inbox.tenant.company_id)
            .fetch_optional(&admin)
            .await
            .unwrap()
    })
    .await;
    assert!(!reason.is_empty());
    assert!(inbox.sandbox.sent_to(&inbox.tenant.phone_number_id, &inbox.phone).await.is_empty());
}
