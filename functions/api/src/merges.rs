//! `/contacts/{id}/merge`, `/unmerge`, `/merge-candidates`: contacts that are one person.

use app::App;
use app::merges::{self, Suggestion};
use axum::Json;
use axum::extract::State;
use domain::ContactId;
use domain::user::Permission;
use runtime::http::{ApiError, Caller, PathId, Problem, ValidJson};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::contacts::ContactBody;
use crate::group::{Group, routes};

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(candidates)).routes(routes!(merge)).routes(routes!(unmerge))
}

/// Contacts that may be the same person.
#[derive(Serialize, ToSchema)]
pub struct MergeCandidates {
    /// Those with the most in common first, up to 50.
    items: Vec<MergeCandidate>,
}

/// A contact that may be the same person.
#[derive(Serialize, ToSchema)]
pub struct MergeCandidate {
    contact: ContactBody,
    /// What both have: `phone` (in any spelling), `email`, `external_id`, `name` (one of them without a phone).
    reasons: Vec<String>,
}

impl From<Suggestion> for MergeCandidate {
    fn from(Suggestion { contact, reasons }: Suggestion) -> Self {
        Self { contact: contact.into(), reasons }
    }
}

/// Whom a contact is merged into.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeContact {
    /// Who survives.
    #[schema(value_type = Uuid)]
    into: ContactId,
}

/// Contacts that may be the same person. Nobody is merged by guess: that is for people to decide.
#[utoipa::path(get, path = "/contacts/{id}/merge-candidates", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = MergeCandidates),
    (status = 404, body = Problem),
))]
async fn candidates(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
) -> Result<Json<MergeCandidates>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let found = merges::candidates(&app, caller.scope(), id).await?;
    Ok(Json(MergeCandidates { items: found.into_iter().map(MergeCandidate::from).collect() }))
}

/// Makes a contact one with another, who survives with the addresses, conversations, sessions, messages and lists of
/// both, and with the fields that it lacked. Answers with the survivor. The contact itself stays to be found, and says
/// in `merged_into` who it is.
#[utoipa::path(post, path = "/contacts/{id}/merge", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = MergeContact, responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 409, description = "`same_contact`, `contact_merged`, `contact_erased`", body = Problem),
))]
async fn merge(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    ValidJson(body): ValidJson<MergeContact>,
) -> Result<Json<ContactBody>, ApiError> {
    Ok(Json(merges::merge(&app, caller.identity(), id, body.into).await?.into()))
}

/// Takes a contact that was merged apart again. Each side has what it had, and what came by its addresses in between;
/// answers with the contact.
#[utoipa::path(post, path = "/contacts/{id}/unmerge", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 409, description = "`not_merged`, `merged_further`, `contact_erased`, `conflict`", body = Problem),
))]
async fn unmerge(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
) -> Result<Json<ContactBody>, ApiError> {
    Ok(Json(merges::unmerge(&app, caller.identity(), id).await?.into()))
}
