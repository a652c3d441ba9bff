//! `/lists`: contacts that people put together by hand.

use app::App;
use app::lists::{self, Change, Changed};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::lists::List;
use domain::user::Permission;
use domain::{ContactId, ListId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::contacts::ContactBody;
use crate::group::{Group, routes};

/// What cursors are of.
const LIST: &str = "lists";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(find, change, delete)).routes(routes!(
        list_contacts,
        add_contacts,
        remove_contacts
    ))
}

/// A list.
#[derive(Serialize, ToSchema)]
pub struct ListBody {
    #[schema(value_type = Uuid)]
    id: ListId,
    name: String,
    description: Option<String>,
    /// How many contacts are in it.
    contact_count: i64,
    created_at: DateTime<Utc>,
    /// When its name or description last changed.
    updated_at: DateTime<Utc>,
}

impl From<List> for ListBody {
    fn from(list: List) -> Self {
        Self {
            id: list.id,
            name: list.name,
            description: list.description,
            contact_count: list.contact_count,
            created_at: list.created_at,
            updated_at: list.updated_at,
        }
    }
}

/// A new list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewList {
    /// 1 to 100 characters; unique in the company.
    name: String,
    /// To 1,000 characters.
    description: Option<String>,
}

/// What shall change of a list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeList {
    /// 1 to 100 characters; unique in the company.
    name: Option<String>,
    /// To 1,000 characters; `null`: none.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
}

/// Contacts to put into a list, or to take out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedContacts {
    /// 1 to 1,000 contacts.
    #[schema(value_type = Vec<Uuid>)]
    contact_ids: Vec<ContactId>,
}

/// What became of them.
#[derive(Serialize, ToSchema)]
pub struct ChangedContacts {
    /// How many the list gained or lost: those that were in it already, or were not, do not count.
    changed: u64,
    list: ListBody,
}

impl From<Changed> for ChangedContacts {
    fn from(Changed { contacts, list }: Changed) -> Self {
        Self { changed: contacts, list: list.into() }
    }
}

/// The lists by name.
#[utoipa::path(get, path = "/lists", tag = "contacts", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<ListBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<ListBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = lists::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, ListBody::from)))
}

/// Makes a list, with nobody in it.
#[utoipa::path(post, path = "/lists", tag = "contacts", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewList, responses(
    (status = 201, body = ListBody),
    (status = 409, body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(NewList { name, description }): ValidJson<NewList>,
) -> Result<(StatusCode, Json<ListBody>), ApiError> {
    let created = lists::create(&app, caller.identity(), &name, description.as_deref(), key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// One list.
#[utoipa::path(get, path = "/lists/{id}", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = ListBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ListId>,
) -> Result<Json<ListBody>, ApiError> {
    Ok(Json(lists::find(&app, caller.identity(), id).await?.into()))
}

/// Changes a list's name or description.
#[utoipa::path(patch, path = "/lists/{id}", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ChangeList, responses(
    (status = 200, body = ListBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ListId>,
    ValidJson(ChangeList { name, description }): ValidJson<ChangeList>,
) -> Result<Json<ListBody>, ApiError> {
    let change = Change { name, description };
    Ok(Json(lists::change(&app, caller.identity(), id, change).await?.into()))
}

/// Removes a list; the contacts in it stay.
#[utoipa::path(delete, path = "/lists/{id}", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ListId>,
) -> Result<StatusCode, ApiError> {
    lists::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The contacts in a list, who came last first.
#[utoipa::path(get, path = "/lists/{id}/contacts", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path), PageQuery), responses(
    (status = 200, body = PageBody<ContactBody>),
    (status = 404, body = Problem),
))]
async fn list_contacts(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ListId>,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<ContactBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let list = format!("lists/{id}/contacts");
    let (position, limit) = (page.position(&list)?, page.limit()?);
    let page = lists::contacts(&app, caller.identity(), id, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, page, ContactBody::from)))
}

/// Puts contacts into a list; those that are in it stay. Who was merged is in it as who they are now.
#[utoipa::path(post, path = "/lists/{id}/contacts", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ListedContacts, responses(
    (status = 200, body = ChangedContacts),
    (status = 404, body = Problem),
    (status = 409, description = "`contact_erased`", body = Problem),
))]
async fn add_contacts(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ListId>,
    ValidJson(body): ValidJson<ListedContacts>,
) -> Result<Json<ChangedContacts>, ApiError> {
    Ok(Json(lists::add_contacts(&app, caller.identity(), id, &body.contact_ids).await?.into()))
}

/// Takes contacts out of a list; those that are not in it are no error.
#[utoipa::path(delete, path = "/lists/{id}/contacts", tag = "contacts", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ListedContacts, responses(
    (status = 200, body = ChangedContacts),
    (status = 404, body = Problem),
    (status = 409, description = "`contact_erased`", body = Problem),
))]
async fn remove_contacts(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ListId>,
    ValidJson(body): ValidJson<ListedContacts>,
) -> Result<Json<ChangedContacts>, ApiError> {
    Ok(Json(lists::remove_contacts(&app, caller.identity(), id, &body.contact_ids).await?.into()))
}
