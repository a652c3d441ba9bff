//! A connection to Twilio, Evolution API or UAZapi, and its account at the sandbox.

use axum::http::Method;
use providers::{evolution, twilio};
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::{Answer, Flow, new_id, new_phone};

use crate::product::Product;

/// A connection of a company, and its account at the sandbox.
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    /// The account's name at the sandbox.
    pub(crate) account: String,
    pub(crate) provider: &'static str,
    /// Below [`Product::webhook_origin`].
    pub(crate) webhook_path: String,
}

/// Longer than a flow's clock runs ahead.
const DAYS: i64 = 1_000_000;

impl Line {
    pub(crate) async fn open(product: &impl Product, kind: &'static str) -> Self {
        let number = if kind == "twilio_sms" { new_number() } else { new_phone() };
        Self::open_as(product, kind, &number).await
    }

    /// Makes an account with this number at the sandbox and the connection to it; everything that follows has happened.
    pub(crate) async fn open_as(product: &impl Product, kind: &'static str, number: &str) -> Self {
        let secret = new_id().simple().to_string();
        let (provider, account) = match kind {
            "twilio_sms" => ("twilio", format!("AC{secret}")),
            _ => (kind, format!("loja-{secret}")),
        };
        let mut at_sandbox = json!({
            "provider": provider, "name": account, "secret": secret, "number": number, "token_life_s": DAYS,
        });
        product.sandbox().post("accounts", &at_sandbox).await;
        let new = new_connection(product, kind, &account, &secret, number);
        let made = product.api(Method::POST, "connections", Some(&new)).await.expect_status(201).body;
        let url = made["webhook_url"].as_str().unwrap();
        let webhook_path = url.strip_prefix(&product.webhook_origin()).unwrap().to_owned();
        let id = made["id"].as_str().unwrap().to_owned();
        let line = Self { id, kind, account, provider, webhook_path };
        product
            .until("the connection to work", async || {
                (line.shown(product).await["state"] == "connected").then_some(())
            })
            .await;
        if provider == "twilio" {
            // A person sets it in Twilio's console.
            at_sandbox["webhook_url"] = url.into();
            product.sandbox().post("accounts", &at_sandbox).await;
        }
        line
    }

    /// The account's secret at the provider, as it was made.
    pub(crate) fn secret(&self) -> &str {
        self.account.trim_start_matches("loja-").trim_start_matches("AC")
    }

    pub(crate) async fn shown(&self, product: &impl Product) -> Value {
        product.api(Method::GET, &format!("connections/{}", self.id), None).await.expect_status(200).body
    }

    /// Posts a body to the webhook as the provider does: Twilio a form to its address of messages or of statuses (`about`),
    /// a gateway JSON of its instance. The HTTP status.
    pub(crate) async fn deliver(&self, product: &impl Product, about: &str, body: &Value) -> u16 {
        let json_type = ("content-type", "application/json");
        match self.kind {
            "twilio_sms" => {
                let path = format!("{}/{about}", self.webhook_path);
                let url = format!("{}{path}", product.webhook_origin());
                let form = body.as_str().unwrap();
                let token = SecretString::from(self.secret().to_owned());
                let signature = twilio::signature::sign(&token, &url, form.as_bytes());
                let headers = [
                    ("content-type", "application/x-www-form-urlencoded"),
                    ("x-twilio-signature", signature.as_str()),
                ];
                product.call_webhook(&path, &headers, form.to_owned()).await
            }
            "evolution" => {
                let account = product.sandbox().get(&format!("accounts?name={}", self.account)).await;
                let key = SecretString::from(account["items"][0]["jwt_key"].as_str().unwrap().to_owned());
                let authorization = evolution::signature::sign(&key, product.now());
                let mut body = body.clone();
                body["instance"] = self.account.clone().into();
                let headers = [json_type, ("authorization", authorization.as_str())];
                product.call_webhook(&self.webhook_path, &headers, body.to_string()).await
            }
            _ => {
                let mut body = body.clone();
                body["token"] = self.secret().into();
                product.call_webhook(&self.webhook_path, &[json_type], body.to_string()).await
            }
        }
    }

    /// A customer writes; the provider's id of it.
    pub(crate) async fn writes(&self, product: &impl Product, phone: &str, text: &str) -> String {
        let from = phone.trim_start_matches('+');
        let said = json!({
            "provider": self.provider, "name": self.account, "from": from, "customer": "Ana Exemplo", "text": text,
        });
        let answer = product.sandbox().post("accounts/inbound", &said).await;
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

    /// The conversations that run over it.
    pub(crate) async fn conversations(&self, product: &impl Product) -> Vec<Value> {
        let path = format!("conversations?connection_id={}&include_groups=true", self.id);
        let found = product.api(Method::GET, &path, None).await.expect_status(200).body;
        found["items"].as_array().unwrap().clone()
    }

    /// The one conversation that runs over it.
    pub(super) async fn conversation(&self, product: &impl Product) -> Value {
        let mut found = self.conversations(product).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }
}

pub(super) fn new_number() -> String {
    format!("+1650555{:04}", new_id().as_u128() % 10_000)
}

pub(super) fn new_connection(
    product: &impl Product,
    kind: &str,
    account: &str,
    secret: &str,
    number: &str,
) -> Value {
    let base_url = format!("{}/{kind}", product.stack().sandbox_url.trim_end_matches('/'));
    let mut new = match kind {
        "twilio_sms" => json!({ "account_sid": account, "auth_token": secret, "sender": number }),
        "evolution" => json!({ "base_url": base_url, "instance": account, "api_key": secret }),
        _ => json!({ "base_url": base_url, "token": secret }),
    };
    new["kind"] = kind.into();
    new["name"] = format!("Loja por {kind}").into();
    new
}

pub(crate) async fn send(product: &impl Product, conversation: &Value, text: &str) -> Answer {
    let new = json!({ "conversation_id": conversation["id"], "type": "text", "text": text });
    product.api(Method::POST, "messages", Some(&new)).await
}

pub(super) async fn message(product: &impl Product, id: &Value) -> Value {
    product
        .api(Method::GET, &format!("messages/{}", id.as_str().unwrap()), None)
        .await
        .expect_status(200)
        .body
}

pub(crate) async fn reaches(product: &impl Product, id: &Value, status: &str) -> Value {
    product
        .until(&format!("the message to be {status}"), async || {
            Some(message(product, id).await).filter(|message| message["status"] == status)
        })
        .await
}
