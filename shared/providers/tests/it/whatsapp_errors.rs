//! What comes back when sending fails, and whether the message may be sent again.

use std::time::Duration;

use providers::whatsapp_cloud::{Recipient, SendClass, SendError, WhatsAppCloud};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::whatsapp_client::{client, credentials, text_to};

async fn send(meta: &WhatsAppCloud) -> SendError {
    let message = text_to(Recipient::E164("+16505550123".to_owned()));
    meta.send(&credentials(), &message).await.unwrap_err()
}

async fn error_of(response: ResponseTemplate) -> SendError {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(response).mount(&server).await;
    send(&client(&server)).await
}

fn graph(status: u16, fixture: &str) -> ResponseTemplate {
    let body = crate::fixture(&format!("whatsapp_cloud/{fixture}.json"));
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

fn code(status: u16, code: i64) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(serde_json::json!({ "error": { "code": code, "message": "m" } }))
}

#[tokio::test]
async fn every_fixture_has_its_class() {
    for (status, fixture, class) in [
        (400, "api_error_130429", SendClass::Retry),
        (429, "api_error_80007_rate_limit", SendClass::Retry),
        (400, "api_error_80007_rate_limit", SendClass::Retry),
        (400, "api_error_131056", SendClass::PairLimited),
        (400, "api_error_131047", SendClass::WindowClosed),
        (401, "api_error_190_expired_token", SendClass::Reauthorise),
        (404, "api_error_132001", SendClass::Rejected),
    ] {
        let error = error_of(graph(status, fixture)).await;
        assert_eq!(error.class(), class, "{fixture}: {error}");
        assert!(fixture.contains(&error.fault().code), "{fixture}: {error}");
        assert!(error.fault().detail.as_ref().unwrap().contains("fbtrace_id AExemplo"), "{error:?}");
    }
    assert_eq!(error_of(code(400, 131_042)).await.class(), SendClass::SenderBlocked);
    assert_eq!(error_of(code(503, 2)).await.class(), SendClass::Retry);
}

#[tokio::test]
async fn meta_says_how_long_to_wait() {
    let wait = |error| match error {
        SendError::Retry { after, .. } => after,
        other => panic!("no retry: {other}"),
    };
    let asked = code(429, 130_429).insert_header("retry-after", "7");
    assert_eq!(wait(error_of(asked).await), Some(Duration::from_secs(7)));
    let usage = r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":5}]}"#;
    let regained = code(400, 80_007).insert_header("x-business-use-case-usage", usage);
    assert_eq!(wait(error_of(regained).await), Some(Duration::from_secs(300)));
    assert_eq!(wait(error_of(code(400, 133_015)).await), Some(Duration::from_secs(300)));
    assert_eq!(wait(error_of(code(400, 131_000)).await), None);
}

#[tokio::test]
async fn an_answer_that_is_not_graphs_leaves_the_outcome_open() {
    for (status, class) in [
        (500, SendClass::Unknown),
        (502, SendClass::Unknown),
        (504, SendClass::Unknown),
        (408, SendClass::Unknown),
        (429, SendClass::Retry),
        (403, SendClass::Reauthorise),
        (404, SendClass::Rejected),
    ] {
        let page = ResponseTemplate::new(status).set_body_string("<html>Bad Gateway</html>");
        assert_eq!(error_of(page).await.class(), class, "{status}");
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_read_was_a_success() {
    for body in ["", "{}", "{\"messages\":[]}", "<html>"] {
        let error = error_of(ResponseTemplate::new(200).set_body_string(body)).await;
        assert_eq!(error.class(), SendClass::Unknown, "{body}");
    }
}

#[tokio::test]
async fn silence_leaves_the_outcome_open() {
    let server = MockServer::start().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(20));
    Mock::given(method("POST")).respond_with(late).mount(&server).await;
    let error = send(&client(&server).with_timeout(Duration::from_millis(200))).await;
    assert_eq!((error.class(), error.fault().code.as_str()), (SendClass::Unknown, "timeout"));
}

#[tokio::test]
async fn a_broken_connection_leaves_the_outcome_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // With the rest of the request unread, closing resets the connection.
        socket.read_u8().await.unwrap();
    });
    let meta = WhatsAppCloud::new(&format!("http://{address}"), crate::http());
    let error = send(&meta).await;
    server.await.unwrap();
    assert_eq!((error.class(), error.fault().code.as_str()), (SendClass::Unknown, "connection_lost"));
    // Ids and tokens stay out of what may be logged.
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("100000000000002") && !shown.contains("token-exemplo"), "{shown}");
}

#[tokio::test]
async fn no_connection_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let meta = WhatsAppCloud::new(&format!("http://{address}"), crate::http());
    let error = send(&meta).await;
    assert_eq!((error.class(), error.fault().code.as_str()), (SendClass::Retry, "connect"));
}
