//! Files through the deployed functions, each in its own rights.

use image::ImageFormat;
use reqwest::header::LOCATION;
use serde_json::{Value, json};
use testkit::{PATIENCE, Socket, eventually};

use crate::flows::media::{picture, put};
use crate::inbox::Inbox;

/// The bytes that a path of the API leads to, and their type.
async fn follow(inbox: &Inbox, path: &str) -> (String, Vec<u8>) {
    let answer = inbox.tenant.api.get(path).await.expect_status(302);
    let answer = reqwest::get(answer.headers[LOCATION].to_str().unwrap()).await.unwrap();
    let answer = answer.error_for_status().unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (content_type, answer.bytes().await.unwrap().to_vec())
}

/// Waits until there is a small picture.
async fn has_thumbnail(inbox: &Inbox, path: &str) {
    eventually("a small picture", PATIENCE, async || {
        let (content_type, bytes) = follow(inbox, path).await;
        let small = image::load_from_memory(&bytes).unwrap();
        (content_type == "image/jpeg" && small.width() == 320).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_goes_to_the_customer_and_another_comes_back() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let socket = Socket::open(&inbox.stack, &inbox.tenant.api_key).await;
    let bytes = picture(700, 700, ImageFormat::Png);
    let new = json!({ "file_name": "vitrine.png", "mime_type": "image/png", "size": bytes.len() });
    let media = api.post("media", &new).await.expect_status(201).body;
    let id = media["id"].as_str().unwrap();
    let complete = format!("media/{id}/complete");
    let _problem = api.post(&complete, &json!({})).await.expect_problem(409, "not_uploaded");
    assert_eq!(put(&media, &bytes).await, 200);
    let _ready = api.post(&complete, &json!({})).await.expect_status(200);
    let image = json!({
        "conversation_id": inbox.conversation_id, "type": "image", "media_id": id, "text": "A vitrine",
    });
    let message = api.post("messages", &image).await.expect_status(202).body;
    inbox.reaches(message["id"].as_str().unwrap(), &["read"]).await;
    let arrived = inbox.arrives(1, PATIENCE).await.remove(0);
    assert_eq!((&arrived["type"], &arrived["content"]["caption"]), (&json!("image"), &json!("A vitrine")));
    let at_provider = arrived["content"]["id"].as_str().unwrap();
    assert_eq!(inbox.sandbox.file(at_provider).await.unwrap(), bytes);
    has_thumbnail(&inbox, &format!("media/{id}/thumbnail")).await;

    let photo = picture(900, 900, ImageFormat::Jpeg);
    let at_provider = inbox.sandbox.keep_file("image/jpeg", "foto.jpg", photo.clone()).await;
    let line = &inbox.tenant.phone_number_id;
    let (wamid, _) = inbox.sandbox.customer_sends(line, &inbox.phone, "image", &at_provider, None).await;
    let received: Value = eventually("the customer's photo", PATIENCE, async || {
        let messages = inbox.messages().await;
        let mut received =
            messages.into_iter().filter(|message| message["provider_message_id"] == wamid.as_str());
        received.find(|message| message["media"]["state"] == "ready")
    })
    .await;
    let (content_type, fetched) = follow(&inbox, received["media"]["url"].as_str().unwrap()).await;
    assert_eq!((content_type.as_str(), fetched), ("image/jpeg", photo));
    has_thumbnail(&inbox, received["media"]["thumbnail_url"].as_str().unwrap()).await;
    socket
        .wait_for("news of the photo", PATIENCE, |event| {
            event["type"] == "message.media" && event["message_id"] == received["id"]
        })
        .await;
}
