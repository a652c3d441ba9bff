//! Who calls: an extractor, so that a handler without it is visibly public.

use app::auth::{self, Identity};
use app::{App, Error};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header;
use axum::http::request::Parts;
use domain::CompanyScope;
use domain::user::Permission;

use super::ApiError;

/// The cookie that carries a browser's token.
pub const SESSION_COOKIE: &str = "__Host-session";

/// A caller that was let in, by `Authorization: Bearer` (a token or an API key) or by the session cookie.
#[derive(Clone, Debug)]
pub struct Caller(Identity);

impl Caller {
    /// The company that the caller speaks for.
    pub fn scope(&self) -> CompanyScope {
        self.0.scope
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.0
    }

    /// Refuses a caller whose role lacks `permission`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        self.0.require(permission)
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let credential = credential(&parts.headers).ok_or(Error::Unauthenticated)?;
        Ok(Self(auth::identify(app, credential).await?))
    }
}

/// The token or key that a request shows.
pub fn credential(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return value.to_str().ok()?.strip_prefix("Bearer ").map(str::trim);
    }
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_header_goes_before_the_cookie() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; __Host-session=do-cookie"));
        assert_eq!(credential(&headers), Some("do-cookie"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer do-header"));
        assert_eq!(credential(&headers), Some("do-header"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic x"));
        assert_eq!(credential(&headers), None);
    }
}
