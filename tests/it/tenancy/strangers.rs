//! The API before those who have no credentials, wrong ones, or another company's.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use testkit::{Answer, Api, Stack, Tenant, TenantOptions};

use crate::inbox::Inbox;
use crate::template::documented_routes;

/// Routes that answer anybody. This list may only shrink.
const PUBLIC: [&str; 13] = [
    "GET /api/v1/auth/oauth/{provider}/callback",
    "GET /api/v1/auth/oauth/{provider}/start",
    "GET /api/v1/health",
    "GET /api/v1/health/ready",
    "POST /api/v1/auth/forgot-password",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/logout",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/register",
    "POST /api/v1/auth/resend-verification",
    "POST /api/v1/auth/reset-password",
    "POST /api/v1/auth/verify-email",
    "POST /api/v1/invitations/accept",
];

/// Every documented route that is not public, with `id` in the place of its parameters.
fn guarded(ids: &BTreeMap<&str, String>) -> Vec<(Method, String)> {
    let mut routes = Vec::new();
    for route in documented_routes() {
        if PUBLIC.contains(&route.as_str()) {
            continue;
        }
        let (method, path) = route.split_once(' ').unwrap();
        let group = path.trim_start_matches("/api/v1/").split('/').next().unwrap();
        let any = testkit::new_id().to_string();
        let path = path
            .replace("{contact_id}", ids.get("contacts").unwrap_or(&any))
            .replace("{id}", ids.get(group).unwrap_or(&any));
        assert!(!path.contains('{'), "{route} has a parameter that this test does not know");
        routes.push((method.parse().unwrap(), path));
    }
    assert!(routes.len() >= 14, "only {} guarded routes", routes.len());
    routes
}

async fn ask(api: &Api, method: &Method, path: &str) -> Answer {
    let body = (*method != Method::GET).then(|| json!({}).to_string());
    api.send(method.clone(), path, body, &[]).await
}

#[tokio::test]
async fn without_credentials_every_route_is_401() {
    let stack = Stack::load();
    let anonymous = Api::anonymous(&stack);
    for (method, path) in guarded(&BTreeMap::new()) {
        let answer = ask(&anonymous, &method, &path).await;
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.body);
        assert_eq!(answer.headers["www-authenticate"], "Bearer", "{method} {path}");
        let _problem = answer.expect_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn wrong_credentials_are_401() {
    let stack = Stack::load();
    let never_made = format!("mia_{}", "0".repeat(64));
    // Signed by nobody: {"alg":"none"} and a plausible body.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJtYXN0ZXItaWEiLCJleHAiOjQxMDI0NDQ4MDB9.";
    for credential in ["mia_", &never_made, "nonsense", unsigned] {
        let api = Api::anonymous(&stack).with(credential);
        let problem = api.get("contacts").await.expect_problem(401, "unauthenticated");
        assert!(!problem.to_string().contains(credential), "a credential is never repeated");
    }
}

#[tokio::test]
async fn another_companys_things_are_404() {
    let inbox = Inbox::open(false).await;
    let other =
        Tenant::seed(&inbox.stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let message = inbox.messages().await.remove(0);
    let text = |name: &str| message[name].as_str().unwrap().to_owned();
    let ids = BTreeMap::from([
        ("contacts", inbox.contact_id.clone()),
        ("conversations", inbox.conversation_id.clone()),
        ("messages", text("id")),
        ("sessions", text("session_id")),
    ]);
    let mut tried = 0;
    for (method, path) in guarded(&ids) {
        if !ids.values().any(|id| path.contains(id.as_str())) {
            continue;
        }
        tried += 1;
        let answer = ask(&other.api, &method, &path).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
        let _problem = answer.expect_problem(404, "not_found");
    }
    assert!(tried >= 10, "only {tried} routes with an id");

    // In a body, too; and nothing was written.
    let into = json!({ "conversation_id": inbox.conversation_id, "type": "text", "text": "Oi" });
    let _problem = other.api.post("messages", &into).await.expect_problem(404, "not_found");
    let to = json!({
        "contact_id": inbox.contact_id, "connection_id": other.connection_id, "type": "text", "text": "Oi",
    });
    let _problem = other.api.post("messages", &to).await.expect_problem(404, "not_found");
    let over = json!({
        "contact_id": inbox.contact_id, "connection_id": inbox.tenant.connection_id, "type": "text", "text": "Oi",
    });
    let _problem = other.api.post("messages", &over).await.expect_problem(404, "not_found");
    assert_eq!(inbox.messages().await.len(), 1);
    for list in ["contacts", "conversations", "messages", "sessions"] {
        assert!(other.api.all(list, 100).await.is_empty(), "{list}");
    }
}
