//! The life of a session through the API: every step that it has, every step that it has not, and what the AI does.

use axum::http::Method;
use chrono::TimeDelta;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::{Answer, Flow, Step, TenantOptions, new_id};

use super::customer::Customer;
use super::people::{get, member};

/// A company with a customer who wrote; the id of the session.
async fn written(persona: bool) -> (Flow, Customer, String) {
    let flow = Flow::start(TenantOptions { persona, ..TenantOptions::default() }).await;
    let customer = Customer::asks(&flow).await;
    testkit::eventually("the message to be stored", testkit::PATIENCE, async || {
        flow.step(Queue::Inbound).await;
        (!customer.stored(&flow).await.is_null()).then_some(())
    })
    .await;
    let sessions = flow.api(Method::GET, "sessions", None).await.expect_status(200).body;
    let id = sessions["items"][0]["id"].as_str().unwrap().to_owned();
    (flow, customer, id)
}

/// The company's owner.
async fn owner(flow: &Flow) -> Value {
    let members = flow.api(Method::GET, "members", None).await.expect_status(200).body;
    members["items"][0]["id"].clone()
}

async fn does(flow: &Flow, id: &str, act: &str, body: Value) -> Answer {
    let method = if act == "status" { Method::PATCH } else { Method::POST };
    flow.api(method, &format!("sessions/{id}/{act}"), Some(&body)).await
}

/// Does something that the life cycle has; the session afterwards.
async fn done(flow: &Flow, id: &str, act: &str, body: Value) -> Value {
    let session = does(flow, id, act, body).await.expect_status(200).body;
    let shown = flow.api(Method::GET, &format!("sessions/{id}"), None).await.expect_status(200).body;
    assert_eq!(session, shown, "the answer is what is stored");
    session
}

/// Tries something that it has not; both states are named.
async fn refused(flow: &Flow, id: &str, act: &str, body: Value, states: [&str; 2]) {
    let problem = does(flow, id, act, body).await.expect_problem(409, "illegal_transition");
    let detail = problem["detail"].as_str().unwrap();
    assert!(states.iter().all(|state| detail.contains(state)), "{detail}");
}

#[tokio::test]
async fn a_session_goes_through_its_life_and_no_other_way() {
    let (flow, _, id) = written(false).await;
    refused(&flow, &id, "resume", json!({}), ["QUEUED", "ACTIVE"]).await;
    refused(&flow, &id, "reopen", json!({}), ["QUEUED", "QUEUED"]).await;
    let active = done(&flow, &id, "status", json!({ "status": "ACTIVE", "reason": "atendendo" })).await;
    assert_eq!((&active["status"], &active["status_reason"]), (&json!("ACTIVE"), &json!("atendendo")));
    refused(&flow, &id, "status", json!({ "status": "ACTIVE" }), ["ACTIVE", "ACTIVE"]).await;
    assert_eq!(done(&flow, &id, "pause", json!({ "reason": "almoço" })).await["status"], "PAUSED");
    refused(&flow, &id, "pause", json!({}), ["PAUSED", "PAUSED"]).await;
    assert_eq!(done(&flow, &id, "resume", json!({})).await["status"], "ACTIVE");

    let closed = done(&flow, &id, "close", json!({ "end_reason": "resolvido" })).await;
    assert_eq!((&closed["status"], &closed["end_reason"]), (&json!("CLOSED"), &json!("resolvido")));
    assert!(closed["closed_at"].is_string());
    refused(&flow, &id, "close", json!({}), ["CLOSED", "CLOSED"]).await;
    refused(&flow, &id, "pause", json!({}), ["CLOSED", "PAUSED"]).await;
    refused(&flow, &id, "resume", json!({}), ["CLOSED", "ACTIVE"]).await;
    let _problem =
        does(&flow, &id, "block-ai", json!({ "minutes": 5 })).await.expect_problem(409, "conflict");
    let agent = json!({ "agent_id": owner(&flow).await });
    let _problem = does(&flow, &id, "assign", agent).await.expect_problem(409, "conflict");
    let reopened = done(&flow, &id, "reopen", json!({ "reason": "voltou" })).await;
    assert_eq!((&reopened["status"], &reopened["closed_at"]), (&json!("QUEUED"), &Value::Null));
    let closed = done(&flow, &id, "status", json!({ "status": "CLOSED", "reason": "sem resposta" })).await;
    assert_eq!((&closed["status"], &closed["end_reason"]), (&json!("CLOSED"), &json!("sem resposta")));
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn who_writes_after_the_end_begins_another_session() {
    let (flow, customer, first) = written(false).await;
    done(&flow, &first, "close", json!({})).await;
    let conversations =
        || async { flow.api(Method::GET, "conversations", None).await.expect_status(200).body };
    assert_eq!(conversations().await["items"][0]["status"], "closed");
    customer.writes(&flow, "Voltei").await;
    flow.until("another session", async || {
        let sessions = flow.api(Method::GET, "sessions", None).await.body;
        (sessions["items"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    assert_eq!(conversations().await["items"][0]["status"], "open");
    let _problem = does(&flow, &first, "reopen", json!({})).await.expect_problem(409, "conflict");
    flow.end().await;
}

#[tokio::test]
async fn where_sessions_stay_closed_a_message_is_kept_and_nothing_answers() {
    let (flow, customer, id) = written(true).await;
    done(&flow, &id, "close", json!({})).await;
    let settings = json!({ "settings": { "closed_sessions": "stay_closed" } });
    let company = flow.api(Method::PATCH, "company", Some(&settings)).await.expect_status(200).body;
    assert_eq!(company["settings"]["closed_sessions"], "stay_closed");
    customer.writes(&flow, "Obrigada!").await;
    let stored = flow
        .until("the message", async || {
            let stored = customer.stored(&flow).await;
            (stored["messages"].as_array().unwrap().len() == 2).then_some(stored)
        })
        .await;
    assert_eq!(stored["sessions"], json!([{ "status": "CLOSED", "reason": null }]));
    assert_eq!(stored["turns"].as_array().unwrap().len(), 1, "of the first message");
    flow.pump().await;
    assert_eq!(customer.received(&flow).await.len(), 0);
    flow.end().await;
}

#[tokio::test]
async fn the_ai_is_silent_for_as_long_as_it_was_told() {
    let (flow, customer, id) = written(true).await;
    for minutes in [0, 1_441] {
        let problem = does(&flow, &id, "block-ai", json!({ "minutes": minutes })).await;
        let problem = problem.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "minutes");
    }
    let blocked = done(&flow, &id, "block-ai", json!({ "minutes": 1_440, "reason": "eu cuido" })).await;
    assert_eq!(blocked["ai_block_reason"], "eu cuido");
    flow.pump().await;
    assert_eq!(customer.received(&flow).await.len(), 0, "its turn came while it was silent");
    let status = || async {
        flow.api(Method::GET, &format!("sessions/{id}/ai-status"), None).await.expect_status(200).body
    };
    assert_eq!(
        (&status().await["ai_enabled"], &status().await["reason"]),
        (&json!(false), &json!("ai_blocked"))
    );

    flow.clock.pass(TimeDelta::minutes(1_441));
    assert_eq!(status().await["ai_enabled"], true, "also before the schedule comes by");
    let shown = flow.api(Method::GET, &format!("sessions/{id}"), None).await.expect_status(200).body;
    assert_eq!((&shown["ai_blocked_until"], &shown["ai_block_reason"]), (&Value::Null, &Value::Null));
    assert!(flow.lift_silences().await >= 1);
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sessions WHERE company_id = $1 AND ai_blocked_until IS NOT NULL",
    )
    .bind(flow.tenant.company_id)
    .fetch_one(&flow.admin)
    .await
    .unwrap();
    assert_eq!(left, 0);
    customer.writes(&flow, &format!("E {}?", customer.word)).await;
    customer.reads(&flow, 1).await;

    done(&flow, &id, "block-ai", json!({ "minutes": 600 })).await;
    assert_eq!(done(&flow, &id, "unblock-ai", json!({})).await["ai_blocked_until"], Value::Null);
    flow.end().await;
}

#[tokio::test]
async fn a_session_is_handed_on_with_a_note_that_no_customer_sees() {
    let (flow, customer, id) = written(false).await;
    let user_id = owner(&flow).await;
    let new = json!({ "name": "Vendas", "member_ids": [user_id] });
    let department =
        flow.api(Method::POST, "departments", Some(&new)).await.expect_status(201).body["id"].clone();

    let handed = json!({ "agent_id": user_id, "note": "Cliente antiga, cuidado" });
    let session = done(&flow, &id, "assign", handed).await;
    assert_eq!((&session["status"], &session["assigned_agent_id"]), (&json!("ACTIVE"), &json!(user_id)));
    let session = done(&flow, &id, "assign", json!({ "department_id": department })).await;
    assert_eq!((&session["status"], &session["assigned_agent_id"]), (&json!("QUEUED"), &Value::Null));
    let turn = json!({ "department_id": department, "round_robin": true });
    assert_eq!(done(&flow, &id, "assign", turn).await["assigned_agent_id"], json!(user_id));
    let conversations = flow.api(Method::GET, "conversations", None).await.expect_status(200).body;
    let conversation = &conversations["items"][0];
    assert_eq!(
        (&conversation["assignee_id"], &conversation["department_id"]),
        (&json!(user_id), &department)
    );

    let (held, anybody) = (user_id.as_str().unwrap(), new_id());
    for (filter, count) in [
        (format!("assignee_id={held}"), 1),
        (format!("assignee_id={anybody}"), 0),
        (format!("department_id={}", department.as_str().unwrap()), 1),
        (format!("department_id={anybody}"), 0),
        ("channel=whatsapp_cloud&unread=true&status=open".to_owned(), 1),
        ("channel=twilio_sms".to_owned(), 0),
        ("tag=nenhuma".to_owned(), 0),
    ] {
        let path = format!("conversations?{filter}");
        let listed = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{filter}");
    }
    let messages =
        flow.api(Method::GET, &format!("sessions/{id}/messages"), None).await.expect_status(200).body;
    let note = &messages["items"][0];
    assert_eq!((&note["type"], &note["text"]), (&json!("note"), &json!("Cliente antiga, cuidado")));
    flow.pump().await;
    assert_eq!(customer.received(&flow).await.len(), 0);

    for (body, field) in [
        (json!({}), "department_id"),
        (json!({ "agent_id": new_id() }), "agent_id"),
        (json!({ "department_id": new_id() }), "department_id"),
        (json!({ "customer_id": new_id() }), "customer_id"),
        (json!({ "agent_id": user_id, "department_id": department }), "department_id"),
        (json!({ "agent_id": user_id, "note": "" }), "note"),
    ] {
        let problem = does(&flow, &id, "assign", body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    flow.end().await;
}

#[tokio::test]
async fn tags_are_put_on_once_and_taken_off() {
    let (flow, _, id) = written(false).await;
    let tagged = done(&flow, &id, "tags", json!({ "tags": ["venda", " quente ", "venda"] })).await;
    assert_eq!(tagged["tabulations"], json!(["venda", "quente"]));
    let listed = flow.api(Method::GET, "sessions?tag=quente", None).await.expect_status(200).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let gone = json!({ "tags": ["venda", "nenhuma"] });
    let path = format!("sessions/{id}/tags");
    let left = flow.api(Method::DELETE, &path, Some(&gone)).await.expect_status(200).body;
    assert_eq!(left["tabulations"], json!(["quente"]));
    let problem = does(&flow, &id, "tags", json!({ "tags": [""] })).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "tags");
    while flow.step(Queue::Inbound).await != Step::Nothing {}
    flow.end().await;
}

#[tokio::test]
async fn who_holds_a_conversation_holds_what_begins_in_it() {
    let (flow, customer, id) = written(false).await;
    let path = |what: &str| format!("{what}/{id}");
    let conversation = get(&flow, &path("sessions")).await["conversation_id"].clone();
    let conversation = format!("conversations/{}", conversation.as_str().unwrap());
    let (ana, bob) = (member(&flow).await, member(&flow).await);
    let assigned = async |agent: &Value| {
        let body = json!({ "agent_id": agent });
        flow.api(Method::POST, &format!("{conversation}/assign"), Some(&body)).await.expect_status(200)
    };
    let _held = assigned(&ana).await;
    done(&flow, &id, "close", json!({})).await;

    // The customer comes back to whoever they talked to.
    customer.writes(&flow, "Voltei").await;
    let begun = flow
        .until("another session", async || {
            let items = get(&flow, "sessions?status=ACTIVE").await["items"].clone();
            items.get(0).cloned()
        })
        .await;
    assert_ne!(begun["id"], id.as_str());
    assert_eq!((&begun["assigned_agent_id"], &begun["status_reason"]), (&ana, &json!("assigned")));

    // An earlier one that begins anew belongs to who holds the conversation by then.
    let begun = begun["id"].as_str().unwrap();
    let _held = assigned(&bob).await;
    done(&flow, begun, "close", json!({})).await;
    let again = done(&flow, &id, "reopen", json!({})).await;
    assert_eq!((&again["assigned_agent_id"], &again["status"]), (&bob, &json!("ACTIVE")));
    let over = get(&flow, &format!("sessions/{begun}")).await;
    assert_eq!((&over["status"], &over["assigned_agent_id"]), (&json!("CLOSED"), &bob));

    // Where closed ones stay closed, the one that is open takes what is written, though it is older.
    let settings = json!({ "settings": { "closed_sessions": "stay_closed" } });
    let _set = flow.api(Method::PATCH, "company", Some(&settings)).await.expect_status(200);
    customer.writes(&flow, "Ainda aí?").await;
    flow.until("the message", async || {
        let messages = get(&flow, &format!("sessions/{id}/messages")).await["items"].clone();
        messages.as_array().unwrap().iter().any(|message| message["text"] == "Ainda aí?").then_some(())
    })
    .await;
    flow.end().await;
}

#[tokio::test]
async fn what_a_department_or_a_member_leaves_behind_waits_for_somebody() {
    let (flow, _customer, id) = written(false).await;
    let session = format!("sessions/{id}");
    let conversation = get(&flow, &session).await["conversation_id"].clone();
    let conversation = format!("conversations/{}", conversation.as_str().unwrap());
    let agent = member(&flow).await;
    let new = json!({ "name": "Vendas", "member_ids": [agent] });
    let department =
        flow.api(Method::POST, "departments", Some(&new)).await.expect_status(201).body["id"].clone();
    let to = json!({ "department_id": department, "round_robin": true });
    let _held = flow.api(Method::POST, &format!("{session}/assign"), Some(&to)).await.expect_status(200);
    flow.pump().await;

    let path = format!("departments/{}", department.as_str().unwrap());
    assert_eq!(flow.api(Method::DELETE, &path, None).await.status, 204);
    let held = get(&flow, &session).await;
    assert_eq!(
        json!([held["status"], held["assigned_agent_id"], held["assigned_department_id"]]),
        json!(["ACTIVE", agent, null])
    );
    assert_eq!(get(&flow, &conversation).await["department_id"], Value::Null);

    let before = flow.events().await.len();
    let path = format!("members/{}", agent.as_str().unwrap());
    assert_eq!(flow.api(Method::DELETE, &path, None).await.status, 204);
    let waiting = get(&flow, &session).await;
    assert_eq!(
        json!([waiting["status"], waiting["assigned_agent_id"], waiting["status_reason"]]),
        json!(["QUEUED", null, "assigned"])
    );
    assert_eq!(get(&flow, &conversation).await["assignee_id"], Value::Null);
    flow.pump().await;
    let told: Vec<_> =
        flow.events().await.split_off(before).iter().map(|event| event["type"].clone()).collect();
    for kind in ["conversation.changed", "session.changed"] {
        assert!(told.contains(&json!(kind)), "{told:?}");
    }
    flow.end().await;
}
