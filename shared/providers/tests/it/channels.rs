//! Twilio, Evolution API and UAZapi: every fixture normalised, every proof judged, statuses in every order, and calls.

use chrono::{DateTime, Utc};
use domain::health::{Finding, Obstacle};
use domain::inbound::{Address, AddressKind, InboundEvent};
use domain::message::MessageStatus;
use proptest::prelude::*;
use proptest::sample::subsequence;
use providers::channel::content::OutboundContent;
use providers::channel::error::{Remedy, SendClass, SendError};
use providers::channel::event::Event;
use providers::channel::{Inquiry, Message, ReportCondition as _, SendMessage as _};
use providers::{evolution, twilio, uazapi};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_768_053_650, 0).unwrap()
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

const UAZAPI_TOKEN: &str = "00000000-0000-0000-0000-000000000000";

fn fixture(provider: &str, name: &str) -> Value {
    serde_json::from_str(&crate::fixture(&format!("{provider}/{name}"))).unwrap()
}

/// The webhook fixtures of a provider; the captures that its list does not name are captures, too.
fn webhooks(provider: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(crate::fixtures().join(provider))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("api_") && name != "_meta.json" && name != "signatures.json")
        .collect();
    names.sort();
    names
}

fn split(provider: &str, name: &str) -> Vec<Event> {
    let body = fixture(provider, name);
    let raw = body["raw_body"].as_str();
    let about = if name.starts_with("status") {
        twilio::webhook::About::Status
    } else {
        twilio::webhook::About::Message
    };
    match provider {
        "twilio" => twilio::webhook::split(about, raw.unwrap().as_bytes(), None, at()),
        "evolution" => evolution::webhook::split(body.to_string().as_bytes(), at()).unwrap(),
        _ => uazapi::webhook::split(&secret(UAZAPI_TOKEN), body.to_string().as_bytes(), at()).unwrap(),
    }
}

fn normalise(provider: &str, payload: &str) -> InboundEvent {
    match provider {
        "twilio" => twilio::normalise::normalise(payload),
        "evolution" => evolution::normalise::normalise(payload),
        _ => uazapi::normalise::normalise(payload),
    }
}

#[test]
fn every_fixture_of_every_provider_is_understood() {
    for provider in ["twilio", "evolution", "uazapi"] {
        let names = webhooks(provider);
        assert!(names.len() >= 6, "only {} fixtures of {provider}", names.len());
        for name in names {
            let described: Vec<Value> = split(provider, &name)
                .into_iter()
                .map(|event| {
                    assert!(
                        !event.payload.contains(UAZAPI_TOKEN),
                        "{name}: what opens the account went along"
                    );
                    json!({
                        "key": event.key, "group": event.group, "accounts": event.accounts,
                        "normalised": normalise(provider, &event.payload),
                    })
                })
                .collect();
            insta::assert_json_snapshot!(format!("{provider}_{}", name.trim_end_matches(".json")), described);
        }
    }
}

#[test]
fn every_signature_of_twilios_is_judged_as_documented() {
    let vectors = fixture("twilio", "signatures.json");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 11);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
        let is_form = vector["params"].is_object();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in vector["params"].as_object().into_iter().flatten() {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in values {
                form.append_pair(name, value.as_str().unwrap());
            }
        }
        let body = if is_form { form.finish() } else { text("body") };
        let (token, signature) = (secret(&text("auth_token")), text("signature"));
        let judged =
            twilio::signature::verify(&token, &text("url"), is_form, body.as_bytes(), Some(&signature));
        assert_eq!(json!(judged.is_ok()), vector["expected_valid"], "{}: {}", vector["name"], vector["why"]);
        let none = twilio::signature::verify(&token, &text("url"), is_form, body.as_bytes(), None);
        assert!(none.is_err());
    }
}

#[test]
fn every_token_of_evolutions_is_judged_as_documented() {
    let vectors = fixture("evolution", "signatures.json");
    for vector in vectors["vectors"].as_array().unwrap() {
        let now = DateTime::from_timestamp(vector["now_s"].as_i64().unwrap(), 0).unwrap();
        let key = secret(vector["jwt_key"].as_str().unwrap());
        let judged = evolution::signature::verify(&key, vector["authorization"].as_str(), now);
        assert_eq!(json!(judged.is_ok()), vector["expected_valid"], "{}", vector["name"]);
    }
    let good = evolution::signature::sign(&secret("k"), at());
    assert!(evolution::signature::verify(&secret("k"), Some(&good), at()).is_ok());
    assert!(evolution::signature::verify(&secret(""), Some(&good), at()).is_err(), "an empty key");
    assert!(evolution::signature::verify(&secret("k"), None, at()).is_err());
    let early = at() - chrono::TimeDelta::hours(1);
    assert!(evolution::signature::verify(&secret("k"), Some(&good), early).is_err(), "from the future");
}

#[test]
fn a_uazapi_body_without_the_token_is_nobodys() {
    let body = fixture("uazapi", "messages_text.json").to_string();
    for wrong in ["", "0", "00000000-0000-0000-0000-000000000001"] {
        assert!(uazapi::webhook::split(&secret(wrong), body.as_bytes(), at()).is_err(), "{wrong}");
    }
    for body in ["", "[]", "{}", "{\"token\":null}", "{\"token\":\"\"}"] {
        assert!(uazapi::webhook::split(&secret(UAZAPI_TOKEN), body.as_bytes(), at()).is_err(), "{body}");
        assert!(uazapi::webhook::split(&secret(""), body.as_bytes(), at()).is_err(), "{body}");
    }
}

/// What a provider reports of one message of ours, in the order in which it happens.
fn reports(provider: &str) -> Vec<InboundEvent> {
    let payloads: Vec<String> = match provider {
        "twilio" => ["queued", "sending", "sent", "delivered", "failed", "undelivered"]
            .iter()
            .map(|status| {
                let form = format!("MessageSid=SM1&MessageStatus={status}&To=%2B16505550123");
                let about = twilio::webhook::About::Status;
                twilio::webhook::split(about, form.as_bytes(), None, at()).remove(0).payload
            })
            .collect(),
        "evolution" => ["PENDING", "SERVER_ACK", "ERROR", "DELIVERY_ACK", "READ", "PLAYED"]
            .iter()
            .map(|status| {
                let data = json!({ "keyId": "A", "remoteJid": "1@s.whatsapp.net", "fromMe": true, "status": status });
                let body = json!({ "event": "messages.update", "instance": "i", "data": data });
                evolution::webhook::split(body.to_string().as_bytes(), at()).unwrap().remove(0).payload
            })
            .collect(),
        "uazapi" => ["Sent", "Delivered", "Read", "Played"]
            .iter()
            .map(|status| {
                let event = json!({ "MessageIDs": ["A"], "Chat": "1@s.whatsapp.net", "Type": status, "Timestamp": 1 });
                let body = json!({ "EventType": "messages_update", "token": "t", "event": event });
                let body = body.to_string();
                uazapi::webhook::split(&secret("t"), body.as_bytes(), at()).unwrap().remove(0).payload
            })
            .collect(),
        _ => ["sent", "failed", "delivered", "read", "played"]
            .iter()
            .map(|status| {
                let status = json!({ "id": "A", "status": status, "timestamp": "1", "recipient_id": "1" });
                let value = json!({ "statuses": [status] });
                let body =
                    json!({ "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": value }] }] });
                let body = body.to_string();
                providers::whatsapp_cloud::webhook::split(body.as_bytes()).unwrap().remove(0).payload
            })
            .collect(),
    };
    payloads
        .iter()
        .map(|payload| match provider {
            "whatsapp_cloud" => providers::whatsapp_cloud::normalise::normalise(payload),
            provider => normalise(provider, payload),
        })
        .collect()
}

proptest! {
    #[test]
    fn statuses_of_every_provider_only_climb_in_any_order(
        provider in prop::sample::select(vec!["twilio", "evolution", "uazapi", "whatsapp_cloud"]),
        picked in subsequence((0..6_usize).collect::<Vec<_>>(), 1..=6).prop_shuffle(),
    ) {
        let all = reports(provider);
        let told: Vec<MessageStatus> = picked
            .iter()
            .filter_map(|place| match all.get(*place) {
                Some(InboundEvent::Status(update)) => Some(update.status),
                _ => None,
            })
            .collect();
        let mut seen = vec![MessageStatus::Sending];
        for next in &told {
            let now = *seen.last().unwrap();
            seen.push(if now.climbs_to(*next) { *next } else { now });
        }
        prop_assert!(seen.is_sorted_by_key(|status| status.rank()));
        let highest = told.iter().map(|status| status.rank()).max().unwrap_or(1);
        prop_assert_eq!(seen.last().unwrap().rank(), highest);
    }
}

fn text_to(kind: AddressKind, value: &str) -> Message {
    Message {
        to: Address { kind, value: value.to_owned() },
        content: OutboundContent::Text { body: "Olá! Chega amanhã".to_owned(), preview_url: false },
        reply_to: Some("3EB0EXEMPLO0000000001".to_owned()),
        callback: "0198f000-0000-7000-8000-000000000004".to_owned(),
    }
}

fn sender(server: &MockServer) -> twilio::Sender {
    twilio::Sender {
        base_url: server.uri(),
        http: crate::http(),
        account_sid: "AC00000000000000000000000000000000".to_owned(),
        auth_token: secret("token"),
        from: "+16505550100".to_owned(),
        status_callback: Some("https://webhooks.example.com/twilio/slug/status".to_owned()),
    }
}

#[tokio::test]
async fn twilio_is_sent_a_form_and_its_refusals_have_their_classes() {
    let server = MockServer::start().await;
    let url = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
    let callback =
        "StatusCallback=https%3A%2F%2Fwebhooks.example.com%2Ftwilio%2Fslug%2Fstatus%3Fmessage%3D0198f000";
    Mock::given(method("POST"))
        .and(path(url))
        .and(header("authorization", "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDp0b2tlbg=="))
        .and(body_string_contains("To=%2B16505550123&From=%2B16505550100&Body=Ol%C3%A1%21+Chega+amanh%C3%A3"))
        .and(body_string_contains(callback))
        .respond_with(
            ResponseTemplate::new(201).set_body_json(fixture("twilio", "api_create_message_response.json")),
        )
        .expect(1)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let message = text_to(AddressKind::E164, "+16505550123");
    let accepted = sender(&server).send(&message).await.unwrap();
    assert_eq!(accepted.provider_message_id, "SM00000000000000000000000000000001");

    for (name, status, class) in [
        ("api_error_20003.json", 401, SendClass::Reauthorise),
        ("api_error_20429.json", 429, SendClass::Retry),
        ("api_error_21211.json", 400, SendClass::Rejected),
        ("api_error_21610.json", 400, SendClass::OptedOut),
    ] {
        server.reset().await;
        let answer = ResponseTemplate::new(status).set_body_json(fixture("twilio", name));
        Mock::given(path(url)).respond_with(answer).mount(&server).await;
        let error = sender(&server).send(&message).await.unwrap_err();
        assert_eq!(error.class(), class, "{name}");
    }
    server.reset().await;
    Mock::given(path(url)).respond_with(ResponseTemplate::new(503)).mount(&server).await;
    let error = sender(&server).send(&message).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::Unknown, "nobody knows, and nothing is sent twice");
    let nobody = text_to(AddressKind::Lid, "100000000000123");
    assert!(matches!(sender(&server).send(&nobody).await, Err(SendError::Rejected(_))));
}

fn instance(server: &MockServer) -> evolution::Instance {
    evolution::Instance {
        base_url: format!("{}/gateway/", server.uri()),
        http: crate::http(),
        name: "loja exemplo".to_owned(),
        api_key: secret("chave"),
    }
}

#[tokio::test]
async fn evolution_is_asked_for_the_account_of_a_number_that_never_wrote() {
    let server = MockServer::start().await;
    let known = json!([{ "jid": "553188880001@s.whatsapp.net", "exists": true, "number": "5531988880001" }]);
    Mock::given(path("/gateway/chat/whatsappNumbers/loja%20exemplo"))
        .and(header("apikey", "chave"))
        .respond_with(ResponseTemplate::new(200).set_body_json(known))
        .mount(&server)
        .await;
    Mock::given(path("/gateway/message/sendText/loja%20exemplo"))
        .and(body_string_contains("\"number\":\"553188880001\""))
        .and(body_string_contains("\"quoted\":{\"key\":{\"id\":\"3EB0EXEMPLO0000000001\"}}"))
        .respond_with(
            ResponseTemplate::new(201).set_body_json(fixture("evolution", "api_send_text_response.json")),
        )
        .expect(1)
        .mount(&server)
        .await;
    let accepted = instance(&server).send(&text_to(AddressKind::E164, "+5531988880001")).await.unwrap();
    assert_eq!(accepted.provider_message_id, "3EB0EXEMPLO0000000006");
    assert_eq!(accepted.customer.unwrap().value, "551100000123");
    server.reset().await;
    for (name, status, class) in [
        ("api_error_400_number_not_exists.json", 400, SendClass::Rejected),
        ("api_error_401.json", 401, SendClass::Reauthorise),
    ] {
        server.reset().await;
        let answer = ResponseTemplate::new(status).set_body_json(fixture("evolution", name));
        Mock::given(path("/gateway/message/sendText/loja%20exemplo"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let error = instance(&server).send(&text_to(AddressKind::WaId, "5511900000123")).await.unwrap_err();
        assert_eq!(error.class(), class, "{name}");
    }
    server.reset().await;
    let open = json!({ "instance": { "instanceName": "loja exemplo", "state": "close" } });
    Mock::given(path("/gateway/instance/connectionState/loja%20exemplo"))
        .respond_with(ResponseTemplate::new(200).set_body_json(open))
        .mount(&server)
        .await;
    let condition = instance(&server).condition(&Inquiry { now: at(), app_token: None }).await.unwrap();
    assert_eq!(condition.found, [Finding::bare(Obstacle::LinkClosed)]);
}

#[tokio::test]
async fn uazapi_is_told_our_own_id() {
    let server = MockServer::start().await;
    let answer = json!({ "id": "551100000000:3EB0EXEMPLO0000000009", "messageid": "3EB0EXEMPLO0000000009" });
    Mock::given(path("/send/text"))
        .and(header("token", "token"))
        .and(body_string_contains("\"track_id\":\"0198f000-0000-7000-8000-000000000004\""))
        .and(body_string_contains("\"replyid\":\"3EB0EXEMPLO0000000001\""))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(1)
        .mount(&server)
        .await;
    let instance = uazapi::Instance { base_url: server.uri(), http: crate::http(), token: secret("token") };
    let accepted = instance.send(&text_to(AddressKind::WaId, "5511900000123")).await.unwrap();
    assert_eq!(accepted.provider_message_id, "3EB0EXEMPLO0000000009");
    server.reset().await;
    let refusal = ResponseTemplate::new(429).set_body_json(fixture("uazapi", "api_error_429.json"));
    Mock::given(path("/send/text")).respond_with(refusal).mount(&server).await;
    let error = instance.send(&text_to(AddressKind::WaId, "5511900000123")).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::RetryAfter);
}

#[test]
fn what_another_program_sends_by_the_gateway_is_an_echo() {
    for (source, is_ours) in [("master-ia", true), ("n8n", false), ("", false)] {
        let mut body = fixture("uazapi", "messages_text_conversation_from_me.json");
        let message = &mut body["message"];
        (message["wasSentByApi"], message["track_id"]) = (json!(true), json!("7"));
        message["track_source"] = json!(source);
        body["token"] = json!("t");
        let events = uazapi::webhook::split(&secret("t"), body.to_string().as_bytes(), at()).unwrap();
        assert_eq!(events[0].key.starts_with("status:"), is_ours, "{source}");
        match uazapi::normalise::normalise(&events[0].payload) {
            InboundEvent::Status(status) => assert!(is_ours && status.callback.as_deref() == Some("7")),
            InboundEvent::Message(message) => assert!(!is_ours && message.echo),
            other => panic!("{other:?}"),
        }
    }
}

/// As with Meta's: what is made to become large is kept whole; and a report of very many messages is none of that.
#[test]
fn no_body_of_a_gateway_becomes_many_times_as_large() {
    let large = "x".repeat(200_000);
    let size = |events: &[Event]| events.iter().map(|event| event.payload.len()).sum::<usize>();

    let list =
        json!({ "event": "messages.upsert", "date_time": large, "data": vec![0; 100_000] }).to_string();
    let events = evolution::webhook::split(list.as_bytes(), at()).unwrap();
    assert_eq!(events.len(), 1, "kept whole");
    assert!(size(&events) < 2 * list.len());

    let report = |ids: Vec<String>, other: &str| {
        json!({
            "token": "t", "EventType": "messages_update", "other": other,
            "event": { "Type": "read", "Chat": "5562999990001@s.whatsapp.net", "MessageIDs": ids },
        })
        .to_string()
    };
    let ids = |count: usize| (0..count).map(|number| format!("3EB0{number:016}")).collect::<Vec<_>>();
    let body = report(ids(3_000), "");
    let events = uazapi::webhook::split(&secret("t"), body.as_bytes(), at()).unwrap();
    assert_eq!(events.len(), 3_000);
    assert!(size(&events) < 10 * body.len(), "{} of {}", size(&events), body.len());
    assert_eq!(events[2_999].key, "status:3EB00000000000002999:read");
    for body in [report(ids(100), &large), report(ids(20_000), "")] {
        let events = uazapi::webhook::split(&secret("t"), body.as_bytes(), at()).unwrap();
        assert_eq!(events.len(), 1, "kept whole");
        assert!(events[0].key.starts_with("notice:") && size(&events) <= body.len() + 100);
    }
}
