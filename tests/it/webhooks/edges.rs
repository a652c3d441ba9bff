//! Bodies that are no webhook, that are very large, that bring many things, and that nobody documented.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::webhook::{body, change, contact, sign, status, text};
use testkit::{PATIENCE, Stack, Tenant, TenantOptions, eventually, new_word, now_seconds};

use crate::history::journal_count;

async fn tenant(stack: &Stack) -> Tenant {
    Tenant::seed(stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await
}

async fn stored(stack: &Stack, tenant: &Tenant, events: i64, limit: Duration) {
    let admin = stack.admin();
    eventually(&format!("{events} events in the journal"), limit, async || {
        (journal_count(&admin, tenant).await >= events).then_some(())
    })
    .await;
    assert_eq!(journal_count(&admin, tenant).await, events);
}

#[tokio::test]
async fn a_body_that_is_no_webhook_is_400_malformed() {
    let stack = Stack::load();
    let tenant = tenant(&stack).await;
    for bad in ["", "not json", "[]", "{}", "{\"entry\":", "\"text\""] {
        let signature = sign(&tenant.app_secret, bad.as_bytes());
        let (status, problem) = tenant.deliver_signed(bad, Some(&signature)).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("malformed")), "{bad:?}: {problem}");
    }
}

#[tokio::test]
async fn an_unknown_slug_is_404() {
    let stack = Stack::load();
    let mut tenant = tenant(&stack).await;
    tenant.webhook_url = stack.meta_webhook(&new_word("nao-existe-"));
    assert_eq!(tenant.deliver_text("556281234567", &new_word("wamid."), "Oi").await, 404);
}

#[tokio::test]
async fn a_body_of_three_megabytes_is_taken_whole() {
    let stack = Stack::load();
    let tenant = tenant(&stack).await;
    let wa_ids: Vec<String> = (0..50).map(|number| format!("5562812{number:05}")).collect();
    let long = "á".repeat(1_450);
    let messages: Vec<Value> = (0..1_000)
        .map(|number| {
            let wa_id = &wa_ids[number % wa_ids.len()];
            text(wa_id, &format!("wamid.{number}"), now_seconds(), &format!("{number} {long}"))
        })
        .collect();
    let contacts: Vec<Value> = wa_ids.iter().map(|wa_id| contact(wa_id, "Ana Exemplo")).collect();
    let large =
        body(&tenant.waba_id, &[change(&tenant.phone_number_id, &contacts, &messages, &[])]).to_string();
    assert!(large.len() > 3_000_000, "{}", large.len());
    assert_eq!(tenant.deliver(large).await, 200);
    stored(&stack, &tenant, 1_000, Duration::from_secs(240)).await;
    let shown = tenant.api.all("messages", 100).await;
    assert_eq!(shown.len(), 1_000);
    for message in &shown {
        let number = message["provider_message_id"].as_str().unwrap().trim_start_matches("wamid.");
        assert_eq!(message["text"], format!("{number} {long}"));
    }
}

#[tokio::test]
async fn a_message_over_the_queues_limit_is_kept() {
    let stack = Stack::load();
    let tenant = tenant(&stack).await;
    let mut message = text("556281234567", "wamid.large", now_seconds(), "");
    message["type"] = json!("hologram");
    message["hologram"] = json!({ "points": "9".repeat(1_500_000) });
    let change = change(&tenant.phone_number_id, &[contact("556281234567", "Ana")], &[message], &[]);
    assert_eq!(tenant.deliver(body(&tenant.waba_id, &[change]).to_string()).await, 200);
    stored(&stack, &tenant, 1, PATIENCE).await;
    let size: i32 = sqlx::query_scalar("SELECT length(payload) FROM inbound_events WHERE company_id = $1")
        .bind(tenant.company_id)
        .fetch_one(&stack.admin())
        .await
        .unwrap();
    assert!(size > 1_500_000, "{size}");
}

#[tokio::test]
async fn a_body_with_many_entries_is_split_whole() {
    let stack = Stack::load();
    let tenant = tenant(&stack).await;
    let entry = |number: i64| {
        let wa_id = format!("55628111000{number:02}");
        let changes: Vec<Value> = (0..3)
            .map(|place| {
                let said = text(&wa_id, &format!("wamid.{number}.{place}"), now_seconds() + place, "Oi");
                let about =
                    status(&wa_id, &format!("wamid.of-ours.{number}.{place}"), now_seconds(), "delivered");
                change(&tenant.phone_number_id, &[contact(&wa_id, "Ana")], &[said], &[about])
            })
            .collect();
        json!({ "id": tenant.waba_id, "changes": changes })
    };
    let entries: Vec<Value> = (0..4).map(entry).collect();
    let whole = json!({ "object": "whatsapp_business_account", "entry": entries });
    assert_eq!(tenant.deliver(whole.to_string()).await, 200);
    stored(&stack, &tenant, 24, PATIENCE).await;
    assert_eq!(tenant.api.all("messages", 100).await.len(), 12);
    assert_eq!(tenant.api.all("contacts", 100).await.len(), 4);
    // Meta repeats itself: nothing changes.
    assert_eq!(tenant.deliver(whole.to_string()).await, 200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    stored(&stack, &tenant, 24, PATIENCE).await;
    assert_eq!(tenant.api.all("messages", 100).await.len(), 12);
}

#[tokio::test]
async fn a_type_that_nobody_documented_is_kept_and_shown_as_unsupported() {
    let stack = Stack::load();
    let tenant = tenant(&stack).await;
    let mut message = text("556281234567", "wamid.hologram", now_seconds(), "");
    message.as_object_mut().unwrap().remove("text");
    message["type"] = json!("hologram");
    message["hologram"] = json!({ "colour": "azul", "sides": 6 });
    let change = change(&tenant.phone_number_id, &[contact("556281234567", "Ana")], &[message], &[]);
    assert_eq!(tenant.deliver(body(&tenant.waba_id, &[change]).to_string()).await, 200);
    stored(&stack, &tenant, 1, PATIENCE).await;
    let [shown] = <[Value; 1]>::try_from(tenant.api.all("messages", 100).await).unwrap();
    assert_eq!(shown["type"], "unsupported");
    assert_eq!(shown["direction"], "inbound");
    assert!(shown["content"].to_string().contains("azul"), "the original is kept: {shown:#}");
}
