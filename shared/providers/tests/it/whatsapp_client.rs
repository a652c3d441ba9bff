//! Requests as Meta wants them, answers as Meta gives them.

use bytes::Bytes;
use providers::whatsapp_cloud::{
    Credentials, MediaKind, MediaSource, OutboundContent, OutboundMedia, OutboundMessage, Recipient,
    SendClass, WhatsAppCloud,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) fn credentials() -> Credentials {
    Credentials {
        phone_number_id: "100000000000002".to_owned(),
        access_token: SecretString::from("token-exemplo"),
    }
}

pub(crate) fn client(server: &MockServer) -> WhatsAppCloud {
    WhatsAppCloud::new(&server.uri(), crate::http())
}

pub(crate) fn text_to(to: Recipient) -> OutboundMessage {
    OutboundMessage {
        to,
        content: OutboundContent::Text { body: "Olá".to_owned(), preview_url: false },
        reply_to: None,
        callback: "m1".to_owned(),
    }
}

fn json_fixture(name: &str) -> Value {
    serde_json::from_str(&crate::fixture(&format!("whatsapp_cloud/{name}.json"))).unwrap()
}

async fn answering(response: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v23.0/100000000000002/messages"))
        .and(header("authorization", "Bearer token-exemplo"))
        .respond_with(ResponseTemplate::new(200).set_body_json(response))
        .mount(&server)
        .await;
    server
}

/// What the server got.
async fn sent(server: &MockServer) -> Value {
    server.received_requests().await.unwrap().last().unwrap().body_json().unwrap()
}

#[tokio::test]
async fn a_text_is_sent_and_the_answer_read() {
    let server = answering(json_fixture("api_send_br_ninth_digit_response")).await;
    let mut message = text_to(Recipient::E164("+5511900000001".to_owned()));
    message.reply_to = Some("wamid.1".to_owned());
    let accepted = client(&server).send(&credentials(), &message).await.unwrap();
    assert!(accepted.provider_message_id.starts_with("wamid."));
    assert_eq!(accepted.wa_id.as_deref(), Some("551100000001"));
    assert_eq!(
        sent(&server).await,
        json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+5511900000001",
            "context": { "message_id": "wamid.1" }, "biz_opaque_callback_data": "m1",
            "type": "text", "text": { "body": "Olá", "preview_url": false },
        })
    );
}

#[tokio::test]
async fn a_template_goes_out_as_the_fixture_shows() {
    let server = answering(json_fixture("api_send_template_response")).await;
    let expected = json_fixture("api_send_template_request_named");
    let message = OutboundMessage {
        to: Recipient::WaId("16505550123".to_owned()),
        content: OutboundContent::Template(expected["template"].clone()),
        reply_to: None,
        callback: expected["biz_opaque_callback_data"].as_str().unwrap().to_owned(),
    };
    let accepted = client(&server).send(&credentials(), &message).await.unwrap();
    assert_eq!(accepted.message_status.as_deref(), Some("accepted"));
    assert_eq!(sent(&server).await, expected);
}

#[tokio::test]
async fn a_user_id_is_addressed_as_recipient() {
    let server = answering(json_fixture("api_send_to_bsuid_response")).await;
    let message = text_to(Recipient::Bsuid("BR.10000000000000000001".to_owned()));
    let accepted = client(&server).send(&credentials(), &message).await.unwrap();
    assert_eq!(accepted.wa_id, None);
    assert_eq!(accepted.user_id.as_deref(), Some("BR.10000000000000000001"));
    let wire = sent(&server).await;
    assert_eq!(wire["recipient"], "BR.10000000000000000001");
    assert_eq!(wire.get("to"), None);
}

#[tokio::test]
async fn every_content_has_its_place() {
    let server = answering(json_fixture("api_send_text_response")).await;
    let media = |kind, source| {
        OutboundContent::Media(OutboundMedia {
            kind,
            source,
            caption: Some("c".to_owned()),
            filename: Some("f.pdf".to_owned()),
            voice: true,
        })
    };
    let id = || MediaSource::Id("5".to_owned());
    let link = MediaSource::Link("https://a.example/b.jpg".to_owned());
    for (content, kind, expected) in [
        (
            media(MediaKind::Image, link),
            "image",
            json!({ "link": "https://a.example/b.jpg", "caption": "c" }),
        ),
        (media(MediaKind::Audio, id()), "audio", json!({ "id": "5", "voice": true })),
        (
            media(MediaKind::Document, id()),
            "document",
            json!({ "id": "5", "caption": "c", "filename": "f.pdf" }),
        ),
        (media(MediaKind::Sticker, id()), "sticker", json!({ "id": "5" })),
        (
            OutboundContent::Reaction {
                message_id: "wamid.1".to_owned(),
                emoji: String::new(),
                of_ours: false,
            },
            "reaction",
            json!({ "message_id": "wamid.1", "emoji": "" }),
        ),
        (
            OutboundContent::Interactive(json!({ "type": "button" })),
            "interactive",
            json!({ "type": "button" }),
        ),
        (OutboundContent::Location(json!({ "latitude": 1 })), "location", json!({ "latitude": 1 })),
        (OutboundContent::Contacts(json!([{}])), "contacts", json!([{}])),
    ] {
        let message = OutboundMessage {
            content,
            reply_to: Some("wamid.0".to_owned()),
            ..text_to(Recipient::E164("+1".to_owned()))
        };
        client(&server).send(&credentials(), &message).await.unwrap();
        let wire = sent(&server).await;
        assert_eq!(wire["type"], kind);
        assert_eq!(wire[kind], expected);
        assert_eq!(wire.get("context").is_some(), kind != "reaction");
    }
}

#[tokio::test]
async fn a_message_is_marked_as_read() {
    let request = json_fixture("api_mark_read_typing_request");
    let server = answering(json!({ "success": true })).await;
    let id = request["message_id"].as_str().unwrap();
    client(&server).mark_read(&credentials(), id, true).await.unwrap();
    assert_eq!(sent(&server).await, request);
    client(&server).mark_read(&credentials(), id, false).await.unwrap();
    assert_eq!(sent(&server).await.get("typing_indicator"), None);
}

#[tokio::test]
async fn a_number_tells_about_itself() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v23.0/100000000000002"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json_fixture("api_phone_number_info")))
        .mount(&server)
        .await;
    let info = client(&server).number_info(&credentials()).await.unwrap();
    assert_eq!(info.verified_name.as_deref(), Some("Loja Exemplo"));
    assert_eq!(info.throughput.as_deref(), Some("STANDARD"));
    assert_eq!(info.messaging_limit.as_deref(), Some("TIER_250"));
    assert_eq!(info.is_on_biz_app, None);
}

#[tokio::test]
async fn a_file_is_found_and_fetched() {
    let server = MockServer::start().await;
    let mut location = json_fixture("api_media_get_response");
    location["url"] = format!("{}/file?mid=1", server.uri()).into();
    Mock::given(method("GET"))
        .and(path("/v23.0/100000000000500"))
        .and(query_param("phone_number_id", "100000000000002"))
        .respond_with(ResponseTemplate::new(200).set_body_json(location))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/file"))
        .and(header("authorization", "Bearer token-exemplo"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(vec![7_u8; 1000], "audio/ogg"))
        .mount(&server)
        .await;
    let meta = client(&server);
    let found = meta.media_url(&credentials(), "100000000000500").await.unwrap();
    assert_eq!(found.file_size, Some(4920));
    let file = meta.download(&credentials(), &found.url, 1000).await.unwrap();
    assert_eq!((file.bytes.len(), file.mime_type.as_deref()), (1000, Some("audio/ogg")));

    let too_large = meta.download(&credentials(), &found.url, 999).await.unwrap_err();
    assert_eq!(too_large.class(), SendClass::Rejected);
    let elsewhere = meta.download(&credentials(), "https://evil.example/file", 1000).await.unwrap_err();
    assert_eq!(elsewhere.class(), SendClass::Rejected);
    let crooked = meta.media_url(&credentials(), "../me").await.unwrap_err();
    assert_eq!(crooked.class(), SendClass::Rejected);
}

#[tokio::test]
async fn a_file_is_uploaded() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v23.0/100000000000002/media"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json_fixture("api_media_upload_response")))
        .mount(&server)
        .await;
    let bytes = Bytes::from_static(b"OggS");
    let id = client(&server).upload_media(&credentials(), bytes, "audio/ogg", "voz.ogg").await.unwrap();
    assert_eq!(id, "100000000000500");
    let body = String::from_utf8(server.received_requests().await.unwrap()[0].body.clone()).unwrap();
    for part in ["name=\"messaging_product\"", "whatsapp", "filename=\"voz.ogg\"", "audio/ogg", "OggS"] {
        assert!(body.contains(part), "{part} in {body}");
    }
}

#[tokio::test]
async fn nothing_shows_the_token() {
    let server = MockServer::start().await;
    Mock::given(body_json(json!({}))).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let shown = format!("{:?} {:?}", credentials(), client(&server));
    assert!(!shown.contains("token-exemplo"), "{shown}");
}
