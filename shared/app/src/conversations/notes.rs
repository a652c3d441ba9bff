//! Private notes: messages of the company to itself, which stand in the conversation and are never sent.

use db::TenantTx;
use db::messages::Message;
use db::messages::write::Written;
use db::sessions::Wanted;
use domain::event::Event;
use domain::message::{Direction, MessageStatus, MessageType};
use domain::session::{SessionStatus, StartedBy};
use domain::{CompanyScope, ConversationId, MessageId, SessionId};

use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position, text};

/// The longest note, in characters.
const NOTE_CHARS: usize = 4_096;

/// A conversation's notes, newest first.
///
/// # Errors
/// `NotFound`.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    id: ConversationId,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Message>> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::conversations::find_recipient(&mut tx, id).await?.ok_or(Error::NotFound("conversation"))?;
    let rows = db::messages::list_notes(&mut tx, id, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |note| (note.occurred_at, note.id.0)))
}

/// Writes a note into a conversation, open or not; with a key that was used before, the one that was written then. It stands
/// in the last session, and opens nothing.
///
/// # Errors
/// `NotFound`; `Invalid` for the text; `Rule` (`idempotency_key_reused`).
pub async fn write(
    app: &App,
    caller: &Identity,
    id: ConversationId,
    text: &str,
    key: Option<&IdempotencyKey>,
) -> Result<Message> {
    let text = text::lines("text", text, NOTE_CHARS)?;
    let message_id = MessageId(app.clock.new_id());
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let asked = (id, &text);
    let note_id = match idempotency::claim(&mut tx, key, "note", &asked, message_id.0).await? {
        Some(known) => MessageId(known),
        None => {
            let conversation = db::conversations::find_for_update(&mut tx, id).await?;
            conversation.ok_or(Error::NotFound("conversation"))?;
            let mut outgoing = Outgoing::default();
            let session_id = find_session(app, &mut tx, id, &mut outgoing).await?;
            insert_as(app, caller, &mut tx, message_id, (id, session_id), text, &mut outgoing).await?;
            let note = db::messages::find(&mut tx, message_id).await?.ok_or(Error::NotFound("note"))?;
            outbox::commit(app, tx, outgoing).await?;
            return Ok(note);
        }
    };
    db::messages::find(&mut tx, note_id).await?.ok_or(Error::NotFound("note"))
}

/// A note for who gets a conversation.
pub(crate) fn checked(note: &str) -> Result<String> {
    text::lines("note", note, NOTE_CHARS)
}

/// Writes a note into a session of a conversation that is locked.
pub(crate) async fn insert(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    place: (ConversationId, SessionId),
    text: String,
    outgoing: &mut Outgoing,
) -> Result<()> {
    insert_as(app, caller, tx, MessageId(app.clock.new_id()), place, text, outgoing).await
}

async fn insert_as(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    message_id: MessageId,
    (conversation_id, session_id): (ConversationId, SessionId),
    text: String,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let recipient = db::conversations::find_recipient(tx, conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let note = Written {
        id: message_id,
        conversation_id,
        session_id,
        connection_id: recipient.connection_id,
        contact_id: recipient.contact_id,
        author: caller.author(),
        message_type: MessageType::Note,
        text: Some(text),
        content: None,
        media: None,
        reply_to_id: None,
        status: MessageStatus::Sent,
        turn: None,
        author_user_id: caller.user_id(),
    };
    db::messages::write::insert_written(tx, &note, app.clock.now()).await?;
    let (session_id, direction) = (Some(session_id), Direction::Outbound);
    outgoing.event(caller.scope, Event::MessageCreated { message_id, conversation_id, session_id, direction })
}

/// The last session of a conversation; a first one, which waits, when nobody has written yet.
pub(super) async fn find_session(
    app: &App,
    tx: &mut TenantTx,
    conversation_id: ConversationId,
    outgoing: &mut Outgoing,
) -> Result<SessionId> {
    if let Some(last) = db::sessions::find_last(tx, conversation_id).await? {
        return Ok(last);
    }
    let recipient = db::conversations::find_recipient(tx, conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let wanted = Wanted {
        new_id: SessionId(app.clock.new_id()),
        conversation_id,
        contact_id: recipient.contact_id,
        started_by: StartedBy::Agent,
        status: SessionStatus::Queued,
    };
    let session = db::sessions::ensure_open(tx, &[wanted], false, app.clock.now())
        .await?
        .pop()
        .ok_or(Error::NotFound("session"))?;
    let (scope, session_id) = (CompanyScope::assert_verified(tx.company_id()), session.id);
    outgoing.event(scope, Event::SessionChanged { session_id, conversation_id })?;
    Ok(session_id)
}
