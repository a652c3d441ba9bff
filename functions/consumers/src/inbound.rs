//! Queue `inbound.fifo`: provider events, in order by customer.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::job::InboundEnvelope;
use runtime::sqs;

/// Stores the events of a batch.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    let decode = |body: &str| {
        let envelope: InboundEnvelope = sqs::decode(body)?;
        Ok((envelope.company_id, envelope))
    };
    sqs::for_each_company(app, event, decode, async |scope, events: &[InboundEnvelope]| {
        app::inbound::receive(app, scope, events).await
    })
    .await
}
