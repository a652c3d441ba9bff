//! Accounts at Twilio, Evolution API and UAZapi: what they are sent, how they stand, and what they post.
//!
//! A test makes an account, and has a customer write to it; the product does the rest over HTTP. Rooms: [`twilio`],
//! [`evolution`] and [`uazapi`] the three APIs and their webhooks · [`deliver`] how webhooks travel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock;
use crate::control::refuse;
use crate::world::Sandbox;

mod deliver;
mod evolution;
mod twilio;
mod uazapi;

pub(crate) type Shared = State<Arc<Sandbox>>;

/// Every route of the three, and what tests drive.
pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .merge(twilio::routes())
        .merge(evolution::routes())
        .merge(uazapi::routes())
        .route("/_sandbox/accounts", get(find).post(put))
        .route("/_sandbox/accounts/inbound", post(inbound))
        .route("/_sandbox/accounts/state", post(state))
        .route("/_sandbox/accounts/messages", get(messages))
}

/// Which API an account is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    Twilio,
    Evolution,
    Uazapi,
}

/// One account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) provider: Provider,
    /// Twilio: the account SID. Gateways: the instance.
    pub(crate) name: String,
    /// Twilio: the auth token. Evolution: the API key. UAZapi: the token.
    pub(crate) secret: String,
    /// Twilio: the number in E.164. Gateways: digits of the linked phone.
    pub(crate) number: String,
    /// Where webhooks are posted: set by a test, or by the product with the gateways' own call.
    #[serde(default)]
    pub(crate) webhook_url: Option<String>,
    /// Evolution: the key of webhook tokens, set by the product.
    #[serde(default)]
    pub(crate) jwt_key: Option<String>,
    /// Evolution: how long its webhook tokens hold, in seconds; ten minutes, but for a product whose clock runs ahead.
    #[serde(default = "ten_minutes")]
    pub(crate) token_life_s: i64,
    /// Gateways: linked with a phone.
    #[serde(default = "yes")]
    pub(crate) linked: bool,
    /// How far messages get: `sent`, `delivered`, `read` or `failed`.
    #[serde(default = "read")]
    pub(crate) reaches: String,
}

fn ten_minutes() -> i64 {
    600
}

fn yes() -> bool {
    true
}

fn read() -> String {
    "read".to_owned()
}

/// A message that was accepted.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) to: String,
    /// The call's path below the API's address.
    pub(crate) path: String,
    /// The call's body, as JSON.
    pub(crate) body: Value,
    pub(crate) at_ms: i64,
}

/// All accounts, by provider and name, with what they accepted.
#[derive(Debug, Default)]
pub(crate) struct Accounts(BTreeMap<(Provider, String), (Account, Vec<Sent>)>);

impl Accounts {
    /// The accounts alone.
    pub(crate) fn without_messages(mut self) -> Self {
        self.0.values_mut().for_each(|(_, sent)| sent.clear());
        self
    }

    fn find(&self, provider: Provider, name: &str) -> Option<&Account> {
        self.0.get(&(provider, name.to_owned())).map(|(account, _)| account)
    }

    fn find_mut(&mut self, provider: Provider, name: &str) -> Option<&mut Account> {
        self.0.get_mut(&(provider, name.to_owned())).map(|(account, _)| account)
    }

    fn with_secret(&self, provider: Provider, secret: &str) -> Option<&Account> {
        self.0
            .values()
            .map(|(account, _)| account)
            .find(|account| account.provider == provider && account.secret == secret)
    }
}

/// Remembers what an account was asked for.
fn note(sandbox: &Sandbox, account: &Account, sent: Sent) {
    let mut world = sandbox.world();
    if let Some((_, all)) = world.accounts.0.get_mut(&(account.provider, account.name.clone())) {
        all.push(sent);
    }
}

/// Accepts a message; it is followed until it got as far as the account lets it.
fn accept(sandbox: &Arc<Sandbox>, account: &Account, sent: Sent) {
    note(sandbox, account, sent.clone());
    let (sandbox, account) = (sandbox.clone(), account.clone());
    tokio::spawn(async move { progress(&sandbox, &account, &sent).await });
}

async fn progress(sandbox: &Arc<Sandbox>, account: &Account, sent: &Sent) {
    let (sent_ms, delivered_ms, read_ms) = {
        let settings = &sandbox.world().settings;
        (settings.sent_ms, settings.delivered_ms, settings.read_ms)
    };
    if account.provider == Provider::Uazapi && sent.path.starts_with("send/") {
        deliver::post(sandbox, account, uazapi::own(account, sent)).await;
    }
    for (stage, wait) in [("sent", sent_ms), ("delivered", delivered_ms), ("read", read_ms)] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let failed = account.reaches == "failed" && stage == "delivered";
        let stage = if failed { "failed" } else { stage };
        let call = match account.provider {
            // Nobody sees whether an SMS was read.
            Provider::Twilio if stage == "read" => None,
            Provider::Twilio => twilio::status(account, sent, stage),
            Provider::Evolution => Some(evolution::status(account, sent, stage)),
            Provider::Uazapi => uazapi::status(account, sent, stage),
        };
        if let Some(call) = call {
            deliver::post(sandbox, account, call).await;
        }
        if account.reaches == stage {
            return;
        }
    }
}

/// Makes an account, or changes the one of this name.
async fn put(State(sandbox): Shared, Json(account): Json<Account>) -> StatusCode {
    let key = (account.provider, account.name.clone());
    let mut world = sandbox.world();
    let sent = world.accounts.0.remove(&key).map(|(_, sent)| sent).unwrap_or_default();
    world.accounts.0.insert(key, (account, sent));
    StatusCode::CREATED
}

/// The accounts of a name, with what the product set of them.
async fn find(State(sandbox): Shared, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let world = sandbox.world();
    let accounts = world.accounts.0.values().map(|(account, _)| account);
    let items: Vec<&Account> =
        accounts.filter(|account| asked.get("name").is_none_or(|name| account.name == *name)).collect();
    Json(json!({ "items": items })).into_response()
}

/// What a customer does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inbound {
    provider: Provider,
    name: String,
    /// Digits.
    from: String,
    /// The customer's name.
    #[serde(default)]
    customer: Option<String>,
    #[serde(default)]
    text: String,
    /// The message's id, when it must be a certain one.
    #[serde(default)]
    id: Option<String>,
}

async fn inbound(State(sandbox): Shared, Json(asked): Json<Inbound>) -> Response {
    let Some(account) = sandbox.world().accounts.find(asked.provider, &asked.name).cloned() else {
        return refuse(StatusCode::NOT_FOUND, "no such account");
    };
    let id = asked.id.clone().unwrap_or_else(|| new_id(account.provider));
    let call = match account.provider {
        Provider::Twilio => twilio::inbound(&account, &asked, &id),
        Provider::Evolution => evolution::inbound(&account, &asked, &id),
        Provider::Uazapi => uazapi::inbound(&account, &asked, &id),
    };
    let status = deliver::post(&sandbox, &account, call).await;
    (StatusCode::CREATED, Json(json!({ "id": id, "webhook": status }))).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewState {
    provider: Provider,
    name: String,
    linked: bool,
}

/// Links a gateway's phone, or takes it away; the webhook of it is posted.
async fn state(State(sandbox): Shared, Json(asked): Json<NewState>) -> Response {
    let account = {
        let mut world = sandbox.world();
        let Some(account) = world.accounts.find_mut(asked.provider, &asked.name) else {
            return refuse(StatusCode::NOT_FOUND, "no such account");
        };
        account.linked = asked.linked;
        account.clone()
    };
    let call = match account.provider {
        Provider::Twilio => return refuse(StatusCode::UNPROCESSABLE_ENTITY, "an SMS has no phone"),
        Provider::Evolution => evolution::connection(&account),
        Provider::Uazapi => uazapi::connection(&account),
    };
    let status = deliver::post(&sandbox, &account, call).await;
    Json(json!({ "webhook": status })).into_response()
}

/// What an account accepted, oldest first.
async fn messages(State(sandbox): Shared, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let world = sandbox.world();
    let name = asked.get("name").map(String::as_str).unwrap_or_default();
    let items: Vec<&Sent> = world
        .accounts
        .0
        .values()
        .filter(|(account, _)| account.name == name)
        .flat_map(|(_, sent)| sent)
        .collect();
    Json(json!({ "items": items })).into_response()
}

/// An id as each provider makes them.
fn new_id(provider: Provider) -> String {
    let random = hex::encode(rand::random::<[u8; 16]>());
    match provider {
        Provider::Twilio => format!("SM{random}"),
        Provider::Evolution | Provider::Uazapi => format!("3EB0{}", random[..16].to_uppercase()),
    }
}

fn sent(id: String, to: String, path: &str, body: Value) -> Sent {
    Sent { id, to, path: path.to_owned(), body, at_ms: clock::now_ms() }
}
