//! Load on one worker: so many callers, each of which sends its next event when the last was answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::worker::Worker;

/// What one round took.
pub(crate) struct Round {
    /// How many events were answered.
    pub(crate) invocations: usize,
    /// From the first event to the last answer.
    pub(crate) elapsed: Duration,
    /// Processor time of the worker.
    pub(crate) cpu: Duration,
    /// From handing an event in to its answer, waiting for the worker included; ascending.
    pub(crate) latencies: Vec<Duration>,
}

impl Round {
    /// Invocations answered in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.invocations as f64 / self.elapsed.as_secs_f64()
    }

    /// The worker's processor seconds for a thousand invocations.
    pub(crate) fn cpu_of_thousand(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.invocations as f64
    }

    /// The latency that `share` of the invocations stayed within, in milliseconds.
    pub(crate) fn latency(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (share * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(index.saturating_sub(1).min(last)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}

/// Sends every event once, `concurrency` at a time, and checks each answer.
///
/// # Errors
/// At the first answer that `check` refuses, and when the worker fails.
pub(crate) async fn run(
    worker: &Worker,
    events: &[Bytes],
    concurrency: usize,
    check: fn(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Round> {
    let next = AtomicUsize::new(0);
    let caller = async || {
        let mut latencies = Vec::with_capacity(events.len() / concurrency + 1);
        while let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            let answer = worker.api.invoke(event.clone()).await?;
            latencies.push(began.elapsed());
            check(&answer)?;
        }
        anyhow::Ok(latencies)
    };
    let cpu = worker.cpu()?;
    let began = Instant::now();
    let latencies = futures::future::try_join_all((0..concurrency).map(|_| caller())).await?;
    let elapsed = began.elapsed();
    let cpu = worker.cpu()?.saturating_sub(cpu);
    let mut latencies = latencies.concat();
    latencies.sort_unstable();
    Ok(Round { invocations: latencies.len(), elapsed, cpu, latencies })
}
