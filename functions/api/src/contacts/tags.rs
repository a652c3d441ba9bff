//! `/contacts/{id}/tabulations`: which of the company's tabulations a customer bears.

use app::App;
use axum::Json;
use axum::extract::State;
use domain::user::Permission;
use domain::{ContactId, TabulationId};
use runtime::http::{ApiError, Caller, PathId, Problem, ValidJson};
use serde::Deserialize;
use utoipa::ToSchema;

use super::ContactBody;
use crate::group::{Group, routes};

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(add_tabulations, remove_tabulations))
}

/// Tabulations of the company.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactTabulations {
    /// Their ids.
    #[schema(value_type = Vec<Uuid>)]
    tabulation_ids: Vec<TabulationId>,
}

/// Puts tabulations on a contact, whose tags bear their names; those that are there stay.
#[utoipa::path(post, path = "/contacts/{id}/tabulations", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ContactTabulations, responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 409, description = "contact_merged, contact_erased", body = Problem),
))]
async fn add_tabulations(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    ValidJson(body): ValidJson<ContactTabulations>,
) -> Result<Json<ContactBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(app::contacts::tags::add(&app, caller.identity(), id, &body.tabulation_ids).await?.into()))
}

/// Takes tabulations off a contact; those that are not there are no error.
#[utoipa::path(delete, path = "/contacts/{id}/tabulations", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ContactTabulations, responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 409, description = "contact_merged, contact_erased", body = Problem),
))]
async fn remove_tabulations(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    ValidJson(body): ValidJson<ContactTabulations>,
) -> Result<Json<ContactBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(app::contacts::tags::remove(&app, caller.identity(), id, &body.tabulation_ids).await?.into()))
}
