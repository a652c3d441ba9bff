//! What the phone page asks for.

use serde_json::{Value, json};

use crate::harness::{CUSTOMER, WA_ID, fixture, shape, stage, text_to};

#[tokio::test]
async fn the_page_and_its_parts_are_served() {
    let stage = stage().await;
    let page = stage.http.get(&stage.url).send().await.unwrap().text().await.unwrap();
    for id in ["composer", "send", "typing"] {
        assert!(page.contains(&format!("data-testid=\"{id}\"")), "{id}");
    }
    for part in page.split("\"/phone/").skip(1) {
        let name = part.split('"').next().unwrap();
        let response = stage.http.get(format!("{}/phone/{name}", stage.url)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
    }
}

#[tokio::test]
async fn marking_as_read_shows_two_ticks_and_typing_until_the_answer_comes() {
    let stage = stage().await;
    let id = stage.customer_writes("Oi").await;
    stage.receive(1).await;
    let state = |query: &'static str| stage.look(query);
    let before = state("/phone/api/state?customer=%2B5562988880001").await;
    assert_eq!(before["messages"][0]["stage"], "sent");
    let mut request = fixture("api_mark_read_typing_request");
    request["message_id"] = json!(id);
    assert_eq!(stage.send(request).await, (200, json!({ "success": true })));
    let during = state("/phone/api/state?customer=%2B5562988880001").await;
    assert_eq!(during["messages"][0]["stage"], "read");
    assert!(during["typing_until_ms"].as_i64().unwrap() > 0);
    stage.send(text_to(CUSTOMER, "Olá!")).await;
    stage.receive(4).await;
    let after = state("/phone/api/state?customer=%2B5562988880001").await;
    assert_eq!(after["typing_until_ms"], 0);
    assert_eq!(after["messages"][1]["content"]["body"], "Olá!");
    assert_eq!(after["customers"][0]["wa_id"], WA_ID);
}

#[tokio::test]
async fn without_auto_read_the_open_chat_reads() {
    let stage = stage().await;
    stage.control("settings", json!({ "auto_read": false })).await;
    stage.customer_writes("Oi").await;
    let (_, answer) = stage.send(text_to(CUSTOMER, "Olá!")).await;
    stage.receive(3).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let id = answer["messages"][0]["id"].as_str().unwrap();
    assert_eq!(stage.statuses(id).len(), 2);
    let address = format!("{}/phone/api/read", stage.url);
    let response = stage.http.post(address).json(&json!({ "customer": CUSTOMER })).send().await;
    assert_eq!(response.unwrap().json::<Value>().await.unwrap(), json!({ "read": 1 }));
    stage.receive(4).await;
    assert_eq!(stage.statuses(id)[2]["status"], "read");
}

#[tokio::test]
async fn a_picture_of_the_customer_arrives_with_its_id_and_hash() {
    let stage = stage().await;
    let part = reqwest::multipart::Part::bytes(b"\xff\xd8".to_vec())
        .file_name("foto.jpg")
        .mime_str("image/jpeg")
        .unwrap();
    let form = reqwest::multipart::Form::new().part("file", part);
    let address = format!("{}/phone/api/media", stage.url);
    let response = stage.http.post(address).multipart(form).send().await.unwrap();
    let media: Value = response.json().await.unwrap();
    let inbound = json!({
        "from": CUSTOMER, "type": "image", "media_id": media["id"], "text": "Foto do produto",
    });
    stage.control("inbound", inbound).await;
    let body = stage.receive(1).await[0].json();
    assert_eq!(shape(&body), shape(&fixture("inbound_image")));
}
