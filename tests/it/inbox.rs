//! Steps that many tests take: a customer who is known, their conversation, its messages.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Api, PATIENCE, Sandbox, Stack, Tenant, TenantOptions, eventually, new_phone, new_word};

/// A company of the test's own, and one customer who wrote to it.
pub(crate) struct Inbox {
    pub(crate) stack: Stack,
    pub(crate) sandbox: Sandbox,
    pub(crate) tenant: Tenant,
    pub(crate) phone: String,
    pub(crate) wa_id: String,
    pub(crate) contact_id: String,
    pub(crate) conversation_id: String,
}

impl Inbox {
    /// The customer has written once; the 24-hour window is open.
    pub(crate) async fn open(persona: bool) -> Self {
        let stack = Stack::load();
        let tenant = Tenant::seed(&stack, TenantOptions { persona, ..TenantOptions::default() }).await;
        let sandbox = Sandbox::of(&stack);
        let phone = new_phone();
        let (_, wa_id) =
            sandbox.customer_writes(&tenant.phone_number_id, &phone, "Ana Exemplo", &new_word("Oi ")).await;
        let conversation = conversation_of(&tenant.api, &wa_id).await;
        let text = |name: &str| conversation[name].as_str().unwrap().to_owned();
        let (contact_id, conversation_id) = (text("contact_id"), text("id"));
        Self { stack, sandbox, tenant, phone, wa_id, contact_id, conversation_id }
    }

    /// A text for the customer, as the API takes it.
    pub(crate) fn text(&self, text: &str) -> Value {
        json!({ "conversation_id": self.conversation_id, "type": "text", "text": text })
    }

    /// Queues a text for the customer; its id.
    pub(crate) async fn send(&self, text: &str) -> String {
        let answer = self.tenant.api.post("messages", &self.text(text)).await.expect_status(202);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// All messages of the conversation, oldest first.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        messages_of(&self.tenant.api, &self.conversation_id).await
    }

    /// Waits until a message has one of these statuses.
    pub(crate) async fn reaches(&self, message_id: &str, statuses: &[&str]) -> Value {
        self.reaches_within(message_id, statuses, PATIENCE).await
    }

    /// As [`Self::reaches`], with a limit of its own.
    pub(crate) async fn reaches_within(&self, message_id: &str, statuses: &[&str], limit: Duration) -> Value {
        let path = format!("messages/{message_id}");
        eventually(&format!("message {message_id} to be {statuses:?}"), limit, async || {
            let message = self.tenant.api.get(&path).await.expect_status(200).body;
            statuses.contains(&message["status"].as_str().unwrap()).then_some(message)
        })
        .await
    }

    /// Waits until the customer's phone has `count` messages of the business.
    pub(crate) async fn arrives(&self, count: usize, limit: Duration) -> Vec<Value> {
        eventually(&format!("{count} messages on the customer's phone"), limit, async || {
            let sent = self.sandbox.sent_to(&self.tenant.phone_number_id, &self.phone).await;
            (sent.len() >= count).then_some(sent)
        })
        .await
    }
}

/// Waits until the customer with this WhatsApp id has a conversation.
pub(crate) async fn conversation_of(api: &Api, wa_id: &str) -> Value {
    eventually("the customer's conversation", PATIENCE, async || {
        let contacts = api.all("contacts", 100).await;
        let contact = contacts.into_iter().find(|contact| {
            let addresses = contact["addresses"].as_array().unwrap();
            addresses.iter().any(|address| address["kind"] == "wa_id" && address["value"] == wa_id)
        })?;
        let path = format!("conversations?contact_id={}", contact["id"].as_str().unwrap());
        api.all(&path, 100).await.into_iter().next()
    })
    .await
}

/// All messages of a conversation, oldest first.
pub(crate) async fn messages_of(api: &Api, conversation_id: &str) -> Vec<Value> {
    let mut messages = api.all(&format!("conversations/{conversation_id}/messages"), 100).await;
    messages.reverse();
    messages
}

/// Ids and our own times replaced by words, so that an answer can be compared with that of another run.
pub(crate) fn redacted(value: &Value) -> Value {
    const OURS: [&str; 8] = [
        "created_at",
        "updated_at",
        "expires_at",
        "session_expires_at",
        "erased_at",
        "added_at",
        "requested_at",
        "finished_at",
    ];
    match value {
        Value::String(text) if uuid::Uuid::parse_str(text).is_ok() => json!("[id]"),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let ours = OURS.contains(&name.as_str()) && value.is_string();
                (name.clone(), if ours { json!("[time]") } else { redacted(value) })
            });
            Value::Object(fields.collect())
        }
        _ => value.clone(),
    }
}
