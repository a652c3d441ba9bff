//! `/segments`: saved filters over contacts.

use app::App;
use app::segments::{self, Change, Preview};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::segments::Segment;
use domain::SegmentId;
use domain::user::Permission;
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::contacts::ContactBody;
use crate::group::{Group, routes};

/// What cursors are of.
const LIST: &str = "segments";

/// The routes of this room.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list, create))
        .routes(routes!(preview_unsaved))
        .routes(routes!(find, change, delete))
        .routes(routes!(preview))
}

/// A segment.
#[derive(Serialize, ToSchema)]
pub struct SegmentBody {
    #[schema(value_type = Uuid)]
    id: SegmentId,
    name: String,
    /// Who passes.
    #[schema(value_type = Object)]
    filter: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Segment> for SegmentBody {
    fn from(segment: Segment) -> Self {
        Self {
            id: segment.id,
            name: segment.name,
            filter: segment.filter,
            created_at: segment.created_at,
            updated_at: segment.updated_at,
        }
    }
}

/// A new segment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSegment {
    /// 1 to 100 characters; unique in the company.
    name: String,
    /// `{"all": [node, …]}`, `{"any": [node, …]}`, `{"not": node}`, or a test `{"field", "op", "value"}`, such as
    /// `{"field": "tag", "op": "has", "value": "vip"}`. Fields: `name`, `phone`, `email`, `source`, `external_id`,
    /// `custom.<key>` (`eq`, `ne`, `in`, `contains`, `starts_with`, `known`; of `custom.<key>` also `lt`, `lte`, `gt`,
    /// `gte`, `is`, `before`, `after`), `tag` (`has`, `has_any`, `has_all`), `list` and `connection` (`in`), `created_at`,
    /// `last_inbound_at`, `last_outbound_at` (`before`, `after`, `within_days`, `not_within_days`, and `known` of the last
    /// two), `opted_out`, `bypass_bots`, `open_session`, `open_conversation` (`is`).
    #[schema(value_type = Object)]
    filter: Value,
}

/// What shall change of a segment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSegment {
    /// 1 to 100 characters; unique in the company.
    name: Option<String>,
    /// Who passes.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
}

/// A filter to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TryFilter {
    /// Who passes, as in a segment.
    #[schema(value_type = Object)]
    filter: Value,
}

/// Who passes a filter now.
#[derive(Serialize, ToSchema)]
pub struct PreviewBody {
    /// How many.
    count: i64,
    /// The newest of them, up to 20.
    items: Vec<ContactBody>,
}

impl From<Preview> for PreviewBody {
    fn from(Preview { count, contacts }: Preview) -> Self {
        Self { count, items: contacts.into_iter().map(ContactBody::from).collect() }
    }
}

/// The segments by name.
#[utoipa::path(get, path = "/segments", tag = "contacts", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<SegmentBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<SegmentBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = segments::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, SegmentBody::from)))
}

/// Saves a segment. A node of the filter that means nothing is named in the answer.
#[utoipa::path(post, path = "/segments", tag = "contacts", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewSegment, responses(
    (status = 201, body = SegmentBody),
    (status = 409, body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(NewSegment { name, filter }): ValidJson<NewSegment>,
) -> Result<(StatusCode, Json<SegmentBody>), ApiError> {
    let created = segments::create(&app, caller.identity(), &name, filter, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// Who passes a filter that is not saved: how many, and the newest.
#[utoipa::path(post, path = "/segments/preview", tag = "contacts", security(("bearer" = [])),
    request_body = TryFilter, responses(
    (status = 200, body = PreviewBody),
))]
async fn preview_unsaved(
    State(app): State<App>,
    caller: Caller,
    ValidJson(TryFilter { filter }): ValidJson<TryFilter>,
) -> Result<Json<PreviewBody>, ApiError> {
    Ok(Json(segments::preview_unsaved(&app, caller.identity(), &filter).await?.into()))
}

/// One segment.
#[utoipa::path(get, path = "/segments/{id}", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = SegmentBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SegmentId>,
) -> Result<Json<SegmentBody>, ApiError> {
    Ok(Json(segments::find(&app, caller.identity(), id).await?.into()))
}

/// Changes a segment's name or filter.
#[utoipa::path(patch, path = "/segments/{id}", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ChangeSegment, responses(
    (status = 200, body = SegmentBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SegmentId>,
    ValidJson(ChangeSegment { name, filter }): ValidJson<ChangeSegment>,
) -> Result<Json<SegmentBody>, ApiError> {
    let change = Change { name, filter };
    Ok(Json(segments::change(&app, caller.identity(), id, change).await?.into()))
}

/// Removes a segment; the contacts that pass it stay.
#[utoipa::path(delete, path = "/segments/{id}", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SegmentId>,
) -> Result<StatusCode, ApiError> {
    segments::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who passes a segment now: how many, and the newest.
#[utoipa::path(post, path = "/segments/{id}/preview", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = PreviewBody),
    (status = 404, body = Problem),
))]
async fn preview(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SegmentId>,
) -> Result<Json<PreviewBody>, ApiError> {
    Ok(Json(segments::preview(&app, caller.identity(), id).await?.into()))
}
