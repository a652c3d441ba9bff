//! What Meta says about a token: whether it works, until when, and for which accounts.

use chrono::{DateTime, Utc};
use domain::inbound::ProviderFault;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::client::WhatsAppCloud;
use super::error::SendError;
use super::lenient::{as_text, instant, list, text};

/// Subcode of a token whose time is over.
const EXPIRED: &str = "463";

/// The right to send.
pub(super) const SENDING: &str = "whatsapp_business_messaging";

/// What a token needs, to hear of an account and to send.
const SCOPES: [&str; 2] = ["whatsapp_business_management", SENDING];

/// A token in Meta's eyes (`debug_token`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// It may be used.
    pub is_valid: bool,
    /// Its time is over.
    pub is_expired: bool,
    /// The app that it was made for.
    pub app_id: Option<String>,
    /// When its time is over; `None` when never.
    pub expires_at: Option<DateTime<Utc>>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// What it may do for the accounts that stand beside it alone; for all when none does.
    pub granular_scopes: Vec<(String, Vec<String>)>,
    /// Why it may not be used.
    pub error: Option<ProviderFault>,
}

impl TokenInfo {
    /// Whether it may be used by `app_id` to manage an account and to send for it.
    pub fn covers(&self, app_id: &str, waba_id: &str) -> bool {
        let is_granted = |name: &&str| {
            let of_name: Vec<_> = self.granular_scopes.iter().filter(|(scope, _)| scope == name).collect();
            if of_name.is_empty() {
                // A right that stands in the other list alone is one to every account.
                return self.scopes.iter().any(|scope| scope == name);
            }
            of_name.iter().any(|(_, accounts)| accounts.is_empty() || accounts.iter().any(|id| id == waba_id))
        };
        self.is_valid && self.app_id.as_deref() == Some(app_id) && SCOPES.iter().all(is_granted)
    }
}

impl WhatsAppCloud {
    /// Asks about `token`. `by` is the token of its app (`<app id>|<app secret>`), or itself.
    ///
    /// # Errors
    /// [`SendError`], among others when `by` itself does not work; an unknown outcome may be tried again.
    pub async fn inspect_token(
        &self,
        token: &SecretString,
        by: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<TokenInfo, SendError> {
        let request = self.authorised(Method::GET, "debug_token", by);
        // Meta takes the token in the query alone.
        let body = self.call(request.query(&[("input_token", token.expose_secret())])).await?.json()?;
        let data = &body["data"];
        if !data.is_object() {
            return Err(SendError::unreadable("nothing about the token in it".to_owned()));
        }
        // 0 is never.
        let end = instant(data.get("expires_at")).filter(|at| at.timestamp() != 0);
        let accounts = |scope: &Value| list(scope, "target_ids").iter().filter_map(as_text).collect();
        let granular = list(data, "granular_scopes").iter();
        let error = data.get("error").filter(|error| error.is_object());
        let told_expired = error.and_then(|error| text(error, "subcode")).is_some_and(|code| code == EXPIRED);
        Ok(TokenInfo {
            is_valid: data["is_valid"].as_bool().unwrap_or(false),
            is_expired: told_expired || end.is_some_and(|at| at <= now),
            app_id: text(data, "app_id"),
            expires_at: end,
            scopes: list(data, "scopes").iter().filter_map(as_text).collect(),
            granular_scopes: granular
                .filter_map(|scope| Some((text(scope, "scope")?, accounts(scope))))
                .collect(),
            error: error.map(|error| ProviderFault {
                code: text(error, "code").unwrap_or_else(|| "190".to_owned()),
                title: text(error, "message").unwrap_or_else(|| "the token may not be used".to_owned()),
                detail: None,
            }),
        })
    }
}
