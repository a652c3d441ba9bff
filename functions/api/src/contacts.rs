//! `/contacts`: the customers.

use app::App;
use app::contacts::AddressedContact;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::ContactId;
use domain::inbound::AddressKind;
use domain::user::Permission;
use runtime::http::{ApiError, Caller, PageBody, PageQuery, PathId, Problem, ValidQuery};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::group::{Group, routes};

/// What cursors are of.
const LIST: &str = "contacts";

/// The routes of this group.
pub fn router() -> Group {
    Group::new().routes(routes!(list)).routes(routes!(find))
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
    /// Every address that leads to this customer.
    addresses: Vec<AddressBody>,
    source: String,
    external_id: Option<String>,
    bypass_bots: bool,
    #[schema(value_type = Object)]
    custom: Value,
    tags: Vec<String>,
    opted_out_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// One address.
#[derive(Serialize, ToSchema)]
pub struct AddressBody {
    #[schema(value_type = String, example = "wa_id")]
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
            created_at: contact.created_at,
        }
    }
}

/// Lists contacts, newest first.
#[utoipa::path(get, path = "/contacts", tag = "contacts", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<ContactBody>),
    (status = 401, body = Problem),
    (status = 422, body = Problem),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<ContactBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let contacts = app::contacts::list(&app, caller.scope(), page.position(LIST)?, page.limit()?).await?;
    Ok(Json(PageBody::from_page(LIST, contacts, ContactBody::from)))
}

/// Finds a contact.
#[utoipa::path(get, path = "/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ContactBody),
    (status = 401, body = Problem),
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
