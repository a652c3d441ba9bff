//! `/contact-fields`: what a company wants to know of its customers.

use app::App;
use app::contacts::fields::{self, Change, NewField};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::contact_fields::ContactField;
use domain::ContactFieldId;
use domain::contact::FieldType;
use domain::user::Permission;
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

/// What cursors are of.
const LIST: &str = "contact-fields";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(find, change, delete))
}

/// A field that a company keeps of its customers.
#[derive(Serialize, ToSchema)]
pub struct ContactFieldBody {
    #[schema(value_type = Uuid)]
    id: ContactFieldId,
    /// Its name in a contact's `custom`.
    key: String,
    /// What people call it.
    label: String,
    #[serde(rename = "type")]
    #[schema(value_type = words::FieldType)]
    field_type: FieldType,
    /// What there is to choose from, for the type `choice`.
    options: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ContactField> for ContactFieldBody {
    fn from(field: ContactField) -> Self {
        Self {
            id: field.id,
            key: field.key,
            label: field.label,
            field_type: field.field_type,
            options: field.options,
            created_at: field.created_at,
            updated_at: field.updated_at,
        }
    }
}

/// A new field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContactField {
    /// 1 to 63 small letters, digits and underscores, a letter first; unique in the company, and never changed.
    #[schema(example = "birthday")]
    key: String,
    /// 1 to 100 characters.
    label: String,
    /// `text`, `number`, `date` (2026-11-21), `boolean` or `choice`; never changed.
    #[serde(rename = "type")]
    #[schema(value_type = words::FieldType)]
    field_type: FieldType,
    /// 1 to 200 for the type `choice`, none for the others; each of 1 to 100 characters.
    #[serde(default)]
    options: Vec<String>,
}

/// What shall change of a field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeContactField {
    /// 1 to 100 characters.
    label: Option<String>,
    /// In place of those that there were; contacts keep what they have.
    options: Option<Vec<String>>,
}

/// The fields by label.
#[utoipa::path(get, path = "/contact-fields", tag = "contacts", params(PageQuery), security(("bearer" = [])),
    responses(
    (status = 200, body = PageBody<ContactFieldBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<ContactFieldBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = fields::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, ContactFieldBody::from)))
}

/// Makes a field, for values in the `custom` of contacts.
#[utoipa::path(post, path = "/contact-fields", tag = "contacts", params(IdempotencyHeader),
    security(("bearer" = [])), request_body = NewContactField, responses(
    (status = 201, body = ContactFieldBody),
    (status = 409, body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<NewContactField>,
) -> Result<(StatusCode, Json<ContactFieldBody>), ApiError> {
    let NewContactField { key: name, label, field_type, options } = new;
    let new = NewField { key: name, label, field_type, options };
    let field = fields::create(&app, caller.identity(), new, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(field.into())))
}

/// One field.
#[utoipa::path(get, path = "/contact-fields/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ContactFieldBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactFieldId>,
) -> Result<Json<ContactFieldBody>, ApiError> {
    Ok(Json(fields::find(&app, caller.identity(), id).await?.into()))
}

/// Changes a field's label or options.
#[utoipa::path(patch, path = "/contact-fields/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeContactField, responses(
    (status = 200, body = ContactFieldBody),
    (status = 404, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactFieldId>,
    ValidJson(change): ValidJson<ChangeContactField>,
) -> Result<Json<ContactFieldBody>, ApiError> {
    let change = Change { label: change.label, options: change.options };
    Ok(Json(fields::change(&app, caller.identity(), id, change).await?.into()))
}

/// Deletes a field. Values stay with their contacts, and are seen again when a field of this key is made that they fit.
#[utoipa::path(delete, path = "/contact-fields/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactFieldId>,
) -> Result<StatusCode, ApiError> {
    fields::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
