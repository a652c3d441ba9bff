//! The stand-in for third parties: what customers do, faults to come, and what it received.

use domain::message::Callback;
use serde_json::{Value, json};

use crate::Stack;

/// A client of the sandbox's own routes.
#[derive(Clone, Debug)]
pub struct Sandbox {
    http: reqwest::Client,
    base: String,
}

impl Sandbox {
    /// That of a stack.
    pub fn of(stack: &Stack) -> Self {
        let base = format!("{}/_sandbox", stack.sandbox_url.trim_end_matches('/'));
        Self { http: crate::http_client(), base }
    }

    /// `GET` of one of its routes.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn get(&self, path: &str) -> Value {
        let answer =
            self.http.get(format!("{}/{path}", self.base)).send().await.expect("the sandbox answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "sandbox GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// `POST` of one of its routes.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.base)).json(body);
        let answer = request.send().await.expect("the sandbox answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "sandbox POST {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A customer writes a text to a number of the business; the message's wamid and the customer's WhatsApp id.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn customer_writes(
        &self,
        phone_number_id: &str,
        phone: &str,
        name: &str,
        text: &str,
    ) -> (String, String) {
        let inbound =
            json!({ "from": phone, "name": name, "text": text, "phone_number_id": phone_number_id });
        let answer = self.post("inbound", &inbound).await;
        let field = |name: &str| answer[name].as_str().expect("the sandbox names the message").to_owned();
        (field("id"), field("wa_id"))
    }

    /// Gives customers a file to send; its id.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn keep_file(&self, mime_type: &str, filename: &str, bytes: Vec<u8>) -> String {
        let url = format!("{}/media?filename={filename}", self.base);
        let request = self.http.post(&url).header("content-type", mime_type).body(bytes);
        let answer = request.send().await.expect("the sandbox answers");
        let answer = answer.error_for_status().expect("the sandbox takes a file");
        let answer: Value = answer.json().await.expect("it answers with JSON");
        answer["id"].as_str().expect("the sandbox names the file").to_owned()
    }

    /// The bytes of a file, whoever brought it; `None` when it was forgotten.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn file(&self, media_id: &str) -> Option<Vec<u8>> {
        let answer = self.http.get(format!("{}/media/{media_id}", self.base)).send().await;
        let answer = answer.expect("the sandbox answers").error_for_status().ok()?;
        Some(answer.bytes().await.expect("a whole file").to_vec())
    }

    /// Forgets a file, as Meta does after some days.
    ///
    /// # Panics
    /// When there is none.
    pub async fn forget_file(&self, media_id: &str) {
        let answer = self.http.delete(format!("{}/media/{media_id}", self.base)).send().await;
        let _gone = answer.expect("the sandbox answers").error_for_status().expect("there was one");
    }

    /// A customer sends a file to a number of the business; the message's wamid and the customer's WhatsApp id.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn customer_sends(
        &self,
        phone_number_id: &str,
        phone: &str,
        kind: &str,
        media_id: &str,
        caption: Option<&str>,
    ) -> (String, String) {
        let inbound = json!({
            "from": phone, "name": "Ana Exemplo", "type": kind, "media_id": media_id, "text": caption,
            "phone_number_id": phone_number_id,
        });
        let answer = self.post("inbound", &inbound).await;
        let field = |name: &str| answer[name].as_str().expect("the sandbox names the message").to_owned();
        (field("id"), field("wa_id"))
    }

    /// Orders faults of a target (`graph.messages`, `openai.chat` …) in advance.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn script(&self, target: &str, rules: Value) {
        self.post("script", &json!({ "target": target, "rules": rules })).await;
    }

    /// Every message that the sandbox accepted from a number of the business for a customer, oldest first.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn sent_to(&self, phone_number_id: &str, phone: &str) -> Vec<Value> {
        let path = format!("messages?to={phone}&phone_number_id={phone_number_id}");
        self.get(&path).await["items"].as_array().cloned().unwrap_or_default()
    }

    /// How often the sandbox accepted a message of ours, by our own id, on its first journey and two more.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn accepted(&self, message_id: &str) -> usize {
        let message_id = message_id.parse().expect("an id of ours");
        let mut accepted = 0;
        for journey in 0..3 {
            let path = format!("messages?biz_opaque_callback_data={}", Callback { message_id, journey });
            accepted += self.get(&path).await["items"].as_array().map_or(0, Vec::len);
        }
        accepted
    }
}
