//! Every night: deletes what has had its time.

use app::App;
use runtime::LambdaError;

use crate::each_time;

/// Runs the schedule's function.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn run(app: App) -> Result<(), LambdaError> {
    each_time(async |deadline| {
        let cleaned = Box::pin(app::cleanup::run(&app, deadline)).await?;
        tracing::info!(
            cleanup.login_sessions = cleaned.login_sessions,
            cleanup.account_tokens = cleaned.account_tokens,
            cleanup.idempotency_keys = cleaned.idempotency_keys,
            cleanup.embedded_signups = cleaned.embedded_signups,
            "cleaned up"
        );
        Ok(())
    })
    .await
}
