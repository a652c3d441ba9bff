//! Answers that the emulator never gives: partial failures, outages, a browser that is there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use cloud::Aws;
use cloud::bus::Bus;
use cloud::keys::{KeysError, SealingKeys};
use cloud::overflow::Overflow;
use cloud::push::{Delivery, MAX_PUSH_BYTES, Push, PushError};
use cloud::queue::{QueueError, QueueMessage, Queues};
use cloud::routes::{CachedRoutes, WebhookRoutes};
use cloud::seal::{MasterKey, SealError};
use cloud::secrets::{Asking, Search, Secrets, SecretsError};
use cloud::sockets::Sockets;
use domain::CompanyId;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

async fn aws(server: &MockServer) -> Aws {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let config = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("sa-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .endpoint_url(server.uri());
    Aws::with_config(config.build())
}

/// Answers `SendMessageBatch`: `fault` sees an entry's body and how many requests came before.
async fn sqs(fault: impl Fn(&str, usize) -> Option<Value> + Send + Sync + 'static) -> MockServer {
    let server = MockServer::start().await;
    let requests = AtomicUsize::new(0);
    let answer = move |request: &Request| {
        let before = requests.fetch_add(1, Ordering::SeqCst);
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        let body: Value = request.body_json().unwrap();
        for entry in body["Entries"].as_array().unwrap() {
            match fault(entry["MessageBody"].as_str().unwrap(), before) {
                None => {
                    successful.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"}))
                }
                Some(mut fault) => {
                    fault["Id"] = entry["Id"].clone();
                    failed.push(fault);
                }
            }
        }
        ResponseTemplate::new(200).set_body_json(json!({"Successful": successful, "Failed": failed}))
    };
    Mock::given(header("x-amz-target", "AmazonSQS.SendMessageBatch"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn messages(count: usize) -> Vec<QueueMessage> {
    (0..count).map(|number| QueueMessage::new(number.to_string())).collect()
}

#[tokio::test]
async fn what_failed_in_passing_is_sent_again_alone() {
    let server = sqs(|body, before| {
        (before == 0 && body == "3").then(|| json!({"Code": "InternalError", "SenderFault": false}))
    });
    let server = server.await;
    Queues::new(aws(&server).await).send_batch("http://q/1/standard", messages(10)).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let second: Value = requests[1].body_json().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(second["Entries"].as_array().unwrap().len(), 1);
    assert_eq!(second["Entries"][0]["MessageBody"], "3");
}

#[tokio::test]
async fn what_is_refused_is_told_and_not_sent_again() {
    let server = sqs(|body, _| {
        (body == "3").then(|| json!({"Code": "InvalidMessageContents", "Message": "no", "SenderFault": true}))
    });
    let server = server.await;
    let queues = Queues::new(aws(&server).await);
    let outcomes = queues.send_each("http://q/1/standard", messages(10)).await.unwrap();
    assert!(matches!(&outcomes[3], Err(error @ QueueError::Refused { .. }) if !error.retryable()));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 9);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lasting_failure_is_counted() {
    let server =
        sqs(|body, _| (body == "3").then(|| json!({"Code": "RequestThrottled", "SenderFault": true}))).await;
    let error =
        Queues::new(aws(&server).await).send_batch("http://q/1/standard", messages(25)).await.unwrap_err();
    assert_eq!(error.to_string(), "1 of 25 messages were not sent");
    assert!(error.retryable(), "{error:?}");
}

#[tokio::test]
async fn what_the_queue_does_not_confirm_has_failed() {
    let server = MockServer::start().await;
    let nothing = ResponseTemplate::new(200).set_body_json(json!({"Successful": [], "Failed": []}));
    Mock::given(method("POST")).respond_with(nothing).mount(&server).await;
    let error =
        Queues::new(aws(&server).await).send_batch("http://q/1/standard", messages(2)).await.unwrap_err();
    assert!(matches!(error, QueueError::Incomplete { failed: 2, retryable: true, .. }), "{error:?}");
}

#[tokio::test]
async fn an_outage_is_retryable_and_a_refused_connection_too() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).mount(&server).await;
    let queues = Queues::new(aws(&server).await);
    let error = queues.send_each("http://q/1/standard", messages(2)).await.unwrap_err();
    assert!(
        matches!(&error, QueueError::Aws(aws) if aws.status() == Some(503)) && error.retryable(),
        "{error:?}"
    );

    let server = MockServer::builder().start().await;
    let queues = Queues::new(aws(&server).await);
    drop(server);
    let error = queues.send_each("http://q/1/standard", messages(2)).await.unwrap_err();
    assert!(error.retryable(), "{error:?}");
}

#[tokio::test]
async fn a_browser_hears_what_is_sent() {
    let server = MockServer::start().await;
    let found =
        Mock::given(method("POST")).and(path("/live/@connections/abc%3D")).and(body_string("{\"v\":1}"));
    found.respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let gone = Mock::given(path("/live/@connections/gone%3D"));
    gone.respond_with(ResponseTemplate::new(410)).mount(&server).await;
    let forbidden = Mock::given(path("/live/@connections/forbidden%3D"));
    forbidden.respond_with(ResponseTemplate::new(403)).mount(&server).await;

    let push = Push::new(aws(&server).await);
    let endpoint = format!("{}/live", server.uri());
    assert_eq!(push.send(&endpoint, "abc=", "{\"v\":1}").await.unwrap(), Delivery::Delivered);
    assert_eq!(push.send(&endpoint, "gone=", "{}").await.unwrap(), Delivery::Gone);
    assert!(!push.send(&endpoint, "forbidden=", "{}").await.unwrap_err().retryable());
    let large = push.send(&endpoint, "abc=", &"x".repeat(MAX_PUSH_BYTES + 1)).await.unwrap_err();
    assert!(matches!(large, PushError::TooLarge { .. }));
}

/// Answers `GetSecretValue` with the text of the stage, as long as it works.
async fn secretsmanager(works: Arc<AtomicBool>, current: Arc<Mutex<String>>) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        if !works.load(Ordering::SeqCst) {
            return ResponseTemplate::new(503);
        }
        let body: Value = request.body_json().unwrap();
        let text = match body["VersionStage"].as_str().unwrap() {
            "AWSCURRENT" => current.lock().unwrap().clone(),
            _ => "b".repeat(32),
        };
        ResponseTemplate::new(200).set_body_json(json!({"Name": "s", "SecretString": text}))
    };
    Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn an_invented_version_takes_nothing_away_while_secrets_manager_is_out() {
    let works = Arc::new(AtomicBool::new(true));
    let current = Arc::new(Mutex::new("a".repeat(32)));
    let server = secretsmanager(works.clone(), current.clone()).await;
    let secrets = Secrets::new(aws(&server).await);
    let find = async |letter: &str, asking| {
        let wanted = letter.repeat(32);
        let accept =
            |text: SecretString| Ok::<_, SecretsError>((text.expose_secret() == wanted).then_some(()));
        secrets.find_version("s", letter, asking, accept).await
    };
    assert_eq!(find("a", Asking::Seldom).await.unwrap(), Search::Found(()));
    assert_eq!(find("b", Asking::Seldom).await.unwrap(), Search::Found(()));
    works.store(false, Ordering::SeqCst);
    assert!(find("x", Asking::Seldom).await.unwrap_err().retryable());
    let requests = server.received_requests().await.unwrap().len();
    for _ in 0..5 {
        assert_eq!(find("x", Asking::Seldom).await.unwrap(), Search::Unknown);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), requests, "asked once in ten seconds");
    for known in ["a", "b"] {
        assert_eq!(find(known, Asking::Seldom).await.unwrap(), Search::Found(()), "{known}");
    }

    // What comes from ourselves is asked for each time, and for each version once.
    works.store(true, Ordering::SeqCst);
    *current.lock().unwrap() = "c".repeat(32);
    assert_eq!(find("c", Asking::Seldom).await.unwrap(), Search::Unknown, "not asked yet");
    assert_eq!(find("c", Asking::Always).await.unwrap(), Search::Found(()));
    assert_eq!(find("y", Asking::Always).await.unwrap(), Search::Absent);
    let requests = server.received_requests().await.unwrap().len();
    assert_eq!(find("y", Asking::Always).await.unwrap(), Search::Absent);
    assert_eq!(find("y", Asking::Seldom).await.unwrap(), Search::Absent);
    assert_eq!(server.received_requests().await.unwrap().len(), requests, "known to be none");
    assert_eq!(find("z", Asking::Seldom).await.unwrap(), Search::Unknown);
}

#[tokio::test]
async fn a_value_whose_key_is_not_known_yet_may_open_later() {
    let works = Arc::new(AtomicBool::new(true));
    let current = Arc::new(Mutex::new("a".repeat(32)));
    let server = secretsmanager(works, current.clone()).await;
    let keys = SealingKeys::new(Secrets::new(aws(&server).await), "s");
    let place = ["company", "table"];
    let sealed_by = |letter: &str| {
        let key = MasterKey::derive(&SecretString::from(letter.repeat(32))).unwrap();
        key.seal(&SecretString::from("segredo"), &place).unwrap()
    };
    assert_eq!(keys.open(&sealed_by("a"), &place).await.unwrap().expose_secret(), "segredo");
    let lost = keys.open(&sealed_by("x"), &place).await.unwrap_err();
    assert!(matches!(lost, KeysError::Seal(SealError::OtherKey)) && !lost.retryable(), "{lost:?}");
    // Another process seals with a key that came into force a moment ago.
    *current.lock().unwrap() = "c".repeat(32);
    let early = keys.open(&sealed_by("c"), &place).await.unwrap_err();
    assert!(matches!(early, KeysError::NotAskedAgain) && early.retryable(), "{early:?}");
    let still_lost = keys.open(&sealed_by("x"), &place).await.unwrap_err();
    assert!(matches!(still_lost, KeysError::Seal(SealError::OtherKey)), "{still_lost:?}");
    // The renewal finds out, seals nothing back to a key from before, and tells two lost keys from the rest.
    assert_eq!(keys.renew(&sealed_by("c"), &place).await.unwrap(), None);
    for letter in ["x", "y"] {
        let lost = keys.renew(&sealed_by(letter), &place).await.unwrap_err();
        assert!(matches!(lost, KeysError::Seal(SealError::OtherKey)), "{letter}: {lost:?}");
    }
    let renewed = keys.renew(&sealed_by("b"), &place).await.unwrap().unwrap();
    assert_eq!(renewed.key_id(), sealed_by("c").key_id());
}

/// Handlers run on a runtime of many threads.
#[test]
fn every_future_can_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let aws = Aws::lazy();
    let queues = Queues::new(aws.clone());
    is_send(queues.send_batch("", Vec::new()));
    is_send(queues.send_each("", Vec::new()));
    is_send(queues.attributes(""));
    is_send(Bus::new(aws.clone()).publish("", Vec::new()));
    is_send(CachedRoutes::new(WebhookRoutes::new(aws.clone()), "").find(""));
    is_send(Secrets::new(aws.clone()).get_field("", ""));
    is_send(Overflow::new(aws.clone()).get("", ""));
    is_send(Sockets::new(aws.clone(), "").list_for_company(CompanyId(Uuid::nil())));
    is_send(Push::new(aws).send("", "", ""));
}
