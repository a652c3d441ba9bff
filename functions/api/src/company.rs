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
use domain::company::CompanySettings;
use domain::session::ClosedSessions;
use domain::{CompanyId, UserId};
use runtime::http::{ApiError, Caller, Problem, ValidJson};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

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
    settings: CompanySettingsBody,
    created_at: DateTime<Utc>,
}

/// What a company decided about itself.
#[derive(Serialize, ToSchema)]
pub struct CompanySettingsBody {
    /// What a customer's message does when their last session is over: `begin_another` or `stay_closed`, where it is
    /// kept and nothing automatic happens.
    #[schema(value_type = words::ClosedSessions)]
    closed_sessions: ClosedSessions,
    /// For new sessions: seconds of silence that end a customer's burst.
    concat_timeout: i32,
    /// By which words alone a customer says that they want no more messages, besides STOP, SAIR, PARAR and CANCELAR.
    opt_out_keywords: Vec<String>,
}

impl From<Company> for CompanyDetailBody {
    fn from(company: Company) -> Self {
        let CompanySettings { closed_sessions, concat_timeout, opt_out_keywords } = company.settings.0;
        Self {
            id: company.id,
            name: company.name,
            settings: CompanySettingsBody { closed_sessions, concat_timeout, opt_out_keywords },
            created_at: company.created_at,
        }
    }
}

/// What shall change of a company.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeCompany {
    /// 1 to 200 characters.
    name: Option<String>,
    /// What shall change of its settings.
    #[serde(default, deserialize_with = "runtime::http::body::object")]
    settings: ChangeCompanySettings,
}

/// What shall change of a company's settings.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeCompanySettings {
    /// `begin_another` or `stay_closed`.
    #[schema(value_type = Option<words::ClosedSessions>)]
    closed_sessions: Option<ClosedSessions>,
    /// 5 to 8.
    concat_timeout: Option<i32>,
    /// In place of those that there were: up to 50, each of 1 to 40 characters; accents and capitals do not matter.
    opt_out_keywords: Option<Vec<String>>,
}

/// Who shall own the company.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferOwnership {
    /// A member.
    #[schema(value_type = Uuid)]
    user_id: UserId,
}

/// The caller's company.
#[utoipa::path(get, path = "/company", tag = "company", security(("bearer" = [])), responses(
    (status = 200, body = CompanyDetailBody),
))]
async fn find(State(app): State<App>, caller: Caller) -> Result<Json<CompanyDetailBody>, ApiError> {
    Ok(Json(app::company::find(&app, caller.identity()).await?.into()))
}

/// Changes the company's name or settings.
#[utoipa::path(patch, path = "/company", tag = "company", security(("bearer" = [])), request_body = ChangeCompany,
    responses(
    (status = 200, body = CompanyDetailBody),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    ValidJson(change): ValidJson<ChangeCompany>,
) -> Result<Json<CompanyDetailBody>, ApiError> {
    let ChangeCompany { name, settings } = change;
    let ChangeCompanySettings { closed_sessions, concat_timeout, opt_out_keywords } = settings;
    let change = app::company::Change { name, closed_sessions, concat_timeout, opt_out_keywords };
    Ok(Json(app::company::change(&app, caller.identity(), change).await?.into()))
}

/// Hands the company over to another member; the owner becomes an admin.
#[utoipa::path(post, path = "/company/transfer-ownership", tag = "company", security(("bearer" = [])),
    request_body = TransferOwnership, responses(
    (status = 204),
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
