//! Every route of the OpenAPI document is deployed, and nothing else is.

use std::collections::BTreeSet;

use super::{Template, target};

/// Routes that are deployed and not documented. This list may only shrink.
const UNDOCUMENTED: [&str; 9] = [
    "GET /api/v1/docs",
    "GET /api/v1/docs/{proxy+}",
    "GET /api/v1/openapi.json",
    "GET /docs",
    "GET /docs/{proxy+}",
    "GET /health",
    "GET /health/ready",
    "GET /openapi.json",
    "$default",
];

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

fn deployed(template: &Template) -> BTreeSet<String> {
    template
        .resources("AWS::ApiGatewayV2::Route")
        .values()
        .filter(|route| target(&route["ApiId"]) == "HttpApi")
        .map(|route| route["RouteKey"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_documented_is_deployed() {
    let deployed = deployed(&Template::load());
    let missing: Vec<_> = documented().into_iter().filter(|route| !deployed.contains(route)).collect();
    assert!(missing.is_empty(), "documented, but the API answers 404: {missing:?}");
}

#[test]
fn what_is_deployed_is_documented() {
    let documented = documented();
    let deployed = deployed(&Template::load());
    let unknown: Vec<_> = deployed
        .iter()
        .filter(|route| !documented.contains(*route) && !UNDOCUMENTED.contains(&route.as_str()))
        .collect();
    assert!(unknown.is_empty(), "deployed, but not documented: {unknown:?}");
    for route in UNDOCUMENTED {
        let is_exception = deployed.contains(route) && !documented.contains(route);
        assert!(is_exception, "no exception any more: {route}");
    }
}

#[test]
fn a_route_leads_to_the_function_of_its_group() {
    let template = Template::load();
    for (id, route) in template.resources("AWS::ApiGatewayV2::Route") {
        let key = route["RouteKey"].as_str().unwrap();
        let Some((_, path)) = key.split_once(' ') else { continue };
        let group = path.trim_start_matches("/api/v1").trim_start_matches('/').split('/').next().unwrap();
        let function = match group {
            "auth" | "contacts" | "conversations" | "messages" | "sessions" => {
                format!("Api{}{}Function", group[..1].to_uppercase(), &group[1..])
            }
            "company" | "members" | "invitations" | "departments" | "api-keys" | "audit-log" => {
                "ApiCompanyFunction".to_owned()
            }
            _ => "ApiPlatformFunction".to_owned(),
        };
        let target_text = serde_yaml_ng::to_string(&route["Target"]).unwrap();
        let integration = target_text.split("${").nth(1).unwrap().split('}').next().unwrap().to_owned();
        let uri = &template.resource(&integration)["IntegrationUri"];
        assert_eq!(target(uri), function, "{id}: {key}");
    }
}
