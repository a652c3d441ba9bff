//! What follows from a connection elsewhere: the routes by which webhooks find it, where its provider posts them, and what
//! else its provider has to be asked before it works.

use std::time::Duration;

use cloud::routes::WebhookRoute;
use db::connections::Connection;
use domain::connection::ConnectionKind;
use domain::health::{Finding, Obstacle};
use domain::job::Job;
use domain::{CompanyScope, ConnectionId};
use providers::channel::Channel;
use providers::channel::error::SendError;

use super::{health, onboarding, open};
use crate::error::{Error, Result, internal};
use crate::outbox::{self, Outgoing};
use crate::sealed::{self, Place};
use crate::webhooks::{gateway, meta, twilio};
use crate::{App, channels};

/// How often a provider that does not answer is asked: what it does not say then, the schedule of connections asks for.
const ATTEMPTS: u32 = 4;

/// Brings about what follows from a connection as it stands now. Safe to run twice, and in any order: it writes what is
/// true when it runs. `attempt` is 1 the first time.
///
/// # Errors
/// Retryable ones of ours; `RetryLater` for a few attempts while the provider does not answer.
pub async fn run(app: &App, scope: CompanyScope, id: ConnectionId, attempt: u32) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let connection = db::connections::find(&mut tx, id).await?;
    let address = db::connections::find_address(&mut tx, id).await?;
    tx.commit().await?;
    let Some((kind, slug, account)) = address else { return Ok(()) };
    let Some(connection) = connection else {
        return forget(app, scope, id, route_keys(scope, kind, &slug, &account)).await;
    };
    let keys = route_keys(scope, kind, &slug, &account);
    if keys.is_empty() {
        return Ok(());
    }
    for key in keys {
        put_route(app, scope, &connection, key).await?;
    }
    introduce(app, scope, &connection, attempt).await
}

/// The routes of a connection: of its address, and of its number where one address serves several.
fn route_keys(scope: CompanyScope, kind: ConnectionKind, slug: &str, account: &str) -> Vec<String> {
    match kind {
        ConnectionKind::WhatsappCloud => {
            vec![meta::route_key(slug), meta::number_key(scope.company_id(), account)]
        }
        ConnectionKind::TwilioSms => vec![twilio::route_key(slug)],
        ConnectionKind::Evolution | ConnectionKind::Uazapi => vec![gateway::route_key(kind, slug)],
        ConnectionKind::WhatsappWeb | ConnectionKind::Retell => Vec::new(),
    }
}

/// Removes the routes of a connection that is gone; one that leads to another connection by now stays.
async fn forget(app: &App, scope: CompanyScope, id: ConnectionId, keys: Vec<String>) -> Result<()> {
    for key in keys {
        let known = app.routes.find_now(&key).await.map_err(internal)?;
        let is_its =
            known.is_some_and(|route| route.company_id == scope.company_id() && route.connection_id == id);
        if is_its {
            app.routes.delete(&key).await.map_err(internal)?;
        }
    }
    Ok(())
}

async fn put_route(app: &App, scope: CompanyScope, connection: &Connection, route_key: String) -> Result<()> {
    let company_id = scope.company_id();
    let again = async |column, sealed: &str| {
        let secret = channels::secret(app, scope, connection, column, sealed).await?;
        sealed::seal(app, &secret, &Place::route(company_id, &route_key, column)).await
    };
    // Of a UAZapi instance webhooks say its name, and we know its token.
    let account = (connection.kind != ConnectionKind::Uazapi).then(|| connection.provider_account.clone());
    let route = WebhookRoute {
        company_id,
        connection_id: connection.id,
        provider_account: account,
        app_secret: again("app_secret", &connection.app_secret).await?,
        verify_token: again("verify_token", &connection.verify_token).await?,
        updated_at: app.clock.now(),
        route_key: route_key.clone(),
    };
    app.routes.put(&route).await.map_err(internal)
}

/// Tells the provider where webhooks go, goes for what is left to do there, and has it asked how the connection stands.
async fn introduce(app: &App, scope: CompanyScope, connection: &Connection, attempt: u32) -> Result<()> {
    let id = connection.id;
    let channel = match open(app, scope, connection).await? {
        Ok(channel) => channel,
        Err(finding) => return health::raise(app, scope, id, &finding).await,
    };
    if let Err(error) = prepare(app, scope, connection, &channel).await? {
        if !error.may_pass() {
            return health::raise(app, scope, id, &health::of_refusal(&channel, &error)).await;
        }
        let finding = Finding::told(Obstacle::Unreachable, error.fault().title.clone());
        health::raise(app, scope, id, &finding).await?;
        if attempt < ATTEMPTS {
            let after = Duration::from_secs(10 * u64::from(attempt));
            let after = match &error {
                SendError::Retry { after: Some(asked), .. } => after.max(*asked),
                _ => after,
            };
            return Err(Error::RetryLater { after, source: error.into() });
        }
        return Ok(());
    }
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::CheckConnection { connection_id: id })?;
    outbox::commit(app, app.db().await?.begin(scope).await?, outgoing).await
}

/// What has to be so at the provider; the inner error when it was not taken.
async fn prepare(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    channel: &Channel,
) -> Result<std::result::Result<(), SendError>> {
    if let Some(url) = channels::webhook_url(app, connection.kind, &connection.slug) {
        let secret = channels::secret(app, scope, connection, "app_secret", &connection.app_secret).await?;
        if let Err(error) = channel.receive_webhooks(&url, &secret).await {
            return Ok(Err(error));
        }
    }
    match channel {
        Channel::WhatsAppCloud(number) => onboarding::run(app, scope, connection, number).await,
        Channel::Evolution(_) | Channel::Uazapi(_) | Channel::Twilio(_) => Ok(Ok(())),
    }
}
