//! Every hour: asks for what has to be brought over from accounts at providers.

use app::App;
use runtime::LambdaError;

use crate::each_time;

/// Runs the schedule's function.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn run(app: App) -> Result<(), LambdaError> {
    each_time(async |deadline| {
        let syncs = Box::pin(app::templates::upkeep::request_due(&app, deadline)).await?;
        let checks = Box::pin(app::connections::health::request_due(&app, deadline)).await?;
        tracing::info!(
            templates.syncs = syncs,
            connections.checks = checks,
            "upkeep of connections asked for"
        );
        Ok(())
    })
    .await
}
