//! What runs by the clock, under the role that its function has.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, resume_unwind};

use cloud::routes::WebhookRoutes;
use futures::FutureExt as _;
use testkit::{Cloud, PATIENCE, Stack, eventually, new_id, new_word};

use crate::inbox::Inbox;

/// A customer's message arrives, and ours reaches their phone: app secret and access token open.
async fn works(inbox: &Inbox, when: &str) {
    let said = new_word("Oi ");
    let line = &inbox.tenant.phone_number_id;
    let _ids = inbox.sandbox.customer_writes(line, &inbox.phone, "Ana Exemplo", &said).await;
    eventually(&format!("a message {when}"), PATIENCE, async || {
        inbox.messages().await.iter().any(|message| message["text"] == said.as_str()).then_some(())
    })
    .await;
    let sent = inbox.send(&new_word("Olá ")).await;
    let _message = inbox.reaches(&sent, &["sent", "delivered", "read"]).await;
}

/// The keys that connections and routes of a company are sealed with.
async fn key_ids(stack: &Stack, cloud: &Cloud, inbox: &Inbox) -> BTreeSet<String> {
    let mut sealed: Vec<String> = sqlx::query_scalar(
        "SELECT s.sealed FROM connections c,
                LATERAL unnest(ARRAY[access_token, app_secret, verify_token, registration_pin]) AS s (sealed)
         WHERE company_id = $1 AND s.sealed IS NOT NULL",
    )
    .bind(inbox.tenant.company_id)
    .fetch_all(&stack.admin())
    .await
    .unwrap();
    let routes = WebhookRoutes::new(cloud.aws().clone());
    let table = cloud.output("WebhookRoutesTableName");
    let (company, number) = (inbox.tenant.company_id, &inbox.tenant.phone_number_id);
    for key in [format!("meta#{}", inbox.tenant.slug), format!("meta-number#{company}#{number}")] {
        let route = routes.find(table, &key).await.unwrap().unwrap();
        sealed.extend([String::from(route.app_secret), String::from(route.verify_token)]);
    }
    sealed.iter().map(|text| text.split('.').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_rotated_master_key_loses_nothing() {
    let stack = Stack::load();
    let cloud = Cloud::of(&stack).await;
    let secret = cloud.output("MasterKeySecretArn").to_owned();
    let before = cloud.secret(&secret).await;
    let first = Inbox::open(false).await;
    // One with a PIN.
    super::signup::sign_up(&first.tenant, &first.sandbox).await;
    works(&first, "before the rotation").await;
    let old_key = key_ids(&stack, &cloud, &first).await;
    assert_eq!(old_key.len(), 1);

    let rotated = AssertUnwindSafe(rotate(&stack, &cloud, first)).catch_unwind().await;
    // And back, whatever happened: others share this stack.
    cloud.set_secret(&secret, &before).await;
    cloud.run_schedule("schedule-seals").await;
    let second = rotated.unwrap_or_else(|panic| resume_unwind(panic));
    assert_eq!(key_ids(&stack, &cloud, &second).await, old_key);
    works(&second, "after another rotation").await;
}

/// Rotates the key under a company's feet; another company that was made afterwards.
async fn rotate(stack: &Stack, cloud: &Cloud, first: Inbox) -> Inbox {
    let secret = cloud.output("MasterKeySecretArn").to_owned();
    let old_key = key_ids(stack, cloud, &first).await;
    cloud.set_secret(&secret, &format!("{}{}", new_id().simple(), new_id().simple())).await;
    works(&first, "that the key before opens").await;
    // The functions know the key before only, so far.
    let second = Inbox::open(false).await;
    works(&second, "that the new key opens").await;
    let new_key = key_ids(stack, cloud, &second).await;
    assert!(new_key.len() == 1 && new_key != old_key);

    cloud.run_schedule("schedule-seals").await;
    assert_eq!(key_ids(stack, cloud, &first).await, new_key, "sealed anew");
    works(&first, "after the renewal").await;
    second
}

#[tokio::test]
async fn what_has_had_its_time_goes_and_nothing_else() {
    let stack = Stack::load();
    let cloud = Cloud::of(&stack).await;
    let admin = stack.admin();
    let user_id: uuid::Uuid = sqlx::query_scalar("SELECT user_id FROM memberships WHERE company_id = $1")
        .bind(stack.demo.company_id)
        .fetch_one(&admin)
        .await
        .unwrap();
    // Ended and kept, over and kept, open; then those that go: ended long ago, over long ago.
    let sessions =
        [(Some(29), 1, true), (None, -29, true), (None, 1, true), (Some(31), 1, false), (None, -31, false)]
            .map(|(ended, ends, kept)| (new_id(), ended, ends, kept));
    for (id, ended_days_ago, ends_in_days, _) in &sessions {
        sqlx::query(
            "INSERT INTO login_sessions (id, user_id, active_company_id, created_at, refreshed_at, expires_at, ended_at)
             VALUES ($1, $2, $3, now(), now(), now() + $5 * interval '1 day', now() - $4 * interval '1 day')",
        )
        .bind(id)
        .bind(user_id)
        .bind(stack.demo.company_id)
        .bind(*ended_days_ago as Option<i32>)
        .bind(ends_in_days)
        .execute(&admin)
        .await
        .unwrap();
        sqlx::query("INSERT INTO refresh_tokens (token_hash, session_id, user_id, created_at) VALUES ($1, $2, $3, now())")
            .bind(id.to_string())
            .bind(id)
            .bind(user_id)
            .execute(&admin)
            .await
            .unwrap();
    }
    let keys = [(6, true), (8, false)].map(|(days, kept)| (new_word("chave-"), days, kept));
    for (key, days_ago, _) in &keys {
        sqlx::query(
            "INSERT INTO idempotency_keys (company_id, key, request_hash, resource_id, created_at)
             VALUES ($1, $2, '', $3, now() - $4 * interval '1 day')",
        )
        .bind(stack.demo.company_id)
        .bind(key)
        .bind(new_id())
        .bind(days_ago)
        .execute(&admin)
        .await
        .unwrap();
    }

    cloud.run_schedule("schedule-cleanup").await;
    for (id, ended, ends, kept) in sessions {
        let left: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM login_sessions WHERE id = $1)
                    + (SELECT count(*) FROM refresh_tokens WHERE session_id = $1)",
        )
        .bind(id)
        .fetch_one(&admin)
        .await
        .unwrap();
        assert_eq!(left, if kept { 2 } else { 0 }, "ended {ended:?} days ago, ends in {ends} days");
    }
    for (key, days_ago, kept) in keys {
        let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM idempotency_keys WHERE key = $1)")
            .bind(key)
            .fetch_one(&admin)
            .await
            .unwrap();
        assert_eq!(left, kept, "{days_ago} days old");
    }
}
