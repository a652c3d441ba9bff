//! Whether customers want to be written to: what they said, where it was heard, and how the company knows. Each word goes
//! into a ledger that nobody changes; the newest one counts.

use db::TenantTx;
use db::contacts::consents::Consent;
use domain::event::Event;
use domain::{CompanyScope, ContactId, MessageId};
use serde_json::json;

use super::{AddressedContact, read, stay_somebody};
use crate::auth::{Actor, Identity};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, text};

/// The longest source, as the table has it.
const SOURCE_CHARS: usize = 60;

/// The longest proof, in characters.
const PROOF_CHARS: usize = 4_096;

/// What the company heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Where: `telefone`, `formulário do site`, …; `manual` or `api` when nobody says.
    pub source: Option<String>,
    /// How it knows: the customer's words, the text that was agreed to, an address of a recording. A yes needs one.
    pub proof: Option<String>,
    /// In which message of the customer's conversations it was said.
    pub message_id: Option<MessageId>,
}

/// Writes down that a customer wants no more messages.
///
/// # Errors
/// `NotFound`; `Invalid` for a field that is wrong, or a message that is not of this contact; `Rule` (`contact_merged`,
/// `contact_erased`).
pub async fn opt_out(
    app: &App,
    caller: &Identity,
    id: ContactId,
    heard: &Heard,
    key: Option<&IdempotencyKey>,
) -> Result<AddressedContact> {
    write_down(app, caller, id, true, heard, key).await
}

/// Writes down that a customer wants messages.
///
/// # Errors
/// As [`opt_out`]; `Invalid` without a proof.
pub async fn opt_in(
    app: &App,
    caller: &Identity,
    id: ContactId,
    heard: &Heard,
    key: Option<&IdempotencyKey>,
) -> Result<AddressedContact> {
    if heard.proof.as_deref().is_none_or(|proof| proof.trim().is_empty()) {
        return Err(Error::invalid("proof", "say how the company knows that the customer agreed"));
    }
    write_down(app, caller, id, false, heard, key).await
}

async fn write_down(
    app: &App,
    caller: &Identity,
    id: ContactId,
    is_opt_out: bool,
    heard: &Heard,
    key: Option<&IdempotencyKey>,
) -> Result<AddressedContact> {
    let (actor_kind, actor_id, from) = match &caller.actor {
        Actor::Person { user_id, .. } => ("person", user_id.0, "manual"),
        Actor::Key { id, .. } => ("api_key", id.0, "api"),
    };
    let source = heard.source.as_deref().map(|source| text::line("source", source, SOURCE_CHARS));
    let proof = heard.proof.as_deref().map(|proof| text::lines("proof", proof, PROOF_CHARS));
    let now = app.clock.now();
    let consent = Consent {
        id: app.clock.new_id(),
        contact_id: id,
        is_opt_out,
        source: source.transpose()?.unwrap_or_else(|| from.to_owned()),
        proof: proof.transpose()?,
        message_id: heard.message_id,
        actor_kind,
        actor_id: Some(actor_id),
        at: now,
    };
    let mut tx = app.db().await?.begin(caller.scope).await?;
    stay_somebody(&mut tx, id).await?;
    let asked = json!([id, is_opt_out, consent.source, consent.proof, heard.message_id]);
    if idempotency::claim(&mut tx, key, "contact_consent", &asked, consent.id).await?.is_some() {
        return read(&mut tx, id).await;
    }
    if let Some(message_id) = heard.message_id {
        require_own(&mut tx, id, message_id).await?;
    }
    let changed = db::contacts::consents::insert_many(&mut tx, &[consent], now).await?;
    let mut outgoing = Outgoing::default();
    for contact_id in changed {
        tell(caller.scope, contact_id, is_opt_out, &mut outgoing)?;
    }
    let contact = read(&mut tx, id).await?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(contact)
}

/// Refuses a message that is not of this contact's conversations.
async fn require_own(tx: &mut TenantTx, id: ContactId, message_id: MessageId) -> Result<()> {
    let recipient = match db::messages::find(tx, message_id).await? {
        Some(message) => db::conversations::find_recipient(tx, message.conversation_id).await?,
        None => None,
    };
    match recipient {
        Some(recipient) if recipient.contact_id == id => Ok(()),
        _ => Err(Error::invalid("message_id", "no message of this contact")),
    }
}

/// Tells of a word of a customer that counts.
pub(crate) fn tell(
    scope: CompanyScope,
    contact_id: ContactId,
    is_opt_out: bool,
    outgoing: &mut Outgoing,
) -> Result<()> {
    outgoing.event(
        scope,
        if is_opt_out { Event::ContactOptedOut { contact_id } } else { Event::ContactOptedIn { contact_id } },
    )?;
    outgoing.event(scope, Event::ContactChanged { contact_id })
}
