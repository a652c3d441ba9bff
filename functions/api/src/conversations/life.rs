//! What is done to conversations: opening, changing, handing on, marking as unread, notes.

use app::App;
use app::conversations::life::{self, Change};
use app::conversations::notes;
use app::sessions::life::Assignee;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::user::Permission;
use domain::{ConnectionId, ContactId, ConversationId, DepartmentId, UserId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ConversationBody, ConversationStatus};
use crate::group::{Group, routes};
use crate::messages::MessageBody;
use crate::words;

/// The routes of this room.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(open))
        .routes(routes!(change))
        .routes(routes!(assign))
        .routes(routes!(mark_unread))
        .routes(routes!(list_notes, write_note))
}

/// A conversation to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenConversation {
    /// With whom.
    #[schema(value_type = Uuid)]
    contact_id: ContactId,
    /// Over which connection.
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
}

/// What shall change of a conversation. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeConversation {
    /// `closed` ends its session too; `open` begins no session.
    #[schema(value_type = Option<words::ConversationStatus>)]
    status: Option<ConversationStatus>,
    /// In place of those that were: up to 50, of up to 100 characters each.
    #[schema(example = json!(["vip"]))]
    tags: Option<Vec<String>>,
    /// A department, whose queue it joins; `null`: none.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<Uuid>)]
    department_id: Option<Option<DepartmentId>>,
    /// A member; `null`: nobody.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<Uuid>)]
    assignee_id: Option<Option<UserId>>,
}

/// Who holds a conversation from now on: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignConversation {
    /// A department, whose queue it joins.
    #[schema(value_type = Option<Uuid>)]
    department_id: Option<DepartmentId>,
    /// With a department: give it to the member who has the fewest open sessions, instead of to its queue.
    #[serde(default)]
    round_robin: bool,
    /// A member.
    #[schema(value_type = Option<Uuid>)]
    agent_id: Option<UserId>,
    /// For who gets it, up to 4,096 characters; stands in the conversation as a private note.
    note: Option<String>,
}

impl AssignConversation {
    fn assignee(&self) -> Result<Assignee, app::Error> {
        match (self.department_id, self.agent_id) {
            (Some(department), None) if self.round_robin => Ok(Assignee::LeastBusyOf(department)),
            (Some(department), None) => Ok(Assignee::Department(department)),
            (None, Some(agent)) => Ok(Assignee::Agent(agent)),
            _ => Err(app::Error::invalid("department_id", "name one of department_id and agent_id")),
        }
    }
}

/// A private note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteNote {
    /// 1 to 4,096 characters. No customer sees it.
    #[schema(example = "Prefere ser chamada à tarde")]
    text: String,
}

/// Opens a conversation with a contact, without a word. The one that there is over this connection is answered as it is.
#[utoipa::path(post, path = "/conversations", tag = "inbox", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = OpenConversation, responses(
    (status = 200, description = "There was one", body = ConversationBody),
    (status = 201, body = ConversationBody),
    (status = 404, body = Problem),
    (status = 409, description = "`no_address`, `idempotency_key_reused`", body = Problem),
))]
async fn open(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<OpenConversation>,
) -> Result<(StatusCode, Json<ConversationBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let OpenConversation { contact_id, connection_id } = new;
    let (conversation, is_new) =
        life::open(&app, caller.identity(), contact_id, connection_id, key.as_ref()).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(conversation.into())))
}

/// Changes a conversation: open or closed, its tags, who holds it. Its session goes along.
#[utoipa::path(patch, path = "/conversations/{id}", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeConversation, responses(
    (status = 200, body = ConversationBody),
    (status = 404, body = Problem),
    (status = 409, description = "It is closed, and nobody's to hold", body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
    ValidJson(change): ValidJson<ChangeConversation>,
) -> Result<Json<ConversationBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let ChangeConversation { status, tags, department_id, assignee_id } = change;
    let closed = status.map(|status| matches!(status, ConversationStatus::Closed));
    let change = Change { closed, tags, department_id, assignee_id };
    Ok(Json(life::change(&app, caller.identity(), id, change).await?.into()))
}

/// Hands a conversation and its session on: to a department, to the least busy of its members, or to an agent.
#[utoipa::path(post, path = "/conversations/{id}/assign", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = AssignConversation, responses(
    (status = 200, body = ConversationBody),
    (status = 404, body = Problem),
    (status = 409, description = "It is closed, and nobody's to hold", body = Problem),
))]
async fn assign(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
    ValidJson(assign): ValidJson<AssignConversation>,
) -> Result<Json<ConversationBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let assignee = assign.assignee()?;
    let conversation = life::assign(&app, caller.identity(), id, assignee, assign.note.as_deref()).await?;
    Ok(Json(conversation.into()))
}

/// Marks a conversation as unread. The provider is told nothing.
#[utoipa::path(post, path = "/conversations/{id}/unread", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ConversationBody),
    (status = 404, body = Problem),
))]
async fn mark_unread(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
) -> Result<Json<ConversationBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(life::mark_unread(&app, caller.identity(), id).await?.into()))
}

/// Lists a conversation's private notes, newest first.
#[utoipa::path(get, path = "/conversations/{id}/notes", tag = "inbox", params(("id" = Uuid, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = PageBody<MessageBody>),
    (status = 404, body = Problem),
))]
async fn list_notes(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<MessageBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let list = format!("conversations/{id}/notes");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let notes = notes::list(&app, caller.scope(), id, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, notes, MessageBody::from)))
}

/// Writes a private note into a conversation: a message of type `note`, which is never sent.
#[utoipa::path(post, path = "/conversations/{id}/notes", tag = "inbox",
    params(("id" = Uuid, Path), IdempotencyHeader), security(("bearer" = [])), request_body = WriteNote, responses(
    (status = 201, body = MessageBody),
    (status = 404, body = Problem),
    (status = 409, description = "`idempotency_key_reused`", body = Problem),
))]
async fn write_note(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
    Idempotency(key): Idempotency,
    ValidJson(note): ValidJson<WriteNote>,
) -> Result<(StatusCode, Json<MessageBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let note = notes::write(&app, caller.identity(), id, &note.text, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(note.into())))
}
