//! `/contacts`: the customers. Here one by one and their list · [`tags`] tabulations on them · [`notes`] · [`consents`]
//! whether they want to be written to · [`timeline`] · [`fields`] what the company wants to know of them ·
//! [`tabulations`] what there is to choose from · [`imports`] out of files · [`exports`] into files. [`lists`],
//! [`segments`], [`merges`] and [`erasures`] are of this group, too.

pub mod consents;
pub mod exports;
pub mod fields;
pub mod imports;
pub mod notes;
pub mod tabulations;
pub mod tags;
pub mod timeline;

use app::App;
use app::contacts::edit::{self, Change, NewContact};
use app::contacts::{AddressedContact, Query};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::ContactId;
use domain::inbound::AddressKind;
use domain::user::Permission;
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::group::{Group, routes};
use crate::{erasures, lists, merges, segments, words};

/// What cursors are of.
const LIST: &str = "contacts";

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list, create))
        .routes(routes!(find_by_phone))
        .routes(routes!(find, change, delete))
        .merge(tags::router())
        .merge(notes::router())
        .merge(consents::router())
        .merge(timeline::router())
        .merge(fields::router())
        .merge(tabulations::router())
        .merge(merges::router())
        .merge(erasures::router())
        .merge(lists::router())
        .merge(segments::router())
        .merge(imports::router())
        .merge(exports::router())
}

/// A customer.
#[derive(Serialize, ToSchema)]
pub struct ContactBody {
    #[schema(value_type = Uuid)]
    id: ContactId,
    name: String,
    /// E.164, or null: a WhatsApp customer may have no number.
    phone: Option<String>,
    email: Option<String>,
    /// WhatsApp username, by which those are known who share no number.
    username: Option<String>,
    /// Every address that leads to this customer.
    addresses: Vec<AddressBody>,
    source: String,
    external_id: Option<String>,
    bypass_bots: bool,
    /// Values of the company's fields by their keys.
    #[schema(value_type = Object)]
    custom: Value,
    tags: Vec<String>,
    /// Since when this customer wants no messages; null while that is not so.
    opted_out_at: Option<DateTime<Utc>>,
    /// Since when this customer wants no marketing; null while that is not so.
    marketing_opted_out_at: Option<DateTime<Utc>>,
    /// Who it is now, if it was merged: then everything but its own fields is there.
    #[schema(value_type = Option<Uuid>)]
    merged_into: Option<ContactId>,
    /// When everything about the person was taken out of it.
    erased_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// Which customer something is about.
#[derive(Serialize, ToSchema)]
pub struct ContactSummary {
    /// Who.
    #[schema(value_type = Uuid)]
    pub id: ContactId,
    /// What the customer is called.
    pub name: String,
    /// E.164, or null: a WhatsApp customer may have no number.
    pub phone: Option<String>,
    /// WhatsApp username.
    pub username: Option<String>,
}

/// One address.
#[derive(Serialize, ToSchema)]
pub struct AddressBody {
    #[schema(value_type = words::AddressKind)]
    kind: AddressKind,
    value: String,
}

impl From<AddressedContact> for ContactBody {
    fn from(AddressedContact { contact, addresses }: AddressedContact) -> Self {
        Self {
            id: contact.id,
            name: contact.name,
            phone: contact.phone,
            email: contact.email,
            username: contact.username,
            addresses: addresses
                .into_iter()
                .map(|address| AddressBody { kind: address.kind, value: address.value })
                .collect(),
            source: contact.source,
            external_id: contact.external_id,
            bypass_bots: contact.bypass_bots,
            custom: contact.custom,
            tags: contact.tags,
            opted_out_at: contact.opted_out_at,
            marketing_opted_out_at: contact.marketing_opted_out_at,
            merged_into: contact.merged_into_id,
            erased_at: contact.erased_at,
            created_at: contact.created_at,
        }
    }
}

/// A new customer: with a name, phone, email or external_id.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContactBody {
    /// Up to 200 characters.
    name: Option<String>,
    /// Any spelling; a number without a country is Brazil's. Stored as E.164, with the ninth digit.
    #[schema(example = "(62) 98888-0001")]
    phone: Option<String>,
    email: Option<String>,
    /// Where the customer came from, up to 60 characters; `manual` or `api` when nobody says.
    source: Option<String>,
    /// The id in the company's own system, up to 200 characters.
    external_id: Option<String>,
    /// The AI leaves this customer alone.
    #[serde(default)]
    bypass_bots: bool,
    /// Values of the company's fields by their keys.
    #[serde(default, deserialize_with = "runtime::http::body::object")]
    #[schema(value_type = Object)]
    custom: Map<String, Value>,
    /// Up to 50, each of 1 to 100 characters.
    #[serde(default)]
    tags: Vec<String>,
}

/// What shall change of a customer. What is left out stays; `null` takes away what may be missing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeContact {
    /// Up to 200 characters.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// Any spelling. The number before leads to this customer no more.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    /// 1 to 60 characters.
    source: Option<String>,
    /// Up to 200 characters.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    external_id: Option<Option<String>>,
    /// The AI leaves this customer alone.
    bypass_bots: Option<bool>,
    /// Values of the company's fields; those that are not named stay, `null` takes one away.
    #[serde(default, deserialize_with = "runtime::http::body::object")]
    #[schema(value_type = Object)]
    custom: Map<String, Value>,
    /// In place of those that there were.
    tags: Option<Vec<String>>,
}

/// Which contacts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContactQuery {
    /// Words of name, username, email or phone: of one or two characters their beginning, of more any part. Accents and
    /// capitals do not matter.
    q: Option<String>,
    /// With one tag.
    tag: Option<String>,
    /// To whom this number leads, in any spelling.
    phone: Option<String>,
    /// To whom this email address leads.
    email: Option<String>,
    /// From one source.
    source: Option<String>,
    /// Whom the company's own system calls so.
    external_id: Option<String>,
    /// Who wants no messages, or who did not say so.
    opted_out: Option<bool>,
    /// Not made before.
    created_from: Option<DateTime<Utc>>,
    /// Made before.
    created_to: Option<DateTime<Utc>>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists contacts, newest first.
#[utoipa::path(get, path = "/contacts", tag = "contacts", params(ContactQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<ContactBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ContactQuery>,
) -> Result<Json<PageBody<ContactBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let wanted = Query {
        q: query.q,
        tag: query.tag,
        phone: query.phone,
        email: query.email,
        source: query.source,
        external_id: query.external_id,
        opted_out: query.opted_out,
        created_from: query.created_from,
        created_to: query.created_to,
    };
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let contacts = app::contacts::list(&app, caller.scope(), &wanted, position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, contacts, ContactBody::from)))
}

/// Makes a contact. An address belongs to one contact: `address_taken` says whose it is.
#[utoipa::path(post, path = "/contacts", tag = "contacts", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewContactBody, responses(
    (status = 201, body = ContactBody),
    (status = 409, body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(body): ValidJson<NewContactBody>,
) -> Result<(StatusCode, Json<ContactBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let new = NewContact {
        name: body.name,
        phone: body.phone,
        email: body.email,
        source: body.source,
        external_id: body.external_id,
        bypass_bots: body.bypass_bots,
        custom: body.custom,
        tags: body.tags,
    };
    let contact = edit::create(&app, caller.identity(), new, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(contact.into())))
}

/// Finds a contact, also one that was merged or erased, which no list shows.
#[utoipa::path(get, path = "/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
) -> Result<Json<ContactBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::contacts::find(&app, caller.scope(), id).await?.into()))
}

/// Finds the contact of a number.
#[utoipa::path(get, path = "/contacts/by-phone/{phone}", tag = "contacts",
    params(("phone" = String, Path, description = "Any spelling, with Brazil's ninth digit or without", example = "62988880001")),
    security(("bearer" = [])), responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 422, body = Problem),
))]
async fn find_by_phone(
    State(app): State<App>,
    caller: Caller,
    PathId(phone): PathId<String>,
) -> Result<Json<ContactBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::contacts::find_by_phone(&app, caller.scope(), &phone).await?.into()))
}

/// Changes a contact.
#[utoipa::path(patch, path = "/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeContact, responses(
    (status = 200, body = ContactBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
    ValidJson(body): ValidJson<ChangeContact>,
) -> Result<Json<ContactBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    let change = Change {
        name: body.name,
        phone: body.phone,
        email: body.email,
        source: body.source,
        external_id: body.external_id,
        bypass_bots: body.bypass_bots,
        custom: body.custom,
        tags: body.tags,
    };
    Ok(Json(edit::change(&app, caller.identity(), id, change).await?.into()))
}

/// Deletes a contact that nobody has written to or heard from; other people are erased.
#[utoipa::path(delete, path = "/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ContactId>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::ManageContacts)?;
    edit::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
