//! Where the parts of a running stack are: the file that the local stack writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A running stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Stack {
    /// The HTTP API, or the origin that it is under.
    pub api_url: String,
    /// Where browsers open their WebSocket, without a query.
    pub websocket_url: String,
    /// The stand-in for third parties.
    pub sandbox_url: String,
    /// PostgreSQL as the application role.
    pub database_url: String,
    /// PostgreSQL as the superuser.
    pub admin_database_url: String,
    /// The stand-in for AWS.
    pub aws_endpoint_url: String,
    /// Webhook addresses, to be followed by a slug.
    pub webhook_urls: WebhookUrls,
    /// The demo company.
    pub demo: Demo,
    /// The template's outputs: names of queues, tables, secrets.
    pub outputs: BTreeMap<String, String>,
    /// Processes, by name.
    #[serde(default)]
    pub pids: BTreeMap<String, u32>,
}

/// Webhook addresses by provider.
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookUrls {
    /// The WhatsApp Cloud API's.
    pub meta: String,
    /// Twilio's.
    pub twilio: String,
    /// That of the gateways.
    pub gateway: String,
}

/// The demo company.
#[derive(Clone, Debug, Deserialize)]
pub struct Demo {
    /// Its owner's address.
    pub email: String,
    /// Its owner's password.
    pub password: String,
    /// Its id.
    pub company_id: uuid::Uuid,
    /// An API key with its owner's rights.
    pub api_key: String,
    /// Its connections.
    pub connections: DemoConnections,
}

/// The demo company's connections.
#[derive(Clone, Debug, Deserialize)]
pub struct DemoConnections {
    /// WhatsApp.
    pub whatsapp_cloud: DemoConnection,
}

/// A WhatsApp connection.
#[derive(Clone, Debug, Deserialize)]
pub struct DemoConnection {
    /// Its id.
    pub id: uuid::Uuid,
    /// Its place in webhook addresses.
    pub slug: String,
    /// The Cloud API's id of the number.
    pub phone_number_id: String,
    /// Key of webhook signatures.
    pub app_secret: String,
    /// Token of the verification call.
    pub verify_token: String,
}

impl Stack {
    /// Reads the file that `STACK_FILE` names, by default `.local/test/stack.json` of the checkout.
    ///
    /// # Panics
    /// When there is none; the message says how to start a stack.
    #[track_caller]
    pub fn load() -> Self {
        let path = file();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "no running stack: {} cannot be read ({error}).\nStart one and leave it running:\n  \
                 cargo run -p local -- up --state .local/test --port-base 18700\n\
                 or let STACK_FILE name the stack.json of another.",
                path.display()
            )
        });
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{} is not what the local stack writes: {error}", path.display()))
    }

    /// The origin that everything but the sandbox is under, without a slash at its end.
    ///
    /// # Panics
    /// When `api_url` is no URL.
    pub fn origin(&self) -> String {
        let url = reqwest::Url::parse(&self.api_url).expect("api_url is a URL");
        url.origin().ascii_serialization()
    }

    /// The webhook address of a WhatsApp connection.
    pub fn meta_webhook(&self, slug: &str) -> String {
        format!("{}/{slug}", self.webhook_urls.meta.trim_end_matches('/'))
    }

    /// Asks the launcher to `stop`, `start`, `kill` or `restart` PostgreSQL; returns when it is done.
    ///
    /// # Panics
    /// When it could not.
    pub async fn postgres(&self, act: &str) {
        let url = format!("{}/_local/postgres/{act}", self.origin());
        let answer = crate::http_client().post(&url).send().await.expect("the front door answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "POST {url}: {status} {text}");
    }

    /// Sends SIGKILL to the running processes of a function; how many there were.
    ///
    /// # Panics
    /// When the launcher does not answer with success.
    pub async fn kill_workers(&self, function: &str) -> u64 {
        let url = format!("{}/_local/workers/{function}/kill", self.origin());
        let answer = crate::http_client().post(&url).send().await.expect("the front door answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "POST {url}: {status} {text}");
        let answer: serde_json::Value = serde_json::from_str(&text).expect("the launcher answers with JSON");
        answer["killed"].as_u64().unwrap_or_else(|| panic!("POST {url}: {text}"))
    }

    /// Connections to PostgreSQL as the superuser, who sees every company.
    ///
    /// # Panics
    /// When `admin_database_url` is no PostgreSQL URL.
    pub fn admin(&self) -> sqlx::PgPool {
        pool(&self.admin_database_url)
    }

    /// Connections to PostgreSQL as the application role, whom row-level security binds.
    ///
    /// # Panics
    /// When `database_url` is no PostgreSQL URL.
    pub fn application(&self) -> sqlx::PgPool {
        pool(&self.database_url)
    }
}

fn pool(url: &str) -> sqlx::PgPool {
    sqlx::postgres::PgPoolOptions::new().max_connections(4).connect_lazy(url).expect("a PostgreSQL URL")
}

/// The checkout that the tests were built from.
///
/// # Panics
/// When the checkout is gone.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the checkout is where it was built")
}

fn file() -> PathBuf {
    let named = std::env::var_os("STACK_FILE").map(PathBuf::from);
    checkout().join(named.unwrap_or_else(|| ".local/test/stack.json".into()))
}
