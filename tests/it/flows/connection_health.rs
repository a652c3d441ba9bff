//! How connections fare: told by webhooks, by messages, and by the check of number and token.

use axum::http::Method;
use chrono::TimeDelta;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::webhook::{self, change, status};
use testkit::{Flow, PATIENCE, TenantOptions, new_phone, new_word, now_seconds};
use tokio::time::{Instant, sleep};

/// A company of the test's own, with a customer who wrote.
struct Business {
    flow: Flow,
    conversation_id: String,
}

impl Business {
    async fn open() -> Self {
        let flow = Flow::start(TenantOptions::default()).await;
        let (line, word) = (flow.tenant.phone_number_id.clone(), new_word("Oi "));
        flow.sandbox.customer_writes(&line, &new_phone(), "Ana Exemplo", &word).await;
        let conversation = flow.until("the conversation", async || {
            let list = flow.api(Method::GET, "conversations", None).await.expect_status(200).body;
            list["items"][0]["id"].as_str().map(str::to_owned)
        });
        let conversation_id = conversation.await;
        Self { flow, conversation_id }
    }

    async fn health(&self) -> Value {
        let path = format!("connections/{}/health", self.flow.tenant.connection_id);
        self.flow.api(Method::GET, &path, None).await.expect_status(200).body
    }

    /// What it can do, why, and everything that stands in its way.
    async fn state(&self) -> (String, Value, Vec<String>) {
        let health = self.health().await;
        let kinds = health["obstacles"].as_array().unwrap().iter().map(|it| text(&it["kind"]));
        (text(&health["state"]), health["reason"].clone(), kinds.collect())
    }

    /// How number and token fare at Meta from now on.
    async fn fares(&self, condition: Value) {
        let path = format!("lines/{}/condition", self.flow.tenant.phone_number_id);
        self.flow.sandbox.post(&path, &condition).await;
    }

    async fn check(&self) {
        let path = format!("connections/{}/check", self.flow.tenant.connection_id);
        let _asked = self.flow.api(Method::POST, &path, Some(&json!({}))).await.expect_status(200);
        self.flow.pump().await;
    }

    async fn send(&self) -> String {
        let body = json!({ "conversation_id": self.conversation_id, "type": "text", "text": new_word("Seu pedido ") });
        let message = self.flow.api(Method::POST, "messages", Some(&body)).await.expect_status(202).body;
        text(&message["id"])
    }

    async fn message(&self, id: &str) -> Value {
        self.flow.api(Method::GET, &format!("messages/{id}"), None).await.expect_status(200).body
    }

    /// Works until a message is on the customer's phone.
    async fn arrives(&self, id: &str) {
        let arrived = self.flow.until("the message to arrive", async || {
            Some(self.message(id).await).filter(|it| it["status"] == "delivered" || it["status"] == "read")
        });
        arrived.await;
    }

    async fn told(&self, kind: &str) -> Vec<Value> {
        self.flow.events().await.into_iter().filter(|event| event["type"] == kind).collect()
    }

    async fn account_told(&self, at: i64, field: &str, value: Value) {
        let body = json!({ "object": "whatsapp_business_account", "entry": [{
            "id": self.flow.tenant.waba_id, "time": at, "changes": [{ "field": field, "value": value }],
        }] });
        let _taken = self.flow.deliver(&body.to_string()).await.expect_status(200);
        self.flow.pump().await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_check_shows_number_and_token() {
    let business = Business::open().await;
    let before = business.health().await;
    assert_eq!((&before["state"], &before["checked_at"]), (&json!("unknown"), &Value::Null));
    business.check().await;
    let mut health = business.health().await;
    for name in ["connection_id", "checked_at", "since"] {
        assert!(health[name].take().is_string());
    }
    health["number"]["display_phone_number"].take();
    insta::assert_json_snapshot!("connection_health", health);

    business.fares(json!({ "quality_rating": "RED", "messaging_limit": "TIER_50" })).await;
    // A webhook says that something is another, and the check what.
    let quality =
        json!({ "display_phone_number": "16505550100", "event": "DOWNGRADE", "current_limit": "TIER_50" });
    business.account_told(now_seconds(), "phone_number_quality_update", quality).await;
    assert_eq!(business.state().await, ("degraded".into(), json!("quality_low"), vec!["quality_low".into()]));
    business.check().await;
    let told = business.told("connection.quality").await;
    assert_eq!(told.len(), 1, "it is news once");
    assert_eq!((&told[0]["quality"], &told[0]["messaging_limit"]), (&json!("RED"), &json!("TIER_50")));
    business.fares(json!({})).await;
    business.check().await;
    assert_eq!(business.state().await.0, "connected");
    let states: Vec<_> =
        business.told("connection.health").await.iter().map(|it| text(&it["state"])).collect();
    assert_eq!(states, ["connected", "degraded", "connected"]);
    business.flow.end().await;
}

#[tokio::test]
async fn a_token_that_ends_is_told_once_a_day_and_stops_sending() {
    let business = Business::open().await;
    // Whose app is known is told more of: a token that is over may not even ask about itself.
    sqlx::query("UPDATE connections SET app_id = '670000000000001' WHERE company_id = $1")
        .bind(business.flow.tenant.company_id)
        .execute(&business.flow.admin)
        .await
        .unwrap();
    let days = |count: i64| now_seconds() + count * 24 * 60 * 60;
    business.fares(json!({ "token_expires_at": days(30) })).await;
    business.check().await;
    assert_eq!(business.state().await.0, "connected");
    assert!(business.health().await["token"]["expires_at"].is_string());

    business.fares(json!({ "token_expires_at": days(5) })).await;
    business.check().await;
    business.check().await;
    assert_eq!(business.state().await.1, "token_expiring");
    assert_eq!(business.told("connection.token_ending").await.len(), 1);
    sqlx::query("UPDATE connections SET token_noticed_at = token_noticed_at - interval '24 hours' WHERE company_id = $1")
        .bind(business.flow.tenant.company_id)
        .execute(&business.flow.admin)
        .await
        .unwrap();
    business.check().await;
    assert_eq!(business.told("connection.token_ending").await.len(), 2, "on another day again");

    // Over: the first message finds out, and the others are not tried.
    business.fares(json!({ "token_expires_at": now_seconds() - 60 })).await;
    let first = business.send().await;
    business.flow.pump().await;
    let first = business.message(&first).await;
    assert_eq!((&first["status"], &first["error"]["code"]), (&json!("failed"), &json!("190")));
    let (state, reason, _) = business.state().await;
    assert_eq!((state.as_str(), &reason), ("down", &json!("token_expired")));
    let second = business.send().await;
    business.flow.pump().await;
    let stopped = business.message(&second).await;
    insta::assert_json_snapshot!("stopped_by_token", stopped["error"]);
    assert_eq!(business.flow.sandbox.accepted(&second).await, 0);

    // A token that works again lets messages go.
    business.fares(json!({})).await;
    business.check().await;
    assert_eq!(business.state().await.0, "connected");
    let path = format!("messages/{second}/retry");
    let _queued = business.flow.api(Method::POST, &path, Some(&json!({}))).await.expect_status(202);
    let end = Instant::now() + PATIENCE;
    while business.message(&second).await["status"] != "read" {
        business.flow.pump().await;
        sleep(std::time::Duration::from_millis(50)).await;
        assert!(Instant::now() < end, "the message was not sent");
    }
    business.flow.end().await;
}

#[tokio::test]
async fn a_number_that_may_not_send_is_down_until_it_does() {
    let business = Business::open().await;
    let body =
        |word: &str| json!({ "conversation_id": business.conversation_id, "type": "text", "text": word });
    let word = new_word("cobranca");
    let rule = json!([{ "times": 1, "contains": word, "graph_code": 131_042 }]);
    business.flow.sandbox.script("graph.messages", rule).await;
    let _sent = business.flow.api(Method::POST, "messages", Some(&body(&word))).await.expect_status(202);
    business.flow.pump().await;
    assert_eq!(business.state().await, ("down".into(), json!("unpaid"), vec!["unpaid".into()]));
    let id = business.send().await;
    business.arrives(&id).await;
    assert_eq!(business.state().await.0, "connected", "what arrives proves that it may");
    business.flow.end().await;
}

#[tokio::test]
async fn a_failure_that_is_told_later_stands_in_the_way_until_a_message_arrives() {
    let business = Business::open().await;
    let first = business.send().await;
    business.arrives(&first).await;
    let failed = |wamid: &str, code: i64| {
        let at = business.flow.clock.pass(TimeDelta::zero()).timestamp();
        let mut failed = status("5562999990001", wamid, at, "failed");
        failed["errors"] = json!([{ "code": code, "title": "Business eligibility payment issue" }]);
        failed
    };
    let told = async |statuses: &[Value]| {
        let statuses = change(&business.flow.tenant.phone_number_id, &[], &[], statuses);
        let told = webhook::body(&business.flow.tenant.waba_id, &[statuses]).to_string();
        let _taken = business.flow.deliver(&told).await.expect_status(200);
        business.flow.pump().await;
    };
    told(&[failed("wamid.1", 131_026)]).await;
    assert_eq!(business.state().await.2, Vec::<String>::new(), "about its recipient");
    let unpaid = [failed("wamid.2", 131_042), failed("wamid.3", 131_042)];
    told(&unpaid).await;
    told(&unpaid).await;
    told(&[failed("wamid.4", 131_042)]).await;
    let health = business.health().await;
    assert_eq!((&health["state"], &health["reason"]), (&json!("down"), &json!("unpaid")));
    assert_eq!(health["obstacles"][0]["detail"], "Business eligibility payment issue");

    // What was sent before arrives now.
    let recorded = json!({ "conversation_id": business.conversation_id, "type": "text", "text": "Oi", "send_external": false });
    let old = business.flow.api(Method::POST, "messages", Some(&recorded)).await.expect_status(202).body;
    sqlx::query("UPDATE messages SET provider_message_id = 'wamid.5', sent_at = '2026-01-01' WHERE id = $1")
        .bind(text(&old["id"]).parse::<uuid::Uuid>().unwrap())
        .execute(&business.flow.admin)
        .await
        .unwrap();
    told(&[status("5562999990001", "wamid.5", now_seconds(), "delivered")]).await;
    assert_eq!(business.message(&text(&old["id"])).await["status"], "delivered");
    assert_eq!(business.state().await.1, "unpaid");

    let second = business.send().await;
    business.arrives(&second).await;
    assert_eq!(business.state().await.0, "connected");
    let states: Vec<_> =
        business.told("connection.health").await.iter().map(|it| text(&it["state"])).collect();
    assert_eq!(states.len(), 2, "down and well again: {states:?}");

    // And what Meta refuses without naming a message.
    let mut nameless = change(&business.flow.tenant.phone_number_id, &[], &[], &[]);
    nameless["value"]["errors"] = json!([{ "code": 131_031, "title": "Account has been locked" }]);
    let nameless = webhook::body(&business.flow.tenant.waba_id, &[nameless]).to_string();
    let _taken = business.flow.deliver(&nameless).await.expect_status(200);
    business.flow.pump().await;
    assert_eq!(business.state().await.1, "sender_blocked");
    business.flow.end().await;
}

#[tokio::test]
async fn what_meta_does_to_an_account_is_told() {
    let business = Business::open().await;
    let at = now_seconds();
    let ban = |state: &str| json!({ "event": "DISABLED_UPDATE", "ban_info": { "waba_ban_state": state } });
    business.account_told(at + 10, "account_update", ban("DISABLE")).await;
    assert_eq!(business.state().await.1, "account_disabled");
    business.account_told(at + 30, "account_update", ban("REINSTATE")).await;
    assert_eq!(business.state().await.0, "connected");
    // Late news of what is over.
    business.account_told(at + 20, "account_update", ban("DISABLE")).await;
    assert_eq!(business.state().await.0, "connected");
    let violation = json!({ "event": "ACCOUNT_VIOLATION", "violation_info": { "violation_type": "ADULT" } });
    business.account_told(at + 40, "account_update", violation).await;
    let health = business.health().await;
    assert_eq!((&health["state"], &health["obstacles"][0]["detail"]), (&json!("degraded"), &json!("ADULT")));
    business.flow.clock.pass(TimeDelta::days(8));
    business.check().await;
    assert_eq!(business.state().await.0, "connected", "nobody ever tells the end of it");
    business.account_told(at + 50, "account_update", json!({ "event": "PARTNER_REMOVED" })).await;
    assert_eq!(business.state().await.1, "app_removed");
    business.flow.end().await;
}

#[tokio::test]
async fn every_connection_is_checked_every_day_and_one_that_is_not_well_every_hour() {
    let business = Business::open().await;
    let checked_at = async || business.health().await["checked_at"].clone();
    assert_eq!(business.flow.ask_for_upkeep().await, 2, "a check, and a comparison of templates");
    // Whoever dies while Meta is asked is followed by somebody who asks again.
    let died = business.flow.step_unless(Queue::Connections, async || true).await;
    assert_eq!(died, testkit::Step::Died);
    business.flow.recover().await;
    let first = checked_at().await;
    assert!(first.is_string());
    business.flow.clock.pass(TimeDelta::hours(2));
    assert_eq!(business.flow.ask_for_upkeep().await, 0, "it is well");
    assert_eq!(checked_at().await, first);
    business.fares(json!({ "quality_rating": "RED" })).await;
    business.check().await;
    let second = checked_at().await;
    business.flow.clock.pass(TimeDelta::hours(2));
    assert_eq!(business.flow.ask_for_upkeep().await, 1);
    business.flow.pump().await;
    assert_ne!(checked_at().await, second, "it is not well");

    // Nobody is asked about one that was removed.
    let path = format!("connections/{}", business.flow.tenant.connection_id);
    let _removed = business.flow.api(Method::DELETE, &path, None).await.expect_status(204);
    business.flow.pump().await;
    business.flow.clock.pass(TimeDelta::days(2));
    assert_eq!(business.flow.ask_for_upkeep().await, 0);
    business.flow.end().await;
}
