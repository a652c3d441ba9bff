//! `/company` and who belongs to it.
//!
//! Rooms: here the company itself · [`members`] · [`invitations`] · [`departments`] · [`api_keys`] · [`audit_log`].

pub mod api_keys;
pub mod audit_log;
pub mod departments;
pub mod invitations;
pub mod members;

use app::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::companies::Company;
use domain::{CompanyId, UserId};
use runtime::http::{ApiError, Caller, Problem, ValidJson};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(find, change))
        .routes(routes!(transfer_ownership))
        .merge(members::router())
        .merge(invitations::router())
        .merge(departments::router())
        .merge(api_keys::router())
        .merge(audit_log::router())
}

/// A company.
#[derive(Serialize, ToSchema)]
pub struct CompanyDetailBody {
    #[schema(value_type = Uuid)]
    id: CompanyId,
    name: String,
    created_at: DateTime<Utc>,
}

impl From<Company> for CompanyDetailBody {
    fn from(company: Company) -> Self {
        Self { id: company.id, name: company.name, created_at: company.created_at }
    }
}

/// What shall change of a company.
#[derive(Deserialize, ToSchema)]
pub struct ChangeCompany {
    /// 1 to 200 characters.
    name: String,
}

/// Who shall own the company.
#[derive(Deserialize, ToSchema)]
pub struct TransferOwnership {
    /// A member.
    #[schema(value_type = Uuid)]
    user_id: UserId,
}

/// The caller's company.
#[utoipa::path(get, path = "/company", tag = "company", security(("bearer" = [])), responses(
    (status = 200, body = CompanyDetailBody),
    (status = 401, body = Problem),
    (status = 403, body = Problem),
))]
async fn find(State(app): State<App>, caller: Caller) -> Result<Json<CompanyDetailBody>, ApiError> {
    Ok(Json(app::company::find(&app, caller.identity()).await?.into()))
}

/// Renames the company.
#[utoipa::path(patch, path = "/company", tag = "company", security(("bearer" = [])), request_body = ChangeCompany,
    responses(
    (status = 200, body = CompanyDetailBody),
    (status = 401, body = Problem),
    (status = 403, body = Problem),
    (status = 422, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    ValidJson(change): ValidJson<ChangeCompany>,
) -> Result<Json<CompanyDetailBody>, ApiError> {
    Ok(Json(app::company::rename(&app, caller.identity(), &change.name).await?.into()))
}

/// Hands the company over to another member; the owner becomes an admin.
#[utoipa::path(post, path = "/company/transfer-ownership", tag = "company", security(("bearer" = [])),
    request_body = TransferOwnership, responses(
    (status = 204),
    (status = 401, body = Problem),
    (status = 403, body = Problem),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn transfer_ownership(
    State(app): State<App>,
    caller: Caller,
    ValidJson(transfer): ValidJson<TransferOwnership>,
) -> Result<StatusCode, ApiError> {
    app::company::transfer_ownership(&app, caller.identity(), transfer.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
