//! JSON bodies and query strings, with errors that name the field.

use app::Error;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::ApiError;

/// A JSON body that says that it is JSON, else 415 `unsupported_media_type`: of what a form or a script of another site's
/// page can send unasked, nothing does. Text that is no JSON is 400 `malformed`; JSON of the wrong shape is 422 `invalid`
/// and names the field.
#[derive(Clone, Copy, Debug)]
pub struct ValidJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_media_type(request.headers())?;
        parse(&read(request, state).await?)
    }
}

/// A body that may be left out: an empty one is `None`, and needs to say nothing of itself.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let media_type = check_media_type(request.headers());
        let body = read(request, state).await?;
        if body.is_empty() {
            return Ok(None);
        }
        media_type?;
        parse(&body).map(Some)
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A gateway puts a comma between two headers of the same name.
    let essence = value.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json"
        || essence.strip_prefix("application/").is_some_and(|name| name.ends_with("+json"));
    if is_json { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge,
        _ => Error::Malformed(error.body_text()).into(),
    })
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

/// A query string; a wrong one is 422 `invalid` and names the parameter.
#[derive(Clone, Copy, Debug)]
pub struct ValidQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(wrong_parameter(&rejection).into()),
        }
    }
}

fn wrong_parameter(rejection: &QueryRejection) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(rejection);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<serde_path_to_error::Error<serde::de::value::Error>>() {
            let message = error.inner().to_string();
            let path = error.path().to_string();
            // The path ends before a parameter that there is not, or that comes twice; the words hold its name.
            let field = match message.split('`').nth(1) {
                Some(name) if path == "." || path == "?" => name.to_owned(),
                _ => path,
            };
            return Error::invalid(field, message);
        }
        cause = error.source();
    }
    Error::invalid("query", rejection.body_text())
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

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Uri};
    use serde::Deserialize;

    use super::*;

    #[test]
    fn only_json_says_that_it_is_json() {
        let says = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            check_media_type(&headers).is_ok()
        };
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/merge-patch+json",
            "application/json, application/json",
        ] {
            assert!(says(Some(good)), "{good}");
        }
        for bad in [
            "text/plain",
            "text/plain; application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "application/jsonp",
            "text/json",
            "",
        ] {
            assert!(!says(Some(bad)), "{bad}");
        }
        assert!(!says(None));
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wanted {
            #[serde(rename = "limit")]
            _limit: Option<i64>,
            #[serde(rename = "status")]
            _status: String,
        }
        for (query, field) in [
            ("status=a&limit=x", "limit"),
            ("status=a&assignee_id=1", "assignee_id"),
            ("status=a&status=b", "status"),
            ("limit=1", "status"),
        ] {
            let uri: Uri = format!("/?{query}").parse().expect("an address");
            let rejection = Query::<Wanted>::try_from_uri(&uri).expect_err("refused");
            match wrong_parameter(&rejection) {
                Error::Invalid { field: named, .. } => assert_eq!(named, field, "{query}"),
                other => panic!("{query}: {other}"),
            }
        }
    }
}
