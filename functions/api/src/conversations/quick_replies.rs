//! `/quick-replies`: texts that people send often.

use app::App;
use app::quick_replies::{self, Change, NewQuickReply};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::quick_replies::QuickReply;
use domain::user::Permission;
use domain::{ConversationId, QuickReplyId, UserId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::group::{Group, routes};

/// What cursors are of.
const LIST: &str = "quick-replies";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(find, change, delete)).routes(routes!(render))
}

/// A quick reply.
#[derive(Serialize, ToSchema)]
pub struct QuickReplyBody {
    #[schema(value_type = Uuid)]
    id: QuickReplyId,
    shortcut: String,
    text: String,
    tags: Vec<String>,
    /// Whose alone it is; `null`: the company's.
    #[schema(value_type = Option<Uuid>)]
    owner_id: Option<UserId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<QuickReply> for QuickReplyBody {
    fn from(reply: QuickReply) -> Self {
        Self {
            id: reply.id,
            shortcut: reply.shortcut,
            text: reply.text,
            tags: reply.tags,
            owner_id: reply.owner_id,
            created_at: reply.created_at,
            updated_at: reply.updated_at,
        }
    }
}

/// Which quick replies to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QuickReplyQuery {
    /// With this in their shortcut or text, accents and case aside; up to 200 characters.
    q: Option<String>,
    /// With one tag.
    tag: Option<String>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A new quick reply.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateQuickReply {
    /// One word of up to 50 characters; a slash before it is left out, and case is none. Unique in the company, personal
    /// ones among those of their person.
    #[schema(example = "frete")]
    shortcut: String,
    /// 1 to 4,096 characters. Variables: `{{contact.name}}`, `{{contact.first_name}}`, `{{contact.phone}}`,
    /// `{{contact.email}}`, `{{contact.custom.<field>}}`, `{{agent.name}}`, `{{company.name}}`; with other words for where
    /// there is none: `{{contact.first_name|cliente}}`.
    #[schema(example = "Olá, {{contact.first_name|tudo bem}}! O frete é grátis.")]
    text: String,
    /// Up to 20, of up to 100 characters each.
    #[serde(default)]
    tags: Vec<String>,
    /// For the caller alone.
    #[serde(default)]
    personal: bool,
}

/// What shall change of a quick reply. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeQuickReply {
    /// One word of up to 50 characters.
    shortcut: Option<String>,
    /// 1 to 4,096 characters.
    text: Option<String>,
    /// In place of those that were.
    tags: Option<Vec<String>>,
}

/// For which conversation a quick reply is filled in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderQuickReply {
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
}

/// A quick reply, filled in.
#[derive(Serialize, ToSchema)]
pub struct RenderedQuickReply {
    text: String,
}

/// The company's quick replies and the caller's own, by shortcut.
#[utoipa::path(get, path = "/quick-replies", tag = "inbox", params(QuickReplyQuery), security(("bearer" = [])),
    responses(
    (status = 200, body = PageBody<QuickReplyBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<QuickReplyQuery>,
) -> Result<Json<PageBody<QuickReplyBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (q, tag) = (query.q.as_deref(), query.tag.as_deref());
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let replies = quick_replies::list(&app, caller.identity(), q, tag, position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, replies, QuickReplyBody::from)))
}

/// Makes a quick reply.
#[utoipa::path(post, path = "/quick-replies", tag = "inbox", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = CreateQuickReply, responses(
    (status = 201, body = QuickReplyBody),
    (status = 409, description = "The shortcut is taken, or `idempotency_key_reused`", body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<CreateQuickReply>,
) -> Result<(StatusCode, Json<QuickReplyBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let CreateQuickReply { shortcut, text, tags, personal } = new;
    let new = NewQuickReply { shortcut, text, tags, personal };
    let created = quick_replies::create(&app, caller.identity(), new, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// One quick reply.
#[utoipa::path(get, path = "/quick-replies/{id}", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = QuickReplyBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<QuickReplyId>,
) -> Result<Json<QuickReplyBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(quick_replies::find(&app, caller.identity(), id).await?.into()))
}

/// Changes a quick reply.
#[utoipa::path(patch, path = "/quick-replies/{id}", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeQuickReply, responses(
    (status = 200, body = QuickReplyBody),
    (status = 404, body = Problem),
    (status = 409, description = "The shortcut is taken", body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<QuickReplyId>,
    ValidJson(change): ValidJson<ChangeQuickReply>,
) -> Result<Json<QuickReplyBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let ChangeQuickReply { shortcut, text, tags } = change;
    let change = Change { shortcut, text, tags };
    Ok(Json(quick_replies::change(&app, caller.identity(), id, change).await?.into()))
}

/// Removes a quick reply.
#[utoipa::path(delete, path = "/quick-replies/{id}", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<QuickReplyId>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::WriteInbox)?;
    quick_replies::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Fills a quick reply in for a conversation. Nothing is sent.
#[utoipa::path(post, path = "/quick-replies/{id}/render", tag = "inbox", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = RenderQuickReply, responses(
    (status = 200, body = RenderedQuickReply),
    (status = 404, body = Problem),
))]
async fn render(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<QuickReplyId>,
    ValidJson(body): ValidJson<RenderQuickReply>,
) -> Result<Json<RenderedQuickReply>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let text = quick_replies::render(&app, caller.identity(), id, body.conversation_id).await?;
    Ok(Json(RenderedQuickReply { text }))
}
