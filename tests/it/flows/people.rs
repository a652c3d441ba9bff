//! Steps that tests about contacts take: people write by a webhook, and what is known of them afterwards.

use axum::http::Method;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::webhook::{body, change, contact, text};
use testkit::{Answer, Flow, Step, TenantOptions, new_id, new_phone, new_word, now_seconds};
use uuid::Uuid;

/// A company that nobody answers for, and that no third party knows.
pub(super) async fn quiet() -> Flow {
    Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await
}

/// The digits of a number that no other test uses.
pub(super) fn number() -> String {
    new_phone().trim_start_matches('+').to_owned()
}

/// Somebody writes; the webhook has taken it, and no consumer has. The provider's id of the message.
pub(super) async fn says(flow: &Flow, wa_id: &str, name: &str, words: &str) -> String {
    let id = new_word("wamid.");
    let message = text(wa_id, &id, now_seconds(), words);
    let change = change(&flow.tenant.phone_number_id, &[contact(wa_id, name)], &[message], &[]);
    let whole = body(&flow.tenant.waba_id, &[change]).to_string();
    let _answer = flow.deliver(&whole).await.expect_status(200);
    id
}

/// Consumers take what was said.
pub(super) async fn hear(flow: &Flow) {
    while flow.step(Queue::Inbound).await != Step::Nothing {}
}

/// Somebody writes, and it is stored; who that is.
pub(super) async fn writes(flow: &Flow, wa_id: &str, name: &str, words: &str) -> String {
    says(flow, wa_id, name, words).await;
    hear(flow).await;
    contact_of(flow, wa_id).await.unwrap().to_string()
}

/// Whose a WhatsApp address is.
pub(super) async fn contact_of(flow: &Flow, wa_id: &str) -> Option<Uuid> {
    sqlx::query_scalar(
        "SELECT contact_id FROM contact_addresses WHERE company_id = $1 AND kind = 'wa_id' AND value = $2",
    )
    .bind(flow.tenant.company_id)
    .bind(wa_id)
    .fetch_optional(&flow.admin)
    .await
    .unwrap()
}

pub(super) async fn get(flow: &Flow, path: &str) -> Value {
    flow.api(Method::GET, path, None).await.expect_status(200).body
}

pub(super) async fn post(flow: &Flow, path: &str, body: Value) -> Answer {
    flow.api(Method::POST, path, Some(&body)).await
}

/// What a contact and the company said to each other, oldest first.
pub(super) async fn words(flow: &Flow, contact_id: &str) -> Vec<String> {
    let history = get(flow, &format!("sessions/by-contact/{contact_id}")).await;
    let messages = history["all_messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The ids of a contact's conversations, in their own order.
pub(super) async fn conversations(flow: &Flow, contact_id: &str) -> Vec<String> {
    let page = get(flow, &format!("conversations?contact_id={contact_id}")).await;
    let rows = page["items"].as_array().unwrap().iter();
    let mut ids: Vec<_> = rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

/// The company records what it said into a conversation, and nothing leaves.
pub(super) async fn notes_down(flow: &Flow, conversation_id: &str, words: &str) {
    let message =
        json!({ "conversation_id": conversation_id, "type": "text", "text": words, "send_external": false });
    let _message = post(flow, "messages", message).await.expect_status(202);
}

/// A contact as an import would make it: with fields, and without a word.
pub(super) async fn insert(flow: &Flow, fields: Value) -> String {
    let id = new_id();
    let mut row = json!({
        "company_id": flow.tenant.company_id, "id": id, "name": "", "source": "import", "bypass_bots": false,
        "custom": {}, "tags": [], "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    sqlx::query(
        "INSERT INTO contacts (company_id, id, name, phone, email, source, external_id, bypass_bots, custom, tags,
             opted_out_at, created_at, updated_at)
         SELECT company_id, id, name, phone, email, source, external_id, bypass_bots, custom, tags, opted_out_at,
                created_at, updated_at
         FROM jsonb_populate_record(NULL::contacts, $1)",
    )
    .bind(row)
    .execute(&flow.admin)
    .await
    .unwrap();
    id.to_string()
}

/// Somebody else who works for the company; their id.
pub(super) async fn member(flow: &Flow) -> Value {
    let id = new_id();
    sqlx::query(
        "WITH person AS (INSERT INTO users (id, email, name)
                         VALUES ($2, $2 || '@example.com', 'Bia Exemplo'))
         INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'agent')",
    )
    .bind(flow.tenant.company_id)
    .bind(id)
    .execute(&flow.admin)
    .await
    .unwrap();
    json!(id)
}
