//! Every minute: hands over the outbox rows whose writer died before it could.

use app::App;
use runtime::LambdaError;

use crate::each_time;

/// Runs the schedule's function.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn run(app: App) -> Result<(), LambdaError> {
    each_time(async |deadline| {
        // Boxed: the AWS SDK's futures nest deeper than the compiler lays out in one go.
        let moved = Box::pin(app::outbox::relay(&app, deadline)).await?;
        tracing::info!(outbox.moved = moved, "outbox relayed");
        Ok(())
    })
    .await
}
