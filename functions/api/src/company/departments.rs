//! `/departments`.

use app::App;
use app::company::departments::{self, Change};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::departments::Department;
use domain::user::Permission;
use domain::{DepartmentId, UserId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};

/// What cursors are of.
const LIST: &str = "departments";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(find, change, delete))
}

/// A department.
#[derive(Serialize, ToSchema)]
pub struct DepartmentBody {
    #[schema(value_type = Uuid)]
    id: DepartmentId,
    name: String,
    /// Who works in it.
    #[schema(value_type = Vec<Uuid>)]
    member_ids: Vec<UserId>,
    created_at: DateTime<Utc>,
}

impl From<Department> for DepartmentBody {
    fn from(department: Department) -> Self {
        Self {
            id: department.id,
            name: department.name,
            member_ids: department.member_ids,
            created_at: department.created_at,
        }
    }
}

/// A new department.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDepartment {
    /// 1 to 100 characters; unique in the company.
    name: String,
    /// Who works in it.
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>)]
    member_ids: Vec<UserId>,
}

/// What shall change of a department.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeDepartment {
    /// 1 to 100 characters; unique in the company.
    name: Option<String>,
    /// Who works in it, in place of who did.
    #[schema(value_type = Option<Vec<Uuid>>)]
    member_ids: Option<Vec<UserId>>,
}

/// The departments by name.
#[utoipa::path(get, path = "/departments", tag = "company", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<DepartmentBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<DepartmentBody>>, ApiError> {
    caller.require(Permission::ReadCompany)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = departments::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, DepartmentBody::from)))
}

/// Makes a department.
#[utoipa::path(post, path = "/departments", tag = "company", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewDepartment, responses(
    (status = 201, body = DepartmentBody),
    (status = 409, body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<NewDepartment>,
) -> Result<(StatusCode, Json<DepartmentBody>), ApiError> {
    let NewDepartment { name, member_ids } = new;
    let created = departments::create(&app, caller.identity(), &name, member_ids, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// One department.
#[utoipa::path(get, path = "/departments/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = DepartmentBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<DepartmentId>,
) -> Result<Json<DepartmentBody>, ApiError> {
    Ok(Json(departments::find(&app, caller.identity(), id).await?.into()))
}

/// Changes a department's name or who works in it.
#[utoipa::path(patch, path = "/departments/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ChangeDepartment, responses(
    (status = 200, body = DepartmentBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<DepartmentId>,
    ValidJson(change): ValidJson<ChangeDepartment>,
) -> Result<Json<DepartmentBody>, ApiError> {
    let change = Change { name: change.name, member_ids: change.member_ids };
    Ok(Json(departments::change(&app, caller.identity(), id, change).await?.into()))
}

/// Removes a department.
#[utoipa::path(delete, path = "/departments/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<DepartmentId>,
) -> Result<StatusCode, ApiError> {
    departments::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
