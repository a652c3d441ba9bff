//! The life of a session: silencing the AI, handing it on, ending it and beginning it anew. Every change locks the
//! conversation first, as messages do, so that whoever takes over is seen by who is about to answer.

use chrono::TimeDelta;
use db::TenantTx;
use db::messages::write::Written;
use db::sessions::Session;
use domain::event::Event;
use domain::message::{Direction, MessageStatus, MessageType};
use domain::session::{AI_BLOCK_MINUTES, SessionStatus};
use domain::{ContactId, DepartmentId, MessageId, SessionId, UserId};

use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::{App, text};

/// The longest reason, in characters.
const REASON_CHARS: usize = 500;

/// The longest note, in characters.
const NOTE_CHARS: usize = 4_096;

/// Tags of one session at most, and characters of one.
const TAGS: usize = 50;
const TAG_CHARS: usize = 100;

/// Who holds a session from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignee {
    /// Whoever of a department takes it.
    Department(DepartmentId),
    /// The member of a department who has the fewest sessions that are not over.
    LeastBusyOf(DepartmentId),
    /// A member.
    Agent(UserId),
    /// A customer, whose turn it is.
    Customer(ContactId),
}

/// Silences the AI for so many minutes; an earlier silence is replaced.
///
/// # Errors
/// `NotFound`; `Invalid` outside 1 to 1,440 minutes; `Conflict` for a session that is over.
pub async fn block_ai(
    app: &App,
    caller: &Identity,
    id: SessionId,
    minutes: u32,
    reason: Option<&str>,
) -> Result<Session> {
    if !AI_BLOCK_MINUTES.contains(&minutes) {
        let (least, most) = (AI_BLOCK_MINUTES.start(), AI_BLOCK_MINUTES.end());
        return Err(Error::invalid("minutes", format!("{least} to {most}")));
    }
    let reason = checked_reason("reason", reason)?;
    change(app, caller, id, |session| {
        if session.status == SessionStatus::Closed {
            return Err(Error::Conflict("a session that is CLOSED has no AI to silence"));
        }
        session.ai_blocked_until = Some(app.clock.now() + TimeDelta::minutes(minutes.into()));
        session.ai_block_reason = reason;
        Ok(())
    })
    .await
}

/// Lets the AI speak again; one that may already stays so.
///
/// # Errors
/// `NotFound`.
pub async fn unblock_ai(app: &App, caller: &Identity, id: SessionId) -> Result<Session> {
    change(app, caller, id, |session| {
        session.ai_blocked_until = None;
        session.ai_block_reason = None;
        Ok(())
    })
    .await
}

/// Moves a session on in its life. `end_reason` is for one that ends.
///
/// # Errors
/// `NotFound`; `Rule` (`illegal_transition`) for a step that the life cycle does not have, naming both states; `Conflict`
/// for one that would begin anew beside another.
pub async fn set_status(
    app: &App,
    caller: &Identity,
    id: SessionId,
    to: SessionStatus,
    reason: Option<&str>,
) -> Result<Session> {
    let reason = checked_reason("reason", reason)?;
    change(app, caller, id, |session| step(app, session, to, reason)).await
}

/// Ends a session.
///
/// # Errors
/// As [`set_status`].
pub async fn close(app: &App, caller: &Identity, id: SessionId, end_reason: Option<&str>) -> Result<Session> {
    let end_reason = checked_reason("end_reason", end_reason)?;
    change(app, caller, id, |session| {
        step(app, session, SessionStatus::Closed, None)?;
        session.end_reason = end_reason;
        Ok(())
    })
    .await
}

/// Begins a session that is over anew: answered by who held it, else waiting.
///
/// # Errors
/// As [`set_status`].
pub async fn reopen(app: &App, caller: &Identity, id: SessionId, reason: Option<&str>) -> Result<Session> {
    let reason = checked_reason("reason", reason)?;
    change(app, caller, id, |session| {
        let to = match session.assigned_agent_id {
            Some(_) => SessionStatus::Active,
            None => SessionStatus::Queued,
        };
        if session.status != SessionStatus::Closed {
            return Err(illegal(session.status, to));
        }
        step(app, session, to, reason)
    })
    .await
}

/// A person holds the session: the AI is silent until [`resume`].
///
/// # Errors
/// As [`set_status`].
pub async fn pause(app: &App, caller: &Identity, id: SessionId, reason: Option<&str>) -> Result<Session> {
    set_status(app, caller, id, SessionStatus::Paused, reason).await
}

/// Goes on with a session that is paused.
///
/// # Errors
/// As [`set_status`]; a session that is not paused is not resumed.
pub async fn resume(app: &App, caller: &Identity, id: SessionId, reason: Option<&str>) -> Result<Session> {
    let reason = checked_reason("reason", reason)?;
    change(app, caller, id, |session| {
        if session.status != SessionStatus::Paused {
            return Err(illegal(session.status, SessionStatus::Active));
        }
        step(app, session, SessionStatus::Active, reason)
    })
    .await
}

/// Hands a session on, with a note for who gets it. Its conversation goes along.
///
/// # Errors
/// `NotFound` for the session; `Invalid` for an assignee who is not the company's, is shut out, or for a department
/// nobody works in; `Conflict` for a session that is over.
pub async fn assign(
    app: &App,
    caller: &Identity,
    id: SessionId,
    assignee: Assignee,
    note: Option<&str>,
) -> Result<Session> {
    let note = note.map(|note| text::lines("note", note, NOTE_CHARS)).transpose()?;
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let mut session = find_locked(&mut tx, id).await?;
    if session.status == SessionStatus::Closed {
        return Err(Error::Conflict("a session that is CLOSED is nobody's to hold: reopen it"));
    }
    hand_to(app, &mut tx, &mut session, assignee).await?;
    db::conversations::assign(
        &mut tx,
        session.conversation_id,
        session.assigned_agent_id,
        session.assigned_department_id,
        app.clock.now(),
    )
    .await?;
    if let Some(note) = note {
        write_note(app, caller, &mut tx, &session, note, &mut outgoing).await?;
    }
    store(app, caller, tx, session, outgoing).await
}

/// Puts tags on a session; those that are there stay.
///
/// # Errors
/// `NotFound`; `Invalid` for a tag that is empty or too long, or for too many.
pub async fn add_tags(app: &App, caller: &Identity, id: SessionId, tags: &[String]) -> Result<Session> {
    let tags = tags.iter().map(|tag| text::lines("tags", tag, TAG_CHARS)).collect::<Result<Vec<_>>>()?;
    change(app, caller, id, |session| {
        for tag in tags {
            if !session.tabulations.contains(&tag) {
                session.tabulations.push(tag);
            }
        }
        if session.tabulations.len() > TAGS {
            return Err(Error::invalid("tags", format!("a session has at most {TAGS}")));
        }
        Ok(())
    })
    .await
}

/// Takes tags off a session; those that are not there are no error.
///
/// # Errors
/// `NotFound`.
pub async fn remove_tags(app: &App, caller: &Identity, id: SessionId, tags: &[String]) -> Result<Session> {
    change(app, caller, id, |session| {
        session.tabulations.retain(|tag| !tags.iter().any(|gone| gone.trim() == tag));
        Ok(())
    })
    .await
}

async fn change(
    app: &App,
    caller: &Identity,
    id: SessionId,
    work: impl FnOnce(&mut Session) -> Result<()>,
) -> Result<Session> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let mut session = find_locked(&mut tx, id).await?;
    let was = session.status;
    work(&mut session)?;
    if (was == SessionStatus::Closed) != (session.status == SessionStatus::Closed) {
        let closed = session.status == SessionStatus::Closed;
        db::conversations::set_closed(&mut tx, session.conversation_id, closed, app.clock.now()).await?;
    }
    let session = store(app, caller, tx, session, Outgoing::default()).await?;
    Ok(super::as_of(session, app.clock.now()))
}

async fn find_locked(tx: &mut TenantTx, id: SessionId) -> Result<Session> {
    db::conversations::lock_of_session(tx, id).await?;
    db::sessions::find_for_update(tx, id).await?.ok_or(Error::NotFound("session"))
}

async fn store(
    app: &App,
    caller: &Identity,
    mut tx: TenantTx,
    session: Session,
    mut outgoing: Outgoing,
) -> Result<Session> {
    db::sessions::update(&mut tx, &session, app.clock.now()).await?;
    let (session_id, conversation_id) = (session.id, session.conversation_id);
    outgoing.event(caller.scope, Event::SessionChanged { session_id, conversation_id })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(session)
}

fn step(app: &App, session: &mut Session, to: SessionStatus, reason: Option<String>) -> Result<()> {
    session.status.step_to(to).map_err(|error| illegal(error.from, error.to))?;
    session.status = to;
    session.status_reason = reason;
    if to == SessionStatus::Closed {
        session.closed_at = Some(app.clock.now());
        session.ai_blocked_until = None;
        session.ai_block_reason = None;
    } else {
        session.closed_at = None;
        session.end_reason = None;
    }
    Ok(())
}

fn illegal(from: SessionStatus, to: SessionStatus) -> Error {
    let message = domain::session::IllegalTransition { from, to }.to_string();
    Error::Rule { code: "illegal_transition", message }
}

async fn hand_to(app: &App, tx: &mut TenantTx, session: &mut Session, assignee: Assignee) -> Result<()> {
    match assignee {
        Assignee::Department(id) => {
            find_department(tx, id).await?;
            session.assigned_department_id = Some(id.0);
            session.assigned_agent_id = None;
            if session.status == SessionStatus::Active {
                step(app, session, SessionStatus::Queued, Some("assigned".to_owned()))?;
            }
        }
        Assignee::LeastBusyOf(id) => {
            find_department(tx, id).await?;
            // One at a time, or all at once would find the same one idle.
            db::departments::lock(tx, id).await?;
            let agent = db::departments::find_least_busy(tx, id).await?;
            let agent =
                agent.ok_or_else(|| Error::invalid("department_id", "nobody works in this department"))?;
            session.assigned_department_id = Some(id.0);
            take_over(app, session, agent)?;
        }
        Assignee::Agent(id) => {
            let member = db::members::find_for_update(tx, id).await?;
            if member.is_none_or(|member| member.deactivated_at.is_some()) {
                return Err(Error::invalid("agent_id", "no active member of the company"));
            }
            take_over(app, session, id)?;
        }
        Assignee::Customer(id) => {
            db::contacts::find(tx, id)
                .await?
                .ok_or_else(|| Error::invalid("customer_id", "no contact of the company"))?;
            session.assigned_customer_id = Some(id.0);
        }
    }
    Ok(())
}

fn take_over(app: &App, session: &mut Session, agent: UserId) -> Result<()> {
    session.assigned_agent_id = Some(agent.0);
    if session.status == SessionStatus::Queued {
        step(app, session, SessionStatus::Active, Some("assigned".to_owned()))?;
    }
    Ok(())
}

async fn find_department(tx: &mut TenantTx, id: DepartmentId) -> Result<()> {
    let department = db::departments::find(tx, id).await?;
    department.ok_or_else(|| Error::invalid("department_id", "no department of the company")).map(drop)
}

/// Writes a note of the company to itself into a session's conversation.
async fn write_note(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    session: &Session,
    text: String,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let conversation_id = session.conversation_id;
    let recipient = db::conversations::find_recipient(tx, conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let message_id = MessageId(app.clock.new_id());
    let note = Written {
        id: message_id,
        conversation_id,
        session_id: session.id,
        connection_id: recipient.connection_id,
        contact_id: session.contact_id,
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
    let (session_id, direction) = (Some(session.id), Direction::Outbound);
    outgoing.event(caller.scope, Event::MessageCreated { message_id, conversation_id, session_id, direction })
}

/// An empty reason is none.
fn checked_reason(field: &'static str, text: Option<&str>) -> Result<Option<String>> {
    let given = text.filter(|text| !text.trim().is_empty());
    given.map(|text| text::lines(field, text, REASON_CHARS)).transpose()
}
