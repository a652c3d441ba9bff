//! `/sessions`: who handles a stretch of a conversation. Here what is read · [`life`] what is done to them.

pub mod life;

use app::App;
use app::sessions::AiStatus;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::messages::Within;
use db::sessions::{Filter, Session};
use domain::session::{SessionStatus, StartedBy};
use domain::user::Permission;
use domain::{ContactId, ConversationId, SessionId};
use runtime::http::{ApiError, Caller, Cursor, PageBody, PageQuery, PathId, Problem, ValidQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::contacts::ContactBody;
use crate::group::{Group, routes};
use crate::messages::MessageBody;
use crate::words;

/// What cursors are of.
const LIST: &str = "sessions";

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list))
        .routes(routes!(by_contact))
        .routes(routes!(find))
        .routes(routes!(list_messages))
        .routes(routes!(ai_status))
        .merge(life::router())
}

/// A session.
#[derive(Serialize, ToSchema)]
pub struct SessionBody {
    #[schema(value_type = Uuid)]
    id: SessionId,
    #[schema(value_type = Uuid)]
    contact_id: ContactId,
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
    #[schema(value_type = words::SessionStatus)]
    status: SessionStatus,
    #[schema(value_type = words::StartedBy)]
    started_by: StartedBy,
    status_reason: Option<String>,
    /// `history`: it holds messages from before the connection was made. Its beginning goes back as older ones come.
    end_reason: Option<String>,
    external_id: Option<String>,
    assigned_department_id: Option<Uuid>,
    assigned_agent_id: Option<Uuid>,
    assigned_customer_id: Option<Uuid>,
    /// Seconds of silence that end a customer's burst, 5 to 8.
    concat_timeout: i32,
    /// Until then the AI is silent; `null` once that is over.
    ai_blocked_until: Option<DateTime<Utc>>,
    /// Why it was silenced.
    ai_block_reason: Option<String>,
    tabulations: Vec<String>,
    created_at: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
}

impl From<Session> for SessionBody {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            contact_id: session.contact_id,
            conversation_id: session.conversation_id,
            status: session.status,
            started_by: session.started_by,
            status_reason: session.status_reason,
            end_reason: session.end_reason,
            external_id: session.external_id,
            assigned_department_id: session.assigned_department_id,
            assigned_agent_id: session.assigned_agent_id,
            assigned_customer_id: session.assigned_customer_id,
            concat_timeout: session.concat_timeout,
            ai_blocked_until: session.ai_blocked_until,
            ai_block_reason: session.ai_block_reason,
            tabulations: session.tabulations,
            created_at: session.created_at,
            closed_at: session.closed_at,
        }
    }
}

/// Whether the AI may speak.
#[derive(Serialize, ToSchema)]
pub struct AiStatusBody {
    ai_enabled: bool,
    blocked_until: Option<DateTime<Utc>>,
    /// session_paused, session_closed, ai_blocked, contact_bypasses_bots or no_persona.
    reason: Option<String>,
}

impl From<AiStatus> for AiStatusBody {
    fn from(status: AiStatus) -> Self {
        Self {
            ai_enabled: status.ai_enabled,
            blocked_until: status.blocked_until,
            reason: status.reason.map(str::to_owned),
        }
    }
}

/// Everything about one contact.
#[derive(Serialize, ToSchema)]
pub struct ByContactBody {
    contact: ContactBody,
    /// All sessions, oldest first.
    sessions: Vec<SessionBody>,
    /// A page of the messages of all sessions, oldest first.
    all_messages: Vec<MessageBody>,
    pagination: Pagination,
}

/// Where the next page begins.
#[derive(Serialize, ToSchema)]
pub struct Pagination {
    limit: i64,
    next_cursor: Option<String>,
}

/// Which sessions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Where they stand.
    #[param(inline, value_type = Option<words::SessionStatus>)]
    status: Option<SessionStatus>,
    /// Of one contact.
    #[param(value_type = Option<Uuid>)]
    contact_id: Option<ContactId>,
    /// Assigned to one agent.
    agent_id: Option<Uuid>,
    /// Assigned to one department.
    department_id: Option<Uuid>,
    /// With one tag.
    tag: Option<String>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists sessions, newest first.
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(SessionQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<SessionBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<SessionQuery>,
) -> Result<Json<PageBody<SessionBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let filter = Filter {
        status: query.status,
        contact_id: query.contact_id,
        agent_id: query.agent_id,
        department_id: query.department_id,
        tag: query.tag,
    };
    let sessions =
        app::sessions::list(&app, caller.scope(), &filter, page.position(LIST)?, page.limit()?).await?;
    Ok(Json(PageBody::from_page(LIST, sessions, SessionBody::from)))
}

/// Finds a session.
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = SessionBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::sessions::find(&app, caller.scope(), id).await?.into()))
}

/// Lists a session's messages, newest first.
#[utoipa::path(get, path = "/sessions/{id}/messages", tag = "sessions", params(("id" = Uuid, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = PageBody<MessageBody>),
    (status = 404, body = Problem),
))]
async fn list_messages(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<MessageBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let within = Within::Session(id);
    let list = format!("sessions/{id}/messages");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let messages = app::messages::list(&app, caller.scope(), within, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, messages, MessageBody::from)))
}

/// Whether the AI may speak in a session, and why not.
#[utoipa::path(get, path = "/sessions/{id}/ai-status", tag = "sessions", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = AiStatusBody),
    (status = 404, body = Problem),
))]
async fn ai_status(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
) -> Result<Json<AiStatusBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::sessions::ai_status(&app, caller.scope(), id).await?.into()))
}

/// Everything about one contact: all sessions, and all messages of all of them in order.
#[utoipa::path(get, path = "/sessions/by-contact/{contact_id}", tag = "sessions",
    params(("contact_id" = Uuid, Path), PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = ByContactBody),
    (status = 404, body = Problem),
))]
async fn by_contact(
    State(app): State<App>,
    caller: Caller,
    PathId(contact_id): PathId<ContactId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<ByContactBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let list = format!("sessions/by-contact/{contact_id}");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let history = app::sessions::by_contact(&app, caller.scope(), contact_id, position, limit).await?;
    let next_cursor = history.messages.next.map(|position| Cursor::encode(&list, position));
    Ok(Json(ByContactBody {
        contact: history.contact.into(),
        sessions: history.sessions.into_iter().map(SessionBody::from).collect(),
        all_messages: history.messages.items.into_iter().map(MessageBody::from).collect(),
        pagination: Pagination { limit, next_cursor },
    }))
}
