//! Every webhook that Meta documents goes through the deployed webhook, and what became of it is a snapshot: messages and
//! contacts as the API shows them, and the journal's word for the rest.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use providers::whatsapp_cloud::webhook::split;
use serde_json::{Value, json};
use sqlx::{PgPool, Row as _};
use testkit::{Cloud, PATIENCE, Stack, Tenant, TenantOptions, eventually};

use super::{fixture, fixture_json};
use crate::history::{SentMessage, insert_customers, insert_sent, journal_count};
use crate::inbox::redacted;

/// The number that all documented bodies came to.
const PHONE_NUMBER_ID: &str = "100000000000002";

/// 2025-01-01T00:00:00Z: before every documented status.
const LONG_AGO: i64 = 1_735_689_600;

/// Bodies under way at once.
const AT_ONCE: usize = 6;

#[tokio::test]
async fn every_documented_webhook_is_taken_and_shown() {
    let stack = Stack::load();
    let cloud = Cloud::of(&stack).await;
    let admin = stack.admin();
    let meta = fixture_json("_meta.json");
    let names: Vec<String> = meta
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, about)| about["kind"] == "webhook")
        .map(|(name, _)| name.clone())
        .collect();
    assert!(names.len() > 60, "only {} documented webhooks", names.len());
    let mut outcomes: Vec<(String, Value)> = stream::iter(names)
        .map(|name| {
            let (stack, cloud, admin) = (&stack, &cloud, &admin);
            async move {
                let outcome = deliver(stack, cloud, admin, &name).await;
                (name, outcome)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    outcomes.sort_by(|one, other| one.0.cmp(&other.0));
    for (name, outcome) in outcomes {
        insta::assert_json_snapshot!(name.trim_end_matches(".json"), outcome);
    }
}

/// Delivers one body to a company of its own; what the company knows afterwards.
async fn deliver(stack: &Stack, cloud: &Cloud, admin: &PgPool, name: &str) -> Value {
    let options = TenantOptions {
        phone_number_id: Some(PHONE_NUMBER_ID.to_owned()),
        at_sandbox: false,
        ..TenantOptions::default()
    };
    let tenant = Tenant::seed_with(stack, cloud, options).await;
    insert_what_statuses_are_about(admin, &tenant, &fixture_json(name)).await;
    let body = fixture(name);
    let keys: BTreeSet<String> = split(body.as_bytes()).unwrap().into_iter().map(|event| event.key).collect();
    assert!(!keys.is_empty(), "{name} brings nothing");
    assert_eq!(tenant.deliver(body).await, 200, "{name}");
    let expected = i64::try_from(keys.len()).unwrap();
    eventually(&format!("{expected} events of {name} in the journal"), PATIENCE, async || {
        (journal_count(admin, &tenant).await == expected).then_some(())
    })
    .await;
    let mut messages = tenant.api.all("messages", 100).await;
    messages.sort_by_key(|message| {
        message["occurred_at"].to_string() + &message["provider_message_id"].to_string()
    });
    let mut contacts = tenant.api.all("contacts", 100).await;
    contacts.sort_by_key(|contact| contact["addresses"].to_string());
    json!({
        "messages": redacted(&json!(messages)),
        "contacts": redacted(&json!(contacts)),
        "journal": journal(admin, &tenant).await,
    })
}

/// A status of a message that we do not know changes nothing: so we know it.
async fn insert_what_statuses_are_about(admin: &PgPool, tenant: &Tenant, body: &Value) {
    let mut sent = Vec::new();
    for change in list(&body["entry"]).iter().flat_map(|entry| list(&entry["changes"])) {
        for status in list(&change["value"]["statuses"]) {
            let (Some(wamid), Some(wa_id)) = (status["id"].as_str(), status["recipient_id"].as_str()) else {
                continue;
            };
            if !sent.iter().any(|known: &SentMessage| known.wamid == wamid) {
                sent.push(SentMessage { wa_id: wa_id.to_owned(), wamid: wamid.to_owned(), at: LONG_AGO });
            }
        }
    }
    let mut wa_ids: BTreeSet<String> = sent.iter().map(|message| message.wa_id.clone()).collect();
    // Nor does a new number of somebody unknown.
    for change in list(&body["entry"]).iter().flat_map(|entry| list(&entry["changes"])) {
        for message in list(&change["value"]["messages"]) {
            if let (Some("system"), Some(wa_id)) = (message["type"].as_str(), message["from"].as_str()) {
                wa_ids.insert(wa_id.to_owned());
            }
        }
    }
    let customers = insert_customers(admin, tenant, &Vec::from_iter(wa_ids)).await;
    insert_sent(admin, tenant, &customers, &sent).await;
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

async fn journal(admin: &PgPool, tenant: &Tenant) -> Vec<Value> {
    let rows = sqlx::query("SELECT key, kind, reason FROM inbound_events WHERE company_id = $1 ORDER BY key")
        .bind(tenant.company_id)
        .fetch_all(admin)
        .await
        .unwrap();
    let text = |row: &sqlx::postgres::PgRow, name: &str| row.get::<Option<String>, _>(name);
    rows.iter()
        .map(|row| json!({ "key": text(row, "key"), "kind": text(row, "kind"), "reason": text(row, "reason") }))
        .collect()
}
