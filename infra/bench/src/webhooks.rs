//! How many webhook calls one worker takes, beside a function that only answers 200.

use anyhow::ensure;
use bytes::Bytes;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Deserialize;

use crate::load::{self, Round};
use crate::measure::Spread;
use crate::payloads::{Message, function_url_event, messages_body};
use crate::report::{Report, Table, mebibytes};
use crate::setup::Setup;
use crate::worker::{Worker, pin};

const WEBHOOK: &str = "webhook-meta";
const BASELINE: &str = "answer-200";

/// Callers at once. Lambda gives a worker one event at a time: more callers wait before it.
const CONCURRENCY: [usize; 3] = [1, 8, 32];

/// At least so much of the baseline's rate.
const BAR: f64 = 0.5;

/// SQS takes so many messages in one request.
const QUEUE_ENTRIES: usize = 10;

/// Calls of one round.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    /// Events in each body.
    pub(crate) events: usize,
    /// Calls in a round.
    pub(crate) calls: usize,
}

/// Feeds both functions the same calls, round by round.
///
/// # Errors
/// When a call is not answered 200, or an event did not reach the queue.
pub(crate) async fn measure(
    setup: &Setup,
    report: &mut Report,
    sizes: &[Calls],
    rounds: usize,
) -> anyhow::Result<()> {
    let webhook = setup.start(WEBHOOK).await?;
    let baseline = setup.start(BASELINE).await?;
    let apart = Apart::keep(&[&webhook, &baseline])?;
    let mut table = Table::new([
        "events a call",
        "callers",
        "function",
        "calls/s",
        "events/s",
        "of answer-200",
        "CPU s for 1000 calls",
        "p50 ms",
        "p99 ms",
    ]);
    let mut shares = Vec::new();
    for &size in sizes {
        let events = calls(setup, size);
        let warm_up = events.len().div_ceil(10);
        load::run(&webhook, &events[..warm_up], 1, answered).await?;
        load::run(&baseline, &events[..warm_up], 1, answered).await?;
        for concurrency in CONCURRENCY {
            let (ours, theirs) =
                compare(setup, (&webhook, &baseline), &events, size, concurrency, rounds).await?;
            let share = rate(&ours).median / rate(&theirs).median;
            shares.push((share, size.events));
            rows(&mut table, size.events, concurrency, &ours, &theirs);
        }
    }
    report.section("Webhook: one worker");
    report.add(&format!(
        "{rounds} rounds each, taking turns with `{BASELINE}`, a function that reads the same bodies and does nothing \
         else. `{WEBHOOK}` verifies the signature, splits, and waits until the queue has taken every event. Callers \
         beyond one wait for the worker. The queue is a stand-in on this machine over plain HTTP, so that neither the \
         network nor TLS is in these figures. {}\n",
        apart.told(),
    ));
    report.table(&table);
    for size in sizes {
        let shares =
            Spread::of(shares.iter().filter(|(_, events)| *events == size.events).map(|(share, _)| *share));
        let name = format!("calls/s with {} events a call", size.events);
        let figure = format!("{:.0} to {:.0} % of {BASELINE}", shares.min * 100.0, shares.max * 100.0);
        if size.events == 1 {
            report.bar(&name, &figure, shares.min >= BAR, "at least 50 %");
        } else {
            let requests = size.events.div_ceil(QUEUE_ENTRIES);
            report.add(&format!(
                "- {name}: {figure}; no bar: {} messages leave in {requests} request(s) to the queue, and one costs \
                 about what answering costs",
                size.events
            ));
        }
    }
    for (name, worker) in [(WEBHOOK, &webhook), (BASELINE, &baseline)] {
        report
            .add(&format!("- peak memory of `{name}` after all of it: {}", mebibytes(worker.peak_memory()?)));
    }
    webhook.stop().await?;
    baseline.stop().await
}

/// A worker has one processor, and who calls it, with the queue's stand-in, another: as in a Lambda, and not as the
/// scheduler happens to place them, by which the shares differ by a tenth.
enum Apart {
    Kept {
        before: CpuSet,
    },
    /// There is one processor only.
    Together,
}

impl Apart {
    fn keep(workers: &[&Worker]) -> anyhow::Result<Self> {
        let before = sched_getaffinity(None)?;
        let mut processors = (0..CpuSet::MAX_CPU).filter(|processor| before.is_set(*processor));
        let (Some(own), Some(theirs)) = (processors.next(), processors.next()) else {
            return Ok(Self::Together);
        };
        pin(None, own)?;
        for worker in workers {
            worker.pin(theirs)?;
        }
        Ok(Self::Kept { before })
    }

    fn told(&self) -> &'static str {
        match self {
            Self::Kept { .. } => "Worker and caller have a processor each.",
            Self::Together => "Worker and caller share one processor.",
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Self::Kept { before } = self {
            // What follows is measured with what it gets then.
            if let Err(error) = sched_setaffinity(None, before) {
                eprintln!("bench: still kept on one processor: {error}");
            }
        }
    }
}

async fn compare(
    setup: &Setup,
    (webhook, baseline): (&Worker, &Worker),
    events: &[Bytes],
    size: Calls,
    concurrency: usize,
    rounds: usize,
) -> anyhow::Result<(Vec<Round>, Vec<Round>)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let queued = setup.aws.queued();
        ours.push(load::run(webhook, events, concurrency, answered).await?);
        let queued = setup.aws.queued() - queued;
        let sent = events.len() * size.events;
        ensure!(queued == sent, "{sent} events were sent, {queued} reached the queue");
        theirs.push(load::run(baseline, events, concurrency, answered).await?);
    }
    Ok((ours, theirs))
}

fn rows(table: &mut Table, events: usize, concurrency: usize, ours: &[Round], theirs: &[Round]) {
    let base = rate(theirs).median;
    for (name, rounds) in [(WEBHOOK, ours), (BASELINE, theirs)] {
        let rate = rate(rounds);
        table.row([
            events.to_string(),
            concurrency.to_string(),
            name.to_owned(),
            format!("{rate:.0}"),
            format!("{:.0}", rate.median * events as f64),
            format!("{:.0} %", rate.median / base * 100.0),
            format!("{:.3}", Spread::of(rounds.iter().map(Round::cpu_of_thousand))),
            format!("{:.2}", Spread::of(rounds.iter().map(|round| round.latency(0.5)))),
            format!("{:.2}", Spread::of(rounds.iter().map(|round| round.latency(0.99)))),
        ]);
    }
}

fn rate(rounds: &[Round]) -> Spread {
    Spread::of(rounds.iter().map(Round::rate))
}

/// As many distinct calls as a round has.
fn calls(setup: &Setup, size: Calls) -> Vec<Bytes> {
    let call = |call: usize| {
        let numbers = (call * size.events..(call + 1) * size.events).map(|number| number as u64);
        let messages: Vec<_> = numbers.map(|number| Message { customer: number, number }).collect();
        function_url_event(&setup.app_secret, &messages_body(&messages))
    };
    (0..size.calls).map(call).collect()
}

fn answered(answer: &[u8]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "statusCode")]
        status: u16,
    }
    let status = serde_json::from_slice::<Answer>(answer)?.status;
    ensure!(status == 200, "a webhook call was answered {status}: {}", String::from_utf8_lossy(answer));
    Ok(())
}
