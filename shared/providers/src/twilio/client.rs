//! Calling Twilio: sending messages, fetching files, the state of the account.

use std::fmt;
use std::time::Duration;

use domain::health::{Finding, NumberFacts, Obstacle};
use domain::inbound::{Address, AddressKind};
use domain::phone;
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::error::{self, refused};
use crate::channel::content::{MediaSource, OutboundContent, OutboundMedia};
use crate::channel::error::{SendError, own_fault};
use crate::channel::{
    Accepted, Condition, FetchFile, Fetched, Inquiry, Message, ReportCondition, SendMessage,
};
use crate::guard::{ReadError, read_limited};
use crate::lenient::text;
use crate::redact;

/// The version of the API that this module speaks.
pub const VERSION: &str = "2010-04-01";

/// Longest wait for an answer, the connection included.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Has Twilio repeat a report that was not taken: by itself it tries once, and again only where no connection stood. What
/// stands behind the `#` is for Twilio alone, and is not signed. (webhooks/webhooks-connection-overrides)
const REPEATED: &str = "#rc=5&rp=5xx,ct,rt";

/// Longest time for moving a file.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);

/// One sender of an account. `Debug` shows no token.
#[derive(Clone)]
pub struct Sender {
    /// Normally `https://api.twilio.com`.
    pub base_url: String,
    /// Makes the calls.
    pub http: reqwest::Client,
    /// `AC…`.
    pub account_sid: String,
    /// Password of calls, and key of webhook signatures.
    pub auth_token: SecretString,
    /// A number in E.164, or a messaging service, `MG…`.
    pub from: String,
    /// Where reports on messages are posted to; each message adds its own word, `?message=<callback>`.
    pub status_callback: Option<String>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

impl Sender {
    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.account_sid, Some(self.auth_token.expose_secret())).timeout(TIMEOUT)
    }

    fn account_url(&self, rest: &str) -> String {
        format!("{}/{VERSION}/Accounts/{}{rest}", self.base_url.trim_end_matches('/'), self.account_sid)
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value, SendError> {
        let response = self.authorised(request).send().await.map_err(SendError::transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        match response.bytes().await {
            Ok(body) if status.is_success() => {
                serde_json::from_slice(&body).map_err(|error| SendError::unreadable(error.to_string()))
            }
            Ok(body) => Err(refused(status, &headers, &body)),
            // The status alone says that Twilio refused, or that nobody knows.
            Err(_) if !status.is_success() => Err(refused(status, &headers, &[])),
            Err(error) => Err(SendError::unreadable(redact::transport(error))),
        }
    }

    /// The form of a message. (`POST /Accounts/{AC}/Messages.json`)
    fn form(&self, message: &Message) -> Result<Vec<(&'static str, String)>, SendError> {
        let from = if self.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let mut form = vec![("To", number(&message.to)?), (from, self.from.clone())];
        match &message.content {
            OutboundContent::Text { body, .. } => form.push(("Body", body.clone())),
            OutboundContent::Media(OutboundMedia { source: MediaSource::Link(link), caption, .. }) => {
                form.push(("MediaUrl", link.clone()));
                form.extend(caption.clone().map(|caption| ("Body", caption)));
            }
            OutboundContent::Media(_)
            | OutboundContent::Template(_)
            | OutboundContent::Interactive(_)
            | OutboundContent::Reaction { .. }
            | OutboundContent::Location(_)
            | OutboundContent::Contacts(_) => return Err(SendError::unsendable()),
        }
        if let Some(callback) = &self.status_callback {
            form.push(("StatusCallback", format!("{callback}?message={}{REPEATED}", message.callback)));
        }
        Ok(form)
    }
}

/// SMS go to canonical numbers.
fn number(address: &Address) -> Result<String, SendError> {
    match address.kind {
        AddressKind::E164 => Ok(address.value.clone()),
        AddressKind::WaId => phone::canonical_from_wa_id(&address.value).ok_or_else(SendError::no_address),
        AddressKind::Lid | AddressKind::Bsuid | AddressKind::Email | AddressKind::External => {
            Err(SendError::no_address())
        }
    }
}

impl SendMessage for Sender {
    async fn send(&self, message: &Message) -> Result<Accepted, SendError> {
        let form = self.form(message)?;
        let answer = self.call(self.http.post(self.account_url("/Messages.json")).form(&form)).await?;
        let provider_message_id =
            text(&answer, "sid").ok_or_else(|| SendError::unreadable("no message sid in it".to_owned()))?;
        Ok(Accepted { provider_message_id, customer: None })
    }
}

impl ReportCondition for Sender {
    async fn condition(&self, _inquiry: &Inquiry) -> Result<Condition, SendError> {
        let account = self.call(self.http.get(self.account_url(".json"))).await?;
        let status = text(&account, "status").unwrap_or_else(|| "unknown".to_owned());
        let found = (status != "active").then(|| Finding::told(Obstacle::AccountSuspended, status));
        let number = NumberFacts { verified_name: text(&account, "friendly_name"), ..NumberFacts::default() };
        Ok(Condition { found: Vec::from_iter(found), number, token_ends: None })
    }

    fn obstacle(&self, error: &SendError) -> Option<Obstacle> {
        error::obstacle(error)
    }
}

impl FetchFile for Sender {
    /// `provider_media_id` is the link that the webhook gave. Twilio redirects to where the bytes are, and does not want the
    /// password there; the HTTP client keeps it from other hosts.
    async fn fetch(&self, provider_media_id: &str, largest: usize) -> Result<Fetched, SendError> {
        if !is_own(&self.base_url, provider_media_id) {
            return Ok(Fetched::Gone(own_fault("request", "the media link does not lead to Twilio", None)));
        }
        let request = self.authorised(self.http.get(provider_media_id)).timeout(TRANSFER_TIMEOUT);
        let response = request.send().await.map_err(SendError::transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            let body = response.bytes().await.unwrap_or_default();
            return match refused(status, &headers, &body) {
                SendError::Rejected(fault) => Ok(Fetched::Gone(fault)),
                error => Err(error),
            };
        }
        match read_limited(response, largest).await {
            Ok(bytes) => Ok(Fetched::File { bytes, sha256: None }),
            Err(ReadError::TooLarge) => Ok(Fetched::TooLarge),
            Err(ReadError::Interrupted(detail)) => Err(SendError::unreadable(detail)),
        }
    }
}

/// Links come out of webhooks: whoever could forge one would collect tokens.
fn is_own(base_url: &str, link: &str) -> bool {
    let (Ok(base), Ok(link)) = (Url::parse(base_url), Url::parse(link)) else { return false };
    base.origin() == link.origin()
}
