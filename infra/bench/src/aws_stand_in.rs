//! The AWS services that functions call on their busiest paths, answering at once from memory: what is measured is
//! the function. Knows SQS, EventBridge, Secrets Manager, one item a key in DynamoDB, and objects of S3 that are read.
//! Counts what it took.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http_server::{Answer, Call, HttpServer, answer};

/// The services, for as long as this lives.
pub(crate) struct AwsStandIn {
    server: HttpServer,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    secrets: Mutex<HashMap<String, String>>,
    items: Mutex<HashMap<String, Value>>,
    objects: Mutex<HashMap<String, Bytes>>,
    queued: AtomicUsize,
    published: AtomicUsize,
}

#[derive(Deserialize)]
struct PutEvents<'a> {
    #[serde(rename = "Entries", borrow)]
    entries: Vec<&'a RawValue>,
}

impl AwsStandIn {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let handler = Arc::clone(&shared);
        let server = HttpServer::start(move |call| handle(Arc::clone(&handler), call)).await?;
        Ok(Self { server, shared })
    }

    /// What `AWS_ENDPOINT_URL` says.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Sets a secret's text.
    pub(crate) fn set_secret(&self, id: &str, text: impl Into<String>) {
        let mut secrets = self.shared.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(id.to_owned(), text.into());
    }

    /// Puts an object where `path` says: `/<bucket>/<key>`.
    pub(crate) fn put_object(&self, path: &str, bytes: Bytes) {
        let mut objects = self.shared.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.insert(path.to_owned(), bytes);
    }

    /// How many messages came onto queues so far.
    pub(crate) fn queued(&self) -> usize {
        self.shared.queued.load(Ordering::Relaxed)
    }

    /// How many events came onto the bus so far.
    pub(crate) fn published(&self) -> usize {
        self.shared.published.load(Ordering::Relaxed)
    }
}

async fn handle(shared: Arc<Shared>, call: Call) -> Answer {
    if call.method() == Method::GET {
        let range = call.headers().get("range").and_then(|range| range.to_str().ok());
        return get_object(&shared, call.uri().path(), range)
            .unwrap_or_else(|error| refuse(&error.to_string()));
    }
    let target = call.headers().get("x-amz-target").cloned();
    let body = match call.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refuse(&error.to_string()),
    };
    let operation = target.as_ref().and_then(|target| target.to_str().ok()).unwrap_or_default();
    match respond(&shared, operation, &body) {
        Ok(body) => {
            let mut answer = answer(StatusCode::OK, body);
            let headers = answer.headers_mut();
            headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
            headers
                .insert("x-amzn-requestid", HeaderValue::from_static("00000000-0000-4000-8000-000000000000"));
            answer
        }
        Err(error) => refuse(&format!("{operation}: {error}")),
    }
}

fn refuse(reason: &str) -> Answer {
    eprintln!("bench: the AWS stand-in refused a call: {reason}");
    let body = json!({"__type": "ValidationException", "message": reason});
    answer(StatusCode::BAD_REQUEST, body.to_string())
}

/// A part of an object; all of it when no range is given.
fn get_object(shared: &Shared, path: &str, range: Option<&str>) -> anyhow::Result<Answer> {
    let objects = shared.objects.lock().unwrap_or_else(PoisonError::into_inner);
    let object = objects.get(path).with_context(|| format!("no object {path}"))?;
    let size = object.len();
    let (first, end) = match range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
        Some((first, last)) => (first.parse()?, last.parse::<usize>()?.saturating_add(1).min(size)),
        None => (0, size),
    };
    anyhow::ensure!(first <= end, "{path} has {size} bytes");
    let mut answer = answer(StatusCode::PARTIAL_CONTENT, object.slice(first..end));
    let range = format!("bytes {first}-{}/{size}", end.saturating_sub(1));
    answer.headers_mut().insert("content-range", HeaderValue::try_from(range)?);
    Ok(answer)
}

fn respond(shared: &Shared, operation: &str, body: &[u8]) -> anyhow::Result<Bytes> {
    match operation {
        "AmazonSQS.SendMessageBatch" => send_message_batch(shared, body),
        "AmazonSQS.ChangeMessageVisibility" => Ok(Bytes::from_static(b"{}")),
        "AWSEvents.PutEvents" => put_events(shared, body),
        "secretsmanager.GetSecretValue" => get_secret_value(shared, body),
        "DynamoDB_20120810.PutItem" => put_item(shared, body),
        "DynamoDB_20120810.GetItem" => get_item(shared, body),
        // A limit that always has room.
        "DynamoDB_20120810.UpdateItem" => Ok(Bytes::from_static(b"{}")),
        _ => anyhow::bail!("not an operation that is measured"),
    }
}

/// Entries are counted by the names of their ids, which are those of their places. Within a body, which is a text in JSON,
/// such a name has backslashes. To read it all would be a part of what is measured.
fn send_message_batch(shared: &Shared, body: &[u8]) -> anyhow::Result<Bytes> {
    let entries = str::from_utf8(body)?.matches("\"Id\":\"").count();
    shared.queued.fetch_add(entries, Ordering::Relaxed);
    let sent = |id: usize| {
        format!(
            "{{\"Id\":\"{id}\",\"MessageId\":\"00000000-0000-4000-8000-000000000000\",\
             \"MD5OfMessageBody\":\"d41d8cd98f00b204e9800998ecf8427e\",\
             \"SequenceNumber\":\"18870000000000000001\"}}"
        )
    };
    let sent: Vec<_> = (0..entries).map(sent).collect();
    Ok(format!("{{\"Successful\":[{}],\"Failed\":[]}}", sent.join(",")).into())
}

fn put_events(shared: &Shared, body: &[u8]) -> anyhow::Result<Bytes> {
    let batch: PutEvents<'_> = serde_json::from_slice(body)?;
    shared.published.fetch_add(batch.entries.len(), Ordering::Relaxed);
    let entries = vec![json!({"EventId": "00000000-0000-4000-8000-000000000000"}); batch.entries.len()];
    Ok(json!({"FailedEntryCount": 0, "Entries": entries}).to_string().into())
}

fn get_secret_value(shared: &Shared, body: &[u8]) -> anyhow::Result<Bytes> {
    let call: Value = serde_json::from_slice(body)?;
    let id = call["SecretId"].as_str().unwrap_or_default();
    let secrets = shared.secrets.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(text) = secrets.get(id) else { anyhow::bail!("no secret {id}") };
    let arn = format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{id}");
    Ok(json!({"ARN": arn, "Name": id, "VersionId": "1", "SecretString": text}).to_string().into())
}

fn put_item(shared: &Shared, body: &[u8]) -> anyhow::Result<Bytes> {
    let mut call: Value = serde_json::from_slice(body)?;
    let item = call["Item"].take();
    let key = item["route_key"]["S"].as_str().unwrap_or_default().to_owned();
    shared.items.lock().unwrap_or_else(PoisonError::into_inner).insert(key, item);
    Ok(Bytes::from_static(b"{}"))
}

fn get_item(shared: &Shared, body: &[u8]) -> anyhow::Result<Bytes> {
    let call: Value = serde_json::from_slice(body)?;
    let key = call["Key"]["route_key"]["S"].as_str().unwrap_or_default();
    let items = shared.items.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = items.get(key).map_or_else(|| json!({}), |item| json!({"Item": item}));
    Ok(answer.to_string().into())
}
