//! `/audit-log`: who did what.

use app::App;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::audit::AuditEntry;
use domain::user::Permission;
use runtime::http::{ApiError, Caller, PageBody, PageQuery, Problem, ValidQuery};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::group::{Group, routes};

/// What cursors are of.
const LIST: &str = "audit-log";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list))
}

/// Something that somebody did.
#[derive(Serialize, ToSchema)]
pub struct AuditEntryBody {
    id: Uuid,
    at: DateTime<Utc>,
    /// `person`, `api_key` or `system`.
    actor_kind: String,
    actor_id: Option<Uuid>,
    /// `<object>.<verb>`.
    #[schema(example = "member.role_changed")]
    action: String,
    object_kind: String,
    object_id: Option<Uuid>,
    /// The address that the request came from.
    ip: String,
    /// More about it.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
}

impl From<AuditEntry> for AuditEntryBody {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor_kind: entry.actor_kind,
            actor_id: entry.actor_id,
            action: entry.action,
            object_kind: entry.object_kind,
            object_id: entry.object_id,
            ip: entry.ip,
            detail: entry.detail,
        }
    }
}

/// The log, newest first.
#[utoipa::path(get, path = "/audit-log", tag = "company", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = PageBody<AuditEntryBody>),
    (status = 401, body = Problem),
    (status = 403, body = Problem),
    (status = 422, body = Problem),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<AuditEntryBody>>, ApiError> {
    // Before the page is looked at: who may not read is not told what is wrong with it.
    caller.require(Permission::ReadAuditLog)?;
    let page = app::audit::list(&app, caller.identity(), query.position(LIST)?, query.limit()?).await?;
    Ok(Json(PageBody::from_page(LIST, page, AuditEntryBody::from)))
}
