//! The Graph API fails: a message is sent once or not at all, and its status says which.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::new_word;

use crate::inbox::Inbox;

/// A message to a customer while the Graph API fails as `rule` says; the inbox and the message's id.
async fn send_under(rule: Value) -> (Inbox, String) {
    let inbox = Inbox::open(false).await;
    let word = new_word("aviso");
    let mut rule = rule;
    rule["contains"] = json!(word);
    inbox.sandbox.script("graph.messages", json!([rule])).await;
    let id = inbox.send(&format!("Seu {word}")).await;
    (inbox, id)
}

/// Refused for now, and sent when the provider has calmed down: once.
async fn sent_after(rule: Value, limit: Duration) {
    let (inbox, id) = send_under(rule).await;
    inbox.reaches_within(&id, &["read"], limit).await;
    assert_eq!(inbox.sandbox.accepted(&id).await, 1);
}

#[tokio::test]
async fn http_429_is_waited_for() {
    sent_after(
        json!({ "times": 1, "status": 429, "headers": { "retry-after": "2" } }),
        Duration::from_secs(120),
    )
    .await;
}

#[tokio::test]
async fn the_rate_limit_of_the_number_is_waited_for() {
    sent_after(json!({ "times": 2, "graph_code": 130_429 }), Duration::from_secs(150)).await;
}

#[tokio::test]
async fn the_limit_of_the_pair_is_waited_for() {
    sent_after(json!({ "times": 1, "graph_code": 131_056 }), Duration::from_secs(120)).await;
}

#[tokio::test]
async fn an_error_that_graph_itself_calls_transient_is_tried_again() {
    sent_after(json!({ "times": 1, "status": 500, "graph_code": 131_000 }), Duration::from_secs(120)).await;
}

#[tokio::test]
async fn order_is_kept_when_the_first_has_to_wait() {
    let (inbox, first) = send_under(json!({ "times": 2, "graph_code": 130_429 })).await;
    let second = inbox.send("E mais uma coisa").await;
    inbox.reaches_within(&second, &["read"], Duration::from_secs(180)).await;
    let sent = inbox.arrives(2, Duration::from_secs(5)).await;
    let ids: Vec<_> =
        sent.iter().map(|message| message["biz_opaque_callback_data"].as_str().unwrap()).collect();
    assert_eq!(ids, [first.as_str(), second.as_str()]);
}

#[tokio::test]
async fn a_message_that_was_taken_without_an_answer_is_resolved_by_its_status() {
    let (inbox, id) = send_under(json!({ "times": 1, "drop": "after" })).await;
    let read = inbox.reaches(&id, &["read"]).await;
    assert!(read["provider_message_id"].is_string(), "the status brought the provider's id: {read:#}");
    assert!(read["error"].is_null(), "what was unknown is known: {read:#}");
    assert_eq!(inbox.sandbox.accepted(&id).await, 1, "never sent twice");
}

#[tokio::test]
async fn a_message_whose_fate_nobody_knows_is_shown_and_not_sent_again() {
    let (inbox, id) = send_under(json!({ "times": 1, "drop": "before" })).await;
    let message = inbox.reaches(&id, &["unknown"]).await;
    assert!(message["error"]["code"].is_string(), "{message:#}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(inbox.sandbox.accepted(&id).await, 0, "never resent blindly");
    // A person decides.
    let _retried =
        inbox.tenant.api.post(&format!("messages/{id}/retry"), &json!({})).await.expect_status(202);
    inbox.reaches(&id, &["read"]).await;
    assert_eq!(inbox.sandbox.accepted(&id).await, 1);
}

#[tokio::test]
async fn a_closed_window_fails_with_metas_code() {
    let (inbox, id) = send_under(json!({ "times": 1, "graph_code": 131_047 })).await;
    let message = inbox.reaches(&id, &["failed"]).await;
    assert_eq!(message["error"]["code"], "131047");
    assert!(message["error"]["title"].is_string());
    assert_eq!(inbox.sandbox.accepted(&id).await, 0);
}

#[tokio::test]
async fn a_failure_that_comes_by_status_is_shown() {
    let inbox = Inbox::open(false).await;
    let word = new_word("aviso");
    let rule = json!({ "times": 1, "graph_code": 131_026, "contains": word });
    inbox.sandbox.script("graph.status", json!([rule])).await;
    let id = inbox.send(&format!("Seu {word}")).await;
    let message = inbox.reaches(&id, &["failed", "read"]).await;
    assert_eq!(
        (message["status"].as_str(), message["error"]["code"].as_str()),
        (Some("failed"), Some("131026"))
    );
}
