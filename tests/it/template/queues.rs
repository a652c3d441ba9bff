//! Queues and their triggers: the linters accept every mistake that is refused here.

use std::collections::BTreeMap;

use serde_yaml_ng::Value;

use super::{Template, target};

/// Fourteen days, the longest that SQS keeps a message.
const LONGEST_RETENTION: u64 = 1_209_600;

/// `push` keeps a message for an hour, which is shorter than the others' thousand visibility timeouts.
const PUSH_RECEIVE_COUNT: u64 = 10;

/// A FIFO queue's trigger takes no more records than this; a standard queue's not without a batching window.
const LARGEST_BATCH: u64 = 10;

/// Every queue that has a consumer, by its logical id.
pub(super) fn source_queues(template: &Template) -> BTreeMap<String, &Value> {
    let triggers = template.resources("AWS::Lambda::EventSourceMapping");
    let ids = triggers.values().map(|trigger| target(&trigger["EventSourceArn"]));
    ids.map(|id| (id.clone(), template.resource(&id))).collect()
}

fn number(resource: &Value, name: &str) -> u64 {
    resource[name].as_u64().unwrap_or_else(|| panic!("no {name}: {resource:?}"))
}

#[test]
fn every_trigger_reports_failures_record_by_record() {
    let template = Template::load();
    let triggers = template.resources("AWS::Lambda::EventSourceMapping");
    assert_eq!(triggers.len(), 10, "one a consumer");
    for (id, trigger) in triggers {
        let types = trigger["FunctionResponseTypes"].as_sequence().unwrap_or_else(|| panic!("{id}: none"));
        assert!(types.iter().any(|kind| kind == "ReportBatchItemFailures"), "{id}");
        let size = trigger["BatchSize"].as_u64().unwrap();
        assert!((1..=LARGEST_BATCH).contains(&size), "{id}: BatchSize {size}");
    }
}

#[test]
fn no_trigger_hides_in_a_function_event() {
    let template = Template::load();
    for (id, function) in template.resources("AWS::Serverless::Function") {
        let Some(events) = function["Events"].as_mapping() else { continue };
        for (name, event) in events {
            assert_ne!(event["Type"], "SQS", "{id} {name:?}: its managed policy reads every queue");
            assert_ne!(event["Type"], "HttpApi", "{id} {name:?}: the emulator answers 404");
        }
    }
}

#[test]
fn every_source_queue_has_a_dead_letter_queue_that_keeps_for_fourteen_days() {
    let template = Template::load();
    for (id, queue) in source_queues(&template) {
        let dead_id = target(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
        let dead = template.resource(&dead_id);
        assert_eq!(number(dead, "MessageRetentionPeriod"), LONGEST_RETENTION, "{dead_id}");
        assert_eq!(dead["FifoQueue"], queue["FifoQueue"], "{id}: both FIFO or none");
        assert!(dead["RedrivePolicy"].is_null(), "{dead_id}");
        assert_eq!(queue["SqsManagedSseEnabled"].as_bool(), Some(true), "{id}");
    }
}

#[test]
fn messages_return_as_often_as_the_consumers_believe() {
    let template = Template::load();
    for (id, queue) in source_queues(&template) {
        let expected = match id.as_str() {
            "PushQueue" => PUSH_RECEIVE_COUNT,
            _ => runtime::sqs::MAX_RECEIVE_COUNT.into(),
        };
        assert_eq!(number(&queue["RedrivePolicy"], "maxReceiveCount"), expected, "{id}");
    }
}

#[test]
fn a_message_that_kills_its_consumer_is_parked_before_it_expires() {
    let template = Template::load();
    for (id, queue) in source_queues(&template) {
        let (hidden, kept) = (number(queue, "VisibilityTimeout"), number(queue, "MessageRetentionPeriod"));
        let times = number(&queue["RedrivePolicy"], "maxReceiveCount");
        assert!(times * hidden < kept, "{id}: {times} times {hidden} s, and kept for {kept} s");
    }
}

#[test]
fn a_body_in_the_bucket_outlives_its_pointer() {
    let template = Template::load();
    let rule = &template.resource("OverflowBucket")["LifecycleConfiguration"]["Rules"][0];
    // The pointer waits on its queue and then, parked, on the dead-letter queue from the beginning.
    let waits = ["InboundQueue", "InboundDeadQueue"]
        .map(|queue| number(template.resource(queue), "MessageRetentionPeriod"));
    assert!(number(rule, "ExpirationInDays") * 86_400 > waits.iter().sum::<u64>());
}

#[test]
fn a_message_stays_hidden_for_six_timeouts() {
    let template = Template::load();
    for (id, trigger) in template.resources("AWS::Lambda::EventSourceMapping") {
        let function = template.resource(&target(&trigger["FunctionName"]));
        let queue = template.resource(&target(&trigger["EventSourceArn"]));
        let (timeout, hidden) = (number(function, "Timeout"), number(queue, "VisibilityTimeout"));
        assert!(hidden >= 6 * timeout, "{id}: hidden for {hidden} s, the function takes up to {timeout} s");
        assert!(
            trigger["MaximumBatchingWindowInSeconds"].as_u64().unwrap_or(0) + 6 * timeout <= hidden,
            "{id}"
        );
    }
}

#[test]
fn a_consumer_may_read_its_queue_and_park_in_its_own_dead_letter_queue() {
    let template = Template::load();
    for (id, trigger) in template.resources("AWS::Lambda::EventSourceMapping") {
        let function = template.resource(&target(&trigger["FunctionName"]));
        let queue_id = target(&trigger["EventSourceArn"]);
        let dead_id = target(&template.resource(&queue_id)["RedrivePolicy"]["deadLetterTargetArn"]);
        let variables = &function["Environment"]["Variables"];
        assert_eq!(target(&variables["DEAD_LETTER_QUEUE_URL"]), dead_id, "{id}");
        let may = |action: &str, resource: &str| {
            let statements = function["Policies"][0]["Statement"].as_sequence().unwrap();
            statements.iter().any(|statement| {
                let listed = |value: &Value, test: &dyn Fn(&Value) -> bool| {
                    value.as_sequence().map_or_else(|| test(value), |items| items.iter().any(test))
                };
                listed(&statement["Action"], &|value| value == action)
                    && listed(&statement["Resource"], &|value| target(value) == resource)
            })
        };
        assert!(
            may("sqs:ReceiveMessage", &queue_id) && may("sqs:DeleteMessage", &queue_id),
            "{id} reads {queue_id}"
        );
        assert!(may("sqs:SendMessage", &dead_id), "{id} parks in {dead_id}");
    }
}
