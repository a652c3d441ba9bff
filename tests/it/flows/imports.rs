//! Contacts out of files: any file that people have, each row once, whoever dies and whoever is quicker.

use std::collections::BTreeSet;

use axum::http::Method;
use domain::job::Queue;
use serde_json::{Value, json};
use sqlx::Row as _;
use testkit::{Flow, PATIENCE, Step, TenantOptions, eventually, new_id, new_word};

use super::customer::Customer;
use super::files::{bring, comparable};

/// Rows of more than two stretches.
const MANY: usize = 11_000;

async fn start() -> Flow {
    Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await
}

/// Brings a file; the body of an import of it.
async fn file(flow: &Flow, bytes: &[u8], mapping: Value) -> Value {
    let media_id = bring(flow, "import", "clientes.csv", "text/csv", bytes).await;
    json!({ "media_id": media_id, "mapping": mapping })
}

async fn begin(flow: &Flow, body: &Value) -> String {
    let import = flow.api(Method::POST, "contacts/imports", Some(body)).await.expect_status(202).body;
    import["id"].as_str().unwrap().to_owned()
}

async fn find(flow: &Flow, id: &str) -> Value {
    flow.api(Method::GET, &format!("contacts/imports/{id}"), None).await.expect_status(200).body
}

/// Reads a file in to its end; the import then.
async fn import(flow: &Flow, body: &Value) -> Value {
    let id = begin(flow, body).await;
    flow.pump().await;
    find(flow, &id).await
}

async fn errors(flow: &Flow, import: &Value) -> String {
    let path = format!("contacts/imports/{}/errors", import["id"].as_str().unwrap());
    let answer = flow.api(Method::GET, &path, None).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/csv"));
    assert!(answer.headers.get("link").is_none());
    answer.body.as_str().unwrap().trim_start_matches('\u{feff}').to_owned()
}

/// The company's contacts as the database has them, without ids and times, in the order of their phones.
async fn contacts(flow: &Flow) -> Value {
    let row = sqlx::query(
        "SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'phone', phone, 'email', email, 'source', source,
                    'external_id', external_id, 'tags', to_jsonb(tags), 'custom', custom, 'addresses',
                    (SELECT jsonb_agg(kind || ' ' || value ORDER BY kind, value) FROM contact_addresses a
                     WHERE a.company_id = c.company_id AND a.contact_id = c.id))
                ORDER BY phone, email, external_id), '[]') AS contacts
         FROM contacts c WHERE company_id = $1",
    );
    let row = row.bind(flow.tenant.company_id).fetch_one(&flow.admin).await.unwrap();
    row.get("contacts")
}

/// What must not change when nothing does.
async fn versions(flow: &Flow) -> Vec<(uuid::Uuid, chrono::DateTime<chrono::Utc>, String)> {
    sqlx::query_as("SELECT id, updated_at, xmin::text FROM contacts WHERE company_id = $1 ORDER BY id")
        .bind(flow.tenant.company_id)
        .fetch_all(&flow.admin)
        .await
        .unwrap()
}

async fn make_field(flow: &Flow, key: &str, label: &str, kind: &str, options: &[&str]) {
    sqlx::query(
        "INSERT INTO contact_fields (company_id, id, key, label, type, options, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, now(), now())",
    )
    .bind(flow.tenant.company_id)
    .bind(new_id())
    .bind(key)
    .bind(label)
    .bind(kind)
    .bind(options)
    .execute(&flow.admin)
    .await
    .unwrap();
}

async fn make_list(flow: &Flow) -> String {
    let id = new_id();
    sqlx::query(
        "INSERT INTO lists (company_id, id, name, created_at, updated_at) VALUES ($1, $2, $3, now(), now())",
    )
    .bind(flow.tenant.company_id)
    .bind(id)
    .bind(new_word("lista-"))
    .execute(&flow.admin)
    .await
    .unwrap();
    id.to_string()
}

async fn in_list(flow: &Flow, list_id: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM list_contacts WHERE company_id = $1 AND list_id = $2")
        .bind(flow.tenant.company_id)
        .bind(uuid::Uuid::parse_str(list_id).unwrap())
        .fetch_one(&flow.admin)
        .await
        .unwrap()
}

/// A text without the ids in it.
fn without_ids(text: &str) -> String {
    let mut rest = text;
    let mut found = String::new();
    while let Some(c) = rest.chars().next() {
        match rest.get(..36).filter(|word| uuid::Uuid::parse_str(word).is_ok()) {
            Some(id) => {
                found += "[id]";
                rest = &rest[id.len()..];
            }
            None => {
                found.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    found
}

/// As Excel writes it in Brazil.
const LATIN: &str = "Nome;Celular;E-mail;Código;Cidade;Cliente desde;Etiquetas\r\n\
    Ana Souza;(62) 99999-0001;ANA@Loja.com.br;17;Goiânia;21/11/2024;vip, São João\r\n\
    \"Silva; José\";62 9999-0002;;;Anápolis;;\r\n\
    ;;;;;;\r\n\
    José Silva;+55 62 99999-0002;jose@loja.com.br;;;;vip\r\n\
    Sem número;123;;;;;\r\n\
    Sem nada;;;;Goiânia;;\r\n\
    '=Ana;62 99999-0003;isto não é;;Goiânia;ontem;\r\n\
    De quem;62 99999-0001;jose@loja.com.br;;;;\r\n";

fn latin() -> Vec<u8> {
    LATIN.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn latin_mapping() -> Value {
    json!({
        "Nome": "name", "Celular": "phone", "E-mail": "email", "Código": "external_id", "Cidade": "custom.city",
        "Cliente desde": "custom.since", "Etiquetas": "tags",
    })
}

async fn make_fields(flow: &Flow) {
    make_field(flow, "city", "Cidade", "text", &[]).await;
    make_field(flow, "since", "Cliente desde", "date", &[]).await;
}

#[tokio::test]
async fn a_file_is_looked_at() {
    let flow = start().await;
    make_fields(&flow).await;
    let media_id = bring(&flow, "import", "clientes.csv", "text/csv", &latin()).await;
    let look = async |body: Value| flow.api(Method::POST, "contacts/imports/preview", Some(&body)).await;
    let preview = look(json!({ "media_id": media_id })).await.expect_status(200).body;
    insta::assert_json_snapshot!("import_preview", preview);
    assert_eq!(preview["suggested_mapping"], latin_mapping());
    let told =
        json!({ "media_id": media_id, "format": { "delimiter": ",", "header": false, "encoding": "utf-8" } });
    let preview = look(told).await.expect_status(200).body;
    assert_eq!(preview["format"], json!({ "delimiter": ",", "encoding": "utf-8", "header": false }));
    assert_eq!(preview["columns"][0]["name"], "column_1");

    let problem = look(json!({ "media_id": new_id() })).await.expect_problem(404, "not_found");
    insta::assert_json_snapshot!("import_media_not_found", problem);
    let waiting = json!({ "purpose": "import", "file_name": "a.csv", "mime_type": "text/csv", "size": 3 });
    let waiting = flow.api(Method::POST, "media", Some(&waiting)).await.expect_status(201).body;
    let problem = look(json!({ "media_id": waiting["id"] })).await.expect_problem(409, "media_not_ready");
    insta::assert_json_snapshot!("import_media_not_ready", problem);
    let other = bring(&flow, "message", "a.txt", "text/plain", b"a,b\n").await;
    let problem = look(json!({ "media_id": other })).await.expect_problem(422, "invalid");
    insta::assert_json_snapshot!("import_media_of_another_purpose", problem);
    let nameless = bring(&flow, "import", "a.csv", "text/csv", b"Ana|62999990001\nRui|62999990002\n").await;
    let preview = look(json!({ "media_id": nameless })).await.expect_status(200).body;
    insta::assert_json_snapshot!("import_preview_without_header", preview);
    flow.end().await;
}

#[tokio::test]
async fn contacts_come_out_of_a_file_and_the_same_file_changes_nothing() {
    let flow = start().await;
    make_fields(&flow).await;
    let list_id = make_list(&flow).await;
    let mut body = file(&flow, &latin(), latin_mapping()).await;
    body["list_id"] = json!(list_id);
    let asked = flow.api(Method::POST, "contacts/imports", Some(&body)).await.expect_status(202).body;
    insta::assert_json_snapshot!("import_accepted", comparable(&asked));
    flow.pump().await;
    let done = find(&flow, asked["id"].as_str().unwrap()).await;
    insta::assert_json_snapshot!("import_done", comparable(&done));
    let wrong = without_ids(&errors(&flow, &done).await);
    insta::assert_snapshot!("import_errors", wrong);
    let known = contacts(&flow).await;
    insta::assert_json_snapshot!("import_contacts", known);
    assert_eq!(in_list(&flow, &list_id).await, 2);

    let before = versions(&flow).await;
    let again = import(&flow, &body).await;
    assert_eq!(
        again["counts"],
        json!({ "rows": 7, "created": 0, "updated": 0, "unchanged": 3, "failed": 4 })
    );
    assert_eq!(versions(&flow).await, before, "not even touched");
    assert_eq!(in_list(&flow, &list_id).await, 2);

    // Another encoding and separator of the same is the same.
    let wide: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(LATIN.replace(';', "\t").encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let wide = import(&flow, &file(&flow, &wide, latin_mapping()).await).await;
    assert_eq!(wide["format"], json!({ "delimiter": "\t", "encoding": "utf-16le", "header": true }));
    assert_eq!(wide["counts"]["created"], 0);

    // What a later file says otherwise is so; what it leaves empty stays.
    let news = "telefone,nome,cidade\n62999990001,Ana S. Souza,\n62999990002,,Goiânia\n";
    let mapping = json!({ "telefone": "phone", "nome": "name", "cidade": "custom.city" });
    let news = import(&flow, &file(&flow, news.as_bytes(), mapping).await).await;
    assert_eq!(news["counts"], json!({ "rows": 2, "created": 0, "updated": 2, "unchanged": 0, "failed": 0 }));
    let known = contacts(&flow).await;
    assert_eq!((&known[0]["name"], &known[0]["custom"]["city"]), (&json!("Ana S. Souza"), &json!("Goiânia")));
    assert_eq!((&known[1]["name"], &known[1]["custom"]["city"]), (&json!("José Silva"), &json!("Goiânia")));
    let changes: Vec<Value> = sqlx::query_scalar(
        "SELECT jsonb_build_array(kind, actor_kind, object_id, was, became) FROM contact_history WHERE company_id = $1
         ORDER BY was::text DESC",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    let change = |was: Value, became: Value| json!(["contact_changed", "system", news["id"], was, became]);
    assert_eq!(
        changes,
        [
            change(json!({ "name": "Ana Souza" }), json!({ "name": "Ana S. Souza" })),
            change(json!({ "custom.city": "Anápolis" }), json!({ "custom.city": "Goiânia" })),
        ]
    );

    let listed = flow.api(Method::GET, "contacts/imports?limit=2", None).await.expect_status(200).body;
    assert_eq!(listed["items"][0], news);
    let next = format!("contacts/imports?limit=2&cursor={}", listed["next_cursor"].as_str().unwrap());
    let next = flow.api(Method::GET, &next, None).await.expect_status(200).body;
    assert_eq!((&next["items"][1]["id"], &next["next_cursor"]), (&done["id"], &Value::Null));
    let told = flow.events().await;
    let states: Vec<_> = told
        .iter()
        .filter(|event| event["type"] == "import.progress" && event["import_id"] == done["id"])
        .map(|event| event["state"].clone())
        .collect();
    assert!(states.contains(&json!("running")) && states.contains(&json!("done")), "{states:?}");
    flow.end().await;
}

#[tokio::test]
async fn a_dry_run_only_tells() {
    let flow = start().await;
    make_fields(&flow).await;
    let mut body = file(&flow, &latin(), latin_mapping()).await;
    body["dry_run"] = json!(true);
    let done = import(&flow, &body).await;
    assert_eq!((&done["state"], &done["dry_run"]), (&json!("done"), &json!(true)));
    assert_eq!(done["counts"], json!({ "rows": 7, "created": 2, "updated": 1, "unchanged": 0, "failed": 4 }));
    assert!(errors(&flow, &done).await.lines().count() > 4);
    assert_eq!(contacts(&flow).await, json!([]));
    flow.end().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let flow = start().await;
    let good = file(&flow, b"Nome,Fone\nAna,62999990001\n", json!({ "Nome": "name", "Fone": "phone" })).await;
    let mut problems = Vec::new();
    for (name, value, status, code) in [
        ("mapping", json!({ "Nome": "name" }), 422, "invalid"),
        ("mapping", json!({ "Fone": "phone", "Celular": "name" }), 422, "invalid"),
        ("mapping", json!({ "Fone": "telefone" }), 422, "invalid"),
        ("mapping", json!({ "Fone": "phone", "Nome": "phone" }), 422, "invalid"),
        ("mapping", json!({ "Fone": "phone", "Nome": "custom.no" }), 422, "invalid"),
        ("mapping", json!(["Fone"]), 422, "invalid"),
        ("default_country", json!("XX"), 422, "invalid"),
        ("default_country", json!("br"), 422, "invalid"),
        ("list_id", json!(new_id()), 404, "not_found"),
        ("media_id", json!(new_id()), 404, "not_found"),
        ("quickly", json!(true), 422, "invalid"),
    ] {
        let mut body = good.clone();
        body[name] = value.clone();
        let answer = flow.api(Method::POST, "contacts/imports", Some(&body)).await;
        let value = if name.ends_with("_id") { json!("[id]") } else { value };
        problems.push(json!([{ name: value }, answer.expect_problem(status, code)]));
    }
    insta::assert_json_snapshot!("import_asked_wrongly", problems);

    let look = async |body: Value| flow.api(Method::POST, "contacts/imports/preview", Some(&body)).await;
    let mut problems = Vec::new();
    // The upload looks at the beginning alone.
    let no_text = [b"Fone\n".as_slice(), &b"62999990001\n".repeat(2_000), b"\0\n"].concat();
    for bytes in [b"\xEF\xBB\xBF\r\n", no_text.as_slice()] {
        let media_id = bring(&flow, "import", "a.csv", "text/csv", bytes).await;
        let preview = look(json!({ "media_id": media_id })).await;
        problems.push(json!([format!("{} bytes", bytes.len()), preview.expect_problem(422, "invalid")]));
    }
    for body in [
        json!({}),
        json!({ "media_id": "1" }),
        json!({ "media_id": new_id(), "format": { "delimiter": ":" } }),
    ] {
        let problem = look(body.clone()).await.expect_problem(422, "invalid");
        let body = without_ids(&body.to_string());
        problems.push(json!([body, problem]));
    }
    insta::assert_json_snapshot!("import_previewed_wrongly", problems);

    let mut problems = Vec::new();
    for (method, path, status, code) in [
        (Method::GET, format!("contacts/imports/{}", new_id()), 404, "not_found"),
        (Method::GET, format!("contacts/imports/{}/errors", new_id()), 404, "not_found"),
        (Method::GET, format!("contacts/imports/{}/errors?after=x", new_id()), 422, "invalid"),
        (Method::POST, format!("contacts/imports/{}/cancel", new_id()), 404, "not_found"),
        (Method::GET, "contacts/imports?limit=0".to_owned(), 422, "invalid"),
        (Method::GET, "contacts/imports?cursor=x".to_owned(), 422, "invalid"),
    ] {
        let problem = flow.api(method.clone(), &path, None).await.expect_problem(status, code);
        problems.push(json!([format!("{method} {}", without_ids(&path)), problem]));
    }
    insta::assert_json_snapshot!("imports_found_wrongly", problems);

    let key = new_word("chave-");
    let once = async |body: &Value| flow.api_once(Method::POST, "contacts/imports", &key, body).await;
    let first = once(&good).await.expect_status(202).body;
    assert_eq!(once(&good).await.expect_status(202).body["id"], first["id"]);
    let mut other = good.clone();
    other["dry_run"] = json!(true);
    let problem = once(&other).await.expect_problem(409, "idempotency_key_reused");
    insta::assert_json_snapshot!("import_key_reused", problem);
    flow.pump().await;
    assert_eq!(find(&flow, first["id"].as_str().unwrap()).await["counts"]["created"], 1);
    flow.end().await;
}

#[tokio::test]
async fn a_row_is_whose_it_surely_is() {
    let flow = start().await;
    make_field(&flow, "note", "Nota", "text", &[]).await;
    // Whoever wrote before their number was on file is known by WhatsApp's spelling alone.
    let wrote = new_id();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "INSERT INTO contacts (company_id, id, name, source, created_at, updated_at)
             VALUES ('{company}', '{wrote}', '', 'whatsapp_cloud', now(), now());
         INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
             VALUES ('{company}', 'wa_id', '556299990001', '{wrote}', now())",
        company = flow.tenant.company_id
    )))
    .execute(&flow.admin)
    .await
    .unwrap();
    let tags = |from: usize, to: usize| (from..to).map(|tag| format!("t{tag}")).collect::<Vec<_>>().join("|");
    let text = format!(
        "\u{feff}Nome,Fone,E-mail,Código,Tags,Nota\n\
         Ana,62999990001,,,,\"a\nb\"\n\
         Rui,62999990002,casa@loja.com,17,{},\n\
         Eva,62999990002,,18,,\n\
         Ivo,62999990003,casa@loja.com,19,,\n\
         Rui,,,17,{},\n\
         Rui Luz,,,17,t0,\n",
        tags(0, 49),
        tags(49, 51)
    );
    let mapping = json!({
        "Nome": "name", "Fone": "phone", "E-mail": "email", "Código": "external_id", "Tags": "tags",
        "Nota": "custom.note",
    });
    let body = file(&flow, text.as_bytes(), mapping).await;
    let done = import(&flow, &body).await;
    assert_eq!(done["format"], json!({ "delimiter": ",", "encoding": "utf-8", "header": true }));
    assert_eq!(done["counts"], json!({ "rows": 6, "created": 1, "updated": 2, "unchanged": 0, "failed": 3 }));
    insta::assert_snapshot!("import_errors_of_others", without_ids(&errors(&flow, &done).await));
    let known = contacts(&flow).await;
    insta::assert_json_snapshot!("import_contacts_by_address", known, { "[].tags" => "[tags]" });
    let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM contacts WHERE company_id = $1 AND name = 'Ana'")
        .bind(flow.tenant.company_id)
        .fetch_one(&flow.admin)
        .await
        .unwrap();
    assert_eq!(id, wrote);
    let before = versions(&flow).await;
    let again = import(&flow, &body).await;
    // `Rui` and `Rui Luz` take each other back.
    assert_eq!(
        again["counts"],
        json!({ "rows": 6, "created": 0, "updated": 0, "unchanged": 3, "failed": 3 })
    );
    assert_eq!(versions(&flow).await, before);
    flow.end().await;
}

#[tokio::test]
async fn an_import_is_cancelled() {
    let flow = start().await;
    let body = file(&flow, many(MANY).as_bytes(), many_mapping()).await;
    let cancel =
        async |id: &str| flow.api(Method::POST, &format!("contacts/imports/{id}/cancel"), None).await;
    let id = begin(&flow, &body).await;
    let cancelled = cancel(&id).await.expect_status(200).body;
    insta::assert_json_snapshot!("import_cancelled", comparable(&cancelled));
    assert_eq!(cancel(&id).await.expect_status(200).body, cancelled, "harmless to repeat");
    flow.pump().await;
    assert_eq!(find(&flow, &id).await, cancelled, "nothing was done");

    // Between two stretches: the one at hand is stored.
    let id = begin(&flow, &body).await;
    let mut asked = false;
    let step = flow.step_unless(Queue::Imports, async || {
        // The answer to the commit is there, and nothing else is begun.
        if !asked && find(&flow, &id).await["counts"]["rows"] != 0 {
            asked = true;
            let _cancelled = cancel(&id).await.expect_status(200);
        }
        false
    });
    assert_eq!(step.await, Step::Done);
    flow.pump().await;
    let stopped = find(&flow, &id).await;
    assert_eq!(stopped["state"], "cancelled", "{stopped}");
    let rows = stopped["counts"]["rows"].as_u64().unwrap();
    assert!((1..MANY as u64).contains(&rows), "{rows}");
    let made = contacts(&flow).await.as_array().unwrap().len();
    assert_eq!(stopped["counts"]["created"], made, "what it did stays");

    let done = import(&flow, &file(&flow, b"Fone\n62999990001\n", json!({ "Fone": "phone" })).await).await;
    let problem = cancel(done["id"].as_str().unwrap()).await.expect_problem(409, "import_over");
    insta::assert_json_snapshot!("import_over", problem);
    flow.end().await;
}

/// Whose a row of [`many`] is: each tenth one is another's.
fn number_of(row: usize) -> usize {
    if row % 10 == 9 { row / 2 } else { row }
}

/// A file of rows of customers, some of whom have two.
fn many(rows: usize) -> String {
    let mut text = "nome;telefone;email\n".to_owned();
    for row in 0..rows {
        let number = number_of(row);
        text += &format!("Cliente {row};629{:08};cliente{number}@exemplo.com\n", 90_000_000 + number);
    }
    text
}

fn many_mapping() -> Value {
    json!({ "nome": "name", "telefone": "phone", "email": "email" })
}

/// What an import did, without ids and times.
async fn outcome(flow: &Flow, id: &str) -> Value {
    let import = find(flow, id).await;
    json!({ "state": import["state"], "counts": import["counts"], "errors": errors(flow, &import).await.len(),
            "contacts": contacts(flow).await })
}

#[tokio::test]
async fn whoever_dies_reading_rows_changes_nothing_about_them() {
    let usual = start().await;
    let text = format!("{}Errado;123;\n", many(60));
    let id = begin(&usual, &file(&usual, text.as_bytes(), many_mapping()).await).await;
    usual.pump().await;
    let expected = outcome(&usual, &id).await;
    assert_eq!(expected["state"], "done");
    usual.end().await;

    let flow = start().await;
    let id = begin(&flow, &file(&flow, text.as_bytes(), many_mapping()).await).await;
    let answers = flow.die_at_every_answer(Queue::Imports).await;
    assert!(answers > 10, "it came through after {answers} answers");
    flow.recover().await;
    assert_eq!(outcome(&flow, &id).await, expected);
    flow.end().await;

    // When it has done everything, and the queue has not heard of it.
    let flow = start().await;
    let id = begin(&flow, &file(&flow, text.as_bytes(), many_mapping()).await).await;
    assert_eq!(flow.step_unheard(Queue::Imports).await, Step::Died);
    flow.recover().await;
    assert_eq!(outcome(&flow, &id).await, expected);
    flow.end().await;
}

#[tokio::test]
async fn whoever_dies_between_stretches_is_taken_over_from() {
    let usual = start().await;
    let text = many(MANY);
    let id = begin(&usual, &file(&usual, text.as_bytes(), many_mapping()).await).await;
    usual.pump().await;
    let expected = outcome(&usual, &id).await;
    assert_eq!((&expected["state"], &expected["counts"]["rows"]), (&json!("done"), &json!(MANY)));
    usual.end().await;

    let flow = start().await;
    let id = begin(&flow, &file(&flow, text.as_bytes(), many_mapping()).await).await;
    // After each stretch that is stored, once.
    let mut stored = 0;
    loop {
        let dies = async || {
            let rows = find(&flow, &id).await["counts"]["rows"].as_i64().unwrap();
            rows > std::mem::replace(&mut stored, rows)
        };
        match flow.step_unless(Queue::Imports, dies).await {
            Step::Died => {}
            Step::Done => break,
            Step::Nothing => panic!("the job is lost"),
        }
    }
    flow.recover().await;
    assert_eq!(outcome(&flow, &id).await, expected);
    flow.end().await;

    // Time runs so fast that each job does one stretch; and each job comes twice.
    let flow = start().await;
    let id = begin(&flow, &file(&flow, text.as_bytes(), many_mapping()).await).await;
    let mut jobs = 0;
    loop {
        let hurry = async || {
            flow.clock.pass(chrono::TimeDelta::minutes(2));
            false
        };
        let waiting = flow.withhold(Queue::Imports).await;
        if waiting.is_empty() {
            break;
        }
        jobs += 1;
        flow.hand_over_twice(Queue::Imports, waiting).await;
        assert_eq!(flow.step_unless(Queue::Imports, hurry).await, Step::Done);
        assert_eq!(flow.step(Queue::Imports).await, Step::Done, "its repetition does nothing");
    }
    assert_eq!(jobs, 3, "one a stretch");
    assert_eq!(outcome(&flow, &id).await, expected);
    flow.end().await;
}

#[tokio::test]
async fn somebody_else_who_is_quicker_has_the_contact() {
    let flow = start().await;
    let body = file(&flow, many(60).as_bytes(), many_mapping()).await;
    let id = begin(&flow, &body).await;
    // While the import works, others make contacts of its phones: one at each answer, as far as they are not waiting.
    let mut next = 0;
    let step = flow.step_unless(Queue::Imports, async || {
        if next < 60 {
            let phone = format!("+55629{:08}", 90_000_000 + next);
            next += 6;
            let mut connection = flow.admin.acquire().await.unwrap();
            let make = format!(
                "BEGIN; SET LOCAL lock_timeout = '100ms';
                 INSERT INTO contacts (company_id, id, name, phone, source, created_at, updated_at)
                     VALUES ('{company}', '{id}', '', '{phone}', 'whatsapp_cloud', now(), now());
                 INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
                     VALUES ('{company}', 'e164', '{phone}', '{id}', now());
                 COMMIT",
                company = flow.tenant.company_id,
                id = new_id(),
            );
            // What the import has in hand already is its own.
            if sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut *connection).await.is_err() {
                sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.unwrap();
            }
        }
        false
    });
    assert_eq!(step.await, Step::Done);
    flow.pump().await;
    assert_eq!(find(&flow, &id).await["state"], "done");
    let phones: Vec<Value> =
        contacts(&flow).await.as_array().unwrap().iter().map(|contact| contact["phone"].clone()).collect();
    let mut once = phones.clone();
    once.dedup();
    assert_eq!(phones, once, "no phone leads to two contacts");
    assert_eq!(phones.len(), (0..60).map(number_of).collect::<BTreeSet<_>>().len());
    flow.end().await;
}

#[tokio::test]
async fn who_writes_while_their_number_is_read_in_is_one_contact() {
    let flow = Flow::start(TenantOptions::default()).await;
    let mut customers = Vec::new();
    for _ in 0..5 {
        customers.push(Customer::asks(&flow).await);
    }
    // Not `until`, which would take them off it.
    eventually("the messages to be on their queue", PATIENCE, async || {
        (flow.queued(Queue::Inbound).await == 5).then_some(())
    })
    .await;
    // The customers stand at the beginning of a stretch that takes its time.
    let mut text = "nome;telefone;email\n".to_owned();
    for (number, customer) in customers.iter().enumerate() {
        text += &format!("Do arquivo {number};{};\n", customer.phone);
    }
    text += &many(4_000)["nome;telefone;email\n".len()..];
    let id = begin(&flow, &file(&flow, text.as_bytes(), many_mapping()).await).await;
    let (read_in, ()) = tokio::join!(flow.step(Queue::Imports), async {
        while flow.queued(Queue::Inbound).await > 0 {
            flow.step(Queue::Inbound).await;
        }
    });
    assert_eq!(read_in, Step::Done);
    flow.pump().await;
    assert_eq!(find(&flow, &id).await["state"], "done");
    for customer in &customers {
        let contacts: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT contact_id) FROM contact_addresses WHERE company_id = $1 AND value = ANY($2)",
        )
        .bind(flow.tenant.company_id)
        .bind([format!("+{}", customer.phone), customer.phone.clone(), customer.wa_id.clone()])
        .fetch_one(&flow.admin)
        .await
        .unwrap();
        assert_eq!(contacts, 1, "one contact by WhatsApp and by the file");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_says_why() {
    let flow = start().await;
    let mut text = many(10);
    text += "\"Aspas abertas;62999990001;\n";
    text += &"x;y;z\n".repeat(200_000);
    let failed = import(&flow, &file(&flow, text.as_bytes(), many_mapping()).await).await;
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!("row_too_long")));
    insta::assert_json_snapshot!("import_failed", comparable(&failed));
    flow.end().await;
}
