//! `/contacts/{id}/export` and `/contacts/{id}/erase`: what a person may ask of the company by law.

use app::App;
use app::disclosures::{self, Disclosure};
use app::erasures;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::contacts::Contact;
use db::contacts::consents::Said;
use db::contacts::history::Entry;
use db::contacts::notes::Note;
use db::conversations::Conversation;
use db::erasures::Erasure;
use domain::contact::ContactChange;
use domain::user::Permission;
use domain::{ConnectionId, ContactId, ConversationId, ErasureId, ListId, MessageId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidQuery,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::contacts::ContactBody;
use crate::group::{Group, routes};
use crate::leads::LeadBody;
use crate::messages::MessageBody;
use crate::sessions::SessionBody;
use crate::words;

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(export)).routes(routes!(find_erasure, erase))
}

/// Which messages to tell.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Messages of a page, 1 to 1,000; 500 by default.
    #[serde(default = "half")]
    #[param(required = false)]
    limit: i64,
    /// `next_cursor` of the messages of the page before.
    cursor: Option<String>,
}

fn half() -> i64 {
    disclosures::MESSAGES / 2
}

/// Everything about one person, with one page of the messages. Whoever wants them all asks until there is no
/// `next_cursor`.
#[derive(Serialize, ToSchema)]
pub struct PersonExport {
    contact: ContactBody,
    /// Who was found to be the same person, with what was known of them.
    merged: Vec<MergedContact>,
    lists: Vec<ListName>,
    /// Newest first.
    notes: Vec<ExportedNote>,
    /// What the person said about being written to, oldest first.
    consents: Vec<ExportedConsent>,
    /// What was changed of the person, of their conversations and their sessions, oldest first.
    changes: Vec<ExportedChange>,
    conversations: Vec<ExportedConversation>,
    /// Oldest first.
    sessions: Vec<SessionBody>,
    /// What the person was to buy, newest first.
    leads: Vec<LeadBody>,
    /// Oldest first.
    messages: PageBody<MessageBody>,
}

/// Who was found to be the same person.
#[derive(Serialize, ToSchema)]
pub struct MergedContact {
    #[schema(value_type = Uuid)]
    id: ContactId,
    name: String,
    phone: Option<String>,
    email: Option<String>,
    username: Option<String>,
    external_id: Option<String>,
    source: String,
    #[schema(value_type = Object)]
    custom: Value,
    tags: Vec<String>,
    created_at: DateTime<Utc>,
}

impl From<Contact> for MergedContact {
    fn from(contact: Contact) -> Self {
        Self {
            id: contact.id,
            name: contact.name,
            phone: contact.phone,
            email: contact.email,
            username: contact.username,
            external_id: contact.external_id,
            source: contact.source,
            custom: contact.custom,
            tags: contact.tags,
            created_at: contact.created_at,
        }
    }
}

/// A list that the person is in.
#[derive(Serialize, ToSchema)]
pub struct ListName {
    #[schema(value_type = Uuid)]
    id: ListId,
    name: String,
    /// Since when.
    added_at: DateTime<Utc>,
}

impl From<(ListId, String, DateTime<Utc>)> for ListName {
    fn from((id, name, added_at): (ListId, String, DateTime<Utc>)) -> Self {
        Self { id, name, added_at }
    }
}

/// A note on the person.
#[derive(Serialize, ToSchema)]
pub struct ExportedNote {
    text: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Note> for ExportedNote {
    fn from(note: Note) -> Self {
        Self { text: note.text, created_at: note.created_at, updated_at: note.updated_at }
    }
}

/// What the person said about being written to.
#[derive(Serialize, ToSchema)]
pub struct ExportedConsent {
    /// `opt_out` or `opt_in`.
    kind: String,
    /// Of which messages: `all`, or `marketing` alone.
    scope: String,
    /// Where the company heard it.
    source: String,
    /// How it knows.
    proof: Option<String>,
    #[schema(value_type = Option<Uuid>)]
    message_id: Option<MessageId>,
    at: DateTime<Utc>,
}

impl From<Said> for ExportedConsent {
    fn from(said: Said) -> Self {
        let Said { kind, scope, source, proof, message_id, at, .. } = said;
        Self { kind, scope, source, proof, message_id, at }
    }
}

/// What was changed.
#[derive(Serialize, ToSchema)]
pub struct ExportedChange {
    #[schema(value_type = words::ContactChange)]
    kind: ContactChange,
    /// Of which conversation or session.
    object_id: Option<Uuid>,
    /// The fields that differ, as they were.
    #[schema(value_type = Object)]
    was: Value,
    /// As they became.
    #[schema(value_type = Object)]
    became: Value,
    at: DateTime<Utc>,
}

impl From<Entry> for ExportedChange {
    fn from(Entry { kind, object_id, was, became, at, .. }: Entry) -> Self {
        Self { kind, object_id, was, became, at }
    }
}

/// A conversation with the person.
#[derive(Serialize, ToSchema)]
pub struct ExportedConversation {
    #[schema(value_type = Uuid)]
    id: ConversationId,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    channel: String,
    #[schema(value_type = words::ConversationStatus)]
    status: String,
    is_group: bool,
    tags: Vec<String>,
    last_inbound_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

impl From<Conversation> for ExportedConversation {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id,
            connection_id: conversation.connection_id,
            channel: conversation.channel,
            status: conversation.status,
            is_group: conversation.is_group,
            tags: conversation.tags,
            last_inbound_at: conversation.last_inbound_at,
            updated_at: conversation.updated_at,
        }
    }
}

impl PersonExport {
    fn of(list: &str, told: Disclosure) -> Self {
        Self {
            contact: told.contact.into(),
            merged: told.merged.into_iter().map(MergedContact::from).collect(),
            lists: told.lists.into_iter().map(ListName::from).collect(),
            notes: told.notes.into_iter().map(ExportedNote::from).collect(),
            consents: told.consents.into_iter().map(ExportedConsent::from).collect(),
            changes: told.changes.into_iter().map(ExportedChange::from).collect(),
            conversations: told.conversations.into_iter().map(ExportedConversation::from).collect(),
            sessions: told.sessions.into_iter().map(SessionBody::from).collect(),
            leads: told.leads.into_iter().map(LeadBody::from).collect(),
            messages: PageBody::from_page(list, told.messages, MessageBody::from),
        }
    }
}

/// The erasure of a person.
#[derive(Serialize, ToSchema)]
pub struct ErasureBody {
    #[schema(value_type = Option<Uuid>)]
    id: Option<ErasureId>,
    #[schema(value_type = Uuid)]
    contact_id: ContactId,
    /// `none` when nobody asked for it, `running` or `done`.
    #[schema(value_type = words::ErasureState)]
    state: String,
    /// Messages that hold nothing of the person any more.
    messages: i64,
    requested_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl ErasureBody {
    fn none(contact_id: ContactId) -> Self {
        let state = "none".to_owned();
        Self { id: None, contact_id, state, messages: 0, requested_at: None, finished_at: None }
    }
}

impl From<Erasure> for ErasureBody {
    fn from(erasure: Erasure) -> Self {
        Self {
            id: Some(erasure.id),
            contact_id: erasure.contact_id,
            state: erasure.state,
            messages: erasure.messages,
            requested_at: Some(erasure.requested_at),
            finished_at: erasure.finished_at,
        }
    }
}

/// Everything that is known of one person. Who asks stands in the audit log.
#[utoipa::path(get, path = "/contacts/{id}/export", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path), ExportQuery), responses(
    (status = 200, body = PersonExport),
    (status = 404, body = Problem),
    (status = 409, description = "`contact_merged`", body = Problem),
))]
async fn export(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    ValidQuery(ExportQuery { limit, cursor }): ValidQuery<ExportQuery>,
) -> Result<Json<PersonExport>, ApiError> {
    caller.require(Permission::ManageContacts)?;
    let list = format!("contacts/{id}/export");
    let position = PageQuery { limit: None, cursor }.position(&list)?;
    let told = disclosures::tell(&app, caller.identity(), id, position, limit).await?;
    Ok(Json(PersonExport::of(&list, told)))
}

/// Forgets one person: names, numbers, addresses, words and files go for good; counts, money and statuses stay. The
/// contact is nobody at once, its messages follow; whoever writes from the same number is somebody new. Asked again, it
/// tells how far it got.
#[utoipa::path(post, path = "/contacts/{id}/erase", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path), IdempotencyHeader), responses(
    (status = 202, body = ErasureBody),
    (status = 404, body = Problem),
    (status = 409, description = "`contact_merged`", body = Problem),
))]
async fn erase(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    Idempotency(key): Idempotency,
) -> Result<(StatusCode, Json<ErasureBody>), ApiError> {
    let erasure = erasures::request(&app, caller.identity(), id, key.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, Json(erasure.into())))
}

/// How far the erasure of a person got.
#[utoipa::path(get, path = "/contacts/{id}/erase", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = ErasureBody),
    (status = 404, body = Problem),
))]
async fn find_erasure(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
) -> Result<Json<ErasureBody>, ApiError> {
    let erasure = erasures::find(&app, caller.identity(), id).await?;
    Ok(Json(erasure.map_or_else(|| ErasureBody::none(id), ErasureBody::from)))
}
