//! EventBridge: domain events for whoever listens.

use std::fmt;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::CompanyId;

use crate::aws::Aws;
use crate::batch::{self, Entry, EntryFault, Failure, Limits};
use crate::error::{AwsError, is_later};

/// The source of every event of ours, which the rules match.
pub const SOURCE: &str = "master-ia";

/// What one event, and one request, may weigh.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// Events of one request.
const MAX_ENTRIES: usize = 10;

/// One event to publish.
#[derive(Clone)]
pub struct BusEvent {
    /// The event's stable name (`message.created`).
    pub detail_type: String,
    /// A JSON object: the event's envelope.
    pub detail: String,
    /// Whose event it is; stands in `resources` as `company/<id>`, so that a rule can pick one company's.
    pub company_id: CompanyId,
}

impl BusEvent {
    fn resource(&self) -> String {
        format!("company/{}", self.company_id)
    }

    fn wire_bytes(&self) -> usize {
        SOURCE.len() + self.detail_type.len() + self.detail.len() + self.resource().len()
    }
}

/// Details are business data: only their size is printed.
impl fmt::Debug for BusEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusEvent")
            .field("detail_type", &self.detail_type)
            .field("company_id", &self.company_id)
            .field("detail_bytes", &self.detail.len())
            .finish()
    }
}

/// Why an event is not on the bus.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    /// The request failed: the bus is unreachable or forbidden.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// EventBridge answered for this event alone that it will never take it.
    #[error("the bus refused the event with {code}: {message}")]
    Refused {
        /// EventBridge's code.
        code: String,
        /// EventBridge's words.
        message: String,
    },
    /// EventBridge answered for this event alone that it could not take it, several times.
    #[error("the bus failed on the event with {code}")]
    Failed {
        /// EventBridge's code.
        code: String,
    },
    /// Over [`MAX_EVENT_BYTES`].
    #[error("the event weighs {bytes} bytes, over the limit of a bus")]
    TooLarge {
        /// What it weighs.
        bytes: usize,
    },
}

impl BusError {
    /// Whether the same event may be taken later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Aws(error) => error.retryable(),
            Self::Failed { .. } => true,
            Self::Refused { .. } | Self::TooLarge { .. } => false,
        }
    }
}

impl From<Failure> for BusError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Request(error) => Self::Aws(error),
            Failure::Entry(EntryFault { code, message, permanent: true }) => Self::Refused { code, message },
            Failure::Entry(EntryFault { code, permanent: false, .. }) => Self::Failed { code },
            // A bus has no groups and so never says this; "later" is true all the same.
            Failure::Behind => Self::Failed { code: "Behind".to_owned() },
        }
    }
}

/// The event bus. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    aws: Aws,
}

impl Bus {
    /// Buses of this account; connects at the first publish.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// Publishes any number of events to the bus of this name or ARN and tells the outcome of each, in their order.
    /// At least once, and in no order: listeners compare versions.
    ///
    /// # Errors
    /// When no request reached the bus at all, so that there is nothing to tell apart.
    pub async fn publish(
        &self,
        bus: &str,
        events: Vec<BusEvent>,
    ) -> Result<Vec<Result<(), BusError>>, BusError> {
        let mut outcomes: Vec<Result<(), BusError>> = events.iter().map(check).collect();
        let good: Vec<_> =
            events.iter().zip(&outcomes).filter(|(_, check)| check.is_ok()).map(|(event, _)| event).collect();
        if good.is_empty() {
            return Ok(outcomes);
        }
        let entries: Vec<_> =
            good.iter().map(|event| Entry { group: None, bytes: event.wire_bytes() }).collect();
        let lanes = batch::plan(&entries, &Limits { entries: MAX_ENTRIES, bytes: MAX_EVENT_BYTES });
        let client = self.aws.eventbridge().await;
        let good = &good;
        let send = |indices: Vec<usize>| async move { request(client, bus, good, &indices).await };
        let mut sent = batch::deliver(&entries, lanes, send).await.into_iter();
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
            if let Some(sent) = sent.next() {
                *outcome = sent.map_err(BusError::from);
            }
        }
        match outcomes.first() {
            Some(Err(error @ BusError::Aws(_)))
                if outcomes.iter().all(|outcome| matches!(outcome, Err(BusError::Aws(_)))) =>
            {
                Err(error.clone())
            }
            _ => Ok(outcomes),
        }
    }
}

fn check(event: &BusEvent) -> Result<(), BusError> {
    match event.wire_bytes() {
        bytes if bytes > MAX_EVENT_BYTES => Err(BusError::TooLarge { bytes }),
        _ => Ok(()),
    }
}

/// One `PutEvents`, whose answer has the order of its request.
async fn request(
    client: &aws_sdk_eventbridge::Client,
    bus: &str,
    events: &[&BusEvent],
    indices: &[usize],
) -> Result<Vec<Result<(), EntryFault>>, AwsError> {
    let entries = indices.iter().map(|&index| events[index]).map(|event| {
        PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(SOURCE)
            .detail_type(&event.detail_type)
            .detail(&event.detail)
            .resources(event.resource())
            .build()
    });
    let answer = client.put_events().set_entries(Some(entries.collect())).send().await;
    let answer = answer.map_err(|error| AwsError::from_sdk("eventbridge.PutEvents", error))?;
    let mut outcomes: Vec<_> = answer
        .entries()
        .iter()
        .map(|entry| match (entry.event_id(), entry.error_code()) {
            (Some(_), None) => Ok(()),
            (_, code) => Err(fault(code.unwrap_or("Unmentioned"), entry.error_message())),
        })
        .collect();
    outcomes.resize(indices.len(), Err(fault("Unmentioned", None)));
    Ok(outcomes)
}

fn fault(code: &str, message: Option<&str>) -> EntryFault {
    EntryFault {
        code: code.to_owned(),
        message: message.unwrap_or_default().to_owned(),
        permanent: code != "Unmentioned" && !is_later(Some(code), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(!fault("InternalFailure", None).permanent);
        assert!(!fault("ThrottlingException", None).permanent);
        assert!(!fault("Unmentioned", None).permanent);
        assert!(fault("MalformedDetail", Some("detail is malformed")).permanent);
        assert!(fault("NotAuthorizedForSourceException", None).permanent);
    }
}
