//! `/contacts/{id}/notes`: what the company's people note about a customer.

use app::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::contacts::notes::Note;
use domain::user::Permission;
use domain::{ContactId, ContactNoteId, UserId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list_notes, create_note)).routes(routes!(change_note, delete_note))
}

/// A note on a customer, who does not see it.
#[derive(Serialize, ToSchema)]
pub struct ContactNoteBody {
    #[schema(value_type = Uuid)]
    id: ContactNoteId,
    #[schema(value_type = Uuid)]
    contact_id: ContactId,
    text: String,
    /// Who wrote it; null when an API key did.
    #[schema(value_type = Option<Uuid>)]
    author_id: Option<UserId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Note> for ContactNoteBody {
    fn from(note: Note) -> Self {
        Self {
            id: note.id,
            contact_id: note.contact_id,
            text: note.text,
            author_id: note.author_user_id,
            created_at: note.created_at,
            updated_at: note.updated_at,
        }
    }
}

/// A new note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContactNote {
    /// 1 to 4,096 characters.
    text: String,
}

/// What shall change of a note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeContactNote {
    /// 1 to 4,096 characters.
    text: Option<String>,
}

/// Lists the notes on a contact, newest first.
#[utoipa::path(get, path = "/contacts/{id}/notes", tag = "contacts", params(("id" = Uuid, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = PageBody<ContactNoteBody>),
    (status = 404, body = Problem),
))]
async fn list_notes(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<ContactNoteBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let list = format!("contacts/{id}/notes");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let notes = app::contacts::notes::list(&app, caller.scope(), id, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, notes, ContactNoteBody::from)))
}

/// Writes a note on a contact.
#[utoipa::path(post, path = "/contacts/{id}/notes", tag = "contacts", params(("id" = Uuid, Path), IdempotencyHeader),
    security(("bearer" = [])), request_body = NewContactNote, responses(
    (status = 201, body = ContactNoteBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn create_note(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<NewContactNote>,
) -> Result<(StatusCode, Json<ContactNoteBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let note = app::contacts::notes::create(&app, caller.identity(), id, &new.text, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(note.into())))
}

/// Changes a note.
#[utoipa::path(patch, path = "/contacts/{id}/notes/{note_id}", tag = "contacts",
    params(("id" = Uuid, Path), ("note_id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeContactNote, responses(
    (status = 200, body = ContactNoteBody),
    (status = 404, body = Problem),
))]
async fn change_note(
    State(app): State<App>,
    caller: Caller,
    PathId((id, note_id)): PathId<(ContactId, ContactNoteId)>,
    ValidJson(change): ValidJson<ChangeContactNote>,
) -> Result<Json<ContactNoteBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let note =
        app::contacts::notes::change(&app, caller.identity(), id, note_id, change.text.as_deref()).await?;
    Ok(Json(note.into()))
}

/// Deletes a note.
#[utoipa::path(delete, path = "/contacts/{id}/notes/{note_id}", tag = "contacts",
    params(("id" = Uuid, Path), ("note_id" = Uuid, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete_note(
    State(app): State<App>,
    caller: Caller,
    PathId((id, note_id)): PathId<(ContactId, ContactNoteId)>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::WriteInbox)?;
    app::contacts::notes::delete(&app, caller.identity(), id, note_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
