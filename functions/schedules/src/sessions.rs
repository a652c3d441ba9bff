//! Every minute: lifts silences of the AI that are over.

use app::App;
use runtime::LambdaError;

use crate::each_time;

/// Runs the schedule's function.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn run(app: App) -> Result<(), LambdaError> {
    each_time(async |deadline| {
        let lifted = Box::pin(app::sessions::silences::lift(&app, deadline)).await?;
        if lifted > 0 {
            tracing::info!(sessions.lifted = lifted, "silences lifted");
        }
        Ok(())
    })
    .await
}
