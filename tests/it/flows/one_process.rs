//! A whole conversation through the real handlers in one process: no window is waited for, and nothing runs besides.

use axum::http::Method;
use chrono::TimeDelta;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::webhook::{body, change, contact, text};
use testkit::{Flow, Step, TenantOptions, new_word, now_seconds};

use super::customer::Customer;

async fn answering() -> Flow {
    Flow::start(TenantOptions { persona: true, ..TenantOptions::default() }).await
}

#[tokio::test]
async fn a_question_is_answered_and_followed_until_it_is_read() {
    let flow = answering().await;
    let customer = Customer::asks(&flow).await;
    let stored = customer.reads(&flow, 1).await;
    let received = customer.received(&flow).await;

    let path = format!("conversations/{}/messages", stored["conversation_id"].as_str().unwrap());
    let shown = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    let [reply, question] = shown["items"].as_array().unwrap().as_slice() else {
        panic!("two messages: {shown:#}")
    };
    assert_eq!(question["text"], format!("Oi, vocês têm {}?", customer.word));
    assert_eq!((&question["author"], &question["status"]), (&json!("CUSTOMER"), &json!("received")));
    assert_eq!((&reply["author"], &reply["status"]), (&json!("AI"), &json!("read")));
    assert_eq!(received.len(), 1);
    assert_eq!(reply["text"], received[0]["content"]["body"]);
    assert_eq!(reply["provider_message_id"], received[0]["id"]);
    assert_eq!(reply["id"], received[0]["biz_opaque_callback_data"]);

    let known = customer.known(&flow, &flow.events().await).await;
    let told = [
        "contact.created ",
        "message.created inbound",
        "message.created outbound",
        "message.status read",
        "session.changed ",
    ];
    assert_eq!(known["told"], json!(told));
    flow.end().await;
}

#[tokio::test]
async fn a_burst_that_goes_on_gets_one_answer_and_the_next_burst_another() {
    let flow = answering().await;
    let customer = Customer::asks(&flow).await;
    stores(&flow, &customer, 1).await;
    customer.writes(&flow, "E quanto custa?").await;
    stores(&flow, &customer, 2).await;
    assert_eq!(flow.queued(Queue::Turns).await, 2, "a job a message");
    customer.reads(&flow, 1).await;
    assert_eq!(customer.received(&flow).await.len(), 1, "the first job found the turn grown");

    customer.writes(&flow, "Obrigada! E o frete?").await;
    let stored = customer.reads(&flow, 2).await;
    let turns = json!([
        { "state": "answered", "reason": null, "version": 2 },
        { "state": "answered", "reason": null, "version": 1 },
    ]);
    assert_eq!(stored["turns"], turns);
    assert_eq!(customer.received(&flow).await.len(), 2);
    flow.end().await;
}

/// Nothing but the inbound consumer runs until the customer has so many messages.
async fn stores(flow: &Flow, customer: &Customer, count: usize) {
    testkit::eventually("the message to be stored", testkit::PATIENCE, async || {
        flow.step(Queue::Inbound).await;
        let stored = customer.stored(flow).await;
        (stored["messages"].as_array().map_or(0, Vec::len) == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_consumer_gives_back_comes_again_before_what_is_behind_it() {
    let flow = Flow::start(TenantOptions::default()).await;
    let customer = Customer::asks(&flow).await;
    stores(&flow, &customer, 1).await;
    let conversation_id = customer.stored(&flow).await["conversation_id"].clone();
    let rule = json!({ "times": 2, "graph_code": 130_429, "contains": customer.word });
    flow.sandbox.script("graph.messages", json!([rule])).await;
    let mut ids: Vec<Value> = Vec::new();
    for text in [format!("Temos {}!", customer.word), "Quer que eu separe?".to_owned()] {
        let message = json!({ "conversation_id": conversation_id, "type": "text", "text": text });
        let answer = flow.api(Method::POST, "messages", Some(&message)).await.expect_status(202);
        ids.push(answer.body["id"].clone());
    }
    assert_eq!(flow.step(Queue::Outbound).await, Step::Done);
    assert_eq!(flow.queued(Queue::Outbound).await, 2, "the first was refused, so the second waits");
    customer.reads(&flow, 2).await;
    let sent: Vec<_> =
        customer.received(&flow).await.iter().map(|sent| sent["biz_opaque_callback_data"].clone()).collect();
    assert_eq!(sent, ids);
    flow.end().await;
}

#[tokio::test]
async fn a_turn_whose_job_is_lost_is_answered_all_the_same() {
    let flow = answering().await;
    let customer = Customer::asks(&flow).await;
    stores(&flow, &customer, 1).await;
    assert_eq!(flow.withhold(Queue::Turns).await.len(), 1);
    flow.clock.pass(TimeDelta::minutes(11));
    flow.rescue_turns().await;
    assert_eq!(flow.withhold(Queue::Turns).await.len(), 1, "asked for again, and lost again");
    flow.rescue_turns().await;
    assert_eq!(flow.queued(Queue::Turns).await, 0, "not asked for every minute");
    flow.clock.pass(TimeDelta::minutes(11));
    flow.rescue_turns().await;
    customer.reads(&flow, 1).await;
    flow.end().await;
}

#[tokio::test]
async fn an_endless_letter_does_not_silence_the_ai() {
    let flow = answering().await;
    let customer = Customer::asks(&flow).await;
    stores(&flow, &customer, 1).await;
    for _ in 0..8 {
        customer.writes(&flow, &"Muito comprido. ".repeat(3_000)).await;
    }
    stores(&flow, &customer, 9).await;
    customer.reads(&flow, 1).await;
    flow.end().await;
}

#[tokio::test]
async fn a_wrong_signature_leaves_nothing_behind() {
    let flow = Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let message = text("556281234567", &new_word("wamid."), now_seconds(), "Oi");
    let change = change(&flow.tenant.phone_number_id, &[contact("556281234567", "Ana")], &[message], &[]);
    let whole = body(&flow.tenant.waba_id, &[change]).to_string();
    let wrong = testkit::webhook::sign("another secret", whole.as_bytes());
    for signature in [None, Some(wrong.as_str())] {
        let answer = flow.webhook(whole.clone(), signature).await;
        let _problem = answer.expect_problem(401, "unauthenticated");
    }
    assert_eq!(flow.queued(Queue::Inbound).await, 0);
    flow.end().await;
}

#[tokio::test]
async fn a_process_remembers_a_caller_and_the_next_one_asks() {
    let flow = answering().await;
    let _answer = flow.api(Method::GET, "conversations", None).await.expect_status(200);
    // Somewhere else the key is revoked: here nobody asks for half a minute.
    sqlx::query("UPDATE api_keys SET revoked_at = now() WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .execute(&flow.admin)
        .await
        .unwrap();
    let _answer = flow.api(Method::GET, "conversations", None).await.expect_status(200);
    let flow = flow.without_meta_app().await;
    let _problem = flow.api(Method::GET, "conversations", None).await.expect_problem(401, "unauthenticated");
    flow.end().await;
}
