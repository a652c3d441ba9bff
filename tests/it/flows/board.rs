//! A board that tests play on: steps that many of them take.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::{Answer, Flow, TenantOptions};
use uuid::Uuid;

use crate::inbox::redacted;

/// A company of the test's own with a board: two stages that are open, one for what is won and one for what is lost.
pub(super) struct Board {
    pub(super) flow: Flow,
    pub(super) id: String,
    pub(super) stages: Vec<String>,
}

impl Board {
    pub(super) async fn set_up() -> Self {
        let flow = Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
        let board = flow.api(Method::POST, "kanbans", Some(&new_board())).await.expect_status(201).body;
        let stages = board["stages"].as_array().unwrap().iter().map(|stage| text(&stage["id"])).collect();
        Self { flow, id: text(&board["id"]), stages }
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.flow.api(Method::GET, path, None).await.expect_status(200).body
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.flow.api(Method::POST, path, Some(&body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.flow.api(Method::PATCH, path, Some(&body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.flow.api(Method::DELETE, path, None).await
    }

    /// Makes a lead in a stage; its id.
    pub(super) async fn lead(&self, stage: usize, title: &str) -> String {
        let new = json!({ "stage_id": self.stages[stage], "title": title });
        text(&self.post("leads", new).await.expect_status(201).body["id"])
    }

    pub(super) async fn put(&self, lead: &str, stage: usize, after: Option<&str>) -> Answer {
        let to = json!({ "stage_id": self.stages[stage], "after_lead_id": after });
        self.post(&format!("leads/{lead}/move"), to).await
    }

    /// The leads of a stage in its order, read in pages of this size.
    pub(super) async fn order(&self, stage: usize, limit: usize) -> Vec<String> {
        self.all(&format!("leads?stage_id={}", self.stages[stage]), limit).await
    }

    /// The ids of a list, page by page.
    pub(super) async fn all(&self, list: &str, limit: usize) -> Vec<String> {
        let joint = if list.contains('?') { '&' } else { '?' };
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{list}{joint}limit={limit}{cursor}")).await;
            ids.extend(page["items"].as_array().unwrap().iter().map(|row| text(&row["id"])));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }

    /// A customer who never wrote.
    pub(super) async fn contact(&self, name: &str) -> Uuid {
        let id = testkit::new_id();
        sqlx::query(
            "INSERT INTO contacts (company_id, id, name, phone, source, created_at, updated_at)
             VALUES ($1, $2, $3, '+5562999990001', 'api', now(), now())",
        )
        .bind(self.flow.tenant.company_id)
        .bind(id)
        .bind(name)
        .execute(&self.flow.admin)
        .await
        .unwrap();
        id
    }

    /// The company's only member.
    pub(super) async fn member(&self) -> String {
        text(&self.get("members").await["items"][0]["id"])
    }

    /// What was told, by the names of the events.
    pub(super) async fn told(&self, name: &str) -> Vec<Value> {
        self.flow.events().await.into_iter().filter(|event| event["type"] == name).collect()
    }
}

pub(super) fn new_board() -> Value {
    json!({
        "name": "Vendas", "description": "Do primeiro contato à venda",
        "stages": [
            { "name": "Novo" },
            { "name": "Proposta", "colour": "#2563EB" },
            { "name": "Ganho", "kind": "won" },
            { "name": "Perdido", "kind": "lost" },
        ],
    })
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What must stay the same about an answer.
pub(super) fn shape(answer: &Answer) -> Value {
    json!({ "status": answer.status, "content_type": answer.content_type, "body": plain(&answer.body) })
}

/// Without what differs from run to run.
pub(super) fn plain(body: &Value) -> Value {
    fn hide(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if ["at", "closed_at", "next_cursor"].contains(&name.as_str()) && value.is_string() {
                        *value = json!(format!("[{name}]"));
                    }
                    hide(value);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(hide),
            _ => {}
        }
    }
    let mut body = redacted(body);
    hide(&mut body);
    body
}
