//! Every minute: hands over the outbox rows whose writer died before it could.

use app::App;
use chrono::{DateTime, Utc};
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::LambdaError;
use serde_json::Value;

/// Runs the schedule's function.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn run(app: App) -> Result<(), LambdaError> {
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let deadline = DateTime::<Utc>::from(event.context.deadline());
        // Boxed: the AWS SDK's futures nest deeper than the compiler lays out in one go.
        let moved = Box::pin(app::outbox::relay(&app, deadline)).await?;
        tracing::info!(outbox.moved = moved, "outbox relayed");
        Ok::<_, LambdaError>(())
    }))
    .await
}
