//! Queue `media`: files are fetched from providers, small pictures made of them, and their bytes deleted when they are
//! gone.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Does the jobs of a batch.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, attempt| match job {
        Job::FetchMedia { media_id } => app::media::fetch(app, scope, media_id, attempt).await,
        Job::MakeThumbnail { media_id } => app::media::make_thumbnail(app, scope, media_id).await,
        Job::DeleteFiles { media_ids } => app::media::delete_bytes(app, scope, &media_ids).await,
        job => Err(crate::misrouted(&job)),
    })
    .await
}
