//! One way to speak with every messaging provider: narrow traits by capability, and [`Channel`], which is the `match` from
//! the kind of a connection to its client.
//!
//! Rooms: [`content`] what messages hold · [`error`] how calls fail, in one enum for all of them · [`event`] events on their
//! way from webhooks to the queue · `gateway` calls of self-hosted gateways. Each provider's module
//! implements the capabilities that it has, and normalises its webhooks into `domain::inbound`; nobody else reads its
//! words.

pub mod content;
pub mod error;
pub mod event;

pub(crate) mod gateway;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::connection::ConnectionState;
use domain::health::{Finding, NumberFacts, Obstacle};
use domain::inbound::Address;
use secrecy::SecretString;

use crate::{evolution, twilio, uazapi, whatsapp_cloud};
use content::OutboundContent;
use error::SendError;

/// One message to one customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// To whom: an address of a kind that the channel knows.
    pub to: Address,
    /// What.
    pub content: OutboundContent,
    /// The provider's id of the message that this one answers. Ignored for reactions, which name theirs.
    pub reply_to: Option<String>,
    /// Our own id, which the provider's reports repeat where it can. At most 512 characters.
    pub callback: String,
}

/// The provider took a message. Whether it arrives, its statuses tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The provider's id of the message.
    pub provider_message_id: String,
    /// What the provider calls the customer; it may differ from what was sent to, and is better.
    pub customer: Option<Address>,
}

/// What became of fetching a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The file.
    File {
        /// Its bytes; possibly none.
        bytes: Bytes,
        /// Their declared SHA-256, hexadecimal.
        sha256: Option<String>,
    },
    /// It has more bytes than were asked for.
    TooLarge,
    /// The provider does not have it any more.
    Gone(domain::inbound::ProviderFault),
}

/// How a channel takes the files of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// They are put at the provider before; see [`UploadFile`].
    Uploaded,
    /// The provider fetches them from a link.
    Linked,
}

/// Sends messages.
pub trait SendMessage {
    /// Sends one message.
    ///
    /// # Errors
    /// [`SendError`]; its class says whether the message may be sent again.
    fn send(&self, message: &Message) -> impl Future<Output = Result<Accepted, SendError>> + Send;
}

/// Shows customers that they were read.
pub trait MarkRead {
    /// Shows a message of a customer, and those before it, as read; with `typing` also that an answer is being written.
    /// Harmless to repeat.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    fn mark_read(
        &self,
        customer: &Address,
        provider_message_id: &str,
        typing: bool,
    ) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// Keeps files of messages to come.
pub trait UploadFile {
    /// Puts a file at the provider; what the provider calls it. Harmless to repeat.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    fn upload(
        &self,
        bytes: Bytes,
        mime_type: &str,
        filename: &str,
    ) -> impl Future<Output = Result<String, SendError>> + Send;
}

/// Gives the files that customers sent.
pub trait FetchFile {
    /// Fetches a file of at most `largest` bytes.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    fn fetch(
        &self,
        provider_media_id: &str,
        largest: usize,
    ) -> impl Future<Output = Result<Fetched, SendError>> + Send;
}

/// What is needed to ask how an account stands.
#[derive(Debug)]
pub struct Inquiry {
    /// Now.
    pub now: DateTime<Utc>,
    /// The token of the app that the account's token was made for, where it is known: `<app id>|<app secret>`.
    pub app_token: Option<SecretString>,
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What stands in its way.
    pub found: Vec<Finding>,
    /// What the provider says of its number.
    pub number: NumberFacts,
    /// When its token's time is over (`None` inside: never); `None` where the provider does not say.
    pub token_ends: Option<Option<DateTime<Utc>>>,
}

/// Says how the account stands; also proof that the credentials work.
pub trait ReportCondition {
    /// Asks.
    ///
    /// # Errors
    /// [`SendError`]; any that may pass may be tried again here.
    fn condition(&self, inquiry: &Inquiry) -> impl Future<Output = Result<Condition, SendError>> + Send;

    /// What a refusal says of the account, if it is not about the one call.
    fn obstacle(&self, error: &SendError) -> Option<Obstacle>;
}

/// Whether somebody on WhatsApp has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberCheck {
    /// As it was asked for.
    pub number: String,
    /// What WhatsApp calls them; `None` for nobody.
    pub address: Option<Address>,
}

/// Knows who is on WhatsApp.
pub trait CheckNumbers {
    /// Asks of numbers, as digits.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    fn check_numbers(
        &self,
        numbers: &[String],
    ) -> impl Future<Output = Result<Vec<NumberCheck>, SendError>> + Send;
}

/// What links a phone with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCode {
    /// How the account stands: connected ones have no code.
    pub state: ConnectionState,
    /// A picture to scan, as a `data:` address.
    pub image: Option<String>,
    /// What the picture says.
    pub text: Option<String>,
    /// Eight characters to type instead.
    pub pairing_code: Option<String>,
}

/// Is linked with a phone.
pub trait LinkDevice {
    /// Begins to link, or goes on; harmless to repeat.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    fn link_code(&self) -> impl Future<Output = Result<LinkCode, SendError>> + Send;
}

/// Posts what happens to an address of ours.
pub trait ReceiveWebhooks {
    /// Has webhooks posted to `url`, proved by `secret` where the provider can; harmless to repeat.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again here.
    fn receive_webhooks(
        &self,
        url: &str,
        secret: &SecretString,
    ) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// A connection's account at its provider, ready to be called.
#[derive(Clone, Debug)]
pub enum Channel {
    /// A number at Meta's WhatsApp Cloud API.
    WhatsAppCloud(whatsapp_cloud::Number),
    /// An instance of an Evolution API gateway.
    Evolution(evolution::Instance),
    /// An instance of a UAZapi gateway.
    Uazapi(uazapi::Instance),
    /// A sender of SMS at Twilio.
    Twilio(twilio::Sender),
}

impl Channel {
    /// How it takes the files of messages.
    pub fn files(&self) -> Files {
        match self {
            Self::WhatsAppCloud(_) => Files::Uploaded,
            Self::Evolution(_) | Self::Uazapi(_) | Self::Twilio(_) => Files::Linked,
        }
    }

    /// As [`LinkDevice`]; `None` for what is linked with no phone.
    ///
    /// # Errors
    /// As [`LinkDevice::link_code`].
    pub async fn link_code(&self) -> Result<Option<LinkCode>, SendError> {
        match self {
            Self::Evolution(instance) => instance.link_code().await.map(Some),
            Self::Uazapi(instance) => instance.link_code().await.map(Some),
            Self::WhatsAppCloud(_) | Self::Twilio(_) => Ok(None),
        }
    }

    /// As [`ReceiveWebhooks`]; nothing where a person does it at the provider.
    ///
    /// # Errors
    /// As [`ReceiveWebhooks::receive_webhooks`].
    pub async fn receive_webhooks(&self, url: &str, secret: &SecretString) -> Result<(), SendError> {
        match self {
            Self::Evolution(instance) => instance.receive_webhooks(url, secret).await,
            Self::Uazapi(instance) => instance.receive_webhooks(url, secret).await,
            Self::WhatsAppCloud(_) | Self::Twilio(_) => Ok(()),
        }
    }
}

impl SendMessage for Channel {
    async fn send(&self, message: &Message) -> Result<Accepted, SendError> {
        match self {
            Self::WhatsAppCloud(number) => SendMessage::send(number, message).await,
            Self::Evolution(instance) => instance.send(message).await,
            Self::Uazapi(instance) => instance.send(message).await,
            Self::Twilio(sender) => sender.send(message).await,
        }
    }
}

impl MarkRead for Channel {
    /// Nobody sees whether an SMS was read: nothing is done.
    async fn mark_read(&self, customer: &Address, id: &str, typing: bool) -> Result<(), SendError> {
        match self {
            Self::WhatsAppCloud(number) => number.mark_read(customer, id, typing).await,
            Self::Evolution(instance) => instance.mark_read(customer, id, typing).await,
            Self::Uazapi(instance) => instance.mark_read(customer, id, typing).await,
            Self::Twilio(_) => Ok(()),
        }
    }
}

impl UploadFile for Channel {
    /// Refused by channels whose files are [`Files::Linked`].
    async fn upload(&self, bytes: Bytes, mime_type: &str, filename: &str) -> Result<String, SendError> {
        match self {
            Self::WhatsAppCloud(number) => number.upload(bytes, mime_type, filename).await,
            Self::Evolution(_) | Self::Uazapi(_) | Self::Twilio(_) => Err(SendError::unsendable()),
        }
    }
}

impl FetchFile for Channel {
    async fn fetch(&self, provider_media_id: &str, largest: usize) -> Result<Fetched, SendError> {
        match self {
            Self::WhatsAppCloud(number) => number.fetch(provider_media_id, largest).await,
            Self::Evolution(instance) => instance.fetch(provider_media_id, largest).await,
            Self::Uazapi(instance) => instance.fetch(provider_media_id, largest).await,
            Self::Twilio(sender) => sender.fetch(provider_media_id, largest).await,
        }
    }
}

impl ReportCondition for Channel {
    async fn condition(&self, inquiry: &Inquiry) -> Result<Condition, SendError> {
        match self {
            Self::WhatsAppCloud(number) => number.condition(inquiry).await,
            Self::Evolution(instance) => instance.condition(inquiry).await,
            Self::Uazapi(instance) => instance.condition(inquiry).await,
            Self::Twilio(sender) => sender.condition(inquiry).await,
        }
    }

    fn obstacle(&self, error: &SendError) -> Option<Obstacle> {
        match self {
            Self::WhatsAppCloud(number) => number.obstacle(error),
            Self::Evolution(instance) => instance.obstacle(error),
            Self::Uazapi(instance) => instance.obstacle(error),
            Self::Twilio(sender) => sender.obstacle(error),
        }
    }
}
