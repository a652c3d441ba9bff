//! How connections stand: what providers report, and what they say when they are asked.

use chrono::{DateTime, Utc};
use db::TenantTx;
use db::connections::{Connection, Told};
use domain::connection::ConnectionState;
use domain::event::Event;
use domain::inbound::ConnectionUpdate;
use domain::user::Permission;
use domain::{CompanyScope, ConnectionId};
use providers::channel::error::{Remedy, SendError};
use providers::channel::{Channel, LinkCode, ReportCondition as _};

use super::{found, onboarding};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::{App, channels};

/// Writes down what a provider reported `at` that time, and tells of it.
pub(crate) async fn note(
    tx: &mut TenantTx,
    id: ConnectionId,
    update: &ConnectionUpdate,
    at: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let told = Told { id, state: update.state, reason: update.reason.clone(), at };
    tell(tx, &told, outgoing).await?;
    if update.has_code {
        let scope = CompanyScope::assert_verified(tx.company_id());
        outgoing.event(scope, Event::ConnectionCode { connection_id: id })?;
    }
    Ok(())
}

async fn tell(tx: &mut TenantTx, told: &Told, outgoing: &mut Outgoing) -> Result<()> {
    if let Some(version) = db::connections::set_state(tx, told).await? {
        let scope = CompanyScope::assert_verified(tx.company_id());
        outgoing.event(scope, Event::ConnectionChanged { connection_id: told.id, version })?;
    }
    Ok(())
}

/// Asks the provider how a connection stands, and writes that down; the connection as it is then. What is left to do before
/// it works, or was refused, is gone for again by the job that sets connections up.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission; retryable ones of ours. That the provider does not answer is none.
pub async fn check(app: &App, identity: &Identity, id: ConnectionId) -> Result<Connection> {
    identity.require(Permission::ManageConnections)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let connection = found(&mut tx, id).await?;
    tx.commit().await?;
    onboarding::resume(app, identity.scope, &connection).await?;
    let told = ask(app, identity.scope, &connection).await?;
    write_down(app, identity.scope, &told).await?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    found(&mut tx, id).await
}

/// Writes down how a connection stands, in a transaction of its own.
pub(super) async fn write_down(app: &App, scope: CompanyScope, told: &Told) -> Result<()> {
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    tell(&mut tx, told, &mut outgoing).await?;
    outbox::commit(app, tx, outgoing).await
}

async fn ask(app: &App, scope: CompanyScope, connection: &Connection) -> Result<Told> {
    let said = match open(app, scope, connection).await? {
        Ok(channel) => channel.condition().await,
        Err(reason) => return Ok(down(app, connection.id, reason)),
    };
    // What a job finds out after this is news.
    let at = app.clock.now();
    Ok(match said {
        Ok(condition) => {
            let standing = onboarding::standing(app, scope, connection.id).await?;
            let (state, reason) = standing.state(condition);
            Told { id: connection.id, state, reason, at }
        }
        Err(error) => refused(app, connection.id, &error),
    })
}

/// The connection's channel; or why there is none, which only a person can mend.
pub(super) async fn open(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
) -> Result<std::result::Result<Channel, &'static str>> {
    match channels::open(app, scope, connection, app.http()).await {
        Ok(channel) => Ok(Ok(channel)),
        Err(error) if error.retryable() => Err(error),
        Err(error) => {
            tracing::error!(connection.id = %connection.id, error = error.chain(), "connection unusable");
            Ok(Err("credentials_unreadable"))
        }
    }
}

pub(super) fn down(app: &App, id: ConnectionId, reason: &str) -> Told {
    Told { id, state: ConnectionState::Down, reason: Some(reason.to_owned()), at: app.clock.now() }
}

/// How a connection stands whose provider refuses us, or does not answer.
pub(super) fn refused(app: &App, id: ConnectionId, error: &SendError) -> Told {
    let fault = error.fault();
    tracing::warn!(connection.id = %id, provider.code = fault.code, "provider does not say how a connection stands");
    let reason = match (error, error.remedy()) {
        _ if fault.code == "address_refused" => "address_refused",
        (SendError::Reauthorise(_), _) => "not_authorised",
        (SendError::SenderBlocked(_), _) => "blocked",
        (_, Remedy::RetryAfter | Remedy::Unknown) => {
            // It may be well, and we do not know.
            let state = ConnectionState::Degraded;
            return Told { id, state, reason: Some("unreachable".to_owned()), at: app.clock.now() };
        }
        _ => "refused",
    };
    down(app, id, reason)
}

/// What links a connection's phone: a picture to scan, or letters to type.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission; `Conflict` for one that is linked with no phone; `Provider` when the
/// gateway does not answer with a code.
pub async fn link_code(app: &App, identity: &Identity, id: ConnectionId) -> Result<LinkCode> {
    identity.require(Permission::ManageConnections)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let connection = found(&mut tx, id).await?;
    tx.commit().await?;
    let unusable = || Error::Conflict("the credentials of this connection cannot be read: connect it again");
    let channel = open(app, identity.scope, &connection).await?.map_err(|_| unusable())?;
    match channel.link_code().await {
        Ok(Some(code)) => Ok(code),
        Ok(None) => Err(Error::Conflict("this connection is linked with no phone")),
        Err(error) => {
            let retryable = matches!(error.remedy(), Remedy::RetryAfter | Remedy::Unknown);
            write_down(app, identity.scope, &refused(app, id, &error)).await?;
            Err(Error::Provider { provider: "the gateway", retryable, source: error.into() })
        }
    }
}
