//! `/contacts/{id}/timeline`: all that happened with a customer.

use app::App;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::contacts::timeline::Entry;
use domain::ContactId;
use domain::user::Permission;
use runtime::http::{ApiError, Caller, PageBody, PageQuery, PathId, Problem, ValidQuery};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::group::{Group, routes};

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(timeline))
}

/// One thing that happened.
#[derive(Serialize, ToSchema)]
pub struct TimelineEntry {
    /// `contact_created`, `contact_changed`, `note`, `opt_out`, `opt_in`, `session_started`, `session_changed`,
    /// `session_closed`, `conversation_changed`, `message`, `contact_merged`, `contact_unmerged`, or `lead_` with what a
    /// lead's history calls it (`lead_moved`); others may come. A session that somebody ends is `session_changed` by them,
    /// and `session_closed`.
    #[schema(example = "message")]
    kind: String,
    /// The id of the note, the session, the message, the merge, the change, the entry of a lead's history, …
    id: Uuid,
    at: DateTime<Utc>,
    /// The note, the proof, the reason of an end or a move; of a message its first line.
    text: Option<String>,
    /// The person or API key who did it, where that is known.
    actor_id: Option<Uuid>,
    /// The kind's own fields. Of what was changed: the fields that differ, as they were in `was` and as they became in
    /// `became` (those of the company's own are `custom.<key>`, also where it has the field no more), `actor_kind`, and
    /// `conversation_id`, `session_id` or `import_id`.
    #[schema(value_type = Object)]
    detail: Value,
}

impl From<Entry> for TimelineEntry {
    fn from(entry: Entry) -> Self {
        let Entry { kind, id, at, text, actor_id, detail } = entry;
        Self { kind, id, at, text, actor_id, detail }
    }
}

/// Lists all that happened with a contact, newest first.
#[utoipa::path(get, path = "/contacts/{id}/timeline", tag = "contacts", params(("id" = Uuid, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = PageBody<TimelineEntry>),
    (status = 404, body = Problem),
))]
async fn timeline(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<TimelineEntry>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let list = format!("contacts/{id}/timeline");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let entries = app::contacts::timeline::list(&app, caller.scope(), id, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, entries, TimelineEntry::from)))
}
