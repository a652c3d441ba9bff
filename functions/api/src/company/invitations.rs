//! `/invitations`: who is to come.

use app::App;
use app::company::invitations::{self, Acceptance};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::invitations::Invitation;
use domain::user::{Locale, Permission, Role};
use domain::{InvitationId, UserId};
use runtime::http::{
    ApiError, Caller, Client, Idempotency, IdempotencyHeader, OwnPage, PageBody, PageQuery, PathId, Problem,
    ValidJson, ValidQuery,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

/// What cursors are of.
const LIST: &str = "invitations";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(accept)).routes(routes!(find, revoke))
}

/// An open invitation.
#[derive(Serialize, ToSchema)]
pub struct InvitationBody {
    #[schema(value_type = Uuid)]
    id: InvitationId,
    email: String,
    #[schema(value_type = words::Role)]
    role: Role,
    #[schema(value_type = Option<Uuid>)]
    invited_by: Option<UserId>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<Invitation> for InvitationBody {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email,
            role: invitation.role,
            invited_by: invitation.invited_by,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// Who shall be invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Email address.
    email: String,
    /// `admin`, `supervisor`, `agent` or `viewer`.
    #[schema(value_type = words::Role)]
    role: Role,
    /// Language of the mail: `pt` (default) or `en`.
    #[serde(default)]
    #[schema(value_type = words::Locale)]
    locale: Locale,
}

/// The token of an invitation's mail, and who accepts it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// What stands behind `#token=` in the link.
    #[schema(value_type = String)]
    token: SecretString,
    /// Needed from who has no account yet.
    name: Option<String>,
    /// Needed from who has no account yet; 10 to 128 characters.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
}

/// The open invitations, newest first.
#[utoipa::path(get, path = "/invitations", tag = "company", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<InvitationBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<InvitationBody>>, ApiError> {
    caller.require(Permission::ManageMembers)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = invitations::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, InvitationBody::from)))
}

/// One open invitation.
#[utoipa::path(get, path = "/invitations/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = InvitationBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<InvitationId>,
) -> Result<Json<InvitationBody>, ApiError> {
    Ok(Json(invitations::find(&app, caller.identity(), id).await?.into()))
}

/// Invites a person by mail; the link is good once, for seven days.
#[utoipa::path(post, path = "/invitations", tag = "company", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewInvitation, responses(
    (status = 201, body = InvitationBody),
    (status = 409, body = Problem),
    (status = 429, description = "Too many requests in a minute, or invitations in a day", body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<NewInvitation>,
) -> Result<(StatusCode, Json<InvitationBody>), ApiError> {
    let NewInvitation { email, role, locale } = new;
    let created = invitations::create(&app, caller.identity(), &email, role, locale, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// Joins a company by the link of an invitation.
#[utoipa::path(post, path = "/invitations/accept", tag = "company", request_body = AcceptInvitation, responses(
    (status = 204),
    (status = 403, description = "From another site's page", body = Problem),
    (status = 409, description = "`token_invalid`, or a member already", body = Problem),
    (status = 429, body = Problem),
))]
async fn accept(
    State(app): State<App>,
    _: OwnPage,
    Client(client): Client,
    ValidJson(acceptance): ValidJson<AcceptInvitation>,
) -> Result<StatusCode, ApiError> {
    let AcceptInvitation { token, name, password } = acceptance;
    invitations::accept(&app, &client, Acceptance { token, name, password }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an open invitation back.
#[utoipa::path(delete, path = "/invitations/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn revoke(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<InvitationId>,
) -> Result<StatusCode, ApiError> {
    invitations::revoke(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
