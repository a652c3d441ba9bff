//! Queue `push`: domain events, by way of the bus, on their way to browsers.

use app::App;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::event::EventEnvelope;
use runtime::sqs;
use serde::Deserialize;

/// What EventBridge wraps an event in.
#[derive(Deserialize)]
struct BusMessage {
    detail: EventEnvelope,
}

/// Pushes the events of a batch to the sockets of their companies.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    let decode = |body: &str| {
        let BusMessage { detail } = sqs::decode(body)?;
        Ok((detail.company_id, detail))
    };
    sqs::for_each_company(app, event, decode, async |_, events: &[EventEnvelope]| {
        app::realtime::push(app, events).await
    })
    .await
}
