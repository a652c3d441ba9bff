//! Queue `ai-reply`: complete turns that want an answer.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Answers the turns of a batch.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, _| match job {
        Job::AnswerTurn { turn_id } => app::ai_reply::answer(app, scope, turn_id).await,
        job => Err(crate::misrouted(&job)),
    })
    .await
}
