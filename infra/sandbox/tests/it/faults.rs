//! What goes wrong on order.

use serde_json::json;

use crate::harness::{CUSTOMER, fixture, shape, stage, text_to};

#[tokio::test]
async fn a_scripted_code_is_answered_as_often_as_ordered() {
    let stage = stage().await;
    for (code, status, name) in [
        (130_429, 429, "api_error_130429"),
        (131_047, 400, "api_error_131047"),
        (190, 401, "api_error_190_expired_token"),
    ] {
        let rules = json!([{ "times": 1, "graph_code": code }]);
        stage.control("script", json!({ "target": "graph.messages", "rules": rules })).await;
        let (answered, error) = stage.send(text_to(CUSTOMER, "Oi")).await;
        assert_eq!(answered, status);
        let (mut error, mut expected) = (error, fixture(name));
        for error in [&mut error, &mut expected] {
            error["error"]["fbtrace_id"] = json!("");
        }
        assert_eq!(error, expected);
    }
    assert_eq!(stage.send(text_to(CUSTOMER, "Oi")).await.0, 200);
    let log = stage.look("/_sandbox/log").await;
    assert_eq!(log["counts"]["graph.messages"]["received"], 4);
    assert_eq!(log["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_connection_dropped_before_sends_nothing_and_after_sends_once() {
    let stage = stage().await;
    stage.customer_writes("Oi").await;
    for (when, sent) in [("before", 0), ("after", 1)] {
        let rules = json!([{ "times": 1, "drop": when, "latency_ms": 5 }]);
        stage.control("script", json!({ "target": "graph.messages", "rules": rules })).await;
        let outcome = stage.graph(text_to(CUSTOMER, "Oi")).await;
        assert!(outcome.is_err(), "the connection was to be closed");
        let accepted = stage.look("/_sandbox/messages?to=%2B5562988880001").await;
        assert_eq!(accepted["items"].as_array().unwrap().len(), sent, "{when}");
    }
    let received = stage.receive(4).await;
    let last = received.last().unwrap().json();
    let status = &last["entry"][0]["changes"][0]["value"]["statuses"][0];
    assert_eq!(status["status"], "read");
    assert_eq!(status["biz_opaque_callback_data"], "outbox:1");
}

#[tokio::test]
async fn an_accepted_message_can_be_made_to_fail_later() {
    let stage = stage().await;
    stage.customer_writes("Oi").await;
    let rules = json!([{ "times": 1, "graph_code": 131_026 }]);
    stage.control("script", json!({ "target": "graph.status", "rules": rules })).await;
    let (status, answer) = stage.send(text_to(CUSTOMER, "Oi")).await;
    assert_eq!(status, 200);
    stage.receive(2).await;
    let statuses = stage.statuses(answer["messages"][0]["id"].as_str().unwrap());
    assert_eq!(statuses[0]["status"], "failed");
    assert_eq!(statuses[0]["errors"][0]["code"], 131_026);
}

#[tokio::test]
async fn a_webhook_whose_answer_is_lost_arrives_twice() {
    let stage = stage().await;
    let rules = json!([{ "times": 1, "drop": "after" }]);
    stage.control("script", json!({ "target": "webhook", "rules": rules })).await;
    stage.customer_writes("Oi").await;
    let received = stage.receive(2).await;
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn openai_fails_in_its_own_words_and_a_reset_ends_it() {
    let stage = stage().await;
    let rules = json!([{ "status": 429, "headers": { "retry-after": "2" } }]);
    stage.control("script", json!({ "target": "openai.chat", "rules": rules })).await;
    let request = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "Oi" }] });
    let (status, error) = stage.openai("chat/completions", request.clone()).await;
    assert_eq!(status, 429);
    assert_eq!(shape(&error), shape(&fixture("openai_error_429")));
    stage.control("reset", json!({})).await;
    assert_eq!(stage.openai("chat/completions", request).await.0, 200);
}
