//! The Lambda Runtime API for one worker: the worker polls for an event, gets the oldest that waits, and posts what it
//! answers. Like Lambda, this hands out one event at a time; events of more callers wait their turn here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::http_server::{Answer, Call, HttpServer, answer};

const INVOCATIONS: &str = "/2018-06-01/runtime/invocation/";
const NEXT: &str = "/2018-06-01/runtime/invocation/next";

/// Longer than any answer takes; a worker that needs it is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// The API, for as long as this lives.
pub(crate) struct RuntimeApi {
    server: HttpServer,
    shared: Arc<Shared>,
}

struct Shared {
    incoming: mpsc::UnboundedSender<Invocation>,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<u64, Running>>,
    last_id: AtomicU64,
    first_poll: watch::Sender<Option<Instant>>,
}

/// What a worker answered, or the error that it reported.
type Outcome = Result<Answered, String>;

/// A worker's answer.
pub(crate) struct Answered {
    /// Its body.
    pub(crate) body: Bytes,
    /// How long the worker had the event, its transport included and the waiting before it not.
    pub(crate) worked: Duration,
}

struct Running {
    since: Instant,
    done: oneshot::Sender<Outcome>,
}

struct Invocation {
    event: Bytes,
    done: oneshot::Sender<Outcome>,
}

impl RuntimeApi {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (incoming, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            incoming,
            waiting: tokio::sync::Mutex::new(waiting),
            running: Mutex::default(),
            last_id: AtomicU64::default(),
            first_poll: watch::Sender::default(),
        });
        let handler = Arc::clone(&shared);
        let server = HttpServer::start(move |call| handle(Arc::clone(&handler), call)).await?;
        Ok(Self { server, shared })
    }

    /// What the worker's `AWS_LAMBDA_RUNTIME_API` says.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// When the worker asked for its first event; waits for that.
    ///
    /// # Errors
    /// When it never does.
    pub(crate) async fn first_poll(&self) -> anyhow::Result<Instant> {
        let mut polled = self.shared.first_poll.subscribe();
        let at = timeout(PATIENCE, polled.wait_for(Option::is_some)).await.context("no poll")??;
        at.context("no poll")
    }

    /// Hands one event to the worker, behind those that wait already, and returns its answer.
    ///
    /// # Errors
    /// When the worker reports an error or does not answer.
    pub(crate) async fn invoke(&self, event: Bytes) -> anyhow::Result<Answered> {
        let (done, outcome) = oneshot::channel();
        if self.shared.incoming.send(Invocation { event, done }).is_err() {
            bail!("the runtime API is closed");
        }
        let outcome = timeout(PATIENCE, outcome).await.context("the worker did not answer")??;
        outcome.map_err(|error| anyhow::anyhow!("the worker failed: {error}"))
    }
}

async fn handle(shared: Arc<Shared>, call: Call) -> Answer {
    let path = call.uri().path().to_owned();
    if call.method() == Method::GET && path == NEXT {
        return next(&shared).await;
    }
    let body = match call.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return answer(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let parts = path.strip_prefix(INVOCATIONS).and_then(|rest| rest.split_once('/'));
    let Some((id, kind)) = parts else {
        eprintln!("bench: a worker called {path}: {}", String::from_utf8_lossy(&body));
        return answer(StatusCode::NOT_FOUND, "");
    };
    let running = id
        .parse()
        .ok()
        .and_then(|id: u64| shared.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id));
    let Some(running) = running else { return answer(StatusCode::NOT_FOUND, "") };
    let outcome = match kind {
        "response" => Ok(Answered { body, worked: running.since.elapsed() }),
        _ => Err(String::from_utf8_lossy(&body).into_owned()),
    };
    match running.done.send(outcome) {
        Ok(()) => answer(StatusCode::ACCEPTED, ""),
        // The caller has lost its patience.
        Err(_) => answer(StatusCode::GONE, ""),
    }
}

async fn next(shared: &Shared) -> Answer {
    shared.first_poll.send_if_modified(|at| at.is_none() && at.replace(Instant::now()).is_none());
    let Some(invocation) = shared.waiting.lock().await.recv().await else {
        return answer(StatusCode::GONE, "");
    };
    let id = shared.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    let running = Running { since: Instant::now(), done: invocation.done };
    shared.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, running);
    let mut answer = answer(StatusCode::OK, invocation.event);
    let headers = answer.headers_mut();
    headers.insert("lambda-runtime-aws-request-id", HeaderValue::from(id));
    // The year 2100: no event of ours has a deadline.
    headers.insert("lambda-runtime-deadline-ms", HeaderValue::from_static("4102444800000"));
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:bench";
    headers.insert("lambda-runtime-invoked-function-arn", HeaderValue::from_static(arn));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    answer
}
