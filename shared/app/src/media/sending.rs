//! What a message to a customer needs of its file: that it is there, that the channel takes it, and a copy of it at the
//! provider.

use std::time::Duration;

use chrono::TimeDelta;
use cloud::media::{MediaError, Served};
use db::TenantTx;
use db::connections::Connection;
use db::media::Media;
use domain::inbound::ProviderFault;
use domain::media::{self as rules, Attachment, MediaState, Purpose};
use domain::message::MessageType;
use domain::{CompanyScope, MediaId};
use providers::channel::content::MediaSource;
use providers::channel::error::SendError;
use providers::channel::{Channel, Files, UploadFile as _};

use super::{not_ready, store};
use crate::App;
use crate::error::{Error, Result};

/// Meta keeps an upload for thirty days. A copy that has not so long to live any more is made anew.
const KEPT_FOR: TimeDelta = TimeDelta::days(29);

/// How long it may take to bring a file to the provider: the message itself goes afterwards, within the time of the same
/// function, and other conversations wait behind it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long a provider may take to follow a link: some do it when they have answered.
const LINK_LIFE: Duration = Duration::from_secs(15 * 60);

/// Whether messages of this type are a file.
pub(crate) fn is_file(kind: MessageType) -> bool {
    match kind {
        MessageType::Image
        | MessageType::Video
        | MessageType::Audio
        | MessageType::Document
        | MessageType::Sticker => true,
        MessageType::Text
        | MessageType::Location
        | MessageType::Contacts
        | MessageType::Interactive
        | MessageType::Button
        | MessageType::Note
        | MessageType::Reaction
        | MessageType::Order
        | MessageType::Template
        | MessageType::System
        | MessageType::Edit
        | MessageType::Revoke
        | MessageType::Unsupported => false,
    }
}

/// The file of a message to write. Files that customers sent can be sent on.
///
/// # Errors
/// `NotFound`; `Rule` `media_not_ready`; `Invalid` when the file does not go with the type of message.
pub(crate) async fn attach(
    tx: &mut TenantTx,
    id: MediaId,
    kind: MessageType,
    voice: bool,
) -> Result<Attachment> {
    let media = db::media::find(tx, id).await?;
    let media = media
        .filter(|media| matches!(media.purpose, Purpose::Message | Purpose::Inbound))
        .ok_or(Error::NotFound("media"))?;
    if media.state != MediaState::Ready {
        return Err(not_ready(media.state));
    }
    if rules::message_type(&media.mime_type) != Some(kind) {
        return Err(Error::invalid(
            "media_id",
            format!("a file of type {} goes with another type of message", media.mime_type),
        ));
    }
    let largest = rules::largest(Purpose::Message, &media.mime_type).unwrap_or_default();
    if media.size.is_none_or(|size| size > largest) {
        return Err(Error::invalid("media_id", format!("the file has more than {largest} bytes")));
    }
    if voice && media.mime_type != "audio/ogg" {
        return Err(Error::invalid("voice", "a voice note is an Ogg file with Opus"));
    }
    Ok(Attachment {
        id: Some(media.id),
        state: Some(MediaState::Ready),
        mime_type: Some(media.mime_type),
        size: media.size,
        filename: media.file_name,
        voice,
        ..Attachment::default()
    })
}

/// Why a file has no copy at the provider.
pub(crate) enum NoCopy {
    /// The provider did not take it.
    Provider(SendError),
    /// It is nowhere any more.
    Gone,
    /// We failed.
    Ours(Error),
}

/// Offers a file to the provider: as a copy that it has, or as a link that it follows. The message is claimed by nobody yet:
/// whoever dies here loses nothing but time.
pub(crate) async fn offer(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    channel: &Channel,
    media_id: MediaId,
) -> Result<MediaSource, NoCopy> {
    match channel.files() {
        Files::Uploaded => {
            put_at_provider(app, scope, connection, channel, media_id).await.map(MediaSource::Id)
        }
        Files::Linked => link(app, scope, connection, media_id).await.map(MediaSource::Link),
    }
}

/// A link to a file that holds while the provider may still ask for it.
async fn link(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    media_id: MediaId,
) -> Result<String, NoCopy> {
    let (_, media) = look_up(app, scope, connection, media_id).await.map_err(NoCopy::Ours)?;
    let media = media.filter(|media| media.state == MediaState::Ready).ok_or(NoCopy::Gone)?;
    let plain = media.id.to_string();
    let served = Served {
        content_type: &media.mime_type,
        inline: false,
        file_name: media.file_name.as_deref().unwrap_or(&plain),
    };
    let signed = app.media.sign_get(&media.key, served, LINK_LIFE).await;
    Ok(signed.map_err(|error| NoCopy::Ours(store(error)))?.url)
}

/// Puts a file at the provider, unless it has a copy; what the provider calls it.
async fn put_at_provider(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    channel: &Channel,
    media_id: MediaId,
) -> Result<String, NoCopy> {
    let (known, media) = look_up(app, scope, connection, media_id).await.map_err(NoCopy::Ours)?;
    if let Some(known) = known {
        return Ok(known);
    }
    let Some(media) = media.filter(|media| media.state == MediaState::Ready) else {
        return Err(NoCopy::Gone);
    };
    let provider_id = match tokio::time::timeout(TIMEOUT, bring(app, channel, &media)).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(harmless(too_slow())),
    };
    remember(app, scope, connection, media_id, &provider_id).await.map_err(NoCopy::Ours)?;
    Ok(provider_id)
}

async fn bring(app: &App, channel: &Channel, media: &Media) -> Result<String, NoCopy> {
    let largest = rules::largest(Purpose::Message, &media.mime_type).unwrap_or_default();
    let bytes = app.media.read(&media.key, usize::try_from(largest).unwrap_or_default()).await;
    let bytes = bytes.map_err(|error| match error {
        MediaError::NotFound | MediaError::TooLarge => NoCopy::Gone,
        error => NoCopy::Ours(store(error)),
    })?;
    let name = media.file_name.as_deref().unwrap_or("file");
    channel.upload(bytes, &media.mime_type, name).await.map_err(harmless)
}

/// A file that may be there or not is nothing that a customer sees: it is put there again.
fn harmless(error: SendError) -> NoCopy {
    NoCopy::Provider(match error {
        SendError::Unknown(fault) => SendError::Retry { after: None, fault },
        error => error,
    })
}

fn too_slow() -> SendError {
    SendError::Unknown(ProviderFault {
        code: "timeout".to_owned(),
        title: "The provider takes too long to take the file".to_owned(),
        detail: None,
    })
}

async fn look_up(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    media_id: MediaId,
) -> Result<(Option<String>, Option<Media>)> {
    let mut tx = app.db().await?.begin(scope).await?;
    let copy = db::media::find_copy(&mut tx, media_id, connection.id, app.clock.now()).await?;
    let media = db::media::find(&mut tx, media_id).await?;
    tx.commit().await?;
    Ok((copy, media))
}

async fn remember(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    media_id: MediaId,
    provider_id: &str,
) -> Result<()> {
    let until = app.clock.now() + KEPT_FOR;
    let mut tx = app.db().await?.begin(scope).await?;
    db::media::put_copy(&mut tx, media_id, connection.id, provider_id, until).await?;
    Ok(tx.commit().await?)
}

/// Forgets the copy of a file that the provider did not send: whoever sends it again sends another one.
pub(crate) async fn forget_copy(
    app: &App,
    scope: CompanyScope,
    connection_id: domain::ConnectionId,
    media_id: MediaId,
) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::media::delete_copy(&mut tx, media_id, connection_id).await?;
    Ok(tx.commit().await?)
}
