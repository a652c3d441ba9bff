//! Calling Meta: sending, marking as read, asking about the number.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::content::OutboundMessage;
use super::error::{SendError, own_fault};
use super::lenient::{list, text};
use super::usage::Usage;

/// The version of the Graph API that this module speaks.
pub const VERSION: &str = "v23.0";

/// Longest wait for an answer, the connection included.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The rights to one business number. `Debug` shows no token.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// A system user's or business token.
    pub access_token: SecretString,
}

/// Meta took a message. Whether it arrives, its statuses tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Meta's id of the message (`wamid.…`).
    pub provider_message_id: String,
    /// The customer's WhatsApp digits, to be stored: they may differ from what was sent to.
    pub wa_id: Option<String>,
    /// The customer's business-scoped user id, if Meta gave it.
    pub user_id: Option<String>,
    /// Of templates: `accepted`, `held_for_quality_assessment` or `paused`.
    pub message_status: Option<String>,
    /// How near the limits are.
    pub usage: Usage,
}

/// What Meta says about a business number; `None` where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberInfo {
    /// Meta's id of the number.
    pub id: Option<String>,
    /// The name that customers see.
    pub verified_name: Option<String>,
    /// The number as people write it.
    pub display_phone_number: Option<String>,
    /// `GREEN`, `YELLOW`, `RED`, `NA` or `UNKNOWN`.
    pub quality_rating: Option<String>,
    /// `VERIFIED` and others.
    pub code_verification_status: Option<String>,
    /// State of the name's review.
    pub name_status: Option<String>,
    /// `CLOUD_API` and others.
    pub platform_type: Option<String>,
    /// `STANDARD` or `HIGH`.
    pub throughput: Option<String>,
    /// `TIER_…`: how many customers may be written to first in 24 hours.
    pub messaging_limit: Option<String>,
    /// Also used in the phone app (coexistence).
    pub is_on_biz_app: Option<bool>,
}

/// A client of the Cloud API, for any number of businesses.
#[derive(Clone)]
pub struct WhatsAppCloud {
    pub(super) base_url: String,
    pub(super) http: reqwest::Client,
    timeout: Duration,
}

impl fmt::Debug for WhatsAppCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatsAppCloud").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// A successful answer.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) usage: Usage,
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, SendError> {
        serde_json::from_slice(&self.body).map_err(|error| SendError::unreadable(error.to_string()))
    }
}

impl WhatsAppCloud {
    /// `base_url` is an origin, normally `https://graph.facebook.com`; the version is put behind it.
    ///
    /// Give `http` a connect timeout well below [`TIMEOUT`]: a call that runs out of time while it still connects
    /// was surely not sent, but only the connect timeout can tell.
    pub fn new(base_url: &str, http: reqwest::Client) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), http, timeout: TIMEOUT }
    }

    /// Waits `timeout` for answers instead of [`TIMEOUT`]; file transfers keep theirs.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends one message. Check [`super::limits::check`] before: Meta's own errors are worse.
    ///
    /// # Errors
    /// [`SendError`]; its class says whether the message may be sent again.
    pub async fn send(
        &self,
        credentials: &Credentials,
        message: &OutboundMessage,
    ) -> Result<Accepted, SendError> {
        let path = format!("{}/messages", credentials.phone_number_id);
        let request = self.request(Method::POST, &path, credentials).json(&message.to_wire());
        let answer = self.call(request).await?;
        let body = answer.json()?;
        let message = list(&body, "messages").first().unwrap_or(&Value::Null);
        let contact = list(&body, "contacts").first().unwrap_or(&Value::Null);
        Ok(Accepted {
            provider_message_id: text(message, "id")
                .ok_or_else(|| SendError::unreadable("no message id in it".to_owned()))?,
            wa_id: text(contact, "wa_id"),
            user_id: text(contact, "user_id"),
            message_status: text(message, "message_status"),
            usage: answer.usage,
        })
    }

    /// Shows a customer's message, and all before it, as read; with `typing` also that an answer is being written,
    /// for 25 seconds or until it comes. Harmless to repeat.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    pub async fn mark_read(
        &self,
        credentials: &Credentials,
        provider_message_id: &str,
        typing: bool,
    ) -> Result<(), SendError> {
        let path = format!("{}/messages", credentials.phone_number_id);
        let mut body =
            json!({ "messaging_product": "whatsapp", "status": "read", "message_id": provider_message_id });
        if typing {
            body["typing_indicator"] = json!({ "type": "text" });
        }
        self.call(self.request(Method::POST, &path, credentials).json(&body)).await?;
        Ok(())
    }

    /// Asks about the business number; also proof that the credentials work.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    pub async fn number_info(&self, credentials: &Credentials) -> Result<NumberInfo, SendError> {
        const FIELDS: &str = "id,verified_name,display_phone_number,quality_rating,code_verification_status,\
            name_status,platform_type,throughput,whatsapp_business_manager_messaging_limit,is_on_biz_app";
        let request = self.request(Method::GET, &credentials.phone_number_id, credentials);
        let body = self.call(request.query(&[("fields", FIELDS)])).await?.json()?;
        Ok(NumberInfo {
            id: text(&body, "id"),
            verified_name: text(&body, "verified_name"),
            display_phone_number: text(&body, "display_phone_number"),
            quality_rating: text(&body, "quality_rating"),
            code_verification_status: text(&body, "code_verification_status"),
            name_status: text(&body, "name_status"),
            platform_type: text(&body, "platform_type"),
            throughput: text(&body["throughput"], "level"),
            messaging_limit: text(&body, "whatsapp_business_manager_messaging_limit"),
            is_on_biz_app: body["is_on_biz_app"].as_bool(),
        })
    }

    pub(super) fn request(&self, method: Method, path: &str, credentials: &Credentials) -> RequestBuilder {
        self.authorised(method, path, &credentials.access_token)
    }

    /// A call that is about no number.
    pub(super) fn authorised(&self, method: Method, path: &str, token: &SecretString) -> RequestBuilder {
        self.http
            .request(method, format!("{}/{VERSION}/{path}", self.base_url))
            .bearer_auth(token.expose_secret())
            .timeout(self.timeout)
    }

    pub(super) async fn call(&self, request: RequestBuilder) -> Result<Answer, SendError> {
        let response = request.send().await.map_err(SendError::transport)?;
        let status = response.status();
        let headers = response.headers().clone();
        let usage = Usage::from_headers(&headers);
        match response.bytes().await {
            Ok(body) if status.is_success() => Ok(Answer { body, usage }),
            Ok(body) => Err(SendError::response(status, &headers, &body)),
            // The status alone says that Meta refused, or that nobody knows.
            Err(_) if !status.is_success() => Err(SendError::response(status, &headers, &[])),
            Err(error) => Err(SendError::unreadable(crate::redact::transport(error))),
        }
    }

    /// An error of ours about a call that was not made.
    pub(super) fn refused(title: &str) -> SendError {
        SendError::Rejected(own_fault("request", title, None))
    }
}
