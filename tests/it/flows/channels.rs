//! Twilio, Evolution API and UAZapi beside the Cloud API: connections are made, customers write by all of them, and what is
//! answered arrives.

use std::collections::BTreeSet;

use axum::http::Method;
use chrono::TimeDelta;
use domain::job::Queue;
use providers::evolution;
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::{Answer, Flow, Step, TenantOptions, new_id, new_phone, new_word};

use super::line::{Line, message, new_connection, new_number, reaches, send};
use crate::inbox::redacted;
use crate::webhooks::channels::fixture;

/// An answer without ids, times, and what is new every time.
fn shape(answer: &Answer) -> Value {
    let mut body = redacted(&answer.body);
    for name in
        ["webhook_url", "state_since", "since", "checked_at", "instance", "account_sid", "sender", "base_url"]
    {
        if body[name].is_string() {
            body[name] = json!(format!("[{name}]"));
        }
    }
    for obstacle in body.get_mut("obstacles").and_then(Value::as_array_mut).into_iter().flatten() {
        obstacle["since"] = "[since]".into();
    }
    json!({ "status": answer.status, "body": body })
}

#[tokio::test]
async fn a_customer_who_writes_by_four_channels_is_one_contact_with_one_timeline() {
    let flow = Flow::start(TenantOptions::default()).await;
    let phone = format!("+5511{}", 900_000_000 + new_id().as_u128() % 99_999_999);
    flow.sandbox
        .customer_writes(&flow.tenant.phone_number_id, &phone, "Ana Exemplo", "Oi pelo whatsapp_cloud")
        .await;
    flow.until("the customer's first message", async || {
        let contacts = flow.api(Method::GET, "contacts", None).await.expect_status(200).body;
        (contacts["items"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    let mut lines = Vec::new();
    for kind in ["evolution", "uazapi", "twilio_sms"] {
        let line = Line::open(&flow, kind).await;
        assert_eq!(line.shown(&flow).await["state"], "connected", "{kind}");
        line.writes(&flow, &phone, &format!("Oi pelo {kind}")).await;
        flow.pump().await;
        lines.push(line);
    }
    let contacts = flow.api(Method::GET, "contacts", None).await.expect_status(200).body;
    let [contact] = contacts["items"].as_array().unwrap().as_slice() else {
        panic!("one contact: {contacts:#}")
    };
    assert_eq!(contact["phone"], phone);
    let conversations = flow.api(Method::GET, "conversations", None).await.expect_status(200).body;
    let mut channels: Vec<_> =
        conversations["items"].as_array().unwrap().iter().map(|it| it["channel"].as_str().unwrap()).collect();
    channels.sort_unstable();
    assert_eq!(channels, ["evolution", "twilio_sms", "uazapi", "whatsapp_cloud"]);
    let path = format!("sessions/by-contact/{}", contact["id"].as_str().unwrap());
    let all = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    let said: Vec<_> =
        all["all_messages"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(said.len(), 4, "{said:?}");
    let path = format!("contacts/{}/timeline", contact["id"].as_str().unwrap());
    let timeline = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    let entries = timeline["items"].as_array().unwrap();
    let messages: Vec<_> = entries.iter().filter(|it| it["kind"] == "message").collect();
    let shown: BTreeSet<_> = messages.iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(shown, said.into_iter().collect());
    let threads: BTreeSet<_> =
        messages.iter().map(|it| it["detail"]["conversation_id"].as_str().unwrap()).collect();
    assert_eq!(threads.len(), 4, "a conversation a channel: {messages:#?}");

    // What is answered goes back by the same channel, once, and is followed as far as the channel can tell.
    for line in &lines {
        let conversation = line.conversation(&flow).await;
        assert_eq!(conversation["window_expires_at"], Value::Null, "a rule of the Cloud API alone");
        let sent = send(&flow, &conversation, "Olá! Chega amanhã").await.expect_status(202).body;
        let last = if line.kind == "twilio_sms" { "delivered" } else { "read" };
        let arrived = reaches(&flow, &sent["id"], last).await;
        assert!(arrived["sent_at"].is_string() && arrived["delivered_at"].is_string());
        let accepted = line.accepted(&flow).await;
        assert_eq!(accepted.len(), 1, "{}", line.kind);
        if line.kind == "twilio_sms" {
            assert_eq!(arrived["content"]["sms"], json!({ "encoding": "ucs2", "segments": 1 }));
            assert_eq!(accepted[0]["body"]["To"], phone);
        }
        let read = format!("conversations/{}/read", conversation["id"].as_str().unwrap());
        let _done = flow.api(Method::POST, &read, None).await;
        flow.pump().await;
    }
    flow.until("reports to be over", async || {
        (flow.step(Queue::Inbound).await == Step::Nothing).then_some(())
    })
    .await;
    flow.end().await;
}

#[tokio::test]
async fn what_an_interrupted_send_became_the_provider_tells() {
    let flow = Flow::start(TenantOptions::default()).await;
    for (kind, target) in [("twilio_sms", "twilio"), ("uazapi", "uazapi")] {
        let line = Line::open(&flow, kind).await;
        line.writes(&flow, &new_phone(), "Oi").await;
        flow.pump().await;
        let conversation = line.conversation(&flow).await;
        // It is sent, and nobody hears that it was.
        let word = new_word("perdida");
        flow.sandbox.script(target, json!([{ "times": 1, "contains": word, "drop": "after" }])).await;
        let sent = send(&flow, &conversation, &word).await.expect_status(202).body;
        let arrived = reaches(&flow, &sent["id"], "delivered").await;
        assert!(arrived["provider_message_id"].is_string(), "{kind}");
        assert_eq!(line.accepted(&flow).await.len(), 1, "{kind}: never twice");
        flow.until("reports to be over", async || {
            let is_last =
                ["delivered", "read"].contains(&message(&flow, &sent["id"]).await["status"].as_str()?);
            (is_last && flow.step(Queue::Inbound).await == Step::Nothing).then_some(())
        })
        .await;
    }
    // No provider that tells nothing of it is believed to have sent it, and it is not sent again.
    let line = Line::open(&flow, "evolution").await;
    line.writes(&flow, &new_phone(), "Oi").await;
    flow.pump().await;
    let word = new_word("perdida");
    flow.sandbox.script("evolution", json!([{ "times": 1, "contains": word, "status": 502 }])).await;
    let sent = send(&flow, &line.conversation(&flow).await, &word).await.expect_status(202).body;
    let unknown = reaches(&flow, &sent["id"], "unknown").await;
    assert_eq!(unknown["error"]["code"], "502");
    assert_eq!(line.accepted(&flow).await.len(), 0);
    // One that the gateway refuses for certain fails, with its reason.
    let word = new_word("recusada");
    let body = json!({ "response": { "message": ["bad"] } });
    flow.sandbox
        .script("evolution", json!([{ "times": 1, "contains": word, "status": 400, "body": body }]))
        .await;
    let sent = send(&flow, &line.conversation(&flow).await, &word).await.expect_status(202).body;
    assert_eq!(reaches(&flow, &sent["id"], "failed").await["error"]["title"], "bad");
    // One that it cannot take now goes later.
    let word = new_word("depois");
    flow.sandbox.script("evolution", json!([{ "times": 1, "contains": word, "status": 429 }])).await;
    let sent = send(&flow, &line.conversation(&flow).await, &word).await.expect_status(202).body;
    reaches(&flow, &sent["id"], "read").await;
    flow.until("reports to be over", async || {
        (flow.step(Queue::Inbound).await == Step::Nothing).then_some(())
    })
    .await;
    flow.end().await;
}

/// Whether a customer wants messages, and the ledger's words.
async fn consents(flow: &Flow) -> Value {
    let contacts = flow.api(Method::GET, "contacts", None).await.expect_status(200).body;
    let ledger: Vec<Value> = sqlx::query_scalar(
        "SELECT jsonb_build_object('kind', kind, 'source', source, 'proof', proof, 'of_message', message_id IS NOT NULL)
         FROM contact_consents WHERE company_id = $1 ORDER BY created_at, at, id",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    json!({ "opted_out": contacts["items"][0]["opted_out_at"].is_string(), "ledger": ledger })
}

#[tokio::test]
async fn who_stops_sms_wants_no_more_messages() {
    let flow = Flow::start(TenantOptions::default()).await;
    let line = Line::open(&flow, "twilio_sms").await;
    let phone = new_phone();
    line.writes(&flow, &phone, "Oi").await;
    flow.pump().await;
    assert_eq!(consents(&flow).await["opted_out"], false);
    line.writes(&flow, &phone, "Unsubscribe").await;
    flow.pump().await;
    assert_eq!(consents(&flow).await["opted_out"], true);
    flow.clock.pass(TimeDelta::minutes(1));
    line.writes(&flow, &phone, "START").await;
    flow.pump().await;
    assert_eq!(consents(&flow).await["opted_out"], false);
    flow.clock.pass(TimeDelta::minutes(1));
    line.writes(&flow, &phone, "Sair").await;
    flow.pump().await;
    assert_eq!(consents(&flow).await["opted_out"], true, "a word that Twilio does not know by itself");
    flow.clock.pass(TimeDelta::minutes(1));
    line.writes(&flow, &phone, "start").await;
    flow.pump().await;

    // Twilio knew it before us.
    let word = new_word("promo");
    let refusal =
        json!({ "code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400 });
    flow.sandbox
        .script("twilio", json!([{ "times": 1, "contains": word, "status": 400, "body": refusal }]))
        .await;
    let sent = send(&flow, &line.conversation(&flow).await, &word).await.expect_status(202).body;
    let failed = reaches(&flow, &sent["id"], "failed").await;
    assert_eq!(failed["error"]["code"], "21610");
    insta::assert_json_snapshot!("sms_consents", consents(&flow).await);
    flow.end().await;
}

#[tokio::test]
async fn an_sms_is_a_text_or_a_file_and_not_too_long() {
    let flow = Flow::start(TenantOptions::default()).await;
    let line = Line::open(&flow, "twilio_sms").await;
    line.writes(&flow, &new_phone(), "Oi").await;
    flow.pump().await;
    let conversation = line.conversation(&flow).await;
    let long = send(&flow, &conversation, &"a".repeat(1_601)).await;
    assert_eq!(long.expect_problem(422, "invalid")["errors"][0]["field"], "text");
    let place = json!({
        "conversation_id": conversation["id"], "type": "template",
        "template": { "name": "oi", "language": { "code": "pt_BR" } },
    });
    let refused = flow.api(Method::POST, "messages", Some(&place)).await;
    assert_eq!(refused.expect_problem(422, "invalid")["errors"][0]["field"], "type");
    let sent = send(&flow, &conversation, &"a".repeat(200)).await.expect_status(202).body;
    assert_eq!(sent["content"]["sms"], json!({ "encoding": "gsm7", "segments": 2 }));
    reaches(&flow, &sent["id"], "delivered").await;
    flow.end().await;
}

/// The file of the newest message over a line, when it is settled.
async fn settled(flow: &Flow, line: &Line) -> Value {
    let path = format!("conversations/{}/messages", line.conversation(flow).await["id"].as_str().unwrap());
    flow.until("the file to be settled", async || {
        let mut messages = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        Some(messages["items"][0]["media"].take()).filter(|media| media["state"] != "waiting")
    })
    .await
}

#[tokio::test]
async fn files_come_and_go_by_every_channel() {
    let flow = Flow::start(TenantOptions::default()).await;
    let bytes = super::media::picture(40, 40, image::ImageFormat::Jpeg);
    let file = super::media::bring(&flow, "foto.jpg", "image/jpeg", &bytes).await;
    for (kind, name) in
        [("evolution", "messages_upsert_image_caption.json"), ("uazapi", "messages_image.json")]
    {
        let line = Line::open(&flow, kind).await;
        assert_eq!(line.deliver(&flow, "messages", &fixture(kind, name)).await, 200);
        flow.step(Queue::Inbound).await;
        assert_eq!(settled(&flow, &line).await["state"], "ready", "{kind}");
        let conversation = line.conversation(&flow).await;
        let new = json!({
            "conversation_id": conversation["id"], "type": "image", "media_id": file, "text": "Assim?",
        });
        let sent = flow.api(Method::POST, "messages", Some(&new)).await.expect_status(202).body;
        reaches(&flow, &sent["id"], "read").await;
        let accepted = line.accepted(&flow).await;
        let body = &accepted[0]["body"];
        let link = body["media"].as_str().or(body["file"].as_str()).unwrap();
        let fetched = testkit::http_client().get(link).send().await.unwrap().error_for_status().unwrap();
        assert_eq!(
            fetched.headers()["content-type"],
            "image/jpeg",
            "{kind}: the provider can follow the link"
        );
        assert_eq!(body["caption"].as_str().or(body["text"].as_str()), Some("Assim?"));
    }
    let line = Line::open(&flow, "twilio_sms").await;
    let server = flow.stack.sandbox_url.trim_end_matches('/');
    for (place, state) in [("ME1", "ready"), ("ME0", "gone")] {
        let link = format!("{server}/twilio/2010-04-01/Accounts/{}/Messages/MM1/Media/{place}", line.account);
        let form = format!(
            "MessageSid=MM{place}&From=%2B16505550123&To=&Body=&NumMedia=1&MediaContentType0=image%2Fjpeg&MediaUrl0={link}"
        );
        assert_eq!(line.deliver(&flow, "messages", &json!(form)).await, 200);
        flow.step(Queue::Inbound).await;
        assert_eq!(settled(&flow, &line).await["state"], state, "{place}");
    }
    flow.until("reports to be over", async || {
        (flow.step(Queue::Inbound).await == Step::Nothing).then_some(())
    })
    .await;
    flow.end().await;
}

#[tokio::test]
async fn connections_are_made_changed_and_removed_and_their_secrets_never_shown() {
    let flow = Flow::start(TenantOptions::default()).await;
    let mut shown = json!({});
    for kind in ["evolution", "uazapi", "twilio_sms"] {
        let word = new_id().simple().to_string();
        let account = if kind == "twilio_sms" { format!("AC{word}") } else { format!("loja-{word}") };
        let new = new_connection(&flow, kind, &account, &word, &new_number());
        let key = new_word("chave-");
        let made = flow.api_once(Method::POST, "connections", &key, &new).await.expect_status(201);
        assert!(!made.body.to_string().contains(&format!("\"{word}\"")), "{kind}: {}", made.body);
        let again = flow.api_once(Method::POST, "connections", &key, &new).await.expect_status(201);
        assert_eq!(again.body["id"], made.body["id"]);
        let _problem =
            flow.api(Method::POST, "connections", Some(&new)).await.expect_problem(409, "conflict");
        shown[kind] = shape(&made);
        let stored: String = sqlx::query_scalar("SELECT access_token FROM connections WHERE id = $1")
            .bind(made.body["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap())
            .fetch_one(&flow.admin)
            .await
            .unwrap();
        assert!(!stored.contains(&word), "sealed");
    }
    let number = (300_000_000_000_000 + new_id().as_u128() % 99_999_999_999).to_string();
    let cloud = json!({
        "kind": "whatsapp_cloud", "name": "Cloud", "phone_number_id": number, "waba_id": "100000000000001",
        "access_token": "EAAtoken", "app_secret": "segredo", "verify_token": "verifica",
    });
    let cloud = flow.api(Method::POST, "connections", Some(&cloud)).await.expect_status(201);
    shown["whatsapp_cloud"] = shape(&cloud);
    shown["whatsapp_cloud"]["body"]["phone_number_id"] = json!("[phone_number_id]");
    insta::assert_json_snapshot!("connections_made", shown);
    flow.pump().await;
    let path = format!("connections/{}", cloud.body["id"].as_str().unwrap());
    // The sandbox knows no such token.
    let health = flow.api(Method::GET, &format!("{path}/health"), None).await;
    insta::assert_json_snapshot!("connection_not_authorised", shape(&health));
    let _problem = flow.api(Method::GET, &format!("{path}/qr"), None).await.expect_problem(409, "conflict");
    // Meta's handshake finds the route that the job made.
    let handshake = format!(
        "{}?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verifica",
        cloud.body["webhook_url"].as_str().unwrap()
    );
    let answer = testkit::http_client().get(&handshake).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "1158201444");

    let all = flow.api(Method::GET, "connections?limit=2", None).await.expect_status(200).body;
    assert!(all["next_cursor"].is_string());
    let some = flow.api(Method::GET, "connections?kind=evolution", None).await.expect_status(200).body;
    assert_eq!(some["items"].as_array().unwrap().len(), 1);
    let changed = json!({ "name": "Cloud 2", "verify_token": "outro" });
    let changed = flow.api(Method::PATCH, &path, Some(&changed)).await.expect_status(200).body;
    assert_eq!(
        (&changed["name"], changed["version"].as_i64() > cloud.body["version"].as_i64()),
        (&json!("Cloud 2"), true)
    );
    let other = json!({ "phone_number_id": "1" });
    let refused = flow.api(Method::PATCH, &path, Some(&other)).await.expect_problem(422, "invalid");
    assert_eq!(refused["errors"][0]["field"], "phone_number_id");
    flow.pump().await;

    assert_eq!(flow.api(Method::DELETE, &path, None).await.status, 204);
    let _problem = flow.api(Method::GET, &path, None).await.expect_problem(404, "not_found");
    let _problem = flow.api(Method::DELETE, &path, None).await.expect_problem(404, "not_found");
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn wrong_connections_are_refused_by_field() {
    let flow = Flow::start(TenantOptions::default()).await;
    let good = json!({
        "kind": "evolution", "name": "Loja", "base_url": "https://evolution.example.com", "instance": "loja",
        "api_key": "chave",
    });
    let mut refused = json!({});
    for (case, field, value) in [
        ("no name", "name", json!(" ")),
        ("no key", "api_key", Value::Null),
        ("an empty key", "api_key", json!("")),
        ("not https", "base_url", json!("http://evolution.example.com")),
        ("our own network", "base_url", json!("https://10.0.0.1")),
        ("a password", "base_url", json!("https://a:b@evolution.example.com")),
        ("a query", "base_url", json!("https://evolution.example.com?a=1")),
        ("another kind's field", "sender", json!("+16505550100")),
        ("a kind that is made elsewhere", "kind", json!("retell")),
        ("no kind", "kind", json!("telegram")),
        ("another company's persona", "persona_id", json!(new_id())),
    ] {
        let mut new = good.clone();
        new[field] = value;
        let answer = flow.api(Method::POST, "connections", Some(&new)).await;
        refused[case] = json!({ "status": answer.status, "errors": answer.body["errors"] });
    }
    let sms = json!({ "kind": "twilio_sms", "name": "SMS", "account_sid": "AC1", "auth_token": "t", "sender": "1" });
    let answer = flow.api(Method::POST, "connections", Some(&sms)).await;
    refused["no account"] = json!({ "status": answer.status, "errors": answer.body["errors"] });
    insta::assert_json_snapshot!("connections_refused", refused);
    flow.end().await;
}

#[tokio::test]
async fn a_gateways_state_and_code_are_shown_and_told() {
    let flow = Flow::start(TenantOptions::default()).await;
    for kind in ["evolution", "uazapi"] {
        let line = Line::open(&flow, kind).await;
        assert_eq!(line.shown(&flow).await["state"], "connected");
        let state = |linked| json!({ "provider": line.provider, "name": line.account, "linked": linked });
        flow.sandbox.post("accounts/state", &state(false)).await;
        flow.pump().await;
        let down = line.shown(&flow).await;
        assert_eq!((&down["state"], &down["state_reason"]), (&json!("down"), &json!("logged_out")), "{kind}");
        let path = format!("connections/{}", line.id);
        let code = flow.api(Method::GET, &format!("{path}/qr"), None).await;
        insta::assert_json_snapshot!(format!("connection_code_{kind}"), shape(&code));
        let checked = flow.api(Method::POST, &format!("{path}/check"), None).await.expect_status(200).body;
        assert!(["connecting", "down"].contains(&checked["state"].as_str().unwrap()), "{kind}: {checked}");
        flow.sandbox.post("accounts/state", &state(true)).await;
        flow.pump().await;
        assert_eq!(line.shown(&flow).await["state"], "connected", "{kind}");
        // A gateway that does not answer is no reason to fail.
        flow.sandbox.script(kind, json!([{ "times": 1, "contains": line.account, "status": 503 }])).await;
        let told = flow.events().await;
        let changed = told.iter().filter(|event| {
            event["type"] == "connection.health" && event["connection_id"] == line.id.as_str()
        });
        assert!(changed.count() >= 3, "{kind}");
    }
    flow.end().await;
}

/// The answer of a webhook, as a snapshot would show it.
fn problem(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn nobody_else_posts_to_the_webhooks() {
    let flow = Flow::start(TenantOptions::default()).await;
    let json_type = ("content-type", "application/json");
    let evolution = Line::open(&flow, "evolution").await;
    let body = json!({ "event": "messages.upsert", "instance": evolution.account, "data": {} }).to_string();
    let now = flow.clock.pass(TimeDelta::zero());
    let wrong = evolution::signature::sign(&SecretString::from("outra".to_owned()), now);
    let none = "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpYXQiOjAsImV4cCI6OTk5OTk5OTk5OSwiYXBwIjoiZXZvbHV0aW9uIiwiYWN0aW9uIjoid2ViaG9vayJ9.";
    for authorization in ["", "Bearer ", wrong.as_str(), none] {
        let headers = [json_type, ("authorization", authorization)];
        let answer = flow.call_webhook(&evolution.webhook_path, &headers, body.clone()).await;
        assert_eq!(problem(&answer), (401, "unauthenticated"), "{authorization}");
    }
    let uazapi = Line::open(&flow, "uazapi").await;
    for token in [json!(null), json!(""), json!("outro")] {
        let body = json!({ "EventType": "messages", "token": token, "message": {} }).to_string();
        let answer = flow.call_webhook(&uazapi.webhook_path, &[json_type], body).await;
        assert_eq!(problem(&answer), (401, "unauthenticated"), "{token}");
    }
    let twilio = Line::open(&flow, "twilio_sms").await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for signature in ["", "AAAA", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="] {
        for about in ["messages", "status"] {
            let path = format!("{}/{about}", twilio.webhook_path);
            let headers = [form, ("x-twilio-signature", signature)];
            let answer = flow.call_webhook(&path, &headers, "MessageSid=SM1&From=%2B1").await;
            assert_eq!(problem(&answer), (401, "unauthenticated"), "{about} {signature}");
        }
    }
    for path in [
        "/gateway/evolution/nada",
        "/gateway/uazapi/nada",
        "/gateway/telegram/nada",
        "/gateway/twilio_sms/nada",
        "/twilio/nada/messages",
    ] {
        let answer = flow.call_webhook(path, &[form], "").await;
        assert_eq!(problem(&answer), (404, "not_found"), "{path}");
    }
    assert_eq!(flow.queued(Queue::Inbound).await, 0, "nothing of it is on the queue");
    flow.end().await;
}
