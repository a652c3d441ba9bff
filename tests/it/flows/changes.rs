//! Who changed what: a contact's timeline has what people and programs changed of it, of its conversations and of its
//! sessions. Changes go along when contacts are merged, come back when they are taken apart, and with a person they are
//! forgotten.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::Flow;

use super::people::{conversations, get, insert, member, number, post, quiet, writes};
use crate::inbox::redacted;

async fn patch(flow: &Flow, path: &str, body: Value) {
    flow.clock.pass(TimeDelta::seconds(1));
    let _changed = flow.api(Method::PATCH, path, Some(&body)).await.expect_status(200);
}

async fn put(flow: &Flow, path: &str, body: Value) -> Value {
    flow.clock.pass(TimeDelta::seconds(1));
    post(flow, path, body).await.expect_status(200).body
}

/// What was changed of a contact, oldest first.
async fn changes(flow: &Flow, contact_id: &str) -> Vec<Value> {
    let timeline = get(flow, &format!("contacts/{contact_id}/timeline")).await;
    let entries = timeline["items"].as_array().unwrap().iter();
    let is_change = |entry: &&Value| entry["kind"].as_str().unwrap().ends_with("_changed");
    let mut changes: Vec<_> = entries.filter(is_change).cloned().collect();
    changes.reverse();
    changes
}

fn kinds(changes: &[Value]) -> Vec<&str> {
    changes.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_change_stands_in_the_timeline_with_who_made_it() {
    let flow = quiet().await;
    let contact = writes(&flow, &number(), "Ana", "Oi").await;
    let thread = conversations(&flow, &contact).await.remove(0);
    let session = get(&flow, "sessions").await["items"][0]["id"].as_str().unwrap().to_owned();
    let field = json!({ "key": "city", "label": "Cidade", "type": "text" });
    let _field = post(&flow, "contact-fields", field).await.expect_status(201);
    let tabulation = post(&flow, "tabulations", json!({ "name": "vip" })).await.expect_status(201).body;
    let agent = member(&flow).await;
    let department = json!({ "name": "Vendas", "member_ids": [agent] });
    let department = post(&flow, "departments", department).await.expect_status(201).body["id"].clone();

    let path = format!("contacts/{contact}");
    patch(&flow, &path, json!({ "name": "Ana Souza", "custom": { "city": "Goiânia" } })).await;
    patch(&flow, &path, json!({ "name": "Ana Souza", "custom": { "city": null } })).await;
    patch(&flow, &path, json!({})).await;
    let tags = json!({ "tabulation_ids": [tabulation["id"]] });
    let _tagged = put(&flow, &format!("{path}/tabulations"), tags).await;
    let path = format!("conversations/{thread}");
    let _held = put(&flow, &format!("{path}/assign"), json!({ "department_id": department })).await;
    patch(&flow, &path, json!({ "assignee_id": agent, "tags": ["quente"] })).await;
    let _unread = put(&flow, &format!("{path}/unread"), json!({})).await;
    let path = format!("sessions/{session}");
    let _paused = put(&flow, &format!("{path}/pause"), json!({ "reason": "Falo eu" })).await;
    let _held = put(&flow, &format!("{path}/assign"), json!({ "customer_id": contact })).await;
    let _closed = put(&flow, &format!("{path}/close"), json!({ "end_reason": "resolvido" })).await;
    patch(&flow, &format!("conversations/{thread}"), json!({ "status": "open" })).await;
    flow.clock.pass(TimeDelta::seconds(1));
    let gone = format!("members/{}", agent.as_str().unwrap());
    let _removed = flow.api(Method::DELETE, &gone, None).await.expect_status(204);
    flow.clock.pass(TimeDelta::seconds(1));
    let gone = format!("departments/{}", department.as_str().unwrap());
    let _removed = flow.api(Method::DELETE, &gone, None).await.expect_status(204);

    let found = changes(&flow, &contact).await;
    let mut shown = redacted(&json!(found));
    for entry in shown.as_array_mut().unwrap() {
        entry["at"] = json!("[time]");
    }
    insta::assert_json_snapshot!("changes", shown);
    let told = get(&flow, &format!("contacts/{contact}/export")).await["changes"].clone();
    assert_eq!(told.as_array().unwrap().len(), found.len());
    for (told, change) in told.as_array().unwrap().iter().zip(&found) {
        let of = |value: &Value| json!([value["at"], value["kind"]]);
        assert_eq!(of(told), of(change));
        assert_eq!(
            json!([told["was"], told["became"]]),
            json!([change["detail"]["was"], change["detail"]["became"]])
        );
    }
    flow.end().await;
}

#[tokio::test]
async fn changes_go_with_whom_they_are_of() {
    let flow = quiet().await;
    let ana = writes(&flow, &number(), "Ana", "Oi").await;
    let other = writes(&flow, &number(), "Ana S.", "Oi").await;
    let [thread, other_thread] =
        [conversations(&flow, &ana).await.remove(0), conversations(&flow, &other).await.remove(0)];
    patch(&flow, &format!("contacts/{ana}"), json!({ "email": "ana@example.com" })).await;
    patch(&flow, &format!("contacts/{other}"), json!({ "name": "Ana Souza" })).await;
    patch(&flow, &format!("conversations/{other_thread}"), json!({ "tags": ["antiga"] })).await;
    let before = [changes(&flow, &ana).await, changes(&flow, &other).await];
    assert_eq!([kinds(&before[0]).len(), kinds(&before[1]).len()], [1, 2]);

    let _both = put(&flow, &format!("contacts/{other}/merge"), json!({ "into": ana })).await;
    assert_eq!(
        kinds(&changes(&flow, &ana).await),
        ["contact_changed", "contact_changed", "conversation_changed"]
    );
    assert!(changes(&flow, &other).await.is_empty());
    let tabulation = post(&flow, "tabulations", json!({ "name": "vip" })).await.expect_status(201).body;
    let tags = json!({ "tabulation_ids": [tabulation["id"]] });
    let other_tags = format!("contacts/{other}/tabulations");
    let _refused = post(&flow, &other_tags, tags.clone()).await.expect_problem(409, "contact_merged");
    patch(&flow, &format!("conversations/{thread}"), json!({ "tags": ["minha"] })).await;
    patch(&flow, &format!("conversations/{other_thread}"), json!({ "tags": ["dela"] })).await;
    patch(&flow, &format!("contacts/{ana}"), json!({ "name": "As duas" })).await;

    let _apart = put(&flow, &format!("contacts/{other}/unmerge"), json!({})).await;
    patch(&flow, &format!("contacts/{ana}"), json!({ "name": "Ana Lima" })).await;
    let [mine, theirs] = [changes(&flow, &ana).await, changes(&flow, &other).await];
    assert_eq!(
        kinds(&mine),
        ["contact_changed", "conversation_changed", "contact_changed", "contact_changed"]
    );
    assert_eq!(kinds(&theirs), ["contact_changed", "conversation_changed", "conversation_changed"]);
    assert_eq!((&mine[0], &theirs[..2]), (&before[0][0], &before[1][..]));
    assert_eq!(theirs[2]["detail"]["became"], json!({ "tags": ["dela"] }));

    let _erased = flow.api(Method::POST, &format!("contacts/{other}/erase"), None).await.expect_status(202);
    assert!(changes(&flow, &other).await.is_empty(), "what they were called is forgotten");
    let _refused = post(&flow, &other_tags, tags).await.expect_problem(409, "contact_erased");
    let kept = [&mine[..2], &mine[3..]].concat();
    assert_eq!(changes(&flow, &ana).await, kept, "what was changed while both were one may be about both");
    let quiet = insert(&flow, json!({ "name": "Rui" })).await;
    patch(&flow, &format!("contacts/{quiet}"), json!({ "name": "Rui Luz" })).await;
    let _gone = flow.api(Method::DELETE, &format!("contacts/{quiet}"), None).await.expect_status(204);
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM contact_history WHERE company_id = $1 AND contact_id = ANY($2)",
    )
    .bind(flow.tenant.company_id)
    .bind([&other, &quiet].map(|id| id.parse::<uuid::Uuid>().unwrap()))
    .fetch_one(&flow.admin)
    .await
    .unwrap();
    assert_eq!(left, 0);
    flow.pump().await;
    flow.end().await;
}
