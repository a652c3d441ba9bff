//! `/messages`: what was said, and writing to a customer.

use app::App;
use app::Error;
use app::idempotency::IdempotencyKey;
use app::messages::{NewFile, NewMessage, Target, Wish};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::messages::Message;
use domain::message::{Author, Direction, MessageStatus, MessageType};
use domain::user::Permission;
use domain::{ConnectionId, ContactId, ConversationId, MediaId, MessageId, SessionId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::group::{Group, routes};
use crate::media::AttachmentBody;
use crate::words;

/// What cursors are of.
const LIST: &str = "messages";

/// The routes of this group.
pub fn router() -> Group {
    Group::new().routes(routes!(list, write)).routes(routes!(find)).routes(routes!(retry))
}

/// A message.
#[derive(Serialize, ToSchema)]
pub struct MessageBody {
    #[schema(value_type = Uuid)]
    id: MessageId,
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
    #[schema(value_type = Uuid)]
    session_id: SessionId,
    #[schema(value_type = words::Direction)]
    direction: Direction,
    #[schema(value_type = words::Author)]
    author: Author,
    #[serde(rename = "type")]
    #[schema(value_type = words::MessageType)]
    message_type: MessageType,
    /// What a person reads: body, caption, button title.
    text: Option<String>,
    /// The file, if it has one.
    media: Option<AttachmentBody>,
    /// The template, if it is one.
    #[schema(value_type = Option<Object>)]
    template: Option<Value>,
    /// The type's own fields in the provider's words: location, contacts, interactive, order, referral …
    #[schema(value_type = Option<Object>)]
    content: Option<Value>,
    #[schema(value_type = Option<Uuid>)]
    reply_to_id: Option<MessageId>,
    /// received, queued, sending, sent, delivered, read, failed or unknown.
    #[schema(value_type = words::MessageStatus)]
    status: MessageStatus,
    /// Why it failed: code, title, detail.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    provider_message_id: Option<String>,
    /// Grows with every change.
    version: i32,
    /// Its place in the conversation: the provider's time inbound, ours outbound.
    occurred_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    read_at: Option<DateTime<Utc>>,
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        let (template, content) = match message.message_type {
            MessageType::Template => (message.content, None),
            _ => (None, message.content),
        };
        Self {
            id: message.id,
            conversation_id: message.conversation_id,
            session_id: message.session_id,
            direction: message.direction,
            author: message.author,
            message_type: message.message_type,
            text: message.text,
            media: message.media.as_ref().map(AttachmentBody::of),
            template,
            content,
            reply_to_id: message.reply_to_id,
            status: message.status,
            error: message.error,
            provider_message_id: message.provider_message_id,
            version: message.version,
            occurred_at: message.occurred_at,
            created_at: message.created_at,
            sent_at: message.sent_at,
            delivered_at: message.delivered_at,
            read_at: message.read_at,
        }
    }
}

/// A message to write. It goes into `conversation_id`, or to `contact_id` over `connection_id`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteMessage {
    #[schema(value_type = Option<Uuid>)]
    conversation_id: Option<ConversationId>,
    #[schema(value_type = Option<Uuid>)]
    contact_id: Option<ContactId>,
    #[schema(value_type = Option<Uuid>)]
    connection_id: Option<ConnectionId>,
    /// text, template, interactive, reaction, location or contacts; or with a file image, audio, video, document or sticker.
    #[serde(rename = "type")]
    #[schema(value_type = words::MessageType)]
    message_type: MessageType,
    /// The text, to 4096 characters; of an image, a video or a document what stands below it, to 1024.
    text: Option<String>,
    /// A file that is ready, for the types that are files.
    #[schema(value_type = Option<Uuid>)]
    media_id: Option<MediaId>,
    /// Show an audio, which is Ogg with Opus, as a voice note.
    #[serde(default)]
    voice: bool,
    /// Template in the Cloud API's words: name, language, components.
    #[schema(value_type = Option<Object>)]
    template: Option<Value>,
    /// Interactive message in the Cloud API's words.
    #[schema(value_type = Option<Object>)]
    interactive: Option<Value>,
    /// `message_id` of ours and `emoji`; an empty one takes the reaction back.
    #[schema(value_type = Option<Object>)]
    reaction: Option<Value>,
    /// Location in the Cloud API's words.
    #[schema(value_type = Option<Object>)]
    location: Option<Value>,
    /// Contact cards in the Cloud API's words.
    #[schema(value_type = Option<Vec<Object>>)]
    contacts: Option<Value>,
    /// AGENT, AI, BUSINESS, SYSTEM or AGENT_PLATFORM; by default AGENT for people, AGENT_PLATFORM for API keys.
    #[schema(value_type = Option<words::Author>)]
    author: Option<Author>,
    /// The message that this one answers.
    #[schema(value_type = Option<Uuid>)]
    reply_to_id: Option<MessageId>,
    /// Really send it (default), or only record it.
    #[serde(default = "default_true")]
    send_external: bool,
    /// A person takes over: the AI falls silent in this session.
    #[serde(default)]
    pause_session: bool,
}

fn default_true() -> bool {
    true
}

impl WriteMessage {
    fn into_new(self, idempotency_key: Option<IdempotencyKey>) -> Result<NewMessage, Error> {
        let target = match (self.conversation_id, self.contact_id, self.connection_id) {
            (Some(id), None, None) => Target::Conversation(id),
            (None, Some(contact), Some(connection)) => Target::Contact(contact, connection),
            _ => {
                let message = "either conversation_id, or contact_id with connection_id";
                return Err(Error::invalid("conversation_id", message));
            }
        };
        if self.author == Some(Author::Customer) {
            return Err(Error::invalid("author", "a customer's message comes from the customer"));
        }
        if self.voice && (self.message_type != MessageType::Audio || self.media_id.is_none()) {
            return Err(Error::invalid("voice", "only an audio file is a voice note"));
        }
        let content = match self.message_type {
            MessageType::Template => self.template,
            MessageType::Interactive => self.interactive,
            MessageType::Reaction => self.reaction,
            MessageType::Location => self.location,
            MessageType::Contacts => self.contacts,
            _ => None,
        };
        Ok(NewMessage {
            target,
            message_type: self.message_type,
            text: self.text,
            content,
            file: self.media_id.map(|media_id| NewFile { media_id, voice: self.voice }),
            author: self.author,
            reply_to_id: self.reply_to_id,
            send_external: self.send_external,
            pause_session: self.pause_session,
            idempotency_key,
        })
    }
}

/// Which messages to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Of one conversation.
    #[param(value_type = Option<Uuid>)]
    conversation_id: Option<ConversationId>,
    /// With one contact.
    #[param(value_type = Option<Uuid>)]
    contact_id: Option<ContactId>,
    /// With all of these words, or others of the same stems; up to 200 characters.
    #[param(example = "pedido atrasado")]
    q: Option<String>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the company's messages, newest first.
#[utoipa::path(get, path = "/messages", tag = "messages", params(MessageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<MessageBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<MessageQuery>,
) -> Result<Json<PageBody<MessageBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let wish = Wish { conversation_id: query.conversation_id, contact_id: query.contact_id, q: query.q };
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let messages = app::messages::list_wished(&app, caller.scope(), &wish, position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, messages, MessageBody::from)))
}

/// Writes to a customer. The answer comes before the message goes out; its status tells how far it got.
#[utoipa::path(post, path = "/messages", tag = "messages", request_body = WriteMessage,
    params(IdempotencyHeader), security(("bearer" = [])), responses(
    (status = 202, body = MessageBody),
    (status = 404, body = Problem),
    (status = 409, description = "window_closed, contact_opted_out, marketing_opted_out, contact_erased, no_address, \
        media_not_ready, group_send_unsupported, idempotency_key_reused; of a template: template_not_found, \
        template_not_approved, template_paused, template_disabled, template_rejected; conflict for a reaction to what \
        has not reached the provider", body = Problem),
    (status = 422, description = "A wrong field, or content over a limit", body = Problem),
))]
async fn write(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(body): ValidJson<WriteMessage>,
) -> Result<(StatusCode, Json<MessageBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let new = body.into_new(key)?;
    let message = app::messages::write(&app, caller.identity(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(message.into())))
}

/// Finds a message.
#[utoipa::path(get, path = "/messages/{id}", tag = "messages", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = MessageBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<MessageId>,
) -> Result<Json<MessageBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::messages::find(&app, caller.scope(), id).await?.into()))
}

/// Sends a message again that failed, or whose outcome stayed unknown.
#[utoipa::path(post, path = "/messages/{id}/retry", tag = "messages", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 202, body = MessageBody),
    (status = 404, body = Problem),
    (status = 409, description = "conflict when it is on its way, or arrived; else as for a new one: window_closed, \
        contact_opted_out, marketing_opted_out, contact_erased, template_not_found, template_not_approved, \
        template_paused, template_disabled, template_rejected", body = Problem),
))]
async fn retry(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<MessageId>,
) -> Result<(StatusCode, Json<MessageBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let message = app::messages::retry(&app, caller.scope(), id).await?;
    Ok((StatusCode::ACCEPTED, Json(message.into())))
}
