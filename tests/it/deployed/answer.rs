//! A customer asks, the AI answers, and everybody sees it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Api, PATIENCE, Sandbox, Socket, Stack, Tenant, TenantOptions, eventually, new_phone};

use crate::inbox::{Inbox, conversation_of, messages_of};

const QUESTION: &str = "Oi, vocês entregam em Goiânia?";

/// The turn's window, the model, the send and its statuses, on a machine that is busy with other tests.
const ANSWERED: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_question_is_answered_and_followed_until_it_is_read() {
    let stack = Stack::load();
    let sandbox = Sandbox::of(&stack);
    let demo = &stack.demo;
    let line = &demo.connections.whatsapp_cloud.phone_number_id;
    let api = Api::log_in(&stack, &demo.email, &demo.password).await;
    let socket = Socket::open(&stack, api.credential().unwrap()).await;

    let phone = new_phone();
    let (wamid, wa_id) = sandbox.customer_writes(line, &phone, "Ana Exemplo", QUESTION).await;
    let answer = eventually("the AI's answer to be read on the customer's phone", ANSWERED, async || {
        sandbox.sent_to(line, &phone).await.into_iter().find(|message| message["stage"] == "read")
    })
    .await;
    let said = answer["content"]["body"].as_str().unwrap();
    assert!(!said.trim().is_empty());

    let conversation = conversation_of(&api, &wa_id).await;
    let conversation_id = conversation["id"].as_str().unwrap();
    let messages = eventually("the answer to be read in the inbox", PATIENCE, async || {
        let messages = messages_of(&api, conversation_id).await;
        messages.last().is_some_and(|message| message["status"] == "read").then_some(messages)
    })
    .await;
    let [question, reply] = messages.as_slice() else { panic!("two messages, not {messages:#?}") };
    assert_message(question, "inbound", "CUSTOMER", QUESTION, &wamid);
    assert_eq!(question["status"], "received");
    assert_message(reply, "outbound", "AI", said, answer["id"].as_str().unwrap());
    for time in ["sent_at", "delivered_at", "read_at"] {
        assert!(reply[time].is_string(), "{time} of {reply:#}");
    }
    let reply_id = reply["id"].as_str().unwrap();
    assert_eq!(answer["biz_opaque_callback_data"], reply_id, "our own id travels with the message");
    assert_eq!(
        answer["to"].as_str().unwrap().trim_start_matches('+'),
        wa_id,
        "sent to WhatsApp's own spelling"
    );

    assert_seen_around(&api, &conversation, question, reply).await;
    let by_key = Api::anonymous(&stack).with(&demo.api_key);
    assert_eq!(messages_of(&by_key, conversation_id).await, messages, "an API key sees the same");

    let created = |id: &Value| {
        let id = id.clone();
        move |event: &Value| event["type"] == "message.created" && event["message_id"] == id
    };
    socket.wait_for("message.created of the question", PATIENCE, created(&question["id"])).await;
    socket.wait_for("message.created of the answer", PATIENCE, created(&reply["id"])).await;
    // Those before may have been folded into it.
    let read = |event: &Value| {
        event["type"] == "message.status" && event["message_id"] == reply_id && event["status"] == "read"
    };
    socket.wait_for("message.status read", PATIENCE, read).await;
    let foreign =
        socket.events().into_iter().find(|event| event["company_id"] != demo.company_id.to_string());
    assert_eq!(foreign, None, "a socket is told about its own company only");
}

fn assert_message(message: &Value, direction: &str, author: &str, text: &str, wamid: &str) {
    assert_eq!(message["direction"], direction);
    assert_eq!(message["author"], author);
    assert_eq!(message["type"], "text");
    assert_eq!(message["text"], text);
    assert_eq!(message["provider_message_id"], wamid);
}

/// Contact, conversation and session tell the same story as the messages.
async fn assert_seen_around(api: &Api, conversation: &Value, question: &Value, reply: &Value) {
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    let conversation_id = id(&conversation["id"]);
    let conversation = api.get(&format!("conversations/{conversation_id}")).await.expect_status(200).body;
    assert_eq!(conversation["last_message"]["id"], reply["id"]);
    assert_eq!(conversation["contact"]["name"], "Ana Exemplo");
    assert!(conversation["window_expires_at"].is_string());

    let contact_id = id(&conversation["contact_id"]);
    let contact = api.get(&format!("contacts/{contact_id}")).await.expect_status(200).body;
    assert!(contact["phone"].as_str().unwrap().starts_with("+55629"), "{contact:#}");

    let session_id = id(&question["session_id"]);
    assert_eq!(reply["session_id"], question["session_id"]);
    let session = api.get(&format!("sessions/{session_id}")).await.expect_status(200).body;
    assert_eq!(session["status"], "ACTIVE");
    assert_eq!(session["started_by"], "CUSTOMER");
    let status = api.get(&format!("sessions/{session_id}/ai-status")).await.expect_status(200).body;
    assert_eq!(status["ai_enabled"], true);
    let of_session = api.all(&format!("sessions/{session_id}/messages"), 100).await;
    assert_eq!(of_session.len(), 2);
    let history = api.get(&format!("sessions/by-contact/{contact_id}")).await.expect_status(200).body;
    let order: Vec<_> =
        history["all_messages"].as_array().unwrap().iter().map(|message| &message["id"]).collect();
    assert_eq!(order, [&question["id"], &reply["id"]], "oldest first");
}

#[tokio::test]
async fn a_burst_gets_one_answer() {
    let stack = Stack::load();
    let sandbox = Sandbox::of(&stack);
    let tenant = Tenant::seed(&stack, TenantOptions { persona: true, ..TenantOptions::default() }).await;
    let (line, phone) = (tenant.phone_number_id.as_str(), new_phone());
    // At once, lest a busy machine should make pauses of its own, which end a turn.
    let texts = ["Oi", "Quero saber do frete", "para Goiânia"];
    let written = texts.map(|text| sandbox.customer_writes(line, &phone, "Ana Exemplo", text));
    let written = join_all(written).await;

    eventually("the answer on the customer's phone", ANSWERED, async || {
        let sent = sandbox.sent_to(line, &phone).await;
        (!sent.is_empty()).then_some(())
    })
    .await;
    let conversation = conversation_of(&tenant.api, &written[0].1).await;
    let messages = async || messages_of(&tenant.api, conversation["id"].as_str().unwrap()).await;
    let all = eventually("the answer to be recorded", PATIENCE, async || {
        let messages = messages().await;
        (messages.len() >= 4).then_some(messages)
    })
    .await;
    // Longer than a turn's window: a second answer would come by now.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let sent = sandbox.sent_to(line, &phone).await;
    assert_eq!(sent.len(), 1, "{sent:#?}");
    assert_eq!(messages().await.len(), all.len());
    let authors: Vec<_> = all.iter().map(|message| message["author"].as_str().unwrap()).collect();
    assert_eq!(authors, ["CUSTOMER", "CUSTOMER", "CUSTOMER", "AI"]);
}

#[tokio::test]
async fn a_socket_without_credentials_is_refused() {
    let stack = Stack::load();
    // The function answers 401; the emulator makes 403 of every refusal.
    for query in ["", "?token=mia_wrong"] {
        let status = Socket::refusal(&stack, query).await;
        assert!(matches!(status, Some(401 | 403)), "{query:?}: {status:?}");
    }
}

#[tokio::test]
async fn a_socket_hears_of_what_it_watches() {
    let inbox = Inbox::open(false).await;
    let key = &inbox.tenant.api_key;
    let socket = Socket::open(&inbox.stack, key).await;
    let all = Socket::open(&inbox.stack, key).await;
    socket.say(&json!({ "action": "ping" }));
    socket.wait_for("an answer to a ping", PATIENCE, |word| word["type"] == "pong").await;
    for (word, code) in [
        (json!({ "action": "dance" }), "malformed"),
        (json!({ "action": "watch", "conversation_ids": ["nenhuma"] }), "malformed"),
        (json!({ "action": "watch", "conversation_ids": [], "all": true }), "malformed"),
        (
            json!({ "action": "watch", "conversation_ids": (0..101).map(|_| testkit::new_id()).collect::<Vec<_>>() }),
            "invalid",
        ),
    ] {
        let before = socket.events().len();
        socket.say(&word);
        let problem = eventually("a problem to be told", PATIENCE, async || {
            socket.events().into_iter().skip(before).find(|word| word["type"] == "problem")
        })
        .await;
        assert_eq!(problem["code"], code, "{word}");
    }

    let elsewhere = testkit::new_id();
    socket.say(&json!({ "action": "watch", "conversation_ids": [elsewhere] }));
    socket.wait_for("the change to be told", PATIENCE, |word| word["type"] == "watching").await;
    let unheard = inbox.send("Ninguém vê").await;
    let created = |id: &str| {
        let id = json!(id);
        move |event: &Value| event["type"] == "message.created" && event["message_id"] == id
    };
    all.wait_for("a socket that watches all to hear of it", PATIENCE, created(&unheard)).await;
    let _message = inbox.reaches(&unheard, &["read"]).await;

    socket.say(&json!({ "action": "watch", "conversation_ids": [inbox.conversation_id] }));
    let watching = json!([inbox.conversation_id]);
    socket
        .wait_for("the change to be told", PATIENCE, |word| {
            word["type"] == "watching" && word["conversation_ids"] == watching
        })
        .await;
    let heard = inbox.send("Alguém vê").await;
    socket.wait_for("the watched conversation's message", PATIENCE, created(&heard)).await;
    assert!(!socket.events().iter().any(created(&unheard)), "it watched another one");
}
