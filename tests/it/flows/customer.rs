//! A customer of a flow who asks something, and all that is known of them afterwards.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{Flow, new_phone, new_word};

use crate::inbox::redacted;

/// Somebody whose words no other test uses.
pub(super) struct Customer {
    pub(super) phone: String,
    pub(super) wa_id: String,
    pub(super) word: String,
}

impl Customer {
    /// Asks for something; the webhook is on its way.
    pub(super) async fn asks(flow: &Flow) -> Self {
        let word = new_word("palavra");
        Self::asks_for(flow, word).await
    }

    /// Asks for something that the test knows already.
    pub(super) async fn asks_for(flow: &Flow, word: String) -> Self {
        let phone = new_phone();
        let line = &flow.tenant.phone_number_id;
        let asked = format!("Oi, vocês têm {word}?");
        let (_, wa_id) = flow.sandbox.customer_writes(line, &phone, "Ana Exemplo", &asked).await;
        Self { phone, wa_id, word }
    }

    /// Writes again.
    pub(super) async fn writes(&self, flow: &Flow, text: &str) {
        let line = &flow.tenant.phone_number_id;
        flow.sandbox.customer_writes(line, &self.phone, "Ana Exemplo", text).await;
    }

    /// What the database has committed about the customer; `Null` before there is anything.
    pub(super) async fn stored(&self, flow: &Flow) -> Value {
        let stored: Option<Value> = sqlx::query_scalar(
            "SELECT jsonb_build_object(
                 'conversation_id', c.id, 'contact_id', c.contact_id, 'unread', c.unread_count,
                 'messages', (SELECT jsonb_agg(jsonb_build_object('id', id, 'direction', direction, 'author', author,
                                  'text', text, 'status', status, 'error', error, 'attempts', attempts,
                                  'turn_part', turn_part, 'at_provider', provider_message_id IS NOT NULL,
                                  'sent', sent_at IS NOT NULL, 'delivered', delivered_at IS NOT NULL,
                                  'read', read_at IS NOT NULL) ORDER BY occurred_at, id)
                              FROM messages m WHERE m.company_id = c.company_id AND m.conversation_id = c.id),
                 'turns', (SELECT jsonb_agg(jsonb_build_object('state', state, 'reason', reason, 'version', version)
                                            ORDER BY id)
                           FROM turns t WHERE t.company_id = c.company_id AND t.conversation_id = c.id),
                 'sessions', (SELECT jsonb_agg(jsonb_build_object('status', status, 'reason', status_reason)
                                               ORDER BY id)
                              FROM sessions s WHERE s.company_id = c.company_id AND s.conversation_id = c.id))
             FROM conversations c WHERE c.company_id = $1 AND c.address_value = $2",
        )
        .bind(flow.tenant.company_id)
        .bind(&self.wa_id)
        .fetch_optional(&flow.admin)
        .await
        .unwrap();
        stored.unwrap_or_default()
    }

    /// What arrived on the customer's phone.
    pub(super) async fn received(&self, flow: &Flow) -> Vec<Value> {
        flow.sandbox.sent_to(&flow.tenant.phone_number_id, &self.phone).await
    }

    /// The business has seen what the customer wrote, as the phone shows it.
    pub(super) async fn is_seen(&self, flow: &Flow) -> bool {
        let path = format!("messages?from={}&phone_number_id={}", self.phone, flow.tenant.phone_number_id);
        flow.sandbox.get(&path).await["items"][0]["stage"] == "read"
    }

    /// Steps until the customer has read `count` messages of the business, and the database knows.
    pub(super) async fn reads(&self, flow: &Flow, count: usize) -> Value {
        flow.until(&format!("{count} messages to be read"), async || {
            let stored = self.stored(flow).await;
            let read =
                stored["messages"].as_array().into_iter().flatten().filter(|one| one["status"] == "read");
            (read.count() == count).then_some(stored)
        })
        .await
    }

    /// Everything that is known in the end: what is stored, what arrived, what was told. The same for all customers of
    /// whom the same happened.
    pub(super) async fn known(&self, flow: &Flow, events: &[Value]) -> Value {
        let stored = self.stored(flow).await;
        let received = self.received(flow).await;
        let phone: Vec<_> =
            received.iter().map(|message| json!([message["content"]["body"], message["stage"]])).collect();
        let known = json!({ "phone": phone, "told": told(&stored, events), "stored": redacted(&stored) });
        serde_json::from_str(&known.to_string().replace(&self.word, "[word]")).unwrap()
    }
}

/// What was told at least once. Of the statuses only the last: reports that come together are told as one.
fn told(stored: &Value, events: &[Value]) -> BTreeSet<String> {
    let ids =
        ["conversation_id", "contact_id"].map(|name| stored[name].as_str().unwrap_or("nobody").to_owned());
    let about = |event: &&Value| {
        let text = event.to_string();
        ids.iter().any(|id| text.contains(id))
    };
    let told = events.iter().filter(about).map(|event| {
        let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}{}", word("type"), word("direction"), word("status"))
    });
    told.filter(|event| !event.starts_with("message.status") || event.ends_with("read")).collect()
}
