//! `/api-keys`: what programs call with.

use app::App;
use app::company::api_keys::{self, Change, NewApiKey};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::api_keys::ApiKey;
use domain::user::Permission;
use domain::{ApiKeyId, UserId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

/// What cursors are of.
const LIST: &str = "api-keys";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(find, change, revoke))
}

/// An API key, without the key.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyBody {
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    name: String,
    /// `••••` and the key's last four characters.
    #[schema(example = "••••1234")]
    hint: String,
    /// What it may do.
    #[schema(value_type = Vec<words::Permission>)]
    permissions: Vec<String>,
    #[schema(value_type = Option<Uuid>)]
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// To a minute or two.
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<ApiKey> for ApiKeyBody {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            hint: format!("••••{}", key.hint),
            permissions: key.permissions,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// 1 to 200 characters.
    name: String,
    /// What it may do; no more than the caller.
    #[schema(value_type = Vec<words::Permission>, example = json!(["read_inbox", "write_inbox"]))]
    permissions: Vec<Permission>,
    /// Until when it is good; for ever without one.
    expires_at: Option<DateTime<Utc>>,
}

/// What shall change of a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeApiKey {
    /// 1 to 200 characters.
    name: Option<String>,
    /// What it may do; no more than the caller.
    #[schema(value_type = Option<Vec<words::Permission>>)]
    permissions: Option<Vec<Permission>>,
    /// Until when it is good; `null`: for ever.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    expires_at: Option<Option<DateTime<Utc>>>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedApiKey {
    /// The key itself. It is shown this once.
    key: String,
    #[serde(flatten)]
    about: ApiKeyBody,
}

/// The keys, newest first, the revoked ones too.
#[utoipa::path(get, path = "/api-keys", tag = "company", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<ApiKeyBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<ApiKeyBody>>, ApiError> {
    caller.require(Permission::ManageApiKeys)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = api_keys::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, ApiKeyBody::from)))
}

/// One key, which may be revoked.
#[utoipa::path(get, path = "/api-keys/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = ApiKeyBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ApiKeyId>,
) -> Result<Json<ApiKeyBody>, ApiError> {
    Ok(Json(api_keys::find(&app, caller.identity(), id).await?.into()))
}

/// Changes a key; its holders notice within half a minute.
#[utoipa::path(patch, path = "/api-keys/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ChangeApiKey, responses(
    (status = 200, body = ApiKeyBody),
    (status = 404, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ApiKeyId>,
    ValidJson(change): ValidJson<ChangeApiKey>,
) -> Result<Json<ApiKeyBody>, ApiError> {
    let ChangeApiKey { name, permissions, expires_at } = change;
    let change = Change { name, permissions, expires_at };
    Ok(Json(api_keys::change(&app, caller.identity(), id, change).await?.into()))
}

/// Makes a key. The answer is the only one that shows it.
#[utoipa::path(post, path = "/api-keys", tag = "company", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = CreateApiKey, responses(
    (status = 201, body = CreatedApiKey),
    (status = 409, description = "`shown_once`, `idempotency_key_reused`", body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(idempotency_key): Idempotency,
    ValidJson(new): ValidJson<CreateApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), ApiError> {
    let new = NewApiKey { name: new.name, permissions: new.permissions, expires_at: new.expires_at };
    let (key, secret) = api_keys::create(&app, caller.identity(), new, idempotency_key.as_ref()).await?;
    let created = CreatedApiKey { key: secret.expose_secret().to_owned(), about: key.into() };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes a key: it is refused from now on.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn revoke(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ApiKeyId>,
) -> Result<StatusCode, ApiError> {
    api_keys::revoke(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
