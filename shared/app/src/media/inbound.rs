//! Files that came with messages: fetched from the provider before it forgets them.
//!
//! Nothing is claimed, and everything has its place from the beginning: whoever dies here is followed by somebody who
//! does the same again, and in the end there is one file, one message that knows of it, and one event at least.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use db::connections::Connection;
use db::media::{Arrived, InboundMedia, Media};
use domain::event::Event;
use domain::inbound;
use domain::job::Job;
use domain::media::{self as rules, Attachment, MediaReason, MediaState, Purpose, sniff};
use domain::{CompanyScope, ConnectionId, MediaId, MessageId};
use providers::channel::error::{Remedy, SendError};
use providers::channel::{self, FetchFile as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{key_of, store};
use crate::error::{Error, Result, internal};
use crate::outbox::{self, Outgoing};
use crate::{App, channels};

/// Meta keeps a file that a customer sent for seven days.
const KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// What stands with a message about its file while it is on its way; `id` is its future one.
pub(crate) fn awaited(media: &inbound::InboundMedia, id: MediaId) -> Result<Value> {
    let attachment = Attachment {
        id: Some(id),
        state: Some(MediaState::Waiting),
        mime_type: media.mime_type.as_deref().map(rules::essence),
        filename: media.filename.as_deref().map(clean),
        voice: media.voice,
        ..Attachment::default()
    };
    serde_json::to_value(attachment).map_err(internal)
}

/// A file that came with a message that is stored, and is still to be fetched.
pub(crate) fn noted(
    scope: CompanyScope,
    message_id: MessageId,
    connection_id: ConnectionId,
    media: &inbound::InboundMedia,
    id: MediaId,
) -> InboundMedia {
    InboundMedia {
        id,
        message_id,
        connection_id,
        provider_media_id: clean(&media.provider_media_id),
        mime_type: media.mime_type.as_deref().map_or_else(|| UNKNOWN.to_owned(), rules::essence),
        key: key_of(Purpose::Inbound, scope.company_id(), id),
        file_name: media.filename.as_deref().map(clean),
    }
}

/// A type that says nothing.
const UNKNOWN: &str = "application/octet-stream";

/// PostgreSQL's text has no NUL; a customer's words may.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Fetches a file from its provider and stores it. `attempt` is 1 the first time. Safe to run twice.
///
/// # Errors
/// `RetryLater` while the provider does not give it, for as long as it keeps it; other retryable errors are ours.
pub async fn fetch(app: &App, scope: CompanyScope, media_id: MediaId, attempt: u32) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let media = db::media::find(&mut tx, media_id).await?;
    let awaited =
        media.filter(|media| media.state == MediaState::Waiting && media.purpose == Purpose::Inbound);
    let Some(media) = awaited else { return Ok(()) };
    let connection = match media.connection_id {
        Some(id) => db::connections::find(&mut tx, id).await?,
        None => None,
    };
    tx.commit().await?;
    let Some(connection) = connection else {
        return lose(app, scope, &media, MediaState::Gone, MediaReason::Unavailable).await;
    };
    match from_provider(app, scope, &media, connection).await {
        Ok(Fetched::Bytes(bytes)) => keep(app, scope, &media, bytes).await,
        Ok(Fetched::Nothing(state, reason)) => lose(app, scope, &media, state, reason).await,
        // It will not have it any more.
        Err(Error::RetryLater { .. }) if app.clock.now() > media.created_at + KEPT_FOR => {
            lose(app, scope, &media, MediaState::Gone, MediaReason::Unavailable).await
        }
        Err(Error::RetryLater { after, source }) => {
            let pause = Duration::from_secs(2_u64.saturating_pow(attempt.min(10)));
            Err(Error::RetryLater { after: after.max(pause).min(LONGEST_PAUSE), source })
        }
        Err(error) => Err(error),
    }
}

/// What a provider gave.
enum Fetched {
    /// The file.
    Bytes(Bytes),
    /// It never will, and why.
    Nothing(MediaState, MediaReason),
}

async fn from_provider(
    app: &App,
    scope: CompanyScope,
    media: &Media,
    connection: Connection,
) -> Result<Fetched> {
    // Credentials that cannot be read are replaced when a person connects the number again, which may be in time.
    let channel = channels::open(app, scope, &connection, app.guarded_http()?).await.map_err(later)?;
    let provider_id = media.provider_media_id.as_deref().unwrap_or_default();
    let largest = usize::try_from(rules::LARGEST_INBOUND).unwrap_or(usize::MAX);
    match channel.fetch(provider_id, largest).await.map_err(refused)? {
        channel::Fetched::File { bytes, .. } if bytes.is_empty() => {
            Ok(Fetched::Nothing(MediaState::Refused, MediaReason::Empty))
        }
        channel::Fetched::File { bytes, sha256 } => {
            check(&bytes, sha256.as_deref())?;
            Ok(Fetched::Bytes(bytes))
        }
        channel::Fetched::TooLarge => Ok(Fetched::Nothing(MediaState::Refused, MediaReason::TooLarge)),
        channel::Fetched::Gone(fault) => {
            tracing::info!(media.id = %media.id, provider.code = fault.code, "provider has the file no longer");
            Ok(Fetched::Nothing(MediaState::Gone, MediaReason::Expired))
        }
    }
}

/// Bytes that are not those that the provider has broke on their way.
fn check(bytes: &[u8], sha256: Option<&str>) -> Result<()> {
    let Some(said) = sha256 else { return Ok(()) };
    if hex::encode(Sha256::digest(bytes)).eq_ignore_ascii_case(said) {
        return Ok(());
    }
    Err(Error::RetryLater { after: Duration::ZERO, source: anyhow::anyhow!("the file came over damaged") })
}

/// All of these pass: also a token that is refused, when a person connects the number again.
fn refused(error: SendError) -> Error {
    let after = match (&error, error.remedy()) {
        (SendError::Retry { after, .. }, _) => after.unwrap_or_default(),
        (_, Remedy::FixAndResend) => LONGEST_PAUSE,
        _ => Duration::ZERO,
    };
    Error::RetryLater { after, source: error.into() }
}

fn later(error: Error) -> Error {
    match error.retryable() {
        true => error,
        false => Error::RetryLater { after: LONGEST_PAUSE, source: error.into() },
    }
}

/// Stores a file, and makes its message and who looks at it know.
async fn keep(app: &App, scope: CompanyScope, media: &Media, bytes: Bytes) -> Result<()> {
    let beginning = &bytes[..bytes.len().min(sniff::ENOUGH)];
    let arrived = Arrived {
        mime_type: actual_type(&media.mime_type, sniff::look(beginning)),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        sha256: Some(hex::encode(Sha256::digest(&bytes))),
    };
    app.media.put(&media.key, &arrived.mime_type, bytes).await.map_err(store)?;
    let mut tx = app.db().await?.begin(scope).await?;
    let mut outgoing = Outgoing::default();
    if !db::media::set_ready(&mut tx, media.id, &arrived, app.clock.now()).await? {
        // Another one was quicker, or it was erased meanwhile.
        let known = db::media::find(&mut tx, media.id).await?;
        tx.commit().await?;
        if known.is_none_or(|known| known.state != MediaState::Ready) {
            app.media.delete(&media.key).await.map_err(store)?;
        }
        return Ok(());
    }
    if rules::has_thumbnail(&arrived.mime_type) {
        outgoing.job(scope, Job::MakeThumbnail { media_id: media.id })?;
    }
    let known = json!({ "state": MediaState::Ready, "mime_type": arrived.mime_type, "size": arrived.size });
    tell(&mut tx, scope, media, &known, &mut outgoing).await?;
    outbox::commit(app, tx, outgoing).await
}

/// What the bytes are, where they show it. What was said is believed where it agrees, because it says more; of a file
/// that lies about itself only what it is.
fn actual_type(said: &str, sniffed: sniff::Sniffed) -> String {
    if rules::agrees(Purpose::Inbound, said, sniffed.mime_type, sniffed.is_text) {
        return said.to_owned();
    }
    match sniffed.mime_type {
        Some(known) => rules::essence(known),
        // Types of documents are many, and few of them show.
        None if !rules::is_shown_inline(said) => said.to_owned(),
        None => UNKNOWN.to_owned(),
    }
}

/// There will be no file.
async fn lose(
    app: &App,
    scope: CompanyScope,
    media: &Media,
    state: MediaState,
    reason: MediaReason,
) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let mut outgoing = Outgoing::default();
    if db::media::set_lost(&mut tx, media.id, state, reason).await? {
        let known = json!({ "state": state, "reason": reason });
        tell(&mut tx, scope, media, &known, &mut outgoing).await?;
    }
    outbox::commit(app, tx, outgoing).await
}

async fn tell(
    tx: &mut db::TenantTx,
    scope: CompanyScope,
    media: &Media,
    known: &Value,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let Some(message_id) = media.message_id else { return Ok(()) };
    let Some(changed) = db::media::set_on_message(tx, message_id, known).await? else { return Ok(()) };
    let db::media::ChangedMessage { id: message_id, conversation_id, version } = changed;
    outgoing.event(scope, Event::MessageMediaChanged { message_id, conversation_id, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_lies_about_itself_is_what_it_is() {
        let seen = |beginning: &[u8]| sniff::look(beginning);
        assert_eq!(actual_type("image/jpeg", seen(b"\xff\xd8\xff\xe0\0\x10JFIF")), "image/jpeg");
        assert_eq!(
            actual_type("image/jpeg", seen(b"MZ\x90\0")),
            "application/vnd.microsoft.portable-executable"
        );
        assert_eq!(actual_type("image/jpeg", seen(b"\0\0\0nothing known")), UNKNOWN);
        assert_eq!(actual_type("application/x-odd", seen(b"\0\0\0nothing known")), "application/x-odd");
        assert_eq!(actual_type("audio/mp4", seen(b"\0\0\0\x20ftypM4A \0\0")), "audio/mp4");
    }
}
