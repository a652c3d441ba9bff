//! JSON bodies and query strings, with errors that name the field.

use app::Error;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::ApiError;

/// A JSON body. Text that is no JSON is 400 `malformed`; JSON of the wrong shape is 422 `invalid` and names the field.
#[derive(Clone, Copy, Debug)]
pub struct ValidJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        parse(&read(request, state).await?)
    }
}

/// A body that may be left out: an empty one is `None`.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let body = read(request, state).await?;
        if body.is_empty() { Ok(None) } else { parse(&body).map(Some) }
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let body = Bytes::from_request(request, state).await;
    Ok(body.map_err(|error| Error::Malformed(error.body_text()))?)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<ValidJson<T>, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map(ValidJson).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        match cause.classify() {
            serde_json::error::Category::Data => {
                let field = if path == "." { "body".to_owned() } else { path };
                Error::invalid(field, cause.to_string()).into()
            }
            _ => Error::Malformed(format!("the body is not JSON: {cause}")).into(),
        }
    })
}

/// A query string; a wrong one is 422 `invalid`.
#[derive(Clone, Copy, Debug)]
pub struct ValidQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(query)| Self(query))
            .map_err(|error| Error::invalid("query", error.body_text()).into())
    }
}

/// A path parameter that is an id. What is no id does not exist: 404.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(id)| Self(id))
            .map_err(|_| Error::NotFound("object").into())
    }
}
