//! Files that customers send: fetched once, whatever fails and whoever dies.

use std::time::Duration;

use axum::http::Method;
use domain::job::Queue;
use image::ImageFormat;
use serde_json::{Value, json};
use testkit::{Flow, PATIENCE, Step, TenantOptions, new_phone, new_word};
use tokio::time::{Instant, sleep};

use super::media::{follow, picture};
use crate::inbox::redacted;

/// A message with a file that a customer sent, and what the provider calls the file.
struct Sent {
    wamid: String,
    at_provider: String,
}

/// A customer sends a file; the webhook is on its way.
async fn sends(flow: &Flow, kind: &str, mime_type: &str, name: &str, bytes: &[u8]) -> Sent {
    let at_provider = flow.sandbox.keep_file(mime_type, name, bytes.to_vec()).await;
    sends_kept(flow, kind, at_provider).await
}

async fn sends_kept(flow: &Flow, kind: &str, at_provider: String) -> Sent {
    let (line, phone) = (&flow.tenant.phone_number_id, new_phone());
    let (wamid, _) = flow.sandbox.customer_sends(line, &phone, kind, &at_provider, None).await;
    Sent { wamid, at_provider }
}

/// The message as the API shows it; `None` before it is stored.
async fn shown(flow: &Flow, sent: &Sent) -> Option<Value> {
    let messages = flow.api(Method::GET, "messages?limit=100", None).await.expect_status(200).body;
    let found = messages["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["provider_message_id"] == sent.wamid.as_str());
    found.cloned()
}

/// The message when it is stored, and nothing else has happened.
async fn stored(flow: &Flow, sent: &Sent) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        flow.step(Queue::Inbound).await;
        if let Some(message) = shown(flow, sent).await {
            return message;
        }
        assert!(Instant::now() < end, "the message was not stored");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The message when its file has the state.
async fn reaches(flow: &Flow, sent: &Sent, state: &str) -> Value {
    flow.until(&format!("the file to be {state}"), async || {
        shown(flow, sent).await.filter(|message| message["media"]["state"] == state)
    })
    .await
}

/// What stands with a message about its file, without ids.
fn comparable(message: &Value) -> Value {
    let mut media = redacted(&message["media"]);
    for name in ["url", "thumbnail_url"] {
        if media[name].is_string() {
            media[name] = json!("[path]");
        }
    }
    media
}

#[tokio::test]
async fn a_picture_comes_over_and_is_shown() {
    let flow = Flow::start(TenantOptions::default()).await;
    let bytes = picture(800, 800, ImageFormat::Jpeg);
    let sent = sends(&flow, "image", "image/jpeg", "foto.jpg", &bytes).await;
    let waiting = stored(&flow, &sent).await;
    insta::assert_json_snapshot!("inbound_media_waiting", comparable(&waiting));
    let ready = reaches(&flow, &sent, "ready").await;
    insta::assert_json_snapshot!("inbound_media_ready", comparable(&ready), { ".size" => "[size]" });
    assert_eq!(ready["media"]["size"], bytes.len());
    assert!(ready["version"].as_i64() > waiting["version"].as_i64());
    assert_eq!(follow(&flow, ready["media"]["url"].as_str().unwrap()).await.2, bytes);
    let (content_type, _, small) = follow(&flow, ready["media"]["thumbnail_url"].as_str().unwrap()).await;
    let small = image::load_from_memory(&small).unwrap();
    assert_eq!((content_type.as_str(), small.width()), ("image/jpeg", 320));

    let events = flow.events().await;
    let told: Vec<_> = events.iter().filter(|event| event["type"] == "message.media").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["message_id"], &told[0]["version"]), (&ready["id"], &ready["version"]));
    flow.end().await;
}

#[tokio::test]
async fn documents_keep_their_names_and_what_lies_about_itself_is_what_it_is() {
    let flow = Flow::start(TenantOptions::default()).await;
    let pdf = sends(&flow, "document", "application/pdf", "pedido.pdf", b"%PDF-1.4 ...").await;
    let ready = reaches(&flow, &pdf, "ready").await;
    assert_eq!(ready["media"]["file_name"], "pedido.pdf");
    let (content_type, disposition, _) = follow(&flow, ready["media"]["url"].as_str().unwrap()).await;
    assert_eq!(content_type, "application/pdf");
    assert!(disposition.contains("filename=\"pedido.pdf\""), "{disposition}");

    let program = sends(&flow, "image", "image/png", "foto.png", b"MZ\x90\0\x03\0\0\0 a program").await;
    let ready = reaches(&flow, &program, "ready").await;
    assert_eq!(ready["media"]["mime_type"], "application/vnd.microsoft.portable-executable");
    assert_eq!(ready["media"]["thumbnail_url"], Value::Null);
    let (_, disposition, _) = follow(&flow, ready["media"]["url"].as_str().unwrap()).await;
    assert!(disposition.starts_with("attachment"), "{disposition}");

    let page = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let page = sends(&flow, "document", "text/html", "pagina.html", page).await;
    let ready = reaches(&flow, &page, "ready").await;
    let (_, disposition, _) = follow(&flow, ready["media"]["url"].as_str().unwrap()).await;
    assert!(disposition.starts_with("attachment"), "{disposition}");

    // A picture that cannot be read is there all the same, and shown as itself.
    let mut broken = picture(300, 300, ImageFormat::Jpeg);
    broken.truncate(400);
    let broken = sends(&flow, "image", "image/jpeg", "quebrada.jpg", &broken).await;
    reaches(&flow, &broken, "ready").await;
    flow.end().await;
}

#[tokio::test]
async fn what_the_provider_has_no_more_is_gone() {
    let flow = Flow::start(TenantOptions::default()).await;
    let forgotten = sends(&flow, "image", "image/jpeg", "a.jpg", &picture(8, 8, ImageFormat::Jpeg)).await;
    stored(&flow, &forgotten).await;
    flow.sandbox.forget_file(&forgotten.at_provider).await;
    let gone = reaches(&flow, &forgotten, "gone").await;
    insta::assert_json_snapshot!("inbound_media_gone", comparable(&gone));

    let without_bytes = sends(&flow, "audio", "audio/ogg", "a.ogg", b"OggS\0").await;
    let asked = format!("download {}", without_bytes.at_provider);
    let rule = json!({ "times": 2, "status": 404, "body": "", "contains": asked });
    flow.sandbox.script("graph.media", json!([rule])).await;
    let gone = reaches(&flow, &without_bytes, "gone").await;
    assert_eq!(gone["media"]["reason"], "expired");
    let path = format!("media/{}", gone["media"]["id"].as_str().unwrap());
    let media = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    assert_eq!(
        (&media["state"], &media["reason"], &media["url"]),
        (&json!("gone"), &json!("expired"), &Value::Null)
    );
    let answer = flow.api(Method::GET, &format!("{path}/file"), None).await;
    let _problem = answer.expect_problem(409, "media_not_ready");
    flow.end().await;
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    let flow = Flow::start(TenantOptions::default()).await;
    let bytes = picture(16, 16, ImageFormat::Png);
    for (act, fault) in [
        ("look_up", json!({ "status": 500 })),
        ("look_up", json!({ "graph_code": 190 })),
        ("look_up", json!({ "graph_code": 130_429 })),
        ("look_up", json!({ "drop": "before" })),
        ("download", json!({ "status": 503, "body": "" })),
        ("download", json!({ "drop": "before" })),
        // Its link ran out on the way.
        ("download", json!({ "status": 404, "body": "" })),
        // It came over damaged.
        ("download", json!({ "status": 200, "body": "other bytes" })),
    ] {
        let at_provider = flow.sandbox.keep_file("image/png", "a.png", bytes.clone()).await;
        let mut rule = fault.clone();
        rule["times"] = json!(1);
        rule["contains"] = json!(format!("{act} {at_provider}"));
        flow.sandbox.script("graph.media", json!([rule])).await;
        let sent = sends_kept(&flow, "image", at_provider.clone()).await;
        let ready = reaches(&flow, &sent, "ready").await;
        assert_eq!(follow(&flow, ready["media"]["url"].as_str().unwrap()).await.2, bytes, "{act} {fault}");
        let script = flow.sandbox.get("script").await.to_string();
        assert!(!script.contains(&at_provider), "{act} {fault}: it did not come to that");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_provider_that_never_gives_a_file_is_given_up_after_a_week() {
    let flow = Flow::start(TenantOptions::default()).await;
    let sent = sends(&flow, "image", "image/png", "a.png", &picture(8, 8, ImageFormat::Png)).await;
    let rule = json!({ "status": 500, "times": 3, "contains": format!("look_up {}", sent.at_provider) });
    flow.sandbox.script("graph.media", json!([rule])).await;
    stored(&flow, &sent).await;
    assert_eq!(flow.step(Queue::Media).await, Step::Done);
    assert_eq!(flow.queued(Queue::Media).await, 1, "it comes again");
    flow.clock.pass(chrono::TimeDelta::days(8));
    let gone = reaches(&flow, &sent, "gone").await;
    assert_eq!(gone["media"]["reason"], "unavailable");
    flow.end().await;
}

#[tokio::test]
async fn too_much_is_refused_and_a_link_elsewhere_is_not_followed() {
    let flow = Flow::start(TenantOptions::default()).await;
    let line = |mid: &str, url: String, size: u64| json!({ "messaging_product": "whatsapp", "id": mid, "url": url, "mime_type": "image/png", "file_size": size });
    let at_provider = flow.sandbox.keep_file("image/png", "a.png", picture(8, 8, ImageFormat::Png)).await;
    let look_up = format!("look_up {at_provider}");
    let huge = line(&at_provider, "https://lookaside.fbsbx.com/x".to_owned(), 100 * 1024 * 1024 + 1);
    let rule = json!({ "times": 1, "status": 200, "body": huge, "contains": look_up });
    flow.sandbox.script("graph.media", json!([rule])).await;
    let sent = sends_kept(&flow, "image", at_provider).await;
    let refused = reaches(&flow, &sent, "refused").await;
    assert_eq!(refused["media"]["reason"], "too_large");

    // One who could forge answers would collect tokens, or read what only this machine may.
    let elsewhere = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/file", elsewhere.local_addr().unwrap());
    for url in [url, "https://169.254.169.254/latest/meta-data".to_owned()] {
        let at_provider = flow.sandbox.keep_file("image/png", "a.png", picture(8, 8, ImageFormat::Png)).await;
        let body = line(&at_provider, url, 10);
        let rule =
            json!({ "times": 2, "status": 200, "body": body, "contains": format!("look_up {at_provider}") });
        flow.sandbox.script("graph.media", json!([rule])).await;
        let sent = sends_kept(&flow, "image", at_provider).await;
        reaches(&flow, &sent, "gone").await;
    }
    let called = tokio::time::timeout(Duration::from_millis(200), elsewhere.accept()).await;
    assert!(called.is_err(), "somebody else was called");
    flow.end().await;
}

#[tokio::test]
async fn the_media_consumer_dies_at_every_answer() {
    let flow = Flow::start(TenantOptions::default()).await;
    let bytes = picture(400, 400, ImageFormat::Jpeg);
    let usual = sends(&flow, "image", "image/jpeg", "a.jpg", &bytes).await;
    let usual = reaches(&flow, &usual, "ready").await;
    flow.pump().await;

    let sent = sends(&flow, "image", "image/jpeg", "a.jpg", &bytes).await;
    stored(&flow, &sent).await;
    // The file is fetched, and then made small.
    let mut deaths = 0;
    for job in ["fetch", "thumbnail"] {
        if flow.queued(Queue::Media).await == 0 {
            // What was committed and not handed over, the relay brings.
            assert!(flow.relay().await > 0, "the {job} job is lost");
        }
        let answers = flow.die_at_every_answer(Queue::Media).await;
        assert!(answers > 3, "{job} came through after {answers} answers");
        deaths += answers;
    }
    flow.recover().await;
    let ready = reaches(&flow, &sent, "ready").await;
    assert_eq!(comparable(&ready), comparable(&usual), "after {deaths} deaths");
    assert_eq!(follow(&flow, ready["media"]["url"].as_str().unwrap()).await.2, bytes);
    let (content_type, ..) = follow(&flow, ready["media"]["thumbnail_url"].as_str().unwrap()).await;
    assert_eq!(content_type, "image/jpeg");
    let files: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM media WHERE company_id = $1 AND state = 'ready' AND thumbnail_key IS NOT NULL",
    )
    .bind(flow.tenant.company_id)
    .fetch_one(&flow.admin)
    .await
    .unwrap();
    assert_eq!(files, 2, "one a message");
    let events = flow.events().await;
    let about = |event: &&Value| event["type"] == "message.media" && event["message_id"] == ready["id"];
    assert!(events.iter().filter(about).count() >= 1, "told at least once");
    assert_eq!(ready["version"], usual["version"], "changed once");
    flow.end().await;
}

#[tokio::test]
async fn a_message_that_comes_twice_has_one_file() {
    let flow = Flow::start(TenantOptions::default()).await;
    let at_provider = flow.sandbox.keep_file("image/png", "a.png", picture(8, 8, ImageFormat::Png)).await;
    let inbound = json!({
        "from": new_phone(), "type": "image", "media_id": at_provider, "id": new_word("wamid."),
        "phone_number_id": flow.tenant.phone_number_id,
    });
    for _ in 0..2 {
        flow.sandbox.post("inbound", &inbound).await;
    }
    let sent = Sent { wamid: inbound["id"].as_str().unwrap().to_owned(), at_provider };
    reaches(&flow, &sent, "ready").await;
    flow.pump().await;
    let files: i64 = sqlx::query_scalar("SELECT count(*) FROM media WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .fetch_one(&flow.admin)
        .await
        .unwrap();
    assert_eq!(files, 1);
    flow.end().await;
}
