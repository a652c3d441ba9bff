//! The listener. It serves by hyper directly because a framework always answers, and a stand-in
//! must also be able to hang up: before it did anything, or after.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::world::Sandbox;
use crate::{Config, accounts, control, graph, identity, openai, phone};

/// The largest body taken: Meta's 100 MB document and some room for its envelope.
const BODY_LIMIT: usize = 105 * 1024 * 1024;

/// Put into a response's extensions, it makes the listener close the connection unanswered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HangUp;

/// The answer that is none.
pub(crate) fn hang_up() -> Response {
    let mut response = http::StatusCode::SERVICE_UNAVAILABLE.into_response();
    response.extensions_mut().insert(HangUp);
    response
}

/// A sandbox that listens. Dropping it leaves it running until the runtime ends.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    listener: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin, without a trailing slash: `http://127.0.0.1:8701`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening. Connections already open end with the runtime.
    pub fn stop(self) {
        self.listener.abort();
    }
}

/// Starts the sandbox on the current runtime.
///
/// # Errors
/// When the address cannot be bound or the HTTP client cannot be built.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let listener =
        TcpListener::bind(config.address).await.with_context(|| format!("listen on {}", config.address))?;
    let address = listener.local_addr().context("read the bound address")?;
    let sandbox = Sandbox::new(config, format!("http://{address}"))?;
    let router = router(Arc::new(sandbox));
    let listener = tokio::spawn(accept(listener, router));
    Ok(Running { address, listener })
}

fn router(sandbox: Arc<Sandbox>) -> Router {
    Router::new()
        .merge(graph::routes())
        .merge(accounts::routes())
        .merge(openai::routes())
        .merge(identity::routes())
        .merge(control::routes())
        .merge(phone::routes())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(sandbox)
}

async fn accept(listener: TcpListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // Without this a small answer waits for the peer's delayed acknowledgement, 40 ms each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay could not be set");
    }
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { answer(router, request.map(Body::new)).await }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(router: Router, request: Request<Body>) -> anyhow::Result<Response> {
    let response = router.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
    if response.extensions().get::<HangUp>().is_some() {
        anyhow::bail!("the connection is dropped on purpose");
    }
    Ok(response)
}
