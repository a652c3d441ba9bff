//! What the product is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{CUSTOMER, SECRET, WA_ID, fixture, shape, stage, text_to};

#[test]
fn signatures_are_those_of_the_vectors() {
    for vector in fixture("signatures").as_array().unwrap() {
        let secret = vector["app_secret"].as_str().unwrap();
        let body = vector["body"].as_str().unwrap();
        assert_eq!(vector["signature"], sandbox::signature(secret, body.as_bytes()));
    }
}

#[tokio::test]
async fn a_customers_message_arrives_escaped_and_signed_over_its_bytes() {
    let stage = stage().await;
    let id = stage.customer_writes("Vocês têm 50% a/b 👍?").await;
    let received = &stage.receive(1).await[0];
    let text = std::str::from_utf8(&received.body).unwrap();
    assert!(text.is_ascii());
    assert!(text.contains(r"Voc\u00eas t\u00eam 50% a\/b \ud83d\udc4d?"), "{text}");
    assert_eq!(received.signature, sandbox::signature(SECRET, &received.body));
    let body = received.json();
    assert_eq!(shape(&body), shape(&fixture("inbound_text")));
    let message = &body["entry"][0]["changes"][0]["value"]["messages"][0];
    assert_eq!(message["from"], WA_ID);
    assert_eq!(message["id"], id);
}

#[tokio::test]
async fn statuses_climb_in_order_and_echo_our_data() {
    let stage = stage().await;
    stage.customer_writes("Oi").await;
    let (_, answer) = stage.send(text_to(CUSTOMER, "Olá!")).await;
    stage.receive(4).await;
    let id = answer["messages"][0]["id"].as_str().unwrap();
    let statuses = stage.statuses(id);
    let names: Vec<_> = statuses.iter().map(|s| s["status"].as_str().unwrap()).collect();
    assert_eq!(names, ["sent", "delivered", "read"]);
    assert!(statuses.iter().all(|s| s["biz_opaque_callback_data"] == "outbox:1"));
    assert!(statuses.iter().all(|s| s["recipient_id"] == WA_ID));
    let free = json!({
        "billable": false, "pricing_model": "PMP", "type": "free_customer_service",
        "category": "service",
    });
    assert_eq!(statuses[0]["pricing"], free);
    assert_eq!(statuses[1]["pricing"], free);
    assert_eq!(statuses[2].get("pricing"), None);
    let found = stage.look("/_sandbox/messages?biz_opaque_callback_data=outbox:1").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["items"][0]["stage"], "read");
}

#[tokio::test]
async fn outside_the_window_the_message_is_accepted_and_then_fails() {
    let stage = stage().await;
    let long_ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let timestamp = long_ago.as_secs() - 25 * 3600;
    let inbound = json!({ "from": CUSTOMER, "text": "Oi", "timestamp": timestamp });
    stage.control("inbound", inbound).await;
    let mut message = text_to(CUSTOMER, "Ainda aí?");
    message.as_object_mut().unwrap().remove("biz_opaque_callback_data");
    let (status, answer) = stage.send(message).await;
    assert_eq!(status, 200);
    let received = stage.receive(2).await;
    assert_eq!(shape(&received[1].json()), shape(&fixture("status_failed_131047")));
    let id = answer["messages"][0]["id"].as_str().unwrap();
    let error = &stage.statuses(id)[0]["errors"][0];
    let expected = fixture("status_failed_131047");
    assert_eq!(*error, expected["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"][0]);
}

#[tokio::test]
async fn what_is_not_taken_comes_again_the_same_bytes_ever_later() {
    let stage = stage().await;
    stage.answer_with(&[500, 503]);
    stage.customer_writes("Oi").await;
    let received = stage.receive(3).await;
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].signature, received[2].signature);
    assert!(received[1].at - received[0].at >= Duration::from_millis(40));
    assert!(received[2].at - received[1].at >= Duration::from_millis(80));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.received().len(), 3);
    let log = stage.look("/_sandbox/log").await;
    assert_eq!(log["counts"]["webhook"]["answered"], json!({ "200": 1, "500": 1, "503": 1 }));
    assert_eq!(log["webhook"]["waiting"], 0);
}

#[tokio::test]
async fn delivery_pauses_batches_shuffles_and_repeats_on_order() {
    let stage = stage().await;
    stage.control("webhook/pause", json!({})).await;
    let habits = json!({ "webhook": { "batch_size": 10, "shuffle": true } });
    stage.control("settings", habits).await;
    for n in 0..10 {
        stage.customer_writes(&format!("mensagem {n}")).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stage.received().len(), 0);
    stage.control("webhook/resume", json!({})).await;
    let received = stage.receive(1).await;
    let changes = received[0].json()["entry"][0]["changes"].as_array().unwrap().clone();
    let texts: Vec<String> = changes
        .iter()
        .map(|c| c["value"]["messages"][0]["text"]["body"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts.len(), 10);
    let mut sorted = texts.clone();
    sorted.sort();
    assert_eq!(sorted, (0..10).map(|n| format!("mensagem {n}")).collect::<Vec<_>>());

    let habits = json!({ "webhook": { "batch_size": 1, "shuffle": false, "duplicate_percent": 100 } });
    stage.control("settings", habits).await;
    stage.customer_writes("duas vezes").await;
    let received = stage.receive(3).await;
    assert_eq!(received[1].body, received[2].body);
}

#[tokio::test]
async fn any_payload_is_signed_and_posted_once_and_the_handshake_is_made() {
    let stage = stage().await;
    stage.answer_with(&[202]);
    let answer = stage.control("webhook", fixture("inbound_text")).await;
    assert_eq!(answer["status"], 202);
    assert_eq!(stage.received().len(), 1);
    let path = "webhook?signature=none&escape=false";
    stage.control(path, fixture("inbound_image")).await;
    assert_eq!(stage.received()[1].signature, "");
    let verified = stage.control("webhook/verify", json!({})).await;
    assert_eq!(verified, json!({ "verified": true }));
}

#[tokio::test]
async fn a_click_arrives_as_documented() {
    let stage = stage().await;
    let click = json!({
        "from": CUSTOMER, "type": "interactive", "reply_to": "wamid.A",
        "content": { "type": "button_reply", "button_reply": { "id": "a", "title": "Sim" } },
    });
    stage.control("inbound", click).await;
    let body: Value = stage.receive(1).await[0].json();
    assert_eq!(shape(&body), shape(&fixture("inbound_interactive_button_reply")));
}
