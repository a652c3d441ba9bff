//! Delays and habits, changed while running by `POST /_sandbox/settings`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Every field can be posted alone; the others keep their value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Milliseconds from acceptance to the status `sent`.
    pub(crate) sent_ms: u64,
    /// Milliseconds from acceptance to the status `delivered`.
    pub(crate) delivered_ms: u64,
    /// Milliseconds from `delivered` to `read` when `auto_read` is on.
    pub(crate) read_ms: u64,
    /// Customers read without anyone opening their phone.
    pub(crate) auto_read: bool,
    /// Milliseconds that Meta looks at a new or changed template.
    pub(crate) review_ms: u64,
    /// Free-form messages fail (131047) unless the customer wrote within 24 hours.
    pub(crate) enforce_window: bool,
    /// Milliseconds a chat completion takes.
    pub(crate) openai_latency_ms: u64,
    /// How people log in.
    pub(crate) identity: IdentitySettings,
    /// How webhooks travel.
    pub(crate) webhook: WebhookSettings,
}

/// How people log in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IdentitySettings {
    /// Who logs in without being asked.
    pub(crate) continue_as: ContinueAs,
    /// Milliseconds that codes can be exchanged.
    pub(crate) code_ms: i64,
    /// Laid over the claims of Google's tokens, to make wrong ones: null takes a claim away. Null in place of all
    /// ends it.
    pub(crate) id_token_claims: Option<Map<String, Value>>,
}

/// A subject or an address each; null asks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ContinueAs {
    pub(crate) google: Option<String>,
    pub(crate) facebook: Option<String>,
}

/// How webhooks travel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebhookSettings {
    /// Nothing is delivered while on; what comes waits.
    pub(crate) paused: bool,
    /// Milliseconds waited before the first attempt.
    pub(crate) delay_ms: u64,
    /// Chance, 0 to 100, that a body that was taken is delivered again.
    pub(crate) duplicate_percent: u8,
    /// Updates of all customers are gathered for `gather_ms` and sent in random order.
    pub(crate) shuffle: bool,
    /// Updates in one POST, 1 to 1000. Above 1 they are gathered for `gather_ms`.
    pub(crate) batch_size: usize,
    /// See `shuffle` and `batch_size`.
    pub(crate) gather_ms: u64,
    /// Write `/` as `\/`, as Meta does.
    pub(crate) escape_slashes: bool,
    /// Milliseconds before the second attempt; each later one waits twice as long.
    pub(crate) retry_first_ms: u64,
    /// The longest wait between attempts.
    pub(crate) retry_max_ms: u64,
    /// Inbound media carry a `url`, which not every account gets.
    pub(crate) media_url: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sent_ms: 150,
            delivered_ms: 400,
            read_ms: 1000,
            auto_read: true,
            review_ms: 300,
            enforce_window: true,
            openai_latency_ms: 0,
            identity: IdentitySettings::default(),
            webhook: WebhookSettings::default(),
        }
    }
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self { continue_as: ContinueAs::default(), code_ms: 600_000, id_token_claims: None }
    }
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            paused: false,
            delay_ms: 0,
            duplicate_percent: 0,
            shuffle: false,
            batch_size: 1,
            gather_ms: 200,
            escape_slashes: true,
            retry_first_ms: 1000,
            retry_max_ms: 60_000,
            media_url: true,
        }
    }
}
