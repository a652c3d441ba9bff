//! Every route of the OpenAPI document leads to the function that serves it.

use std::collections::BTreeSet;

use api::PREFIX;
use api::group::Group;

use super::{Template, target};

/// Serves what no other function does.
const REST: &str = "ApiPlatformFunction";

/// The logical id of a function: `ApiContactsFunction` of `api-contacts`.
fn logical_id(function: &str) -> String {
    let words = function.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..]));
    format!("{}Function", words.collect::<String>())
}

/// `METHOD /path` of every operation.
pub(crate) fn documented() -> BTreeSet<String> {
    let document = serde_json::to_value(api::platform::openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    routes
}

/// The paths of a group, with the prefix.
fn paths(group: Group) -> Vec<String> {
    let document = group.document().into_openapi();
    document.paths.paths.keys().map(|path| format!("{PREFIX}{path}")).collect()
}

/// Routes of the gateway: their keys, and the functions behind them.
fn deployed(template: &Template) -> Vec<(String, String)> {
    let routes = template.resources("AWS::ApiGatewayV2::Route");
    let of_http_api = routes.values().filter(|route| target(&route["ApiId"]) == "HttpApi");
    let deployed = of_http_api.map(|route| {
        let uri = &template.resource(&target(&route["Target"]))["IntegrationUri"];
        (route["RouteKey"].as_str().unwrap().to_owned(), target(uri))
    });
    deployed.collect()
}

/// The key by which the gateway finds a path; a key with a greedy parameter takes what is below it.
fn key_of(path: &str, deployed: &[(String, String)]) -> String {
    let takes = |key: &str| {
        let wanted = key.strip_prefix("ANY ").unwrap_or_else(|| panic!("{key}: not of every method"));
        match wanted.strip_suffix("{proxy+}") {
            Some(above) => path.strip_prefix(above).is_some_and(|rest| !rest.is_empty()),
            None => path == wanted,
        }
    };
    let mut keys = deployed.iter().map(|(key, _)| key).filter(|key| *key != "$default");
    keys.find(|key| takes(key)).cloned().unwrap_or_else(|| "$default".to_owned())
}

#[test]
fn a_route_leads_to_the_function_that_serves_it() {
    let deployed = deployed(&Template::load());
    let mut used = BTreeSet::from(["$default".to_owned()]);
    for (function, group) in api::groups() {
        for path in paths(group) {
            let key = key_of(&path, &deployed);
            let (_, leads_to) = deployed.iter().find(|(known, _)| *known == key).unwrap();
            assert_eq!(*leads_to, logical_id(function), "{path}");
            used.insert(key);
        }
    }
    let keys: BTreeSet<_> = deployed.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, used, "routes that lead to nothing");
}

#[test]
fn what_is_documented_is_some_functions() {
    let served: BTreeSet<_> = api::groups().into_iter().flat_map(|(_, group)| paths(group)).collect();
    let documented: BTreeSet<_> =
        documented().iter().map(|route| route.split_once(' ').unwrap().1.to_owned()).collect();
    let rest: Vec<_> = documented.difference(&served).collect();
    assert_eq!(rest, ["/api/v1/health", "/api/v1/health/ready"], "of the function behind $default");
    let deployed = deployed(&Template::load());
    assert!(deployed.contains(&("$default".to_owned(), REST.to_owned())));
}

/// Routes that make something, and need no `Idempotency-Key`: who asks twice changes nothing, or has no company yet. This
/// list may only shrink.
const REPEATABLE: [&str; 4] = [
    "/api/v1/auth/forgot-password",
    "/api/v1/auth/register",
    "/api/v1/auth/resend-verification",
    "/api/v1/messages/{id}/retry",
];

#[test]
fn what_makes_something_makes_it_once() {
    let document = serde_json::to_value(api::platform::openapi()).unwrap();
    let mut without = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let operation = &operations["post"];
        let makes = ["201", "202"].iter().any(|status| operation["responses"].get(status).is_some());
        let parameters = operation["parameters"].as_array();
        let takes_key = parameters.into_iter().flatten().any(|it| it["name"] == "Idempotency-Key");
        if makes && !takes_key {
            without.push(path.as_str());
        }
    }
    assert_eq!(without, REPEATABLE);
}
