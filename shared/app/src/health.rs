//! Whether this installation can work.

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

/// Asks the database and the queues for a sign of life.
pub async fn ready(app: &App) -> Vec<Check> {
    let (database, queues) = futures::join!(database(app), queues(app));
    [("database", database), ("queues", queues)]
        .map(|(name, outcome)| {
            if let Err(error) = &outcome {
                tracing::warn!(check.name = name, error = error.chain(), "not ready");
            }
            Check { name, ok: outcome.is_ok() }
        })
        .to_vec()
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
    ] {
        app.queues.attributes(queue_url).await.map_err(internal)?;
    }
    Ok(())
}
