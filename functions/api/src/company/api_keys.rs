//! `/api-keys`: what programs call with.

use app::App;
use app::company::api_keys::{self, NewApiKey};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::api_keys::ApiKey;
use domain::user::Permission;
use domain::{ApiKeyId, UserId};
use runtime::http::{ApiError, Caller, PathId, Problem, ValidJson};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(revoke))
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
    permissions: Vec<String>,
    #[schema(value_type = Option<Uuid>)]
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// To the minute.
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

/// The keys, newest first.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyList {
    items: Vec<ApiKeyBody>,
}

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// 1 to 200 characters.
    name: String,
    /// What it may do; no more than the caller.
    #[schema(value_type = Vec<String>, example = json!(["read_inbox", "write_inbox"]))]
    permissions: Vec<Permission>,
    /// Until when it is good; for ever without one.
    expires_at: Option<DateTime<Utc>>,
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
#[utoipa::path(get, path = "/api-keys", tag = "company", security(("bearer" = [])), responses(
    (status = 200, body = ApiKeyList),
    (status = 401, body = Problem),
    (status = 403, body = Problem),
))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<ApiKeyList>, ApiError> {
    let keys = api_keys::list(&app, caller.identity()).await?;
    Ok(Json(ApiKeyList { items: keys.into_iter().map(ApiKeyBody::from).collect() }))
}

/// Makes a key. The answer is the only one that shows it.
#[utoipa::path(post, path = "/api-keys", tag = "company", security(("bearer" = [])),
    request_body = CreateApiKey, responses(
    (status = 201, body = CreatedApiKey),
    (status = 401, body = Problem),
    (status = 403, body = Problem),
    (status = 422, body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    ValidJson(new): ValidJson<CreateApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), ApiError> {
    let new = NewApiKey { name: new.name, permissions: new.permissions, expires_at: new.expires_at };
    let (key, secret) = api_keys::create(&app, caller.identity(), new).await?;
    let created = CreatedApiKey { key: secret.expose_secret().to_owned(), about: key.into() };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes a key: it is refused from now on.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "company", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 401, body = Problem),
    (status = 403, body = Problem),
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
