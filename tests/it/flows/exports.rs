//! Contacts into files: all of them, once, as a spreadsheet program may open them.

use axum::http::Method;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::{Flow, Step, TenantOptions, new_id, new_word};

use super::files::{bring, comparable};

async fn start() -> Flow {
    Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await
}

async fn make_contact(flow: &Flow, name: &str, phone: &str, tags: &[&str], custom: Value) {
    sqlx::query(
        "WITH made AS (
             INSERT INTO contacts (company_id, id, name, phone, tags, custom, source, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, 'manual', '2026-01-02T03:04:05Z', now()) RETURNING *)
         INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
         SELECT company_id, 'e164', phone, id, created_at FROM made",
    )
    .bind(flow.tenant.company_id)
    .bind(new_id())
    .bind(name)
    .bind(phone)
    .bind(tags)
    .bind(custom)
    .execute(&flow.admin)
    .await
    .unwrap();
}

async fn begin(flow: &Flow, body: &Value) -> Value {
    flow.api(Method::POST, "contacts/exports", Some(body)).await.expect_status(202).body
}

async fn find(flow: &Flow, export: &Value) -> Value {
    let path = format!("contacts/exports/{}", export["id"].as_str().unwrap());
    flow.api(Method::GET, &path, None).await.expect_status(200).body
}

async fn fetch(export: &Value) -> String {
    let answer = reqwest::get(export["url"].as_str().unwrap()).await.unwrap().error_for_status().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(export["size"], bytes.len());
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines of a file, without ids.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_once([',', ';']).unwrap().1.to_owned()).collect()
}

#[tokio::test]
async fn contacts_go_into_a_file() {
    let flow = start().await;
    sqlx::query(
        "INSERT INTO contact_fields (company_id, id, key, label, type, options, created_at, updated_at)
         VALUES ($1, $2, 'city', 'Cidade', 'text', '{}', now(), now())",
    )
    .bind(flow.tenant.company_id)
    .bind(new_id())
    .execute(&flow.admin)
    .await
    .unwrap();
    make_contact(
        &flow,
        "João \"Jota\" Ação",
        "+5562999990001",
        &["vip", "novo"],
        json!({ "city": "Goiânia" }),
    )
    .await;
    make_contact(&flow, "=HYPERLINK(\"http://mal\")", "+5562999990002", &[], json!({ "city": "-2+3" })).await;
    make_contact(&flow, "Silva; Ana, Rui", "+5562999990003", &["vip"], json!({})).await;

    let asked = begin(&flow, &json!({})).await;
    insta::assert_json_snapshot!("export_accepted", comparable(&asked));
    flow.pump().await;
    let done = find(&flow, &asked).await;
    insta::assert_json_snapshot!("export_done", comparable(&done), { ".url" => "[url]" });
    insta::assert_json_snapshot!("export_file", lines(&fetch(&done).await));

    let excel = begin(&flow, &json!({ "filter": { "tag": "vip" }, "excel": true })).await;
    flow.pump().await;
    let text = fetch(&find(&flow, &excel).await).await;
    assert!(text.starts_with("\u{feff}id;name;phone;"), "{text}");
    assert_eq!(text.lines().count(), 3);

    // What was written says what is known.
    let text = fetch(&done).await;
    let media_id = bring(&flow, "import", "a.csv", "text/csv", text.as_bytes()).await;
    let look = json!({ "media_id": media_id });
    let preview =
        flow.api(Method::POST, "contacts/imports/preview", Some(&look)).await.expect_status(200).body;
    let import = json!({ "media_id": media_id, "mapping": preview["suggested_mapping"], "dry_run": true });
    let import = flow.api(Method::POST, "contacts/imports", Some(&import)).await.expect_status(202).body;
    flow.pump().await;
    let path = format!("contacts/imports/{}", import["id"].as_str().unwrap());
    let import = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    assert_eq!(
        import["counts"],
        json!({ "rows": 3, "created": 0, "updated": 0, "unchanged": 3, "failed": 0 })
    );

    let path = format!("media/{}", done["media_id"].as_str().unwrap());
    let media = flow.api(Method::GET, &path, None).await.expect_status(200).body;
    assert_eq!((&media["state"], &media["purpose"]), (&json!("ready"), &json!("export")));
    flow.end().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let flow = start().await;
    let mut problems = Vec::new();
    for (filter, status, code) in [
        (json!({ "tag": " " }), 422, "invalid"),
        (json!({ "list_id": new_id() }), 404, "not_found"),
        (json!({ "name": "Ana" }), 422, "invalid"),
        (
            json!({ "created_from": "2026-01-02T00:00:00Z", "created_to": "2026-01-01T00:00:00Z" }),
            422,
            "invalid",
        ),
    ] {
        let answer = flow.api(Method::POST, "contacts/exports", Some(&json!({ "filter": filter }))).await;
        problems.push(answer.expect_problem(status, code));
    }
    insta::assert_json_snapshot!("export_asked_wrongly", problems);
    let path = format!("contacts/exports/{}", new_id());
    let problem = flow.api(Method::GET, &path, None).await.expect_problem(404, "not_found");
    insta::assert_json_snapshot!("export_not_found", problem);
    let key = new_word("chave-");
    let once = async |body: Value| flow.api_once(Method::POST, "contacts/exports", &key, &body).await;
    let first = once(json!({})).await.expect_status(202).body;
    assert_eq!(once(json!({})).await.expect_status(202).body["id"], first["id"]);
    let problem = once(json!({ "excel": true })).await.expect_problem(409, "idempotency_key_reused");
    insta::assert_json_snapshot!("export_key_reused", problem);
    flow.pump().await;
    assert_eq!(find(&flow, &first).await["contacts"], 0);
    assert_eq!(fetch(&find(&flow, &first).await).await.lines().count(), 1, "the names of the columns");
    flow.end().await;
}

#[tokio::test]
async fn whoever_dies_writing_changes_nothing_about_the_file() {
    let flow = start().await;
    for number in 0..5 {
        make_contact(&flow, &format!("Cliente {number}"), &format!("+556299999000{number}"), &[], json!({}))
            .await;
    }
    let usual = begin(&flow, &json!({})).await;
    flow.pump().await;
    let expected = fetch(&find(&flow, &usual).await).await;

    let export = begin(&flow, &json!({})).await;
    let answers = flow.die_at_every_answer(Queue::Imports).await;
    assert!(answers > 10, "it came through after {answers} answers");
    flow.recover().await;
    let done = find(&flow, &export).await;
    assert_eq!((&done["state"], &done["contacts"]), (&json!("done"), &json!(5)));
    assert_eq!(fetch(&done).await, expected);

    let export = begin(&flow, &json!({})).await;
    assert_eq!(flow.step_unheard(Queue::Imports).await, Step::Died);
    flow.recover().await;
    assert_eq!(fetch(&find(&flow, &export).await).await, expected);
    flow.end().await;
}

/// Contacts that fill three parts of a file.
const MANY: i64 = 9_000;

#[tokio::test]
async fn a_file_of_many_parts_is_written_by_whoever_is_there() {
    let flow = start().await;
    sqlx::query(
        "WITH field AS (
             INSERT INTO contact_fields (company_id, id, key, label, type, options, created_at, updated_at)
             VALUES ($1, $2, 'note', 'Nota', 'text', '{}', now(), now()))
         INSERT INTO contacts (company_id, id, name, custom, source, created_at, updated_at)
         SELECT $1, gen_random_uuid(), 'Cliente ' || number, jsonb_build_object('note', repeat('nota ', 800)), 'manual',
                '2026-01-01T00:00:00Z'::timestamptz + number / 10 * interval '1 second', now()
         FROM generate_series(1, $3) AS number",
    )
    .bind(flow.tenant.company_id)
    .bind(new_id())
    .bind(MANY)
    .execute(&flow.admin)
    .await
    .unwrap();
    // Who works dies each time when another part is stored; and then time runs so fast that each job writes one part.
    let parts = async || -> i32 {
        sqlx::query_scalar(
            "SELECT coalesce(max(cardinality(parts)), 0) FROM contact_exports WHERE company_id = $1",
        )
        .bind(flow.tenant.company_id)
        .fetch_one(&flow.admin)
        .await
        .unwrap()
    };
    let export = begin(&flow, &json!({})).await;
    let mut stored = 0;
    loop {
        let dies = async || {
            let now = parts().await;
            now > std::mem::replace(&mut stored, now)
        };
        match flow.step_unless(Queue::Imports, dies).await {
            Step::Died => {}
            Step::Done => break,
            Step::Nothing => panic!("the job is lost"),
        }
    }
    flow.recover().await;
    assert!(stored >= 2, "it was killed after {stored} parts");
    let first = fetch(&find(&flow, &export).await).await;
    assert_eq!(first.lines().count() as i64, MANY + 1);
    let once: std::collections::BTreeSet<_> = first.lines().collect();
    assert_eq!(once.len() as i64, MANY + 1, "each contact once");

    let export = begin(&flow, &json!({})).await;
    let mut jobs = 0;
    loop {
        let hurry = async || {
            flow.clock.pass(chrono::TimeDelta::minutes(2));
            false
        };
        match flow.step_unless(Queue::Imports, hurry).await {
            Step::Done => jobs += 1,
            Step::Nothing => break,
            Step::Died => unreachable!("it is not killed"),
        }
    }
    assert_eq!(jobs, 3, "one a part");
    flow.recover().await;
    assert_eq!(fetch(&find(&flow, &export).await).await, first);
    flow.end().await;
}
