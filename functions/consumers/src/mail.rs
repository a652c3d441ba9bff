//! Queue `mail`: mails to people.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Writes and sends the mails of a batch.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, _| match job {
        Job::SendMail { mail } => app::mail::send(app, scope, &mail).await,
        job => Err(crate::misrouted(&job)),
    })
    .await
}
