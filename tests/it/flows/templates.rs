//! Message templates: made once whoever dies, told by webhooks in any order, brought over, and checked before they are sent.

use axum::http::Method;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::{Answer, Flow, Step, TenantOptions, at_answer, new_word};

use crate::inbox::redacted;

/// What must stay the same about an answer, with the template's own name left out.
fn shape(answer: &Answer, name: &str) -> Value {
    let body = redacted(&answer.body).to_string().replace(name, "[name]");
    json!({ "status": answer.status, "body": serde_json::from_str::<Value>(&body).unwrap() })
}

/// A company of the test's own.
struct Business {
    flow: Flow,
}

impl Business {
    async fn open() -> Self {
        Self { flow: Flow::start(TenantOptions::default()).await }
    }

    /// A template that Meta would take; its name ends with `ending`.
    fn new_template(&self, ending: &str, submit: bool) -> Value {
        json!({
            "connection_id": self.flow.tenant.connection_id,
            "name": format!("{}{ending}", new_word("m").replace('-', "_").to_lowercase()),
            "language": "pt_BR",
            "category": "UTILITY",
            "components": [
                { "type": "BODY", "text": "Oi {{1}}, seu pedido {{2}} saiu.",
                  "example": { "body_text": [["Ana", "123"]] } },
                { "type": "FOOTER", "text": "Loja Exemplo" },
            ],
            "submit": submit,
        })
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.flow.api(Method::POST, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> Value {
        self.flow.api(Method::GET, path, None).await.expect_status(200).body
    }

    async fn make(&self, ending: &str, submit: bool) -> Value {
        self.post("templates", &self.new_template(ending, submit)).await.expect_status(201).body
    }

    async fn shown(&self, template: &Value) -> Value {
        self.get(&path(template, "")).await
    }

    /// Works until the template shows what is waited for.
    async fn until(&self, template: &Value, member: &str, value: &str) -> Value {
        let what = format!("{member} to be {value}");
        self.flow
            .until(&what, async || Some(self.shown(template).await).filter(|shown| shown[member] == value))
            .await
    }

    /// What Meta has of a name.
    async fn at_meta(&self, name: &str) -> Vec<Value> {
        let token = self.flow.sandbox.get("lines").await["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["phone_number_id"] == self.flow.tenant.phone_number_id.as_str())
            .unwrap()["access_token"]
            .clone();
        let all = self.flow.sandbox.get(&format!("templates?access_token={}", token.as_str().unwrap())).await;
        all["items"].as_array().unwrap().iter().filter(|it| it["name"] == name).cloned().collect()
    }

    /// A change of the account, as Meta tells it.
    async fn told(&self, at: i64, field: &str, value: Value) {
        let body = json!({ "object": "whatsapp_business_account", "entry": [{
            "id": self.flow.tenant.waba_id, "time": at, "changes": [{ "field": field, "value": value }],
        }] });
        let _taken = self.flow.deliver(&body.to_string()).await.expect_status(200);
        self.flow.pump().await;
    }

    async fn status_told(&self, template: &Value, at: i64, event: &str, reason: &str) {
        let id: u64 = text(&template["provider_template_id"]).parse().unwrap();
        let value = json!({
            "event": event, "message_template_id": id, "message_template_name": template["name"],
            "message_template_language": "pt-BR", "reason": reason,
        });
        self.told(at, "message_template_status_update", value).await;
    }
}

fn path(template: &Value, below: &str) -> String {
    format!("templates/{}{below}", text(&template["id"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_template_is_made_submitted_changed_and_deleted() {
    let business = Business::open().await;
    let new = business.new_template("", false);
    let name = text(&new["name"]);
    let made = business.flow.api_once(Method::POST, "templates", "um", &new).await;
    insta::assert_json_snapshot!("template_made", shape(&made, &name));
    let again = business.flow.api_once(Method::POST, "templates", "um", &new).await.expect_status(201).body;
    let draft = made.expect_status(201).body;
    assert_eq!(again["id"], draft["id"], "the same request");
    let taken = business.post("templates", &new).await;
    let _problem = taken.expect_problem(409, "conflict");
    let components = json!([{ "type": "BODY", "text": "Oi, seu pedido saiu." }]);
    let change = json!({ "components": components, "category": "MARKETING" });
    let changed = business.flow.api(Method::PATCH, &path(&draft, ""), Some(&change)).await.expect_status(200);
    assert_eq!((&changed.body["components"], &changed.body["change"]), (&components, &Value::Null));

    let submitted = business.post(&path(&draft, "/submit"), &json!({})).await.expect_status(202).body;
    assert_eq!(submitted["submission"], "submitting");
    let busy = business.flow.api(Method::PATCH, &path(&draft, ""), Some(&change)).await;
    let _problem = busy.expect_problem(409, "conflict");
    let approved = business.until(&draft, "status", "approved").await;
    assert_eq!((&approved["submission"], &approved["error"]), (&json!("idle"), &Value::Null));
    assert_eq!(business.at_meta(&name).await.len(), 1);
    let nothing = business.post(&path(&draft, "/submit"), &json!({})).await;
    let _problem = nothing.expect_problem(409, "conflict");

    // Meta tells times in seconds: two approvals in one second would be one.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let components = json!([{ "type": "BODY", "text": "Oi! Seu pedido saiu hoje." }]);
    let change = json!({ "components": components });
    let wanted = business.flow.api(Method::PATCH, &path(&draft, ""), Some(&change)).await.expect_status(200);
    assert_eq!(wanted.body["components"][0]["text"], "Oi, seu pedido saiu.", "what Meta has stays");
    assert_eq!(wanted.body["change"]["components"], components);
    let _submitted = business.post(&path(&draft, "/submit"), &json!({})).await.expect_status(202);
    let edited = business.flow.until("the change to be taken", async || {
        let shown = business.shown(&draft).await;
        (shown["status"] == "approved" && shown["components"] == components).then_some(shown)
    });
    assert_eq!(edited.await["change"], Value::Null);
    assert_eq!(business.at_meta(&name).await[0]["components"], components);

    // What it is for, and nothing else.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let change = json!({ "category": "UTILITY" });
    let _wanted = business.flow.api(Method::PATCH, &path(&draft, ""), Some(&change)).await.expect_status(200);
    let _submitted = business.post(&path(&draft, "/submit"), &json!({})).await.expect_status(202);
    business.until(&draft, "category", "UTILITY").await;
    assert_eq!(business.at_meta(&name).await[0]["category"], "UTILITY");

    let deleting = business.flow.api(Method::DELETE, &path(&draft, ""), None).await.expect_status(202).body;
    assert_eq!(deleting["submission"], "deleting");
    business.flow.pump().await;
    let _problem =
        business.flow.api(Method::GET, &path(&draft, ""), None).await.expect_problem(404, "not_found");
    assert!(business.at_meta(&name).await.is_empty());
    let told: Vec<_> =
        business.flow.events().await.into_iter().filter(|it| it["type"] == "template.deleted").collect();
    assert_eq!(told.len(), 1);
    business.flow.end().await;
}

#[tokio::test]
async fn what_meta_refuses_is_told() {
    let business = Business::open().await;
    let rejected = business.make("_recusado", true).await;
    let rejected = business.until(&rejected, "status", "rejected").await;
    assert_eq!(rejected["status_reason"], "INVALID_FORMAT");

    let new = business.new_template("", true);
    let refusal = json!([{ "times": 1, "contains": new["name"], "status": 400, "body": { "error": {
        "message": "Invalid parameter", "type": "OAuthException", "code": 100, "error_subcode": 2_388_299,
        "error_user_title": "Variables can't be at the end", "error_user_msg": "Put a word behind the variable.",
        "fbtrace_id": "A1" } } }]);
    // The look-up before it names the template too.
    let nothing_changed = json!([{ "times": 1, "contains": new["name"] }]);
    business.flow.sandbox.script("graph.templates", nothing_changed).await;
    business.flow.sandbox.script("graph.templates", refusal).await;
    let made = business.post("templates", &new).await.expect_status(201).body;
    business.flow.pump().await;
    let refused = business.shown(&made).await;
    assert_eq!((&refused["status"], &refused["submission"]), (&json!("draft"), &json!("idle")));
    insta::assert_json_snapshot!("template_refused", refused["error"]);
    let removed = business.flow.api(Method::DELETE, &path(&made, ""), None).await;
    assert_eq!(removed.status, 204, "Meta never had it");
    business.flow.end().await;
}

#[tokio::test]
async fn whoever_dies_a_template_is_made_once() {
    let business = Business::open().await;
    let template = business.make("", true).await;
    let mut answers = 1;
    loop {
        match business.flow.step_unless(Queue::Connections, at_answer(answers)).await {
            Step::Died => answers += 1,
            Step::Done if business.shown(&template).await["submission"] == "idle" => break,
            Step::Done | Step::Nothing => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
    assert!(answers > 4, "it came through after {answers} answers");
    business.flow.recover().await;
    let shown = business.until(&template, "status", "approved").await;
    assert_eq!(shown["change"], Value::Null);
    assert_eq!(business.at_meta(&text(&template["name"])).await.len(), 1);
    business.flow.end().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_template() {
    let business = Business::open().await;
    let new = business.new_template("", true);
    let rules = json!([{ "times": 1, "contains": new["name"] }, { "times": 1, "contains": new["name"], "drop": "after" }]);
    business.flow.sandbox.script("graph.templates", rules).await;
    let made = business.post("templates", &new).await.expect_status(201).body;
    let shown = business.until(&made, "status", "approved").await;
    assert_eq!(shown["error"], Value::Null);
    assert_eq!(business.at_meta(&text(&new["name"])).await.len(), 1);
    business.flow.end().await;
}

#[tokio::test]
async fn what_meta_tells_counts_by_its_time() {
    let business = Business::open().await;
    let template = business.make("_pendente", true).await;
    let template = business.until(&template, "submission", "idle").await;
    let now = testkit::now_seconds();
    business.status_told(&template, now + 20, "APPROVED", "NONE").await;
    business.status_told(&template, now + 10, "REJECTED", "PROMOTIONAL").await;
    let shown = business.shown(&template).await;
    assert_eq!((&shown["status"], &shown["status_reason"]), (&json!("approved"), &Value::Null));
    let id: u64 = text(&template["provider_template_id"]).parse().unwrap();
    // As in one of Meta's own examples, by another's field.
    let quality = json!({ "previous_quality_score": "GREEN", "new_quality_score": "YELLOW", "message_template_id": id });
    business.told(now + 21, "message_template_status_update", quality).await;
    let category = json!({
        "message_template_id": id, "new_category": "UTILITY", "correct_category": "MARKETING",
        "category_update_timestamp": 1_900_000_000,
    });
    business.told(now + 22, "template_category_update", category.clone()).await;
    let shown = business.shown(&template).await;
    assert_eq!((&shown["quality"], &shown["next_category"]), (&json!("YELLOW"), &json!("MARKETING")));
    assert_eq!(shown["next_category_at"], "2030-03-17T17:46:40Z");
    let done =
        json!({ "message_template_id": id, "previous_category": "UTILITY", "new_category": "MARKETING" });
    business.told(now + 23, "template_category_update", done).await;
    let shown = business.shown(&template).await;
    assert_eq!((&shown["category"], &shown["next_category"]), (&json!("MARKETING"), &Value::Null));
    let version = shown["version"].clone();
    business.told(now + 22, "template_category_update", category).await;
    business.status_told(&template, now + 20, "APPROVED", "NONE").await;
    assert_eq!(business.shown(&template).await["version"], version, "it was told before");
    business.flow.end().await;
}

#[tokio::test]
async fn an_account_is_brought_over() {
    let business = Business::open().await;
    // A draft that goes by the name of one of Meta's.
    let mut draft = business.new_template("", false);
    draft["name"] = json!("retomar_conversa");
    let draft = business.post("templates", &draft).await.expect_status(201).body;
    let sync = json!({ "connection_id": business.flow.tenant.connection_id });
    let _asked = business.post("templates/sync", &sync).await.expect_status(202);
    business.flow.pump().await;
    let all = business.get("templates?limit=2").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let rest = business.get(&format!("templates?limit=2&cursor={}", text(&all["next_cursor"]))).await;
    let names: Vec<_> = [&all, &rest].iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    let names: Vec<_> = names.iter().map(|it| text(&it["name"])).collect();
    assert_eq!(names, ["hello_world", "lembrete_consulta", "retomar_conversa", "retomar_pausado"]);
    let adopted = business.shown(&draft).await;
    assert_eq!((&adopted["status"], &adopted["category"]), (&json!("approved"), &json!("MARKETING")));
    assert_eq!(adopted["change"]["components"][1]["text"], "Loja Exemplo", "what was written is kept");
    let paused = business.get("templates?status=paused").await;
    assert_eq!(paused["items"].as_array().unwrap().len(), 1);
    let found = business.get("templates?q=consulta&category=UTILITY&language=pt_BR").await;
    assert_eq!(found["items"][0]["name"], "lembrete_consulta");

    // Nothing changes the second time; and what Meta has no more is marked.
    let told = business.flow.events().await.iter().filter(|it| it["type"] == "templates.synced").count();
    let made = business.make("", true).await;
    let made = business.until(&made, "status", "approved").await;
    let _asked = business.post("templates/sync", &sync).await.expect_status(202);
    business.flow.pump().await;
    let again = business.flow.events().await.iter().filter(|it| it["type"] == "templates.synced").count();
    assert_eq!((told, again), (1, 1));
    // One that somebody deleted at Meta and made again has another id there.
    let id = text(&made["provider_template_id"]);
    sqlx::query(
        "UPDATE templates SET provider_template_id = '1' WHERE company_id = $1 AND provider_template_id = $2",
    )
    .bind(business.flow.tenant.company_id)
    .bind(&id)
    .execute(&business.flow.admin)
    .await
    .unwrap();
    let _asked = business.post("templates/sync", &sync).await.expect_status(202);
    business.flow.pump().await;
    let shown = business.shown(&made).await;
    assert_eq!((&shown["status"], text(&shown["provider_template_id"])), (&json!("approved"), id));
    business
        .flow
        .sandbox
        .post(&format!("templates/{}", text(&made["provider_template_id"])), &json!({ "status": "DELETED" }))
        .await;
    let gone = business.until(&made, "status", "deleted").await;
    assert_eq!(gone["submission"], "idle");
    business.flow.end().await;
}

#[tokio::test]
async fn what_meta_would_refuse_is_refused() {
    let business = Business::open().await;
    let with = |pointer: &str, to: Value| {
        let mut new = business.new_template("", false);
        *new.pointer_mut(pointer).unwrap() = to;
        new
    };
    for (new, field) in [
        (with("/name", json!("Pedido Novo")), "name"),
        (with("/language", json!("pt-BR")), "language"),
        (with("/components/0/text", json!("Oi {{2}}")), "components[0].text"),
        (with("/components/0/example", json!({})), "components[0].example.body_text"),
        (with("/components/1/text", json!("Loja {{1}}")), "components[1].text"),
    ] {
        let problem = business.post("templates", &new).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let draft = business.make("", false).await;
    let parameters = json!({ "components": [
        { "type": "body", "parameters": [{ "type": "text", "text": "Ana" }, { "type": "text", "text": "7" }] },
    ] });
    let preview = business.post(&path(&draft, "/preview"), &parameters).await.expect_status(200).body;
    insta::assert_json_snapshot!("template_preview", preview);
    let problem = business.post(&path(&draft, "/preview"), &json!({})).await.expect_problem(422, "invalid");
    insta::assert_json_snapshot!("template_preview_without_parameters", problem["errors"]);
    business.flow.end().await;
}
