//! Where a request comes from: what the gateway saw, not what a client wrote into a header.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;

/// The client of a request.
#[derive(Clone, Debug)]
pub struct Client(pub app::auth::Client);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(client(parts)))
    }
}

/// Address and program of a request.
pub(crate) fn client(parts: &Parts) -> app::auth::Client {
    let ip = match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    };
    let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    app::auth::Client { ip: ip.unwrap_or_default(), user_agent: user_agent.unwrap_or_default().to_owned() }
}

/// The host that was called, as the platform says: it chose the function by it. `None` where it does not say.
pub struct CalledHost(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for CalledHost {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.clone(),
            _ => None,
        }))
    }
}
