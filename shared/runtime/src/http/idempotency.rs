//! The `Idempotency-Key` header: the same key makes the same thing, once.

use app::idempotency::{HEADER, IdempotencyKey};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::IntoParams;

use super::ApiError;

/// How the header stands in the OpenAPI document: `params(IdempotencyHeader)`.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyHeader {
    /// The same key makes the same thing, once. 1 to 255 visible ASCII characters; it is remembered for a day at least.
    #[param(rename = "Idempotency-Key", nullable = false)]
    pub idempotency_key: Option<String>,
}

/// The request's `Idempotency-Key`, if it has one.
#[derive(Clone, Debug)]
pub struct Idempotency(pub Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let value = parts.headers.get(HEADER);
        Ok(Self(value.map(|value| IdempotencyKey::parse(value.as_bytes())).transpose()?))
    }
}
