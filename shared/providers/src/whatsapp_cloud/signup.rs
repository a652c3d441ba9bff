//! What Meta is asked while a number is on its way to us: which numbers an account has, that our app hears of it, registration,
//! and what the phone's app knows
//! (developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup).

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::client::{Credentials, WhatsAppCloud};
use super::error::SendError;
use super::lenient::{list, text};

/// Numbers of one page, and pages that are read: an account has 20 numbers unless Meta raised its limit.
const NUMBERS: &str = "100";
/// See [`NUMBERS`].
const PAGES: usize = 10;

/// A number of an account; `None` where Meta says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountNumber {
    /// Meta's id of the number.
    pub id: String,
    /// The number as people write it.
    pub display_phone_number: Option<String>,
    /// The name that customers see.
    pub verified_name: Option<String>,
    /// [`CLOUD_API`] and others.
    pub platform_type: Option<String>,
    /// Also used in the phone's app (coexistence).
    pub is_on_biz_app: bool,
}

/// The platform of a number that is registered.
pub const CLOUD_API: &str = "CLOUD_API";

/// Where the webhooks of an account are to come, instead of where those of the app come.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Of at most 200 characters.
    pub url: String,
    /// What Meta says when it asks whether the address is ours.
    pub verify_token: SecretString,
}

/// What the phone's app knows, and shares once, within a day after the number came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Its contacts.
    Contacts,
    /// Its conversations of half a year.
    History,
}

impl Sync {
    fn as_str(self) -> &'static str {
        match self {
            Self::Contacts => "smb_app_state_sync",
            Self::History => "history",
        }
    }
}

impl WhatsAppCloud {
    /// The numbers of an account.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    pub async fn account_numbers(
        &self,
        token: &SecretString,
        waba_id: &str,
    ) -> Result<Vec<AccountNumber>, SendError> {
        const FIELDS: &str = "id,display_phone_number,verified_name,platform_type,is_on_biz_app";
        let mut numbers = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let request = self
                .authorised(Method::GET, &format!("{waba_id}/phone_numbers"), token)
                .query(&[("fields", FIELDS), ("limit", NUMBERS)])
                .query(&after.as_ref().map(|after| [("after", after)]));
            let body = self.call(request).await?.json()?;
            numbers.extend(list(&body, "data").iter().filter_map(|number| {
                Some(AccountNumber {
                    id: text(number, "id")?,
                    display_phone_number: text(number, "display_phone_number"),
                    verified_name: text(number, "verified_name"),
                    platform_type: text(number, "platform_type"),
                    is_on_biz_app: number["is_on_biz_app"].as_bool().unwrap_or(false),
                })
            }));
            let paging = &body["paging"];
            after = text(paging, "next").and_then(|_| text(&paging["cursors"], "after"));
            if after.is_none() {
                break;
            }
        }
        Ok(numbers)
    }

    /// Has Meta tell our app of an account; with `callback` at an address of its own, which Meta calls before it answers.
    /// Harmless to repeat.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    pub async fn subscribe_app(
        &self,
        token: &SecretString,
        waba_id: &str,
        callback: Option<&Callback>,
    ) -> Result<(), SendError> {
        let mut request = self.authorised(Method::POST, &format!("{waba_id}/subscribed_apps"), token);
        if let Some(callback) = callback {
            request = request.json(&json!({
                "override_callback_uri": callback.url,
                "verify_token": callback.verify_token.expose_secret(),
            }));
        }
        self.call(request).await?;
        Ok(())
    }

    /// Registers a number with the Cloud API, and gives it this PIN of six digits, or shows the one that it has. Meta takes
    /// ten attempts in 72 hours (133016 after that): ask [`WhatsAppCloud::number_info`] first, whether it is needed.
    ///
    /// # Errors
    /// [`SendError`]; after an unknown outcome the number itself tells.
    pub async fn register(&self, credentials: &Credentials, pin: &SecretString) -> Result<(), SendError> {
        let path = format!("{}/register", credentials.phone_number_id);
        let body = json!({ "messaging_product": "whatsapp", "pin": pin.expose_secret() });
        self.call(self.request(Method::POST, &path, credentials).json(&body)).await?;
        Ok(())
    }

    /// Asks for what the phone's app knows; it comes by webhooks. Meta answers once, and within a day (2593107, 2593108).
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here: a second time is refused with its own code.
    pub async fn share_app_data(&self, credentials: &Credentials, what: Sync) -> Result<(), SendError> {
        let path = format!("{}/smb_app_data", credentials.phone_number_id);
        let body = json!({ "messaging_product": "whatsapp", "sync_type": what.as_str() });
        self.call(self.request(Method::POST, &path, credentials).json(&body)).await?;
        Ok(())
    }
}
