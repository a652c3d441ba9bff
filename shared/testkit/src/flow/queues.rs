//! Queues and a bus of a flow's own, made as the template's are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};
use domain::job::Queue;
use serde_json::{Value, json};

use crate::{Cloud, new_word};

/// Every queue, in the order in which a message travels.
pub(super) const ALL: [Queue; 9] = [
    Queue::Inbound,
    Queue::Turns,
    Queue::AiReply,
    Queue::Outbound,
    Queue::Mail,
    Queue::Media,
    Queue::Erasures,
    Queue::Imports,
    Queue::Connections,
];

/// What a queue of the flow has in common with the template's.
const COPIED: [QueueAttributeName; 4] = [
    QueueAttributeName::FifoQueue,
    QueueAttributeName::DeduplicationScope,
    QueueAttributeName::FifoThroughputLimit,
    QueueAttributeName::VisibilityTimeout,
];

/// A message that comes so often is one that no consumer ever takes.
const TOO_OFTEN: u32 = 300;

const REGION: &str = "us-east-1";

/// Output of the template's queue, and what its trigger hands over at most.
fn template(queue: Queue) -> (&'static str, i32) {
    match queue {
        Queue::Inbound => ("InboundQueueUrl", 10),
        Queue::Turns => ("TurnsQueueUrl", 10),
        Queue::AiReply => ("AiReplyQueueUrl", 1),
        Queue::Outbound => ("OutboundQueueUrl", 5),
        Queue::Mail => ("MailQueueUrl", 5),
        Queue::Media => ("MediaQueueUrl", 1),
        Queue::Erasures => ("ErasuresQueueUrl", 1),
        Queue::Imports => ("ImportsQueueUrl", 1),
        Queue::Connections => ("ConnectionsQueueUrl", 1),
    }
}

pub(super) struct Queues {
    sqs: aws_sdk_sqs::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    urls: HashMap<Queue, String>,
    /// Where the consumers of all queues park what is hopeless.
    pub(super) dead_letters: String,
    pub(super) bus: String,
    /// Everything on the bus.
    events: String,
    told: Mutex<Vec<Value>>,
}

/// A message whose hand-over to its queue is late.
#[derive(Clone, Debug)]
pub struct Withheld {
    group: Option<String>,
    body: String,
}

impl Withheld {
    /// Whether it names this id.
    pub(super) fn is_of(&self, id: &str) -> bool {
        self.body.contains(id)
    }
}

/// A batch that a consumer received.
pub(super) struct Delivery {
    queue_url: String,
    messages: Vec<Message>,
}

impl Queues {
    pub(super) async fn make(cloud: &Cloud) -> Self {
        let sqs = aws_sdk_sqs::Client::new(cloud.aws().config().await);
        let eventbridge = aws_sdk_eventbridge::Client::new(cloud.aws().config().await);
        let prefix = new_word("flow-");
        let mut urls = HashMap::new();
        for queue in ALL {
            let (output, _) = template(queue);
            urls.insert(queue, copy(&sqs, cloud.output(output), &prefix).await);
        }
        let dead_letters = copy(&sqs, cloud.output("InboundDeadQueueUrl"), &prefix).await;
        let events = copy(&sqs, cloud.output("PushQueueUrl"), &prefix).await;
        eventbridge.create_event_bus().name(&prefix).send().await.expect("a bus is made");
        let rule = eventbridge.put_rule().name("all").event_bus_name(&prefix);
        rule.event_pattern(r#"{"source":["master-ia"]}"#).send().await.expect("a rule is made");
        let target = Target::builder().id("events").arn(arn(&events)).build().expect("id and ARN are there");
        let targets = eventbridge.put_targets().rule("all").event_bus_name(&prefix).targets(target);
        targets.send().await.expect("the rule takes its target");
        Self { sqs, eventbridge, urls, dead_letters, bus: prefix, events, told: Mutex::default() }
    }

    pub(super) fn url(&self, queue: Queue) -> &str {
        &self.urls[&queue]
    }

    /// What a trigger would hand over now; `None` when nothing waits.
    pub(super) async fn receive(&self, queue: Queue) -> Option<Delivery> {
        let (_, largest_batch) = template(queue);
        let messages = self.take(self.url(queue), largest_batch).await;
        for message in &messages {
            let count = attribute(message, &MessageSystemAttributeName::ApproximateReceiveCount);
            let count: u32 =
                count.and_then(|count| count.parse().ok()).expect("a message says how often it came");
            assert!(count < TOO_OFTEN, "{queue:?} brought this {count} times: {:?}", message.body());
        }
        (!messages.is_empty()).then(|| Delivery { queue_url: self.url(queue).to_owned(), messages })
    }

    async fn take(&self, url: &str, limit: i32) -> Vec<Message> {
        let request = self.sqs.receive_message().queue_url(url).max_number_of_messages(limit);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        let answer = request.wait_time_seconds(0).send().await.expect("the queue answers");
        answer.messages.unwrap_or_default()
    }

    /// Deletes what the consumer did, and lets the rest come again at once: nobody waits for its pause.
    pub(super) async fn settle(&self, delivery: &Delivery, response: &SqsBatchResponse) {
        let failed = |message: &Message| {
            response
                .batch_item_failures
                .iter()
                .any(|f| Some(f.item_identifier.as_str()) == message.message_id())
        };
        let (back, done): (Vec<_>, Vec<_>) = delivery.messages.iter().cloned().partition(failed);
        self.delete(&delivery.queue_url, &done).await;
        self.show(&delivery.queue_url, &back).await;
    }

    /// Lets everything come again at once, as if the visibility timeout had passed.
    pub(super) async fn give_back(&self, delivery: &Delivery) {
        self.show(&delivery.queue_url, &delivery.messages).await;
    }

    /// Takes what waits off a queue: its hand-over is late.
    pub(super) async fn withhold(&self, queue: Queue) -> Vec<Withheld> {
        let messages = self.take(self.url(queue), 10).await;
        self.delete(self.url(queue), &messages).await;
        let withheld = messages.iter().map(|message| Withheld {
            group: attribute(message, &MessageSystemAttributeName::MessageGroupId).map(str::to_owned),
            body: message.body().unwrap_or_default().to_owned(),
        });
        withheld.collect()
    }

    pub(super) async fn hand_over(&self, queue: Queue, withheld: Vec<Withheld>) {
        for message in withheld {
            let request = self.sqs.send_message().queue_url(self.url(queue)).message_body(message.body);
            let request = request.set_message_group_id(message.group);
            request.message_deduplication_id(new_word("late-")).send().await.expect("the queue takes it");
        }
    }

    async fn delete(&self, url: &str, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let entries = messages.iter().enumerate().map(|(id, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
            entry.set_receipt_handle(message.receipt_handle.clone()).build().expect("id and handle are there")
        });
        let request = self.sqs.delete_message_batch().queue_url(url).set_entries(Some(entries.collect()));
        let answer = request.send().await.expect("the queue answers");
        assert!(answer.failed().is_empty(), "not deleted: {:?}", answer.failed());
    }

    async fn show(&self, url: &str, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let entries = messages.iter().enumerate().map(|(id, message)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id.to_string());
            let entry = entry.set_receipt_handle(message.receipt_handle.clone()).visibility_timeout(0);
            entry.build().expect("id and handle are there")
        });
        let request =
            self.sqs.change_message_visibility_batch().queue_url(url).set_entries(Some(entries.collect()));
        let answer = request.send().await.expect("the queue answers");
        assert!(answer.failed().is_empty(), "not given back: {:?}", answer.failed());
    }

    /// The details of everything that was on the bus so far.
    pub(super) async fn told(&self) -> Vec<Value> {
        loop {
            let messages = self.take(&self.events, 10).await;
            if messages.is_empty() {
                return self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            }
            let details = messages.iter().map(|message| {
                let event: Value =
                    serde_json::from_str(message.body().unwrap_or_default()).expect("an event is JSON");
                event["detail"].clone()
            });
            self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(details);
            self.delete(&self.events, &messages).await;
        }
    }

    pub(super) async fn remove(&self) {
        for url in self.urls.values().chain([&self.dead_letters, &self.events]) {
            self.sqs.delete_queue().queue_url(url).send().await.expect("a queue is deleted");
        }
        let bus = &self.bus;
        let targets = self.eventbridge.remove_targets().rule("all").event_bus_name(bus).ids("events");
        targets.send().await.expect("a target is removed");
        let rule = self.eventbridge.delete_rule().name("all").event_bus_name(bus);
        rule.send().await.expect("a rule is deleted");
        self.eventbridge.delete_event_bus().name(bus).send().await.expect("a bus is deleted");
    }
}

impl Delivery {
    /// The batch as Lambda hands it to a function.
    pub(super) fn event(&self) -> SqsEvent {
        let records: Vec<_> = self.messages.iter().map(|message| record(message, &self.queue_url)).collect();
        serde_json::from_value(json!({ "Records": records })).expect("it is an SQS event")
    }
}

fn record(message: &Message, queue_url: &str) -> Value {
    let attributes = message.attributes().into_iter().flatten();
    let attributes: serde_json::Map<_, _> =
        attributes.map(|(name, value)| (name.as_str().to_owned(), json!(value))).collect();
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "md5OfBody": message.md5_of_body(),
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": arn(queue_url),
        "awsRegion": REGION,
    })
}

fn attribute<'a>(message: &'a Message, name: &MessageSystemAttributeName) -> Option<&'a str> {
    message.attributes()?.get(name).map(String::as_str)
}

/// Account and name are the last two parts of a queue's URL.
fn arn(queue_url: &str) -> String {
    let mut parts = queue_url.rsplit('/');
    let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("arn:aws:sqs:{REGION}:{account}:{name}")
}

/// Makes a queue like another one, without its dead-letter queue; its URL.
async fn copy(sqs: &aws_sdk_sqs::Client, like: &str, prefix: &str) -> String {
    let request = sqs.get_queue_attributes().queue_url(like).attribute_names(QueueAttributeName::All);
    let answer = request.send().await.expect("the template's queue answers");
    let attributes = answer.attributes.unwrap_or_default();
    let name = like.rsplit('/').next().unwrap_or_default();
    let mut request = sqs.create_queue().queue_name(format!("{prefix}-{name}"));
    for (name, value) in attributes {
        if COPIED.contains(&name) {
            request = request.attributes(name, value);
        }
    }
    request.send().await.expect("a queue is made").queue_url.expect("a queue has a URL")
}
