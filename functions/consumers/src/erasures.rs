//! Queue `erasures`: people to forget.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Goes on with the erasures of a batch.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, _| match job {
        Job::EraseContact { erasure_id } => app::erasures::run(app, scope, erasure_id).await,
        job => Err(crate::misrouted(&job)),
    })
    .await
}
