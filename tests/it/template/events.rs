//! The Lambda events in `events/`, which show what each function is invoked with: they must be real.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use aws_lambda_events::sqs::SqsEvent;
use domain::event::EventEnvelope;
use domain::job::{InboundEnvelope, Job, JobEnvelope, Queue};
use lambda_http::http::Method;
use lambda_http::{Body, RequestExt as _};
use providers::whatsapp_cloud::{normalise, signature, webhook};
use secrecy::SecretString;
use serde_json::Value;
use testkit::stack::checkout;

/// Every event, by function and case.
fn events() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut events = BTreeMap::new();
    for folder in std::fs::read_dir(checkout().join("events")).unwrap() {
        let folder = folder.unwrap().path();
        let function = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let cases = std::fs::read_dir(&folder).unwrap().map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        });
        events.insert(function, cases.collect());
    }
    events
}

fn of(function: &str) -> Vec<(PathBuf, String)> {
    events().remove(function).unwrap_or_else(|| panic!("no events for {function}"))
}

#[test]
fn every_function_has_one() {
    let functions = super::functions::binaries();
    assert_eq!(events().into_keys().collect::<std::collections::BTreeSet<_>>(), functions);
    for (function, cases) in events() {
        assert!(!cases.is_empty(), "{function}");
        for (path, text) in cases {
            assert!(path.extension().is_some_and(|extension| extension == "json"), "{}", path.display());
            let _json: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

#[test]
fn those_of_the_webhook_are_genuine() {
    // The app secret of the documented signature vectors.
    let app_secret = SecretString::from("0123456789abcdef0123456789abcdef".to_owned());
    let mut posts = 0;
    for (path, text) in of("webhook-meta") {
        let request = lambda_http::request::from_str(&text).unwrap();
        let query = request.query_string_parameters();
        match *request.method() {
            Method::GET => assert_eq!(query.first("hub.mode"), Some("subscribe"), "{}", path.display()),
            _ => {
                let Body::Text(body) = request.body() else { panic!("{}: no text", path.display()) };
                let signed = request.headers()["x-hub-signature-256"].to_str().unwrap();
                signature::verify(&app_secret, body.as_bytes(), Some(signed)).unwrap();
                assert!(!webhook::split(body.as_bytes()).unwrap().is_empty());
                posts += 1;
            }
        }
    }
    assert!(posts > 0);
}

#[test]
fn those_of_twilio_and_the_gateways_are_genuine() {
    let at = chrono::DateTime::from_timestamp(1_768_053_650, 0).unwrap();
    // The secrets of the documented vectors and captures.
    let auth_token = SecretString::from("0".repeat(32));
    for (path, text) in of("webhook-twilio") {
        let event: Value = serde_json::from_str(&text).unwrap();
        let request = lambda_http::request::from_str(&text).unwrap();
        let Body::Binary(body) = request.body() else { panic!("{}: forms come in base64", path.display()) };
        let url = format!(
            "https://{}{}",
            event["requestContext"]["domainName"].as_str().unwrap(),
            event["rawPath"].as_str().unwrap()
        );
        let signed = request.headers()["x-twilio-signature"].to_str().unwrap();
        providers::twilio::signature::verify(&auth_token, &url, true, body, Some(signed)).unwrap();
    }
    let jwt_key = SecretString::from("jwt-key-exemplo".to_owned());
    let token = SecretString::from("00000000-0000-0000-0000-000000000000".to_owned());
    for (path, text) in of("webhook-gateway") {
        let request = lambda_http::request::from_str(&text).unwrap();
        let Body::Text(body) = request.body() else { panic!("{}: no text", path.display()) };
        let events = match request.headers().get("authorization") {
            Some(header) => {
                providers::evolution::signature::verify(&jwt_key, header.to_str().ok(), at).unwrap();
                providers::evolution::webhook::split(body.as_bytes(), at).unwrap()
            }
            None => providers::uazapi::webhook::split(&token, body.as_bytes(), at).unwrap(),
        };
        assert!(!events.is_empty(), "{}", path.display());
    }
}

#[test]
fn those_of_the_api_are_documented_routes() {
    let documented = super::routes::documented();
    for (function, cases) in events().into_iter().filter(|(function, _)| function.starts_with("api-")) {
        for (path, text) in cases {
            lambda_http::request::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let event: Value = serde_json::from_str(&text).unwrap();
            let route = event["routeKey"].as_str().unwrap();
            let known = documented.contains(route) || route == "GET /health";
            assert!(known, "{function}: {route} in {}", path.display());
        }
    }
}

fn bodies(function: &str) -> Vec<String> {
    let batches = of(function).into_iter().map(|(_, text)| serde_json::from_str::<SqsEvent>(&text).unwrap());
    let bodies: Vec<String> =
        batches.flat_map(|batch| batch.records).map(|record| record.body.expect("a body")).collect();
    assert!(!bodies.is_empty(), "{function}");
    bodies
}

#[test]
fn those_of_the_inbound_consumer_are_understood() {
    for body in bodies("consume-inbound") {
        let envelope: InboundEnvelope = serde_json::from_str(&body).unwrap();
        let payload = envelope.payload.expect("a payload");
        let event = normalise::normalise(payload.get());
        assert!(!matches!(event, domain::inbound::InboundEvent::Notice { .. }), "{payload}: {event:?}");
    }
}

#[test]
fn those_of_the_job_consumers_are_their_jobs() {
    let queues = [
        ("consume-turns", Queue::Turns),
        ("consume-ai-reply", Queue::AiReply),
        ("consume-outbound", Queue::Outbound),
        ("consume-mail", Queue::Mail),
        ("consume-media", Queue::Media),
        ("consume-erasures", Queue::Erasures),
        ("consume-imports", Queue::Imports),
    ];
    for (function, queue) in queues {
        for body in bodies(function) {
            let JobEnvelope { job, v, .. } = serde_json::from_str(&body).unwrap();
            assert_eq!((job.queue(), v), (queue, 1), "{function}");
            assert!(!matches!(job, Job::CloseTurn { version: 0, .. }), "versions begin with 1");
        }
    }
}

#[test]
fn those_of_the_push_consumer_are_domain_events() {
    for body in bodies("consume-push") {
        let wrapped: Value = serde_json::from_str(&body).unwrap();
        let envelope: EventEnvelope = serde_json::from_value(wrapped["detail"].clone()).unwrap();
        assert_eq!(wrapped["detail-type"], envelope.event.name());
        assert_eq!(wrapped["source"], "master-ia");
    }
}

#[test]
fn those_of_the_sockets_name_their_connection() {
    for (path, text) in of("realtime") {
        let event: ApiGatewayWebsocketProxyRequest = serde_json::from_str(&text).unwrap();
        assert!(event.request_context.connection_id.is_some(), "{}", path.display());
    }
}
