//! Queue `outbound.fifo`: calls to messaging providers, in order by conversation or by connection.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Sends the messages and read receipts of a batch, and sets connections up.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, attempt| match job {
        Job::SendMessage { message_id, .. } => app::outbound::send(app, scope, message_id).await,
        Job::MarkRead { message_id, typing, .. } => {
            app::outbound::mark_read(app, scope, message_id, typing, attempt).await
        }
        Job::SetUpConnection { connection_id } => {
            app::connections::set_up::run(app, scope, connection_id, attempt).await
        }
        job => Err(crate::misrouted(&job)),
    })
    .await
}
