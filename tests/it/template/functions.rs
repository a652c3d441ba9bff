//! Every binary is a function, every function has a role that names what it may do.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;
use testkit::stack::checkout;

use super::Template;

pub(crate) fn binaries() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for package in std::fs::read_dir(checkout().join("functions")).unwrap() {
        let folder = package.unwrap().path().join("src/bin");
        for file in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = file.unwrap().path();
            names.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    names
}

/// `target/lambda/<binary>/` of a function's code.
fn binary(function: &Value) -> &str {
    function["CodeUri"].as_str().unwrap().trim_start_matches("target/lambda/").trim_end_matches('/')
}

#[test]
fn every_binary_has_a_function_and_every_function_a_binary() {
    let template = Template::load();
    let functions = template.resources("AWS::Serverless::Function");
    let deployed: BTreeSet<String> = functions.values().map(|function| binary(function).to_owned()).collect();
    assert_eq!(deployed.len(), functions.len(), "no binary twice");
    assert_eq!(deployed, binaries());
}

#[test]
fn every_function_has_its_own_role_and_says_what_it_may_do() {
    let template = Template::load();
    for (id, function) in template.resources("AWS::Serverless::Function") {
        assert!(function["Role"].is_null(), "{id} shares a role");
        let policies = function["Policies"].as_sequence().unwrap_or_else(|| panic!("{id} has no policies"));
        for policy in policies {
            let statements = policy["Statement"].as_sequence();
            let statements =
                statements.unwrap_or_else(|| panic!("{id}: a managed policy grants more than it needs"));
            for statement in statements {
                assert_eq!(statement["Effect"], "Allow", "{id}");
                for name in ["Action", "Resource"] {
                    let text = serde_yaml_ng::to_string(&statement[name]).unwrap();
                    assert!(
                        !text.split(['\n', ' ']).any(|word| word == "'*'" || word == "*"),
                        "{id}: {name} {text}"
                    );
                    assert!(!text.contains(":*"), "{id}: {name} {text}");
                }
            }
        }
    }
}

#[test]
fn every_function_writes_json_into_a_log_group_of_its_own() {
    let template = Template::load();
    let mut groups = BTreeSet::new();
    for (id, function) in template.resources("AWS::Serverless::Function") {
        let group = super::target(&function["LoggingConfig"]["LogGroup"]);
        assert!(!template.resource(&group)["RetentionInDays"].is_null(), "{group}");
        assert!(groups.insert(group), "{id} shares its log group");
        let name = serde_yaml_ng::to_string(&function["FunctionName"]).unwrap();
        assert!(name.trim().ends_with(binary(function)), "{id} is called {name}");
    }
    assert_eq!(template.document["Globals"]["Function"]["LoggingConfig"]["LogFormat"], "JSON");
}

#[test]
fn a_run_by_the_clock_that_failed_is_repeated_by_the_clock_alone() {
    let template = Template::load();
    for (id, function) in template.resources("AWS::Serverless::Function") {
        let mut events = function["Events"].as_mapping().into_iter().flatten();
        if events.any(|(_, event)| event["Type"] == "ScheduleV2") {
            let repeats = function["EventInvokeConfig"]["MaximumRetryAttempts"].as_u64();
            assert_eq!(repeats, Some(0), "{id}: Lambda repeats it twice unless told otherwise");
        }
    }
}

#[test]
fn only_schedules_have_the_system_role() {
    let template = Template::load();
    for (id, function) in template.resources("AWS::Serverless::Function") {
        let has = !function["Environment"]["Variables"]["SYSTEM_DATABASE_SECRET"].is_null();
        assert_eq!(has, id.starts_with("Schedule"), "{id}");
    }
    for id in ["WebhookMetaFunction", "WebhookTwilioFunction", "WebhookGatewayFunction"] {
        let webhook = template.resource(id);
        assert!(
            webhook["Environment"]["Variables"]["DATABASE_SECRET"].is_null(),
            "webhooks do not touch PostgreSQL"
        );
    }
}
