//! Browsers see it live: sockets of a company, and events pushed to them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cloud::push::Delivery;
use cloud::sockets::{Listener, Socket};
use domain::event::{Event, EventEnvelope};
use domain::user::Permission;
use domain::{ApiKeyId, CompanyId, CompanyScope, ConversationId, LoginSessionId, UserId};
use futures::stream::{self, StreamExt as _};

use crate::App;
use crate::auth::{self, Actor};
use crate::error::{Error, Result, internal};

/// How many sockets are written to at once.
const AT_ONCE: usize = 16;

/// How many conversations a socket may watch.
pub const WATCHED: usize = 100;

/// Lets a browser in that shows a token or an API key.
///
/// # Errors
/// `Unauthenticated`, or `Forbidden` when the role may not read the inbox.
pub async fn connect(app: &App, connection_id: &str, credential: Option<&str>) -> Result<()> {
    let credential = credential.ok_or(Error::Unauthenticated)?;
    let identity = auth::identify(app, credential, auth::Client::default()).await?;
    identity.require(Permission::ReadInbox)?;
    let listener = match &identity.actor {
        Actor::Person { user_id, session_id, .. } => Listener::Person(*user_id, Some(*session_id)),
        Actor::Key { id, .. } => Listener::Key(Some(*id)),
    };
    // Whoever renews their token opens another socket: one that nobody renews is over with it.
    let company_id = identity.scope.company_id();
    let socket = Socket::opened(connection_id, company_id, listener, app.clock.now(), identity.expires_at);
    app.sockets.put(&socket).await.map_err(internal)?;
    // Noted first, asked afterwards: a credential that ends now is found to be over here, or its socket is found.
    let still = auth::identify_anew(app, credential, auth::Client::default()).await;
    if let Err(error) = still.and_then(|identity| identity.require(Permission::ReadInbox)) {
        disconnect(app, connection_id).await?;
        return Err(error);
    }
    Ok(())
}

/// Forgets a socket.
///
/// # Errors
/// Retryable ones only.
pub async fn disconnect(app: &App, connection_id: &str) -> Result<()> {
    app.sockets.delete(connection_id).await.map_err(internal)
}

/// Says which conversations a socket hears of: these, or all of its company with `None`. What concerns no conversation it
/// hears in any case. Ids of another company's conversations are of none that it could hear.
///
/// # Errors
/// `Invalid` for more than [`WATCHED`]; `NotFound` for a socket that is forgotten already.
pub async fn watch(app: &App, connection_id: &str, ids: Option<&BTreeSet<ConversationId>>) -> Result<()> {
    if ids.is_some_and(|ids| ids.len() > WATCHED) {
        return Err(Error::invalid("conversation_ids", format!("at most {WATCHED}")));
    }
    if app.sockets.set_watches(connection_id, ids).await.map_err(internal)? {
        Ok(())
    } else {
        Err(Error::NotFound("socket"))
    }
}

/// Answers what a browser said on its socket.
///
/// # Errors
/// Retryable ones only; that the browser is gone is none.
pub async fn reply(app: &App, connection_id: &str, body: &str) -> Result<()> {
    match app.push.send(&app.settings.websocket_endpoint, connection_id, body).await {
        Ok(Delivery::Delivered) => Ok(()),
        Ok(Delivery::Gone) => disconnect(app, connection_id).await,
        Err(error) => Err(internal(error)),
    }
}

/// Pushes events to every socket of their companies, one event after the other on each socket. A socket that is gone, or
/// whose credential is over, is forgotten; so are those of who was shut out.
///
/// # Errors
/// Retryable ones; a push that is repeated carries the same ids and version.
pub async fn push(app: &App, events: &[EventEnvelope]) -> Result<()> {
    let mut by_company: HashMap<CompanyId, Vec<&EventEnvelope>> = HashMap::new();
    for event in events {
        by_company.entry(event.company_id).or_default().push(event);
    }
    for (company_id, events) in by_company {
        let scope = CompanyScope::assert_verified(company_id);
        let out = ShutOut::by(&events);
        let sockets = app.sockets.list_for_company(scope.company_id()).await.map_err(internal)?;
        let now = app.clock.now();
        let is_over = |socket: &Socket| socket.expires_at <= now || out.has(socket.listener);
        let (over, sockets): (Vec<_>, Vec<_>) = sockets.into_iter().partition(is_over);
        for socket in over {
            disconnect(app, &socket.connection_id).await?;
        }
        let bodies: Arc<[Told]> = events
            .iter()
            .filter(|event| is_for_browsers(&event.event))
            .map(|event| Told::of(event))
            .collect::<Result<_>>()?;
        let pushed: Vec<Result<()>> = stream::iter(sockets)
            .map(|socket| push_to(app, socket, bodies.clone()))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        pushed.into_iter().collect::<Result<()>>()?;
    }
    Ok(())
}

/// An event as it goes down a socket.
struct Told {
    conversation_id: Option<ConversationId>,
    body: String,
}

impl Told {
    fn of(event: &EventEnvelope) -> Result<Self> {
        let body = serde_json::to_string(event).map_err(internal)?;
        Ok(Self { conversation_id: event.event.conversation_id(), body })
    }

    fn concerns(&self, socket: &Socket) -> bool {
        match (&socket.watches, self.conversation_id) {
            (Some(watched), Some(id)) => watched.contains(&id),
            (None, _) | (_, None) => true,
        }
    }
}

/// Whom events shut out.
#[derive(Default)]
struct ShutOut {
    people: HashSet<UserId>,
    sessions: HashSet<LoginSessionId>,
    keys: HashSet<ApiKeyId>,
}

impl ShutOut {
    fn by(events: &[&EventEnvelope]) -> Self {
        let mut out = Self::default();
        for event in events {
            match &event.event {
                Event::MemberShutOut { user_id } => {
                    out.people.insert(*user_id);
                }
                Event::LoginSessionsEnded { session_ids } => out.sessions.extend(session_ids),
                Event::ApiKeyRevoked { api_key_id } => {
                    out.keys.insert(*api_key_id);
                }
                _ => {}
            }
        }
        out
    }

    fn has(&self, listener: Listener) -> bool {
        match listener {
            Listener::Person(user_id, session_id) => {
                self.people.contains(&user_id) || session_id.is_some_and(|id| self.sessions.contains(&id))
            }
            Listener::Key(key_id) => key_id.is_some_and(|id| self.keys.contains(&id)),
        }
    }
}

/// Whoever is shut out is not told, and nobody else either.
fn is_for_browsers(event: &Event) -> bool {
    match event {
        Event::MemberShutOut { .. } | Event::LoginSessionsEnded { .. } | Event::ApiKeyRevoked { .. } => false,
        Event::ContactCreated { .. }
        | Event::ContactChanged { .. }
        | Event::ContactDeleted { .. }
        | Event::ContactOptedOut { .. }
        | Event::ContactOptedIn { .. }
        | Event::ContactMerged { .. }
        | Event::ContactUnmerged { .. }
        | Event::ContactErased { .. }
        | Event::MessageCreated { .. }
        | Event::MessageStatusChanged { .. }
        | Event::MessageMediaChanged { .. }
        | Event::ConversationRead { .. }
        | Event::ConversationChanged { .. }
        | Event::SessionChanged { .. }
        | Event::ImportProgress { .. }
        | Event::ExportProgress { .. }
        | Event::SessionNeedsHuman { .. }
        | Event::ConnectionChanged { .. }
        | Event::ConnectionCode { .. }
        | Event::BoardChanged { .. }
        | Event::BoardDeleted { .. }
        | Event::LeadCreated { .. }
        | Event::LeadChanged { .. }
        | Event::LeadMoved { .. }
        | Event::LeadDeleted { .. }
        | Event::TemplateChanged { .. }
        | Event::TemplateDeleted { .. }
        | Event::TemplatesSynced { .. }
        | Event::ConnectionHealth { .. }
        | Event::ConnectionQuality { .. }
        | Event::ConnectionTokenEnding { .. } => true,
    }
}

async fn push_to(app: &App, socket: Socket, events: Arc<[Told]>) -> Result<()> {
    for event in events.iter().filter(|event| event.concerns(&socket)) {
        let endpoint = &app.settings.websocket_endpoint;
        match app.push.send(endpoint, &socket.connection_id, &event.body).await {
            Ok(Delivery::Delivered) => {}
            Ok(Delivery::Gone) => return disconnect(app, &socket.connection_id).await,
            // One socket that never takes it must not make every other one hear it again.
            Err(error) if !error.retryable() => tracing::warn!(%error, "event not pushed to one socket"),
            Err(error) => return Err(internal(error)),
        }
    }
    Ok(())
}
