//! How data and the jobs that it causes leave together: written in one transaction, handed over right after its
//! commit, and by the scheduled relay when we died in between.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cloud::bus::BusEvent;
use cloud::queue::QueueMessage;
use db::outbox::{Destination, NewRow};
use db::{SystemTx, TenantTx};
use domain::event::{Event, EventEnvelope};
use domain::job::{ENVELOPE_VERSION, Job, JobEnvelope, Queue};
use domain::{CompanyId, CompanyScope};

use crate::error::{Result, internal};
use crate::{App, trace};

/// How long the writing process may take to hand over before the relay takes its rows.
const CLAIM: TimeDelta = TimeDelta::seconds(30);

/// How long a batch of the relay takes at most, with room to spare.
const ONE_BATCH: TimeDelta = TimeDelta::seconds(5);

/// How many rows the relay moves at a time.
const RELAY_BATCH: i64 = 200;

/// SQS delays a message by 15 minutes at most.
const LONGEST_DELAY: TimeDelta = TimeDelta::minutes(15);

/// Jobs and events that a transaction causes.
#[derive(Debug, Default)]
pub struct Outgoing {
    companies: Vec<CompanyId>,
    rows: Vec<NewRow>,
}

impl Outgoing {
    /// Adds a job for now.
    ///
    /// # Errors
    /// When the job cannot be serialised, which is a defect.
    pub fn job(&mut self, scope: CompanyScope, job: Job) -> Result<()> {
        self.push_job(scope, job, None)
    }

    /// Adds a job that must not start before `due_at`.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub fn job_at(&mut self, scope: CompanyScope, job: Job, due_at: DateTime<Utc>) -> Result<()> {
        self.push_job(scope, job, Some(due_at))
    }

    fn push_job(&mut self, scope: CompanyScope, job: Job, due_at: Option<DateTime<Utc>>) -> Result<()> {
        let envelope =
            JobEnvelope { v: ENVELOPE_VERSION, company_id: scope.company_id(), trace: trace::current(), job };
        let body = serde_json::to_string(&envelope).map_err(internal)?;
        self.push(scope, NewRow { destination: Destination::Queue, body, due_at });
        Ok(())
    }

    /// Adds an event.
    ///
    /// # Errors
    /// When the event cannot be serialised, which is a defect.
    pub fn event(&mut self, scope: CompanyScope, event: Event) -> Result<()> {
        let envelope = EventEnvelope {
            v: ENVELOPE_VERSION,
            company_id: scope.company_id(),
            trace: trace::current(),
            event,
        };
        let body = serde_json::to_string(&envelope).map_err(internal)?;
        self.push(scope, NewRow { destination: Destination::Bus, body, due_at: None });
        Ok(())
    }

    fn push(&mut self, scope: CompanyScope, row: NewRow) {
        self.companies.push(scope.company_id());
        self.rows.push(row);
    }
}

/// Commits `tx` with everything in `outgoing`, then hands that over.
///
/// Once this returns `Ok`, the data is durable and the jobs will run, whatever happens to this process.
///
/// # Errors
/// Database errors before or at the commit. A failed hand-over is none: the relay repeats it.
pub async fn commit(app: &App, mut tx: TenantTx, outgoing: Outgoing) -> Result<()> {
    let scope = CompanyScope::assert_verified(tx.company_id());
    if outgoing.rows.is_empty() {
        return Ok(tx.commit().await?);
    }
    let claimed_until = app.clock.now() + CLAIM;
    let ids = db::outbox::insert(&mut tx, &outgoing.rows, claimed_until).await?;
    tx.commit().await?;

    let waiting: Vec<_> = ids.into_iter().zip(outgoing.rows).map(|(id, row)| Waiting { id, row }).collect();
    let gone = hand_over(app, waiting).await;
    if let Err(error) = forget(app, scope, &gone).await {
        tracing::warn!(error = error.chain(), "handed-over outbox rows stay until the relay repeats them");
    }
    Ok(())
}

/// As [`commit`], for what a schedule does to several companies at once.
///
/// # Errors
/// As [`commit`].
pub async fn commit_system(app: &App, mut tx: SystemTx, outgoing: Outgoing) -> Result<()> {
    let Outgoing { companies, rows } = outgoing;
    let claimed_until = app.clock.now() + CLAIM;
    let ids = db::outbox::insert_for(&mut tx, &companies, &rows, claimed_until).await?;
    tx.commit().await?;

    let gone = hand_over(app, ids.into_iter().zip(rows).map(|(id, row)| Waiting { id, row }).collect()).await;
    if let Err(error) = forget_relayed(app, &gone).await {
        tracing::warn!(error = error.chain(), "handed-over outbox rows stay until the relay repeats them");
    }
    Ok(())
}

async fn forget_relayed(app: &App, ids: &[i64]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut tx = app.system_db().await?.begin_system().await?;
    db::outbox::delete_relayed(&mut tx, ids).await?;
    Ok(tx.commit().await?)
}

async fn forget(app: &App, scope: CompanyScope, ids: &[i64]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut tx = app.db().await?.begin_relaxed(scope).await?;
    db::outbox::delete_handed_over(&mut tx, ids).await?;
    Ok(tx.commit().await?)
}

/// Hands over what other processes left behind, until nothing is left or `deadline` is near; how many rows went.
///
/// # Errors
/// Database errors; what was claimed comes again when the claim runs out.
pub async fn relay(app: &App, deadline: DateTime<Utc>) -> Result<usize> {
    let mut moved = 0;
    while app.clock.now() + ONE_BATCH < deadline {
        let now = app.clock.now();
        let mut tx = app.system_db().await?.begin_system().await?;
        let rows = db::outbox::claim_overdue(&mut tx, now, now + CLAIM, RELAY_BATCH).await?;
        tx.commit().await?;
        if rows.is_empty() {
            break;
        }
        for row in rows.iter().filter(|row| row.attempts >= ALARMING_ATTEMPTS) {
            tracing::error!(outbox.id = row.id, attempts = row.attempts, "outbox row does not leave");
        }
        let waiting = rows.into_iter().map(|row| Waiting { id: row.id, row: row.row }).collect();
        let gone = hand_over(app, waiting).await;
        // What could not leave is claimed for a while, so that it does not stand in the way of the rest.
        forget_relayed(app, &gone).await?;
        moved += gone.len();
    }
    Ok(moved)
}

/// After so many tries somebody should look: a queue or the bus refuses the row, or no release reads it any more.
const ALARMING_ATTEMPTS: i32 = 10;

struct Waiting {
    id: i64,
    row: NewRow,
}

/// Sends rows to their queues and to the bus; the ids of those that left.
async fn hand_over(app: &App, rows: Vec<Waiting>) -> Vec<i64> {
    let now = app.clock.now();
    let mut jobs: HashMap<Queue, (Vec<i64>, Vec<QueueMessage>)> = HashMap::new();
    let mut events: (Vec<i64>, Vec<BusEvent>) = Default::default();
    for row in rows {
        match row.row.destination {
            Destination::Queue => match serde_json::from_str::<JobEnvelope>(&row.row.body) {
                Ok(envelope) => {
                    let (ids, messages) = jobs.entry(envelope.job.queue()).or_default();
                    ids.push(row.id);
                    messages.push(queue_message(row, &envelope, now));
                }
                Err(error) => tracing::error!(outbox.id = row.id, %error, "outbox row cannot be read"),
            },
            Destination::Bus => match serde_json::from_str::<EventEnvelope>(&row.row.body) {
                Ok(envelope) => {
                    events.0.push(row.id);
                    events.1.push(BusEvent {
                        detail_type: envelope.event.name().to_owned(),
                        detail: row.row.body,
                        company_id: envelope.company_id,
                    });
                }
                Err(error) => tracing::error!(outbox.id = row.id, %error, "outbox row cannot be read"),
            },
        }
    }
    let queues = jobs.into_iter().map(async |(queue, (ids, messages))| {
        let outcome = app.queues.send_each(queue_url(app, queue), messages).await;
        gone(ids, outcome.map_err(anyhow::Error::from))
    });
    let (mut all, published) = futures::join!(futures::future::join_all(queues), async {
        if events.0.is_empty() {
            return Vec::new();
        }
        let outcome = app.bus.publish(&app.settings.event_bus, events.1).await;
        gone(events.0, outcome.map_err(anyhow::Error::from))
    });
    all.push(published);
    all.into_iter().flatten().collect()
}

fn gone<E: std::fmt::Display>(
    ids: Vec<i64>,
    outcome: anyhow::Result<Vec<std::result::Result<(), E>>>,
) -> Vec<i64> {
    match outcome {
        Ok(outcomes) => ids
            .into_iter()
            .zip(outcomes)
            .filter_map(|(id, outcome)| match outcome {
                Ok(()) => Some(id),
                Err(error) => {
                    tracing::warn!(outbox.id = id, %error, "outbox row stays for the relay");
                    None
                }
            })
            .collect(),
        Err(error) => {
            tracing::warn!(rows = ids.len(), error = format!("{error:#}"), "outbox rows stay for the relay");
            Vec::new()
        }
    }
}

fn queue_message(row: Waiting, envelope: &JobEnvelope, now: DateTime<Utc>) -> QueueMessage {
    let group = envelope.job.group(envelope.company_id);
    let delay = row.row.due_at.map_or(Duration::ZERO, |due_at| {
        (due_at - now).clamp(TimeDelta::zero(), LONGEST_DELAY).to_std().unwrap_or_default()
    });
    QueueMessage {
        // The row's id is one per job: a relay that repeats a hand-over within five minutes is no repetition at all.
        deduplication: group.is_some().then(|| format!("outbox-{}", row.id)),
        group,
        delay,
        body: row.row.body,
        attributes: Vec::new(),
    }
}

fn queue_url(app: &App, queue: Queue) -> &str {
    match queue {
        Queue::Inbound => &app.settings.inbound_queue_url,
        Queue::Outbound => &app.settings.outbound_queue_url,
        Queue::Turns => &app.settings.turns_queue_url,
        Queue::AiReply => &app.settings.ai_reply_queue_url,
        Queue::Mail => &app.settings.mail_queue_url,
        Queue::Media => &app.settings.media_queue_url,
        Queue::Erasures => &app.settings.erasures_queue_url,
        Queue::Imports => &app.settings.imports_queue_url,
        Queue::Connections => &app.settings.connections_queue_url,
    }
}
