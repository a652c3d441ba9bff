//! Every minute: hands over the outbox rows whose writer died before it could, and asks again for turns whose job is lost.

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
        let rescued = Box::pin(app::turns::rescue(&app, deadline)).await?;
        tracing::info!(outbox.moved = moved, turns.rescued = rescued, "outbox relayed");
        Ok(())
    })
    .await
}
