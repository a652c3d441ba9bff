//! Queue `turns`: turns that may be complete, delayed by their window.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Closes the turns of a batch whose newest version it carries.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, _| match job {
        Job::CloseTurn { turn_id, version } => app::turns::close(app, scope, turn_id, version).await,
        job => Err(crate::misrouted(&job)),
    })
    .await
}
