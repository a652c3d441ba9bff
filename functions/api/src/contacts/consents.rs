//! `/contacts/{id}/opt-out` and `…/opt-in`: whether a customer wants to be written to.

use app::App;
use app::contacts::consents::{self, Heard};
use axum::Json;
use axum::extract::State;
use domain::user::Permission;
use domain::{ContactId, MessageId};
use runtime::http::{ApiError, Caller, Idempotency, IdempotencyHeader, PathId, Problem, ValidJson};
use serde::Deserialize;
use utoipa::ToSchema;

use super::ContactBody;
use crate::group::{Group, routes};

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(opt_out)).routes(routes!(opt_in))
}

/// A customer's no.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptOut {
    /// Where it was heard, up to 60 characters; `manual` or `api` when nobody says.
    #[schema(example = "telefone")]
    source: Option<String>,
    /// How the company knows, up to 4,096 characters.
    proof: Option<String>,
    /// In which message of this customer's conversations it was said.
    #[schema(value_type = Option<Uuid>)]
    message_id: Option<MessageId>,
}

/// A customer's yes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptIn {
    /// Where it was heard, up to 60 characters; `manual` or `api` when nobody says.
    #[schema(example = "formulário do site")]
    source: Option<String>,
    /// How the company knows, 1 to 4,096 characters.
    proof: String,
    /// In which message of this customer's conversations it was said.
    #[schema(value_type = Option<Uuid>)]
    message_id: Option<MessageId>,
}

/// Writes down that a customer wants no more messages.
#[utoipa::path(post, path = "/contacts/{id}/opt-out", tag = "contacts",
    params(("id" = Uuid, Path), IdempotencyHeader),
    security(("bearer" = [])), request_body = OptOut, responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn opt_out(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    Idempotency(key): Idempotency,
    body: Option<ValidJson<OptOut>>,
) -> Result<Json<ContactBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let OptOut { source, proof, message_id } = body.map(|ValidJson(body)| body).unwrap_or_default();
    let heard = Heard { source, proof, message_id };
    Ok(Json(consents::opt_out(&app, caller.identity(), id, &heard, key.as_ref()).await?.into()))
}

/// Writes down that a customer wants messages, and how the company knows.
#[utoipa::path(post, path = "/contacts/{id}/opt-in", tag = "contacts",
    params(("id" = Uuid, Path), IdempotencyHeader),
    security(("bearer" = [])), request_body = OptIn, responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn opt_in(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    Idempotency(key): Idempotency,
    ValidJson(body): ValidJson<OptIn>,
) -> Result<Json<ContactBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let heard = Heard { source: body.source, proof: Some(body.proof), message_id: body.message_id };
    Ok(Json(consents::opt_in(&app, caller.identity(), id, &heard, key.as_ref()).await?.into()))
}
