//! News that comes late, or out of order: what is newer stands.

use axum::http::Method;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::webhook::{body, change, contact, status, text};
use testkit::{Flow, Step, TenantOptions, new_word, now_seconds};

use super::customer::Customer;

const OLD: &str = "556281230001";
const NEW: &str = "556281230002";

async fn quiet() -> Flow {
    Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await
}

/// A customer's message, `age` seconds old.
fn said(flow: &Flow, wa_id: &str, age: i64) -> Value {
    let message = text(wa_id, &new_word("wamid."), now_seconds() - age, "Oi");
    change(&flow.tenant.phone_number_id, &[contact(wa_id, "Ana")], &[message], &[])
}

/// The provider's notice that the customer changed number, `age` seconds old.
fn moved(flow: &Flow, age: i64) -> Value {
    let notice = json!({
        "from": OLD, "id": new_word("wamid."), "timestamp": (now_seconds() - age).to_string(), "type": "system",
        "system": { "type": "user_changed_number", "wa_id": NEW, "body": "Ana changed from +1 to +2" },
    });
    change(&flow.tenant.phone_number_id, &[], &[notice], &[])
}

/// The customer stops or resumes marketing, `age` seconds ago.
pub(super) fn prefers(flow: &Flow, customer: Value, value: &str, age: i64) -> Value {
    let mut preference = json!({
        "category": "marketing_messages", "value": value, "timestamp": now_seconds() - age,
        "detail": "said so",
    });
    preference.as_object_mut().unwrap().extend(customer.as_object().unwrap().clone());
    json!({ "field": "user_preferences", "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "16505550100", "phone_number_id": flow.tenant.phone_number_id },
        "user_preferences": [preference],
    } })
}

/// Brings changes, in this order, one call each or all in one.
pub(super) async fn brings(flow: &Flow, calls: &[&[Value]]) {
    for changes in calls {
        let _answer = flow.deliver(&body(&flow.tenant.waba_id, changes).to_string()).await.expect_status(200);
        while flow.step(Queue::Inbound).await != Step::Nothing {}
    }
}

/// Where the answers of the company's conversations go.
async fn addresses(flow: &Flow) -> Vec<String> {
    sqlx::query_scalar("SELECT address_value FROM conversations WHERE company_id = $1 ORDER BY id")
        .bind(flow.tenant.company_id)
        .fetch_all(&flow.admin)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_late_message_does_not_bring_the_old_number_back() {
    let flow = quiet().await;
    brings(&flow, &[&[said(&flow, OLD, 100)], &[moved(&flow, 50)], &[said(&flow, OLD, 80)]]).await;
    assert_eq!(addresses(&flow).await, [NEW]);
    brings(&flow, &[&[said(&flow, NEW, 10)]]).await;
    assert_eq!(addresses(&flow).await, [NEW], "one customer, one conversation");
    flow.end().await;
}

#[tokio::test]
async fn a_first_message_and_a_new_number_in_one_call_are_one_customer() {
    let flow = quiet().await;
    brings(&flow, &[&[said(&flow, OLD, 100), moved(&flow, 50)], &[said(&flow, NEW, 10)]]).await;
    assert_eq!(addresses(&flow).await, [NEW]);
    flow.end().await;
}

/// Which contacts refuse marketing.
async fn refusals(flow: &Flow) -> Vec<bool> {
    sqlx::query_scalar(
        "SELECT marketing_opted_out_at IS NOT NULL FROM contacts WHERE company_id = $1 ORDER BY id",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap()
}

#[tokio::test]
async fn an_older_resume_does_not_undo_a_stop() {
    let flow = quiet().await;
    let customer = || json!({ "wa_id": OLD });
    brings(&flow, &[&[said(&flow, OLD, 100)], &[prefers(&flow, customer(), "stop", 20)]]).await;
    assert_eq!(refusals(&flow).await, [true]);
    brings(&flow, &[&[prefers(&flow, customer(), "resume", 60)]]).await;
    assert_eq!(refusals(&flow).await, [true], "said before the stop");
    brings(&flow, &[&[prefers(&flow, customer(), "resume", 5)]]).await;
    assert_eq!(refusals(&flow).await, [false]);
    flow.end().await;
}

#[tokio::test]
async fn a_stop_is_heard_from_whoever_says_it() {
    let flow = quiet().await;
    // Nobody has heard of this customer; and then by another address than the one that is known.
    brings(&flow, &[&[prefers(&flow, json!({ "wa_id": OLD }), "stop", 50)]]).await;
    assert_eq!(refusals(&flow).await, [true]);
    let both = json!({ "wa_id": OLD, "user_id": "BR.77" });
    brings(&flow, &[&[prefers(&flow, both, "resume", 40)]]).await;
    brings(&flow, &[&[prefers(&flow, json!({ "user_id": "BR.77" }), "stop", 30)]]).await;
    assert_eq!(refusals(&flow).await, [true], "one customer with two addresses");
    flow.end().await;
}

/// A customer who wrote, with the conversation to write into.
pub(super) async fn known_customer(flow: &Flow) -> (Customer, Value) {
    let customer = Customer::asks(flow).await;
    let stored = flow.until("the message to be stored", async || {
        let stored = customer.stored(flow).await;
        (!stored.is_null()).then_some(stored)
    });
    let conversation_id = stored.await["conversation_id"].clone();
    (customer, conversation_id)
}

async fn sends(flow: &Flow, conversation_id: &Value, text: &str) -> String {
    let message = json!({ "conversation_id": conversation_id, "type": "text", "text": text });
    let answer = flow.api(Method::POST, "messages", Some(&message)).await.expect_status(202);
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn shown(flow: &Flow, id: &str) -> Value {
    flow.api(Method::GET, &format!("messages/{id}"), None).await.expect_status(200).body
}

#[tokio::test]
async fn what_is_told_of_the_first_journey_does_not_concern_the_second() {
    let flow = Flow::start(TenantOptions::default()).await;
    let (customer, conversation_id) = known_customer(&flow).await;
    let rule = json!({ "times": 1, "graph_code": 131_026, "contains": customer.word });
    flow.sandbox.script("graph.messages", json!([rule])).await;
    let id = sends(&flow, &conversation_id, &format!("Temos {}!", customer.word)).await;
    flow.until("the refusal", async || (shown(&flow, &id).await["status"] == "failed").then_some(())).await;
    let _again = flow.api(Method::POST, &format!("messages/{id}/retry"), None).await.expect_status(202);

    let late = |word: &str| {
        let mut report = status(&customer.wa_id, "wamid.of-the-first-journey", now_seconds(), word);
        report["biz_opaque_callback_data"] = json!(id);
        change(&flow.tenant.phone_number_id, &[], &[], &[report])
    };
    brings(&flow, &[&[late("sent")], &[late("delivered")]]).await;
    assert_eq!(shown(&flow, &id).await["status"], "queued", "it still has to go");
    let stored = customer.reads(&flow, 1).await;
    assert_eq!(stored["messages"][1]["status"], "read");
    assert_eq!(customer.received(&flow).await.len(), 1);
    flow.end().await;
}

#[tokio::test]
async fn a_message_does_not_overtake_the_one_before_it_whose_job_is_late() {
    let flow = Flow::start(TenantOptions::default()).await;
    let (customer, conversation_id) = known_customer(&flow).await;
    let first = sends(&flow, &conversation_id, "A").await;
    // Its job is not on the queue yet, as when the hand-over failed.
    let late = flow.withhold(Queue::Outbound).await;
    assert_eq!(late.len(), 1);
    let second = sends(&flow, &conversation_id, "B").await;
    assert_eq!(flow.step(Queue::Outbound).await, Step::Done);
    flow.hand_over(Queue::Outbound, late).await;
    customer.reads(&flow, 2).await;
    let sent: Vec<_> =
        customer.received(&flow).await.iter().map(|sent| sent["biz_opaque_callback_data"].clone()).collect();
    assert_eq!(sent, [json!(first), json!(second)]);
    flow.end().await;
}

#[tokio::test]
async fn several_that_are_late_go_in_order() {
    let flow = Flow::start(TenantOptions::default()).await;
    let (customer, conversation_id) = known_customer(&flow).await;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(json!(sends(&flow, &conversation_id, &format!("{number}")).await));
    }
    let mut late = flow.withhold(Queue::Outbound).await;
    assert_eq!(late.len(), 4);
    // The last one's job alone is on time.
    let on_time = vec![late.pop().unwrap()];
    flow.hand_over(Queue::Outbound, on_time).await;
    assert_eq!(flow.step(Queue::Outbound).await, Step::Done);
    assert_eq!(flow.queued(Queue::Outbound).await, 0, "it was dealt with");
    flow.hand_over(Queue::Outbound, late).await;
    customer.reads(&flow, 4).await;
    let sent: Vec<_> =
        customer.received(&flow).await.iter().map(|sent| sent["biz_opaque_callback_data"].clone()).collect();
    assert_eq!(sent, ids);
    flow.end().await;
}

#[tokio::test]
async fn a_number_is_not_held_back_by_news_that_names_an_id_only() {
    let flow = quiet().await;
    let mut by_id = said(&flow, OLD, 100);
    by_id["value"]["contacts"][0]["user_id"] = json!("BR.5");
    brings(&flow, &[&[by_id]]).await;
    let mut id_only = said(&flow, OLD, 20);
    id_only["value"]["contacts"] = json!([{ "user_id": "BR.5", "profile": { "name": "Ana" } }]);
    let message = id_only["value"]["messages"][0].as_object_mut().unwrap();
    message.remove("from");
    message.insert("from_user_id".to_owned(), json!("BR.5"));
    brings(&flow, &[&[id_only], &[moved(&flow, 50)]]).await;
    assert_eq!(
        addresses(&flow).await,
        [NEW],
        "the notice is older than the last message, and newer than the number"
    );
    flow.end().await;
}

#[tokio::test]
async fn a_connection_whose_secrets_do_not_open_fails_its_messages_at_once() {
    let flow = Flow::start(TenantOptions::default()).await;
    let (_, conversation_id) = known_customer(&flow).await;
    let swap = "UPDATE connections SET access_token = verify_token WHERE company_id = $1";
    sqlx::query(swap).bind(flow.tenant.company_id).execute(&flow.admin).await.unwrap();
    let id = sends(&flow, &conversation_id, "Temos!").await;
    flow.until("the failure", async || (shown(&flow, &id).await["status"] == "failed").then_some(())).await;
    let message = shown(&flow, &id).await;
    assert_eq!(message["error"]["code"], "connection_unusable", "{message}");
    assert_eq!(flow.queued(Queue::Outbound).await, 0, "nothing stands in the way of the next one");
    flow.end().await;
}

#[tokio::test]
async fn an_answer_to_a_message_of_the_same_call_finds_it() {
    let flow = quiet().await;
    let first = new_word("wamid.");
    let mut answer = text(OLD, &new_word("wamid."), now_seconds(), "E este aqui?");
    answer["context"] = json!({ "from": OLD, "id": first });
    let messages = [text(OLD, &first, now_seconds() - 1, "Oi"), answer];
    brings(&flow, &[&[change(&flow.tenant.phone_number_id, &[contact(OLD, "Ana")], &messages, &[])]]).await;
    let shown = flow.api(Method::GET, "messages", None).await.expect_status(200).body;
    assert_eq!(shown["items"][0]["reply_to_id"], shown["items"][1]["id"], "{shown:#}");
    flow.end().await;
}
