//! How many provider events one inbound consumer makes durable in PostgreSQL.

use anyhow::ensure;
use bytes::Bytes;
use serde::Deserialize;

use crate::database::provider_message_id;
use crate::load::{self, Round};
use crate::measure::Spread;
use crate::payloads::{BATCH, Message, Status, messages_body, queue_event, statuses_body};
use crate::report::{Report, Table, mebibytes};
use crate::setup::Setup;
use crate::worker::Worker;

const CONSUMER: &str = "consume-inbound";

/// The next batch waits already when one is done, as it does on a queue that is behind.
const CONCURRENCY: usize = 2;

/// At least so many events a second.
const BAR: f64 = 1000.0;

/// How much is fed.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Messages that are in the database before.
    pub(crate) messages: u64,
    /// Events in a round; a multiple of a batch.
    pub(crate) events: u64,
    /// Rounds of each kind.
    pub(crate) rounds: usize,
}

/// What a round's events are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    NewCustomers,
    KnownCustomers,
    Statuses,
}

impl Kind {
    const ALL: [Self; 3] = [Self::NewCustomers, Self::KnownCustomers, Self::Statuses];

    fn name(self) -> &'static str {
        match self {
            Self::NewCustomers => "messages of new customers",
            Self::KnownCustomers => "messages of known customers",
            Self::Statuses => "statuses",
        }
    }

    fn body(self, size: Size, numbers: std::ops::Range<u64>) -> Vec<u8> {
        match self {
            Self::NewCustomers => {
                let messages = numbers.map(|number| Message { customer: number, number });
                messages_body(&messages.collect::<Vec<_>>())
            }
            // The same customers as before, each with another message, in another order.
            Self::KnownCustomers => {
                let known = size.events * size.rounds as u64;
                let messages = numbers
                    .map(|number| Message { customer: scatter(number, known), number: known + number });
                messages_body(&messages.collect::<Vec<_>>())
            }
            Self::Statuses => {
                let ours = size.messages / 2;
                let statuses = numbers.map(|number| Status {
                    provider_message_id: provider_message_id(scatter(number, ours) * 2),
                    status: "delivered",
                    second: number,
                });
                statuses_body(&statuses.collect::<Vec<_>>())
            }
        }
    }
}

/// The `number`th of `total` things in an order that jumps about and meets each once.
pub(crate) fn scatter(number: u64, total: u64) -> u64 {
    /// A prime that divides no total that is used here.
    const STRIDE: u64 = 7_368_787;
    number % total * (STRIDE % total) % total
}

/// Fills the database, then feeds the consumer.
///
/// # Errors
/// When the consumer leaves an event undone, or the database does not hold what it took.
pub(crate) async fn measure(setup: &mut Setup, report: &mut Report, size: Size) -> anyhow::Result<()> {
    report.section("Inbound consumer: one worker");
    let settings = setup.database.settings().await?;
    report.add(&format!("- PostgreSQL: {settings}"));
    let commits = Spread::of(setup.database.commit_times(200).await?);
    report.add(&format!("- the smallest durable transaction there takes {commits:.2} ms"));
    let filled = setup.database.fill(setup.home, size.messages).await?;
    report.add(&format!("- {} messages were put in before, in {:.0} s", size.messages, filled.as_secs_f64()));

    let worker = setup.start(CONSUMER).await?;
    let mut table =
        Table::new(["events", "events/s durable", "CPU s for 1000 events", "batch p50 ms", "batch p99 ms"]);
    let mut rates = Vec::new();
    for kind in Kind::ALL {
        let rounds = feed(setup, &worker, kind, size).await?;
        let batch = BATCH as f64;
        let rate = Spread::of(rounds.iter().map(|round| round.rate() * batch));
        rates.push((kind, rate));
        table.row([
            kind.name().to_owned(),
            format!("{rate:.0}"),
            format!("{:.3}", Spread::of(rounds.iter().map(|round| round.cpu_of_thousand() / batch))),
            format!("{:.2}", Spread::of(rounds.iter().map(|round| round.work_time(0.5)))),
            format!("{:.2}", Spread::of(rounds.iter().map(|round| round.work_time(0.99)))),
        ]);
    }
    report.add(&format!(
        "\nBatches of {BATCH}, each event of another customer; {} events a round, {} rounds. Every event is journalled, \
         and the jobs and events that it causes are handed over (to a stand-in on this machine) before the batch \
         counts as done.\n",
        size.events, size.rounds
    ));
    report.table(&table);
    for (kind, rate) in rates {
        report.bar(kind.name(), &format!("{:.0} events/s", rate.median), rate.median >= BAR, "at least 1000");
    }
    report
        .add(&format!("- peak memory of `{CONSUMER}` after all of it: {}", mebibytes(worker.peak_memory()?)));
    worker.stop().await
}

async fn feed(setup: &mut Setup, worker: &Worker, kind: Kind, size: Size) -> anyhow::Result<Vec<Round>> {
    let before = setup.database.counts().await?;
    let published = setup.aws.published();
    let mut rounds = Vec::with_capacity(size.rounds);
    for round in 0..size.rounds as u64 {
        let first = round * size.events;
        let events = batches(setup, kind, size, first..first + size.events)?;
        rounds.push(load::run(worker, &events, CONCURRENCY, all_done).await?);
    }
    let after = setup.database.counts().await?;
    let total = i64::try_from(size.events * size.rounds as u64)?;
    let stored = match kind {
        Kind::NewCustomers | Kind::KnownCustomers => after.messages - before.messages,
        Kind::Statuses => after.delivered - before.delivered,
    };
    ensure!(
        after.events - before.events == total && stored == total && after.outbox == 0,
        "{total} {} were taken, but the database went from {before:?} to {after:?}",
        kind.name()
    );
    ensure!(setup.aws.published() > published, "no event of {} was published", kind.name());
    Ok(rounds)
}

fn batches(
    setup: &Setup,
    kind: Kind,
    size: Size,
    numbers: std::ops::Range<u64>,
) -> anyhow::Result<Vec<Bytes>> {
    let batch = |first: u64| {
        let end = (first + BATCH as u64).min(numbers.end);
        queue_event(setup.home, &kind.body(size, first..end))
    };
    numbers.clone().step_by(BATCH).map(batch).collect()
}

/// That no message of a batch was left undone.
pub(crate) fn all_done(answer: &[u8]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "batchItemFailures")]
        failures: Vec<serde_json::Value>,
    }
    let failures = serde_json::from_slice::<Answer>(answer)?.failures;
    ensure!(
        failures.is_empty(),
        "{} events of a batch were left undone; see the consumer's log",
        failures.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattering_meets_each_once() {
        for total in [1_000, 9_000, 500_000] {
            let mut met: Vec<_> = (0..total).map(|number| scatter(number, total)).collect();
            met.sort_unstable();
            assert!(met.into_iter().eq(0..total));
        }
    }
}
