//! Every hour: seals with the current master key what another one sealed.

use app::App;
use runtime::LambdaError;

use crate::each_time;

/// Runs the schedule's function.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn run(app: App) -> Result<(), LambdaError> {
    each_time(async |deadline| {
        let done = Box::pin(app::sealed::renew(&app, deadline)).await?;
        tracing::info!(
            seals.renewed = done.renewed,
            seals.lost = done.lost,
            seals.complete = done.complete,
            "sealed values renewed"
        );
        Ok(())
    })
    .await
}
