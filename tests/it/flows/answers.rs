//! What the API answers to what is done with sessions, conversations, messages, contacts and templates, and to what cannot be
//! done: each subject's answers are one snapshot, in the order in which they were asked for.

use axum::http::Method;
use axum::http::header::LOCATION;
use chrono::DateTime;
use serde_json::{Value, json};
use testkit::{Answer, Flow, TenantOptions, new_id, new_word};

use super::customer::Customer;
use super::line::{Line, reaches};
use super::people::insert;
use crate::webhooks::channels::fixture;

/// A company that is asked, and what it answered.
struct Asked {
    flow: Flow,
    /// What differs from run to run, and what stands in its place.
    moving: Vec<(String, &'static str)>,
    answers: Vec<Value>,
}

impl Asked {
    async fn open() -> Self {
        let flow = Flow::start(TenantOptions::default()).await;
        Self { flow, moving: Vec::new(), answers: Vec::new() }
    }

    /// A company with a customer who wrote once; the conversation.
    async fn with_customer() -> (Self, Value) {
        let mut asked = Self::open().await;
        let customer = Customer::asks(&asked.flow).await;
        let phone = domain::phone::canonical_from_wa_id(&customer.wa_id).unwrap();
        asked.moving = vec![(phone, "[phone]"), (customer.wa_id, "[wa_id]"), (customer.word, "[word]")];
        let conversation = asked.flow.until("the conversation", async || {
            let list = asked.flow.api(Method::GET, "conversations", None).await.expect_status(200).body;
            list["items"].get(0).cloned()
        });
        let conversation = conversation.await;
        (asked, conversation)
    }

    /// Asks, and keeps the answer for the snapshot; its body.
    async fn ask(&mut self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.flow.api(method.clone(), path, Some(&body).filter(|body| !body.is_null())).await;
        let shown = self.shown(&format!("{method} {path}"), &answer);
        self.answers.push(shown);
        answer.body
    }

    /// Asks for each in turn with `POST`.
    async fn post_each(&mut self, asked: impl IntoIterator<Item = (&str, Value)>, below: &str) {
        for (act, body) in asked {
            self.ask(Method::POST, &format!("{below}/{act}"), body).await;
        }
    }

    fn shown(&self, asked: &str, answer: &Answer) -> Value {
        let mut shown = json!({ "asked": asked, "status": answer.status, "body": answer.body });
        if answer.headers.contains_key(LOCATION) {
            shown["location"] = "[url]".into();
        }
        let mut text = without_ids(&shown.to_string());
        for (moving, word) in &self.moving {
            text = text.replace(moving, word);
        }
        let mut shown = serde_json::from_str(&text).unwrap();
        hide_times(&mut shown);
        shown
    }

    /// Whatever follows has happened, and nothing is left; the answers.
    async fn end(self) -> Vec<Value> {
        self.flow.pump().await;
        self.flow.end().await;
        self.answers
    }
}

/// A text with `[id]` for each id in it.
fn without_ids(text: &str) -> String {
    const LENGTH: usize = 36;
    let mut shown = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let is_id = |id: &str| id.contains('-') && uuid::Uuid::parse_str(id).is_ok();
        let step = if rest.get(..LENGTH).is_some_and(is_id) {
            shown.push_str("[id]");
            LENGTH
        } else {
            shown.push(next);
            next.len_utf8()
        };
        rest = &rest[step..];
    }
    shown
}

fn hide_times(value: &mut Value) {
    match value {
        Value::String(text) if DateTime::parse_from_rfc3339(text).is_ok() => *value = "[time]".into(),
        Value::String(text) if text.starts_with("wamid.") => *value = "[wamid]".into(),
        Value::Object(fields) => fields.values_mut().for_each(hide_times),
        Value::Array(items) => items.iter_mut().for_each(hide_times),
        _ => {}
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn first(flow: &Flow, list: &str) -> Value {
    flow.api(Method::GET, list, None).await.expect_status(200).body["items"][0].take()
}

#[tokio::test]
async fn what_is_done_with_a_session_is_answered() {
    let (mut asked, _) = Asked::with_customer().await;
    let owner = first(&asked.flow, "members").await["id"].take();
    let session = format!("sessions/{}", id(&first(&asked.flow, "sessions").await));
    let status = format!("{session}/status");
    asked.ask(Method::PATCH, &status, json!({ "status": "ACTIVE", "reason": "atendendo" })).await;
    let acts = [
        ("pause", json!({ "reason": "almoço" })),
        ("resume", json!({ "reason": "voltou" })),
        ("block-ai", json!({ "minutes": 30, "reason": "uma pessoa responde" })),
        ("unblock-ai", Value::Null),
        ("tags", json!({ "tags": ["venda", "vip"] })),
    ];
    asked.post_each(acts, &session).await;
    asked.ask(Method::DELETE, &format!("{session}/tags"), json!({ "tags": ["vip"] })).await;
    let acts = [
        ("assign", json!({ "agent_id": owner, "note": "Cliente antigo" })),
        ("close", json!({ "end_reason": "resolvido" })),
        // Of a session that is over.
        ("close", Value::Null),
        ("pause", Value::Null),
        ("resume", Value::Null),
        ("block-ai", json!({ "minutes": 30 })),
        ("assign", json!({ "agent_id": owner })),
        ("reopen", json!({ "reason": "escreveu de novo" })),
        ("reopen", Value::Null),
        // Asked wrongly.
        ("block-ai", json!({ "minutes": 0 })),
        ("assign", json!({})),
        ("tags", json!({ "tags": [""] })),
    ];
    asked.post_each(acts, &session).await;
    asked.ask(Method::PATCH, &status, json!({ "status": "QUEUED" })).await;
    insta::assert_json_snapshot!("session_acts", asked.end().await);
}

#[tokio::test]
async fn what_is_done_with_a_conversation_and_its_messages_is_answered() {
    let (mut asked, conversation) = Asked::with_customer().await;
    let owner = first(&asked.flow, "members").await["id"].take();
    let path = format!("conversations/{}", id(&conversation));
    let acts = [
        ("read", Value::Null),
        ("unread", Value::Null),
        ("assign", json!({ "agent_id": owner })),
        ("assign", json!({})),
    ];
    asked.post_each(acts, &path).await;

    let word = new_word("recusada");
    asked.moving.push((word.clone(), "[refused]"));
    let fault = json!([{ "times": 1, "contains": word, "graph_code": 131_026 }]);
    asked.flow.sandbox.script("graph.messages", fault).await;
    let text = json!({ "conversation_id": conversation["id"], "type": "text", "text": word });
    let written = asked.ask(Method::POST, "messages", text).await;
    reaches(&asked.flow, &written["id"], "failed").await;
    let retry = format!("messages/{}/retry", id(&written));
    asked.ask(Method::POST, &retry, Value::Null).await;
    reaches(&asked.flow, &written["id"], "read").await;
    asked.ask(Method::POST, &retry, Value::Null).await;

    let reply = json!({ "shortcut": "frete", "text": "Olá, {{contact.first_name|cliente}}!" });
    let reply = asked.flow.api(Method::POST, "quick-replies", Some(&reply)).await.expect_status(201).body;
    asked.ask(Method::GET, "quick-replies", Value::Null).await;
    let render = format!("quick-replies/{}/render", id(&reply));
    asked.ask(Method::POST, &render, json!({ "conversation_id": conversation["id"] })).await;
    asked.ask(Method::POST, &render, json!({ "conversation_id": new_id() })).await;

    let picture = super::media::picture(40, 40, image::ImageFormat::Jpeg);
    let file = super::media::bring(&asked.flow, "foto.jpg", "image/jpeg", &picture).await;
    for view in ["file", "thumbnail"] {
        asked.ask(Method::GET, &format!("media/{file}/{view}"), Value::Null).await;
    }
    insta::assert_json_snapshot!("conversation_acts", asked.end().await);
}

#[tokio::test]
async fn what_is_done_with_a_contact_is_answered() {
    let mut asked = Asked::open().await;
    let flow = &asked.flow;
    let made = async |path: &str, body: Value| {
        flow.api(Method::POST, path, Some(&body)).await.expect_status(201).body
    };
    let ana = made("contacts", json!({ "name": "Ana", "phone": "62988880021" })).await;
    let vip = made("tabulations", json!({ "name": "vip" })).await;
    let [one, two, three] =
        [insert(flow, json!({})).await, insert(flow, json!({})).await, insert(flow, json!({})).await];
    let tags = json!({ "tabulation_ids": [vip["id"]] });
    let path = format!("contacts/{}", id(&ana));
    asked.ask(Method::GET, "contacts/by-phone/62988880021", Value::Null).await;
    asked.ask(Method::POST, &format!("{path}/tabulations"), tags.clone()).await;
    asked.ask(Method::DELETE, &format!("{path}/tabulations"), tags.clone()).await;
    asked.ask(Method::POST, "contacts", json!({ "name": "Bia", "phone": "62988880021" })).await;
    asked.ask(Method::PATCH, &format!("contacts/{one}"), json!({ "phone": "62988880021" })).await;

    let merge = async |flow: &Flow, who: &str, into: &str| {
        let path = format!("contacts/{who}/merge");
        let _merged = flow.api(Method::POST, &path, Some(&json!({ "into": into }))).await.expect_status(200);
    };
    merge(&asked.flow, &one, &two).await;
    asked.ask(Method::PATCH, &format!("contacts/{one}"), json!({ "name": "Caio" })).await;
    asked.ask(Method::POST, &format!("contacts/{one}/tabulations"), tags.clone()).await;
    merge(&asked.flow, &two, &three).await;
    asked.ask(Method::POST, &format!("contacts/{one}/unmerge"), Value::Null).await;
    asked.ask(Method::POST, &format!("contacts/{two}/unmerge"), Value::Null).await;

    let erase = format!("contacts/{three}/erase");
    let _erased = asked.flow.api(Method::POST, &erase, None).await.expect_status(202);
    asked.ask(Method::PATCH, &format!("contacts/{three}"), json!({ "name": "Caio" })).await;
    asked.ask(Method::POST, &format!("contacts/{three}/tabulations"), tags).await;
    asked.ask(Method::POST, &format!("contacts/{three}/merge"), json!({ "into": two })).await;
    insta::assert_json_snapshot!("contact_acts", asked.end().await);
}

#[tokio::test]
async fn what_a_template_or_a_channel_forbids_is_answered() {
    let (mut asked, conversation) = Asked::with_customer().await;
    let name = new_word("modelo").replace('-', "_");
    asked.moving.push((name.clone(), "[name]"));
    let mut new = json!({
        "connection_id": asked.flow.tenant.connection_id, "name": name, "language": "pt_BR", "category": "UTILITY",
        "components": [{ "type": "BODY", "text": "Seu pedido saiu." }], "submit": false,
    });
    let template = asked.flow.api(Method::POST, "templates", Some(&new)).await.expect_status(201).body;
    let message = json!({
        "conversation_id": conversation["id"], "type": "template",
        "template": { "name": name, "language": { "code": "pt_BR" } },
    });
    let statuses = [
        "draft",
        "pending",
        "in_appeal",
        "limit_exceeded",
        "rejected",
        "paused",
        "disabled",
        "locked",
        "archived",
        "deleted",
    ];
    for status in statuses {
        sqlx::query("UPDATE templates SET status = $3 WHERE company_id = $1 AND id = $2::uuid")
            .bind(asked.flow.tenant.company_id)
            .bind(id(&template))
            .bind(status)
            .execute(&asked.flow.admin)
            .await
            .unwrap();
        asked.ask(Method::POST, "messages", message.clone()).await;
        asked.answers.last_mut().unwrap()["template"] = status.into();
    }

    let line = Line::open(&asked.flow, "uazapi").await;
    new["connection_id"] = line.id.clone().into();
    asked.ask(Method::POST, "templates", new).await;
    asked.ask(Method::POST, "templates/sync", json!({ "connection_id": line.id })).await;
    let said = fixture("uazapi", "messages_group_text.json");
    assert_eq!(line.deliver(&asked.flow, "messages", &said).await, 200);
    let group = asked.flow.until("the group", async || line.conversations(&asked.flow).await.pop()).await;
    let text = json!({ "conversation_id": group["id"], "type": "text", "text": "Olá!" });
    asked.ask(Method::POST, "messages", text).await;
    insta::assert_json_snapshot!("forbidden_by_a_template_or_a_channel", asked.end().await);
}
