//! Webhook bodies as Meta sends them, and their signature.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::Tenant;

/// The value of `X-Hub-Signature-256`.
///
/// # Panics
/// Never: HMAC takes a key of any length.
pub fn sign(app_secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// One change: messages with the contacts who wrote them, or statuses.
pub fn change(phone_number_id: &str, contacts: &[Value], messages: &[Value], statuses: &[Value]) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "16505550100", "phone_number_id": phone_number_id },
    });
    for (name, items) in [("contacts", contacts), ("messages", messages), ("statuses", statuses)] {
        if !items.is_empty() {
            value[name] = json!(items);
        }
    }
    json!({ "field": "messages", "value": value })
}

/// A whole body with one entry.
pub fn body(waba_id: &str, changes: &[Value]) -> Value {
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": waba_id, "changes": changes }] })
}

/// Who wrote.
pub fn contact(wa_id: &str, name: &str) -> Value {
    json!({ "wa_id": wa_id, "profile": { "name": name } })
}

/// A text message. `timestamp` in Unix seconds.
pub fn text(wa_id: &str, wamid: &str, timestamp: i64, text: &str) -> Value {
    json!({
        "from": wa_id, "id": wamid, "timestamp": timestamp.to_string(), "type": "text", "text": { "body": text }
    })
}

/// A delivery status. `timestamp` in Unix seconds.
pub fn status(wa_id: &str, wamid: &str, timestamp: i64, status: &str) -> Value {
    json!({ "id": wamid, "status": status, "timestamp": timestamp.to_string(), "recipient_id": wa_id })
}

impl Tenant {
    /// Posts a body to the connection's webhook, signed with its app secret; the HTTP status.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn deliver(&self, body: impl Into<Vec<u8>>) -> u16 {
        let body = body.into();
        let signature = sign(&self.app_secret, &body);
        self.deliver_signed(body, Some(&signature)).await.0
    }

    /// Posts a body with any signature; the HTTP status and the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn deliver_signed(&self, body: impl Into<Vec<u8>>, signature: Option<&str>) -> (u16, Value) {
        let mut request = crate::http_client()
            .post(&self.webhook_url)
            .header("content-type", "application/json")
            .body(body.into());
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let answer = request.send().await.expect("the webhook answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// A customer writes a text, now; the HTTP status.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn deliver_text(&self, wa_id: &str, wamid: &str, said: &str) -> u16 {
        let message = text(wa_id, wamid, crate::now_seconds(), said);
        let change = change(&self.phone_number_id, &[contact(wa_id, "Ana Exemplo")], &[message], &[]);
        self.deliver(body(&self.waba_id, &[change]).to_string()).await
    }
}
