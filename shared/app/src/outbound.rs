//! Messages go out: claim and commit, call the provider with no transaction open, record what it said.
//!
//! No provider takes an idempotency key. A worker that dies between the call and the record leaves a message that may
//! or may not have gone: it becomes `unknown`, and the provider's statuses, which echo our message id, tell. It is
//! never sent again blindly.

use std::time::Duration;

use chrono::{DateTime, Utc};
use db::contacts::KnownAddress;
use db::conversations::Recipient as StoredRecipient;
use db::messages::delivery::{self, Changed, Claimed};
use domain::inbound::{Address, AddressKind, ProviderFault};
use domain::message::{MessageStatus, MessageType};
use domain::{CompanyId, CompanyScope, ConnectionId, MessageId};
use providers::whatsapp_cloud::client::{Accepted, Credentials, WhatsAppCloud};
use providers::whatsapp_cloud::content::{OutboundContent, OutboundMessage, Recipient};
use providers::whatsapp_cloud::error::SendError;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::ai_reply::Attempt;
use crate::error::{Error, Result, internal};
use crate::inbound::replay_for;
use crate::outbox::{self, Outgoing};
use crate::sealed::{self, Place};
use crate::{App, inbound};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// How often a read receipt is tried: it must not hold up the messages behind it.
const READ_RECEIPT_ATTEMPTS: u32 = 3;

/// After so many refusals that ask for patience a message fails.
const GIVE_UP_AFTER: u32 = 10;

/// How long the record of an accepted message is tried while the database is away.
const RECORD_ATTEMPTS: u32 = 5;

/// What the provider is called with.
struct Prepared {
    client: WhatsAppCloud,
    credentials: Credentials,
}

/// Sends one queued message. Safe to run twice.
///
/// # Errors
/// `RetryLater` when the provider asks for patience; the message is queued again. On the last attempt it fails instead,
/// with the provider's reason.
pub async fn send(app: &App, scope: CompanyScope, message_id: MessageId) -> Result<()> {
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
    let fault = json!({"code": error.code(), "title": error.to_string(), "detail": error.chain()});
    let waiting = [MessageStatus::Queued, MessageStatus::Sending];
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let changed =
        delivery::set_status(&mut tx, message_id, &waiting, MessageStatus::Failed, Some(fault), now).await?;
    announce(app, scope, tx, changed).await
}

async fn try_send(app: &App, scope: CompanyScope, message_id: MessageId) -> Result<()> {
    // Before the transaction: the first call of a process asks Secrets Manager.
    app.sealing.current().await.map_err(internal)?;
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(claimed) = delivery::claim(&mut tx, message_id).await? else {
        return resolve_interrupted(app, scope, tx, message_id).await;
    };
    let recipient = db::conversations::find_recipient(&mut tx, claimed.conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let prepared = prepare(app, &mut tx, recipient.connection_id).await?;
    tx.commit().await?;

    let message = match provider_message(&claimed, &recipient) {
        Ok(message) => message,
        Err(fault) => return finish(app, scope, &claimed, MessageStatus::Failed, Some(&fault)).await,
    };
    match prepared.client.send(&prepared.credentials, &message).await {
        Ok(accepted) => match record(app, scope, &claimed, &recipient, &accepted).await {
            // It went out; what cannot be recorded the provider's statuses will tell.
            Err(error) if !error.retryable() => {
                let fault = unsendable(error.code(), "O envio saiu, mas não pôde ser registrado");
                finish(app, scope, &claimed, MessageStatus::Unknown, Some(&fault)).await
            }
            outcome => outcome,
        },
        Err(error) => refused(app, scope, &claimed, error).await,
    }
}

/// A job came again for a message that is not queued. `sending` means that a worker died with it.
async fn resolve_interrupted(
    app: &App,
    scope: CompanyScope,
    mut tx: db::TenantTx,
    message_id: MessageId,
) -> Result<()> {
    let fault = ProviderFault {
        code: "outcome_unknown".to_owned(),
        title: "O envio foi interrompido; o status do provedor dirá se a mensagem saiu".to_owned(),
        detail: Some(
            "The send was interrupted; the provider's status will tell whether it went out".to_owned(),
        ),
    };
    let sending = [MessageStatus::Sending];
    let fault = Some(serde_json::to_value(fault).map_err(internal)?);
    let now = app.clock.now();
    let changed =
        delivery::set_status(&mut tx, message_id, &sending, MessageStatus::Unknown, fault, now).await?;
    announce(app, scope, tx, changed).await
}

async fn prepare(app: &App, tx: &mut db::TenantTx, connection_id: ConnectionId) -> Result<Prepared> {
    let connection = db::connections::find(tx, connection_id).await?.ok_or(Error::NotFound("connection"))?;
    let access_token = open_token(app, tx.company_id(), connection_id, connection.access_token).await?;
    Ok(Prepared {
        client: WhatsAppCloud::new(&app.settings.graph_base_url, app.http().clone()),
        credentials: Credentials { phone_number_id: connection.provider_account, access_token },
    })
}

async fn open_token(
    app: &App,
    company_id: CompanyId,
    connection_id: ConnectionId,
    sealed: String,
) -> Result<SecretString> {
    let sealed = sealed.parse().map_err(internal)?;
    sealed::open(app, &sealed, &Place::connection(company_id, connection_id, "access_token")).await
}

/// The message in the provider's words, or why there are none.
fn provider_message(
    claimed: &Claimed,
    recipient: &StoredRecipient,
) -> std::result::Result<OutboundMessage, ProviderFault> {
    if recipient.is_group {
        return Err(unsendable("group_send_unsupported", "Este canal não envia para grupos"));
    }
    let to = match recipient.address.kind {
        AddressKind::WaId => Recipient::WaId(recipient.address.value.clone()),
        AddressKind::E164 => Recipient::E164(recipient.address.value.clone()),
        AddressKind::Bsuid => Recipient::Bsuid(recipient.address.value.clone()),
        AddressKind::Lid | AddressKind::Email | AddressKind::External => {
            return Err(unsendable("no_address", "Este contato não tem endereço neste canal"));
        }
    };
    let content =
        content(claimed).ok_or_else(|| unsendable("unsendable_type", "Este tipo não pode ser enviado"))?;
    Ok(OutboundMessage {
        to,
        content,
        reply_to: claimed.reply_to_provider_id.clone(),
        callback: claimed.id.to_string(),
    })
}

fn unsendable(code: &str, title: &str) -> ProviderFault {
    ProviderFault { code: code.to_owned(), title: title.to_owned(), detail: None }
}

/// The content of a stored message as the Cloud API takes it; `None` for what it does not take.
pub(crate) fn content_of(
    kind: MessageType,
    text: Option<&str>,
    content: Option<&Value>,
) -> Option<OutboundContent> {
    match kind {
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
        }),
        MessageType::Image
        | MessageType::Video
        | MessageType::Audio
        | MessageType::Document
        | MessageType::Sticker
        | MessageType::Button
        | MessageType::Order
        | MessageType::System
        | MessageType::Edit
        | MessageType::Revoke
        | MessageType::Unsupported => None,
    }
}

fn content(claimed: &Claimed) -> Option<OutboundContent> {
    content_of(claimed.message_type, claimed.text.as_deref(), claimed.content.as_ref())
}

/// Records that the provider took the message. It did: so this tries hard before it gives up, and what it cannot
/// record the provider's statuses will.
async fn record(
    app: &App,
    scope: CompanyScope,
    claimed: &Claimed,
    recipient: &StoredRecipient,
    accepted: &Accepted,
) -> Result<()> {
    let mut pause = Duration::from_millis(200);
    for _ in 1..RECORD_ATTEMPTS {
        match try_record(app, scope, claimed, recipient, accepted).await {
            Err(error) if error.retryable() => {
                tracing::warn!(message.id = %claimed.id, error = error.chain(), "accepted message not recorded yet");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
    try_record(app, scope, claimed, recipient, accepted).await
}

async fn try_record(
    app: &App,
    scope: CompanyScope,
    claimed: &Claimed,
    recipient: &StoredRecipient,
    accepted: &Accepted,
) -> Result<()> {
    let now = app.clock.now();
    let connection_id = recipient.connection_id;
    let provider_id = &accepted.provider_message_id;
    let mut tx = app.db().await?.begin(scope).await?;
    delivery::lock_provider_ids(&mut tx, connection_id, std::slice::from_ref(provider_id)).await?;
    let recorded = delivery::record_accepted(&mut tx, claimed.id, provider_id, now).await?;
    let replayed = replay_for(&mut tx, connection_id, "whatsapp_cloud", provider_id).await?;
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
    let Some(wa_id) = &accepted.wa_id else { return Ok(()) };
    let address = Address { kind: AddressKind::WaId, value: wa_id.clone() };
    if address == recipient.address {
        return Ok(());
    }
    db::contacts::lock_addresses(tx, std::slice::from_ref(&address)).await?;
    let known = KnownAddress { address: address.clone(), contact_id: recipient.contact_id };
    db::contacts::insert_addresses(tx, &[known], now).await?;
    Ok(db::conversations::set_address(tx, claimed.conversation_id, &address).await?)
}

/// Does what the class of the provider's refusal asks for.
async fn refused(app: &App, scope: CompanyScope, claimed: &Claimed, error: SendError) -> Result<()> {
    // Counted by the claims, not by the queue: a message that waits behind another one is received but not tried.
    let attempt = u32::try_from(claimed.attempts).unwrap_or_default();
    let fault = error.fault().clone();
    tracing::warn!(message.id = %claimed.id, provider.code = fault.code, "provider did not take the message");
    let pause = match &error {
        SendError::Unknown(_) => {
            return finish(app, scope, claimed, MessageStatus::Unknown, Some(&fault)).await;
        }
        SendError::WindowClosed(_)
        | SendError::Reauthorise(_)
        | SendError::SenderBlocked(_)
        | SendError::Rejected(_) => {
            return finish(app, scope, claimed, MessageStatus::Failed, Some(&fault)).await;
        }
        SendError::Retry { after, .. } => after.unwrap_or_else(|| backoff(2, attempt)),
        // Meta asks for 4^X seconds on the X-th refusal of a pair.
        SendError::PairLimited(_) => backoff(4, attempt),
    };
    if attempt >= GIVE_UP_AFTER {
        return finish(app, scope, claimed, MessageStatus::Failed, Some(&fault)).await;
    }
    finish(app, scope, claimed, MessageStatus::Queued, Some(&fault)).await?;
    Err(Error::RetryLater { after: pause.min(LONGEST_PAUSE), source: error.into() })
}

fn backoff(base: u32, attempt: u32) -> Duration {
    Duration::from_secs(base.saturating_pow(attempt.min(10)).into()).min(LONGEST_PAUSE)
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

/// Tells the provider that a customer's message was read; with `typing` that an answer is coming.
///
/// # Errors
/// `RetryLater` for a few attempts; after those it is let go, because messages wait behind it.
pub async fn mark_read(
    app: &App,
    scope: CompanyScope,
    message_id: MessageId,
    typing: bool,
    attempt: Attempt,
) -> Result<()> {
    app.sealing.current().await.map_err(internal)?;
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(message) = db::messages::find(&mut tx, message_id).await? else { return Ok(()) };
    let Some(provider_id) = message.provider_message_id else { return Ok(()) };
    let recipient = db::conversations::find_recipient(&mut tx, message.conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let prepared = prepare(app, &mut tx, recipient.connection_id).await?;
    tx.commit().await?;

    match prepared.client.mark_read(&prepared.credentials, &provider_id, typing).await {
        Ok(()) => Ok(()),
        Err(error @ (SendError::Retry { .. } | SendError::PairLimited(_) | SendError::Unknown(_)))
            if attempt.number < READ_RECEIPT_ATTEMPTS =>
        {
            Err(Error::RetryLater { after: backoff(2, attempt.number), source: error.into() })
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

    #[test]
    fn pauses_grow_and_end() {
        let seconds = |base, attempt| backoff(base, attempt).as_secs();
        assert_eq!([seconds(2, 1), seconds(2, 3), seconds(4, 3)], [2, 8, 64]);
        assert_eq!(seconds(4, 30), LONGEST_PAUSE.as_secs());
    }
}
