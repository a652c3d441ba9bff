//! `/auth/oauth/{provider}`: log-in by Google and Facebook, by redirects of the browser.

use app::App;
use app::auth::oauth::{self, FLOW_LIFE, Outcome};
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use providers::oauth::{Callback, Provider};
use runtime::http::caller::credential;
use runtime::http::{ApiError, Client, PathId, Problem, ValidQuery, cookies};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::group::{Group, routes};

/// Carries the sealed state of a flow through the browser.
const FLOW_COOKIE: &str = "__Secure-oauth";

/// Where that cookie is sent to.
const FLOW_PATH: &str = "/api/v1/auth/oauth";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(start)).routes(routes!(callback))
}

/// What the flow is for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StartQuery {
    /// Link the account to the person who is logged in, instead of logging in.
    #[serde(default)]
    link: bool,
}

/// Sends the browser to the provider.
#[utoipa::path(get, path = "/auth/oauth/{provider}/start", tag = "auth",
    params(("provider" = String, Path, description = "`google` or `facebook`"), StartQuery), responses(
    (status = 303, description = "To the provider"),
    (status = 401, description = "`link` without being logged in", body = Problem),
    (status = 403, description = "`link` from another site's page, or with an API key", body = Problem),
    (status = 404, description = "No such provider here", body = Problem),
))]
async fn start(
    State(app): State<App>,
    Client(client): Client,
    PathId(provider): PathId<Provider>,
    ValidQuery(query): ValidQuery<StartQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    let linking = if query.link {
        // Another site's page would choose the account that opens this person's from then on.
        if cookies::is_cross_site(&headers) {
            return Err(app::Error::Forbidden("link an account from another site's page").into());
        }
        let shown = credential(&app, &method, &headers)?.ok_or(app::Error::Unauthenticated)?;
        Some(app::auth::identify(&app, shown, client).await?)
    } else {
        None
    };
    let started = oauth::start(&app, provider, linking.as_ref()).await?;
    let mut headers = location(&started.url)?;
    set_flow(&mut headers, &started.flow, FLOW_LIFE.num_seconds());
    Ok((StatusCode::SEE_OTHER, headers))
}

/// Where the provider sends the browser back to. It goes on to the panel: logged in, or to `/login?error=<code>`.
#[utoipa::path(get, path = "/auth/oauth/{provider}/callback", tag = "auth",
    params(("provider" = String, Path, description = "`google` or `facebook`")), responses(
    (status = 303, description = "To the panel"),
    (status = 404, description = "No such provider here", body = Problem),
))]
async fn callback(
    State(app): State<App>,
    Client(client): Client,
    PathId(provider): PathId<Provider>,
    ValidQuery(query): ValidQuery<Callback>,
    headers: HeaderMap,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    let flow = cookies::read(&headers, FLOW_COOKIE);
    let panel = &app.settings.public_url;
    let mut answer = match oauth::callback(&app, &client, provider, &query, flow).await {
        Ok(Outcome::LoggedIn(logged_in)) => {
            let refresh = Some((&logged_in.refresh_token, logged_in.session_expires_at));
            let mut headers = cookies::set(&logged_in.token, logged_in.expires_at, refresh, app.clock.now());
            headers.extend(location(&format!("{panel}/"))?);
            headers
        }
        Ok(Outcome::Linked) => location(&format!("{panel}/account?linked={provider}"))?,
        Ok(Outcome::MailSent(proof)) => {
            let mut headers = cookies::set_registration(&proof);
            headers.extend(location(&format!("{panel}/login?notice=verify_email"))?);
            headers
        }
        Err(error @ app::Error::NotFound(_)) => return Err(error.into()),
        Err(error) => {
            // What the person can do something about is no failure of ours.
            let is_theirs = matches!(
                error,
                app::Error::Rule { .. }
                    | app::Error::Conflict(_)
                    | app::Error::Forbidden(_)
                    | app::Error::RetryLater { .. }
            );
            if !is_theirs {
                tracing::error!(oauth.provider = %provider, error = error.chain(), "log-in by a provider failed");
            }
            location(&format!("{panel}/login?error={}", error.code()))?
        }
    };
    set_flow(&mut answer, "", 0);
    Ok((StatusCode::SEE_OTHER, answer))
}

/// Where the browser goes. Nowhere is no answer: an address that fits into no header is a fault of ours.
fn location(url: &str) -> Result<HeaderMap, app::Error> {
    let value = HeaderValue::from_str(url).map_err(|error| app::Error::Internal(error.into()))?;
    Ok(HeaderMap::from_iter([(LOCATION, value)]))
}

fn set_flow(headers: &mut HeaderMap, flow: &str, seconds: i64) {
    cookies::append(headers, FLOW_COOKIE, flow, FLOW_PATH, seconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nowhere_to_go_is_a_fault() {
        assert_eq!(location("https://x/login").expect("an address")[LOCATION], "https://x/login");
        assert!(matches!(location("https://x/\n"), Err(app::Error::Internal(_))));
    }
}
