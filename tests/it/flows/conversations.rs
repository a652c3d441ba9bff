//! Conversations through the API: found, opened, changed, handed on, noted in.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Api, Flow, PATIENCE, TenantOptions, eventually, new_id, new_phone, new_word};

use crate::inbox::{Inbox, redacted};

/// An answer without what differs from run to run.
fn shape(inbox: &Inbox, answer: &Answer) -> Value {
    let phone = domain::phone::canonical_from_wa_id(&inbox.wa_id).unwrap();
    let text = redacted(&answer.body).to_string().replace(&phone, "[phone]").replace(&inbox.wa_id, "[wa_id]");
    let mut body: Value = serde_json::from_str(&text).unwrap();
    hide(&mut body);
    json!({ "status": answer.status, "body": body })
}

fn hide(value: &mut Value) {
    const MOVING: [&str; 5] =
        ["last_inbound_at", "window_expires_at", "occurred_at", "sent_at", "provider_message_id"];
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if MOVING.contains(&name.as_str()) && value.is_string() {
                    *value = json!("[moving]");
                }
                if name == "text" && value.as_str().is_some_and(|text| text.starts_with("Oi ")) {
                    *value = json!("Oi [word]");
                }
                hide(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

async fn patch(api: &Api, path: &str, body: Value) -> Answer {
    api.send(Method::PATCH, path, Some(body.to_string()), &[]).await
}

async fn owner_id(inbox: &Inbox) -> Value {
    inbox.tenant.api.get("members").await.expect_status(200).body["items"][0]["id"].clone()
}

async fn session_of(inbox: &Inbox) -> Value {
    inbox.tenant.api.get("sessions").await.expect_status(200).body["items"][0].clone()
}

#[tokio::test]
async fn a_conversation_is_found_by_words_names_and_numbers() {
    let flow = Flow::start(TenantOptions::default()).await;
    let word = new_word("palavra");
    let mut phones = Vec::new();
    for (name, text) in [
        ("Conceição Silva", format!("Não recebi os pedidos {word}")),
        ("Ana d'Ávila", format!("Qual o preço do frete {word}?")),
        ("Pedro Conrado", "Bom dia".to_owned()),
    ] {
        let phone = new_phone();
        flow.sandbox.customer_writes(&flow.tenant.phone_number_id, &phone, name, &text).await;
        phones.push(phone);
    }
    let names = async |query: &str| -> Vec<String> {
        let path = format!("conversations?{query}");
        let page = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        let mut names: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["contact"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort_unstable();
        names
    };
    flow.until("three conversations", async || (names("").await.len() == 3).then_some(())).await;
    let last_four = |phone: &str| phone[phone.len() - 4..].to_owned();
    // As people of the place write it.
    let local = format!("(62)%20{}-{}", &phones[1][4..9], &phones[1][9..]);
    let cases = [
        ("q=conceicao".to_owned(), vec!["Conceição Silva"]),
        ("q=Con".to_owned(), vec!["Conceição Silva", "Pedro Conrado"]),
        ("q=silv%20conc".to_owned(), vec!["Conceição Silva"]),
        ("q=silva%20pedro".to_owned(), vec![]),
        ("q=avila".to_owned(), vec!["Ana d'Ávila"]),
        ("q=onceicao".to_owned(), vec![]),
        (format!("q={word}"), vec!["Ana d'Ávila", "Conceição Silva"]),
        (format!("q=Pedido%20{word}"), vec!["Conceição Silva"]),
        ("q=FRETES".to_owned(), vec!["Ana d'Ávila"]),
        (format!("q={}", phones[0]), vec!["Conceição Silva"]),
        (format!("q={local}"), vec!["Ana d'Ávila"]),
        (format!("q={word}&unread=false"), vec![]),
        (format!("q={word}&status=open"), vec!["Ana d'Ávila", "Conceição Silva"]),
        ("q=n%C3%A3o".to_owned(), vec![]),
        ("q=%3F!".to_owned(), vec![]),
        ("q=%20".to_owned(), vec!["Ana d'Ávila", "Conceição Silva", "Pedro Conrado"]),
    ];
    for (query, expected) in cases {
        assert_eq!(names(&query).await, expected, "{query}");
    }
    assert!(names(&format!("q={}", last_four(&phones[2]))).await.contains(&"Pedro Conrado".to_owned()));
    let long = format!("conversations?q={}", "a".repeat(201));
    let problem = flow.api(Method::GET, &long, None).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "q");

    // Words go with the text that they stood in.
    sqlx::query("UPDATE messages SET text = 'Apagado' WHERE company_id = $1 AND text LIKE 'Qual o preço%'")
        .bind(flow.tenant.company_id)
        .execute(&flow.admin)
        .await
        .unwrap();
    sqlx::query("UPDATE contacts SET name = 'Beatriz' WHERE company_id = $1 AND name = 'Pedro Conrado'")
        .bind(flow.tenant.company_id)
        .execute(&flow.admin)
        .await
        .unwrap();
    assert_eq!(names(&format!("q={word}")).await, ["Conceição Silva"]);
    assert_eq!(names("q=apagada").await, ["Ana d'Ávila"]);
    assert_eq!(names("q=con").await, ["Conceição Silva"]);
    assert_eq!(names("q=beatriz").await, ["Beatriz"]);

    let texts = async |query: &str| -> usize {
        let path = format!("messages?{query}");
        let page = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        page["items"].as_array().unwrap().len()
    };
    for (query, count) in [
        (format!("q={word}"), 1),
        ("q=pedido".to_owned(), 1),
        ("q=pedido%20apagado".to_owned(), 0),
        ("q=de".to_owned(), 0),
        (String::new(), 3),
    ] {
        assert_eq!(texts(&query).await, count, "{query}");
    }
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn a_conversation_is_opened_once() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let known = json!({ "contact_id": inbox.contact_id, "connection_id": inbox.tenant.connection_id });
    let found = api.post("conversations", &known).await.expect_status(200);
    assert_eq!(found.body["id"], inbox.conversation_id.as_str());

    // Somebody who has never written.
    let contact_id = new_id();
    sqlx::query(
        "WITH c AS (INSERT INTO contacts (company_id, id, name, phone, source, created_at, updated_at)
                    VALUES ($1, $2, 'Rui', $3, 'api', now(), now()))
         INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
         VALUES ($1, 'e164', $3, $2, now())",
    )
    .bind(inbox.tenant.company_id)
    .bind(contact_id)
    .bind(format!("+{}", new_phone()))
    .execute(&inbox.stack.admin())
    .await
    .unwrap();
    let new = json!({ "contact_id": contact_id, "connection_id": inbox.tenant.connection_id });
    let key = new_word("chave-");
    let answers = join_all((0..8).map(|_| api.post_once("conversations", &key, &new))).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 201, "{}", answer.body);
            answer.body["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let mut first = shape(&inbox, &answers[0]);
    first["body"]["contact"]["phone"] = json!("[phone]");
    insta::assert_json_snapshot!("conversation_opened", first);
    let again = api.post("conversations", &new).await.expect_status(200);
    assert_eq!(again.body["id"].as_str(), ids.first().map(String::as_str));
    let _problem =
        api.post_once("conversations", &key, &known).await.expect_problem(409, "idempotency_key_reused");

    for (field, body) in [
        ("contact", json!({ "contact_id": new_id(), "connection_id": inbox.tenant.connection_id })),
        ("connection", json!({ "contact_id": inbox.contact_id, "connection_id": new_id() })),
    ] {
        let problem = api.post("conversations", &body).await.expect_problem(404, "not_found");
        assert_eq!(problem["detail"], format!("{field} not found"));
    }
    sqlx::query("DELETE FROM contact_addresses WHERE company_id = $1 AND contact_id = $2")
        .bind(inbox.tenant.company_id)
        .bind(contact_id)
        .execute(&inbox.stack.admin())
        .await
        .unwrap();
    let nameless = new_id();
    sqlx::query(
        "INSERT INTO contacts (company_id, id, source, created_at, updated_at) VALUES ($1, $2, 'api', now(), now())",
    )
    .bind(inbox.tenant.company_id)
    .bind(nameless)
    .execute(&inbox.stack.admin())
    .await
    .unwrap();
    let body = json!({ "contact_id": nameless, "connection_id": inbox.tenant.connection_id });
    let problem = api.post("conversations", &body).await;
    insta::assert_json_snapshot!("conversation_no_address", shape(&inbox, &problem));
    let _problem = problem.expect_problem(409, "no_address");
    let problem = api.post("conversations", &json!({})).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "contact_id");
}

#[tokio::test]
async fn a_conversation_and_its_session_change_together() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let path = format!("conversations/{}", inbox.conversation_id);
    let owner = owner_id(&inbox).await;
    let new = json!({ "name": "Vendas", "member_ids": [owner] });
    let department = api.post("departments", &new).await.expect_status(201).body["id"].clone();

    let tagged = patch(api, &path, json!({ "tags": ["vip", " quente ", "vip"] })).await.expect_status(200);
    assert_eq!(tagged.body["tags"], json!(["vip", "quente"]));
    for (tag, count) in [("vip", 1), ("quente", 1), ("frio", 0)] {
        let listed = api.get(&format!("conversations?tag={tag}")).await.expect_status(200).body;
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{tag}");
    }
    let held = patch(api, &path, json!({ "department_id": department, "assignee_id": owner })).await;
    insta::assert_json_snapshot!("conversation_changed", shape(&inbox, &held));
    let session = session_of(&inbox).await;
    assert_eq!(
        (&session["status"], &session["assigned_agent_id"], &session["assigned_department_id"]),
        (&json!("ACTIVE"), &owner, &department)
    );
    let held = async |assigned: bool| {
        let listed = api.get(&format!("conversations?assigned={assigned}")).await.expect_status(200).body;
        listed["items"].as_array().unwrap().len()
    };
    assert_eq!([held(true).await, held(false).await], [1, 0]);
    let freed = patch(api, &path, json!({ "assignee_id": null })).await.expect_status(200).body;
    assert_eq!([held(true).await, held(false).await], [0, 1]);
    assert_eq!((&freed["assignee_id"], &freed["department_id"]), (&Value::Null, &department));
    let session = session_of(&inbox).await;
    assert_eq!((&session["status"], &session["assigned_agent_id"]), (&json!("QUEUED"), &Value::Null));
    let left = patch(api, &path, json!({ "department_id": null, "tags": [] })).await.expect_status(200).body;
    assert_eq!((&left["department_id"], &left["tags"]), (&Value::Null, &json!([])));
    let same = patch(api, &path, json!({})).await.expect_status(200).body;
    assert_eq!(same, left, "nothing was asked for, nothing changes");

    let closed = patch(api, &path, json!({ "status": "closed" })).await.expect_status(200).body;
    assert_eq!(closed["status"], "closed");
    assert_eq!(session_of(&inbox).await["status"], "CLOSED");
    for (verb, answer) in [
        ("change", patch(api, &path, json!({ "assignee_id": owner })).await),
        ("assign", api.post(&format!("{path}/assign"), &json!({ "agent_id": owner })).await),
    ] {
        if verb == "assign" {
            insta::assert_json_snapshot!("conversation_closed", shape(&inbox, &answer));
        }
        let _problem = answer.expect_problem(409, "conflict");
    }
    let open =
        patch(api, &path, json!({ "status": "open", "assignee_id": owner })).await.expect_status(200).body;
    assert_eq!((&open["status"], &open["assignee_id"]), (&json!("open"), &owner));
    assert_eq!(session_of(&inbox).await["status"], "CLOSED", "whoever writes next begins another");

    for (field, body) in [
        ("status", json!({ "status": "gone" })),
        ("tags", json!({ "tags": [""] })),
        ("tags", json!({ "tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>() })),
        ("assignee_id", json!({ "assignee_id": new_id() })),
        ("department_id", json!({ "department_id": new_id() })),
        ("unread_count", json!({ "unread_count": 1 })),
    ] {
        let problem = patch(api, &path, body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let unknown = format!("conversations/{}", new_id());
    let _problem = patch(api, &unknown, json!({})).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_conversation_is_handed_on_with_a_note() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let path = format!("conversations/{}/assign", inbox.conversation_id);
    let owner = owner_id(&inbox).await;
    let new = json!({ "name": "Vendas", "member_ids": [owner] });
    let department = api.post("departments", &new).await.expect_status(201).body["id"].clone();
    let empty =
        api.post("departments", &json!({ "name": "Vazio" })).await.expect_status(201).body["id"].clone();

    let turn = json!({ "department_id": department, "round_robin": true, "note": "Cliente antiga" });
    let handed = api.post(&path, &turn).await.expect_status(200).body;
    assert_eq!((&handed["assignee_id"], &handed["department_id"]), (&owner, &department));
    assert_eq!(session_of(&inbox).await["assigned_agent_id"], owner);
    let queued = api.post(&path, &json!({ "department_id": department })).await.expect_status(200).body;
    assert_eq!((&queued["assignee_id"], &queued["department_id"]), (&Value::Null, &department));
    assert_eq!(session_of(&inbox).await["status"], "QUEUED");
    let handed = api.post(&path, &json!({ "agent_id": owner })).await.expect_status(200).body;
    assert_eq!(handed["assignee_id"], owner);
    let notes = api.get(&format!("conversations/{}/notes", inbox.conversation_id)).await.expect_status(200);
    insta::assert_json_snapshot!("conversation_notes", shape(&inbox, &notes));

    for (field, body) in [
        ("department_id", json!({})),
        ("department_id", json!({ "agent_id": owner, "department_id": department })),
        ("department_id", json!({ "department_id": empty, "round_robin": true })),
        ("department_id", json!({ "department_id": new_id() })),
        ("agent_id", json!({ "agent_id": new_id() })),
        ("note", json!({ "agent_id": owner, "note": "" })),
    ] {
        let problem = api.post(&path, &body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let unknown = format!("conversations/{}/assign", new_id());
    let _problem = api.post(&unknown, &json!({ "agent_id": owner })).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_note_is_written_once_and_never_sent() {
    let inbox = Inbox::open(false).await;
    let api = Api::log_in(&inbox.stack, &inbox.tenant.email, &inbox.tenant.password).await;
    let path = format!("conversations/{}/notes", inbox.conversation_id);
    let key = new_word("chave-");
    let note = json!({ "text": "Prefere à tarde" });
    let answers = join_all((0..4).map(|_| api.post_once(&path, &key, &note))).await;
    let written = answers[0].clone().expect_status(201);
    assert!(answers.iter().all(|answer| answer.body["id"] == written.body["id"]));
    insta::assert_json_snapshot!("note_written", shape(&inbox, &written));
    // One that is really sent behind it.
    let sent = inbox.send("Até logo!").await;
    inbox.reaches(&sent, &["read"]).await;
    assert_eq!(inbox.sandbox.sent_to(&inbox.tenant.phone_number_id, &inbox.phone).await.len(), 1);
    let found = api.get("conversations?q=tarde").await.expect_status(200).body;
    assert_eq!(found["items"][0]["id"], inbox.conversation_id.as_str(), "what people noted is found, too");
    assert_eq!(found["items"][0]["last_message"]["id"], sent.as_str());

    let closed = json!({ "status": "closed" });
    let _answer =
        patch(&api, &format!("conversations/{}", inbox.conversation_id), closed).await.expect_status(200);
    let _note = api.post(&path, &json!({ "text": "Depois do fim" })).await.expect_status(201);
    assert_eq!(session_of(&inbox).await["status"], "CLOSED", "a note opens nothing");
    let pages = api.all(&path, 1).await;
    let texts: Vec<_> = pages.iter().map(|note| note["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Depois do fim", "Prefere à tarde"]);
    for text in [String::new(), "a".repeat(4_097)] {
        let problem = api.post(&path, &json!({ "text": text })).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "text");
    }
    let unknown = format!("conversations/{}/notes", new_id());
    let _problem = api.post(&unknown, &note).await.expect_problem(404, "not_found");
    let _problem = api.get(&unknown).await.expect_problem(404, "not_found");
    let other = json!({ "text": "Outra" });
    let _problem = api.post_once(&path, &key, &other).await.expect_problem(409, "idempotency_key_reused");
}

#[tokio::test]
async fn a_conversation_is_read_and_unread_and_browsers_hear_of_it() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let socket = testkit::Socket::open(&inbox.stack, &inbox.tenant.api_key).await;
    let path = format!("conversations/{}", inbox.conversation_id);
    let read = api.post(&format!("{path}/read"), &json!({})).await.expect_status(200).body;
    assert_eq!(read["unread_count"], 0);
    let unread = api.post(&format!("{path}/unread"), &json!({})).await.expect_status(200).body;
    assert_eq!((&unread["unread_count"], &unread["updated_at"]), (&json!(1), &read["updated_at"]));
    let version = unread["version"].clone();
    let again = api.post(&format!("{path}/unread"), &json!({})).await.expect_status(200).body;
    assert_eq!(again["version"], version, "it is unread already");
    let listed = api.get("conversations?unread=true").await.expect_status(200).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    socket
        .wait_for("the conversation's change", PATIENCE, |event| {
            event["type"] == "conversation.changed"
                && event["conversation_id"] == inbox.conversation_id.as_str()
                && event["version"] == version
        })
        .await;
    let unknown = format!("conversations/{}/unread", new_id());
    let _problem = api.post(&unknown, &json!({})).await.expect_problem(404, "not_found");
}

/// Sixteen hand-overs of one conversation at once: in the end both say the same.
#[tokio::test]
async fn whoever_holds_a_conversation_holds_its_session() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let owner = owner_id(&inbox).await;
    let new = json!({ "name": "Vendas", "member_ids": [owner] });
    let department = api.post("departments", &new).await.expect_status(201).body["id"].clone();
    let session_id = session_of(&inbox).await["id"].as_str().unwrap().to_owned();
    let conversation = format!("conversations/{}/assign", inbox.conversation_id);
    let session = format!("sessions/{session_id}/assign");
    let requests = (0..16).map(|number| {
        let path = if number % 2 == 0 { &conversation } else { &session };
        let body = match number % 3 {
            0 => json!({ "department_id": department }),
            1 => json!({ "agent_id": owner }),
            _ => json!({ "department_id": department, "round_robin": true }),
        };
        async move { api.post(path, &body).await.expect_status(200) }
    });
    let _answers = join_all(requests).await;
    let (conversation, session) = eventually("both to say the same", PATIENCE, async || {
        let conversation = api.get(&format!("conversations/{}", inbox.conversation_id)).await.body;
        Some((conversation, session_of(&inbox).await))
    })
    .await;
    assert_eq!(
        (&conversation["assignee_id"], &conversation["department_id"]),
        (&session["assigned_agent_id"], &session["assigned_department_id"])
    );
}
