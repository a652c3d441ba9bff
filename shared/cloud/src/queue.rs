//! SQS: many messages in few requests, in order, and what could not be processed aside with its reason.
//!
//! Room: [`express`] the same request without the SDK's orchestration.

pub(crate) mod express;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};
use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};

use crate::aws::Aws;
use crate::batch::{self, Entry, EntryFault, Failure, Limits};
use crate::error::{AwsError, is_later};

/// What one message, and one request, may weigh: bodies and attributes together.
///
/// SQS has taken a mebibyte since 2025; EventBridge, the emulators and queues with an explicit
/// `MaximumMessageSize` have not. What is larger goes to the overflow bucket anyway.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Messages of one request.
const MAX_ENTRIES: usize = 10;
/// The longest delay of a message, and what SQS calls fifteen minutes.
const MAX_DELAY: Duration = Duration::from_secs(900);
/// The longest a message can be kept from other consumers.
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);
/// SQS takes no more attributes on a message.
const MAX_ATTRIBUTES: usize = 10;
/// Length of a group id or a deduplication id.
const MAX_ID_CHARS: usize = 128;
/// Length of the reason on a parked message.
const MAX_REASON_BYTES: usize = 1024;
/// The type that every attribute of ours has.
const ATTRIBUTE_TYPE: &str = "String";

/// One message to send.
#[derive(Clone, Default)]
pub struct QueueMessage {
    /// JSON text. U+FFFE and U+FFFF, which SQS refuses, are sent as their JSON escapes.
    pub body: String,
    /// Messages of one group are received in the order they were sent. Required on a FIFO queue; on a standard queue
    /// it only spreads the load fairly between groups. Any text: what SQS would refuse is hashed.
    pub group: Option<String>,
    /// A FIFO queue drops a second message with the same one within five minutes. Any text, as above; ignored by
    /// standard queues. `None` on a FIFO queue means that the queue deduplicates by content.
    pub deduplication: Option<String>,
    /// How long nobody receives it. Rounded up to whole seconds, at most 900; standard queues only.
    pub delay: Duration,
    /// Name and value; at most ten. An empty value is left out, since SQS refuses it.
    pub attributes: Vec<(String, String)>,
}

impl QueueMessage {
    /// A message with a body and nothing else.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// Sets the group.
    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Sets the deduplication id.
    #[must_use]
    pub fn deduplication(self, id: impl Into<String>) -> Self {
        Self { deduplication: Some(id.into()), ..self }
    }

    /// Sets the delay.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// What SQS counts against [`MAX_MESSAGE_BYTES`].
    pub fn wire_bytes(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, value)| name.len() + ATTRIBUTE_TYPE.len() + value.len());
        legal_body(&self.body).len() + attributes.sum::<usize>()
    }

    /// What it weighs, when the queue takes it.
    fn check(&self, fifo: bool) -> Result<usize, QueueError> {
        let bytes = self.wire_bytes();
        if bytes > MAX_MESSAGE_BYTES {
            return Err(QueueError::TooLarge { bytes });
        }
        if self.delay > MAX_DELAY || (fifo && !self.delay.is_zero()) {
            return Err(QueueError::Delay);
        }
        if fifo && self.group.is_none() {
            return Err(QueueError::MissingGroup);
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(QueueError::TooManyAttributes);
        }
        Ok(bytes)
    }
}

/// Bodies are people's messages: only their size is printed.
impl fmt::Debug for QueueMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueMessage").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Why a message is not on its queue.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The request failed: the queue is unreachable, missing or forbidden.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// SQS answered for this message alone that it will never take it.
    #[error("the queue refused the message with {code}: {message}")]
    Refused {
        /// SQS's code.
        code: String,
        /// SQS's words.
        message: String,
    },
    /// SQS answered for this message alone that it could not take it, several times.
    #[error("the queue failed on the message with {code}")]
    Failed {
        /// SQS's code.
        code: String,
    },
    /// An earlier message of its group is not on the queue, and this one must not overtake it.
    #[error("an earlier message of the same group was not sent")]
    Behind,
    /// Over [`MAX_MESSAGE_BYTES`].
    #[error("the message weighs {bytes} bytes, over the limit of a queue")]
    TooLarge {
        /// What it weighs.
        bytes: usize,
    },
    /// Over 15 minutes, or any at all on a FIFO queue; or a visibility over 12 hours.
    #[error("the queue cannot delay a message for so long")]
    Delay,
    /// Every message of a FIFO queue needs a group.
    #[error("a message for a FIFO queue has no group")]
    MissingGroup,
    /// More than ten.
    #[error("the message has more attributes than a queue takes")]
    TooManyAttributes,
    /// Part of a batch did not arrive.
    #[error("{failed} of {total} messages were not sent")]
    Incomplete {
        /// How many are not on the queue.
        failed: usize,
        /// How many there were.
        total: usize,
        /// What became of the first of them, in the order in which they were given.
        #[source]
        first: Box<QueueError>,
        /// Whether every one of them may be sent later.
        retryable: bool,
    },
}

impl QueueError {
    /// Whether the same message may be taken later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Aws(error) => error.retryable(),
            Self::Failed { .. } | Self::Behind => true,
            Self::Incomplete { retryable, .. } => *retryable,
            Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Delay
            | Self::MissingGroup
            | Self::TooManyAttributes => false,
        }
    }
}

impl From<Failure> for QueueError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Request(error) => Self::Aws(error),
            Failure::Entry(EntryFault { code, message, permanent: true }) => Self::Refused { code, message },
            Failure::Entry(EntryFault { code, permanent: false, .. }) => Self::Failed { code },
            Failure::Behind => Self::Behind,
        }
    }
}

/// How full a queue is, approximately, as SQS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAttributes {
    /// Messages that a consumer could receive now.
    pub waiting: u64,
    /// Messages that a consumer has received and not yet deleted.
    pub in_flight: u64,
    /// Messages whose delay has not passed.
    pub delayed: u64,
}

/// The queues. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queues {
    aws: Aws,
}

impl Queues {
    /// Queues of this account; connects at the first send.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// Sends any number of messages; `Ok` means that all of them are durable.
    ///
    /// Messages of one group keep their order between requests, and after one that may still arrive later none of its
    /// group is sent. (Inside one request the order is SQS's promise; when SQS itself fails on one of ten entries,
    /// the nine others of that request are there before it.) Delivery is at least once: an answer that got lost
    /// leaves a message that is sent again, which a FIFO queue recognises by its deduplication id.
    ///
    /// # Errors
    /// [`QueueError::Incomplete`] tells how many messages did not arrive.
    pub async fn send_batch(&self, queue_url: &str, messages: Vec<QueueMessage>) -> Result<(), QueueError> {
        let outcomes = self.deliver(queue_url, &messages).await;
        let total = outcomes.len();
        let mut faults = outcomes.into_iter().filter_map(Result::err).peekable();
        let Some(first) = faults.peek().cloned() else { return Ok(()) };
        let (failed, retryable) = faults.fold((0, true), |(n, all), fault| (n + 1, all && fault.retryable()));
        Err(QueueError::Incomplete { failed, total, first: Box::new(first), retryable })
    }

    /// Sends as [`send_batch`](Self::send_batch) does and tells the outcome of each message, in their order.
    ///
    /// # Errors
    /// When no request reached the queue at all, so that there is nothing to tell apart.
    pub async fn send_each(
        &self,
        queue_url: &str,
        messages: Vec<QueueMessage>,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let outcomes = self.deliver(queue_url, &messages).await;
        match outcomes.first() {
            Some(Err(error @ QueueError::Aws(_)))
                if outcomes.iter().all(|outcome| matches!(outcome, Err(QueueError::Aws(_)))) =>
            {
                Err(error.clone())
            }
            _ => Ok(outcomes),
        }
    }

    /// Puts on a dead-letter queue what can never be processed, with the attributes `reason_code`, `reason` (cut to
    /// 1 KB) and `parked_at`. Parking the same body again within five minutes changes nothing on a FIFO queue.
    ///
    /// # Errors
    /// As [`send_batch`](Self::send_batch), for the one message.
    pub async fn park(
        &self,
        dead_letter_url: &str,
        body: &str,
        group: Option<&str>,
        reason_code: &str,
        reason: &str,
        parked_at: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let parked_at = parked_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut message = QueueMessage::new(body)
            // With the time: what is brought back and fails again within five minutes is to be parked again.
            .deduplication(hex::encode(Sha256::digest(format!("{parked_at} {body}"))))
            .attribute("reason_code", legal_value(reason_code, MAX_REASON_BYTES))
            .attribute("parked_at", parked_at);
        message.group = group.map(str::to_owned).or(is_fifo(dead_letter_url).then(|| "parked".to_owned()));
        // The body came from a queue and may fill the limit: then the reason gives way.
        let spare =
            MAX_MESSAGE_BYTES.saturating_sub(message.wire_bytes() + "reason".len() + ATTRIBUTE_TYPE.len());
        let message = message.attribute("reason", legal_value(reason, spare.min(MAX_REASON_BYTES)));
        let mut outcomes = self.deliver(dead_letter_url, &[message]).await;
        outcomes.pop().unwrap_or(Ok(()))
    }

    /// Hides a received message from other consumers for so long from now on; zero gives it back at once. Whole
    /// seconds, rounded up, at most 12 hours.
    ///
    /// # Errors
    /// When the receipt handle is no longer valid, or the request fails.
    pub async fn change_visibility(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        if visibility > MAX_VISIBILITY {
            return Err(QueueError::Delay);
        }
        let request = self.aws.sqs().await.change_message_visibility().queue_url(queue_url);
        let request = request.receipt_handle(receipt_handle).visibility_timeout(whole_seconds(visibility));
        let answer = request.send().await;
        answer.map_err(|error| AwsError::from_sdk("sqs.ChangeMessageVisibility", error))?;
        Ok(())
    }

    /// How full the queue is; also the cheapest proof that it can be reached.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn attributes(&self, queue_url: &str) -> Result<QueueAttributes, QueueError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Waiting, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let request = self.aws.sqs().await.get_queue_attributes().queue_url(queue_url);
        let request = request.attribute_names(Waiting).attribute_names(InFlight).attribute_names(Delayed);
        let answer = request.send().await;
        let answer = answer.map_err(|error| AwsError::from_sdk("sqs.GetQueueAttributes", error))?;
        let number = |name: QueueAttributeName| {
            let text = answer.attributes().and_then(|attributes| attributes.get(&name));
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Ok(QueueAttributes {
            waiting: number(Waiting),
            in_flight: number(InFlight),
            delayed: number(Delayed),
        })
    }

    async fn deliver(&self, queue_url: &str, messages: &[QueueMessage]) -> Vec<Result<(), QueueError>> {
        let fifo = is_fifo(queue_url);
        let checks: Vec<_> = messages.iter().map(|message| message.check(fifo)).collect();
        let (good, entries): (Vec<_>, Vec<_>) = messages
            .iter()
            .zip(&checks)
            .filter_map(|(message, check)| {
                let bytes = *check.as_ref().ok()?;
                // Order is a promise of FIFO queues alone; elsewhere it would only cost time.
                Some((message, Entry { group: message.group.as_deref().filter(|_| fifo), bytes }))
            })
            .unzip();
        let lanes = batch::plan(&entries, &Limits { entries: MAX_ENTRIES, bytes: MAX_MESSAGE_BYTES });
        let (aws, good) = (&self.aws, &good);
        let send = |indices: Vec<usize>| async move { request(aws, queue_url, good, &indices).await };
        let mut sent = batch::deliver(&entries, lanes, send).await.into_iter();
        // Every message that passed its check was sent, in the same order.
        let outcome = |check: Result<usize, QueueError>| match check {
            Ok(_) => sent.next().unwrap_or(Err(Failure::Behind)).map_err(QueueError::from),
            Err(error) => Err(error),
        };
        checks.into_iter().map(outcome).collect()
    }
}

/// One `SendMessageBatch`; answers for `indices` in their order.
async fn request(
    aws: &Aws,
    queue_url: &str,
    messages: &[&QueueMessage],
    indices: &[usize],
) -> Result<Vec<Result<(), EntryFault>>, AwsError> {
    if let Some(express) = aws.express().await
        && let Some(outcomes) = express.send(queue_url, messages, indices).await
    {
        return Ok(outcomes);
    }
    // Apart: it is rarely asked, and its future is a hundred kilobytes that every send would carry.
    Box::pin(request_by_sdk(aws, queue_url, messages, indices)).await
}

/// The same by the SDK, with its retries.
async fn request_by_sdk(
    aws: &Aws,
    queue_url: &str,
    messages: &[&QueueMessage],
    indices: &[usize],
) -> Result<Vec<Result<(), EntryFault>>, AwsError> {
    let entries = indices
        .iter()
        .enumerate()
        .map(|(id, &index)| wire_entry(id, messages[index], is_fifo(queue_url)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| AwsError::unbuilt("sqs.SendMessageBatch", error))?;
    let client = aws.sqs().await;
    let answer = client.send_message_batch().queue_url(queue_url).set_entries(Some(entries)).send().await;
    let answer = answer.map_err(|error| AwsError::from_sdk("sqs.SendMessageBatch", error))?;
    let confirmed = answer.successful().iter().map(|entry| (entry.id(), Ok(())));
    let refused = answer.failed().iter().map(|entry| {
        let message = entry.message().unwrap_or_default();
        (entry.id(), Err(fault(entry.code(), message, entry.sender_fault())))
    });
    Ok(outcomes(indices.len(), confirmed.chain(refused)))
}

/// What became of each of so many entries. Only what SQS confirms is durable: an entry that it does not mention counts
/// as failed.
fn outcomes<'a>(
    sent: usize,
    mentioned: impl Iterator<Item = (&'a str, Result<(), EntryFault>)>,
) -> Vec<Result<(), EntryFault>> {
    let unmentioned = EntryFault { code: "Unmentioned".to_owned(), message: String::new(), permanent: false };
    let mut outcomes = vec![Err(unmentioned); sent];
    for (id, told) in mentioned {
        if let Some(outcome) = id.parse().ok().and_then(|id: usize| outcomes.get_mut(id)) {
            *outcome = told;
        }
    }
    outcomes
}

fn fault(code: &str, message: &str, sender_fault: bool) -> EntryFault {
    EntryFault {
        code: code.to_owned(),
        message: message.to_owned(),
        // SQS blames the sender for being throttled, too.
        permanent: sender_fault && !is_later(Some(code), None),
    }
}

fn wire_entry(
    id: usize,
    message: &QueueMessage,
    fifo: bool,
) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(id.to_string())
        .message_body(legal_body(&message.body))
        .set_message_group_id(message.group.as_deref().map(|group| legal_id(group).into_owned()))
        .set_message_deduplication_id(
            message.deduplication.as_deref().filter(|_| fifo).map(|id| legal_id(id).into_owned()),
        );
    if !message.delay.is_zero() {
        entry = entry.delay_seconds(whole_seconds(message.delay));
    }
    for (name, value) in message.attributes.iter().filter(|(_, value)| !value.is_empty()) {
        let value = MessageAttributeValue::builder().data_type(ATTRIBUTE_TYPE).string_value(value).build();
        entry = entry.message_attributes(name, value?);
    }
    entry.build()
}

fn is_fifo(queue_url: &str) -> bool {
    queue_url.ends_with(".fifo")
}

fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// A group or deduplication id as SQS takes it: up to 128 visible ASCII characters, or else the hex SHA-256.
fn legal_id(id: &str) -> Cow<'_, str> {
    let legal = (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if legal { Cow::Borrowed(id) } else { Cow::Owned(hex::encode(Sha256::digest(id))) }
}

/// SQS refuses two characters that JSON allows and that a customer can type. Inside a JSON text they can only stand
/// in a string, where the escape means the same.
fn legal_body(body: &str) -> Cow<'_, str> {
    // Both begin with this byte, which is rare: most bodies are looked through once, and fast.
    let may_hold = body.as_bytes().contains(&0xef);
    if may_hold && body.contains(['\u{fffe}', '\u{ffff}']) {
        Cow::Owned(body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
    } else {
        Cow::Borrowed(body)
    }
}

/// An attribute's value without what SQS refuses, cut to so many bytes at a character's end.
fn legal_value(value: &str, max_bytes: usize) -> String {
    let refused = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let mut value = value.replace(refused, "\u{fffd}");
    value.truncate(value.floor_char_boundary(max_bytes));
    value
}

#[cfg(test)]
mod tests;
