//! `/conversations`: the inbox. Here what is read · [`life`] what is done to conversations · [`quick_replies`] texts that people
//! send often.

pub mod life;
pub mod quick_replies;

use app::App;
use app::conversations::Listed;
use app::messages::SERVICE_WINDOW;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::conversations::inbox::Filter;
use db::messages::Within;
use domain::connection::ConnectionKind;
use domain::user::Permission;
use domain::{ConnectionId, ContactId, ConversationId, DepartmentId, UserId};
use runtime::http::{ApiError, Caller, PageBody, PageQuery, PathId, Problem, ValidQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::contacts::ContactSummary;
use crate::group::{Group, routes};
use crate::messages::MessageBody;
use crate::words;

/// What cursors are of.
const LIST: &str = "conversations";

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list))
        .routes(routes!(find))
        .routes(routes!(list_messages))
        .routes(routes!(mark_read))
        .merge(life::router())
        .merge(quick_replies::router())
}

/// A conversation.
#[derive(Serialize, ToSchema)]
pub struct ConversationBody {
    #[schema(value_type = Uuid)]
    id: ConversationId,
    #[schema(value_type = Uuid)]
    contact_id: ContactId,
    contact: ContactSummary,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    channel: String,
    #[schema(value_type = words::ConversationStatus)]
    status: String,
    unread_count: i32,
    last_message: Option<MessageBody>,
    last_inbound_at: Option<DateTime<Utc>>,
    /// Until then the business may write freely; after it only templates.
    window_expires_at: Option<DateTime<Utc>>,
    assignee_id: Option<Uuid>,
    department_id: Option<Uuid>,
    tags: Vec<String>,
    is_group: bool,
    /// Grows with every change.
    version: i32,
    updated_at: DateTime<Utc>,
}

impl From<Listed> for ConversationBody {
    fn from(Listed { conversation, last_message }: Listed) -> Self {
        let channel: Result<ConnectionKind, _> = conversation.channel.parse();
        let has_window = channel.is_ok_and(ConnectionKind::has_service_window);
        let window_expires_at =
            conversation.last_inbound_at.filter(|_| has_window).map(|at| at + SERVICE_WINDOW);
        Self {
            id: conversation.id,
            contact_id: conversation.contact_id,
            contact: ContactSummary {
                id: conversation.contact_id,
                name: conversation.contact_name,
                phone: conversation.contact_phone,
                username: conversation.contact_username,
            },
            connection_id: conversation.connection_id,
            channel: conversation.channel,
            status: conversation.status,
            unread_count: conversation.unread_count,
            last_message: last_message.map(MessageBody::from),
            last_inbound_at: conversation.last_inbound_at,
            window_expires_at,
            assignee_id: conversation.assignee_id,
            department_id: conversation.department_id,
            tags: conversation.tags,
            is_group: conversation.is_group,
            version: conversation.version,
            updated_at: conversation.updated_at,
        }
    }
}

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationStatus {
    /// It goes on.
    Open,
    /// It is over, until somebody writes.
    Closed,
}

impl ConversationStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// Which conversations to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConversationQuery {
    /// Where it stands.
    #[param(inline, value_type = Option<words::ConversationStatus>)]
    status: Option<ConversationStatus>,
    /// Over one connection.
    #[param(value_type = Option<Uuid>)]
    connection_id: Option<ConnectionId>,
    /// With one contact.
    #[param(value_type = Option<Uuid>)]
    contact_id: Option<ContactId>,
    /// Over one channel.
    #[param(example = "whatsapp_cloud")]
    channel: Option<String>,
    /// Held by one member.
    #[param(value_type = Option<Uuid>)]
    assignee_id: Option<UserId>,
    /// Held by a member, or by none: it may wait in a department.
    assigned: Option<bool>,
    /// Held by one department.
    #[param(value_type = Option<Uuid>)]
    department_id: Option<DepartmentId>,
    /// With one tag.
    tag: Option<String>,
    /// With unread messages, or without.
    unread: Option<bool>,
    /// Words of its messages, beginnings of the contact's name, or digits of the contact's number; up to 200 characters.
    #[param(example = "ana souza")]
    q: Option<String>,
    /// Group chats too.
    #[serde(default)]
    include_groups: bool,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists conversations, latest activity first.
#[utoipa::path(get, path = "/conversations", tag = "inbox", params(ConversationQuery), security(("bearer" = [])),
    responses(
    (status = 200, body = PageBody<ConversationBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ConversationQuery>,
) -> Result<Json<PageBody<ConversationBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let filter = Filter {
        status: query.status.map(|status| status.as_str().to_owned()),
        connection_id: query.connection_id,
        contact_id: query.contact_id,
        channel: query.channel,
        assignee_id: query.assignee_id,
        assigned: query.assigned,
        department_id: query.department_id,
        tag: query.tag,
        unread: query.unread,
        include_groups: query.include_groups,
    };
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let listed =
        app::conversations::list(&app, caller.scope(), &filter, query.q.as_deref(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, listed, ConversationBody::from)))
}

/// Finds a conversation.
#[utoipa::path(get, path = "/conversations/{id}", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ConversationBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
) -> Result<Json<ConversationBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::conversations::find(&app, caller.scope(), id).await?.into()))
}

/// Lists a conversation's messages, newest first.
#[utoipa::path(get, path = "/conversations/{id}/messages", tag = "inbox", params(("id" = Uuid, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = PageBody<MessageBody>),
    (status = 404, body = Problem),
))]
async fn list_messages(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<MessageBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let within = Within::Conversation(id);
    let list = format!("conversations/{id}/messages");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let messages = app::messages::list(&app, caller.scope(), within, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, messages, MessageBody::from)))
}

/// Marks a conversation as read, here and at the provider.
#[utoipa::path(post, path = "/conversations/{id}/read", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ConversationBody),
    (status = 404, body = Problem),
))]
async fn mark_read(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
) -> Result<Json<ConversationBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(app::conversations::mark_read(&app, caller.scope(), id).await?.into()))
}
