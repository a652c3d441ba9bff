//! Writing to a customer: what is sent, what is only recorded, and what the channel forbids.

use std::time::Duration;

use serde_json::json;
use testkit::new_word;

use crate::inbox::{Inbox, redacted};

#[tokio::test]
async fn a_message_is_sent_and_read() {
    let inbox = Inbox::open(false).await;
    let text = new_word("Seu pedido saiu ");
    let answer = inbox.tenant.api.post("messages", &inbox.text(&text)).await.expect_status(202).body;
    assert_eq!(answer["status"], "queued");
    assert_eq!(answer["author"], "AGENT_PLATFORM", "an API key is another platform's agent");
    let read = inbox.reaches(answer["id"].as_str().unwrap(), &["read"]).await;
    let sent = inbox.arrives(1, Duration::from_secs(5)).await;
    assert_eq!(sent[0]["content"]["body"], text.as_str());
    assert_eq!(sent[0]["id"], read["provider_message_id"]);
}

#[tokio::test]
async fn a_person_writes_as_an_agent_and_takes_over() {
    let inbox = Inbox::open(true).await;
    let person = testkit::Api::log_in(&inbox.stack, &inbox.tenant.email, &inbox.tenant.password).await;
    // The AI's own answer first, so that the turn is over.
    inbox.arrives(1, Duration::from_secs(90)).await;
    let mut body = inbox.text("Oi, aqui é a Bia. Eu cuido disso.");
    body["pause_session"] = json!(true);
    let message = person.post("messages", &body).await.expect_status(202).body;
    assert_eq!(message["author"], "AGENT");
    let session_id = message["session_id"].as_str().unwrap();
    let session = person.get(&format!("sessions/{session_id}")).await.expect_status(200).body;
    assert_eq!(session["status"], "PAUSED");
    let status = person.get(&format!("sessions/{session_id}/ai-status")).await.expect_status(200).body;
    assert_eq!(
        (status["ai_enabled"].as_bool(), status["reason"].as_str()),
        (Some(false), Some("session_paused"))
    );

    inbox.arrives(2, Duration::from_secs(60)).await;
    let line = &inbox.tenant.phone_number_id;
    inbox.sandbox.customer_writes(line, &inbox.phone, "Ana Exemplo", "Obrigada! E o frete?").await;
    // Longer than a turn's window and the model: the AI would have answered.
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(inbox.sandbox.sent_to(line, &inbox.phone).await.len(), 2, "the AI is silent");
}

#[tokio::test]
async fn what_is_only_recorded_is_not_sent() {
    let inbox = Inbox::open(false).await;
    let mut body = inbox.text("Ligamos para a cliente.");
    body["send_external"] = json!(false);
    let message = inbox.tenant.api.post("messages", &body).await.expect_status(202).body;
    assert_eq!(message["status"], "sent");
    // One that is really sent behind it: when that has arrived, the first would have, too.
    let sent = inbox.send("Até logo!").await;
    inbox.reaches(&sent, &["read"]).await;
    assert_eq!(inbox.sandbox.accepted(message["id"].as_str().unwrap()).await, 0);
    assert_eq!(inbox.sandbox.sent_to(&inbox.tenant.phone_number_id, &inbox.phone).await.len(), 1);
    assert_eq!(inbox.messages().await.len(), 3, "all three are in the conversation");
}

#[tokio::test]
async fn outside_the_window_only_a_template_goes() {
    let inbox = Inbox::open(false).await;
    sqlx::query(
        "UPDATE conversations SET last_inbound_at = last_inbound_at - interval '25 hours' WHERE company_id = $1",
    )
    .bind(inbox.tenant.company_id)
    .execute(&inbox.stack.admin())
    .await
    .unwrap();
    let answer = inbox.tenant.api.post("messages", &inbox.text("Oi")).await;
    insta::assert_json_snapshot!("window_closed", answer.body);
    let _problem = answer.expect_problem(409, "window_closed");
    let mut recorded = inbox.text("Só anotado");
    recorded["send_external"] = json!(false);
    let _recorded = inbox.tenant.api.post("messages", &recorded).await.expect_status(202);
    let template = json!({
        "conversation_id": inbox.conversation_id, "type": "template",
        "template": { "name": "order_confirmation", "language": { "code": "pt_BR" } },
    });
    let message = inbox.tenant.api.post("messages", &template).await.expect_status(202).body;
    assert_eq!(message["template"]["name"], "order_confirmation");
}

#[tokio::test]
async fn a_closed_window_offers_the_templates_that_may_be_sent() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let sync = json!({ "connection_id": inbox.tenant.connection_id });
    let _asked = api.post("templates/sync", &sync).await.expect_status(202);
    testkit::eventually("the templates", testkit::PATIENCE, async || {
        let templates = api.get("templates").await.expect_status(200).body;
        (!templates["items"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    let failed = inbox.send("Ainda dentro da janela").await;
    inbox.reaches(&failed, &["read"]).await;
    sqlx::query(
        "WITH late AS (UPDATE conversations SET last_inbound_at = last_inbound_at - interval '25 hours'
                       WHERE company_id = $1)
         UPDATE messages SET status = 'failed' WHERE company_id = $1 AND id = $2",
    )
    .bind(inbox.tenant.company_id)
    .bind(failed.parse::<uuid::Uuid>().unwrap())
    .execute(&inbox.stack.admin())
    .await
    .unwrap();
    let answer = api.post("messages", &inbox.text("Oi")).await;
    insta::assert_json_snapshot!("window_closed_with_templates", redacted(&answer.body));
    let again = api.post(&format!("messages/{failed}/retry"), &json!({})).await;
    assert_eq!(again.body["templates"], answer.body["templates"]);
    let _problem = again.expect_problem(409, "window_closed");

    let by = |name: &str, components: serde_json::Value| {
        json!({
            "conversation_id": inbox.conversation_id, "type": "template",
            "template": { "name": name, "language": { "code": "pt_BR" }, "components": components },
        })
    };
    let none = json!([]);
    let paused = api.post("messages", &by("retomar_pausado", none.clone())).await;
    insta::assert_json_snapshot!("template_paused", paused.body);
    let _problem = paused.expect_problem(409, "template_paused");
    let unknown = api.post("messages", &by("nao_existe", none.clone())).await;
    let _problem = unknown.expect_problem(409, "template_not_found");
    let parameters = json!([{ "type": "body", "parameters": [] }]);
    let empty = api.post("messages", &by("retomar_conversa", parameters)).await;
    insta::assert_json_snapshot!("template_without_parameters", empty.body);
    let _problem = empty.expect_problem(422, "invalid");
    let parameters = json!([{ "type": "body", "parameters": [{ "type": "text", "text": "Ana" }] }]);
    let good = api.post("messages", &by("retomar_conversa", parameters)).await.expect_status(202).body;
    inbox.reaches(good["id"].as_str().unwrap(), &["read"]).await;
}

#[tokio::test]
async fn what_failed_is_sent_again_whoever_wrote_it_here() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let failed = async |id: &str, by_phone: bool| {
        sqlx::query(
            "UPDATE messages SET status = 'failed', attempts = CASE WHEN $3 THEN 0 ELSE attempts END
             WHERE company_id = $1 AND id = $2",
        )
        .bind(inbox.tenant.company_id)
        .bind(id.parse::<uuid::Uuid>().unwrap())
        .bind(by_phone)
        .execute(&inbox.stack.admin())
        .await
        .unwrap();
        api.post(&format!("messages/{id}/retry"), &json!({})).await
    };
    let mut text = inbox.text("Sua nota chegou");
    text["author"] = json!("BUSINESS");
    let written = api.post("messages", &text).await.expect_status(202).body["id"].clone();
    let written = written.as_str().unwrap();
    inbox.reaches(written, &["read"]).await;
    let _queued = failed(written, false).await.expect_status(202);
    inbox.reaches(written, &["read"]).await;
    // The phone's app sends its own: the provider's id is there, and nobody tried here.
    let _problem = failed(written, true).await.expect_problem(409, "conflict");
}

#[tokio::test]
async fn a_message_that_is_on_its_way_cannot_be_sent_again() {
    let inbox = Inbox::open(false).await;
    let id = inbox.send("Oi").await;
    inbox.reaches(&id, &["read"]).await;
    let answer = inbox.tenant.api.post(&format!("messages/{id}/retry"), &json!({})).await;
    insta::assert_json_snapshot!("retry_of_a_read_message", answer.body);
    let _problem = answer.expect_problem(409, "conflict");
}
