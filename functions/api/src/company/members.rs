//! `/members`: the people of the company.

use app::App;
use app::company::members::{self, Change};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::members::Member;
use domain::user::{Permission, Role};
use domain::{DepartmentId, UserId};
use runtime::http::{ApiError, Caller, PageBody, PageQuery, PathId, Problem, ValidJson, ValidQuery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

/// What cursors are of.
const LIST: &str = "members";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list)).routes(routes!(find, change, remove))
}

/// A member.
#[derive(Serialize, ToSchema)]
pub struct MemberBody {
    /// The person.
    #[schema(value_type = Uuid)]
    id: UserId,
    name: String,
    email: String,
    /// `owner`, `admin`, `supervisor`, `agent` or `viewer`.
    #[schema(value_type = words::Role)]
    role: Role,
    /// False for who is shut out.
    active: bool,
    #[schema(value_type = Vec<Uuid>)]
    department_ids: Vec<DepartmentId>,
    joined_at: DateTime<Utc>,
    deactivated_at: Option<DateTime<Utc>>,
}

impl From<Member> for MemberBody {
    fn from(member: Member) -> Self {
        Self {
            id: member.user_id,
            name: member.name,
            email: member.email,
            role: member.role,
            active: member.deactivated_at.is_none(),
            department_ids: member.department_ids,
            joined_at: member.joined_at,
            deactivated_at: member.deactivated_at,
        }
    }
}

/// What shall change of a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMember {
    /// `admin`, `supervisor`, `agent` or `viewer`.
    #[schema(value_type = Option<words::Role>)]
    role: Option<Role>,
    /// False shuts out, true lets in again.
    active: Option<bool>,
}

/// The members by name, those who are shut out too.
#[utoipa::path(get, path = "/members", tag = "company", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<MemberBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<MemberBody>>, ApiError> {
    caller.require(Permission::ReadCompany)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = members::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, MemberBody::from)))
}

/// One member, who may be shut out.
#[utoipa::path(get, path = "/members/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = MemberBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<UserId>,
) -> Result<Json<MemberBody>, ApiError> {
    Ok(Json(members::find(&app, caller.identity(), id).await?.into()))
}

/// Gives a member another role, shuts them out, or lets them in again.
#[utoipa::path(patch, path = "/members/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ChangeMember, responses(
    (status = 200, body = MemberBody),
    (status = 404, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<UserId>,
    ValidJson(change): ValidJson<ChangeMember>,
) -> Result<Json<MemberBody>, ApiError> {
    let change = Change { role: change.role, active: change.active };
    Ok(Json(members::change(&app, caller.identity(), id, change).await?.into()))
}

/// Takes a person out of the company: out of its departments, off its conversations and open sessions. What they wrote
/// stays.
#[utoipa::path(delete, path = "/members/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, ApiError> {
    members::remove(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
