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
    /// From handing an event to the worker to its answer; ascending.
    pub(crate) work_times: Vec<Duration>,
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
        percentile(&self.latencies, share)
    }

    /// The same of the time that the worker itself took.
    pub(crate) fn work_time(&self, share: f64) -> f64 {
        percentile(&self.work_times, share)
    }
}

/// The value that `share` of all stay within, in milliseconds.
pub(crate) fn percentile(ascending: &[Duration], share: f64) -> f64 {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    let index = rank.saturating_sub(1).min(ascending.len().saturating_sub(1));
    ascending.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
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
        let mut times = Vec::with_capacity(events.len() / concurrency + 1);
        while let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            let answer = worker.api.invoke(event.clone()).await?;
            times.push((began.elapsed(), answer.worked));
            check(&answer.body)?;
        }
        anyhow::Ok(times)
    };
    let cpu = worker.cpu()?;
    let began = Instant::now();
    let times = futures::future::try_join_all((0..concurrency).map(|_| caller())).await?;
    let elapsed = began.elapsed();
    let cpu = worker.cpu()?.saturating_sub(cpu);
    let (mut latencies, mut work_times): (Vec<_>, Vec<_>) = times.into_iter().flatten().unzip();
    latencies.sort_unstable();
    work_times.sort_unstable();
    Ok(Round { invocations: latencies.len(), elapsed, cpu, latencies, work_times })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| percentile(&times, share)), [50.0, 99.0, 100.0]);
        assert_eq!(percentile(&times[..1], 0.99), 1.0);
    }
}
