//! A number of the Cloud API as a channel.

use bytes::Bytes;
use domain::inbound::{Address, AddressKind};

use super::client::{Credentials, WhatsAppCloud};
use super::content::{OutboundMessage, Recipient};
use super::error::own_fault;
use super::media::TOO_LARGE;
use crate::channel::error::SendError;
use crate::channel::{Accepted, FetchFile, Fetched, MarkRead, Message, SendMessage, UploadFile};

/// One business number, with the rights to it.
#[derive(Clone, Debug)]
pub struct Number {
    /// Who calls.
    pub client: WhatsAppCloud,
    /// By which rights.
    pub credentials: Credentials,
}

impl SendMessage for Number {
    async fn send(&self, message: &Message) -> Result<Accepted, SendError> {
        let message = OutboundMessage {
            to: recipient(&message.to)?,
            content: message.content.clone(),
            reply_to: message.reply_to.clone(),
            callback: message.callback.clone(),
        };
        let accepted = self.client.send(&self.credentials, &message).await?;
        Ok(Accepted {
            provider_message_id: accepted.provider_message_id,
            customer: accepted.wa_id.map(|value| Address { kind: AddressKind::WaId, value }),
        })
    }
}

fn recipient(address: &Address) -> Result<Recipient, SendError> {
    let value = address.value.clone();
    match address.kind {
        AddressKind::WaId => Ok(Recipient::WaId(value)),
        AddressKind::E164 => Ok(Recipient::E164(value)),
        AddressKind::Bsuid => Ok(Recipient::Bsuid(value)),
        AddressKind::Lid | AddressKind::Email | AddressKind::External => Err(SendError::no_address()),
    }
}

impl MarkRead for Number {
    async fn mark_read(&self, _customer: &Address, id: &str, typing: bool) -> Result<(), SendError> {
        self.client.mark_read(&self.credentials, id, typing).await
    }
}

impl UploadFile for Number {
    async fn upload(&self, bytes: Bytes, mime_type: &str, filename: &str) -> Result<String, SendError> {
        self.client.upload_media(&self.credentials, bytes, mime_type, filename).await
    }
}

impl FetchFile for Number {
    async fn fetch(&self, provider_media_id: &str, largest: usize) -> Result<Fetched, SendError> {
        let mut gone = own_fault("http", "the link ran out", None);
        // A link lives for five minutes, and may have run out on its way: the second one is fresh.
        for _ in 0..2 {
            let location = match self.client.media_url(&self.credentials, provider_media_id).await {
                Ok(location) => location,
                Err(SendError::Rejected(fault)) => return Ok(Fetched::Gone(fault)),
                Err(error) => return Err(error),
            };
            if location.file_size.is_some_and(|size| size > largest as u64) {
                return Ok(Fetched::TooLarge);
            }
            match self.client.download(&self.credentials, &location.url, largest).await {
                Ok(download) => {
                    return Ok(Fetched::File { bytes: download.bytes, sha256: location.sha256 });
                }
                Err(SendError::Rejected(fault)) if fault.code == TOO_LARGE => return Ok(Fetched::TooLarge),
                Err(SendError::Rejected(fault)) => gone = fault,
                Err(error) => return Err(error),
            }
        }
        Ok(Fetched::Gone(gone))
    }
}
