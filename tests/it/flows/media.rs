//! Files that people bring, and that are sent to customers.

use std::io::Cursor;

use axum::http::Method;
use axum::http::header::LOCATION;
use domain::job::Queue;
use futures::future::join_all;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use testkit::{Answer, Flow, Step, TenantOptions, at_answer, new_id};

use super::customer::Customer;
use crate::inbox::redacted;

/// A picture; pixels that compress badly, so that it has some bytes.
pub(crate) fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixel = |x: u32, y: u32| Rgb([x.wrapping_mul(31) as u8, y.wrapping_mul(17) as u8, (x ^ y) as u8]);
    let picture = DynamicImage::from(RgbImage::from_fn(width, height, pixel));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Asks for an upload.
async fn announce(flow: &Flow, file_name: &str, mime_type: &str, size: usize) -> Answer {
    let body = json!({ "file_name": file_name, "mime_type": mime_type, "size": size });
    flow.api(Method::POST, "media", Some(&body)).await
}

/// Puts bytes where an answer says; the store's status.
pub(crate) async fn put(media: &Value, bytes: &[u8]) -> u16 {
    let upload = &media["upload"];
    let mut request = reqwest::Client::new().put(upload["url"].as_str().unwrap()).body(bytes.to_vec());
    for (name, value) in upload["headers"].as_object().unwrap() {
        // The client says itself how long its body is.
        if name != "content-length" {
            request = request.header(name, value.as_str().unwrap());
        }
    }
    request.send().await.unwrap().status().as_u16()
}

async fn complete(flow: &Flow, media: &Value) -> Answer {
    let path = format!("media/{}/complete", media["id"].as_str().unwrap());
    flow.api(Method::POST, &path, None).await
}

/// Brings a file; its id.
pub(super) async fn bring(flow: &Flow, file_name: &str, mime_type: &str, bytes: &[u8]) -> String {
    let media = announce(flow, file_name, mime_type, bytes.len()).await.expect_status(201).body;
    assert_eq!(put(&media, bytes).await, 200);
    let media = complete(flow, &media).await.expect_status(200).body;
    media["id"].as_str().unwrap().to_owned()
}

/// What a link leads to: type, disposition, bytes.
async fn fetch(url: &str) -> (String, String, Vec<u8>) {
    let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let (content_type, disposition) = (header("content-type"), header("content-disposition"));
    (content_type, disposition, answer.bytes().await.unwrap().to_vec())
}

/// What a path of the API leads to.
pub(super) async fn follow(flow: &Flow, path: &str) -> (String, String, Vec<u8>) {
    let path = path.trim_start_matches("/api/v1/");
    let answer = flow.api(Method::GET, path, None).await.expect_status(302);
    fetch(answer.headers[LOCATION].to_str().unwrap()).await
}

/// An answer without what differs from run to run.
pub(super) fn comparable(answer: &Value) -> Value {
    let mut answer = redacted(answer);
    for pointer in ["/url", "/upload/url"] {
        if let Some(url) = answer.pointer_mut(pointer).filter(|url| url.is_string()) {
            *url = json!("[url]");
        }
    }
    for name in ["ready_at", "url_expires_at"] {
        if answer[name].is_string() {
            answer[name] = json!("[time]");
        }
    }
    answer
}

#[tokio::test]
async fn a_picture_is_brought_looked_at_and_shown() {
    let flow = Flow::start(TenantOptions::default()).await;
    let bytes = picture(1200, 600, ImageFormat::Png);
    let media = announce(&flow, "vitrine nova.png", "image/png", bytes.len()).await.expect_status(201).body;
    insta::assert_json_snapshot!("media_created", comparable(&media), { ".size" => "[size]", r#".upload.headers["content-length"]"# => "[size]" });
    let id = media["id"].as_str().unwrap();
    let path = format!("media/{id}");
    for view in ["file", "thumbnail"] {
        let answer = flow.api(Method::GET, &format!("{path}/{view}"), None).await;
        let problem = answer.expect_problem(409, "media_not_ready");
        insta::assert_json_snapshot!("media_not_ready", problem);
    }
    let problem = complete(&flow, &media).await.expect_problem(409, "not_uploaded");
    insta::assert_json_snapshot!("media_not_uploaded", problem);

    assert_eq!(put(&media, &bytes).await, 200);
    let ready = complete(&flow, &media).await.expect_status(200).body;
    insta::assert_json_snapshot!("media_ready", comparable(&ready), { ".size" => "[size]" });
    let again = complete(&flow, &media).await.expect_status(200).body;
    assert_eq!(again, ready, "harmless to repeat");

    let found = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    insta::assert_json_snapshot!("media_found", comparable(&found), { ".size" => "[size]" });
    let (content_type, disposition, fetched) = fetch(found["url"].as_str().unwrap()).await;
    assert_eq!((content_type.as_str(), fetched), ("image/png", bytes.clone()));
    assert!(disposition.starts_with("inline; filename=\"vitrine nova.png\""), "{disposition}");
    let (content_type, ..) = follow(&flow, &format!("{path}/thumbnail")).await;
    assert_eq!(content_type, "image/png", "the picture itself, until there is a small one");

    flow.pump().await;
    let (content_type, _, small) = follow(&flow, &format!("{path}/thumbnail")).await;
    assert_eq!(content_type, "image/jpeg");
    let small = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).unwrap();
    assert_eq!((small.width(), small.height()), (320, 160));
    assert_eq!(follow(&flow, &format!("{path}/file")).await.2, bytes);

    // Whoever kept the link of the upload changes nothing any more.
    let other: Vec<u8> = bytes.iter().rev().copied().collect();
    assert_eq!(put(&media, &other).await, 200);
    assert_eq!(follow(&flow, &format!("{path}/file")).await.2, bytes);
    let _ready = complete(&flow, &media).await.expect_status(200);
    assert_eq!(follow(&flow, &format!("{path}/file")).await.2, bytes);
    flow.end().await;
}

#[tokio::test]
async fn whoever_says_it_at_once_hears_the_same() {
    let flow = Flow::start(TenantOptions::default()).await;
    let bytes = picture(64, 64, ImageFormat::Png);
    for _ in 0..3 {
        let media = announce(&flow, "a.png", "image/png", bytes.len()).await.expect_status(201).body;
        assert_eq!(put(&media, &bytes).await, 200);
        let answers = join_all((0..4).map(|_| complete(&flow, &media))).await;
        for answer in answers {
            assert_eq!(answer.expect_status(200).body["state"], "ready");
        }
        assert_eq!(flow.queued(Queue::Media).await, 1, "one small picture");
        flow.pump().await;
    }
    flow.end().await;
}

#[tokio::test]
async fn what_is_not_what_was_said_is_refused() {
    let flow = Flow::start(TenantOptions::default()).await;
    let png = picture(8, 8, ImageFormat::Png);
    for (mime_type, bytes) in [
        ("image/jpeg", png.as_slice()),
        ("application/pdf", b"MZ\x90\0\x03\0\0\0 not a document"),
        ("text/plain", b"bytes\0of something"),
        ("audio/ogg", b"no sound at all"),
    ] {
        let media = announce(&flow, "arquivo", mime_type, bytes.len()).await.expect_status(201).body;
        assert_eq!(put(&media, bytes).await, 200);
        for _ in 0..2 {
            let problem = complete(&flow, &media).await.expect_problem(409, "media_refused");
            insta::assert_json_snapshot!("media_refused", problem);
        }
        let path = format!("media/{}", media["id"].as_str().unwrap());
        let found = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        assert_eq!((&found["state"], &found["reason"]), (&json!("refused"), &json!("wrong_type")));
        assert_eq!((&found["url"], &found["upload"]), (&Value::Null, &Value::Null));
    }
    // The link is for so many bytes.
    let media = announce(&flow, "grande.png", "image/png", png.len() - 1).await.expect_status(201).body;
    let status = put(&media, &png).await;
    match status {
        200 => drop(complete(&flow, &media).await.expect_problem(409, "media_refused")),
        refused => {
            assert_eq!(refused, 403);
            let _problem = complete(&flow, &media).await.expect_problem(409, "not_uploaded");
        }
    }
    // A sticker that does not move has a tenth of a megabyte.
    let mut still = picture(400, 400, ImageFormat::WebP);
    still.resize(still.len().max(101 * 1024), 0);
    let media = announce(&flow, "figurinha.webp", "image/webp", still.len()).await.expect_status(201).body;
    assert_eq!(put(&media, &still).await, 200);
    let problem = complete(&flow, &media).await.expect_problem(409, "media_refused");
    insta::assert_json_snapshot!("media_too_large_for_its_type", problem);
    flow.end().await;
}

#[tokio::test]
async fn what_cannot_be_brought_is_named() {
    let flow = Flow::start(TenantOptions::default()).await;
    const MEGABYTE: i64 = 1024 * 1024;
    for (body, field) in [
        (json!({ "file_name": "a.jpg", "mime_type": "image/jpeg", "size": 0 }), "size"),
        (json!({ "file_name": "a.jpg", "mime_type": "image/jpeg", "size": 5 * MEGABYTE + 1 }), "size"),
        (json!({ "file_name": "a.mp4", "mime_type": "video/mp4", "size": 16 * MEGABYTE + 1 }), "size"),
        (json!({ "file_name": "a.gif", "mime_type": "image/gif", "size": 10 }), "mime_type"),
        (json!({ "file_name": "a.csv", "mime_type": "text/csv", "size": 10 }), "mime_type"),
        (
            json!({ "purpose": "import", "file_name": "a.png", "mime_type": "image/png", "size": 10 }),
            "mime_type",
        ),
        (
            json!({ "purpose": "import", "file_name": "a.csv", "mime_type": "text/csv", "size": 1024 * MEGABYTE + 1 }),
            "size",
        ),
        (
            json!({ "purpose": "export", "file_name": "a.csv", "mime_type": "text/csv", "size": 10 }),
            "purpose",
        ),
        (json!({ "file_name": "", "mime_type": "image/jpeg", "size": 10 }), "file_name"),
        (json!({ "file_name": "../a.jpg", "mime_type": "image/jpeg", "size": 10 }), "file_name"),
        (json!({ "file_name": "a".repeat(241), "mime_type": "image/jpeg", "size": 10 }), "file_name"),
        (json!({ "mime_type": "image/jpeg", "size": 10 }), "file_name"),
        (json!({ "file_name": "a.jpg", "mime_type": "image/jpeg", "size": 10, "url": "x" }), "url"),
    ] {
        let problem = flow.api(Method::POST, "media", Some(&body)).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    let nothing = new_id();
    for (method, path) in [
        (Method::GET, format!("media/{nothing}")),
        (Method::GET, format!("media/{nothing}/file")),
        (Method::GET, format!("media/{nothing}/thumbnail")),
        (Method::POST, format!("media/{nothing}/complete")),
    ] {
        let _problem = flow.api(method, &path, None).await.expect_problem(404, "not_found");
    }
    flow.end().await;
}

#[tokio::test]
async fn rows_are_taken_as_text_and_shown_to_nobody() {
    let flow = Flow::start(TenantOptions::default()).await;
    let rows = "nome;telefone\nJosé;62 99999-0000\n".as_bytes();
    let new = |name: &str| json!({ "purpose": "import", "file_name": name, "mime_type": "text/csv", "size": rows.len() });
    let media = flow.api(Method::POST, "media", Some(&new("clientes.csv"))).await.expect_status(201).body;
    assert_eq!(put(&media, rows).await, 200);
    let ready = complete(&flow, &media).await.expect_status(200).body;
    assert_eq!((&ready["state"], &ready["purpose"]), (&json!("ready"), &json!("import")));
    let path = format!("media/{}", media["id"].as_str().unwrap());
    let found = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    assert_eq!(found["url"], Value::Null);
    let answer = flow.api(Method::GET, &format!("{path}/file"), None).await;
    let _problem = answer.expect_problem(409, "media_not_ready");

    let zip = b"PK\x03\x04\x14\0\0\0\x08\0 and more of it";
    let body =
        json!({ "purpose": "import", "file_name": "a.csv", "mime_type": "text/csv", "size": zip.len() });
    let media = flow.api(Method::POST, "media", Some(&body)).await.expect_status(201).body;
    assert_eq!(put(&media, zip).await, 200);
    let _problem = complete(&flow, &media).await.expect_problem(409, "media_refused");
    flow.end().await;
}

#[tokio::test]
async fn one_key_makes_one_upload() {
    let flow = Flow::start(TenantOptions::default()).await;
    let bytes = picture(8, 8, ImageFormat::Jpeg);
    let ask = async |key: &str, size: usize| {
        let body = json!({ "file_name": "a.jpg", "mime_type": "image/jpeg", "size": size });
        flow.api_once(Method::POST, "media", key, &body).await
    };
    let first = ask("foto-1", bytes.len()).await.expect_status(201).body;
    let second = ask("foto-1", bytes.len()).await.expect_status(201).body;
    assert_eq!(first["id"], second["id"]);
    assert_eq!(put(&second, &bytes).await, 200, "the link is signed anew");
    let _answer = complete(&flow, &first).await.expect_status(200);
    let third = ask("foto-1", bytes.len()).await.expect_status(201).body;
    assert_eq!((&third["state"], &third["upload"]), (&json!("ready"), &Value::Null));
    let _problem = ask("foto-1", bytes.len() + 1).await.expect_problem(409, "idempotency_key_reused");
    flow.pump().await;
    flow.end().await;
}

/// A company with a customer who wrote; the id of the conversation.
async fn talking() -> (Flow, Customer, String) {
    let flow = Flow::start(TenantOptions::default()).await;
    let customer = Customer::asks(&flow).await;
    let stored = flow
        .until("the message to be stored", async || {
            let stored = customer.stored(&flow).await;
            (!stored.is_null()).then_some(stored)
        })
        .await;
    (flow, customer, stored["conversation_id"].as_str().unwrap().to_owned())
}

async fn send(flow: &Flow, conversation: &str, kind: &str, media_id: &str, more: Value) -> Answer {
    let mut body = json!({ "conversation_id": conversation, "type": kind, "media_id": media_id });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    flow.api(Method::POST, "messages", Some(&body)).await
}

#[tokio::test]
async fn files_of_every_kind_reach_the_customer() {
    let (flow, customer, conversation) = talking().await;
    let ogg = b"OggS\0\x02\0\0\0\0\0\0\0\0OpusHead".to_vec();
    let mp4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec();
    let pdf = b"%PDF-1.7\n1 0 obj".to_vec();
    let cases = [
        (
            "image",
            "vitrine.jpg",
            "image/jpeg",
            picture(640, 480, ImageFormat::Jpeg),
            json!({ "text": "A vitrine" }),
        ),
        ("audio", "recado.ogg", "audio/ogg; codecs=opus", ogg, json!({ "voice": true })),
        ("video", "loja.mp4", "video/mp4", mp4, json!({ "text": "A loja" })),
        ("document", "orçamento.pdf", "application/pdf", pdf, json!({ "text": "O orçamento" })),
        ("sticker", "oi.webp", "image/webp", picture(64, 64, ImageFormat::WebP), json!({})),
    ];
    for (index, (kind, name, mime_type, bytes, more)) in cases.into_iter().enumerate() {
        let media_id = bring(&flow, name, mime_type, &bytes).await;
        let message = send(&flow, &conversation, kind, &media_id, more.clone()).await.expect_status(202).body;
        assert_eq!((&message["status"], &message["text"]), (&json!("queued"), &more["text"]));
        assert_eq!(message["media"]["id"], media_id.as_str());
        assert_eq!(
            (&message["media"]["file_name"], &message["media"]["state"]),
            (&json!(name), &json!("ready"))
        );
        assert_eq!(follow(&flow, message["media"]["url"].as_str().unwrap()).await.2, bytes);
        customer.reads(&flow, index + 1).await;
        let arrived = customer.received(&flow).await.pop().unwrap();
        assert_eq!(arrived["type"], kind, "{arrived:#}");
        assert_eq!(arrived["content"]["caption"], more["text"], "{arrived:#}");
        let filename = if kind == "document" { json!(name) } else { Value::Null };
        assert_eq!(arrived["content"]["filename"], filename, "{arrived:#}");
        assert_eq!(arrived["content"]["voice"] == true, kind == "audio", "{arrived:#}");
        let at_provider = arrived["content"]["id"].as_str().unwrap();
        assert_eq!(flow.sandbox.file(at_provider).await.unwrap(), bytes);
    }
    let messages = format!("conversations/{conversation}/messages?limit=5");
    let messages = flow.api(Method::GET, &messages, None).await.expect_status(200).body;
    let media: Vec<_> = messages["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            let mut media = redacted(&message["media"]);
            for name in ["url", "thumbnail_url"] {
                if media[name].is_string() {
                    media[name] = json!("[path]");
                }
            }
            media
        })
        .collect();
    insta::assert_json_snapshot!("media_of_messages", media, { "[].size" => "[size]" });
    flow.end().await;
}

#[tokio::test]
async fn a_file_goes_to_the_provider_once() {
    let (flow, customer, conversation) = talking().await;
    let media_id = bring(&flow, "a.jpg", "image/jpeg", &picture(64, 64, ImageFormat::Jpeg)).await;
    for count in 1..=2 {
        let _answer = send(&flow, &conversation, "image", &media_id, json!({})).await.expect_status(202);
        customer.reads(&flow, count).await;
    }
    let arrived = customer.received(&flow).await;
    assert_eq!(arrived[0]["content"]["id"], arrived[1]["content"]["id"]);

    // The provider forgot it: that message fails, and whoever sends it again sends another copy.
    let copy = arrived[0]["content"]["id"].as_str().unwrap();
    let rule = json!({ "times": 1, "graph_code": 131_053, "contains": copy });
    flow.sandbox.script("graph.messages", json!([rule])).await;
    let message = send(&flow, &conversation, "image", &media_id, json!({})).await.expect_status(202).body;
    flow.pump().await;
    let path = format!("messages/{}", message["id"].as_str().unwrap());
    let failed = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("131053")));
    let _answer = flow.api(Method::POST, &format!("{path}/retry"), None).await.expect_status(202);
    customer.reads(&flow, 3).await;
    let another = &customer.received(&flow).await[2]["content"]["id"];
    assert_ne!(another, &arrived[0]["content"]["id"]);
    flow.end().await;
}

#[tokio::test]
async fn an_upload_that_fails_is_tried_again_and_order_is_kept() {
    let (flow, customer, conversation) = talking().await;
    let asked = format!("upload {}", flow.tenant.phone_number_id);
    let faults = json!([
        { "times": 1, "status": 503, "contains": asked },
        { "times": 1, "drop": "after", "contains": asked },
        { "times": 1, "graph_code": 130_429, "contains": asked },
    ]);
    flow.sandbox.script("graph.media", faults).await;
    let media_id = bring(&flow, "a.jpg", "image/jpeg", &picture(64, 64, ImageFormat::Jpeg)).await;
    let first = send(&flow, &conversation, "image", &media_id, json!({})).await.expect_status(202).body;
    let text = json!({ "conversation_id": conversation, "type": "text", "text": "Gostou?" });
    let second = flow.api(Method::POST, "messages", Some(&text)).await.expect_status(202).body;
    customer.reads(&flow, 2).await;
    let arrived = customer.received(&flow).await;
    let ids: Vec<_> = arrived.iter().map(|message| &message["biz_opaque_callback_data"]).collect();
    assert_eq!(ids, [&first["id"], &second["id"]], "each once, in order");

    // What the provider does not take at all fails with its reason.
    let refusal = json!([{ "times": 1, "graph_code": 131_053, "contains": asked }]);
    flow.sandbox.script("graph.media", refusal).await;
    let media_id = bring(&flow, "b.jpg", "image/jpeg", &picture(65, 65, ImageFormat::Jpeg)).await;
    let message = send(&flow, &conversation, "image", &media_id, json!({})).await.expect_status(202).body;
    flow.pump().await;
    let path = format!("messages/{}", message["id"].as_str().unwrap());
    let failed = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("131053")));
    flow.end().await;
}

#[tokio::test]
async fn a_sender_that_dies_while_it_uploads_leaves_no_doubt() {
    let (flow, customer, conversation) = talking().await;
    let media_id = bring(&flow, "a.jpg", "image/jpeg", &picture(64, 64, ImageFormat::Jpeg)).await;
    flow.pump().await;
    let message = send(&flow, &conversation, "image", &media_id, json!({})).await.expect_status(202).body;
    let copies = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM media_copies WHERE company_id = $1")
            .bind(flow.tenant.company_id)
            .fetch_one(&flow.admin)
            .await
            .unwrap()
    };
    // At every answer, until the provider has the file and we know it.
    let mut answers = 1;
    while copies().await == 0 {
        assert_eq!(flow.step_unless(Queue::Outbound, at_answer(answers)).await, Step::Died);
        let path = format!("messages/{}", message["id"].as_str().unwrap());
        let waiting = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        assert_eq!(waiting["status"], "queued", "it certainly did not go");
        answers += 1;
    }
    flow.recover().await;
    customer.reads(&flow, 1).await;
    assert_eq!(customer.received(&flow).await.len(), 1);
    flow.end().await;
}

#[tokio::test]
async fn messages_and_files_that_do_not_go_together_are_refused() {
    let (flow, _, conversation) = talking().await;
    let jpeg = bring(&flow, "a.jpg", "image/jpeg", &picture(64, 64, ImageFormat::Jpeg)).await;
    let mp3 = bring(&flow, "a.mp3", "audio/mpeg", b"ID3\x04\0\0 sound").await;
    for (kind, media_id, more, field) in [
        ("video", &jpeg, json!({}), "media_id"),
        ("text", &jpeg, json!({ "text": "Oi" }), "media_id"),
        ("audio", &mp3, json!({ "text": "Oi" }), "text"),
        ("audio", &mp3, json!({ "voice": true }), "voice"),
        ("image", &jpeg, json!({ "voice": true }), "voice"),
        ("image", &jpeg, json!({ "text": "a".repeat(1025) }), "text"),
    ] {
        let problem = send(&flow, &conversation, kind, media_id, more).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let without = json!({ "conversation_id": conversation, "type": "image" });
    let problem = flow.api(Method::POST, "messages", Some(&without)).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "media_id");
    let nothing = new_id().to_string();
    let _problem =
        send(&flow, &conversation, "image", &nothing, json!({})).await.expect_problem(404, "not_found");
    let waiting = announce(&flow, "b.jpg", "image/jpeg", 1000).await.expect_status(201).body;
    let waiting = waiting["id"].as_str().unwrap();
    let answer = send(&flow, &conversation, "image", waiting, json!({})).await;
    let _problem = answer.expect_problem(409, "media_not_ready");
    flow.pump().await;
    flow.end().await;
}
