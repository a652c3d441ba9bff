//! `/auth`: registration, log-in, sessions, forgotten passwords, who am I.
//!
//! Room: [`oauth`] Google and Facebook.

pub mod oauth;

use app::App;
use app::auth::log_in::{Account, LoggedIn};
use app::auth::registration::{Proof, Registration};
use app::auth::{log_in as sessions, recovery, registration};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use chrono::{DateTime, Utc};
use db::login_sessions::LoginSession;
use domain::user::{Locale, Permission, Role};
use domain::{CompanyId, LoginSessionId, UserId};
use runtime::http::caller::credential;
use runtime::http::{ApiError, Caller, Client, OwnPage, PathId, Problem, ValidJson, cookies};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(register))
        .routes(routes!(verify_email))
        .routes(routes!(resend_verification))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
        .routes(routes!(me))
        .routes(routes!(switch_company))
        .routes(routes!(list_sessions))
        .routes(routes!(end_session))
        .merge(oauth::router())
}

/// A company and its owner.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The company's name.
    company_name: String,
    /// The owner's name.
    name: String,
    /// The owner's email address.
    email: String,
    /// 10 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// Language of the mails: `pt` (default) or `en`.
    #[serde(default)]
    #[schema(value_type = words::Locale)]
    locale: Locale,
}

/// What proves an address: the token that was sent to it, in the browser that registered, or with the password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// What stands behind `#token=` in the link.
    #[schema(value_type = String)]
    token: SecretString,
    /// The password that was chosen; only needed in another browser than the one that registered.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
}

/// An email address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Email address.
    email: String,
}

/// Address and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// Email address.
    email: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A refresh token; a browser has it in a cookie instead.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The `refresh_token` of the last answer.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

/// A new password by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// What stands behind `#token=` in the link.
    #[schema(value_type = String)]
    token: SecretString,
    /// 10 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A company to go on with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchCompany {
    #[schema(value_type = Uuid)]
    company_id: CompanyId,
}

/// A person with their companies.
#[derive(Serialize, ToSchema)]
pub struct AccountBody {
    /// The person.
    user: UserBody,
    /// The company that this session speaks for.
    #[schema(value_type = Uuid)]
    company_id: CompanyId,
    /// What the person may do in it.
    #[schema(value_type = Vec<words::Permission>, example = json!(["read_inbox", "write_inbox"]))]
    permissions: Vec<Permission>,
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
    /// `pt` or `en`.
    #[schema(value_type = words::Locale)]
    locale: Locale,
}

/// A company and one's role in it.
#[derive(Serialize, ToSchema)]
pub struct CompanyBody {
    #[schema(value_type = Uuid)]
    id: CompanyId,
    name: String,
    #[schema(value_type = words::Role)]
    role: Role,
}

/// New tokens. Browsers get them as HttpOnly cookies too.
#[derive(Serialize, ToSchema)]
pub struct LoggedInBody {
    /// For `Authorization: Bearer`.
    token: String,
    /// Until when the token is good.
    expires_at: DateTime<Utc>,
    /// For the next token, once.
    refresh_token: String,
    /// When the session is over, however often it is renewed.
    session_expires_at: DateTime<Utc>,
    #[serde(flatten)]
    account: AccountBody,
}

/// A new token for another company; the refresh token stays.
#[derive(Serialize, ToSchema)]
pub struct SwitchedBody {
    /// For `Authorization: Bearer`.
    token: String,
    /// Until when the token is good.
    expires_at: DateTime<Utc>,
    #[serde(flatten)]
    account: AccountBody,
}

/// A session: one log-in on one device.
#[derive(Serialize, ToSchema)]
pub struct LoginSessionBody {
    #[schema(value_type = Uuid)]
    id: LoginSessionId,
    /// It is the one that asks.
    current: bool,
    /// Where it began.
    ip: String,
    /// With which program.
    user_agent: String,
    created_at: DateTime<Utc>,
    refreshed_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// One's open sessions, newest first.
#[derive(Serialize, ToSchema)]
pub struct LoginSessionList {
    items: Vec<LoginSessionBody>,
}

impl LoginSessionBody {
    fn new(session: LoginSession, asks: Option<LoginSessionId>) -> Self {
        Self {
            id: session.id,
            current: asks == Some(session.id),
            ip: session.ip,
            user_agent: session.user_agent,
            created_at: session.created_at,
            refreshed_at: session.refreshed_at,
            expires_at: session.expires_at,
        }
    }
}

fn account_body(account: Account, company_id: CompanyId) -> AccountBody {
    let role = account.memberships.iter().find(|member| member.company_id == company_id).map(|m| m.role);
    AccountBody {
        user: UserBody {
            id: account.user.id,
            name: account.user.name,
            email: account.user.email,
            locale: account.user.locale,
        },
        company_id,
        permissions: role.map(|role| role.permissions().collect()).unwrap_or_default(),
        companies: account
            .memberships
            .into_iter()
            .map(|member| CompanyBody { id: member.company_id, name: member.company_name, role: member.role })
            .collect(),
    }
}

/// Registers a company and its owner. Whether the address is registered already shows in its mail only.
#[utoipa::path(post, path = "/auth/register", tag = "auth", request_body = Register, responses(
    (status = 202, description = "A mail is on its way; a cookie shows where the registration was made"),
    (status = 403, description = "From another site's page", body = Problem),
    (status = 429, body = Problem),
))]
async fn register(
    State(app): State<App>,
    _: OwnPage,
    Client(client): Client,
    ValidJson(new): ValidJson<Register>,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    let Register { company_name, name, email, password, locale } = new;
    let new = Registration { company_name, name, email, password, locale };
    let proof = registration::register(&app, &client, new).await?;
    Ok((StatusCode::ACCEPTED, cookies::set_registration(&proof)))
}

/// Proves an email address by the token that was sent to it; good once, for a day. The caller is the browser that
/// registered, or knows the password: anybody can register an address, and its owner may follow the link by mistake.
#[utoipa::path(post, path = "/auth/verify-email", tag = "auth", request_body = VerifyEmail, responses(
    (status = 204),
    (status = 403, description = "From another site's page", body = Problem),
    (status = 409, description = "`token_invalid`, `registration_unproved`", body = Problem),
    (status = 429, body = Problem),
))]
async fn verify_email(
    State(app): State<App>,
    _: OwnPage,
    Client(client): Client,
    headers: HeaderMap,
    ValidJson(shown): ValidJson<VerifyEmail>,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    let registration = cookies::read(&headers, cookies::REGISTRATION).map(SecretString::from);
    let VerifyEmail { token, password } = shown;
    registration::verify_email(&app, &client, Proof { token, registration, password }).await?;
    Ok((StatusCode::NO_CONTENT, cookies::clear_registration()))
}

/// Sends a new link, if the address is registered and not proved; the last one is void.
#[utoipa::path(post, path = "/auth/resend-verification", tag = "auth", request_body = Address, responses(
    (status = 202),
    (status = 429, body = Problem),
))]
async fn resend_verification(
    State(app): State<App>,
    Client(client): Client,
    ValidJson(address): ValidJson<Address>,
) -> Result<StatusCode, ApiError> {
    registration::resend_verification(&app, &client, &address.email).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Logs in. The tokens come in the body and as HttpOnly cookies.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = LogIn, responses(
    (status = 200, body = LoggedInBody),
    (status = 401, description = "Unknown address or wrong password", body = Problem),
    (status = 403, description = "From another site's page, or for who belongs to no company", body = Problem),
    (status = 409, description = "`email_not_verified`", body = Problem),
    (status = 429, description = "Five failures in fifteen minutes", body = Problem),
))]
async fn log_in(
    State(app): State<App>,
    _: OwnPage,
    Client(client): Client,
    ValidJson(credentials): ValidJson<LogIn>,
) -> Result<(HeaderMap, Json<LoggedInBody>), ApiError> {
    let logged_in = sessions::log_in(&app, &client, &credentials.email, credentials.password).await?;
    Ok(logged_in_body(&app, logged_in))
}

/// Renews the tokens. A refresh token is good once: shown a second time, it ends its session.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = Option<Refresh>, responses(
    (status = 200, body = LoggedInBody),
    (status = 401, body = Problem),
    (status = 403, description = "From another site's page", body = Problem),
))]
async fn refresh(
    State(app): State<App>,
    _: OwnPage,
    Client(client): Client,
    method: Method,
    headers: HeaderMap,
    body: Option<ValidJson<Refresh>>,
) -> Result<(HeaderMap, Json<LoggedInBody>), ApiError> {
    let token = refresh_token(&app, &method, &headers, body)?.ok_or(app::Error::Unauthenticated)?;
    let logged_in = sessions::refresh(&app, &client, &token).await?;
    Ok(logged_in_body(&app, logged_in))
}

/// Logs out: the session ends, and the browser forgets its tokens.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", request_body = Option<Refresh>, responses(
    (status = 204),
    (status = 403, description = "From another site's page", body = Problem),
))]
async fn log_out(
    State(app): State<App>,
    _: OwnPage,
    Client(client): Client,
    method: Method,
    headers: HeaderMap,
    body: Option<ValidJson<Refresh>>,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    let token = refresh_token(&app, &method, &headers, body)?;
    let identity = match credential(&app, &method, &headers)? {
        Some(shown) => match app::auth::identify(&app, shown, client.clone()).await {
            Ok(identity) => Some(identity),
            // Who is not let in any more may still leave. Whoever we cannot ask about has not left.
            Err(app::Error::Unauthenticated) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    sessions::log_out(&app, &client, token.as_ref(), identity.as_ref()).await?;
    Ok((StatusCode::NO_CONTENT, cookies::clear()))
}

/// Sends a link to a new password, if the address is registered.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "auth", request_body = Address, responses(
    (status = 202),
    (status = 429, body = Problem),
))]
async fn forgot_password(
    State(app): State<App>,
    Client(client): Client,
    ValidJson(address): ValidJson<Address>,
) -> Result<StatusCode, ApiError> {
    recovery::forgot(&app, &client, &address.email).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sets a new password by such a link. Every session of the person ends.
#[utoipa::path(post, path = "/auth/reset-password", tag = "auth", request_body = ResetPassword, responses(
    (status = 204),
    (status = 403, description = "From another site's page", body = Problem),
    (status = 409, description = "`token_invalid`", body = Problem),
    (status = 429, body = Problem),
))]
async fn reset_password(
    State(app): State<App>,
    _: OwnPage,
    Client(client): Client,
    ValidJson(new): ValidJson<ResetPassword>,
) -> Result<StatusCode, ApiError> {
    recovery::reset(&app, &client, &new.token, new.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who am I.
#[utoipa::path(get, path = "/auth/me", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, body = AccountBody),
    (status = 403, description = "An API key is no person", body = Problem),
))]
async fn me(State(app): State<App>, caller: Caller) -> Result<Json<AccountBody>, ApiError> {
    let account = sessions::me(&app, caller.identity()).await?;
    Ok(Json(account_body(account, caller.scope().company_id())))
}

/// Goes on in another company of one's own.
#[utoipa::path(post, path = "/auth/switch-company", tag = "auth", security(("bearer" = [])),
    request_body = SwitchCompany, responses(
    (status = 200, body = SwitchedBody),
    (status = 403, description = "An API key is no person", body = Problem),
    (status = 404, body = Problem),
))]
async fn switch_company(
    State(app): State<App>,
    caller: Caller,
    ValidJson(target): ValidJson<SwitchCompany>,
) -> Result<(HeaderMap, Json<SwitchedBody>), ApiError> {
    let (account, token, expires_at) =
        sessions::switch_company(&app, caller.identity(), target.company_id).await?;
    let headers = cookies::set(&token, expires_at, None, app.clock.now());
    let account = account_body(account, target.company_id);
    Ok((headers, Json(SwitchedBody { token: token.expose_secret().to_owned(), expires_at, account })))
}

/// One's open sessions, newest first.
#[utoipa::path(get, path = "/auth/sessions", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, body = LoginSessionList),
    (status = 403, description = "An API key is no person", body = Problem),
))]
async fn list_sessions(State(app): State<App>, caller: Caller) -> Result<Json<LoginSessionList>, ApiError> {
    let open = sessions::list_sessions(&app, caller.identity()).await?;
    let asks = caller.identity().session_id();
    let items = open.into_iter().map(|session| LoginSessionBody::new(session, asks)).collect();
    Ok(Json(LoginSessionList { items }))
}

/// Ends one of one's sessions: its tokens are worth nothing within half a minute.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "auth", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 403, description = "An API key is no person", body = Problem),
    (status = 404, body = Problem),
))]
async fn end_session(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<LoginSessionId>,
) -> Result<StatusCode, ApiError> {
    sessions::end_session(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn logged_in_body(app: &App, logged_in: LoggedIn) -> (HeaderMap, Json<LoggedInBody>) {
    let LoggedIn { account, company_id, token, expires_at, refresh_token, session_expires_at } = logged_in;
    let refresh = Some((&refresh_token, session_expires_at));
    let headers = cookies::set(&token, expires_at, refresh, app.clock.now());
    let body = LoggedInBody {
        token: token.expose_secret().to_owned(),
        expires_at,
        refresh_token: refresh_token.expose_secret().to_owned(),
        session_expires_at,
        account: account_body(account, company_id),
    };
    (headers, Json(body))
}

/// The refresh token of the body or else of the cookie.
fn refresh_token(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    body: Option<ValidJson<Refresh>>,
) -> Result<Option<SecretString>, app::Error> {
    if let Some(token) = body.and_then(|ValidJson(body)| body.refresh_token) {
        return Ok(Some(token));
    }
    let Some(token) = cookies::read(headers, cookies::REFRESH) else { return Ok(None) };
    cookies::check_origin(app, method, headers)?;
    Ok(Some(SecretString::from(token)))
}
