//! `/auth`: log-in, log-out, who am I.

use app::App;
use app::auth::Account;
use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use chrono::{DateTime, Utc};
use domain::user::Role;
use domain::{CompanyId, UserId};
use runtime::http::caller::SESSION_COOKIE;
use runtime::http::{ApiError, Caller, Problem, ValidJson};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this group.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(log_in)).routes(routes!(log_out)).routes(routes!(me))
}

/// Address and password.
#[derive(Deserialize, ToSchema)]
pub struct LogIn {
    /// Email address.
    email: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A person with their companies.
#[derive(Serialize, ToSchema)]
pub struct AccountBody {
    /// The person.
    user: UserBody,
    /// The company that this session speaks for.
    #[schema(value_type = Uuid)]
    company_id: CompanyId,
    /// Every company that the person belongs to.
    companies: Vec<CompanyBody>,
}

/// A person.
#[derive(Serialize, ToSchema)]
pub struct UserBody {
    #[schema(value_type = Uuid)]
    id: UserId,
    name: String,
    email: String,
}

/// A company and one's role in it.
#[derive(Serialize, ToSchema)]
pub struct CompanyBody {
    #[schema(value_type = Uuid)]
    id: CompanyId,
    name: String,
    #[schema(value_type = String, example = "owner")]
    role: Role,
}

/// A log-in that succeeded.
#[derive(Serialize, ToSchema)]
pub struct LoggedInBody {
    /// The token, for clients that are no browser: `Authorization: Bearer`.
    token: String,
    /// Until when the token is good.
    expires_at: DateTime<Utc>,
    #[serde(flatten)]
    account: AccountBody,
}

fn account_body(account: Account, company_id: CompanyId) -> AccountBody {
    AccountBody {
        user: UserBody { id: account.user.id, name: account.user.name, email: account.user.email },
        company_id,
        companies: account
            .memberships
            .into_iter()
            .map(|member| CompanyBody { id: member.company_id, name: member.company_name, role: member.role })
            .collect(),
    }
}

/// Logs in. The token comes in the body and as an HttpOnly cookie.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = LogIn, responses(
    (status = 200, body = LoggedInBody),
    (status = 401, description = "Unknown address or wrong password", body = Problem),
    (status = 422, body = Problem),
))]
async fn log_in(
    State(app): State<App>,
    ValidJson(credentials): ValidJson<LogIn>,
) -> Result<(HeaderMap, Json<LoggedInBody>), ApiError> {
    let logged_in = app::auth::log_in(&app, &credentials.email, credentials.password).await?;
    let token = logged_in.token.expose_secret().to_owned();
    let headers = cookie(&token, app::auth::TOKEN_LIFE.num_seconds());
    let account = account_body(logged_in.account, logged_in.company_id);
    Ok((headers, Json(LoggedInBody { token, expires_at: logged_in.expires_at, account })))
}

/// Logs out: the browser forgets its token.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", responses((status = 204)))]
async fn log_out() -> (StatusCode, HeaderMap) {
    (StatusCode::NO_CONTENT, cookie("", 0))
}

/// Who am I.
#[utoipa::path(get, path = "/auth/me", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, body = AccountBody),
    (status = 401, body = Problem),
    (status = 403, description = "An API key is no person", body = Problem),
))]
async fn me(State(app): State<App>, caller: Caller) -> Result<Json<AccountBody>, ApiError> {
    let account = app::auth::me(&app, caller.identity()).await?;
    Ok(Json(account_body(account, caller.scope().company_id())))
}

fn cookie(token: &str, seconds: i64) -> HeaderMap {
    let cookie =
        format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        headers.insert(SET_COOKIE, value);
    }
    headers
}
