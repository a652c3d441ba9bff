//! `/_sandbox/identity/…`: who can log in by Google or Facebook, and Google's keys.

use super::*;

use crate::world::identity::Account;

pub(crate) async fn accounts(State(sandbox): Shared) -> Response {
    Json(json!({ "items": sandbox.world().identities.accounts() })).into_response()
}

/// Adds an account, or replaces the one with this provider and subject.
pub(crate) async fn put_account(State(sandbox): Shared, Json(account): Json<Account>) -> Response {
    if account.subject.is_empty() {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "subject is empty");
    }
    sandbox.world().identities.put(account.clone());
    (StatusCode::CREATED, Json(account)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Rotation {
    /// The keys so far stay published, as when a provider rotates them by schedule. Default yes.
    #[serde(default = "yes")]
    keep: bool,
}

fn yes() -> bool {
    true
}

/// Google signs by a new key from now on: `?keep=false` takes the old ones back.
pub(crate) async fn rotate(State(sandbox): Shared, Query(asked): Query<Rotation>) -> Response {
    match sandbox.keys.rotate(asked.keep).await {
        Ok(key) => Json(json!({ "kid": key.id() })).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
