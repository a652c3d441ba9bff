//! Queue `connections`: what is asked of accounts at providers, and brought over from there.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Does the jobs of a batch.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, attempt| match job {
        Job::SubmitTemplate { template_id } => {
            app::templates::upkeep::submit(app, scope, template_id, attempt).await
        }
        Job::DeleteTemplate { template_id } => {
            app::templates::upkeep::delete(app, scope, template_id, attempt).await
        }
        Job::SyncTemplates { connection_id } => {
            app::templates::upkeep::sync(app, scope, connection_id, attempt).await
        }
        Job::CheckConnection { connection_id } => {
            app::connections::health::check_unasked(app, scope, connection_id, attempt).await
        }
        job => Err(crate::misrouted(&job)),
    })
    .await
}
