//! Logs: one JSON object a line on standard output, which CloudWatch takes. A message reads alone; values are dotted
//! fields; never a body, a token, a phone number or a name.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

/// Starts logging for `function`. A second call changes nothing.
pub fn init(function: &'static str) {
    let filter = EnvFilter::try_new(crate::config::log_filter()).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_target(false);
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    if started.is_ok() {
        tracing::debug!(function, "function starts");
    }
}
