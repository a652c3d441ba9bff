//! `/audit-log`: who did what.

use app::App;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::audit::{AuditEntry, Filter};
use domain::user::Permission;
use runtime::http::{ApiError, Caller, PageBody, PageQuery, ValidQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::group::{Group, routes};
use crate::words;

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
    /// Who, by kind.
    #[schema(value_type = words::ActorKind)]
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

/// Which lines to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Of one person or API key.
    actor_id: Option<Uuid>,
    /// What was done, as `<object>.<verb>`.
    #[param(example = "member.role_changed")]
    action: Option<String>,
    /// To one kind of object.
    #[param(example = "member")]
    object_kind: Option<String>,
    /// To one object.
    object_id: Option<Uuid>,
    /// Not before; RFC 3339.
    from: Option<DateTime<Utc>>,
    /// Before; RFC 3339.
    to: Option<DateTime<Utc>>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The log, newest first. What happens to a member's own account, as `person.logged_out`, stands in it too.
#[utoipa::path(get, path = "/audit-log", tag = "company", security(("bearer" = [])), params(AuditQuery), responses(
    (status = 200, body = PageBody<AuditEntryBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<AuditQuery>,
) -> Result<Json<PageBody<AuditEntryBody>>, ApiError> {
    // Before the page is looked at: who may not read is not told what is wrong with it.
    caller.require(Permission::ReadAuditLog)?;
    let AuditQuery { actor_id, action, object_kind, object_id, from, to, limit, cursor } = query;
    let page = PageQuery { limit, cursor };
    let filter = Filter { actor_id, action, object_kind, object_id, from, to };
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = app::audit::list(&app, caller.identity(), &filter, position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, AuditEntryBody::from)))
}
