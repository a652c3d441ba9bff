//! JSON bodies and query strings, with errors that name the field.

use std::fmt;
use std::marker::PhantomData;

use app::Error;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use chrono::NaiveDate;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

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
    let mut track = serde_path_to_error::Track::new();
    let parsed = object(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    let malformed = |error| Error::Malformed(format!("the body is not JSON: {error}"));
    match parsed {
        Ok(value) => {
            json.end().map_err(malformed)?;
            refuse_nul(body)?;
            Ok(ValidJson(value))
        }
        Err(error) if error.is_data() => {
            Err(explain(&track.path().to_string(), &error.to_string(), "body").into())
        }
        Err(error) => Err(malformed(error).into()),
    }
}

/// Reads what must be a JSON object. What is derived takes a list of a struct's fields in their order too: nobody writes
/// that on purpose, and it would keep us from adding a field. Goes with `deserialize_with`.
///
/// # Errors
/// Those of `T`.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Object(PhantomData))
}

/// Reads a field that may be left out, be cleared by `null`, or be set: `None`, `Some(None)`, `Some(Some(_))`. Goes with
/// `#[serde(default, deserialize_with = "runtime::http::body::nullable")]`.
///
/// # Errors
/// Those of `T`.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A day of the calendar, as in `2026-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(pub NaiveDate);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_digit_or_dash = |(place, byte): (usize, u8)| {
            if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() }
        };
        let is_spelt_so = text.len() == 10 && text.bytes().enumerate().all(is_digit_or_dash);
        let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().filter(|_| is_spelt_so);
        day.map(Self).ok_or_else(|| serde::de::Error::custom("no calendar day"))
    }
}

/// Refuses what PostgreSQL's texts cannot hold, wherever it stands.
fn refuse_nul(body: &[u8]) -> Result<(), Error> {
    // Raw, it is no JSON; and hardly anybody writes it escaped.
    if !body.windows(NUL.len()).any(|part| part == NUL) {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| Error::Malformed(error.to_string()))?;
    match find_nul(&value, "") {
        Some(path) => Err(Error::invalid(if path.is_empty() { "body".to_owned() } else { path }, HOLDS_NUL)),
        None => Ok(()),
    }
}

const NUL: &[u8] = br"\u0000";

const HOLDS_NUL: &str = "holds a NUL character";

/// The path of a text with a NUL in it, or of the object with such a name.
fn find_nul(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find_nul(item, &format!("{path}[{index}]")))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if name.contains('\0') { Some(path.to_owned()) } else { find_nul(value, &below(path, name)) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What serde says of wrong input, in words for who wrote it: which field it is, and what must be true of it. `whole` is
/// the name of all of it.
fn explain(path: &str, said: &str, whole: &'static str) -> Error {
    // The path ends before a field that there is not, or that comes twice; the words hold its name.
    let path = path.trim_end_matches(['?', '.']);
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    let named = |beginning: &str| said.strip_prefix(beginning)?.split('`').next();
    let absent = [
        ("missing field `", "is needed"),
        ("unknown field `", "is not known here"),
        ("duplicate field `", "stands here twice"),
    ];
    for (beginning, message) in absent {
        if let Some(name) = named(beginning) {
            let stands = path == name || path.ends_with(&format!(".{name}"));
            return Error::invalid(if stands { path.to_owned() } else { below(path, name) }, message);
        }
    }
    let field = if path.is_empty() { whole.to_owned() } else { path.to_owned() };
    let message = match said.rsplit_once(", expected ") {
        Some((_, words)) if said.starts_with("unknown variant") => {
            let words: Vec<_> = words.split('`').skip(1).step_by(2).collect();
            format!("must be one of {}", words.join(", "))
        }
        Some((_, expected)) if said.starts_with("invalid ") => format!("must be {}", in_words(expected)),
        _ => format!("must be {}", of_text(said)),
    };
    Error::invalid(field, message)
}

/// What serde expects, without the names of our types.
fn in_words(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" | "map" => "an object",
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "string or map" | "variant identifier" => "a string",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") => "a string",
        other if other.starts_with("tuple") => "a list",
        other if other.contains("UUID") => "a UUID",
        other if other.contains("RFC 3339") => "a time as RFC 3339 has it",
        other => other,
    }
}

/// What a text was to be that could not be read as such.
fn of_text(said: &str) -> &'static str {
    if said.contains("UUID") {
        "a UUID"
    } else if said.contains("calendar day") {
        "a day as in 2026-01-31"
    } else if said.contains("`true` or `false`") {
        "true or false"
    } else if ["digit", "integer", "number"].iter().any(|word| said.contains(word)) {
        "a whole number"
    } else if ["input", "time", "date"].iter().any(|word| said.contains(word)) {
        "a time as RFC 3339 has it"
    } else {
        "of another form"
    }
}

/// A query string; a wrong one is 422 `invalid` and names the parameter.
#[derive(Clone, Copy, Debug)]
pub struct ValidQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        refuse_nul_parameter(&parts.uri)?;
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(wrong_parameter(&rejection).into()),
        }
    }
}

fn refuse_nul_parameter(uri: &Uri) -> Result<(), Error> {
    if !uri.query().is_some_and(|query| query.contains("%00")) {
        return Ok(());
    }
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return Ok(()) };
    match pairs.into_iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        Some((name, _)) if name.contains('\0') => Err(Error::invalid("query", HOLDS_NUL)),
        Some((name, _)) => Err(Error::invalid(name, HOLDS_NUL)),
        None => Ok(()),
    }
}

fn wrong_parameter(rejection: &QueryRejection) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(rejection);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<serde_path_to_error::Error<serde::de::value::Error>>() {
            return explain(&error.path().to_string(), &error.inner().to_string(), "query");
        }
        cause = error.source();
    }
    Error::invalid("query", "is no query string")
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
    use axum::http::HeaderValue;

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

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "flag")]
        _flag: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "count", default)]
        _count: u32,
        #[serde(rename = "id")]
        _id: Option<uuid::Uuid>,
        #[serde(rename = "at")]
        _at: Option<chrono::DateTime<chrono::Utc>>,
        #[serde(rename = "day")]
        _day: Option<Day>,
        #[serde(rename = "colour")]
        _colour: Option<Colour>,
        #[serde(rename = "tags", default)]
        _tags: Vec<String>,
        #[serde(rename = "inner", default, deserialize_with = "object")]
        _inner: Inner,
        #[serde(rename = "any")]
        _any: Option<Value>,
    }

    #[test]
    fn a_wrong_field_is_named_and_said_in_words() {
        let _both = [Colour::Red, Colour::Blue];
        for (body, field, message) in [
            ("{}", "name", "is needed"),
            (r#"["a", 1]"#, "body", "must be an object"),
            (r#""a""#, "body", "must be an object"),
            (r#"{"name": "a", "name": "b"}"#, "name", "stands here twice"),
            (r#"{"name": "a", "nmae": "b"}"#, "nmae", "is not known here"),
            (r#"{"name": 1}"#, "name", "must be a string"),
            (r#"{"name": "a", "count": -1}"#, "count", "must be a whole number"),
            (r#"{"name": "a", "count": "1"}"#, "count", "must be a whole number"),
            (r#"{"name": "a", "id": "1"}"#, "id", "must be a UUID"),
            (r#"{"name": "a", "id": 1}"#, "id", "must be a UUID"),
            (r#"{"name": "a", "at": "ontem"}"#, "at", "must be a time as RFC 3339 has it"),
            (r#"{"name": "a", "at": 1}"#, "at", "must be a time as RFC 3339 has it"),
            (r#"{"name": "a", "day": "31/01/2026"}"#, "day", "must be a day as in 2026-01-31"),
            (r#"{"name": "a", "day": "2026-02-30"}"#, "day", "must be a day as in 2026-01-31"),
            (r#"{"name": "a", "day": "+2026-1-30"}"#, "day", "must be a day as in 2026-01-31"),
            (r#"{"name": "a", "day": 20260131}"#, "day", "must be a string"),
            (r#"{"name": "a", "colour": "green"}"#, "colour", "must be one of red, blue"),
            (r#"{"name": "a", "tags": "b"}"#, "tags", "must be a list"),
            (r#"{"name": "a", "tags": ["b", 1]}"#, "tags[1]", "must be a string"),
            (r#"{"name": "a", "inner": [true]}"#, "inner", "must be an object"),
            (r#"{"name": "a", "inner": {"flag": 1}}"#, "inner.flag", "must be true or false"),
            (r#"{"name": "a", "inner": {"flags": 1}}"#, "inner.flags", "is not known here"),
            (r#"{"name": "a\u0000"}"#, "name", HOLDS_NUL),
            (r#"{"name": "a", "any": {"b": [1, "\u0000"]}}"#, "any.b[1]", HOLDS_NUL),
            (r#"{"name": "a", "any": {"\u0000": 1}}"#, "any", HOLDS_NUL),
        ] {
            match parse::<Outer>(body.as_bytes()).expect_err(body) {
                ApiError::Failed(Error::Invalid { field: named, message: said }) => {
                    assert_eq!((named.as_ref(), said.as_str()), (field, message), "{body}");
                }
                other => panic!("{body}: {other:?}"),
            }
        }
        for good in
            [r#"{"name": "a\\u0000", "inner": {}, "day": "2024-02-29"}"#, r#" {"name": "a", "any": ["b"]} "#]
        {
            assert!(parse::<Outer>(good.as_bytes()).is_ok(), "{good}");
        }
        for broken in ["", "{", r#"{"name": "a"} b"#, r#"{"name": "a}"#] {
            let refused = parse::<Outer>(broken.as_bytes()).expect_err(broken);
            assert!(matches!(refused, ApiError::Failed(Error::Malformed(_))), "{broken}: {refused:?}");
        }
    }

    #[test]
    fn a_parameter_that_postgresql_cannot_hold_is_named() {
        for (query, field) in
            [("status=%00", Some("status")), ("a=1&tag=x%00", Some("tag")), ("tag=%2500", None)]
        {
            let uri: Uri = format!("/?{query}").parse().expect("an address");
            let refused = refuse_nul_parameter(&uri).err();
            let named = refused.map(|error| match error {
                Error::Invalid { field, .. } => field.into_owned(),
                other => panic!("{query}: {other}"),
            });
            assert_eq!(named.as_deref(), field, "{query}");
        }
    }
}
