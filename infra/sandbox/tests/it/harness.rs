//! A sandbox on a free port, and the product's webhook in miniature.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sandbox::{Application, Config, Line};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "sandbox-access-token";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const CUSTOMER: &str = "+5562988880001";
pub(crate) const WA_ID: &str = "556288880001";
/// Client id and secret.
pub(crate) const GOOGLE: (&str, &str) = ("0-exemplo.apps.googleusercontent.com", "GOCSPX-exemplo");
/// App id and secret.
pub(crate) const FACEBOOK: (&str, &str) = ("100000000000099", "fedcba9876543210fedcba9876543210");
const NUMBER: &str = "100000000000002";

/// What the product's webhook received.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Product {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<u16>>,
}

pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    product: Arc<Product>,
}

pub(crate) async fn stage() -> Stage {
    let product = Arc::new(Product::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(take).with_state(product.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let config = Config {
        address: "127.0.0.1:0".parse().unwrap(),
        line: Line {
            phone_number_id: NUMBER.into(),
            waba_id: "100000000000001".into(),
            display_phone: "16505550100".into(),
            verified_name: "Loja Exemplo".into(),
            access_token: TOKEN.into(),
            app_secret: SECRET.into(),
            verify_token: "token-exemplo".into(),
            webhook_url: Some(format!("http://{address}/webhooks/meta/loja")),
        },
        openai_key: "sk-sandbox-0000".into(),
        google: Application { client_id: GOOGLE.0.into(), client_secret: GOOGLE.1.into() },
        facebook: Application { client_id: FACEBOOK.0.into(), client_secret: FACEBOOK.1.into() },
    };
    let running = sandbox::start(config).await.unwrap();
    let stage = Stage { url: running.url(), http: reqwest::Client::builder().build().unwrap(), product };
    let quick = json!({
        "sent_ms": 10, "delivered_ms": 30, "read_ms": 30,
        "webhook": { "retry_first_ms": 40, "gather_ms": 60 },
    });
    stage.control("settings", quick).await;
    stage
}

async fn take(
    State(product): State<Arc<Product>>,
    uri: http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    if let Some(query) = uri.query().filter(|query| query.contains("hub.mode")) {
        let pairs: std::collections::HashMap<_, _> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        return (StatusCode::OK, pairs["hub.challenge"].clone());
    }
    let signature = headers.get("x-hub-signature-256").map_or("", |value| value.to_str().unwrap()).to_owned();
    product.received.lock().unwrap().push(Received { signature, body, at: Instant::now() });
    let status = product.answers.lock().unwrap().pop_front().unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), String::new())
}

impl Stage {
    /// The next webhooks are answered with these, later ones with 200.
    pub(crate) fn answer_with(&self, statuses: &[u16]) {
        self.product.answers.lock().unwrap().extend(statuses);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.product.received.lock().unwrap().clone()
    }

    /// Waits until so many webhooks came.
    pub(crate) async fn receive(&self, count: usize) -> Vec<Received> {
        for _ in 0..400 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {} of {count} webhooks came", self.received().len());
    }

    /// Everything that came for a status, in order: `sent`, `delivered`, …
    pub(crate) fn statuses(&self, id: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for received in self.received() {
            for change in received.json()["entry"][0]["changes"].as_array().unwrap() {
                let statuses = change["value"]["statuses"].as_array();
                let of_message = statuses.into_iter().flatten().filter(|s| s["id"] == id);
                found.extend(of_message.cloned());
            }
        }
        found
    }

    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let address = format!("{}/_sandbox/{path}", self.url);
        let response = self.http.post(address).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap_or_default()
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        let address = format!("{}{path}", self.url);
        self.http.get(address).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn customer_writes(&self, text: &str) -> String {
        let inbound = json!({ "from": CUSTOMER, "name": "Ana", "text": text });
        let answer = self.control("inbound", inbound).await;
        answer["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn graph(&self, body: Value) -> reqwest::Result<reqwest::Response> {
        self.http
            .post(format!("{}/graph/v23.0/{NUMBER}/messages", self.url))
            .bearer_auth(TOKEN)
            .json(&body)
            .send()
            .await
    }

    pub(crate) async fn send(&self, body: Value) -> (u16, Value) {
        let response = self.graph(body).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn openai(&self, path: &str, body: Value) -> (u16, Value) {
        let response = self
            .http
            .post(format!("{}/openai/v1/{path}", self.url))
            .bearer_auth("sk-sandbox-0000")
            .json(&body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

pub(crate) fn text_to(to: &str, body: &str) -> Value {
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": to,
        "type": "text", "text": { "body": body },
        "biz_opaque_callback_data": "outbox:1",
    })
}

pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Names and types, without the values: what "the same shape" means. Of a list, its first item.
pub(crate) fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => json!([items.first().map(shape)]),
        Value::Object(object) => {
            let shapes = object.iter().map(|(name, value)| (name.clone(), shape(value)));
            Value::Object(shapes.collect())
        }
    }
}
