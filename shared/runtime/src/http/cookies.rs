//! The cookies that keep a person logged in, and who may call with them.
//!
//! All are HttpOnly and Secure, and none leaves its host. Another site's page can make a browser send them, so that
//! a call with cookies that changes something must come from a page of ours: browsers say so in `Origin`. Another site's page
//! can also have a browser log in to an account that is not its person's: what sets cookies is for no other site's page,
//! with or without cookies ([`OwnPage`]).

use app::{App, Error};
use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use super::ApiError;

/// Where a request comes from, in a browser's words: `same-origin`, `same-site`, `cross-site` or `none`.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Carries the token of requests; `__Host-` binds it to this host.
pub const SESSION: &str = "__Host-session";

/// Carries the refresh token, to the routes of `auth` only.
pub const REFRESH: &str = "__Secure-refresh";

/// Shows that a registration was made in this browser, until its address is proved.
pub const REGISTRATION: &str = "__Secure-registration";

/// Where the cookies for `auth` alone are sent to.
const AUTH_PATH: &str = "/api/v1/auth";

/// How long a browser remembers that it registered: longer than a link is good, since a new one can be asked for.
const REGISTRATION_LIFE: TimeDelta = TimeDelta::days(7);

/// Headers that set both cookies until their ends.
pub fn set(
    token: &SecretString,
    expires_at: DateTime<Utc>,
    refresh: Option<(&SecretString, DateTime<Utc>)>,
    now: DateTime<Utc>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    append(&mut headers, SESSION, token.expose_secret(), "/", seconds(expires_at - now));
    if let Some((token, end)) = refresh {
        append(&mut headers, REFRESH, token.expose_secret(), AUTH_PATH, seconds(end - now));
    }
    headers
}

/// Headers that make the browser forget both.
pub fn clear() -> HeaderMap {
    let mut headers = HeaderMap::new();
    append(&mut headers, SESSION, "", "/", 0);
    append(&mut headers, REFRESH, "", AUTH_PATH, 0);
    headers
}

/// Headers that make the browser remember a registration.
pub fn set_registration(proof: &SecretString) -> HeaderMap {
    let mut headers = HeaderMap::new();
    append(&mut headers, REGISTRATION, proof.expose_secret(), AUTH_PATH, REGISTRATION_LIFE.num_seconds());
    headers
}

/// Headers that make the browser forget it.
pub fn clear_registration() -> HeaderMap {
    let mut headers = HeaderMap::new();
    append(&mut headers, REGISTRATION, "", AUTH_PATH, 0);
    headers
}

/// Whole seconds, rounded up: a cookie that goes a moment late only shows a token that is over.
fn seconds(left: TimeDelta) -> i64 {
    (left.num_milliseconds() + 999) / 1_000
}

/// Adds a header that sets a cookie for so many seconds, out of the reach of scripts and of other sites' requests.
pub fn append(headers: &mut HeaderMap, name: &str, value: &str, path: &str, seconds: i64) {
    let cookie = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        headers.append(SET_COOKIE, value);
    }
}

/// The value of a cookie.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
        .filter(|value| !value.is_empty())
}

/// Refuses a changing call with cookies that does not come from a page of ours.
///
/// # Errors
/// `Forbidden`.
pub fn check_origin(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), Error> {
    if method.is_safe() {
        return Ok(());
    }
    let ours = match headers.get(ORIGIN) {
        Some(origin) => is_ours(app, origin, headers),
        // Every browser of today says one or the other.
        None => headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin"),
    };
    if ours { Ok(()) } else { Err(Error::Forbidden("call with cookies from another site")) }
}

fn is_ours(app: &App, origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    origin == app.settings.public_url
        || app.settings.allowed_origins.iter().any(|allowed| allowed == origin)
        || is_this_host(origin, headers)
}

/// A request that no other site's page has made: by a page of ours, or by what is no browser and says nothing of pages.
#[derive(Clone, Copy, Debug)]
pub struct OwnPage;

impl FromRequestParts<App> for OwnPage {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let headers = &parts.headers;
        let foreign = match headers.get(ORIGIN) {
            // What a browser says of itself, no page can change: ours under another name of this host.
            Some(_) if headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin") => false,
            Some(origin) => !is_ours(app, origin, headers),
            None => is_cross_site(headers),
        };
        if foreign { Err(Error::Forbidden("call this from another site's page").into()) } else { Ok(Self) }
    }
}

/// Whether a browser says that another site's page sent it here.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site")
}

fn is_this_host(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    host.is_some_and(|host| origin.strip_prefix("https://") == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers
            .insert(COOKIE, HeaderValue::from_static("a=b; x__Host-session=falso; __Host-session=certo; c="));
        assert_eq!(read(&headers, SESSION), Some("certo"));
        assert_eq!(read(&headers, "c"), None);
        assert_eq!(read(&headers, REFRESH), None);
    }

    #[test]
    fn both_are_kept_from_scripts_and_other_hosts() {
        let end = DateTime::from_timestamp(1_000, 0).expect("a time");
        let now = DateTime::from_timestamp(100, 0).expect("a time");
        let token = SecretString::from("t");
        let headers = set(&token, end, Some((&token, end)), now);
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().filter_map(|v| v.to_str().ok()).collect();
        assert_eq!(
            cookies,
            [
                "__Host-session=t; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax",
                "__Secure-refresh=t; Path=/api/v1/auth; Max-Age=900; HttpOnly; Secure; SameSite=Lax",
            ]
        );
    }
}
