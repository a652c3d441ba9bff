//! Sessions: here as the API reads them · [`life`] what is done to them · [`silences`] those of the AI end.

pub mod life;
pub mod silences;

use chrono::{DateTime, Utc};
use db::messages::Message;
use db::sessions::{Filter, Session};
use domain::session::ai_silent_because;
use domain::{CompanyScope, ContactId, SessionId};

use crate::contacts::{self, AddressedContact};
use crate::error::{Error, Result};
use crate::{App, Page, Position};

/// Whether the AI may speak in a session.
#[derive(Clone, Debug)]
pub struct AiStatus {
    /// It may.
    pub ai_enabled: bool,
    /// It is blocked until then.
    pub blocked_until: Option<DateTime<Utc>>,
    /// Why it may not.
    pub reason: Option<&'static str>,
}

/// Everything about one contact.
#[derive(Clone, Debug)]
pub struct ContactHistory {
    /// The contact.
    pub contact: AddressedContact,
    /// Its sessions, oldest first.
    pub sessions: Vec<Session>,
    /// A page of the messages of all sessions, oldest first.
    pub messages: Page<Message>,
}

/// Lists sessions, newest first.
///
/// # Errors
/// Database errors only.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    filter: &Filter,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Session>> {
    let mut tx = app.db().await?.begin_list(scope).await?;
    let rows = db::sessions::list(&mut tx, filter, before, limit + 1).await?;
    let rows = rows.into_iter().map(|session| as_of(session, app.clock.now())).collect();
    Ok(Page::cut(rows, limit, |session: &Session| (session.created_at, session.id.0)))
}

/// Finds a session.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: SessionId) -> Result<Session> {
    let mut tx = app.db().await?.begin(scope).await?;
    let session = db::sessions::find(&mut tx, id).await?.ok_or(Error::NotFound("session"))?;
    Ok(as_of(session, app.clock.now()))
}

/// A silence that is over is none, also before the schedule lifts it.
fn as_of(session: Session, now: DateTime<Utc>) -> Session {
    match session.ai_blocked_until {
        Some(until) if until <= now => Session { ai_blocked_until: None, ai_block_reason: None, ..session },
        _ => session,
    }
}

/// Whether the AI may speak in a session, now.
///
/// # Errors
/// `NotFound`.
pub async fn ai_status(app: &App, scope: CompanyScope, id: SessionId) -> Result<AiStatus> {
    let mut tx = app.db().await?.begin(scope).await?;
    let standing = db::sessions::find_ai_standing(&mut tx, id).await?.ok_or(Error::NotFound("session"))?;
    let now = app.clock.now();
    let blocked_until = standing.ai_blocked_until.filter(|until| *until > now);
    let reason = ai_silent_because(
        standing.status,
        blocked_until,
        standing.bypass_bots,
        standing.persona_id.is_some(),
        now,
    );
    Ok(AiStatus { ai_enabled: reason.is_none(), blocked_until, reason })
}

/// Everything about one contact: all sessions, and the messages of all of them in order.
///
/// # Errors
/// `NotFound`.
pub async fn by_contact(
    app: &App,
    scope: CompanyScope,
    contact_id: ContactId,
    after: Option<Position>,
    limit: i64,
) -> Result<ContactHistory> {
    let mut tx = app.db().await?.begin(scope).await?;
    let contact = db::contacts::find(&mut tx, contact_id).await?.ok_or(Error::NotFound("contact"))?;
    let contact =
        contacts::with_addresses(&mut tx, vec![contact]).await?.pop().ok_or(Error::NotFound("contact"))?;
    let sessions = db::sessions::list_for_contact(&mut tx, contact_id).await?;
    let sessions = sessions.into_iter().map(|session| as_of(session, app.clock.now())).collect();
    let messages = db::messages::list_for_contact(&mut tx, contact_id, after, limit + 1).await?;
    let messages = Page::cut(messages, limit, |message| (message.occurred_at, message.id.0));
    Ok(ContactHistory { contact, sessions, messages })
}
