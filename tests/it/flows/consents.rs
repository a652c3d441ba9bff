//! Whether customers want to be written to: said to a person, or by a keyword; and all that happened with them.

use axum::http::Method;
use chrono::TimeDelta;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::webhook::{body, change, contact, status, text};
use testkit::{Flow, Step, TenantOptions, at_answer, new_id, now_seconds};

use super::board::new_board;
use super::contacts::{company, get, made, names, path_of, post, wrong_field};
use super::late_news::{brings, prefers};
use crate::inbox::redacted;

/// A customer writes, `age` seconds ago, once or again.
async fn writes(flow: &Flow, wa_id: &str, wamid: &str, said: &str, age: i64) {
    let message = text(wa_id, wamid, now_seconds() - age, said);
    let changes = change(&flow.tenant.phone_number_id, &[contact(wa_id, "Ana")], &[message], &[]);
    let _answer = flow.deliver(&body(&flow.tenant.waba_id, &[changes]).to_string()).await.expect_status(200);
    while flow.step(Queue::Inbound).await != Step::Nothing {}
}

/// The ledger, oldest first.
pub(super) async fn ledger(flow: &Flow) -> Vec<Value> {
    sqlx::query_scalar(
        "SELECT jsonb_build_object('kind', kind, 'scope', scope, 'source', source, 'proof', proof, 'actor_kind', actor_kind,
                                   'of_message', message_id IS NOT NULL)
         FROM contact_consents WHERE company_id = $1 ORDER BY at, id",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_customers_word_is_written_down() {
    let flow = company().await;
    let ana = made(&flow, "contacts", json!({ "name": "Ana" })).await;
    let path = path_of(&ana, "contacts");
    let (opt_out, opt_in) = (format!("{path}/opt-out"), format!("{path}/opt-in"));
    let out = json!({ "source": "telefone", "proof": "Pediu em 10/11, às 14h" });
    let gone = post(&flow, &opt_out, out).await.expect_status(200).body;
    assert!(gone["opted_out_at"].is_string());
    flow.clock.pass(TimeDelta::seconds(5));
    let again = flow.api(Method::POST, &opt_out, None).await.expect_status(200).body;
    assert_eq!(again["opted_out_at"], gone["opted_out_at"], "since the first time");
    assert_eq!(names(&flow, "opted_out=true").await, ["Ana"]);
    // Who has said something is not forgotten by the way.
    let kept = flow.api(Method::DELETE, &path, None).await;
    insta::assert_json_snapshot!("contact_with_history", kept.body);
    let _problem = kept.expect_problem(409, "contact_has_history");

    for proof in [json!({}), json!({ "proof": " " })] {
        assert_eq!(wrong_field(post(&flow, &opt_in, proof).await), "proof");
    }
    let long = json!({ "proof": "sim", "source": "a".repeat(61) });
    assert_eq!(wrong_field(post(&flow, &opt_in, long).await), "source");
    let unknown = json!({ "proof": "sim", "message_id": new_id() });
    assert_eq!(wrong_field(post(&flow, &opt_in, unknown).await), "message_id");
    // A message proves something of whoever wrote it.
    writes(&flow, "556288880013", "wamid.1", "Quero sim", 60).await;
    let message = get(&flow, "messages").await["items"][0]["id"].clone();
    let of_another = json!({ "proof": "sim", "message_id": message });
    assert_eq!(wrong_field(post(&flow, &opt_in, of_another.clone()).await), "message_id");
    let writer = get(&flow, "contacts/by-phone/62988880013").await;
    let path = format!("{}/opt-in", path_of(&writer, "contacts"));
    let _contact = post(&flow, &path, of_another).await.expect_status(200);
    flow.clock.pass(TimeDelta::seconds(5));
    let yes = json!({ "source": "formulário do site", "proof": "Aceito receber novidades" });
    let back = post(&flow, &opt_in, yes).await.expect_status(200).body;
    assert_eq!(back["opted_out_at"], Value::Null);
    insta::assert_json_snapshot!("consents", ledger(&flow).await);
    for nobody in ["opt-out", "opt-in"] {
        let path = format!("contacts/{}/{nobody}", new_id());
        let _problem = post(&flow, &path, json!({ "proof": "sim" })).await.expect_problem(404, "not_found");
    }
    flow.pump().await;
    let told: Vec<_> = flow.events().await.iter().map(|event| event["type"].clone()).collect();
    assert!(told.contains(&json!("contact.opted_out")) && told.contains(&json!("contact.opted_in")));
    // The application's role may add to the ledger, and no more.
    for right in ["UPDATE", "DELETE"] {
        let may: bool = sqlx::query_scalar("SELECT has_table_privilege('mia_app', 'contact_consents', $1)")
            .bind(right)
            .fetch_one(&flow.admin)
            .await
            .unwrap();
        assert!(!may, "{right}");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_keyword_opts_out_once() {
    let flow = company().await;
    let opted_out = || async { get(&flow, "contacts").await["items"][0]["opted_out_at"].clone() };
    writes(&flow, "556288880010", "wamid.1", "Quero parar de fumar", 300).await;
    writes(&flow, "556288880010", "wamid.2", "Não quero mais", 290).await;
    assert_eq!(opted_out().await, Value::Null);
    for _ in 0..2 {
        writes(&flow, "556288880010", "wamid.3", " Saír! ", 280).await;
    }
    let since = opted_out().await;
    assert!(since.is_string());
    assert_eq!(ledger(&flow).await.len(), 1, "whatever comes twice");

    let contact = get(&flow, "contacts").await["items"][0].clone();
    let opt_in = format!("{}/opt-in", path_of(&contact, "contacts"));
    let _answer = post(&flow, &opt_in, json!({ "proof": "Ligou e pediu" })).await.expect_status(200);
    writes(&flow, "556288880010", "wamid.4", "STOP", 270).await;
    assert_eq!(opted_out().await, Value::Null, "older words change nothing");
    assert_eq!(ledger(&flow).await.len(), 3, "but are kept");

    let settings = json!({ "settings": { "opt_out_keywords": ["Não quero mais!", "nao QUERO mais"] } });
    let company = flow.api(Method::PATCH, "company", Some(&settings)).await.expect_status(200).body;
    assert_eq!(company["settings"]["opt_out_keywords"], json!(["nao quero mais"]));
    writes(&flow, "556288880011", "wamid.5", "não quero mais", 260).await;
    assert_eq!(names(&flow, "opted_out=true").await, ["Ana"]);
    for wrong in [json!(["👍"]), json!(["a".repeat(41)])] {
        let settings = json!({ "settings": { "opt_out_keywords": wrong } });
        let answer = flow.api(Method::PATCH, "company", Some(&settings)).await;
        assert_eq!(wrong_field(answer), "settings.opt_out_keywords");
    }
    flow.pump().await;
    flow.end().await;
}

/// How many turns of customers the AI was to answer.
async fn turns(flow: &Flow) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM turns WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .fetch_one(&flow.admin)
        .await
        .unwrap()
}

#[tokio::test]
async fn nobody_answers_who_opts_out() {
    let flow = Flow::start(TenantOptions { persona: true, ..TenantOptions::default() }).await;
    writes(&flow, "556288880020", "wamid.1", "Parar", 60).await;
    assert_eq!(turns(&flow).await, 0);
    writes(&flow, "556288880021", "wamid.2", "Parar de pagar?", 60).await;
    assert_eq!(turns(&flow).await, 1);
    sqlx::query("UPDATE connections SET persona_id = NULL WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .execute(&flow.admin)
        .await
        .unwrap();
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn marketing_is_stopped_and_resumed_apart() {
    let flow = company().await;
    let wa_id = "556288880022";
    writes(&flow, wa_id, "wamid.1", "Oi", 300).await;
    let shown = async || get(&flow, "contacts").await["items"][0].clone();
    let customer = || json!({ "wa_id": wa_id });
    let stop = prefers(&flow, customer(), "stop", 200);
    brings(
        &flow,
        &[
            std::slice::from_ref(&stop),
            std::slice::from_ref(&stop),
            &[prefers(&flow, customer(), "resume", 250)],
        ],
    )
    .await;
    let stopped = shown().await;
    assert!(stopped["marketing_opted_out_at"].is_string(), "neither twice nor by what was said before");
    assert_eq!(stopped["opted_out_at"], Value::Null, "other messages are welcome");
    brings(&flow, &[&[prefers(&flow, customer(), "resume", 100)]]).await;
    assert_eq!(shown().await["marketing_opted_out_at"], Value::Null);

    // Meta knew it before us.
    let conversation = get(&flow, "conversations").await["items"][0]["id"].clone();
    let new = json!({ "conversation_id": conversation, "type": "text", "text": "Promoção", "send_external": false });
    let written = post(&flow, "messages", new).await.expect_status(202).body;
    sqlx::query("UPDATE messages SET provider_message_id = 'wamid.2' WHERE id = $1")
        .bind(written["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap())
        .execute(&flow.admin)
        .await
        .unwrap();
    let mut failed = status(wa_id, "wamid.2", now_seconds() - 10, "failed");
    failed["errors"] = json!([{ "code": 131_050, "title": "User has stopped marketing messages" }]);
    let failed = change(&flow.tenant.phone_number_id, &[], &[], &[failed]);
    brings(&flow, &[std::slice::from_ref(&failed), std::slice::from_ref(&failed)]).await;
    assert!(shown().await["marketing_opted_out_at"].is_string());
    insta::assert_json_snapshot!("marketing_consents", ledger(&flow).await);
    let timeline = format!("{}/timeline", path_of(&stopped, "contacts"));
    let told = get(&flow, &timeline).await["items"].clone();
    let of_marketing = |entry: &&Value| entry["detail"]["scope"] == "marketing";
    assert_eq!(told.as_array().unwrap().iter().filter(of_marketing).count(), 4);
    flow.pump().await;
    let changed = json!({ "type": "contact.changed", "contact_id": stopped["id"] });
    let is_changed =
        |event: &&Value| event["type"] == changed["type"] && event["contact_id"] == changed["contact_id"];
    assert_eq!(flow.events().await.iter().filter(is_changed).count(), 3, "older news is none");
    flow.end().await;
}

#[tokio::test]
async fn a_keyword_opts_out_once_wherever_its_consumer_dies() {
    let flow = company().await;
    for answers in 1.. {
        let wa_id = format!("5562888811{answers:02}");
        let message = text(&wa_id, &format!("wamid.{answers}"), now_seconds() - 60, "CANCELAR");
        let changes = change(&flow.tenant.phone_number_id, &[contact(&wa_id, "Ana")], &[message], &[]);
        let _answer =
            flow.deliver(&body(&flow.tenant.waba_id, &[changes]).to_string()).await.expect_status(200);
        let step = flow.step_unless(Queue::Inbound, at_answer(answers)).await;
        flow.recover().await;
        assert_eq!(ledger(&flow).await.len(), answers, "after a death at answer {answers}");
        assert_eq!(names(&flow, "opted_out=true").await.len(), answers);
        if step == Step::Done {
            assert!(answers > 5, "it came through after {answers} answers");
            break;
        }
    }
    flow.end().await;
}

#[tokio::test]
async fn a_timeline_has_everything_in_order() {
    let flow = company().await;
    writes(&flow, "556288880012", "wamid.1", "Oi\nTudo bem?", 3_600).await;
    let contact = get(&flow, "contacts").await["items"][0].clone();
    let path = path_of(&contact, "contacts");
    flow.clock.pass(TimeDelta::seconds(1));
    let _note = made(&flow, &format!("{path}/notes"), json!({ "text": "Cliente antiga" })).await;
    flow.clock.pass(TimeDelta::seconds(1));
    let heard = json!({ "source": "telefone", "proof": "Pediu" });
    let _contact = post(&flow, &format!("{path}/opt-out"), heard).await.expect_status(200);
    flow.clock.pass(TimeDelta::seconds(1));
    let session = get(&flow, "sessions").await["items"][0].clone();
    let close = format!("{}/close", path_of(&session, "sessions"));
    let _session = post(&flow, &close, json!({ "end_reason": "resolvido" })).await.expect_status(200);
    flow.clock.pass(TimeDelta::seconds(1));
    let board = made(&flow, "kanbans", new_board()).await;
    let lead = json!({ "board_id": board["id"], "title": "Plano anual", "contact_id": contact["id"] });
    let lead = made(&flow, "leads", lead).await;
    flow.clock.pass(TimeDelta::seconds(1));
    let onwards = json!({ "stage_id": board["stages"][1]["id"], "reason": "Pediu proposta" });
    let _lead = post(&flow, &format!("{}/move", path_of(&lead, "leads")), onwards).await.expect_status(200);
    let other = path_of(&made(&flow, "contacts", json!({ "name": "Ana Souza" })).await, "contacts");
    flow.clock.pass(TimeDelta::seconds(1));
    let into = json!({ "into": contact["id"] });
    let _both = post(&flow, &format!("{other}/merge"), into).await.expect_status(200);
    flow.clock.pass(TimeDelta::seconds(1));
    let _apart = flow.api(Method::POST, &format!("{other}/unmerge"), None).await.expect_status(200);

    let timeline = format!("{path}/timeline");
    let whole = get(&flow, &timeline).await;
    let mut shown = redacted(&whole);
    for entry in shown["items"].as_array_mut().unwrap() {
        entry["at"] = json!("[time]");
    }
    insta::assert_json_snapshot!("contact_timeline", shown);
    let items = whole["items"].as_array().unwrap();
    let times: Vec<_> = items.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    for limit in 1..=items.len() {
        let mut read = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(&flow, &format!("{timeline}?limit={limit}{cursor}")).await;
            read.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(read, *items, "in pages of {limit}");
    }
    let nobody = format!("contacts/{}/timeline", new_id());
    let _problem = flow.api(Method::GET, &nobody, None).await.expect_problem(404, "not_found");
    let wrong = flow.api(Method::GET, &format!("{timeline}?cursor=x"), None).await;
    assert_eq!(wrong_field(wrong), "cursor");
    flow.pump().await;
    flow.end().await;
}
