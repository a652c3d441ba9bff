//! Calling an instance.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::connection::ConnectionState;
use domain::health::{NumberFacts, Obstacle};
use domain::inbound::{Address, AddressKind};
use reqwest::{Method, RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::channel::content::{MediaKind, MediaSource, OutboundContent, OutboundMedia};
use crate::channel::error::{SendError, own_fault};
use crate::channel::event::{Jid, gateway_jid, gateway_number};
use crate::channel::gateway::{self, LARGEST_ANSWER, call, harmless, not_on_whatsapp};
use crate::channel::{
    Accepted, CheckNumbers, Condition, FetchFile, Fetched, Inquiry, LinkCode, LinkDevice, MarkRead, Message,
    NumberCheck, ReceiveWebhooks, ReportCondition, SendMessage,
};
use crate::lenient::{flag, list, text};

/// Longest wait for an answer. We ask for no fake typing, which would block the request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for moving a file.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);

/// The events that we want to hear of. (The gateway's names; groups' own events are none.)
const EVENTS: [&str; 10] = [
    "MESSAGES_UPSERT",
    "MESSAGES_UPDATE",
    "MESSAGES_EDITED",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "CONNECTION_UPDATE",
    "STATUS_INSTANCE",
    "QRCODE_UPDATED",
    "LOGOUT_INSTANCE",
    "REMOVE_INSTANCE",
];

/// An instance: one WhatsApp number. `Debug` shows no key.
#[derive(Clone)]
pub struct Instance {
    /// The operator's server.
    pub base_url: String,
    /// Makes the calls; reaches public addresses alone.
    pub http: reqwest::Client,
    /// The instance's name.
    pub name: String,
    /// The instance's token, or the server's key.
    pub api_key: SecretString,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Instance {
    /// A request to `path`, behind which the instance's name stands.
    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, SendError> {
        let bad =
            |_| SendError::Reauthorise(own_fault("address_refused", "the server's address is none", None));
        let mut url = Url::parse(&self.base_url).map_err(bad)?;
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(path.split('/')).push(&self.name);
            }
            Err(()) => return Err(bad(url::ParseError::RelativeUrlWithCannotBeABaseBase)),
        }
        let key = self.api_key.expose_secret();
        Ok(self.http.request(method, url).header("apikey", key).timeout(TIMEOUT))
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, SendError> {
        call(self.request(Method::POST, path)?.json(body), LARGEST_ANSWER).await
    }

    /// What the gateway calls the customer. A number that it never wrote from is looked up: Brazil's ninth digit is a matter
    /// of each account.
    async fn recipient(&self, to: &Address) -> Result<String, SendError> {
        let number = gateway_number(to).ok_or_else(SendError::no_address)?;
        if to.kind != AddressKind::E164 {
            return Ok(number);
        }
        let checked = self.check_numbers(&[number]).await.map_err(harmless)?;
        let known = checked.into_iter().find_map(|check| check.address);
        known.as_ref().and_then(gateway_number).ok_or_else(not_on_whatsapp)
    }

    /// The path and the body of a message. (`sendMessage.dto.ts`)
    fn wire(&self, to: String, message: &Message) -> Result<(&'static str, Value), SendError> {
        let (path, mut body) = match &message.content {
            OutboundContent::Text { body, preview_url } => {
                ("message/sendText", json!({ "text": body, "linkPreview": preview_url }))
            }
            OutboundContent::Media(media) => self.media(media)?,
            OutboundContent::Location(place) => (
                "message/sendLocation",
                json!({
                    "name": place["name"].as_str().unwrap_or_default(),
                    "address": place["address"].as_str().unwrap_or_default(),
                    "latitude": place["latitude"], "longitude": place["longitude"],
                }),
            ),
            OutboundContent::Contacts(cards) => {
                let cards: Vec<Value> = cards.as_array().into_iter().flatten().map(card).collect();
                ("message/sendContact", json!({ "contact": cards }))
            }
            OutboundContent::Reaction { message_id, emoji, of_ours } => {
                let jid = gateway_jid(&message.to).ok_or_else(SendError::no_address)?;
                let key = json!({ "remoteJid": jid, "fromMe": of_ours, "id": message_id });
                return Ok(("message/sendReaction", json!({ "key": key, "reaction": emoji })));
            }
            OutboundContent::Template(_) | OutboundContent::Interactive(_) => {
                return Err(SendError::unsendable());
            }
        };
        body["number"] = to.into();
        if let Some(answered) = &message.reply_to {
            body["quoted"] = json!({ "key": { "id": answered } });
        }
        Ok((path, body))
    }

    fn media(&self, media: &OutboundMedia) -> Result<(&'static str, Value), SendError> {
        let MediaSource::Link(link) = &media.source else { return Err(SendError::unsendable()) };
        Ok(match media.kind {
            MediaKind::Audio if media.voice => ("message/sendWhatsAppAudio", json!({ "audio": link })),
            MediaKind::Sticker => ("message/sendSticker", json!({ "sticker": link })),
            MediaKind::Image | MediaKind::Video | MediaKind::Audio | MediaKind::Document => {
                let mut body = json!({ "mediatype": media.kind.as_str(), "media": link });
                if let Some(caption) = &media.caption {
                    body["caption"] = caption.clone().into();
                }
                if let Some(filename) = &media.filename {
                    body["fileName"] = filename.clone().into();
                }
                ("message/sendMedia", body)
            }
        })
    }
}

/// A contact card in the gateway's words, of one in Meta's.
fn card(card: &Value) -> Value {
    let phone = list(card, "phones").first().cloned().unwrap_or_default();
    let number = text(&phone, "phone").unwrap_or_default();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    json!({
        "fullName": text(&card["name"], "formatted_name").unwrap_or_default(),
        "wuid": text(&phone, "wa_id").unwrap_or(digits),
        "phoneNumber": number,
    })
}

impl SendMessage for Instance {
    async fn send(&self, message: &Message) -> Result<Accepted, SendError> {
        let to = self.recipient(&message.to).await?;
        let (path, body) = self.wire(to, message)?;
        let answer = self.post(path, &body).await?;
        let key = &answer["key"];
        let provider_message_id =
            text(key, "id").ok_or_else(|| SendError::unreadable("no message id in it".to_owned()))?;
        // An identity is no better an address than the number that was used.
        let customer = text(key, "remoteJid").as_deref().and_then(Jid::parse).and_then(Jid::address);
        let customer = customer.filter(|address| address.kind == AddressKind::WaId);
        Ok(Accepted { provider_message_id, customer })
    }
}

impl MarkRead for Instance {
    async fn mark_read(&self, customer: &Address, id: &str, typing: bool) -> Result<(), SendError> {
        let jid = gateway_jid(customer).ok_or_else(SendError::no_address)?;
        let read = json!({ "readMessages": [{ "remoteJid": jid, "fromMe": false, "id": id }] });
        self.post("chat/markMessageAsRead", &read).await?;
        if typing {
            // The gateway keeps the request open while it types: shortly, for the answer waits behind it.
            let presence = json!({ "number": jid, "presence": "composing", "delay": 500 });
            self.post("chat/sendPresence", &presence).await?;
        }
        Ok(())
    }
}

impl CheckNumbers for Instance {
    async fn check_numbers(&self, numbers: &[String]) -> Result<Vec<NumberCheck>, SendError> {
        let answer = self.post("chat/whatsappNumbers", &json!({ "numbers": numbers })).await?;
        let answers = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(answers
            .iter()
            .map(|answer| NumberCheck {
                number: text(answer, "number").unwrap_or_default(),
                address: text(answer, "jid")
                    .filter(|_| flag(answer, "exists"))
                    .as_deref()
                    .and_then(Jid::parse)
                    .and_then(Jid::address),
            })
            .collect())
    }
}

impl FetchFile for Instance {
    async fn fetch(&self, provider_media_id: &str, largest: usize) -> Result<Fetched, SendError> {
        let body = json!({ "message": { "key": { "id": provider_media_id } }, "convertToMp4": false });
        let request = self.request(Method::POST, "chat/getBase64FromMediaMessage")?.json(&body);
        // A third more for base64, and room for what stands around it.
        let most = largest / 3 * 4 + LARGEST_ANSWER;
        match call(request.timeout(TRANSFER_TIMEOUT), most).await {
            Ok(answer) => decoded(answer["base64"].as_str(), largest),
            Err(SendError::Rejected(fault)) => Ok(Fetched::Gone(fault)),
            Err(error) => Err(error),
        }
    }
}

/// A file in base64, with or without `data:…,` before it.
pub(crate) fn decoded(base64: Option<&str>, largest: usize) -> Result<Fetched, SendError> {
    let encoded = base64.ok_or_else(|| SendError::unreadable("no file in it".to_owned()))?;
    let encoded = encoded.rsplit_once("base64,").map_or(encoded, |(_, encoded)| encoded);
    let bytes = STANDARD.decode(encoded).map_err(|error| SendError::unreadable(error.to_string()))?;
    if bytes.len() > largest {
        return Ok(Fetched::TooLarge);
    }
    Ok(Fetched::File { bytes: Bytes::from(bytes), sha256: None })
}

/// What the gateway calls its states.
pub(super) fn state_of(instance: &Value) -> ConnectionState {
    match text(instance, "state").as_deref() {
        Some("open") => ConnectionState::Connected,
        Some("connecting") => ConnectionState::Connecting,
        Some("close") => ConnectionState::Down,
        _ => ConnectionState::Unknown,
    }
}

impl ReportCondition for Instance {
    async fn condition(&self, _inquiry: &Inquiry) -> Result<Condition, SendError> {
        let request = self.request(Method::GET, "instance/connectionState")?;
        let answer = call(request, LARGEST_ANSWER).await.map_err(harmless)?;
        let instance = &answer["instance"];
        let word = text(instance, "state");
        let found = gateway::finding(state_of(instance), word.as_deref().unwrap_or("no state"));
        Ok(Condition { found: Vec::from_iter(found), number: NumberFacts::default(), token_ends: None })
    }

    fn obstacle(&self, error: &SendError) -> Option<Obstacle> {
        gateway::obstacle(error)
    }
}

impl LinkDevice for Instance {
    async fn link_code(&self) -> Result<LinkCode, SendError> {
        let request = self.request(Method::GET, "instance/connect")?;
        let answer = call(request, LARGEST_ANSWER).await.map_err(harmless)?;
        let is_open = state_of(&answer["instance"]) == ConnectionState::Connected;
        Ok(LinkCode {
            state: if is_open { ConnectionState::Connected } else { ConnectionState::Connecting },
            image: text(&answer, "base64"),
            text: text(&answer, "code"),
            pairing_code: text(&answer, "pairingCode"),
        })
    }
}

impl ReceiveWebhooks for Instance {
    async fn receive_webhooks(&self, url: &str, secret: &SecretString) -> Result<(), SendError> {
        let webhook = json!({
            "enabled": true, "url": url, "byEvents": false, "base64": false, "events": EVENTS,
            "headers": { "jwt_key": secret.expose_secret() },
        });
        self.post("webhook/set", &json!({ "webhook": webhook })).await.map_err(gateway::harmless)?;
        Ok(())
    }
}
