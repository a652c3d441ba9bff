//! Load while things break: many customers, shuffled and doubled events, killed workers, a database that restarts.
//! Afterwards everything is there once, under the right contact, in order, and as far as it got.
//!
//! `SOAK_SCALE` is the size; 1 is 20,000 messages and 60,000 statuses, 0.1 the default.

mod breaking;
mod plan;
mod proof;

use std::time::Duration;

use futures::{StreamExt as _, stream};
use serde_json::json;
use testkit::{Cloud, Sandbox, Stack, Tenant, TenantOptions, eventually};
use tokio::time::Instant;

use crate::history::{insert_customers, insert_sent, journal_count};
use breaking::Breaker;
use plan::Plan;

/// Connections that deliver webhooks.
const CONNECTIONS: usize = 32;

/// Retries of one batch: a 5xx makes Meta send again.
const ATTEMPTS: u32 = 30;

fn scale() -> f64 {
    let text = std::env::var_os("SOAK_SCALE").map(|text| text.into_string().unwrap());
    text.map_or(0.1, |text| text.parse().expect("SOAK_SCALE is a number"))
}

/// A count at scale 1, at this scale; never less than `least`.
fn scaled(count: f64, least: usize) -> usize {
    ((count * scale()).round() as usize).max(least)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_once_while_things_break() {
    let stack = Stack::load();
    let cloud = Cloud::of(&stack).await;
    let admin = stack.admin();
    let tenant = Tenant::seed_with(&stack, &cloud, TenantOptions::default()).await;
    let dead_before = cloud.dead_letters().await;
    let plan = Plan::new(&tenant, scaled(500.0, 50), scaled(20_000.0, 500));
    let customers = insert_customers(&admin, &tenant, &plan.wa_ids).await;
    insert_sent(&admin, &tenant, &customers, &plan.sent).await;
    println!("soak: {}", plan.describe());

    let settle = Duration::from_secs(600 + u64::try_from(scaled(7_200.0, 0)).unwrap());
    let begin = Instant::now();
    let breaker = Breaker::start(stack.clone(), scaled(20.0, 4), 2);
    let delivering = async {
        deliver(&tenant, plan.batches(&tenant)).await;
        begin.elapsed()
    };
    let (taken, really_sent) = tokio::join!(delivering, send_really(&stack, &tenant, scaled(200.0, 20)));
    let broken = breaker.finish().await;
    let expected = i64::try_from(plan.events()).unwrap();
    eventually("all events in the journal", settle, async || {
        // Those of the messages that were really sent come on top.
        (journal_count(&admin, &tenant).await >= expected).then_some(())
    })
    .await;
    let stored = begin.elapsed();
    proof::wait_until_settled(&admin, &cloud, &tenant, settle).await;
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    println!(
        "soak: {} events taken at {:.0}/s, stored at {:.0}/s; {broken}; {} messages really sent",
        plan.events(),
        rate(plan.events(), taken),
        rate(plan.events(), stored),
        really_sent.len(),
    );

    proof::inbound(&admin, &tenant, &plan, &customers).await;
    proof::order(&tenant, &plan, &customers).await;
    proof::statuses(&admin, &tenant, &plan).await;
    proof::really_sent(&stack, &tenant, &really_sent).await;
    assert_eq!(cloud.dead_letters().await, dead_before, "nothing was given up");
}

/// Delivers every batch, again after a failure, as Meta does.
async fn deliver(tenant: &Tenant, batches: Vec<String>) {
    let http = testkit::http_client();
    stream::iter(batches)
        .for_each_concurrent(CONNECTIONS, |batch| {
            let http = http.clone();
            async move {
                let signature = testkit::webhook::sign(&tenant.app_secret, batch.as_bytes());
                for attempt in 1..=ATTEMPTS {
                    let request = http.post(&tenant.webhook_url).header("x-hub-signature-256", &signature);
                    let answer = request.body(batch.clone()).send().await;
                    match answer {
                        Ok(answer) if answer.status().as_u16() == 200 => return,
                        Ok(answer) if answer.status().is_client_error() => panic!("{}", answer.status()),
                        _ => tokio::time::sleep(Duration::from_millis(200 * u64::from(attempt))).await,
                    }
                }
                panic!("a batch was refused {ATTEMPTS} times");
            }
        })
        .await;
}

/// Sends `count` messages by the API to ten customers whose window is open; their ids. The API may be away for a
/// moment: the same key makes the same message, once.
async fn send_really(stack: &Stack, tenant: &Tenant, count: usize) -> Vec<String> {
    let sandbox = Sandbox::of(stack);
    let mut wa_ids = Vec::new();
    for _ in 0..10 {
        let phone = testkit::new_phone();
        let (_, wa_id) = sandbox.customer_writes(&tenant.phone_number_id, &phone, "Ana", "Oi").await;
        wa_ids.push(wa_id);
    }
    let mut by_customer = Vec::new();
    for wa_id in wa_ids {
        by_customer.push(patient_conversation(tenant, &wa_id).await);
    }
    let mut ids = Vec::new();
    for number in 0..count {
        let conversation_id = &by_customer[number % by_customer.len()];
        let body =
            json!({ "conversation_id": conversation_id, "type": "text", "text": format!("Aviso {number}") });
        let id = eventually("the API to take a message", Duration::from_secs(180), async || {
            let answer = tenant.api.post_once("messages", &format!("soak-{number}"), &body).await;
            (answer.status == 202).then(|| answer.body["id"].as_str().unwrap().to_owned())
        })
        .await;
        ids.push(id);
    }
    ids
}

/// The customer's conversation, however often the API is away. It may stand on any page: all others are written to.
async fn patient_conversation(tenant: &Tenant, wa_id: &str) -> String {
    let phone = domain::phone::canonical_from_wa_id(wa_id).unwrap();
    eventually("a customer's conversation", Duration::from_secs(900), async || {
        let mut path = "conversations?limit=100".to_owned();
        loop {
            let answer = tenant.api.get(&path).await;
            if answer.status != 200 {
                return None;
            }
            let mut items = answer.body["items"].as_array()?.iter();
            if let Some(found) = items.find(|conversation| conversation["contact"]["phone"] == phone.as_str())
            {
                return found["last_inbound_at"]
                    .is_string()
                    .then(|| found["id"].as_str().map(str::to_owned))?;
            }
            path = format!("conversations?limit=100&cursor={}", answer.body["next_cursor"].as_str()?);
        }
    })
    .await
}
