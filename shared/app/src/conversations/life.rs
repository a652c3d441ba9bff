//! What is done to conversations: opening, closing, handing on, tagging, marking as unread. A conversation and its session
//! that is not over say the same of who holds them: both change in one transaction, the conversation locked first.

use db::TenantTx;
use db::conversations::{Conversation, Standing};
use db::sessions::Session;
use domain::contact::ContactChange;
use domain::event::Event;
use domain::session::SessionStatus;
use domain::{ConnectionId, ContactId, ConversationId, DepartmentId, UserId};
use serde_json::{Value, json};

use super::{Listed, find, notes};
use crate::audit::By;
use crate::auth::Identity;
use crate::contacts::history::{self, Changed};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::sessions::life::{self, Assignee, Holder};
use crate::{App, channels, text};

/// Tags of one conversation at most, and characters of one.
const TAGS: usize = 50;
const TAG_CHARS: usize = 100;

/// What shall be true of a conversation; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Whether it is over, until somebody writes. Its session is over with it, and does not begin anew with it.
    pub closed: Option<bool>,
    /// Its tags, in place of those that were.
    pub tags: Option<Vec<String>>,
    /// The department that holds it, whose queue it joins; or none.
    pub department_id: Option<Option<DepartmentId>>,
    /// The member who holds it; or nobody.
    pub assignee_id: Option<Option<UserId>>,
}

/// Opens a conversation with a contact over a connection, without a word; whether it is new. The one that there is stays as
/// it is.
///
/// # Errors
/// `NotFound` for a contact or connection that is not the company's; `Rule` (`no_address`, `idempotency_key_reused`).
pub async fn open(
    app: &App,
    caller: &Identity,
    contact_id: ContactId,
    connection_id: ConnectionId,
    key: Option<&IdempotencyKey>,
) -> Result<(Listed, bool)> {
    let new_id = ConversationId(app.clock.new_id());
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let asked = (contact_id, connection_id);
    let known = idempotency::claim(&mut tx, key, "conversation", &asked, new_id.0).await?;
    let id = find_or_open(app, &mut tx, new_id, contact_id, connection_id).await?;
    let is_new = id == new_id || known.is_some_and(|known| known == id.0);
    let mut outgoing = Outgoing::default();
    if id == new_id {
        outgoing.event(caller.scope, Event::ConversationChanged { conversation_id: id, version: 1 })?;
    }
    outbox::commit(app, tx, outgoing).await?;
    Ok((find(app, caller.scope, id).await?, is_new))
}

/// The conversation of a contact over a connection; a new one without a word if there is none.
pub(crate) async fn find_or_open(
    app: &App,
    tx: &mut TenantTx,
    new_id: ConversationId,
    contact_id: ContactId,
    connection_id: ConnectionId,
) -> Result<ConversationId> {
    if let Some(id) = db::conversations::find_for_contact(tx, contact_id, connection_id).await? {
        return Ok(id);
    }
    let contact = db::contacts::find(tx, contact_id).await?.ok_or(Error::NotFound("contact"))?;
    let contact_id = contact.merged_into_id.unwrap_or(contact_id);
    let connection = db::connections::find(tx, connection_id).await?.ok_or(Error::NotFound("connection"))?;
    let addresses = db::contacts::list_addresses(tx, &[contact_id]).await?;
    let addresses = addresses.into_iter().map(|known| known.address);
    let address = channels::preferred(connection.kind, addresses).ok_or(Error::Rule {
        code: "no_address",
        message: "this contact has no address on this channel".to_owned(),
    })?;
    let now = app.clock.now();
    Ok(db::conversations::open(
        tx,
        new_id,
        contact_id,
        connection_id,
        connection.kind.as_str(),
        &address,
        now,
    )
    .await?)
}

/// Changes a conversation, and its session that is not over with it.
///
/// # Errors
/// `NotFound`; `Invalid` for tags, and for a holder who is not the company's or is shut out; `Conflict` for a holder of one
/// that is closed.
pub async fn change(app: &App, caller: &Identity, id: ConversationId, change: Change) -> Result<Listed> {
    let tags = change.tags.map(checked_tags).transpose()?;
    let mut held = Held::find(app, caller, id).await?;
    if let Some(closed) = change.closed {
        held.standing.closed = closed;
        if let Some(session) = held.session.as_mut().filter(|_| closed) {
            life::step(app, session, SessionStatus::Closed, None)?;
        }
    }
    if let Some(tags) = tags {
        held.standing.tags = tags;
    }
    match change.department_id {
        Some(Some(department)) => held.assign(app, Assignee::Department(department)).await?,
        Some(None) => held.leave_department(),
        None => {}
    }
    match change.assignee_id {
        Some(Some(agent)) => {
            let named = held.assign(app, Assignee::Agent(agent)).await;
            named.map_err(|error| match error {
                Error::Invalid { message, .. } => Error::invalid("assignee_id", message),
                other => other,
            })?;
        }
        Some(None) => held.release(app)?,
        None => {}
    }
    held.store(app, caller, None).await
}

/// Hands a conversation on, with a note for who gets it.
///
/// # Errors
/// `NotFound`; `Invalid` for a holder who is not the company's, is shut out, or for a department that nobody works in;
/// `Conflict` for a conversation that is closed.
pub async fn assign(
    app: &App,
    caller: &Identity,
    id: ConversationId,
    assignee: Assignee,
    note: Option<&str>,
) -> Result<Listed> {
    let note = note.map(notes::checked).transpose()?;
    let mut held = Held::find(app, caller, id).await?;
    held.assign(app, assignee).await?;
    held.store(app, caller, note).await
}

/// Marks a conversation as unread, for oneself or for others: nobody has dealt with it.
///
/// # Errors
/// `NotFound`.
pub async fn mark_unread(app: &App, caller: &Identity, id: ConversationId) -> Result<Listed> {
    let mut held = Held::find(app, caller, id).await?;
    held.standing.unread_count = held.standing.unread_count.max(1);
    held.store(app, caller, None).await
}

/// A conversation that is locked, and its session that is not over.
struct Held {
    tx: TenantTx,
    id: ConversationId,
    contact_id: ContactId,
    was: Standing,
    standing: Standing,
    session: Option<Session>,
}

impl Held {
    async fn find(app: &App, caller: &Identity, id: ConversationId) -> Result<Self> {
        let mut tx = app.db().await?.begin(caller.scope).await?;
        let conversation = db::conversations::find_for_update(&mut tx, id).await?;
        let conversation = conversation.ok_or(Error::NotFound("conversation"))?;
        let session = db::sessions::find_open_for_update(&mut tx, id).await?;
        let contact_id = conversation.contact_id;
        let standing = standing_of(conversation);
        Ok(Self { tx, id, contact_id, was: standing.clone(), standing, session })
    }

    async fn assign(&mut self, app: &App, assignee: Assignee) -> Result<()> {
        if self.standing.closed {
            return Err(Error::Conflict("a conversation that is closed is nobody's to hold: open it"));
        }
        let holder = life::find_holder(&mut self.tx, assignee).await?;
        match holder {
            Holder::Department(department) => {
                self.standing.department_id = Some(department.0);
                self.standing.assignee_id = None;
            }
            Holder::Agent(agent, department) => {
                self.standing.assignee_id = Some(agent.0);
                if let Some(department) = department {
                    self.standing.department_id = Some(department.0);
                }
            }
            Holder::Customer(_) => {}
        }
        match &mut self.session {
            Some(session) => life::hand_to(app, session, holder),
            None => Ok(()),
        }
    }

    fn leave_department(&mut self) {
        self.standing.department_id = None;
        if let Some(session) = &mut self.session {
            session.assigned_department_id = None;
        }
    }

    fn release(&mut self, app: &App) -> Result<()> {
        self.standing.assignee_id = None;
        match &mut self.session {
            Some(session) if session.assigned_agent_id.is_some() => life::release(app, session),
            _ => Ok(()),
        }
    }

    async fn store(self, app: &App, caller: &Identity, note: Option<String>) -> Result<Listed> {
        let Self { mut tx, id, contact_id, was, standing, session } = self;
        let (scope, now) = (caller.scope, app.clock.now());
        let mut outgoing = Outgoing::default();
        if standing != was {
            // Tags and a mark are no activity: the list keeps its order.
            let moved = (standing.closed, standing.assignee_id, standing.department_id)
                != (was.closed, was.assignee_id, was.department_id);
            let at = moved.then_some(now);
            let version = db::conversations::update(&mut tx, id, &standing, at).await?;
            outgoing.event(scope, Event::ConversationChanged { conversation_id: id, version })?;
            let changed = Changed {
                contact_id,
                kind: ContactChange::ConversationChanged,
                object_id: Some(id.0),
                was: particulars(&was),
                became: particulars(&standing),
            };
            history::record(app, &mut tx, By::Caller(caller), [changed]).await?;
            if let Some(session) = session.filter(|_| moved) {
                db::sessions::update(&mut tx, &session, now).await?;
                let session_id = session.id;
                outgoing.event(scope, Event::SessionChanged { session_id, conversation_id: id })?;
            }
        }
        if let Some(note) = note {
            let session_id = notes::find_session(app, &mut tx, id, &mut outgoing).await?;
            notes::insert(app, caller, &mut tx, (id, session_id), note, &mut outgoing).await?;
        }
        outbox::commit(app, tx, outgoing).await?;
        find(app, scope, id).await
    }
}

fn standing_of(conversation: Conversation) -> Standing {
    Standing {
        closed: conversation.status == "closed",
        assignee_id: conversation.assignee_id,
        department_id: conversation.department_id,
        tags: conversation.tags,
        unread_count: conversation.unread_count,
    }
}

/// What of a conversation its contact's history has.
fn particulars(standing: &Standing) -> Value {
    json!({
        "status": if standing.closed { "closed" } else { "open" },
        "assignee_id": standing.assignee_id,
        "department_id": standing.department_id,
        "tags": standing.tags,
    })
}

fn checked_tags(tags: Vec<String>) -> Result<Vec<String>> {
    let mut checked: Vec<String> = Vec::new();
    for tag in tags {
        let tag = text::line("tags", &tag, TAG_CHARS)?;
        if !checked.contains(&tag) {
            checked.push(tag);
        }
    }
    if checked.len() > TAGS {
        return Err(Error::invalid("tags", format!("a conversation has at most {TAGS}")));
    }
    Ok(checked)
}
