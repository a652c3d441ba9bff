//! Scheduled work: one Lambda a schedule.
//!
//! Rooms: [`outbox`] what other processes left in the outbox leaves all the same · [`seals`] secrets are sealed anew after
//! a rotation of the master key · [`sessions`] silences of the AI end · [`cleanup`] what has had its time goes ·
//! [`connections`] what providers have is brought over.

pub mod cleanup;
pub mod connections;
pub mod outbox;
pub mod seals;
pub mod sessions;

use chrono::{DateTime, Utc};
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::LambdaError;
use serde_json::Value;

/// Does the work at each event; it is told until when it may take.
async fn each_time(work: impl AsyncFn(DateTime<Utc>) -> app::Result<()>) -> Result<(), LambdaError> {
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        work(event.context.deadline().into()).await.map_err(LambdaError::from)
    }))
    .await
}
