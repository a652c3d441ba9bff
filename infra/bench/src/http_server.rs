//! What both stand-ins share: a plain HTTP/1.1 server on a free port of this machine.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request as it comes in.
pub(crate) type Call = Request<Incoming>;

/// An answer, whole.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A server that stops when this is dropped.
pub(crate) struct HttpServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _task: JoinSet<()>,
}

impl HttpServer {
    /// Serves `handle` on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn start<H, F>(handle: H) -> anyhow::Result<Self>
    where
        H: Fn(Call) -> F + Clone + 'static + Send,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port")?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(accept(listener, handle));
        Ok(Self { address, _task: task })
    }
}

async fn accept<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Call) -> F + Clone + 'static + Send,
    F: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        // Answers are small: waiting to fill a packet would be all that is measured.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let handle = handle.clone();
        connections.spawn(async move {
            let service = service_fn(move |call| {
                let answer = handle(call);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                // A worker that is stopped leaves in the middle of its poll.
                if !error.is_incomplete_message() && !error.is_canceled() {
                    eprintln!("bench: a connection failed: {error}");
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An answer with a status and a body.
pub(crate) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}
