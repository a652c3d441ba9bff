//! Numbers that stay in the phone's app: what it knows from before becomes part of the company's conversations, once and
//! whatever the order, and is nobody's work.

use std::collections::BTreeSet;

use axum::http::Method;
use domain::job::Queue;
use image::ImageFormat;
use serde_json::{Value, json};
use testkit::webhook::{body, change, contact, text};
use testkit::{Flow, Step, TenantOptions, new_word, now_seconds};

use super::media::picture;
use super::people::{contact_of, conversations, get, hear, number, post, quiet, words, writes};
use crate::inbox::redacted;

/// The business's own number.
const OWN: &str = "16505550100";

const DAY: i64 = 86_400;

/// One change of this field.
fn told(flow: &Flow, field: &str, name: &str, items: Value) -> Value {
    json!({ "field": field, "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": OWN, "phone_number_id": flow.tenant.phone_number_id },
        name: items,
    } })
}

/// A part of the history: threads of this much of everything.
fn history(flow: &Flow, percent: u8, threads: &[Value]) -> Value {
    let metadata = json!({ "phase": 1, "chunk_order": percent, "progress": percent });
    told(flow, "history", "history", json!([{ "metadata": metadata, "threads": threads }]))
}

fn thread(wa_id: &str, messages: &[Value]) -> Value {
    json!({ "id": wa_id, "messages": messages })
}

/// An old message, so many days old; of the customer, or of the business with a status.
fn old(from: &str, wamid: &str, days: i64, words: &str, status: Option<&str>) -> Value {
    let mut message = text(from, wamid, now_seconds() - days * DAY, words);
    message["history_context"] = json!({ "status": status.unwrap_or("READ") });
    message
}

/// An old message whose file was left out.
fn placeholder(from: &str, wamid: &str, days: i64) -> Value {
    let at = (now_seconds() - days * DAY).to_string();
    json!({
        "from": from, "id": wamid, "timestamp": at, "type": "media_placeholder",
        "history_context": { "status": "PLAYED" },
    })
}

/// The file of an old message.
fn file(flow: &Flow, from: &str, wamid: &str, at_provider: &str) -> Value {
    let image = json!({ "caption": "Comprovante do pedido", "mime_type": "image/jpeg", "id": at_provider });
    let message = json!({
        "from": from, "id": wamid, "timestamp": now_seconds().to_string(), "type": "image", "image": image,
    });
    told(flow, "history", "messages", json!([message]))
}

async fn brings(flow: &Flow, changes: &[Value]) {
    let _answer = flow.deliver(&body(&flow.tenant.waba_id, changes).to_string()).await.expect_status(200);
    hear(flow).await;
}

/// The one conversation with a customer.
async fn conversation(flow: &Flow, wa_id: &str) -> Value {
    let contact_id = contact_of(flow, wa_id).await.unwrap();
    let own = conversations(flow, &contact_id.to_string()).await;
    assert_eq!(own.len(), 1, "one customer, one conversation");
    get(flow, &format!("conversations/{}", own[0])).await
}

/// Its messages, the newest first.
async fn messages(flow: &Flow, conversation: &Value) -> Vec<Value> {
    let path = format!("conversations/{}/messages?limit=100", conversation["id"].as_str().unwrap());
    get(flow, &path).await["items"].as_array().unwrap().clone()
}

async fn count(flow: &Flow, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table} WHERE company_id = $1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .bind(flow.tenant.company_id)
        .fetch_one(&flow.admin)
        .await
        .unwrap()
}

#[tokio::test]
async fn old_messages_become_conversations_that_are_over() {
    let flow = quiet().await;
    let (ana, rui) = (number(), number());
    let threads = [
        thread(
            &ana,
            &[
                old(&ana, &new_word("wamid."), 90, "Oi, vocês entregam?", None),
                old(OWN, &new_word("wamid."), 90, "Entregamos!", Some("READ")),
                old(OWN, &new_word("wamid."), 60, "Chegou bem?", Some("DELIVERED")),
                old(OWN, &new_word("wamid."), 59, "Alô?", Some("ERROR")),
                old(OWN, &new_word("wamid."), 58, "Alô??", Some("PENDING")),
                old(&ana, &new_word("wamid."), 30, "SAIR", None),
                placeholder(OWN, &new_word("wamid."), 29),
            ],
        ),
        thread(&rui, &[old(OWN, &new_word("wamid."), 10, "Obrigado pelo pedido!", Some("SENT"))]),
    ];
    brings(&flow, &[history(&flow, 55, &threads)]).await;
    flow.pump().await;

    let of_ana = conversation(&flow, &ana).await;
    insta::assert_json_snapshot!("coexistence_conversation", redacted(&of_ana), {
        ".contact.phone" => "[phone]",
        ".last_message.provider_message_id" => "[wamid]",
        ".last_message.occurred_at" => "[time]",
        ".last_message.sent_at" => "[time]",
    });
    let said: Vec<_> = messages(&flow, &of_ana).await;
    let shown: Vec<_> = said
        .iter()
        .map(|it| {
            json!([
                it["direction"],
                it["author"],
                it["type"],
                it["text"],
                it["status"],
                it["sent_at"].is_string()
            ])
        })
        .collect();
    insta::assert_json_snapshot!("coexistence_messages", shown);
    // Both are one session each, over when the last message was written.
    let sessions = get(&flow, "sessions?limit=10").await;
    let sessions: Vec<_> = sessions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["status"], it["started_by"], it["end_reason"]]))
        .collect();
    assert_eq!(
        sessions,
        [json!(["CLOSED", "BUSINESS", "history"]), json!(["CLOSED", "CUSTOMER", "history"])]
    );
    // Nobody is asked for anything, nobody said that they want no more messages, and nobody hears of each message.
    assert_eq!((count(&flow, "turns").await, count(&flow, "contact_consents").await), (0, 0));
    let events: BTreeSet<_> =
        flow.events().await.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        events,
        ["connection.changed", "contact.created", "conversation.changed"].map(str::to_owned).into(),
    );
    // What the phone could not send is not ours to send again.
    let failed = said.iter().find(|it| it["status"] == "failed").unwrap()["id"].as_str().unwrap().to_owned();
    let _problem =
        post(&flow, &format!("messages/{failed}/retry"), json!({})).await.expect_problem(409, "conflict");
    // A person may not write, for the window is long over.
    let message = json!({ "conversation_id": of_ana["id"], "type": "text", "text": "Oi" });
    let _problem = post(&flow, "messages", message).await.expect_problem(409, "window_closed");
    flow.end().await;
}

#[tokio::test]
async fn a_customer_from_before_who_writes_is_answered() {
    for setting in ["begin_another", "stay_closed"] {
        let flow = Flow::start(TenantOptions { persona: true, ..TenantOptions::default() }).await;
        if setting == "stay_closed" {
            let settings = json!({ "settings": { "closed_sessions": setting } });
            let _company = flow.api(Method::PATCH, "company", Some(&settings)).await.expect_status(200);
        }
        let ana = number();
        let was = [old(OWN, &new_word("wamid."), 40, "Chegou bem?", Some("READ"))];
        brings(&flow, &[history(&flow, 100, &[thread(&ana, &was)])]).await;
        let line = &flow.tenant.phone_number_id;
        let asked = new_word("Oi, vocês têm ");
        flow.sandbox.customer_writes(line, &format!("+{ana}"), "Ana", &asked).await;
        let found = flow
            .until("an answer that was read", async || {
                let all = messages(&flow, &conversation(&flow, &ana).await).await;
                (all.len() >= 3 && all[0]["status"] == "read").then_some(all)
            })
            .await;
        let authors: Vec<_> = found.iter().map(|it| it["author"].as_str().unwrap()).collect();
        assert_eq!(authors, ["AI", "CUSTOMER", "BUSINESS"], "{setting}");
        assert_eq!(found[0]["session_id"], found[1]["session_id"]);
        assert_ne!(found[1]["session_id"], found[2]["session_id"], "{setting}");
        let conversation = conversation(&flow, &ana).await;
        assert_eq!((&conversation["status"], &conversation["unread_count"]), (&json!("open"), &json!(1)));
        flow.pump().await;
        flow.end().await;
    }
}

#[tokio::test]
async fn what_is_known_already_stays_as_it_is() {
    let flow = quiet().await;
    let ana = number();
    let (first, second, live) = (new_word("wamid."), new_word("wamid."), new_word("wamid."));
    let oldest = old(&ana, &first, 20, "Oi", None);
    let newer = old(OWN, &second, 19, "Olá!", Some("DELIVERED"));
    let written = text(&ana, &live, now_seconds() - 60, "Voltei");
    // The history and the customer's message tell of the same, in either order.
    let now =
        change(&flow.tenant.phone_number_id, &[contact(&ana, "Ana")], std::slice::from_ref(&written), &[]);
    brings(&flow, &[now]).await;
    let known = conversation(&flow, &ana).await;
    let all = thread(&ana, &[oldest.clone(), newer.clone(), written.clone()]);
    brings(&flow, &[history(&flow, 50, &[all])]).await;
    let after = conversation(&flow, &ana).await;
    assert_eq!(after["last_message"], known["last_message"]);
    assert_eq!((&after["status"], &after["unread_count"]), (&json!("open"), &json!(1)));
    assert_eq!(after["window_expires_at"], known["window_expires_at"]);
    let shown = messages(&flow, &after).await;
    let ids: Vec<_> = shown.iter().map(|it| it["provider_message_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&live, &second, &first]);

    // The same in another part, and a status of before.
    let mut read = newer;
    read["history_context"]["status"] = json!("READ");
    brings(&flow, &[history(&flow, 60, &[thread(&ana, &[read, oldest])])]).await;
    assert_eq!(messages(&flow, &after).await, shown);

    let rui = number();
    let late = text(&rui, &new_word("wamid."), now_seconds() - 30, "Oi");
    let mut past = late.clone();
    past["history_context"] = json!({ "status": "READ" });
    brings(&flow, &[history(&flow, 70, &[thread(&rui, &[past])])]).await;
    let now = change(&flow.tenant.phone_number_id, &[contact(&rui, "Rui")], &[late], &[]);
    brings(&flow, &[now]).await;
    let of_rui = conversation(&flow, &rui).await;
    assert_eq!(messages(&flow, &of_rui).await.len(), 1, "one message, told of twice");
    assert_eq!(of_rui["last_message"]["text"], "Oi");
    assert_eq!((&of_rui["status"], &of_rui["unread_count"]), (&json!("open"), &json!(1)));

    // How much has come only grows.
    let health = format!("connections/{}/health", flow.tenant.connection_id);
    brings(&flow, &[history(&flow, 20, &[])]).await;
    assert_eq!(get(&flow, &health).await["history_percent"], 70);
    brings(&flow, &[history(&flow, 100, &[])]).await;
    assert_eq!(get(&flow, &health).await["history_percent"], 100);
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn a_message_that_the_history_told_of_first_has_its_consequences_all_the_same() {
    let flow = Flow::start(TenantOptions { persona: true, ..TenantOptions::default() }).await;
    let (ana, line) = (number(), &flow.tenant.phone_number_id);
    let ids = [new_word("wamid."), new_word("wamid."), new_word("wamid.")];
    let at_provider = flow.sandbox.keep_file("image/jpeg", "a.jpg", picture(40, 40, ImageFormat::Jpeg)).await;
    let asked = text(&ana, &ids[0], now_seconds() - 90, "Oi, vocês entregam em Goiânia?");
    let image = json!({ "caption": "Assim", "mime_type": "image/jpeg", "id": at_provider });
    let shown = json!({
        "from": ana, "id": ids[1], "timestamp": (now_seconds() - 80).to_string(), "type": "image", "image": image,
    });
    let stopped = text(&ana, &ids[2], now_seconds() - 70, "SAIR");
    let mut past = [asked.clone(), placeholder(&ana, &ids[1], 0), stopped.clone()];
    for message in [0, 2] {
        past[message]["history_context"] = json!({ "status": "READ" });
    }
    brings(&flow, &[history(&flow, 90, &[thread(&ana, &past)])]).await;
    let before = conversation(&flow, &ana).await;
    assert_eq!((&before["status"], &before["unread_count"]), (&json!("closed"), &json!(0)));
    let note = json!({ "text": "Cliente antiga" });
    let path = format!("conversations/{}/notes", before["id"].as_str().unwrap());
    let _note = post(&flow, &path, note).await.expect_status(201);

    brings(&flow, &[change(line, &[contact(&ana, "Ana")], &[asked, shown, stopped], &[])]).await;
    let found = flow
        .until("an answer and the file", async || {
            let all = messages(&flow, &conversation(&flow, &ana).await).await;
            // At the sandbox she has not written: there the window is closed.
            let is_there = all.iter().any(|it| it["author"] == "AI" && it["status"] == "failed")
                && all.iter().any(|it| it["media"]["state"] == "ready");
            is_there.then_some(all)
        })
        .await;
    let own: Vec<_> = found.iter().filter(|it| it["author"] == "CUSTOMER").collect();
    let answer = found.iter().find(|it| it["author"] == "AI").unwrap();
    let types: BTreeSet<_> = own.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!((types, own.len()), (["image", "text"].into(), 3));
    assert!(own.iter().all(|it| it["session_id"] == answer["session_id"]), "they are of today");
    let events = flow.events().await;
    for message in &own {
        let told =
            events.iter().filter(|it| it["type"] == "message.created" && it["message_id"] == message["id"]);
        assert_eq!(told.count(), 1, "{message:#}");
    }
    let after = conversation(&flow, &ana).await;
    assert_eq!((&after["status"], &after["unread_count"]), (&json!("open"), &json!(3)));
    assert_eq!(count(&flow, "contact_consents").await, 1, "she said so now");
    assert_eq!(count(&flow, "media").await, 1);
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn parts_in_any_order_are_one_history() {
    let flow = quiet().await;
    let ana = number();
    let (first, second) = (new_word("wamid."), new_word("wamid."));
    let mut answer = old(OWN, &second, 20, "Temos!", Some("READ"));
    answer["context"] = json!({ "id": first, "from": ana });
    brings(&flow, &[history(&flow, 40, &[thread(&ana, &[answer])])]).await;
    let sessions = get(&flow, "sessions").await;
    let session = sessions["items"][0]["id"].as_str().unwrap().to_owned();
    let tags = json!({ "tags": ["antigo"] });
    let _tagged = post(&flow, &format!("sessions/{session}/tags"), tags).await.expect_status(200);
    let asked = old(&ana, &first, 150, "Vocês têm?", None);
    brings(&flow, &[history(&flow, 80, &[thread(&ana, &[asked])])]).await;
    let shown = messages(&flow, &conversation(&flow, &ana).await).await;
    assert_eq!(shown[0]["reply_to_id"], shown[1]["id"], "the answer came before the question");
    assert_eq!(shown[0]["session_id"], shown[1]["session_id"]);
    let places: Vec<bool> = sqlx::query_scalar(
        "SELECT t.created_at = s.created_at FROM sessions s
         JOIN session_tags t ON t.company_id = s.company_id AND t.session_id = s.id WHERE s.company_id = $1",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    assert_eq!(places, [true], "its place in the list by tag moved along");

    // One that a person opens again is no past: what comes of it then has a session of its own.
    let _opened = post(&flow, &format!("sessions/{session}/reopen"), json!({})).await.expect_status(200);
    let older = old(&ana, &new_word("wamid."), 160, "Bom dia", None);
    brings(&flow, &[history(&flow, 90, &[thread(&ana, &[older])])]).await;
    let shown = messages(&flow, &conversation(&flow, &ana).await).await;
    assert_ne!(shown[2]["session_id"], shown[1]["session_id"]);
    assert_eq!(count(&flow, "sessions").await, 2);
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn a_file_finds_its_message_in_either_order() {
    let flow = Flow::start(TenantOptions::default()).await;
    let ana = number();
    let bytes = picture(40, 40, ImageFormat::Jpeg);
    for message_first in [true, false] {
        let wamid = new_word("wamid.");
        let at_provider = flow.sandbox.keep_file("image/jpeg", "a.jpg", bytes.clone()).await;
        let message = history(&flow, 10, &[thread(&ana, &[placeholder(OWN, &wamid, 5)])]);
        // Meta's example names the customer as the sender of a file that the business sent.
        let mut calls = [message, file(&flow, &ana, &wamid, &at_provider)];
        if !message_first {
            calls.reverse();
        }
        for call in calls {
            brings(&flow, &[call]).await;
        }
        let shown = flow
            .until("the file", async || {
                let all = messages(&flow, &conversation(&flow, &ana).await).await;
                all.into_iter()
                    .find(|it| it["provider_message_id"] == wamid.as_str() && it["media"]["state"] == "ready")
            })
            .await;
        let seen = json!([
            shown["direction"],
            shown["type"],
            shown["text"],
            shown["status"],
            shown["media"]["mime_type"]
        ]);
        assert_eq!(
            seen,
            json!(["outbound", "image", "Comprovante do pedido", "read", "image/jpeg"]),
            "{message_first}"
        );
    }
    // What is there is not replaced by a file of the same name, and a stranger's file waits.
    let known = messages(&flow, &conversation(&flow, &ana).await).await;
    let again = flow.sandbox.keep_file("image/jpeg", "b.jpg", bytes).await;
    let wamid = known[0]["provider_message_id"].as_str().unwrap();
    brings(&flow, &[file(&flow, &ana, &new_word("wamid."), &again)]).await;
    let mut other = file(&flow, OWN, wamid, &again);
    other["value"]["messages"][0]["timestamp"] = json!("1");
    brings(&flow, &[other]).await;
    flow.pump().await;
    assert_eq!(messages(&flow, &conversation(&flow, &ana).await).await, known);
    assert_eq!(count(&flow, "media").await, 2);
    flow.end().await;
}

#[tokio::test]
async fn thousands_of_messages_come_in_parts_and_whoever_dies_loses_none() {
    let flow = quiet().await;
    let customers: Vec<_> = (0..12).map(|_| number()).collect();
    // More of one customer than fit into a part, and many with few.
    let threads: Vec<_> = customers
        .iter()
        .enumerate()
        .map(|(place, wa_id)| {
            let messages: Vec<_> = (0..if place == 3 { 250 } else { 20 })
                .map(|age| {
                    let (from, status) =
                        if age % 3 == 0 { (OWN, Some("READ")) } else { (wa_id.as_str(), None) };
                    old(from, &new_word("wamid."), 1 + age, &format!("dia {age}"), status)
                })
                .collect();
            thread(wa_id, &messages)
        })
        .collect();
    let whole = body(&flow.tenant.waba_id, &[history(&flow, 100, &threads)]).to_string();
    let _answer = flow.deliver(&whole).await.expect_status(200);
    let answers = flow.die_at_every_answer(Queue::Inbound).await;
    assert!(answers > 8, "it came through after {answers} answers");
    flow.recover().await;
    // Meta repeats what it thinks was not taken.
    let _answer = flow.deliver(&whole).await.expect_status(200);
    flow.pump().await;
    assert_eq!(count(&flow, "messages").await, 11 * 20 + 250);
    assert_eq!(count(&flow, "conversations").await, 12);
    assert_eq!(count(&flow, "sessions").await, 12);
    assert_eq!(count(&flow, "contacts").await, 12);
    let long = conversation(&flow, &customers[3]).await;
    assert_eq!(long["last_message"]["text"], "dia 0");
    let all = words(&flow, &contact_of(&flow, &customers[3]).await.unwrap().to_string()).await;
    assert_eq!(all[0], "dia 249");
    flow.end().await;
}

#[tokio::test]
async fn the_address_book_names_customers() {
    let flow = quiet().await;
    let (ana, rui, eva) = (number(), number(), number());
    writes(&flow, &rui, "Rui do WhatsApp", "Oi").await;
    let national = &ana[2..];
    let entry = |phone: &str, name: Option<&str>, action: &str| {
        json!({
            "type": "contact", "action": action, "metadata": { "timestamp": now_seconds().to_string() },
            "contact": { "full_name": name, "first_name": name, "phone_number": phone },
        })
    };
    // As many as a phone has; written as people write numbers, too.
    let mut entries: Vec<_> =
        (0..250).map(|at| entry(&number(), Some(&format!("Cliente {at}")), "add")).collect();
    entries.push(entry(
        &format!("+55 ({}) {}-{}", &national[..2], &national[2..7], &national[7..]),
        Some("Ana Souza"),
        "add",
    ));
    // Nobody on WhatsApp.
    for code in ["10315", "*144#1234", "0800 123 4567", "SERVICO12"] {
        entries.push(entry(code, Some("Operadora"), "add"));
    }
    entries.push(entry(&rui, Some("Rui Lima"), "add"));
    entries.push(entry(&eva, None, "add"));
    brings(&flow, &[told(&flow, "smb_app_state_sync", "state_sync", json!(entries))]).await;
    brings(&flow, &[told(&flow, "smb_app_state_sync", "state_sync", json!([entry(&ana, None, "remove")]))])
        .await;
    flow.pump().await;
    let mut names = Vec::new();
    for wa_id in [&ana, &rui, &eva] {
        let id = contact_of(&flow, wa_id).await.unwrap();
        names.push(get(&flow, &format!("contacts/{id}")).await["name"].clone());
    }
    assert_eq!(names, ["Ana Souza", "Rui do WhatsApp", ""], "a name that is known stays");
    assert_eq!(count(&flow, "contacts").await, 253);
    assert_eq!(count(&flow, "conversations").await, 1, "who is known has not written");
    flow.end().await;
}

#[tokio::test]
async fn who_was_forgotten_does_not_come_back_by_the_history() {
    let flow = Flow::start(TenantOptions::default()).await;
    let ana = number();
    let wamids = [new_word("wamid."), new_word("wamid.")];
    let past =
        thread(&ana, &[old(&ana, &wamids[0], 9, "Meu segredo", None), placeholder(&ana, &wamids[1], 8)]);
    brings(&flow, &[history(&flow, 10, std::slice::from_ref(&past))]).await;
    let at_provider = flow.sandbox.keep_file("image/jpeg", "a.jpg", picture(40, 40, ImageFormat::Jpeg)).await;
    brings(&flow, &[file(&flow, &ana, &wamids[1], &at_provider)]).await;
    flow.pump().await;
    let id = contact_of(&flow, &ana).await.unwrap();
    let _erasure = post(&flow, &format!("contacts/{id}/erase"), json!({})).await.expect_status(202);
    flow.pump().await;
    brings(&flow, &[history(&flow, 20, &[past])]).await;
    flow.pump().await;
    assert_eq!(contact_of(&flow, &ana).await, None);
    assert_eq!(count(&flow, "messages").await, 2);
    let words: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM inbound_events
         WHERE company_id = $1 AND (payload LIKE '%Comprovante%' OR payload LIKE '%segredo%' OR key LIKE 'history:%')",
    )
    .bind(flow.tenant.company_id)
    .fetch_one(&flow.admin)
    .await
    .unwrap();
    assert_eq!(words, 0);
    flow.end().await;
}

#[tokio::test]
async fn a_phone_that_shares_nothing_is_told_of() {
    let flow = quiet().await;
    sqlx::query(
        "INSERT INTO connection_onboardings (company_id, connection_id, way, asked_at, subscribed_at, contacts_asked_at,
             history_asked_at)
         VALUES ($1, $2, 'coexistence', now(), now(), now(), now())",
    )
    .bind(flow.tenant.company_id)
    .bind(flow.tenant.connection_id)
    .execute(&flow.admin)
    .await
    .unwrap();
    let title = "History sync is turned off by the business from the WhatsApp Business App";
    let errors = |code: i64| json!([{ "errors": [{ "code": code, "title": title, "message": title }] }]);
    let standing = async || {
        let health = get(&flow, &format!("connections/{}/health", flow.tenant.connection_id)).await;
        let standing = health["obstacles"].as_array().unwrap().iter();
        standing.map(|it| json!([it["kind"], it["detail"]])).collect::<Vec<_>>()
    };
    brings(&flow, &[told(&flow, "history", "history", errors(131_000))]).await;
    assert_eq!(standing().await, Vec::<Value>::new(), "another error");
    brings(&flow, &[told(&flow, "history", "history", errors(2_593_109))]).await;
    assert_eq!(standing().await, [json!(["history_missed", title])]);
    // Its owner thinks better of it.
    let ana = number();
    let was = [old(&ana, &new_word("wamid."), 40, "Oi", None)];
    brings(&flow, &[history(&flow, 5, &[thread(&ana, &was)])]).await;
    assert_eq!(standing().await, Vec::<Value>::new());
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn a_number_s_username_is_shown() {
    let flow = quiet().await;
    // As a check finds it.
    sqlx::query("UPDATE connections SET display_phone_number = '+1 650-555-0100' WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .execute(&flow.admin)
        .await
        .unwrap();
    let path = format!("connections/{}/health", flow.tenant.connection_id);
    let mut shown = Vec::new();
    for (at, username, status) in [
        (100, json!("loja.reservada"), "reserved"),
        (200, json!("loja.exemplo"), "approved"),
        (150, json!("loja.antiga"), "approved"),
        (300, Value::Null, "deleted"),
    ] {
        let mut change = json!({ "field": "business_username_updates", "value": {
            "display_phone_number": OWN, "status": status,
        } });
        if !username.is_null() {
            change["value"]["username"] = username;
        }
        let mut whole = body(&flow.tenant.waba_id, &[change]);
        whole["entry"][0]["time"] = json!(1_761_000_000 + at);
        let _answer = flow.deliver(&whole.to_string()).await.expect_status(200);
        while flow.step(Queue::Inbound).await != Step::Nothing {}
        shown.push(get(&flow, &path).await["number"]["username"].clone());
    }
    assert_eq!(shown, [Value::Null, json!("loja.exemplo"), json!("loja.exemplo"), Value::Null]);
    flow.pump().await;
    flow.end().await;
}
