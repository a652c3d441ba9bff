//! The API before those who have no credentials, or wrong ones.

use testkit::{Api, Stack};

use super::document::{guarded, operations};

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

#[test]
fn the_public_routes_are_those_that_the_document_calls_public() {
    let public: Vec<_> =
        operations().into_iter().filter(|operation| operation.public).map(|o| o.route).collect();
    assert_eq!(public, PUBLIC);
}

#[tokio::test]
async fn without_credentials_every_route_is_401() {
    let anonymous = Api::anonymous(&Stack::load());
    for operation in guarded() {
        let id = testkit::new_id().to_string();
        let path = operation.path(&vec![id.as_str(); operation.prefixes().len()]);
        // Not even the shape of a body is judged.
        let answer = operation.ask(&anonymous, &path, Some(&serde_json::json!([]))).await;
        assert_eq!(answer.status, 401, "{}: {}", operation.route, answer.body);
        assert_eq!(answer.headers["www-authenticate"], "Bearer", "{}", operation.route);
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
