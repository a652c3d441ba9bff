//! Browsers see it live: sockets of a company, and events pushed to them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cloud::push::Delivery;
use cloud::sockets::Socket;
use domain::event::{Event, EventEnvelope};
use domain::user::Permission;
use domain::{CompanyId, CompanyScope, UserId};
use futures::stream::{self, StreamExt as _};

use crate::App;
use crate::auth;
use crate::error::{Error, Result, internal};

/// How many sockets are written to at once.
const AT_ONCE: usize = 16;

/// Lets a browser in that shows a token or an API key.
///
/// # Errors
/// `Unauthenticated`, or `Forbidden` when the role may not read the inbox.
pub async fn connect(app: &App, connection_id: &str, credential: Option<&str>) -> Result<()> {
    let credential = credential.ok_or(Error::Unauthenticated)?;
    let identity = auth::identify(app, credential, auth::Client::default()).await?;
    identity.require(Permission::ReadInbox)?;
    let company_id = identity.scope.company_id();
    let (user_id, now) = (identity.user_id(), app.clock.now());
    // Whoever renews their token opens another socket: one that nobody renews is over with it.
    let socket = Socket::opened(connection_id, company_id, user_id, now, identity.expires_at);
    app.sockets.put(&socket).await.map_err(internal)
}

/// Forgets a socket.
///
/// # Errors
/// Retryable ones only.
pub async fn disconnect(app: &App, connection_id: &str) -> Result<()> {
    app.sockets.delete(connection_id).await.map_err(internal)
}

/// Pushes events to every socket of their companies, one event after the other on each socket. A socket that is gone, or
/// whose credential is over, is forgotten; so are those of a person who was shut out.
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
        let shut_out: HashSet<UserId> = events
            .iter()
            .filter_map(|event| match &event.event {
                Event::MemberShutOut { user_id } => Some(*user_id),
                _ => None,
            })
            .collect();
        let sockets = app.sockets.list_for_company(scope.company_id()).await.map_err(internal)?;
        let now = app.clock.now();
        let is_over = |socket: &Socket| {
            socket.expires_at <= now || socket.user_id.is_some_and(|user_id| shut_out.contains(&user_id))
        };
        let (over, sockets): (Vec<_>, Vec<_>) = sockets.into_iter().partition(is_over);
        for socket in over {
            disconnect(app, &socket.connection_id).await?;
        }
        let bodies: Arc<[String]> = events
            .iter()
            .filter(|event| is_for_browsers(&event.event))
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()
            .map_err(internal)?;
        let pushed: Vec<Result<()>> = stream::iter(sockets)
            .map(|socket| push_to(app, socket, bodies.clone()))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        pushed.into_iter().collect::<Result<()>>()?;
    }
    Ok(())
}

fn is_for_browsers(event: &Event) -> bool {
    !matches!(event, Event::MemberShutOut { .. })
}

async fn push_to(app: &App, socket: Socket, bodies: Arc<[String]>) -> Result<()> {
    for body in bodies.iter() {
        let endpoint = &app.settings.websocket_endpoint;
        match app.push.send(endpoint, &socket.connection_id, body).await {
            Ok(Delivery::Delivered) => {}
            Ok(Delivery::Gone) => return disconnect(app, &socket.connection_id).await,
            // One socket that never takes it must not make every other one hear it again.
            Err(error) if !error.retryable() => tracing::warn!(%error, "event not pushed to one socket"),
            Err(error) => return Err(internal(error)),
        }
    }
    Ok(())
}
