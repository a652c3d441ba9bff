//! Messages go out: claim and commit, call the provider with no transaction open, record what it said.
//!
//! No provider takes an idempotency key. A worker that dies between the call and the record leaves a message that may
//! or may not have gone: it becomes `unknown`, and the provider's statuses, which echo our message id, tell. It is
//! never sent again blindly.

use std::time::Duration;

use chrono::{DateTime, Utc};
use db::connections::Connection;
use db::conversations::Recipient as StoredRecipient;
use db::messages::delivery::{self, Changed, Claimed};
use domain::contact::ConsentScope;
use domain::health::Finding;
use domain::inbound::ProviderFault;
use domain::media::Attachment;
use domain::message::{Callback, Direction, MessageStatus, MessageType};
use domain::{CompanyScope, ConnectionId, ConversationId, MediaId, MessageId};
use providers::channel::content::{MediaKind, MediaSource, OutboundContent, OutboundMedia};
use providers::channel::error::{Remedy, SendError};
use providers::channel::{self, Accepted, Channel, Files, MarkRead as _, SendMessage as _};
use serde_json::{Value, json};

use crate::connections::health;
use crate::error::{Error, Result, internal};
use crate::inbound::replay_for;
use crate::media::sending::{self, NoCopy};
use crate::outbox::{self, Outgoing};
use crate::{App, channels, inbound};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// How often a read receipt is tried: it must not hold up the messages behind it.
const READ_RECEIPT_ATTEMPTS: u32 = 3;

/// After so many refusals that ask for patience a message fails.
const GIVE_UP_AFTER: u32 = 10;

/// How long the record of an accepted message is tried while the database is away.
const RECORD_ATTEMPTS: u32 = 5;

/// Sends one queued message, and before it those of its conversation whose own jobs are late. Safe to run twice.
///
/// # Errors
/// `RetryLater` when the provider asks for patience; the message is queued again. On the last attempt it fails instead,
/// with the provider's reason.
pub async fn send(app: &App, scope: CompanyScope, message_id: MessageId) -> Result<()> {
    if let Sent::Done = send_one(app, scope, message_id).await? {
        return Ok(());
    }
    let mut tx = app.db().await?.begin(scope).await?;
    let earlier = delivery::list_waiting_before(&mut tx, message_id, app.clock.now()).await?;
    tx.commit().await?;
    for earlier in earlier {
        match send_one(app, scope, earlier).await {
            // It says itself that it failed, and does not stand in the way any more.
            Err(error) if !error.retryable() => {
                tracing::error!(message.id = %earlier, error = error.chain(), "earlier message not sent");
            }
            outcome => {
                outcome?;
            }
        }
    }
    match send_one(app, scope, message_id).await? {
        Sent::Done => Ok(()),
        // Another one was put before it meanwhile.
        Sent::Overtakes => {
            let source = anyhow::anyhow!("earlier messages of the conversation have not gone yet");
            Err(Error::RetryLater { after: Duration::ZERO, source })
        }
    }
}

/// What became of a message that was to be sent.
enum Sent {
    /// It was dealt with, now or before.
    Done,
    /// One before it in its conversation has not gone yet, because the hand-over of its job is late.
    Overtakes,
}

async fn send_one(app: &App, scope: CompanyScope, message_id: MessageId) -> Result<Sent> {
    match try_send(app, scope, message_id).await {
        Err(error) if !error.retryable() => {
            fail(app, scope, message_id, &error).await?;
            Err(error)
        }
        outcome => outcome,
    }
}

/// A message that can never be sent says so: a person can mend the cause and send it again.
async fn fail(app: &App, scope: CompanyScope, message_id: MessageId, error: &Error) -> Result<()> {
    let fault = json!({"code": error.code(), "title": error.to_string()});
    let waiting = [MessageStatus::Queued, MessageStatus::Sending];
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let changed =
        delivery::set_status(&mut tx, message_id, &waiting, MessageStatus::Failed, Some(fault), now).await?;
    announce(app, scope, tx, changed).await
}

async fn try_send(app: &App, scope: CompanyScope, message_id: MessageId) -> Result<Sent> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(claimed) = delivery::claim(&mut tx, message_id, false, app.clock.now()).await? else {
        return match resolve_unclaimed(app, scope, tx, message_id).await? {
            Unclaimed::Done => Ok(Sent::Done),
            Unclaimed::Overtakes => Ok(Sent::Overtakes),
            Unclaimed::File(file) => send_file(app, scope, message_id, &file).await,
        };
    };
    let (recipient, connection) = find_ends(&mut tx, claimed.conversation_id).await?;
    tx.commit().await?;
    deliver(app, scope, &claimed, &recipient, connection, None).await?;
    Ok(Sent::Done)
}

/// Sends a message whose file the provider must have first. It is claimed when the provider has it: whoever dies before
/// that leaves a message that certainly did not go.
async fn send_file(
    app: &App,
    scope: CompanyScope,
    message_id: MessageId,
    file: &WaitingFile,
) -> Result<Sent> {
    let mut tx = app.db().await?.begin(scope).await?;
    let (recipient, connection) = find_ends(&mut tx, file.conversation_id).await?;
    tx.commit().await?;
    let mut found = None;
    let copy = if let Some(fault) = health::obstruction(&connection) {
        Err(NoCopy::Provider(SendError::Reauthorise(fault)))
    } else {
        let channel = prepare(app, scope, &connection).await?;
        let copy = sending::offer(app, scope, &connection, &channel, file.media_id).await;
        if let Err(NoCopy::Provider(error)) = &copy {
            found = health::finding(&channel, error);
        }
        copy
    };
    if let Err(NoCopy::Ours(error)) = copy {
        return Err(error);
    }
    note(app, scope, connection.id, found).await;
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(claimed) = delivery::claim(&mut tx, message_id, true, app.clock.now()).await? else {
        return match resolve_unclaimed(app, scope, tx, message_id).await? {
            Unclaimed::Done => Ok(Sent::Done),
            Unclaimed::Overtakes | Unclaimed::File(_) => Ok(Sent::Overtakes),
        };
    };
    tx.commit().await?;
    match copy {
        Ok(copy) => deliver(app, scope, &claimed, &recipient, connection, Some(copy)).await?,
        Err(NoCopy::Provider(error)) => refused(app, scope, &claimed, error).await?,
        Err(NoCopy::Gone) => {
            let fault = unsendable("media_gone", "The file is not there any more");
            finish(app, scope, &claimed, MessageStatus::Failed, Some(&fault)).await?;
        }
        Err(NoCopy::Ours(error)) => return Err(error),
    }
    Ok(Sent::Done)
}

/// Where a message goes, and by what.
async fn find_ends(
    tx: &mut db::TenantTx,
    conversation_id: ConversationId,
) -> Result<(StoredRecipient, Connection)> {
    let recipient = db::conversations::find_recipient(tx, conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let connection = find_connection(tx, recipient.connection_id).await?;
    Ok((recipient, connection))
}

/// Calls the provider with a message that was claimed, and records what it says. No transaction is open meanwhile: a
/// process may have to ask Secrets Manager, too.
async fn deliver(
    app: &App,
    scope: CompanyScope,
    claimed: &Claimed,
    recipient: &StoredRecipient,
    connection: Connection,
    file: Option<MediaSource>,
) -> Result<()> {
    if let Some(fault) = health::obstruction(&connection) {
        return finish(app, scope, claimed, MessageStatus::Failed, Some(&fault)).await;
    }
    let channel = match prepare(app, scope, &connection).await {
        Ok(channel) => channel,
        Err(error) if error.retryable() => {
            finish(app, scope, claimed, MessageStatus::Queued, None).await?;
            return Err(error);
        }
        Err(error) => {
            tracing::error!(connection.id = %recipient.connection_id, error = error.chain(), "connection unusable");
            let title = "The credentials of this connection cannot be read: connect it again";
            let fault = unsendable("connection_unusable", title);
            return finish(app, scope, claimed, MessageStatus::Failed, Some(&fault)).await;
        }
    };
    let message = match provider_message(claimed, recipient, file) {
        Ok(message) => message,
        Err(fault) => return finish(app, scope, claimed, MessageStatus::Failed, Some(&fault)).await,
    };
    match channel.send(&message).await {
        Ok(accepted) => match record(app, scope, claimed, recipient, &connection, &accepted).await {
            // It went out; what cannot be recorded the provider's statuses will tell.
            Err(error) if !error.retryable() => {
                let fault = unsendable(error.code(), "It went out, and could not be recorded");
                finish(app, scope, claimed, MessageStatus::Unknown, Some(&fault)).await
            }
            Ok(()) => {
                noted(health::accepted(app, scope, &connection).await, connection.id);
                Ok(())
            }
            outcome => outcome,
        },
        Err(error) => {
            let is_rejected = matches!(error, SendError::Rejected(_)) && channel.files() == Files::Uploaded;
            if let Some(media_id) = file_of(claimed.media.as_ref()).filter(|_| is_rejected) {
                sending::forget_copy(app, scope, connection.id, media_id).await?;
            }
            let found = health::finding(&channel, &error);
            let outcome = refused(app, scope, claimed, error).await;
            note(app, scope, connection.id, found).await;
            outcome
        }
    }
}

/// Notes what a refusal said of the connection.
async fn note(app: &App, scope: CompanyScope, connection_id: ConnectionId, found: Option<Finding>) {
    if let Some(finding) = found {
        noted(health::refused(app, scope, connection_id, &finding).await, connection_id);
    }
}

/// The message went or did not go, whatever could not be noted about its connection.
fn noted(noted: Result<()>, connection_id: ConnectionId) {
    if let Err(error) = noted {
        tracing::warn!(connection.id = %connection_id, error = error.chain(), "health of a connection not noted");
    }
}

/// What a message is that was not claimed.
enum Unclaimed {
    /// It was dealt with, now or before.
    Done,
    /// One before it in its conversation has not gone yet.
    Overtakes,
    /// The provider must have its file first, unless one before it has not gone yet.
    File(WaitingFile),
}

/// A message that waits for its file to be at the provider.
struct WaitingFile {
    conversation_id: ConversationId,
    media_id: MediaId,
}

fn file_of(stored: Option<&Value>) -> Option<MediaId> {
    Attachment::read(stored?).id
}

/// A job came for a message that cannot be claimed. `sending` means that a worker died with it, `queued` that one before
/// it has not gone yet, or that it has a file; what else there is was dealt with.
async fn resolve_unclaimed(
    app: &App,
    scope: CompanyScope,
    mut tx: db::TenantTx,
    message_id: MessageId,
) -> Result<Unclaimed> {
    let Some(message) = db::messages::find(&mut tx, message_id).await? else { return Ok(Unclaimed::Done) };
    if message.status == MessageStatus::Queued && message.direction == Direction::Outbound {
        let conversation_id = message.conversation_id;
        return Ok(match file_of(message.media.as_ref()) {
            Some(media_id) => Unclaimed::File(WaitingFile { conversation_id, media_id }),
            None => Unclaimed::Overtakes,
        });
    }
    let fault = ProviderFault {
        code: "outcome_unknown".to_owned(),
        title: "The send was interrupted; the provider's report will tell whether it went out".to_owned(),
        detail: None,
    };
    let sending = [MessageStatus::Sending];
    let fault = Some(serde_json::to_value(fault).map_err(internal)?);
    let now = app.clock.now();
    let changed =
        delivery::set_status(&mut tx, message_id, &sending, MessageStatus::Unknown, fault, now).await?;
    announce(app, scope, tx, changed).await?;
    Ok(Unclaimed::Done)
}

async fn find_connection(tx: &mut db::TenantTx, id: ConnectionId) -> Result<Connection> {
    db::connections::find(tx, id).await?.ok_or(Error::NotFound("connection"))
}

async fn prepare(app: &App, scope: CompanyScope, connection: &Connection) -> Result<Channel> {
    channels::open(app, scope, connection, app.http()).await
}

/// The message as channels take it, or why there is none.
fn provider_message(
    claimed: &Claimed,
    recipient: &StoredRecipient,
    file: Option<MediaSource>,
) -> std::result::Result<channel::Message, ProviderFault> {
    if recipient.is_group {
        return Err(unsendable("group_send_unsupported", "This channel does not send to groups"));
    }
    if recipient.opted_out && recipient.channel.obeys_opt_outs() {
        return Err(unsendable("contact_opted_out", "This customer wants no more messages"));
    }
    let content =
        content(claimed, file).ok_or_else(|| unsendable("unsendable_type", "This type cannot be sent"))?;
    Ok(channel::Message {
        to: recipient.address.clone(),
        content,
        reply_to: claimed.reply_to_provider_id.clone(),
        callback: Callback { message_id: claimed.id, journey: claimed.journey }.to_string(),
    })
}

fn unsendable(code: &str, title: &str) -> ProviderFault {
    ProviderFault { code: code.to_owned(), title: title.to_owned(), detail: None }
}

/// The content of a stored message as channels take it; `None` for what none takes. `file` is what a message of a file has
/// beside it, and where the provider finds that.
pub(crate) fn content_of(
    kind: MessageType,
    text: Option<&str>,
    content: Option<&Value>,
    file: Option<(&Attachment, MediaSource)>,
) -> Option<OutboundContent> {
    let media = |kind| {
        let (attachment, source) = file?;
        Some(OutboundContent::Media(OutboundMedia {
            kind,
            source,
            caption: text.map(str::to_owned),
            filename: attachment.filename.clone(),
            voice: attachment.voice,
        }))
    };
    match kind {
        MessageType::Image => media(MediaKind::Image),
        MessageType::Video => media(MediaKind::Video),
        MessageType::Audio => media(MediaKind::Audio),
        MessageType::Document => media(MediaKind::Document),
        MessageType::Sticker => media(MediaKind::Sticker),
        MessageType::Text => {
            let preview_url = content.and_then(|content| content["preview_url"].as_bool()).unwrap_or(false);
            Some(OutboundContent::Text { body: text?.to_owned(), preview_url })
        }
        MessageType::Template => Some(OutboundContent::Template(content?.clone())),
        MessageType::Interactive => Some(OutboundContent::Interactive(content?.clone())),
        MessageType::Location => Some(OutboundContent::Location(content?.clone())),
        MessageType::Contacts => Some(OutboundContent::Contacts(content?.clone())),
        MessageType::Reaction => Some(OutboundContent::Reaction {
            message_id: content?["message_id"].as_str()?.to_owned(),
            emoji: content?["emoji"].as_str().unwrap_or_default().to_owned(),
            of_ours: content?["of_ours"].as_bool().unwrap_or(false),
        }),
        MessageType::Button
        | MessageType::Order
        | MessageType::System
        | MessageType::Edit
        | MessageType::Revoke
        | MessageType::Note
        | MessageType::Unsupported => None,
    }
}

fn content(claimed: &Claimed, file: Option<MediaSource>) -> Option<OutboundContent> {
    let attachment = claimed.media.as_ref().map(Attachment::read);
    let file = attachment.as_ref().zip(file);
    content_of(claimed.message_type, claimed.text.as_deref(), claimed.content.as_ref(), file)
}

/// Records that the provider took the message. It did: so this tries hard before it gives up, and what it cannot
/// record the provider's statuses will.
async fn record(
    app: &App,
    scope: CompanyScope,
    claimed: &Claimed,
    recipient: &StoredRecipient,
    connection: &Connection,
    accepted: &Accepted,
) -> Result<()> {
    let mut pause = Duration::from_millis(200);
    for _ in 1..RECORD_ATTEMPTS {
        match try_record(app, scope, claimed, recipient, connection, accepted).await {
            Err(error) if error.retryable() => {
                tracing::warn!(message.id = %claimed.id, error = error.chain(), "accepted message not recorded yet");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
    try_record(app, scope, claimed, recipient, connection, accepted).await
}

async fn try_record(
    app: &App,
    scope: CompanyScope,
    claimed: &Claimed,
    recipient: &StoredRecipient,
    connection: &Connection,
    accepted: &Accepted,
) -> Result<()> {
    let now = app.clock.now();
    let connection_id = connection.id;
    let provider_id = &accepted.provider_message_id;
    let mut tx = app.db().await?.begin(scope).await?;
    delivery::lock_provider_ids(&mut tx, connection_id, std::slice::from_ref(provider_id)).await?;
    let recorded = delivery::record_accepted(&mut tx, claimed.id, provider_id, now).await?;
    let replayed = replay_for(&mut tx, connection_id, connection.kind, provider_id).await?;
    learn_address(&mut tx, claimed, recipient, accepted, now).await?;
    announce(app, scope, tx, replayed.or(recorded)).await
}

/// The provider's answer names the customer as the provider does: that is what to send to from now on.
async fn learn_address(
    tx: &mut db::TenantTx,
    claimed: &Claimed,
    recipient: &StoredRecipient,
    accepted: &Accepted,
    now: DateTime<Utc>,
) -> Result<()> {
    let Some(address) = &accepted.customer else { return Ok(()) };
    if *address == recipient.address {
        return Ok(());
    }
    let own = inbound::learn(tx, recipient.side_id, std::slice::from_ref(address), now).await?;
    if own.is_empty() {
        // Somebody else's: what is answered there would be filed under them.
        return Ok(());
    }
    let used = &recipient.address;
    Ok(db::conversations::replace_address(tx, claimed.conversation_id, used, address, now).await?)
}

/// Does what the class of the provider's refusal asks for.
async fn refused(app: &App, scope: CompanyScope, claimed: &Claimed, error: SendError) -> Result<()> {
    // Counted by the claims, not by the queue: a message that waits behind another one is received but not tried.
    let attempt = u32::try_from(claimed.attempts).unwrap_or_default();
    let fault = error.fault().clone();
    tracing::warn!(message.id = %claimed.id, provider.code = fault.code, "provider did not take the message");
    let pause = match error.remedy() {
        Remedy::Unknown => return finish(app, scope, claimed, MessageStatus::Unknown, Some(&fault)).await,
        Remedy::WaitForWindow | Remedy::FixAndResend | Remedy::GiveUp => {
            return match error {
                SendError::OptedOut(_) => opted_out(app, scope, claimed, &fault, ConsentScope::All).await,
                SendError::MarketingStopped(_) => {
                    opted_out(app, scope, claimed, &fault, ConsentScope::Marketing).await
                }
                _ => finish(app, scope, claimed, MessageStatus::Failed, Some(&fault)).await,
            };
        }
        Remedy::RetryAfter => match &error {
            SendError::Retry { after: Some(after), .. } => *after,
            // Meta asks for 4^X seconds on the X-th refusal of a pair.
            SendError::PairLimited(_) => backoff(4, attempt),
            _ => backoff(2, attempt),
        },
    };
    if attempt >= GIVE_UP_AFTER {
        return finish(app, scope, claimed, MessageStatus::Failed, Some(&fault)).await;
    }
    finish(app, scope, claimed, MessageStatus::Queued, Some(&fault)).await?;
    Err(Error::RetryLater { after: apart(pause.min(LONGEST_PAUSE), claimed.id), source: error.into() })
}

/// The message failed, and nobody shall try another one: both are written down together.
async fn opted_out(
    app: &App,
    scope: CompanyScope,
    claimed: &Claimed,
    fault: &ProviderFault,
    of: ConsentScope,
) -> Result<()> {
    let wire = json!({"code": fault.code, "title": fault.title, "detail": fault.detail});
    let (sending, failed) = ([MessageStatus::Sending], MessageStatus::Failed);
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    let recipient = db::conversations::find_recipient(&mut tx, claimed.conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let changed =
        delivery::set_status(&mut tx, claimed.id, &sending, failed, Some(wire), app.clock.now()).await?;
    if let Some(changed) = changed {
        outgoing.event(scope, inbound::changed_event(changed))?;
    }
    let contact_id = recipient.contact_id;
    inbound::write_down_refused(app, &mut tx, claimed.id, contact_id, of, fault, &mut outgoing).await?;
    outbox::commit(app, tx, outgoing).await
}

fn backoff(base: u32, attempt: u32) -> Duration {
    Duration::from_secs(base.saturating_pow(attempt.min(10)).into()).min(LONGEST_PAUSE)
}

/// A pause that is up to a quarter longer, by the message: those that were refused together shall not come back together.
fn apart(pause: Duration, id: MessageId) -> Duration {
    // The last bits of an id are random.
    let share = u32::from(id.0.as_bytes()[15]);
    pause + pause * share / 1024
}

/// Takes a claimed message out of `sending`.
async fn finish(
    app: &App,
    scope: CompanyScope,
    claimed: &Claimed,
    to: MessageStatus,
    fault: Option<&ProviderFault>,
) -> Result<()> {
    let fault = fault.map(|fault| json!({"code": fault.code, "title": fault.title, "detail": fault.detail}));
    let sending = [MessageStatus::Sending];
    let mut tx = app.db().await?.begin(scope).await?;
    let changed = delivery::set_status(&mut tx, claimed.id, &sending, to, fault, app.clock.now()).await?;
    announce(app, scope, tx, changed).await
}

async fn announce(app: &App, scope: CompanyScope, tx: db::TenantTx, changed: Option<Changed>) -> Result<()> {
    let mut outgoing = Outgoing::default();
    if let Some(changed) = changed {
        outgoing.event(scope, inbound::changed_event(changed))?;
    }
    outbox::commit(app, tx, outgoing).await
}

/// Tells the provider that a customer's message was read; with `typing` that an answer is coming. `attempt` is 1 the
/// first time.
///
/// # Errors
/// `RetryLater` for a few attempts; after those it is let go, because messages wait behind it.
pub async fn mark_read(
    app: &App,
    scope: CompanyScope,
    message_id: MessageId,
    typing: bool,
    attempt: u32,
) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(message) = db::messages::find(&mut tx, message_id).await? else { return Ok(()) };
    let Some(provider_id) = message.provider_message_id else { return Ok(()) };
    let recipient = db::conversations::find_recipient(&mut tx, message.conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let connection = find_connection(&mut tx, recipient.connection_id).await?;
    tx.commit().await?;

    let channel = prepare(app, scope, &connection).await?;
    match channel.mark_read(&recipient.address, &provider_id, typing).await {
        Ok(()) => Ok(()),
        Err(error) if error.may_pass() && attempt < READ_RECEIPT_ATTEMPTS => {
            Err(Error::RetryLater { after: apart(backoff(2, attempt), message_id), source: error.into() })
        }
        Err(error) => {
            let code = &error.fault().code;
            tracing::warn!(message.id = %message_id, provider.code = code, "read receipt not taken");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn pauses_grow_and_end() {
        let seconds = |base, attempt| backoff(base, attempt).as_secs();
        assert_eq!([seconds(2, 1), seconds(2, 3), seconds(4, 3)], [2, 8, 64]);
        assert_eq!(seconds(4, 30), LONGEST_PAUSE.as_secs());
    }

    #[test]
    fn messages_that_wait_alike_come_back_one_by_one() {
        let pause = Duration::from_secs(64);
        let pauses: Vec<_> = (0..=255).map(|id| apart(pause, MessageId(Uuid::from_u128(id)))).collect();
        assert!(pauses.is_sorted_by(|one, other| one < other));
        assert!(pauses[0] == pause && pauses[255] < pause + pause / 4, "never sooner than was asked for");
    }
}
