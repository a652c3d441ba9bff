//! Who calls: an extractor, so that a handler without it is visibly public.

use app::auth::{self, Identity, throttle};
use app::{App, Error};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use domain::CompanyScope;
use domain::user::Permission;

use super::{ApiError, client, cookies};

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

    /// Refuses a caller who lacks `permission`.
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
        let credential = credential(app, &parts.method, &parts.headers)?.ok_or(Error::Unauthenticated)?;
        let identity = auth::identify(app, credential, client::client(parts)).await?;
        throttle::pass(app, &identity).await?;
        Ok(Self(identity))
    }
}

/// The token or key that a request shows. The header goes before the cookie.
///
/// # Errors
/// `Forbidden` for a cookie on a changing call from another site's page.
pub fn credential<'a>(app: &App, method: &Method, headers: &'a HeaderMap) -> Result<Option<&'a str>, Error> {
    if let Some(shown) = bearer(headers) {
        return Ok(shown);
    }
    let Some(token) = cookies::read(headers, cookies::SESSION) else { return Ok(None) };
    cookies::check_origin(app, method, headers)?;
    Ok(Some(token))
}

/// What `Authorization` shows; the outer `None` when there is no such header.
fn bearer(headers: &HeaderMap) -> Option<Option<&str>> {
    let value = headers.get(AUTHORIZATION)?;
    Some(value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).map(str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn another_scheme_is_no_credential_and_hides_the_cookie() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer do-header"));
        assert_eq!(bearer(&headers), Some(Some("do-header")));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic x"));
        assert_eq!(bearer(&headers), Some(None));
    }
}
