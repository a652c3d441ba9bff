//! Where the product meets its surroundings: environment, telemetry, HTTP, SQS, Lambda.
//!
//! Rooms: [`bootstrap`] a function's start · [`config`] the environment, read here and nowhere else · [`telemetry`] logs ·
//! [`clock`] time and ids · [`http`] the HTTP edge: callers, bodies, pages, problems · [`sqs`] the queue edge: what a
//! failure means for a message · [`trace`] trace contexts.
//!
//! Never in here: rules of the product, SQL, provider formats.

pub mod clock;
pub mod config;
pub mod http;
pub mod sqs;
pub mod telemetry;
pub mod trace;

use std::sync::Arc;

use app::App;

/// Starts a function: logs, settings, and an [`App`] that connects to nothing yet.
pub fn bootstrap(function: &'static str) -> App {
    telemetry::init(function);
    App::new(Arc::new(clock::SystemClock), config::settings(), &cloud::Aws::lazy())
}

/// A failure that ends a function.
pub type LambdaError = lambda_runtime::Error;

/// Runs a queue consumer: `handle` answers for each batch.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn consume<H>(app: App, handle: H) -> Result<(), LambdaError>
where
    H: AsyncFn(&App, aws_lambda_events::sqs::SqsEvent) -> aws_lambda_events::sqs::SqsBatchResponse,
{
    lambda_runtime::run(lambda_runtime::service_fn(
        async |event: lambda_runtime::LambdaEvent<aws_lambda_events::sqs::SqsEvent>| {
            // Boxed: the AWS SDK's futures nest deeper than the compiler lays out in one go.
            Ok::<_, LambdaError>(Box::pin(handle(&app, event.payload)).await)
        },
    ))
    .await
}
