//! A client of the HTTP API that keeps what it was answered, also when that is a problem.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::Stack;

/// A client, with or without credentials.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    origin: String,
    credential: Option<String>,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `content-type`, without parameters.
    pub content_type: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; `Null` when it is empty, a string when it is no JSON.
    pub body: Value,
}

impl Api {
    /// A client without credentials.
    pub fn anonymous(stack: &Stack) -> Self {
        Self { http: crate::http_client(), origin: stack.origin(), credential: None }
    }

    /// The same client with a token or an API key.
    #[must_use]
    pub fn with(&self, credential: &str) -> Self {
        Self { credential: Some(credential.to_owned()), ..self.clone() }
    }

    /// Logs a person in and returns a client that speaks for them.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn log_in(stack: &Stack, email: &str, password: &str) -> Self {
        let anonymous = Self::anonymous(stack);
        let credentials = serde_json::json!({ "email": email, "password": password });
        let answer = anonymous.post("auth/login", &credentials).await.expect_status(200);
        anonymous.with(answer.body["token"].as_str().expect("a token"))
    }

    /// The same client at another address of its own: limits that count addresses count it alone.
    ///
    /// # Panics
    /// When this machine has no such address. Linux has all of 127.0.0.0/8.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        let bits = crate::new_id().as_u128().to_le_bytes();
        let address = std::net::Ipv4Addr::new(127, bits[0] | 1, bits[1], bits[2].clamp(1, 254));
        Self { http: crate::http_client_at(Some(address.into())), ..self.clone() }
    }

    /// The token or key, if it has one.
    pub fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }

    /// `GET`; `path` below `/api/v1`, or absolute when it begins with a slash.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string()), &[]).await
    }

    /// `POST` of a JSON body with an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string()), &[("idempotency-key", key)]).await
    }

    /// Any request. A body is JSON unless `headers` say something else.
    ///
    /// # Panics
    /// When there is no answer at all.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let url = match path.strip_prefix('/') {
            Some(path) => format!("{}/{path}", self.origin),
            None => format!("{}/api/v1/{path}", self.origin),
        };
        let mut request = self.http.request(method, &url);
        if let Some(credential) = &self.credential {
            request = request.bearer_auth(credential);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let is_named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !is_named {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        Answer::new(status, headers, text)
    }

    /// Every row of a list, page by page.
    ///
    /// # Panics
    /// When a page is refused, or a list does not end.
    pub async fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{joint}limit={limit}{cursor}")).await.expect_status(200).body;
            let items = page["items"].as_array().expect("a page has items");
            assert!(items.len() <= limit, "a page of {} rows, {limit} were asked for", items.len());
            rows.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
            assert!(rows.len() < 1_000_000, "{path} does not end");
        }
    }
}

impl Answer {
    pub(crate) fn new(status: u16, headers: HeaderMap, text: String) -> Self {
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Self { status, content_type, headers, body }
    }

    /// Itself, if it has this status.
    ///
    /// # Panics
    /// When it has another.
    #[must_use]
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Its body, if it is a problem with this status and code.
    ///
    /// # Panics
    /// When it is anything else.
    #[must_use]
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Value {
        let answer = self.expect_status(status);
        assert_eq!(answer.content_type, "application/problem+json", "{}", answer.body);
        assert_eq!(answer.body["code"], code, "{}", answer.body);
        assert_eq!(answer.body["status"], status, "{}", answer.body);
        answer.body
    }
}
