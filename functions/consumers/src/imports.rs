//! Queue `imports.fifo`: imports and exports of contacts, one at a time for a company.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::Job;
use runtime::sqs;

/// Does the parts of a batch.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    sqs::for_each_job(app, event, async |scope, job, _| match job {
        Job::ImportContacts { import_id, run } => app::imports::run::run(app, scope, import_id, run).await,
        Job::ExportContacts { export_id, run } => app::exports::run::run(app, scope, export_id, run).await,
        job => Err(crate::misrouted(&job)),
    })
    .await
}
