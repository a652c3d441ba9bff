//! Where leads stand, and what happened to them.

use app::App;
use app::leads::history;
use app::leads::moves::{self, Target};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::lead_history::Entry;
use domain::board::LeadChange;
use domain::user::Permission;
use domain::{LeadId, StageId};
use runtime::http::{ApiError, Caller, PageBody, PageQuery, PathId, Problem, ValidJson, ValidQuery};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::LeadBody;
use crate::group::{Group, routes};
use crate::words;

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(place)).routes(routes!(list_history))
}

/// Where a lead goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveLead {
    /// A stage of its board; its own, too.
    #[schema(value_type = Uuid)]
    stage_id: StageId,
    /// Behind this lead of the stage; `null`: before all of them.
    #[schema(value_type = Option<Uuid>)]
    after_lead_id: Option<LeadId>,
    /// Why, up to 500 characters. When it is lost by this, that is its `lost_reason`.
    #[schema(example = "Pediu proposta")]
    reason: Option<String>,
}

/// One thing that happened to a lead.
#[derive(Serialize, ToSchema)]
pub struct LeadHistoryBody {
    id: Uuid,
    at: DateTime<Utc>,
    #[schema(value_type = words::LeadChange)]
    kind: LeadChange,
    #[schema(value_type = words::ActorKind)]
    actor_kind: String,
    /// The member or the API key.
    actor_id: Option<Uuid>,
    /// What was before: `stage_id` and `stage`, its name then; or the fields that changed.
    #[schema(value_type = Option<Object>)]
    from: Option<Value>,
    /// What became of it.
    #[schema(value_type = Option<Object>)]
    to: Option<Value>,
    /// Why.
    reason: Option<String>,
}

impl From<Entry> for LeadHistoryBody {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            kind: entry.kind,
            actor_kind: entry.actor_kind,
            actor_id: entry.actor_id,
            from: entry.was,
            to: entry.became,
            reason: entry.reason,
        }
    }
}

/// Puts a lead into a stage of its board, or to another place in its own. Several at once all succeed, one after the
/// other.
#[utoipa::path(post, path = "/leads/{id}/move", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = MoveLead, responses(
    (status = 200, body = LeadBody),
    (status = 404, body = Problem),
    (status = 409, description = "`lead_moved`: the lead to stand behind has left the stage meanwhile; \
        `stage_of_another_board`", body = Problem),
))]
async fn place(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<LeadId>,
    ValidJson(to): ValidJson<MoveLead>,
) -> Result<Json<LeadBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let MoveLead { stage_id, after_lead_id, reason } = to;
    let to = Target { stage_id, after_lead_id, reason };
    Ok(Json(moves::put(&app, caller.identity(), id, to).await?.into()))
}

/// What happened to a lead, newest first.
#[utoipa::path(get, path = "/leads/{id}/history", tag = "boards", params(("id" = Uuid, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = PageBody<LeadHistoryBody>),
    (status = 404, body = Problem),
))]
async fn list_history(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<LeadId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<LeadHistoryBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let list = format!("leads/{id}/history");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let entries = history::list(&app, caller.scope(), id, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, entries, LeadHistoryBody::from)))
}
