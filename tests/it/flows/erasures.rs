//! What a person may ask of a company by law: everything that is known, and that it is forgotten.

use axum::http::Method;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::webhook::{body, change, status};
use testkit::{Flow, Step, TenantOptions, eventually, new_id, new_word, now_seconds};

use super::customer::Customer;
use super::people::{
    contact_of, conversations, get, hear, insert, notes_down, number, post, quiet, says, words, writes,
};
use crate::inbox::redacted;

async fn erase(flow: &Flow, id: &str) -> Value {
    flow.api(Method::POST, &format!("contacts/{id}/erase"), None).await.expect_status(202).body
}

/// Everything that the database holds of the company, as text.
async fn everything(flow: &Flow) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped
         WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    let mut all = String::new();
    for table in tables {
        let query = format!("SELECT string_agg(t::text, E'\n') FROM {table} t WHERE company_id = $1");
        let rows: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .bind(flow.tenant.company_id)
            .fetch_one(&flow.admin)
            .await
            .unwrap();
        all += &format!("{table}: {}\n", rows.unwrap_or_default());
    }
    all
}

/// What was counted: rows of each kind, statuses, money.
async fn counted(flow: &Flow, id: &str) -> Value {
    sqlx::query_scalar(
        "SELECT jsonb_build_object(
             'messages', (SELECT jsonb_agg(jsonb_build_array(id, direction, author, type, status, billing, occurred_at)
                                           ORDER BY id)
                          FROM messages WHERE company_id = $1 AND contact_id = $2::uuid),
             'sessions', (SELECT count(*) FROM sessions WHERE company_id = $1 AND contact_id = $2::uuid),
             'conversations', (SELECT count(*) FROM conversations WHERE company_id = $1 AND contact_id = $2::uuid),
             'consents', (SELECT count(*) FROM contact_consents WHERE company_id = $1 AND contact_id = $2::uuid),
             'events', (SELECT count(*) FROM inbound_events WHERE company_id = $1))",
    )
    .bind(flow.tenant.company_id)
    .bind(id)
    .fetch_one(&flow.admin)
    .await
    .unwrap()
}

/// So many messages of old times.
async fn insert_history(flow: &Flow, contact_id: &str, count: i64) {
    sqlx::query(
        "INSERT INTO messages (company_id, id, conversation_id, session_id, connection_id, contact_id, direction, author,
             type, text, status, occurred_at, created_at)
         SELECT company_id, gen_random_uuid(), conversation_id, id, $3, contact_id, 'inbound', 'CUSTOMER', 'text',
                'segredo ' || n, 'received', created_at - make_interval(secs => n), created_at
         FROM sessions, generate_series(1, $4) AS n WHERE company_id = $1 AND contact_id = $2::uuid",
    )
    .bind(flow.tenant.company_id)
    .bind(contact_id)
    .bind(flow.tenant.connection_id)
    .bind(count)
    .execute(&flow.admin)
    .await
    .unwrap();
}

#[tokio::test]
async fn everything_about_a_person_is_told() {
    let flow = quiet().await;
    let wa_id = number();
    let id = writes(&flow, &wa_id, "Ana Exemplo", "Um").await;
    let thread = conversations(&flow, &id).await.remove(0);
    notes_down(&flow, &thread, "Dois").await;
    flow.clock.pass(chrono::TimeDelta::seconds(1));
    notes_down(&flow, &thread, "Três").await;
    let note = json!({ "text": "Prefere a manhã" });
    let _note = post(&flow, &format!("contacts/{id}/notes"), note).await.expect_status(201);
    let said = json!({ "proof": "Pediu por telefone" });
    let _consent = post(&flow, &format!("contacts/{id}/opt-out"), said).await.expect_status(200);
    let twin = insert(&flow, json!({ "name": "Ana E.", "email": "ana@example.com" })).await;
    let _merged =
        post(&flow, &format!("contacts/{twin}/merge"), json!({ "into": id })).await.expect_status(200);
    let list = post(&flow, "lists", json!({ "name": "Leads" })).await.expect_status(201).body;
    let members = format!("lists/{}/contacts", list["id"].as_str().unwrap());
    let _added = post(&flow, &members, json!({ "contact_ids": [id] })).await.expect_status(200);

    let path = format!("contacts/{id}/export");
    let first = get(&flow, &format!("{path}?limit=2")).await;
    let next = first["messages"]["next_cursor"].as_str().unwrap();
    let second = get(&flow, &format!("{path}?limit=2&cursor={next}")).await;
    let told = |page: &Value| {
        let items = page["messages"]["items"].as_array().unwrap();
        items.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!([told(&first), told(&second)].concat(), ["Um", "Dois", "Três"]);
    assert_eq!(second["messages"]["next_cursor"], Value::Null);
    let mut shown = first.clone();
    shown["messages"] = json!("[messages]");
    for conversation in shown["conversations"].as_array_mut().unwrap() {
        conversation["last_inbound_at"] = json!("[time]");
    }
    shown["consents"][0]["at"] = json!("[time]");
    shown["contact"]["opted_out_at"] = json!("[time]");
    let text = redacted(&shown).to_string().replace(&wa_id, "[number]");
    insta::assert_json_snapshot!("export", serde_json::from_str::<Value>(&text).unwrap());

    let merged = flow.api(Method::GET, &format!("contacts/{twin}/export"), None).await;
    let _problem = merged.expect_problem(409, "contact_merged");
    let nobody = flow.api(Method::GET, &format!("contacts/{}/export", new_id()), None).await;
    let _problem = nobody.expect_problem(404, "not_found");
    for (query, field) in
        [("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=x", "cursor"), ("page=1", "page")]
    {
        let problem =
            flow.api(Method::GET, &format!("{path}?{query}"), None).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let logged: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_log WHERE company_id = $1 AND action = 'contact.exported'",
    )
    .bind(flow.tenant.company_id)
    .fetch_one(&flow.admin)
    .await
    .unwrap();
    assert_eq!(logged, 1, "once for all pages");
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn a_person_is_forgotten_and_what_was_counted_stays() {
    let flow = quiet().await;
    let wa_id = number();
    let secret = new_word("Segredo");
    let first = says(&flow, &wa_id, &secret, &format!("Meu nome é {secret}")).await;
    // It comes again, much later.
    assert_eq!(flow.step_unheard(Queue::Inbound).await, Step::Died);
    let late = flow.withhold(Queue::Inbound).await;
    assert_eq!(late.len(), 1);
    let id = contact_of(&flow, &wa_id).await.unwrap().to_string();
    let thread = conversations(&flow, &id).await.remove(0);
    notes_down(&flow, &thread, &format!("Olá, {secret}!")).await;
    let session = get(&flow, &format!("sessions?contact_id={id}")).await["items"][0]["id"].clone();
    let reason = json!({ "end_reason": format!("{secret} desistiu") });
    let _closed = post(&flow, &format!("sessions/{}/close", session.as_str().unwrap()), reason)
        .await
        .expect_status(200);
    writes(&flow, &wa_id, &secret, &format!("{secret} de novo")).await;
    let _note =
        post(&flow, &format!("contacts/{id}/notes"), json!({ "text": format!("{secret} liga tarde") }))
            .await
            .expect_status(201);
    let said = json!({ "proof": format!("{secret} pediu por telefone") });
    let _consent = post(&flow, &format!("contacts/{id}/opt-out"), said).await.expect_status(200);
    // Somebody who was found to be the same person, a list, and what the provider said of the number beside messages.
    let other = number();
    let twin = writes(&flow, &other, &format!("{secret} Filho"), "Sou eu também").await;
    let _merged =
        post(&flow, &format!("contacts/{twin}/merge"), json!({ "into": id })).await.expect_status(200);
    let list = post(&flow, "lists", json!({ "name": "Leads" })).await.expect_status(201).body;
    let members = format!("lists/{}/contacts", list["id"].as_str().unwrap());
    let _added = post(&flow, &members, json!({ "contact_ids": [id] })).await.expect_status(200);
    let reported = status(&wa_id, &first, now_seconds(), "read");
    let unknown = json!({ "field": "account_alerts", "value": { "about": format!("the user {wa_id}") } });
    let changes = [change(&flow.tenant.phone_number_id, &[], &[], &[reported]), unknown];
    let whole = body(&flow.tenant.waba_id, &changes).to_string();
    let _answer = flow.deliver(&whole).await.expect_status(200);
    hear(&flow).await;
    let bystander = writes(&flow, &number(), "Beto", "Nada a ver").await;
    flow.pump().await;
    let before = counted(&flow, &id).await;
    let known = everything(&flow).await;
    for trace in [&secret, &wa_id, &other, &first] {
        assert!(known.contains(trace.as_str()), "{trace} is known");
    }

    let path = format!("contacts/{id}/erase");
    assert_eq!(get(&flow, &path).await["state"], "none");
    let asked = erase(&flow, &id).await;
    insta::assert_json_snapshot!("erasure", redacted(&asked));
    assert_eq!(erase(&flow, &id).await, asked, "asked for again, it is the same");
    flow.pump().await;
    let done = get(&flow, &path).await;
    assert_eq!((&done["state"], &done["messages"]), (&json!("done"), &json!(4)));
    assert_eq!(erase(&flow, &id).await, done);

    let left = everything(&flow).await;
    for trace in [&secret, &wa_id, &other, &first] {
        let line = left.lines().find(|line| line.contains(trace.as_str()));
        assert_eq!(line, None, "{trace} is left");
    }
    assert_eq!(counted(&flow, &id).await, before);
    assert_eq!(words(&flow, &bystander).await, ["Nada a ver"]);
    let mut contact = get(&flow, &format!("contacts/{id}")).await;
    contact["opted_out_at"] = json!("[time]");
    insta::assert_json_snapshot!("erased_contact", redacted(&contact));
    let merged = flow.api(Method::POST, &format!("contacts/{twin}/erase"), None).await;
    let _problem = merged.expect_problem(409, "contact_merged");
    let nobody = flow.api(Method::POST, &format!("contacts/{}/erase", new_id()), None).await;
    let _problem = nobody.expect_problem(404, "not_found");
    let nobody = flow.api(Method::GET, &format!("contacts/{}/erase", new_id()), None).await;
    let _problem = nobody.expect_problem(404, "not_found");
    let listed = get(&flow, "contacts").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(get(&flow, &members).await["items"], json!([]));
    let text = json!({ "conversation_id": thread, "type": "text", "text": "Oi?", "send_external": false });
    let _problem = post(&flow, "messages", text).await.expect_problem(409, "contact_erased");
    let _problem =
        post(&flow, &members, json!({ "contact_ids": [id] })).await.expect_problem(409, "contact_erased");

    // A late repetition brings nothing back, and whoever writes from the same number is somebody new.
    flow.hand_over(Queue::Inbound, late).await;
    hear(&flow).await;
    assert_eq!(contact_of(&flow, &wa_id).await, None);
    // What is said of an erased message tells nothing of the person.
    let late = status(&wa_id, &first, now_seconds(), "delivered");
    let late = change(&flow.tenant.phone_number_id, &[], &[], &[late]);
    let _answer = flow.deliver(&body(&flow.tenant.waba_id, &[late]).to_string()).await.expect_status(200);
    hear(&flow).await;
    let left = everything(&flow).await;
    assert!(!left.contains(&wa_id) && !left.contains(&first), "a late report brought it back");
    let anew = writes(&flow, &wa_id, "Ana", "Olá").await;
    assert_ne!(anew, id);
    assert_eq!(words(&flow, &anew).await, ["Olá"]);
    flow.pump().await;

    let events = flow.events().await;
    let told = events.iter().filter(|event| event["type"] == "contact.erased");
    assert_eq!(told.map(|event| &event["contact_id"]).collect::<Vec<_>>(), [&json!(id)]);
    let actions: Vec<String> = sqlx::query_scalar(
        "SELECT actor_kind || ' ' || action FROM audit_log
         WHERE company_id = $1 AND action LIKE 'contact.eras%' ORDER BY at, id",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    assert_eq!(actions, ["api_key contact.erasure_requested", "system contact.erased"]);
    flow.end().await;
}

#[tokio::test]
async fn many_messages_take_several_jobs() {
    const MESSAGES: i64 = 10_700;
    let flow = quiet().await;
    let id = writes(&flow, &number(), "Ana", "segredo 0").await;
    insert_history(&flow, &id, MESSAGES).await;
    erase(&flow, &id).await;
    assert_eq!(flow.step(Queue::Erasures).await, Step::Done);
    let path = format!("contacts/{id}/erase");
    let midway = get(&flow, &path).await;
    assert_eq!((&midway["state"], &midway["messages"]), (&json!("running"), &json!(10_000)));
    flow.pump().await;
    let done = get(&flow, &path).await;
    assert_eq!((&done["state"], &done["messages"]), (&json!("done"), &json!(MESSAGES + 1)));
    assert!(!everything(&flow).await.contains("segredo"));
    flow.end().await;
}

#[tokio::test]
async fn an_erasure_that_dies_ends_the_same() {
    const MESSAGES: i64 = 1_300;
    let flow = quiet().await;
    let id = writes(&flow, &number(), "Ana", "segredo 0").await;
    insert_history(&flow, &id, MESSAGES).await;
    let before = counted(&flow, &id).await;
    erase(&flow, &id).await;
    let answers = flow.die_at_every_answer(Queue::Erasures).await;
    assert!(answers > 3, "it came through after {answers} answers");
    flow.recover().await;
    let done = get(&flow, &format!("contacts/{id}/erase")).await;
    assert_eq!((&done["state"], &done["messages"]), (&json!("done"), &json!(MESSAGES + 1)));
    assert!(!everything(&flow).await.contains("segredo"));
    assert_eq!(counted(&flow, &id).await, before);
    // A repetition of the job changes nothing.
    let logged: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_log WHERE company_id = $1 AND action = 'contact.erased'",
    )
    .bind(flow.tenant.company_id)
    .fetch_one(&flow.admin)
    .await
    .unwrap();
    assert_eq!(logged, 1);
    flow.end().await;
}

#[tokio::test]
async fn the_ai_says_nothing_more_to_who_was_forgotten() {
    let flow = Flow::start(TenantOptions { persona: true, ..TenantOptions::default() }).await;
    let customer = Customer::asks(&flow).await;
    eventually("the message to be stored", testkit::PATIENCE, async || {
        flow.step(Queue::Inbound).await;
        (!customer.stored(&flow).await.is_null()).then_some(())
    })
    .await;
    let id = customer.stored(&flow).await["contact_id"].as_str().unwrap().to_owned();
    erase(&flow, &id).await;
    flow.recover().await;
    assert_eq!(customer.received(&flow).await.len(), 0);
    assert_eq!(get(&flow, &format!("contacts/{id}/erase")).await["state"], "done");
    let left = everything(&flow).await;
    for trace in [&customer.word, &customer.wa_id] {
        let line = left.lines().find(|line| line.contains(trace.as_str()));
        assert_eq!(line, None, "{trace} is left");
    }
    flow.end().await;
}

#[tokio::test]
async fn what_the_company_made_of_a_person_is_forgotten_too() {
    let flow = quiet().await;
    let (wa_id, secret) = (number(), new_word("Segredo"));
    let id = writes(&flow, &wa_id, &secret, "Oi").await;
    let thread = conversations(&flow, &id).await.remove(0);
    let bystander = writes(&flow, &number(), "Beto", "Oi").await;
    let theirs = conversations(&flow, &bystander).await.remove(0);

    // Tags: one that the company chooses from, which is counted, and words that somebody made up.
    let word = new_word("Venda ");
    let _chosen = post(&flow, "tabulations", json!({ "name": word })).await.expect_status(201);
    let tags = json!({ "tags": [word, format!("{secret} deve")] });
    let path = format!("conversations/{thread}");
    let _tagged = flow.api(Method::PATCH, &path, Some(&tags)).await.expect_status(200);
    let session = get(&flow, &format!("sessions?contact_id={id}")).await["items"][0]["id"].clone();
    let session = format!("sessions/{}", session.as_str().unwrap());
    let _tagged = post(&flow, &format!("{session}/tags"), tags).await.expect_status(200);

    // A lead; of who is another contact now there is none.
    let board = post(&flow, "kanbans", super::board::new_board()).await.expect_status(201).body;
    let lead = json!({ "board_id": board["id"], "title": format!("Plano de {secret}"), "contact_id": id });
    let lead = post(&flow, "leads", lead).await.expect_status(201).body["id"].clone();
    let lead = format!("leads/{}", lead.as_str().unwrap());
    let twin = writes(&flow, &number(), &secret, "Sou eu também").await;
    let _merged =
        post(&flow, &format!("contacts/{twin}/merge"), json!({ "into": id })).await.expect_status(200);
    let late = json!({ "board_id": board["id"], "title": "Plano", "contact_id": twin });
    let _problem = post(&flow, "leads", late.clone()).await.expect_problem(409, "contact_merged");
    let moved = json!({ "contact_id": twin });
    let _problem = flow.api(Method::PATCH, &lead, Some(&moved)).await.expect_problem(409, "contact_merged");
    let told = get(&flow, &format!("contacts/{id}/export")).await;
    assert_eq!(told["leads"][0]["title"], format!("Plano de {secret}"));

    // A row that no import took, in another spelling of the number.
    let spelt = format!("({}) {}-{}", &wa_id[2..4], &wa_id[4..9], &wa_id[9..]);
    let rows = format!("nome;telefone;e-mail\n{secret};{spelt};sem arroba\nBeto;62988887777;sem arroba\n");
    let file = super::files::bring(&flow, "import", "clientes.csv", "text/csv", rows.as_bytes()).await;
    let mapping = json!({ "nome": "name", "telefone": "phone", "e-mail": "email" });
    let import = json!({ "media_id": file, "mapping": mapping });
    let import = post(&flow, "contacts/imports", import).await.expect_status(202).body["id"].clone();
    flow.pump().await;

    // Files: one for this person, one for others too.
    let contract = send_file(&flow, &format!("contrato {secret}.pdf"), &[&thread]).await;
    let prices = send_file(&flow, "preços.pdf", &[&thread, &theirs]).await;
    assert!(everything(&flow).await.contains(&secret));

    erase(&flow, &id).await;
    flow.pump().await;
    assert_eq!(get(&flow, &format!("contacts/{id}/erase")).await["state"], "done");
    let left = everything(&flow).await;
    for trace in [&secret, &spelt] {
        assert_eq!(left.lines().find(|line| line.contains(trace.as_str())), None, "{trace} is left");
    }
    assert_eq!(get(&flow, &path).await["tags"], json!([word]));
    assert_eq!(get(&flow, &session).await["tabulations"], json!([word]));
    assert_eq!(get(&flow, &format!("media/{contract}")).await["state"], "gone");
    assert_eq!(get(&flow, &format!("media/{prices}")).await["state"], "ready");
    let errors = format!("contacts/imports/{}/errors", import.as_str().unwrap());
    let errors = flow.api(Method::GET, &errors, None).await.body;
    assert!(errors.as_str().unwrap().contains("Beto"), "{errors}");
    let _problem =
        post(&flow, "leads", json!({ "board_id": board["id"], "title": "Plano", "contact_id": id }))
            .await
            .expect_problem(409, "contact_erased");
    flow.end().await;
}

/// Sends a file in each of these conversations; its id.
async fn send_file(flow: &Flow, name: &str, conversations: &[&str]) -> String {
    let file = super::files::bring(flow, "message", name, "application/pdf", b"%PDF-1.7\n1 0 obj").await;
    for conversation in conversations {
        let body = json!({ "conversation_id": conversation, "type": "document", "media_id": file });
        let _sent = post(flow, "messages", body).await.expect_status(202);
    }
    file
}
