//! What is done to sessions: silencing the AI, handing on, ending, beginning anew, tagging.

use app::App;
use app::sessions::life::{self, Assignee};
use axum::Json;
use axum::extract::State;
use domain::session::SessionStatus;
use domain::user::Permission;
use domain::{ContactId, DepartmentId, SessionId, UserId};
use runtime::http::{ApiError, Caller, PathId, Problem, ValidJson};
use serde::Deserialize;
use utoipa::ToSchema;

use super::SessionBody;
use crate::group::{Group, routes};
use crate::words;

/// The routes of this room.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(block_ai))
        .routes(routes!(unblock_ai))
        .routes(routes!(close))
        .routes(routes!(reopen))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(assign))
        .routes(routes!(set_status))
        .routes(routes!(add_tags, remove_tags))
}

/// For how long the AI is silent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockAi {
    /// 1 to 1,440.
    #[schema(example = 30)]
    minutes: u32,
    /// Up to 500 characters.
    reason: Option<String>,
}

/// Why a session is paused, resumed or begun anew.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithReason {
    /// Up to 500 characters.
    reason: Option<String>,
}

/// Why a session ends.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseSession {
    /// Up to 500 characters.
    #[schema(example = "resolved")]
    end_reason: Option<String>,
}

/// Where a session goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSessionStatus {
    /// Where it goes.
    #[schema(value_type = words::SessionStatus)]
    status: SessionStatus,
    /// Up to 500 characters.
    reason: Option<String>,
}

/// Who holds a session from now on: one of the three.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignSession {
    /// A department, whose queue it joins.
    #[schema(value_type = Option<Uuid>)]
    department_id: Option<DepartmentId>,
    /// With a department: give it to the member who has the fewest open sessions, instead of to its queue.
    #[serde(default)]
    round_robin: bool,
    /// A member.
    #[schema(value_type = Option<Uuid>)]
    agent_id: Option<UserId>,
    /// A contact, whose turn it is.
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<ContactId>,
    /// For who gets it, up to 4,096 characters; stands in the conversation as a private note.
    note: Option<String>,
}

impl AssignSession {
    fn assignee(&self) -> Result<Assignee, app::Error> {
        match (self.department_id, self.agent_id, self.customer_id) {
            (Some(department), None, None) if self.round_robin => Ok(Assignee::LeastBusyOf(department)),
            (Some(department), None, None) => Ok(Assignee::Department(department)),
            (None, Some(agent), None) => Ok(Assignee::Agent(agent)),
            (None, None, Some(customer)) => Ok(Assignee::Customer(customer)),
            _ => Err(app::Error::invalid(
                "department_id",
                "name one of department_id, agent_id and customer_id",
            )),
        }
    }
}

/// Tags of a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionTags {
    /// Up to 100 characters each; a session has at most 50.
    #[schema(example = json!(["venda"]))]
    tags: Vec<String>,
}

/// Silences the AI for some minutes. An earlier silence is replaced.
#[utoipa::path(post, path = "/sessions/{id}/block-ai", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = BlockAi, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
    (status = 409, description = "The session is over", body = Problem),
))]
async fn block_ai(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    ValidJson(block): ValidJson<BlockAi>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let session = life::block_ai(&app, caller.identity(), id, block.minutes, block.reason.as_deref()).await?;
    Ok(Json(session.into()))
}

/// Lets the AI speak again.
#[utoipa::path(post, path = "/sessions/{id}/unblock-ai", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
))]
async fn unblock_ai(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(life::unblock_ai(&app, caller.identity(), id).await?.into()))
}

/// Ends a session, and closes its conversation until the customer writes again.
#[utoipa::path(post, path = "/sessions/{id}/close", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = Option<CloseSession>, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
    (status = 409, description = "`illegal_transition`", body = Problem),
))]
async fn close(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    body: Option<ValidJson<CloseSession>>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let end_reason = body.and_then(|ValidJson(body)| body.end_reason);
    Ok(Json(life::close(&app, caller.identity(), id, end_reason.as_deref()).await?.into()))
}

/// Begins a session that is over anew: ACTIVE for the agent who held it, else QUEUED.
#[utoipa::path(post, path = "/sessions/{id}/reopen", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = Option<WithReason>, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
    (status = 409, description = "`illegal_transition`, or another session is not over", body = Problem),
))]
async fn reopen(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    body: Option<ValidJson<WithReason>>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(life::reopen(&app, caller.identity(), id, reason(body).as_deref()).await?.into()))
}

/// A person holds the session: the AI is silent.
#[utoipa::path(post, path = "/sessions/{id}/pause", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = Option<WithReason>, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
    (status = 409, description = "`illegal_transition`", body = Problem),
))]
async fn pause(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    body: Option<ValidJson<WithReason>>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(life::pause(&app, caller.identity(), id, reason(body).as_deref()).await?.into()))
}

/// Goes on with a session that is paused.
#[utoipa::path(post, path = "/sessions/{id}/resume", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = Option<WithReason>, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
    (status = 409, description = "`illegal_transition`", body = Problem),
))]
async fn resume(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    body: Option<ValidJson<WithReason>>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(life::resume(&app, caller.identity(), id, reason(body).as_deref()).await?.into()))
}

/// Hands a session and its conversation on: to a department, to an agent, or to the customer.
#[utoipa::path(post, path = "/sessions/{id}/assign", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = AssignSession, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
    (status = 409, description = "The session is over", body = Problem),
))]
async fn assign(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    ValidJson(assign): ValidJson<AssignSession>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let session =
        life::assign(&app, caller.identity(), id, assign.assignee()?, assign.note.as_deref()).await?;
    Ok(Json(session.into()))
}

/// Moves a session to any status that its life cycle allows.
#[utoipa::path(patch, path = "/sessions/{id}/status", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = SetSessionStatus, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
    (status = 409, description = "`illegal_transition`, or another session is not over", body = Problem),
))]
async fn set_status(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    ValidJson(new): ValidJson<SetSessionStatus>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let session = life::set_status(&app, caller.identity(), id, new.status, new.reason.as_deref()).await?;
    Ok(Json(session.into()))
}

/// Puts tags on a session; those that are there stay.
#[utoipa::path(post, path = "/sessions/{id}/tags", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = SessionTags, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
))]
async fn add_tags(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    ValidJson(body): ValidJson<SessionTags>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(life::add_tags(&app, caller.identity(), id, &body.tags).await?.into()))
}

/// Takes tags off a session; those that are not there are no error.
#[utoipa::path(delete, path = "/sessions/{id}/tags", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = SessionTags, responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
))]
async fn remove_tags(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    ValidJson(body): ValidJson<SessionTags>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(life::remove_tags(&app, caller.identity(), id, &body.tags).await?.into()))
}

fn reason(body: Option<ValidJson<WithReason>>) -> Option<String> {
    body.and_then(|ValidJson(body)| body.reason)
}
