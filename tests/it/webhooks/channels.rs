//! Every webhook of Twilio, Evolution API and UAZapi that there is a fixture of goes through the public webhook, in the
//! test's own process and as it is deployed, and what the API then shows is a snapshot, the same for both.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, stream};
use providers::{evolution, twilio, uazapi};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::{Flow, TenantOptions};

use crate::flows::line::Line;
use crate::inbox::redacted;
use crate::product::{Deployed, Product};

/// Bodies under way at once at the deployed product.
const AT_ONCE: usize = 4;

/// What the fixtures of gateways say that their instance's token is.
const TOKEN: &str = "00000000-0000-0000-0000-000000000000";

/// A fixture of a provider. Of Twilio, the form alone.
pub(crate) fn fixture(provider: &str, name: &str) -> Value {
    let path = testkit::stack::checkout().join("tests/fixtures").join(provider).join(name);
    let mut fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    if provider == "twilio" { fixture["raw_body"].take() } else { fixture }
}

fn webhook_fixtures(provider: &str) -> Vec<String> {
    let folder = testkit::stack::checkout().join("tests/fixtures").join(provider);
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("api_") && name != "_meta.json" && name != "signatures.json")
        .collect();
    names.sort();
    names
}

fn is_status(name: &str) -> bool {
    name.starts_with("status_callback")
}

/// A field of one of Twilio's forms.
fn field(form: &Value, name: &str) -> Option<String> {
    let form = reqwest::Url::parse(&format!("form:?{}", form.as_str().unwrap())).unwrap();
    form.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The messages of ours that a report names.
fn reported(kind: &str, name: &str, body: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let one = match kind {
        "twilio_sms" => field(body, "MessageSid").filter(|_| is_status(name)),
        "evolution" if body["event"] == "send.message" => text(&body["data"]["key"]["id"]),
        "evolution" => text(&body["data"]["keyId"]),
        _ => text(&body["messageid"]),
    };
    let many = body["event"]["MessageIDs"].as_array().cloned().unwrap_or_default();
    many.iter().filter_map(text).chain(one).collect()
}

/// How many events a body is, said twice.
fn events_of(kind: &str, name: &str, body: &Value, at: DateTime<Utc>) -> usize {
    let keys = [at, at + TimeDelta::seconds(1)].into_iter().flat_map(|at| match kind {
        "twilio_sms" => {
            let about = if is_status(name) {
                twilio::webhook::About::Status
            } else {
                twilio::webhook::About::Message
            };
            twilio::webhook::split(about, body.as_str().unwrap().as_bytes(), None, at)
        }
        "evolution" => evolution::webhook::split(body.to_string().as_bytes(), at).unwrap(),
        _ => {
            let token = SecretString::from(TOKEN.to_owned());
            uazapi::webhook::split(&token, body.to_string().as_bytes(), at).unwrap()
        }
    });
    keys.map(|event| event.key).collect::<BTreeSet<_>>().len()
}

/// Makes the messages that a report is about: recorded, as if each had been sent.
async fn insert_sent(product: &impl Product, line: &Line, ids: &[String]) {
    let mut hello = match line.kind {
        "twilio_sms" => fixture("twilio", "inbound_sms.json"),
        "evolution" => fixture("evolution", "messages_upsert_lid_addressing.json"),
        _ => fixture("uazapi", "messages_text.json"),
    };
    if line.kind == "twilio_sms" {
        // Its own id is the one that the reports are about.
        hello = hello.as_str().unwrap().replace("SM0000", "SM9999").into();
    }
    assert_eq!(line.deliver(product, "messages", &hello).await, 200);
    let conversation =
        product.until("the conversation", async || line.conversations(product).await.pop()).await;
    for id in ids {
        let new = json!({
            "conversation_id": conversation["id"], "type": "text", "text": "Nosso", "send_external": false,
        });
        let written = product.api(Method::POST, "messages", Some(&new)).await.expect_status(202).body;
        sqlx::query("UPDATE messages SET provider_message_id = $2 WHERE id = $1")
            .bind(written["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap())
            .bind(id)
            .execute(product.admin())
            .await
            .unwrap();
    }
}

async fn journal(product: &impl Product, line: &Line) -> Vec<Value> {
    sqlx::query_scalar(
        "SELECT jsonb_build_object('kind', kind, 'reason', reason) FROM inbound_events
         WHERE company_id = $1 AND connection_id = $2 ORDER BY kind, reason, key",
    )
    .bind(product.tenant().company_id)
    .bind(line.id.parse::<uuid::Uuid>().unwrap())
    .fetch_all(product.admin())
    .await
    .unwrap()
}

/// What the API shows of a line, and what the journal says of the rest; `None` while files are on their way.
async fn known(product: &impl Product, line: &Line) -> Option<Value> {
    let mut threads = Vec::new();
    for conversation in line.conversations(product).await {
        let path = format!("conversations/{}/messages", conversation["id"].as_str().unwrap());
        let messages = product.api(Method::GET, &path, None).await.expect_status(200).body;
        let mut shown = Vec::new();
        for message in messages["items"].as_array().unwrap() {
            if message["media"]["state"] == "waiting" {
                return None;
            }
            shown.push(plain(message));
        }
        threads.push(json!({
            "is_group": conversation["is_group"], "channel": conversation["channel"],
            "contact": conversation["contact"]["name"], "phone": conversation["contact"]["phone"],
            "messages": shown,
        }));
    }
    let connection = line.shown(product).await;
    Some(json!({
        "conversations": threads, "state": connection["state"], "state_reason": connection["state_reason"],
        "journal": journal(product, line).await,
    }))
}

/// A message without what differs from run to run.
fn plain(message: &Value) -> Value {
    let mut message = redacted(message);
    // By the clock of the product, where the provider's does not say.
    for name in ["occurred_at", "sent_at", "delivered_at", "read_at", "failed_at"] {
        if message[name].is_string() {
            message[name] = json!("[time]");
        }
    }
    for name in ["url", "thumbnail_url"] {
        if message["media"][name].is_string() {
            message["media"][name] = json!("[url]");
        }
    }
    message.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    message
}

/// Takes a fixture through the webhook of a company of its own; what is known afterwards.
async fn taken(product: &impl Product, kind: &'static str, name: &str) -> Value {
    let (provider, number) =
        if kind == "twilio_sms" { ("twilio", "+16505550100") } else { (kind, "551100000000") };
    let line = Line::open_as(product, kind, number).await;
    let body = fixture(provider, name);
    let reported = reported(kind, name, &body);
    if !reported.is_empty() {
        insert_sent(product, &line, &reported).await;
    }
    let before = journal(product, &line).await.len();
    let about = if is_status(name) { "status" } else { "messages" };
    assert_eq!(line.deliver(product, about, &body).await, 200, "{name}");
    // A provider may say it again.
    assert_eq!(line.deliver(product, about, &body).await, 200, "{name}");
    let expected = before + events_of(kind, name, &body, product.now());
    product
        .until(&format!("what follows from {name}"), async || {
            let is_heard = journal(product, &line).await.len() == expected;
            if is_heard { known(product, &line).await } else { None }
        })
        .await
}

fn quiet() -> TenantOptions {
    TenantOptions { at_sandbox: false, ..TenantOptions::default() }
}

fn assert_snapshot(kind: &str, name: &str, known: &Value) {
    let provider = if kind == "twilio_sms" { "twilio" } else { kind };
    insta::assert_json_snapshot!(format!("{provider}_{}", name.trim_end_matches(".json")), known);
}

async fn every_fixture_is_shown(kind: &'static str) {
    for name in webhook_fixtures(if kind == "twilio_sms" { "twilio" } else { kind }) {
        let flow = Flow::start(quiet()).await;
        assert_snapshot(kind, &name, &taken(&flow, kind, &name).await);
        flow.pump().await;
        flow.end().await;
    }
}

async fn every_fixture_is_shown_where_it_is_deployed(kind: &'static str) {
    let names = webhook_fixtures(if kind == "twilio_sms" { "twilio" } else { kind });
    let outcomes: Vec<(String, Value)> = stream::iter(names)
        .map(|name| async move {
            let product = Deployed::start(quiet()).await;
            let known = taken(&product, kind, &name).await;
            (name, known)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (name, known) in outcomes {
        assert_snapshot(kind, &name, &known);
    }
}

#[tokio::test]
async fn every_webhook_of_twilios_is_taken_and_shown() {
    every_fixture_is_shown("twilio_sms").await;
}

#[tokio::test]
async fn every_webhook_of_evolutions_is_taken_and_shown() {
    every_fixture_is_shown("evolution").await;
}

#[tokio::test]
async fn every_webhook_of_uazapis_is_taken_and_shown() {
    every_fixture_is_shown("uazapi").await;
}

#[tokio::test]
async fn every_webhook_of_twilios_is_taken_and_shown_where_it_is_deployed() {
    every_fixture_is_shown_where_it_is_deployed("twilio_sms").await;
}

#[tokio::test]
async fn every_webhook_of_evolutions_is_taken_and_shown_where_it_is_deployed() {
    every_fixture_is_shown_where_it_is_deployed("evolution").await;
}

#[tokio::test]
async fn every_webhook_of_uazapis_is_taken_and_shown_where_it_is_deployed() {
    every_fixture_is_shown_where_it_is_deployed("uazapi").await;
}
