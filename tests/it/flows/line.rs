//! A connection to Twilio, Evolution API or UAZapi, and its account at the sandbox.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::{Answer, Flow, new_id, new_phone};

/// A connection of a flow's company, and its account at the sandbox.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) kind: &'static str,
    /// The account's name at the sandbox.
    pub(super) account: String,
    pub(super) provider: &'static str,
    /// Below the flow's own address.
    pub(super) webhook_path: String,
}

/// Longer than a flow's clock runs ahead.
const DAYS: i64 = 1_000_000;

impl Line {
    pub(super) async fn open(flow: &Flow, kind: &'static str) -> Self {
        let word = new_id().simple().to_string();
        match kind {
            "twilio_sms" => Self::open_as(flow, kind, &format!("AC{word}"), &word, &new_number()).await,
            _ => Self::open_as(flow, kind, &format!("loja-{word}"), &word, &new_phone()).await,
        }
    }

    /// Makes the account at the sandbox and the connection to it; everything that follows has happened.
    pub(super) async fn open_as(
        flow: &Flow,
        kind: &'static str,
        account: &str,
        secret: &str,
        number: &str,
    ) -> Self {
        let provider = if kind == "twilio_sms" { "twilio" } else { kind };
        let mut at_sandbox = json!({
            "provider": provider, "name": account, "secret": secret, "number": number, "token_life_s": DAYS,
        });
        flow.sandbox.post("accounts", &at_sandbox).await;
        let new = new_connection(flow, kind, account, secret, number);
        let made = flow.api(Method::POST, "connections", Some(&new)).await.expect_status(201).body;
        flow.pump().await;
        let url = made["webhook_url"].as_str().unwrap();
        if provider == "twilio" {
            // A person sets it in Twilio's console.
            at_sandbox["webhook_url"] = url.into();
            flow.sandbox.post("accounts", &at_sandbox).await;
        }
        let webhook_path = url.strip_prefix(&flow.stack.webhook_urls.meta).unwrap().to_owned();
        let id = made["id"].as_str().unwrap().to_owned();
        Self { id, kind, account: account.to_owned(), provider, webhook_path }
    }

    pub(super) async fn shown(&self, flow: &Flow) -> Value {
        flow.api(Method::GET, &format!("connections/{}", self.id), None).await.expect_status(200).body
    }

    /// A customer writes; the provider's id of it.
    pub(super) async fn writes(&self, flow: &Flow, phone: &str, text: &str) -> String {
        let from = phone.trim_start_matches('+');
        let said = json!({
            "provider": self.provider, "name": self.account, "from": from, "customer": "Ana Exemplo", "text": text,
        });
        let answer = flow.sandbox.post("accounts/inbound", &said).await;
        assert_eq!(answer["webhook"], 200, "the webhook takes it");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Gives the account another secret at the provider; the one before it.
    pub(super) async fn change_secret(&self, flow: &Flow, secret: &str) -> String {
        let mut found = flow.sandbox.get(&format!("accounts?name={}", self.account)).await;
        let mut account = found["items"][0].take();
        let known = account["secret"].as_str().unwrap().to_owned();
        account["secret"] = secret.into();
        flow.sandbox.post("accounts", &account).await;
        known
    }

    /// What the account accepted of messages, oldest first.
    pub(super) async fn accepted(&self, flow: &Flow) -> Vec<Value> {
        let all = flow.sandbox.get(&format!("accounts/messages?name={}", self.account)).await;
        let is_message = |it: &&Value| {
            let path = it["path"].as_str().unwrap();
            path.starts_with("message/send") || path.starts_with("send/") || path == "Messages.json"
        };
        all["items"].as_array().unwrap().iter().filter(is_message).cloned().collect()
    }

    /// The one conversation that runs over it.
    pub(super) async fn conversation(&self, flow: &Flow) -> Value {
        let path = format!("conversations?connection_id={}&include_groups=true", self.id);
        let mut found = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found:#}");
        found["items"][0].take()
    }
}

pub(super) fn new_number() -> String {
    format!("+1650555{:04}", new_id().as_u128() % 10_000)
}

pub(super) fn new_connection(flow: &Flow, kind: &str, account: &str, secret: &str, number: &str) -> Value {
    let base_url = format!("{}/{kind}", flow.stack.sandbox_url.trim_end_matches('/'));
    let mut new = match kind {
        "twilio_sms" => json!({ "account_sid": account, "auth_token": secret, "sender": number }),
        "evolution" => json!({ "base_url": base_url, "instance": account, "api_key": secret }),
        _ => json!({ "base_url": base_url, "token": secret }),
    };
    new["kind"] = kind.into();
    new["name"] = format!("Loja por {kind}").into();
    new
}

pub(super) async fn send(flow: &Flow, conversation: &Value, text: &str) -> Answer {
    let new = json!({ "conversation_id": conversation["id"], "type": "text", "text": text });
    flow.api(Method::POST, "messages", Some(&new)).await
}

pub(super) async fn message(flow: &Flow, id: &Value) -> Value {
    flow.api(Method::GET, &format!("messages/{}", id.as_str().unwrap()), None).await.expect_status(200).body
}

pub(super) async fn reaches(flow: &Flow, id: &Value, status: &str) -> Value {
    flow.until(&format!("the message to be {status}"), async || {
        Some(message(flow, id).await).filter(|message| message["status"] == status)
    })
    .await
}
