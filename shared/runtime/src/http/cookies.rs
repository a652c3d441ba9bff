//! The cookies that keep a person logged in, and who may call with them.
//!
//! All are HttpOnly and Secure, and none leaves its host. Another site's page can make a browser send them, so that
//! a call with cookies that changes something must come from a page of ours: browsers say so in `Origin`.

use app::{App, Error};
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};

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
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    let ours = match origin {
        Some(origin) => {
            origin == app.settings.public_url
                || app.settings.allowed_origins.iter().any(|allowed| allowed == origin)
                || is_this_host(origin, headers)
        }
        // Every browser of today says one or the other.
        None => headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin"),
    };
    if ours { Ok(()) } else { Err(Error::Forbidden("call with cookies from another site")) }
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
