//! `/templates`: message templates of WhatsApp accounts. What is asked of Meta is done soon after the answer: `submission` tells
//! that it waits, `status` and `error` what became of it.

use app::App;
use app::templates::{self, Change, NewTemplateWish};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use db::templates::{Filter, Template};
use domain::template::parameters::Rendered;
use domain::template::{Category, ParameterFormat, Submission, TemplateStatus};
use domain::user::Permission;
use domain::{ConnectionId, TemplateId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::group::{Group, routes};
use crate::words;

/// What cursors are of.
const LIST: &str = "templates";

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list, create))
        .routes(routes!(sync))
        .routes(routes!(find, change, delete))
        .routes(routes!(submit))
        .routes(routes!(preview))
}

/// A message template.
#[derive(Serialize, ToSchema)]
pub struct TemplateBody {
    #[schema(value_type = Uuid)]
    id: TemplateId,
    /// The WhatsApp account, all of whose numbers send by it.
    waba_id: String,
    name: String,
    #[schema(example = "pt_BR")]
    language: String,
    /// AUTHENTICATION, MARKETING or UTILITY.
    category: String,
    #[schema(value_type = words::ParameterFormat)]
    parameter_format: ParameterFormat,
    /// In the Cloud API's words; what Meta has, once it has the template.
    #[schema(value_type = Vec<Object>)]
    components: Value,
    /// What Meta shall have instead: `category` and `components`.
    #[schema(value_type = Option<Object>)]
    change: Option<Value>,
    #[schema(value_type = words::TemplateStatus)]
    status: TemplateStatus,
    /// Why Meta rejected, paused or disabled it, in its word.
    status_reason: Option<String>,
    /// Why, in Meta's sentences.
    status_detail: Option<String>,
    /// How customers take it: GREEN, YELLOW, RED or UNKNOWN.
    quality: Option<String>,
    /// The category that Meta is about to give it.
    next_category: Option<String>,
    next_category_at: Option<DateTime<Utc>>,
    #[schema(value_type = words::Submission)]
    submission: Submission,
    /// Why Meta did not do what it was asked last: code, title, detail.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    provider_template_id: Option<String>,
    /// Grows with every change.
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Template> for TemplateBody {
    fn from(template: Template) -> Self {
        Self {
            id: template.id,
            waba_id: template.waba_id,
            name: template.name,
            language: template.language,
            category: template.category,
            parameter_format: template.parameter_format,
            components: template.components,
            change: template.change,
            status: template.status,
            status_reason: template.status_reason,
            status_detail: template.status_detail,
            quality: template.quality,
            next_category: template.next_category,
            next_category_at: template.next_category_at,
            submission: template.submission,
            error: template.error,
            provider_template_id: template.provider_template_id,
            version: template.version,
            created_at: template.created_at,
            updated_at: template.updated_at,
        }
    }
}

/// Which templates to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TemplateQuery {
    /// Of the account of this connection.
    #[param(value_type = Option<Uuid>)]
    connection_id: Option<ConnectionId>,
    /// Of this status.
    #[param(value_type = Option<words::TemplateStatus>)]
    status: Option<TemplateStatus>,
    /// Of this category.
    #[param(value_type = Option<words::TemplateCategory>)]
    category: Option<Category>,
    /// In this language.
    #[param(example = "pt_BR")]
    language: Option<String>,
    /// With this in their names; up to 100 characters.
    #[param(example = "pedido")]
    q: Option<String>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A new template.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTemplate {
    /// A connection of the account that it shall belong to.
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    /// Lower-case letters, digits and `_`; unique in the account with its language.
    #[schema(example = "pedido_enviado")]
    name: String,
    #[schema(example = "pt_BR")]
    language: String,
    #[schema(value_type = words::TemplateCategory)]
    category: Category,
    /// How its variables are called: `{{1}}` or `{{order_number}}`. POSITIONAL by default.
    #[serde(default)]
    #[schema(value_type = Option<words::ParameterFormat>)]
    parameter_format: ParameterFormat,
    /// In the Cloud API's words, with an example of each variable. The header of a file names one that was uploaded to Meta
    /// (`example.header_handle`).
    #[schema(value_type = Vec<Object>)]
    components: Value,
    /// Ask Meta at once.
    #[serde(default)]
    submit: bool,
}

impl From<NewTemplate> for NewTemplateWish {
    fn from(new: NewTemplate) -> Self {
        let NewTemplate { connection_id, name, language, category, parameter_format, components, submit } =
            new;
        Self { connection_id, name, language, category, parameter_format, components, submit }
    }
}

/// What shall change of a template. What Meta has stays until the change is submitted and taken.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTemplate {
    #[schema(value_type = Option<words::TemplateCategory>)]
    category: Option<Category>,
    /// Only of a template that Meta does not have.
    #[schema(value_type = Option<words::ParameterFormat>)]
    parameter_format: Option<ParameterFormat>,
    /// All of them, in the Cloud API's words.
    #[schema(value_type = Option<Vec<Object>>)]
    components: Option<Value>,
}

/// Which account's templates to bring over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncTemplates {
    /// A connection of the account.
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
}

/// A message by a template.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewTemplate {
    /// As in the message: parameters of header, body and buttons in the Cloud API's words.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    components: Value,
}

/// What a customer would see.
#[derive(Serialize, ToSchema)]
pub struct TemplatePreview {
    /// The header's text.
    header: Option<String>,
    /// The body's.
    body: Option<String>,
    /// The footer's.
    footer: Option<String>,
    /// What stands on the buttons.
    buttons: Vec<String>,
}

impl From<Rendered> for TemplatePreview {
    fn from(rendered: Rendered) -> Self {
        let Rendered { header, body, footer, buttons } = rendered;
        Self { header, body, footer, buttons }
    }
}

/// The templates by name.
#[utoipa::path(get, path = "/templates", tag = "templates", params(TemplateQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<TemplateBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<TemplateQuery>,
) -> Result<Json<PageBody<TemplateBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let TemplateQuery { connection_id, status, category, language, q, limit, cursor } = query;
    let page = PageQuery { limit, cursor };
    let category = category.map(|category| category.as_str().to_owned());
    let filter = Filter { connection_id, status, category, language, q };
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let templates = templates::list(&app, caller.scope(), &filter, position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, templates, TemplateBody::from)))
}

/// Makes a template, as a draft or to be submitted at once.
#[utoipa::path(post, path = "/templates", tag = "templates", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewTemplate, responses(
    (status = 201, body = TemplateBody),
    (status = 404, body = Problem),
    (status = 409, description = "The name is taken; `templates_unsupported`, `idempotency_key_reused`", body = Problem),
    (status = 422, description = "A wrong field, or what Meta would refuse", body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<NewTemplate>,
) -> Result<(StatusCode, Json<TemplateBody>), ApiError> {
    caller.require(Permission::ManageTemplates)?;
    let template = templates::create(&app, caller.identity(), new.into(), key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(template.into())))
}

/// One template.
#[utoipa::path(get, path = "/templates/{id}", tag = "templates", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = TemplateBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<TemplateId>,
) -> Result<Json<TemplateBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(templates::find(&app, caller.scope(), id).await?.into()))
}

/// Changes a template: a draft at once, and of what Meta has the `change` that is to be submitted.
#[utoipa::path(patch, path = "/templates/{id}", tag = "templates", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeTemplate, responses(
    (status = 200, body = TemplateBody),
    (status = 404, body = Problem),
    (status = 409, description = "Meta is being asked, or has deleted it", body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<TemplateId>,
    ValidJson(change): ValidJson<ChangeTemplate>,
) -> Result<Json<TemplateBody>, ApiError> {
    caller.require(Permission::ManageTemplates)?;
    let ChangeTemplate { category, parameter_format, components } = change;
    let change = Change { category, parameter_format, components };
    Ok(Json(templates::change(&app, caller.identity(), id, change).await?.into()))
}

/// Removes a template. One that Meta has is gone when Meta deleted it; its name is not free for 30 days then.
#[utoipa::path(delete, path = "/templates/{id}", tag = "templates", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 202, body = TemplateBody),
    (status = 204),
    (status = 404, body = Problem),
    (status = 409, description = "Meta is being asked to take it", body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<TemplateId>,
) -> Result<Response, ApiError> {
    caller.require(Permission::ManageTemplates)?;
    Ok(match templates::delete(&app, caller.identity(), id).await? {
        Some(template) => (StatusCode::ACCEPTED, Json(TemplateBody::from(template))).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Asks Meta to take a template, or the change of it.
#[utoipa::path(post, path = "/templates/{id}/submit", tag = "templates", params(("id" = Uuid, Path), IdempotencyHeader),
    security(("bearer" = [])), responses(
    (status = 202, body = TemplateBody),
    (status = 404, body = Problem),
    (status = 409, description = "There is nothing to ask, or Meta is being asked to delete it", body = Problem),
))]
async fn submit(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    PathId(id): PathId<TemplateId>,
) -> Result<(StatusCode, Json<TemplateBody>), ApiError> {
    caller.require(Permission::ManageTemplates)?;
    let template = templates::submit(&app, caller.identity(), id, key.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, Json(template.into())))
}

/// What a customer would see; parameters that do not fit are refused as they are when the message is sent.
#[utoipa::path(post, path = "/templates/{id}/preview", tag = "templates", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = PreviewTemplate, responses(
    (status = 200, body = TemplatePreview),
    (status = 404, body = Problem),
))]
async fn preview(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<TemplateId>,
    ValidJson(body): ValidJson<PreviewTemplate>,
) -> Result<Json<TemplatePreview>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(templates::preview(&app, caller.scope(), id, &body.components).await?.into()))
}

/// Brings an account's templates over from Meta, soon. It is done without being asked every few hours, and harmless to repeat.
#[utoipa::path(post, path = "/templates/sync", tag = "templates", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = SyncTemplates, responses(
    (status = 202),
    (status = 404, body = Problem),
    (status = 409, description = "`templates_unsupported`", body = Problem),
))]
async fn sync(
    State(app): State<App>,
    caller: Caller,
    Idempotency(_key): Idempotency,
    ValidJson(body): ValidJson<SyncTemplates>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::ManageTemplates)?;
    templates::request_sync(&app, caller.scope(), body.connection_id).await?;
    Ok(StatusCode::ACCEPTED)
}
