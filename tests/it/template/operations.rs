//! What operators look at knows every queue and function: alarms, dashboard, the script for dead letters.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;
use testkit::stack::checkout;

use super::queues::source_queues;
use super::{Template, functions, target};

/// What all names begin with.
const PREFIX: &str = "master-ia-${EnvironmentName}-";

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn observability() -> Value {
    serde_yaml_ng::from_str(&read("infra/observability.yaml")).unwrap()
}

/// The text in `!Sub …`.
fn substituted(value: &Value) -> &str {
    let Value::Tagged(tagged) = value else { panic!("no !Sub: {value:?}") };
    tagged.value.as_str().unwrap()
}

/// The names of the queues that have a consumer, and of their dead-letter queues.
fn queues() -> [BTreeSet<String>; 2] {
    let template = Template::load();
    let name = |queue: &Value| substituted(&queue["QueueName"]).strip_prefix(PREFIX).unwrap().to_owned();
    let queues = source_queues(&template);
    let dead = queues.values().map(|queue| target(&queue["RedrivePolicy"]["deadLetterTargetArn"]));
    [
        queues.values().map(|queue| name(queue)).collect(),
        dead.map(|id| name(template.resource(&id))).collect(),
    ]
}

/// What an `Fn::ForEach` goes through.
fn each(observability: &Value, what: &str) -> BTreeSet<String> {
    let items = observability["Resources"][format!("Fn::ForEach::{what}")][1].as_sequence().unwrap();
    items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_queue_and_function_has_its_alarms() {
    let observability = observability();
    let [queues, dead] = queues();
    assert_eq!(each(&observability, "WorkQueues"), queues);
    assert_eq!(each(&observability, "DeadLetterQueues"), dead);
    assert_eq!(each(&observability, "Functions"), functions::binaries());
    let limits = observability["Mappings"]["OldestMessage"].as_mapping().unwrap();
    let limits: BTreeSet<_> = limits.keys().map(|queue| queue.as_str().unwrap().to_owned()).collect();
    assert_eq!(limits, queues);
}

#[test]
fn every_queue_is_on_the_dashboard() {
    let observability = observability();
    let body = substituted(&observability["Resources"]["Dashboard"]["Properties"]["DashboardBody"]);
    for queue in queues().into_iter().flatten() {
        assert!(body.contains(&format!("\"{PREFIX}{queue}\"")), "{queue}");
    }
}

#[test]
fn every_dead_letter_can_be_brought_back() {
    let script = read("infra/dead-letters.sh");
    let line = script.lines().find_map(|line| line.strip_prefix("QUEUES = ")).unwrap();
    let known: BTreeMap<String, String> = serde_json::from_str(line).unwrap();
    let [queues, dead] = queues();
    let names = |middle: &str| -> BTreeSet<String> {
        known.iter().map(|(name, ending)| format!("{name}{middle}{ending}")).collect()
    };
    assert_eq!((names(""), names("-dead")), (queues, dead));
}
