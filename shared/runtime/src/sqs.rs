//! The queue edge: what a failure means for a message, written once.
//!
//! Work that may succeed later is reported as failed, with a pause, and comes again. Work that can never succeed goes to
//! the dead-letter queue at once, with its reason. Records of one FIFO group run one after the other, and after a
//! failure the rest of the group waits too.

use std::collections::HashSet;
use std::time::Duration;

use app::{App, Error, trace};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::job::{ENVELOPE_VERSION, Job, JobEnvelope};
use domain::{CompanyId, CompanyScope};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::Instrument as _;

/// After so many receptions, work that a provider makes fail is given up. Work that our own parts make fail never is.
const GIVE_UP_AFTER: u32 = 10;

/// How long work waits that a newer release of ours asked for: until this function is of that release too.
const NEWER_RELEASE_PAUSE: Duration = Duration::from_secs(30);

/// How often SQS itself brings a message before it takes it for one that kills its consumer; `template.yaml` has the
/// same number for all queues but `push`, where what is late is worth nothing.
pub const MAX_RECEIVE_COUNT: u32 = 1000;

/// No job begins later than so long after its batch: what it does may take more than half of its function's time, and a
/// function that is stopped within it leaves what nobody can tell the end of.
const BEGINS_WITHIN: Duration = Duration::from_secs(25);

/// The longest pause before a message comes again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Does the jobs of a batch, one after the other. `handle` is told how often the job was received, this time included.
pub async fn for_each_job<H>(app: &App, event: SqsEvent, handle: H) -> SqsBatchResponse
where
    H: AsyncFn(CompanyScope, Job, u32) -> Result<(), Error>,
{
    let mut batch = Batch::new(app);
    let begun = Instant::now();
    for record in &event.records {
        if begun.elapsed() > BEGINS_WITHIN {
            batch.postpone(record, Duration::ZERO).await;
            continue;
        }
        if batch.is_blocked(record) {
            batch.postpone(record, pause(attempt(record))).await;
            continue;
        }
        let outcome = match decode::<JobEnvelope>(record.body.as_deref().unwrap_or_default()) {
            Ok(envelope) => {
                let scope = CompanyScope::assert_verified(envelope.company_id);
                let span = tracing::info_span!(
                    "consumer.job.handle",
                    company.id = %envelope.company_id,
                    trace.parent = envelope.trace
                );
                let work = handle(scope, envelope.job, attempt(record)).instrument(span);
                trace::within(envelope.trace, work).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            batch.fail(record, &error).await;
        }
    }
    batch.response
}

/// Hands a batch to `handle` company by company: all of a company's messages at once, which is many times faster than
/// one by one. When one of them can never be processed, they are tried alone to find out which.
pub async fn for_each_company<M, D, H>(app: &App, event: SqsEvent, decode: D, handle: H) -> SqsBatchResponse
where
    D: Fn(&str) -> Result<(CompanyId, M), Error>,
    H: AsyncFn(CompanyScope, &[M]) -> Result<(), Error>,
{
    let mut batch = Batch::new(app);
    let mut companies: Vec<(CompanyId, Vec<&SqsMessage>, Vec<M>)> = Vec::new();
    for record in &event.records {
        match decode(record.body.as_deref().unwrap_or_default()) {
            Ok((company_id, message)) => {
                let known = companies.iter_mut().find(|(known, ..)| *known == company_id);
                match known {
                    Some((_, records, messages)) => {
                        records.push(record);
                        messages.push(message);
                    }
                    None => companies.push((company_id, vec![record], vec![message])),
                }
            }
            Err(error) => batch.fail(record, &error).await,
        }
    }
    for (company_id, records, messages) in companies {
        let scope = CompanyScope::assert_verified(company_id);
        let context = crate::trace::fresh(app.clock.new_id());
        let span =
            tracing::info_span!("consumer.batch.handle", company.id = %company_id, trace.parent = context);
        let work = async {
            let Err(error) = handle(scope, &messages).await else { return };
            if error.retryable() || messages.len() == 1 {
                for record in records {
                    batch.fail(record, &error).await;
                }
                return;
            }
            for (record, message) in records.into_iter().zip(&messages) {
                if batch.is_blocked(record) {
                    batch.postpone(record, pause(attempt(record))).await;
                } else if let Err(error) = handle(scope, std::slice::from_ref(message)).await {
                    batch.fail(record, &error).await;
                }
            }
        };
        trace::within(Some(context.clone()), work.instrument(span)).await;
    }
    batch.response
}

/// Reads a message's body.
///
/// # Errors
/// `RetryLater` for a form that only a newer release knows, which this function will be of soon; `Malformed` for what
/// nothing will make readable.
pub fn decode<M: DeserializeOwned>(body: &str) -> Result<M, Error> {
    serde_json::from_str(body).map_err(|error| match is_of_a_newer_release(body, &error) {
        true => Error::RetryLater { after: NEWER_RELEASE_PAUSE, source: error.into() },
        false => Error::Malformed(error.to_string()),
    })
}

/// Every envelope begins with its version; a new kind of job or event keeps it.
fn is_of_a_newer_release(body: &str, error: &serde_json::Error) -> bool {
    #[derive(serde::Deserialize)]
    struct Versioned {
        v: u32,
    }
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Any {
        Envelope(Versioned),
        OnTheBus { detail: Versioned },
    }
    let version = match serde_json::from_str(body) {
        Ok(Any::Envelope(Versioned { v }) | Any::OnTheBus { detail: Versioned { v } }) => v,
        Err(_) => return false,
    };
    version > ENVELOPE_VERSION || error.to_string().starts_with("unknown variant")
}

struct Batch<'a> {
    app: &'a App,
    response: SqsBatchResponse,
    blocked_groups: HashSet<String>,
}

impl<'a> Batch<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, response: SqsBatchResponse::default(), blocked_groups: HashSet::new() }
    }

    fn is_blocked(&self, record: &SqsMessage) -> bool {
        group(record).is_some_and(|group| self.blocked_groups.contains(group))
    }

    async fn fail(&mut self, record: &SqsMessage, error: &Error) {
        let message_id = record.message_id.as_deref().unwrap_or_default();
        let attempt = attempt(record);
        let given_up = match error {
            // Who asks for patience counts for himself when it ends: a record that waits behind another one of its
            // group is received without being tried.
            Error::Provider { .. } => attempt >= GIVE_UP_AFTER,
            _ => false,
        };
        if (given_up || !error.retryable()) && self.park(record, error).await {
            tracing::error!(
                message.id = message_id,
                error = error.chain(),
                "message parked in the dead-letter queue"
            );
            return;
        }
        tracing::warn!(message.id = message_id, attempt, error = error.chain(), "message comes again later");
        if let Some(group) = group(record) {
            self.blocked_groups.insert(group.to_owned());
        }
        let asked = match error {
            Error::RetryLater { after, .. } => *after,
            _ => Duration::ZERO,
        };
        self.postpone(record, asked.max(pause(attempt))).await;
    }

    /// Reports a record as failed and asks SQS to bring it after `pause`.
    async fn postpone(&mut self, record: &SqsMessage, pause: Duration) {
        self.response.add_failure(record.message_id.clone().unwrap_or_default());
        let (Some(queue_url), Some(receipt)) = (self.queue_url(record), &record.receipt_handle) else {
            return;
        };
        if let Err(error) = self.app.queues.change_visibility(&queue_url, receipt, pause).await {
            // Then it comes after the queue's own visibility timeout.
            tracing::warn!(%error, "pause not set");
        }
    }

    async fn park(&self, record: &SqsMessage, error: &Error) -> bool {
        let body = record.body.as_deref().unwrap_or_default();
        let group = group(record);
        let dead_letters = &self.app.settings.dead_letter_queue_url;
        let now = self.app.clock.now();
        match self.app.queues.park(dead_letters, body, group, error.code(), &error.chain(), now).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "message could not be parked");
                false
            }
        }
    }

    /// The queue that a record came from: the one of ours whose URL ends in the name that its ARN ends in.
    fn queue_url(&self, record: &SqsMessage) -> Option<String> {
        let arn = record.event_source_arn.as_deref()?;
        let name = arn.rsplit(':').next()?;
        let dead_letters = &self.app.settings.dead_letter_queue_url;
        let (base, _) = dead_letters.rsplit_once('/')?;
        Some(format!("{base}/{name}"))
    }
}

fn group(record: &SqsMessage) -> Option<&str> {
    record.attributes.get("MessageGroupId").map(String::as_str)
}

/// How often a record was received, this time included.
fn attempt(record: &SqsMessage) -> u32 {
    record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn pause(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.saturating_sub(1).min(6)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_release_says_waits_and_what_nobody_says_does_not() {
        let company = "00000000-0000-0000-0000-000000000000";
        let job = |v: u32, job: &str| {
            decode::<JobEnvelope>(&format!(r#"{{"v":{v},"company_id":"{company}","job":{job}}}"#))
        };
        assert!(matches!(job(1, r#"{"type":"fly_to_the_moon"}"#), Err(Error::RetryLater { .. })));
        assert!(matches!(job(2, r#"{"kind":"another form"}"#), Err(Error::RetryLater { .. })));
        assert!(matches!(job(1, r#"{"type":"close_turn"}"#), Err(Error::Malformed(_))));
        assert!(matches!(decode::<JobEnvelope>("{"), Err(Error::Malformed(_))));
    }
}
