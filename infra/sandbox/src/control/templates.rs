//! `/_sandbox/templates`: what a business has, and `/{id}` what Meta decides about a template, all of a sudden.

use super::*;
use crate::graph::templates;

/// Meta's words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// `PAUSED`, `DISABLED`, `APPROVED`, …
    status: String,
    /// `PROMOTIONAL`, …
    reason: Option<String>,
}

/// Gives one that was made another status, and tells the business.
pub(crate) async fn decide(
    State(sandbox): Shared,
    Path(id): Path<String>,
    Json(decision): Json<Decision>,
) -> Response {
    if templates::decide(&sandbox, &id, &decision.status, decision.reason.as_deref()) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refuse(StatusCode::NOT_FOUND, "no such template was made")
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Whose {
    access_token: String,
}

/// Everything that a token sees.
pub(crate) async fn list(State(sandbox): Shared, Query(whose): Query<Whose>) -> Json<Value> {
    Json(json!({ "items": sandbox.world().templates.seen_by(&whose.access_token) }))
}
