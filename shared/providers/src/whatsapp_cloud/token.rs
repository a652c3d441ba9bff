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
    /// The WhatsApp accounts that it may manage.
    pub waba_ids: Vec<String>,
    /// Why it may not be used.
    pub error: Option<ProviderFault>,
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
        let body = self.call(request.query(&[("input_token", token.expose_secret())])).await?.json()?;
        let data = &body["data"];
        if !data.is_object() {
            return Err(SendError::unreadable("nothing about the token in it".to_owned()));
        }
        // 0 is never.
        let end = instant(data.get("expires_at")).filter(|at| at.timestamp() != 0);
        let error = data.get("error").filter(|error| error.is_object());
        let told_expired = error.and_then(|error| text(error, "subcode")).is_some_and(|code| code == EXPIRED);
        Ok(TokenInfo {
            is_valid: data["is_valid"].as_bool().unwrap_or(false),
            is_expired: told_expired || end.is_some_and(|at| at <= now),
            app_id: text(data, "app_id"),
            expires_at: end,
            scopes: list(data, "scopes").iter().filter_map(as_text).collect(),
            waba_ids: accounts(data),
            error: error.map(|error| ProviderFault {
                code: text(error, "code").unwrap_or_else(|| "190".to_owned()),
                title: text(error, "message").unwrap_or_else(|| "the token may not be used".to_owned()),
                detail: None,
            }),
        })
    }
}

/// A right without targets is one to all accounts: none is named.
fn accounts(data: &Value) -> Vec<String> {
    let mut ids: Vec<String> = list(data, "granular_scopes")
        .iter()
        .filter(|scope| scope["scope"].as_str().is_some_and(|name| name.starts_with("whatsapp_business_")))
        .flat_map(|scope| list(scope, "target_ids").iter().filter_map(as_text))
        .collect();
    ids.sort();
    ids.dedup();
    ids
}
