//! Whether this installation can work. Anybody may ask, and uncounted: a process finds out once in a while, whoever asks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cloud::cache::{Cache, Policy};

use crate::App;
use crate::error::{Result, internal};

/// One part that the product needs.
#[derive(Clone, Debug)]
pub struct Check {
    /// `database` or `queues`.
    pub name: &'static str,
    /// It answers.
    pub ok: bool,
}

/// What was found out is told for so long, good or bad.
const READINESS: Policy = Policy {
    fresh: Duration::from_secs(1),
    absent: Duration::ZERO,
    stale: Duration::ZERO,
    pause: Duration::ZERO,
    capacity: 1,
};

/// What this process found out last.
pub(crate) type Readiness = Cache<Arc<[Check]>, Infallible>;

/// Nothing was found out yet.
pub(crate) fn readiness() -> Readiness {
    Cache::new("readiness", READINESS)
}

/// Whether database and queues give a sign of life, as of a second ago at most.
pub async fn ready(app: &App) -> Arc<[Check]> {
    let ask = async || Ok(Some(ask(app).await));
    let Ok(known) = app.readiness.get("", ask).await;
    known.unwrap_or_default()
}

async fn ask(app: &App) -> Arc<[Check]> {
    let (database, queues) = futures::join!(database(app), queues(app));
    [("database", database), ("queues", queues)]
        .map(|(name, outcome)| {
            if let Err(error) = &outcome {
                tracing::warn!(check.name = name, error = error.chain(), "not ready");
            }
            Check { name, ok: outcome.is_ok() }
        })
        .into()
}

async fn database(app: &App) -> Result<()> {
    Ok(app.db().await?.ping().await?)
}

async fn queues(app: &App) -> Result<()> {
    let settings = &app.settings;
    for queue_url in [
        &settings.inbound_queue_url,
        &settings.turns_queue_url,
        &settings.ai_reply_queue_url,
        &settings.outbound_queue_url,
        &settings.mail_queue_url,
        &settings.media_queue_url,
        &settings.erasures_queue_url,
        &settings.imports_queue_url,
        &settings.connections_queue_url,
    ] {
        app.queues.attributes(queue_url).await.map_err(internal)?;
    }
    Ok(())
}
