//! One origin before everything, as a load balancer or a content network would be in the cloud: the HTTP API, the
//! WebSocket API, the providers' function URLs, and beside them the controls of this machine and the mails that were sent.

mod control;
pub mod mail;
mod proxy;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use tokio::net::TcpListener;

pub use control::{Control, ask};
use proxy::Proxy;

/// Where requests go, by their path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// The HTTP API's base, without a slash at its end.
    pub http_api: String,
    /// The WebSocket API's base.
    pub websocket: String,
    /// Function URLs of webhooks by provider.
    pub webhooks: BTreeMap<String, String>,
}

impl Routes {
    /// The address for a path with its query; none when nobody serves it.
    fn target(&self, path: &str, query: Option<&str>) -> Option<String> {
        let (base, path) = self.place(path)?;
        Some(match query {
            Some(query) => format!("{base}{path}?{query}"),
            None => format!("{base}{path}"),
        })
    }

    fn place<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a str)> {
        if path == "/ws" {
            return Some((&self.websocket, ""));
        }
        if let Some(rest) = path.strip_prefix("/webhooks/") {
            let provider = rest.split('/').next()?;
            return Some((self.webhooks.get(provider)?, &rest[provider.len()..]));
        }
        let below = |parent: &str| {
            path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let api = ["/api", "/health", "/docs", "/openapi.json"].into_iter().any(below);
        api.then_some((&self.http_api, path))
    }
}

struct Door {
    routes: Routes,
    proxy: Proxy,
    control: Control,
}

/// Takes the port: from now on whoever knocks is heard, as soon as [`serve`] runs.
///
/// # Errors
/// When somebody else has it.
pub async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.with_context(|| format!("the front door cannot use port {port}"))
}

/// Serves until it is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, routes: Routes, control: Control) -> anyhow::Result<()> {
    let door = Arc::new(Door { routes, proxy: Proxy::new(), control });
    let service = axum::Router::new().fallback(handle).with_state(door);
    axum::serve(listener, service.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn handle(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let path = request.uri().path();
    if path == "/" {
        return Redirect::temporary("/docs").into_response();
    }
    if path == "/mail" {
        return door.control.mails(request.headers()).await;
    }
    if let Some(rest) = path.strip_prefix("/_local/") {
        let rest = rest.to_owned();
        let (head, _) = request.into_parts();
        return door.control.handle(&rest, &head.method, &head.headers).await;
    }
    match door.routes.target(path, request.uri().query()) {
        Some(target) => door.proxy.forward(&target, peer, request).await,
        None => proxy::problem(http::StatusCode::NOT_FOUND, "not_found", "nothing is served under this path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        Routes {
            http_api: "http://e/http/$default".to_owned(),
            websocket: "http://e/ws/live".to_owned(),
            webhooks: [("meta".to_owned(), "http://e/url/1".to_owned())].into(),
        }
    }

    #[test]
    fn paths_find_their_server() {
        for (path, query, target) in [
            (
                "/api/v1/contacts",
                Some("limit=2&q=a%20b"),
                Some("http://e/http/$default/api/v1/contacts?limit=2&q=a%20b"),
            ),
            ("/health/ready", None, Some("http://e/http/$default/health/ready")),
            ("/openapi.json", None, Some("http://e/http/$default/openapi.json")),
            ("/docs", None, Some("http://e/http/$default/docs")),
            ("/ws", Some("token=x"), Some("http://e/ws/live?token=x")),
            (
                "/webhooks/meta/loja-1",
                Some("hub.mode=subscribe"),
                Some("http://e/url/1/loja-1?hub.mode=subscribe"),
            ),
            ("/webhooks/other/x", None, None),
            ("/apiary", None, None),
            ("/healthy", None, None),
        ] {
            assert_eq!(routes().target(path, query).as_deref(), target, "{path}");
        }
    }
}
