//! The life of a session: silencing the AI, handing it on, ending it and beginning it anew. Every change locks the
//! conversation first, as messages do, so that whoever takes over is seen by who is about to answer.

use chrono::TimeDelta;
use db::TenantTx;
use db::conversations::Holding;
use db::sessions::Session;
use domain::contact::ContactChange;
use domain::event::Event;
use domain::session::{AI_BLOCK_MINUTES, SessionStatus};
use domain::{ContactId, DepartmentId, SessionId, UserId};
use serde_json::{Value, json};

use crate::audit::By;
use crate::auth::Identity;
use crate::contacts::history::{self, Changed};
use crate::conversations::notes;
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::{App, text};

/// The longest reason, in characters.
const REASON_CHARS: usize = 500;

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

/// Moves a session on in its life; for one that ends, the reason is that of its end.
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
    change(app, caller, id, |session| {
        step(app, session, to, reason.clone())?;
        if to == SessionStatus::Closed {
            session.end_reason = reason;
        }
        Ok(())
    })
    .await
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

/// Begins a session that is over anew: answered by who holds its conversation, else waiting.
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
    let note = note.map(notes::checked).transpose()?;
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let (mut session, holding) = find_locked(&mut tx, id).await?;
    if session.status == SessionStatus::Closed {
        return Err(Error::Conflict("a session that is CLOSED is nobody's to hold: reopen it"));
    }
    let holder = find_holder(&mut tx, assignee).await?;
    let customer_before = session.assigned_customer_id;
    hand_to(app, &mut session, holder)?;
    let conversation_id = session.conversation_id;
    let (agent_id, department_id) = (session.assigned_agent_id, session.assigned_department_id);
    let version =
        db::conversations::assign(&mut tx, conversation_id, agent_id, department_id, app.clock.now()).await?;
    outgoing.event(caller.scope, Event::ConversationChanged { conversation_id, version })?;
    let changed = |kind, object_id, was, became| Changed {
        contact_id: session.contact_id,
        kind,
        object_id: Some(object_id),
        was,
        became,
    };
    let changes = [
        changed(
            ContactChange::ConversationChanged,
            conversation_id.0,
            json!({ "assignee_id": holding.assignee_id, "department_id": holding.department_id }),
            json!({ "assignee_id": agent_id, "department_id": department_id }),
        ),
        changed(
            ContactChange::SessionChanged,
            session.id.0,
            json!({ "assigned_customer_id": customer_before }),
            json!({ "assigned_customer_id": session.assigned_customer_id }),
        ),
    ];
    history::record(app, &mut tx, By::Caller(caller), changes).await?;
    if let Some(note) = note {
        notes::insert(app, caller, &mut tx, (conversation_id, session.id), note, &mut outgoing).await?;
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
    let (mut session, holding) = find_locked(&mut tx, id).await?;
    let is_over = |session: &Session| session.status == SessionStatus::Closed;
    let was = session.clone();
    if is_over(&was) {
        // Should it begin anew, then with whoever holds the conversation by now.
        (session.assigned_agent_id, session.assigned_department_id) =
            (holding.assignee_id, holding.department_id);
    }
    work(&mut session)?;
    if is_over(&was) && is_over(&session) {
        session.assigned_agent_id = was.assigned_agent_id;
        session.assigned_department_id = was.assigned_department_id;
    }
    let mut outgoing = Outgoing::default();
    if is_over(&was) != is_over(&session) {
        let (conversation_id, closed) = (session.conversation_id, is_over(&session));
        let version =
            db::conversations::set_closed(&mut tx, conversation_id, closed, app.clock.now()).await?;
        outgoing.event(caller.scope, Event::ConversationChanged { conversation_id, version })?;
    }
    let changed = Changed {
        contact_id: session.contact_id,
        kind: ContactChange::SessionChanged,
        object_id: Some(session.id.0),
        was: particulars(&was),
        became: particulars(&session),
    };
    history::record(app, &mut tx, By::Caller(caller), [changed]).await?;
    let session = store(app, caller, tx, session, outgoing).await?;
    Ok(super::as_of(session, app.clock.now()))
}

/// What of a session its contact's history has.
fn particulars(session: &Session) -> Value {
    json!({
        "status": session.status,
        "status_reason": session.status_reason,
        "end_reason": session.end_reason,
        "ai_blocked_until": session.ai_blocked_until,
        "ai_block_reason": session.ai_block_reason,
        "tabulations": session.tabulations,
    })
}

async fn find_locked(tx: &mut TenantTx, id: SessionId) -> Result<(Session, Holding)> {
    let unknown = || Error::NotFound("session");
    let holding = db::conversations::lock_of_session(tx, id).await?.ok_or_else(unknown)?;
    let session = db::sessions::find_for_update(tx, id).await?.ok_or_else(unknown)?;
    Ok((session, holding))
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

/// Moves a session that is [locked](db::sessions::find_for_update) on.
pub(crate) fn step(
    app: &App,
    session: &mut Session,
    to: SessionStatus,
    reason: Option<String>,
) -> Result<()> {
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

/// Who holds from now on, looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder {
    /// Whoever of a department takes it.
    Department(DepartmentId),
    /// A member, for a department or for the one that held it before.
    Agent(UserId, Option<DepartmentId>),
    /// A customer.
    Customer(ContactId),
}

/// Looks up who holds from now on. The conversation is locked: departments come behind it.
///
/// # Errors
/// `Invalid` for one who is not the company's, is shut out, or for a department that nobody works in.
pub(crate) async fn find_holder(tx: &mut TenantTx, assignee: Assignee) -> Result<Holder> {
    match assignee {
        Assignee::Department(id) => {
            find_department(tx, id).await?;
            Ok(Holder::Department(id))
        }
        Assignee::LeastBusyOf(id) => {
            find_department(tx, id).await?;
            // One at a time, or all at once would find the same one idle.
            db::departments::lock(tx, id).await?;
            let agent = db::departments::find_least_busy(tx, id).await?;
            let agent =
                agent.ok_or_else(|| Error::invalid("department_id", "nobody works in this department"))?;
            Ok(Holder::Agent(agent, Some(id)))
        }
        Assignee::Agent(id) => {
            let member = db::members::find_for_update(tx, id).await?;
            if member.is_none_or(|member| member.deactivated_at.is_some()) {
                return Err(Error::invalid("agent_id", "no active member of the company"));
            }
            Ok(Holder::Agent(id, None))
        }
        Assignee::Customer(id) => {
            db::contacts::find(tx, id)
                .await?
                .ok_or_else(|| Error::invalid("customer_id", "no contact of the company"))?;
            Ok(Holder::Customer(id))
        }
    }
}

/// Hands a session that is locked to its holder.
///
/// # Errors
/// `Rule` (`illegal_transition`).
pub(crate) fn hand_to(app: &App, session: &mut Session, holder: Holder) -> Result<()> {
    match holder {
        Holder::Department(id) => {
            session.assigned_department_id = Some(id.0);
            release(app, session)?;
        }
        Holder::Agent(agent, department) => {
            if let Some(department) = department {
                session.assigned_department_id = Some(department.0);
            }
            session.assigned_agent_id = Some(agent.0);
            if session.status == SessionStatus::Queued {
                step(app, session, SessionStatus::Active, Some("assigned".to_owned()))?;
            }
        }
        Holder::Customer(id) => session.assigned_customer_id = Some(id.0),
    }
    Ok(())
}

/// Takes a session that is locked off its agent: it waits again.
///
/// # Errors
/// `Rule` (`illegal_transition`).
pub(crate) fn release(app: &App, session: &mut Session) -> Result<()> {
    session.assigned_agent_id = None;
    if session.status == SessionStatus::Active {
        step(app, session, SessionStatus::Queued, Some("assigned".to_owned()))?;
    }
    Ok(())
}

async fn find_department(tx: &mut TenantTx, id: DepartmentId) -> Result<()> {
    let department = db::departments::find(tx, id).await?;
    department.ok_or_else(|| Error::invalid("department_id", "no department of the company")).map(drop)
}

/// An empty reason is none.
fn checked_reason(field: &'static str, text: Option<&str>) -> Result<Option<String>> {
    let given = text.filter(|text| !text.trim().is_empty());
    given.map(|text| text::lines(field, text, REASON_CHARS)).transpose()
}
