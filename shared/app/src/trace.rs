//! The trace context of the work at hand, which queue messages and events carry on.

use std::future::Future;

tokio::task_local! {
    static PARENT: Option<String>;
}

/// Runs `work` as a part of the trace `parent` (a W3C `traceparent`).
pub async fn within<F: Future>(parent: Option<String>, work: F) -> F::Output {
    PARENT.scope(parent, work).await
}

/// The `traceparent` of the work at hand.
pub fn current() -> Option<String> {
    PARENT.try_with(Clone::clone).ok().flatten()
}
