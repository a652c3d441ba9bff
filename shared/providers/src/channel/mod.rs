//! One way to speak with every messaging provider: narrow traits by capability, and [`Channel`], which is the `match` from
//! the kind of a connection to its client.
//!
//! Rooms: [`content`] what messages hold · [`error`] how calls fail, in one enum for all of them. Each provider's module
//! implements the capabilities that it has, and normalises its webhooks into `domain::inbound`; nobody else reads its
//! words.

pub mod content;
pub mod error;

use bytes::Bytes;
use domain::inbound::Address;

use crate::whatsapp_cloud;
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

/// A connection's account at its provider, ready to be called.
#[derive(Clone, Debug)]
pub enum Channel {
    /// A number at Meta's WhatsApp Cloud API.
    WhatsAppCloud(whatsapp_cloud::Number),
}

impl Channel {
    /// How it takes the files of messages.
    pub fn files(&self) -> Files {
        match self {
            Self::WhatsAppCloud(_) => Files::Uploaded,
        }
    }
}

impl SendMessage for Channel {
    async fn send(&self, message: &Message) -> Result<Accepted, SendError> {
        match self {
            Self::WhatsAppCloud(number) => SendMessage::send(number, message).await,
        }
    }
}

impl MarkRead for Channel {
    async fn mark_read(&self, customer: &Address, id: &str, typing: bool) -> Result<(), SendError> {
        match self {
            Self::WhatsAppCloud(number) => number.mark_read(customer, id, typing).await,
        }
    }
}

impl UploadFile for Channel {
    async fn upload(&self, bytes: Bytes, mime_type: &str, filename: &str) -> Result<String, SendError> {
        match self {
            Self::WhatsAppCloud(number) => number.upload(bytes, mime_type, filename).await,
        }
    }
}

impl FetchFile for Channel {
    async fn fetch(&self, provider_media_id: &str, largest: usize) -> Result<Fetched, SendError> {
        match self {
            Self::WhatsAppCloud(number) => number.fetch(provider_media_id, largest).await,
        }
    }
}
