//! Calling an instance.

use std::fmt;
use std::time::Duration;

use domain::connection::ConnectionState;
use domain::health::{NumberFacts, Obstacle};
use domain::inbound::{Address, AddressKind};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::channel::content::{MediaKind, MediaSource, OutboundContent, OutboundMedia};
use crate::channel::error::SendError;
use crate::channel::event::{Jid, gateway_number};
use crate::channel::gateway::{self, LARGEST_ANSWER, call, harmless, not_on_whatsapp};
use crate::channel::{
    Accepted, CheckNumbers, Condition, FetchFile, Fetched, Inquiry, LinkCode, LinkDevice, MarkRead, Message,
    NumberCheck, ReceiveWebhooks, ReportCondition, SendMessage,
};
use crate::evolution::client::decoded;
use crate::lenient::{flag, list, text};

/// Longest wait for an answer. We ask for no fake typing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for moving a file.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);

/// What `track_source` says of our messages.
pub(super) const SOURCE: &str = "master-ia";

/// An instance: one WhatsApp number. `Debug` shows no token.
#[derive(Clone)]
pub struct Instance {
    /// `https://<subdomain>.uazapi.com`.
    pub base_url: String,
    /// Makes the calls; reaches public addresses alone.
    pub http: reqwest::Client,
    /// The instance's token; webhooks carry it, too.
    pub token: SecretString,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Instance {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/{path}", self.base_url.trim_end_matches('/'));
        self.http.request(method, url).header("token", self.token.expose_secret()).timeout(TIMEOUT)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, SendError> {
        call(self.request(Method::POST, path).json(body), LARGEST_ANSWER).await
    }

    /// What the gateway calls the customer. A number that it never wrote from is looked up: Brazil's ninth digit is a matter
    /// of each account.
    async fn recipient(&self, to: &Address) -> Result<(String, Option<Address>), SendError> {
        let number = gateway_number(to).ok_or_else(SendError::no_address)?;
        if to.kind != AddressKind::E164 {
            return Ok((number, None));
        }
        let checked = self.check_numbers(&[number]).await.map_err(harmless)?;
        let known = checked.into_iter().find_map(|check| check.address).ok_or_else(not_on_whatsapp)?;
        let number = gateway_number(&known).ok_or_else(not_on_whatsapp)?;
        Ok((number, Some(known)))
    }

    /// The path and the body of a message.
    fn wire(&self, to: String, message: &Message) -> Result<(&'static str, Value), SendError> {
        let (path, mut body) = match &message.content {
            OutboundContent::Text { body, preview_url } => {
                ("send/text", json!({ "text": body, "linkPreview": preview_url }))
            }
            OutboundContent::Media(media) => ("send/media", media_body(media)?),
            OutboundContent::Location(place) => (
                "send/location",
                json!({
                    "name": place["name"].as_str().unwrap_or_default(),
                    "address": place["address"].as_str().unwrap_or_default(),
                    "latitude": place["latitude"], "longitude": place["longitude"],
                }),
            ),
            OutboundContent::Contacts(cards) => ("send/contact", card(cards)?),
            OutboundContent::Reaction { message_id, emoji, .. } => {
                let body = json!({ "number": to, "text": emoji, "id": message_id });
                return Ok(("message/react", body));
            }
            OutboundContent::Template(_) | OutboundContent::Interactive(_) => {
                return Err(SendError::unsendable());
            }
        };
        body["number"] = to.into();
        // Its webhooks repeat this: an interrupted send is known again by it.
        body["track_id"] = message.callback.clone().into();
        body["track_source"] = SOURCE.into();
        if let Some(answered) = &message.reply_to {
            body["replyid"] = answered.clone().into();
        }
        Ok((path, body))
    }
}

fn media_body(media: &OutboundMedia) -> Result<Value, SendError> {
    let MediaSource::Link(link) = &media.source else { return Err(SendError::unsendable()) };
    let kind = match media.kind {
        MediaKind::Audio if media.voice => "ptt",
        kind @ (MediaKind::Image
        | MediaKind::Video
        | MediaKind::Audio
        | MediaKind::Document
        | MediaKind::Sticker) => kind.as_str(),
    };
    let mut body = json!({ "type": kind, "file": link });
    if let Some(caption) = &media.caption {
        body["text"] = caption.clone().into();
    }
    if let Some(filename) = media.filename.as_ref().filter(|_| media.kind == MediaKind::Document) {
        body["docName"] = filename.clone().into();
    }
    Ok(body)
}

/// One contact card in the gateway's words, of one in Meta's; the gateway takes one at a time.
fn card(cards: &Value) -> Result<Value, SendError> {
    let Some([card]) = cards.as_array().map(Vec::as_slice) else { return Err(SendError::unsendable()) };
    let numbers: Vec<String> = list(card, "phones").iter().filter_map(|phone| text(phone, "phone")).collect();
    let name = text(&card["name"], "formatted_name").unwrap_or_default();
    Ok(json!({ "fullName": name, "phoneNumber": numbers.join(",") }))
}

impl SendMessage for Instance {
    async fn send(&self, message: &Message) -> Result<Accepted, SendError> {
        let (to, customer) = self.recipient(&message.to).await?;
        let (path, body) = self.wire(to, message)?;
        let answer = self.post(path, &body).await?;
        // Webhooks know it by the id without the owner before it.
        let id = text(&answer, "messageid").or_else(|| {
            let id = text(&answer, "id")?;
            Some(id.rsplit_once(':').map_or(id.clone(), |(_, id)| id.to_owned()))
        });
        let provider_message_id =
            id.ok_or_else(|| SendError::unreadable("no message id in it".to_owned()))?;
        let customer = customer.filter(|address| address.kind == AddressKind::WaId);
        Ok(Accepted { provider_message_id, customer })
    }
}

impl MarkRead for Instance {
    async fn mark_read(&self, customer: &Address, id: &str, typing: bool) -> Result<(), SendError> {
        self.post("message/markread", &json!({ "id": [id] })).await?;
        if typing {
            let number = gateway_number(customer).ok_or_else(SendError::no_address)?;
            let presence = json!({ "number": number, "presence": "composing", "delay": 10_000 });
            self.post("message/presence", &presence).await?;
        }
        Ok(())
    }
}

impl CheckNumbers for Instance {
    async fn check_numbers(&self, numbers: &[String]) -> Result<Vec<NumberCheck>, SendError> {
        let answer = self.post("chat/check", &json!({ "numbers": numbers })).await?;
        let answers = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(answers
            .iter()
            .map(|answer| NumberCheck {
                number: text(answer, "query").or_else(|| text(answer, "number")).unwrap_or_default(),
                address: text(answer, "jid")
                    .filter(|_| flag(answer, "isInWhatsapp") || flag(answer, "exists"))
                    .as_deref()
                    .and_then(Jid::parse)
                    .and_then(Jid::address),
            })
            .collect())
    }
}

impl FetchFile for Instance {
    async fn fetch(&self, provider_media_id: &str, largest: usize) -> Result<Fetched, SendError> {
        let body = json!({ "id": provider_media_id, "return_base64": true, "return_link": false });
        let request = self.request(Method::POST, "message/download").json(&body).timeout(TRANSFER_TIMEOUT);
        // A third more for base64, and room for what stands around it.
        match call(request, largest / 3 * 4 + LARGEST_ANSWER).await {
            Ok(answer) => decoded(answer["base64Data"].as_str(), largest),
            Err(SendError::Rejected(fault) | SendError::SenderBlocked(fault)) => Ok(Fetched::Gone(fault)),
            Err(error) => Err(error),
        }
    }
}

/// What the gateway calls its states.
pub(super) fn state_of(instance: &Value) -> ConnectionState {
    match text(instance, "status").as_deref() {
        Some("connected") => ConnectionState::Connected,
        Some("connecting") => ConnectionState::Connecting,
        Some("disconnected") => ConnectionState::Down,
        _ => ConnectionState::Unknown,
    }
}

impl ReportCondition for Instance {
    async fn condition(&self, _inquiry: &Inquiry) -> Result<Condition, SendError> {
        let answer =
            call(self.request(Method::GET, "instance/status"), LARGEST_ANSWER).await.map_err(harmless)?;
        let instance = &answer["instance"];
        let word = text(instance, "status");
        let found = gateway::finding(state_of(instance), word.as_deref().unwrap_or("no status"));
        let number = NumberFacts { verified_name: text(instance, "profileName"), ..NumberFacts::default() };
        Ok(Condition { found: Vec::from_iter(found), number, token_ends: None })
    }

    fn obstacle(&self, error: &SendError) -> Option<Obstacle> {
        gateway::obstacle(error)
    }
}

impl LinkDevice for Instance {
    async fn link_code(&self) -> Result<LinkCode, SendError> {
        let answer = self.post("instance/connect", &json!({})).await.map_err(harmless)?;
        let instance = &answer["instance"];
        Ok(LinkCode {
            state: state_of(instance),
            image: text(instance, "qrcode"),
            text: None,
            pairing_code: text(instance, "paircode"),
        })
    }
}

impl ReceiveWebhooks for Instance {
    /// The gateway proves itself by the token that it has anyway.
    async fn receive_webhooks(&self, url: &str, _secret: &SecretString) -> Result<(), SendError> {
        let webhook = json!({
            "enabled": true, "url": url, "events": ["messages", "messages_update", "connection"],
            "addUrlEvents": false, "addUrlTypesMessages": false,
        });
        self.post("webhook", &webhook).await.map_err(harmless)?;
        Ok(())
    }
}
