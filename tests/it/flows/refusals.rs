//! What may not be sent, and is not: refused before the provider is called, when a message is written and when it is sent
//! again.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::{Flow, TenantOptions, new_phone, new_word};

use super::consents::ledger;
use super::contacts::{get, path_of, post};
use super::late_news::known_customer;
use super::line::{Line, message, reaches, send};
use crate::inbox::redacted;

/// A message by the account's template that asks to go on.
fn by_template(conversation_id: &Value, word: &str) -> Value {
    let parameters = json!([{ "type": "body", "parameters": [{ "type": "text", "text": word }] }]);
    json!({
        "conversation_id": conversation_id, "type": "template",
        "template": { "name": "retomar_conversa", "language": { "code": "pt_BR" }, "components": parameters },
    })
}

/// Brings the account's templates over.
async fn bring_templates(flow: &Flow) {
    let sync = json!({ "connection_id": flow.tenant.connection_id });
    let _asked = post(flow, "templates/sync", sync).await.expect_status(202);
    flow.pump().await;
}

/// A message by the template that Meta refuses for `code`.
async fn refused(flow: &Flow, conversation_id: &Value, code: i64) -> Value {
    let word = new_word("refused");
    let rule = json!({ "times": 1, "graph_code": code, "contains": word });
    flow.sandbox.script("graph.messages", json!([rule])).await;
    let sent = post(flow, "messages", by_template(conversation_id, &word)).await.expect_status(202).body;
    reaches(flow, &sent["id"], "failed").await
}

fn retry(message: &Value) -> String {
    format!("{}/retry", path_of(message, "messages"))
}

#[tokio::test]
async fn who_stopped_marketing_is_sent_none() {
    let flow = Flow::start(TenantOptions::default()).await;
    let (customer, conversation_id) = known_customer(&flow).await;
    bring_templates(&flow).await;
    let failed = refused(&flow, &conversation_id, 131_050).await;
    assert_eq!(failed["error"]["code"], "131050");
    let contact = get(&flow, "contacts").await["items"][0].clone();
    assert!(contact["marketing_opted_out_at"].is_string() && contact["opted_out_at"].is_null());
    insta::assert_json_snapshot!("marketing_refused_by_meta", ledger(&flow).await);
    let answer = post(&flow, "messages", by_template(&conversation_id, "Ana")).await;
    insta::assert_json_snapshot!("marketing_opted_out", answer.body);
    let _problem = answer.expect_problem(409, "marketing_opted_out");
    let again = flow.api(Method::POST, &retry(&failed), None).await;
    let _problem = again.expect_problem(409, "marketing_opted_out");
    let text = json!({ "conversation_id": conversation_id, "type": "text", "text": "Seu pedido saiu" });
    let sent = post(&flow, "messages", text).await.expect_status(202).body;
    reaches(&flow, &sent["id"], "read").await;
    assert!(!customer.received(&flow).await.is_empty());
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn what_may_not_be_sent_any_more_is_not_sent_again() {
    let flow = Flow::start(TenantOptions::default()).await;
    let (_, conversation_id) = known_customer(&flow).await;
    bring_templates(&flow).await;
    let failed = refused(&flow, &conversation_id, 131_026).await;
    sqlx::query("UPDATE templates SET status = 'paused' WHERE company_id = $1 AND name = 'retomar_conversa'")
        .bind(flow.tenant.company_id)
        .execute(&flow.admin)
        .await
        .unwrap();
    let again = flow.api(Method::POST, &retry(&failed), None).await;
    let _problem = again.expect_problem(409, "template_paused");
    assert_eq!(message(&flow, &failed["id"]).await["status"], "failed");
    let contact = get(&flow, "contacts").await["items"][0].clone();
    let erase = format!("{}/erase", path_of(&contact, "contacts"));
    let _asked = flow.api(Method::POST, &erase, None).await.expect_status(202);
    flow.pump().await;
    let again = flow.api(Method::POST, &retry(&failed), None).await;
    let _problem = again.expect_problem(409, "contact_erased");
    flow.end().await;
}

#[tokio::test]
async fn who_wants_no_sms_is_sent_none_before_they_want_them_again() {
    let flow = Flow::start(TenantOptions::default()).await;
    let line = Line::open(&flow, "twilio_sms").await;
    let phone = new_phone();
    line.writes(&flow, &phone, "Yes").await;
    flow.pump().await;
    assert!(ledger(&flow).await.is_empty(), "an answer like others");
    let conversation = line.conversation(&flow).await;
    let waiting = send(&flow, &conversation, "Ainda não saiu").await.expect_status(202).body;
    flow.clock.pass(TimeDelta::minutes(1));
    let contact = get(&flow, "contacts").await["items"][0].clone();
    let opt_out = format!("{}/opt-out", path_of(&contact, "contacts"));
    let _contact = flow.api(Method::POST, &opt_out, None).await.expect_status(200);
    let failed = reaches(&flow, &waiting["id"], "failed").await;
    insta::assert_json_snapshot!("sms_to_who_opted_out", redacted(&failed["error"]));
    let answer = send(&flow, &conversation, "Promoção").await;
    insta::assert_json_snapshot!("contact_opted_out", answer.body);
    let _problem = answer.expect_problem(409, "contact_opted_out");
    let again = flow.api(Method::POST, &retry(&failed), None).await;
    let _problem = again.expect_problem(409, "contact_opted_out");
    assert!(line.accepted(&flow).await.is_empty(), "Twilio was not called");

    // Nobody who wrote since the clock runs ahead is older than what the company heard.
    sqlx::query("UPDATE contacts SET consent_changed_at = consent_changed_at - interval '1 day' WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .execute(&flow.admin)
        .await
        .unwrap();
    line.writes(&flow, &phone, "yes").await;
    flow.pump().await;
    let sent = send(&flow, &conversation, "De novo").await.expect_status(202).body;
    reaches(&flow, &sent["id"], "delivered").await;
    flow.pump().await;
    flow.end().await;
}
