//! Passing requests on: bytes and headers as they came, bodies as they flow, upgrades as open pipes.

use std::error::Error;
use std::net::SocketAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use http_body_util::{LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};

/// What a function can be given and can answer.
const LARGEST_BODY: usize = 6 * 1024 * 1024;

/// Headers that belong to one connection and not to the message.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A client with a pool of connections to the emulator.
#[derive(Debug)]
pub(super) struct Proxy {
    client: Client<HttpConnector, Body>,
}

impl Proxy {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Sends `request` to `target` and gives its answer back.
    pub(super) async fn forward(&self, target: &str, peer: SocketAddr, mut request: Request) -> Response {
        let Ok(uri) = target.parse::<Uri>() else {
            return problem(StatusCode::BAD_REQUEST, "bad_request", "the path is not one of a URL");
        };
        if declared_length(request.headers()).is_some_and(|length| length > LARGEST_BODY) {
            return too_large();
        }
        let upgrade = is_upgrade(request.headers());
        let client_side = upgrade.then(|| hyper::upgrade::on(&mut request));
        let outgoing = outgoing(request, uri, peer, upgrade);
        match self.client.request(outgoing).await {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => tunnel(client_side, answer),
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                remove_hop_by_hop(&mut parts.headers);
                Response::from_parts(parts, Body::new(body))
            }
            Err(error) if is_too_large(&error) => too_large(),
            Err(error) => problem(
                StatusCode::BAD_GATEWAY,
                "bad_gateway",
                &format!("the AWS emulator did not answer: {error}"),
            ),
        }
    }
}

fn outgoing(request: Request, uri: Uri, peer: SocketAddr, upgrade: bool) -> Request {
    let (mut parts, body) = request.into_parts();
    let (connection, upgraded_to) =
        (parts.headers.get(header::CONNECTION).cloned(), parts.headers.get(header::UPGRADE).cloned());
    let host = parts.headers.remove(header::HOST);
    remove_hop_by_hop(&mut parts.headers);
    if upgrade {
        parts.headers.extend(connection.map(|value| (header::CONNECTION, value)));
        parts.headers.extend(upgraded_to.map(|value| (header::UPGRADE, value)));
    }
    let forwarded = HeaderValue::from_str(&peer.ip().to_string()).ok();
    parts.headers.extend(forwarded.map(|value| (HeaderName::from_static("x-forwarded-for"), value)));
    parts.headers.extend(host.map(|value| (HeaderName::from_static("x-forwarded-host"), value)));
    parts.headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    parts.uri = uri;
    parts.version = http::Version::HTTP_11;
    Request::from_parts(parts, Body::new(Limited::new(body, LARGEST_BODY)))
}

/// Answers the upgrade and joins both sides for as long as they talk.
fn tunnel(
    client_side: Option<hyper::upgrade::OnUpgrade>,
    mut answer: http::Response<hyper::body::Incoming>,
) -> Response {
    let Some(client_side) = client_side else {
        return problem(
            StatusCode::BAD_GATEWAY,
            "bad_gateway",
            "the AWS emulator upgraded without being asked",
        );
    };
    let server_side = hyper::upgrade::on(&mut answer);
    tokio::spawn(async move {
        // Either side may leave without a word; that ends the pipe and is nobody's fault.
        let (Ok(client), Ok(server)) = tokio::join!(client_side, server_side) else { return };
        tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await.ok();
    });
    let (parts, _) = answer.into_parts();
    Response::from_parts(parts, Body::empty())
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let connection = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut tokens = connection.flat_map(|value| value.split(','));
    headers.contains_key(header::UPGRADE) && tokens.any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn too_large() -> Response {
    problem(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "a body may have 6 MB")
}

/// An error of the front door itself, in the API's form.
pub(super) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail,
    });
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
    (status, kind, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::any;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A server that gives back what it got.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let app = axum::Router::new().route(
            "/{*path}",
            any(|request: Request| async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
                let header = |name: &str| {
                    parts
                        .headers
                        .get(name)
                        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                };
                Json(serde_json::json!({
                    "uri": parts.uri.to_string(), "length": body.len(), "host": header("host"),
                    "signature": header("x-hub-signature-256"), "connection": header("connection"),
                    "for": header("x-forwarded-for"), "first": body.first(),
                }))
            }),
        );
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    async fn forward(target: &str, request: Request) -> (StatusCode, serde_json::Value) {
        let peer = SocketAddr::from(([127, 0, 0, 1], 5));
        let answer = Proxy::new().forward(target, peer, request).await;
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("readable");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn bytes_and_headers_arrive_as_they_came() {
        let address = echo().await;
        let request = Request::post("http://door/webhooks/meta/x")
            .header("host", "door")
            .header("connection", "keep-alive, x-secret")
            .header("x-hub-signature-256", "sha256=ab")
            .body(Body::from(vec![0xFF; 1000]))
            .expect("valid");
        let target = format!("http://{address}/_aws/$default/x?a=b%2Fc");
        let (status, seen) = forward(&target, request).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(seen["uri"], "/_aws/$default/x?a=b%2Fc");
        assert_eq!((seen["length"].as_u64(), seen["first"].as_u64()), (Some(1000), Some(255)));
        assert_eq!(seen["signature"], "sha256=ab");
        assert_eq!(seen["host"], address.to_string());
        assert_eq!(seen["for"], "127.0.0.1");
        assert_eq!(seen["connection"], serde_json::Value::Null);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_declared_or_not() {
        let target = format!("http://{}/x", echo().await);
        let declared = Request::post("/x")
            .header("content-length", LARGEST_BODY + 1)
            .body(Body::from(vec![0; LARGEST_BODY + 1]))
            .expect("valid");
        assert_eq!(forward(&target, declared).await.0, StatusCode::PAYLOAD_TOO_LARGE);
        let chunks = futures::stream::iter((0..7).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 1024 * 1024])));
        let flowing = Request::post("/x").body(Body::from_stream(chunks)).expect("valid");
        assert_eq!(forward(&target, flowing).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_a_bad_gateway() {
        let port = crate::ports::any_free().expect("a free port");
        let request = Request::get("/x").body(Body::empty()).expect("valid");
        let (status, problem) = forward(&format!("http://127.0.0.1:{port}/x"), request).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_GATEWAY, &serde_json::json!("bad_gateway")));
    }

    #[tokio::test]
    async fn an_upgrade_becomes_a_pipe() {
        let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = format!("http://{}/live", upstream.local_addr().expect("bound"));
        tokio::spawn(async move {
            let (mut socket, _) = upstream.accept().await.expect("connects");
            let mut head = [0; 4096];
            let length = socket.read(&mut head).await.expect("readable");
            assert!(String::from_utf8_lossy(&head[..length]).to_lowercase().contains("upgrade: websocket"));
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
            socket.write_all(answer).await.expect("writable");
            let mut word = [0; 4];
            socket.read_exact(&mut word).await.expect("readable");
            socket.write_all(&word).await.expect("writable");
        });
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = door.local_addr().expect("bound");
        let app = axum::Router::new().fallback(move |request: Request| {
            let target = target.clone();
            async move { Proxy::new().forward(&target, SocketAddr::from(([127, 0, 0, 1], 5)), request).await }
        });
        tokio::spawn(async move { axum::serve(door, app).await });
        let mut client = tokio::net::TcpStream::connect(address).await.expect("connects");
        let request = b"GET /ws HTTP/1.1\r\nHost: door\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        client.write_all(request).await.expect("writable");
        client.write_all(b"ping").await.expect("writable");
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.expect("readable");
        let text = String::from_utf8_lossy(&all);
        assert!(text.starts_with("HTTP/1.1 101") && text.ends_with("helloping"), "{text}");
    }
}
