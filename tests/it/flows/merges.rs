//! Contacts that are one person: merged, taken apart, and what comes in meanwhile.

use axum::http::Method;
use domain::job::Queue;
use futures::join;
use serde_json::{Value, json};
use testkit::{Answer, Flow, Step, new_id};

use super::people::{
    contact_of, conversations, get, hear, insert, notes_down, number, post, quiet, says, words, writes,
};
use crate::inbox::redacted;

async fn merge(flow: &Flow, id: &str, into: &str) -> Answer {
    post(flow, &format!("contacts/{id}/merge"), json!({ "into": into })).await
}

async fn unmerge(flow: &Flow, id: &str) -> Answer {
    flow.api(Method::POST, &format!("contacts/{id}/unmerge"), None).await
}

/// All that is known of a contact.
async fn known(flow: &Flow, id: &str) -> Value {
    let contact = get(flow, &format!("contacts/{id}")).await;
    let history = get(flow, &format!("sessions/by-contact/{id}")).await;
    let sessions: Vec<_> =
        history["sessions"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    json!([contact, sessions, conversations(flow, id).await, words(flow, id).await])
}

#[tokio::test]
async fn two_become_one_and_two_again() {
    let flow = quiet().await;
    let (first, second) = (number(), number());
    let ana = writes(&flow, &first, "Ana", "Oi, do celular").await;
    let other = writes(&flow, &second, "Ana Souza", "Oi, do trabalho").await;
    let [thread, other_thread] =
        [conversations(&flow, &ana).await.remove(0), conversations(&flow, &other).await.remove(0)];
    let list = post(&flow, "lists", json!({ "name": "Leads" })).await.expect_status(201).body;
    let list = format!("lists/{}", list["id"].as_str().unwrap());
    let members = json!({ "contact_ids": [other] });
    let _added = post(&flow, &format!("{list}/contacts"), members).await.expect_status(200);
    let before = [known(&flow, &ana).await, known(&flow, &other).await];

    let survivor = merge(&flow, &other, &ana).await.expect_status(200).body;
    let text = redacted(&survivor).to_string().replace(&first, "[first]").replace(&second, "[second]");
    insta::assert_json_snapshot!("merged", serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(merge(&flow, &other, &ana).await.expect_status(200).body, survivor, "once is enough");
    let gone = get(&flow, &format!("contacts/{other}")).await;
    assert_eq!((&gone["merged_into"], &gone["addresses"]), (&json!(ana), &json!([])));
    let listed = get(&flow, "contacts").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let mut both = vec![thread.clone(), other_thread.clone()];
    both.sort_unstable();
    assert_eq!(conversations(&flow, &ana).await, both, "each keeps its thread");
    assert_eq!(words(&flow, &ana).await, ["Oi, do celular", "Oi, do trabalho"]);
    assert_eq!(get(&flow, &list).await["contact_count"], 1);
    assert_eq!(get(&flow, &format!("{list}/contacts")).await["items"][0]["id"], json!(ana));

    // What comes by an address goes on in its own thread, under the survivor.
    assert_eq!(writes(&flow, &second, "Ana Souza", "Trabalho, de novo").await, ana);
    assert_eq!(writes(&flow, &first, "Ana", "Celular, de novo").await, ana);
    notes_down(&flow, &other_thread, "Resposta ao trabalho").await;
    assert_eq!(conversations(&flow, &ana).await, both);
    assert_eq!(words(&flow, &ana).await.len(), 5);
    let to_whom = json!({ "contact_id": other, "connection_id": flow.tenant.connection_id, "type": "text",
                          "text": "Para quem foi", "send_external": false });
    let written = post(&flow, "messages", to_whom).await.expect_status(202).body;
    assert_eq!(
        written["conversation_id"],
        json!(other_thread),
        "who was merged is written to where they wrote"
    );

    let back = unmerge(&flow, &other).await.expect_status(200).body;
    assert_eq!(back, before[1][0]);
    assert_eq!(words(&flow, &ana).await, ["Oi, do celular", "Celular, de novo"]);
    assert_eq!(
        words(&flow, &other).await,
        ["Oi, do trabalho", "Trabalho, de novo", "Resposta ao trabalho", "Para quem foi"]
    );
    for (id, before) in [(&ana, &before[0]), (&other, &before[1])] {
        let after = known(&flow, id).await;
        assert_eq!([&after[0], &after[1], &after[2]], [&before[0], &before[1], &before[2]]);
    }
    assert_eq!(get(&flow, &format!("{list}/contacts")).await["items"][0]["id"], json!(other));
    assert_eq!(get(&flow, &list).await["contact_count"], 1);
    assert_eq!(writes(&flow, &second, "Ana Souza", "Sou eu").await, other);

    flow.pump().await;
    let events = flow.events().await;
    for kind in ["contact.merged", "contact.unmerged"] {
        assert_eq!(events.iter().filter(|event| event["type"] == kind).count(), 1, "{kind}");
    }
    let actions: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM audit_log WHERE company_id = $1 AND object_kind = 'contact' ORDER BY at, id",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    assert_eq!(actions, ["contact.merged", "contact.unmerged"]);
    flow.end().await;
}

#[tokio::test]
async fn the_survivor_has_the_fields_of_both_and_gives_them_back() {
    let flow = quiet().await;
    for key in ["plano", "cpf"] {
        let field = json!({ "key": key, "label": key, "type": "text" });
        let _field = post(&flow, "contact-fields", field).await.expect_status(201);
    }
    let ana = insert(&flow, json!({ "name": "Ana", "tags": ["vip"], "custom": { "plano": "ouro" } })).await;
    let other = insert(
        &flow,
        json!({ "name": "Ana Souza", "email": "ana@example.com", "tags": ["sp"], "external_id": "4711",
                "custom": { "plano": "prata", "cpf": "1" }, "opted_out_at": "2026-01-02T00:00:00Z" }),
    )
    .await;
    let path = format!("contacts/{ana}");
    let before = get(&flow, &path).await;
    for (id, text) in [(&ana, "Prefere a manhã"), (&other, "Prefere a tarde")] {
        let _note =
            post(&flow, &format!("contacts/{id}/notes"), json!({ "text": text })).await.expect_status(201);
    }
    let notes = async |id: &str| {
        let notes = get(&flow, &format!("contacts/{id}/notes")).await;
        let texts =
            notes["items"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap().to_owned());
        texts.collect::<std::collections::BTreeSet<_>>()
    };
    let said = json!({ "proof": "Ligou e pediu", "source": "telefone" });
    let _consent = post(&flow, &format!("contacts/{other}/opt-out"), said).await.expect_status(200);
    let merged = merge(&flow, &other, &ana).await.expect_status(200).body;
    for (name, value) in [
        ("name", json!("Ana")),
        ("email", json!("ana@example.com")),
        ("external_id", json!("4711")),
        ("tags", json!(["vip", "sp"])),
        ("custom", json!({ "plano": "ouro", "cpf": "1" })),
        ("opted_out_at", json!("2026-01-02T00:00:00Z")),
    ] {
        assert_eq!(merged[name], value, "{name}");
    }
    assert_eq!(notes(&ana).await.len(), 2);
    for act in ["notes", "opt-out"] {
        let body = json!({ "text": "Nada", "proof": "Nada" });
        let body =
            if act == "notes" { json!({ "text": body["text"] }) } else { json!({ "proof": body["proof"] }) };
        let refused = post(&flow, &format!("contacts/{other}/{act}"), body).await;
        let _problem = refused.expect_problem(409, "contact_merged");
    }
    let change = json!({ "name": "Outra" });
    let refused = flow.api(Method::PATCH, &format!("contacts/{other}"), Some(&change)).await;
    let _problem = refused.expect_problem(409, "contact_merged");
    let found = get(&flow, "contacts?q=Ana").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "who was merged is not found");
    let back = unmerge(&flow, &other).await.expect_status(200).body;
    assert_eq!(notes(&ana).await, ["Prefere a manhã".to_owned()].into());
    assert_eq!(notes(&other).await, ["Prefere a tarde".to_owned()].into());
    let consents: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM contact_consents WHERE company_id = $1 AND contact_id = $2::uuid",
    )
    .bind(flow.tenant.company_id)
    .bind(&other)
    .fetch_one(&flow.admin)
    .await
    .unwrap();
    assert_eq!(consents, 1);
    assert_eq!((&back["email"], &back["tags"]), (&json!("ana@example.com"), &json!(["sp"])));
    assert_eq!(get(&flow, &path).await, before);
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn what_cannot_be_merged_is_refused() {
    let flow = quiet().await;
    let [a, b, c] =
        [insert(&flow, json!({})).await, insert(&flow, json!({})).await, insert(&flow, json!({})).await];
    let itself = merge(&flow, &a, &a).await.expect_problem(409, "same_contact");
    insta::assert_json_snapshot!("merge_same_contact", itself);
    let not = unmerge(&flow, &a).await.expect_problem(409, "not_merged");
    insta::assert_json_snapshot!("unmerge_not_merged", not);
    let nobody = new_id().to_string();
    let problem = merge(&flow, &a, &nobody).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "into");
    let _problem = merge(&flow, &nobody, &a).await.expect_problem(404, "not_found");
    let _problem = unmerge(&flow, &nobody).await.expect_problem(404, "not_found");

    let _a = merge(&flow, &a, &b).await.expect_status(200);
    let problem = merge(&flow, &a, &c).await.expect_problem(409, "contact_merged");
    assert!(problem["detail"].as_str().unwrap().contains(&b), "{problem}");
    let _problem = merge(&flow, &c, &a).await.expect_problem(409, "contact_merged");
    let _b = merge(&flow, &b, &c).await.expect_status(200);
    assert_eq!(get(&flow, &format!("contacts/{a}")).await["merged_into"], json!(c), "who it is in the end");
    let problem = unmerge(&flow, &a).await.expect_problem(409, "merged_further");
    assert!(problem["detail"].as_str().unwrap().contains(&b), "{problem}");
    let _b = unmerge(&flow, &b).await.expect_status(200);
    assert_eq!(get(&flow, &format!("contacts/{a}")).await["merged_into"], json!(b));
    let _a = unmerge(&flow, &a).await.expect_status(200);

    let _erased = flow.api(Method::POST, &format!("contacts/{c}/erase"), None).await.expect_status(202);
    let _problem = merge(&flow, &a, &c).await.expect_problem(409, "contact_erased");
    let _problem = merge(&flow, &c, &a).await.expect_problem(409, "contact_erased");
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn three_sides_find_each_their_own() {
    let flow = quiet().await;
    let numbers = [number(), number(), number()];
    let mut ids = Vec::new();
    for (index, wa_id) in numbers.iter().enumerate() {
        ids.push(writes(&flow, wa_id, &format!("Lado {index}"), &format!("{index} antes")).await);
    }
    let [a, b, c] = ids.try_into().unwrap();
    let _merged = merge(&flow, &a, &b).await.expect_status(200);
    assert_eq!(writes(&flow, &numbers[0], "Lado 0", "0 em b").await, b);
    let _merged = merge(&flow, &b, &c).await.expect_status(200);
    for (index, wa_id) in numbers.iter().enumerate() {
        assert_eq!(writes(&flow, wa_id, "Lado", &format!("{index} em c")).await, c);
    }
    assert_eq!(words(&flow, &c).await.len(), 7);
    let _back = unmerge(&flow, &b).await.expect_status(200);
    assert_eq!(words(&flow, &c).await, ["2 antes", "2 em c"]);
    assert_eq!(contact_of(&flow, &numbers[0]).await.unwrap().to_string(), b);
    let _back = unmerge(&flow, &a).await.expect_status(200);
    assert_eq!(words(&flow, &b).await, ["1 antes", "1 em c"]);
    assert_eq!(words(&flow, &a).await, ["0 antes", "0 em b", "0 em c"]);
    flow.pump().await;
    flow.end().await;
}

#[tokio::test]
async fn what_comes_in_during_a_merge_is_neither_lost_nor_misfiled() {
    const ROUNDS: usize = 6;
    const EACH: usize = 15;
    let flow = quiet().await;
    let numbers = [number(), number()];
    let ana = writes(&flow, &numbers[0], "Ana", "0").await;
    let other = writes(&flow, &numbers[1], "Ana", "1").await;
    let mut said = 2;
    for round in 0..ROUNDS {
        for _ in 0..EACH {
            for (side, wa_id) in numbers.iter().enumerate() {
                says(&flow, wa_id, "Ana", &side.to_string()).await;
                said += 1;
            }
        }
        let merges = async {
            // At another place each time.
            tokio::time::sleep(std::time::Duration::from_millis(7 * round as u64)).await;
            let _one = merge(&flow, &other, &ana).await.expect_status(200);
            if round % 2 == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                let _two = unmerge(&flow, &other).await.expect_status(200);
            }
        };
        let comes_in = async { while flow.step(Queue::Inbound).await != Step::Nothing {} };
        join!(merges, comes_in);
        hear(&flow).await;
        let merged = round % 2 == 1;
        // While they are one, everything is the survivor's; a side that is itself again has its own, and no other.
        for (side, id) in [(0, &ana), (1, &other)] {
            let id = if merged { &ana } else { id };
            let strays: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM messages m
                 JOIN conversations c ON c.company_id = m.company_id AND c.id = m.conversation_id
                 JOIN sessions s ON s.company_id = m.company_id AND s.id = m.session_id
                 WHERE m.company_id = $1 AND m.text = $2
                   AND (m.contact_id <> $3::uuid OR c.contact_id <> $3::uuid OR s.contact_id <> $3::uuid)",
            )
            .bind(flow.tenant.company_id)
            .bind(side.to_string())
            .bind(id)
            .fetch_one(&flow.admin)
            .await
            .unwrap();
            assert_eq!(strays, 0, "of side {side} in round {round}");
        }
        if merged {
            let _apart = unmerge(&flow, &other).await.expect_status(200);
        }
    }
    let (mine, theirs) = (words_of(&flow, &ana).await, words_of(&flow, &other).await);
    assert_eq!(mine.len() + theirs.len(), said, "nothing is lost");
    assert!(mine.iter().all(|text| text == "0") && theirs.iter().all(|text| text == "1"));
    let contacts: i64 = sqlx::query_scalar("SELECT count(*) FROM contacts WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .fetch_one(&flow.admin)
        .await
        .unwrap();
    assert_eq!(contacts, 2, "nobody was made anew");
    flow.pump().await;
    flow.end().await;
}

/// More words than a page of the API holds.
async fn words_of(flow: &Flow, contact_id: &str) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM messages WHERE company_id = $1 AND contact_id = $2::uuid")
        .bind(flow.tenant.company_id)
        .bind(contact_id)
        .fetch_all(&flow.admin)
        .await
        .unwrap()
}

#[tokio::test]
async fn candidates_are_suggested_with_their_reasons() {
    let flow = quiet().await;
    let ana = insert(
        &flow,
        json!({ "name": "Ana Souza", "phone": "+541123456789", "email": "Ana@Example.com", "external_id": "A1" }),
    )
    .await;
    let same_phone = insert(&flow, json!({ "name": "A.", "phone": "+5491123456789" })).await;
    let same_email = insert(&flow, json!({ "name": "Dona Ana", "email": "ana@example.com" })).await;
    let same_id =
        insert(&flow, json!({ "name": "Cliente", "external_id": "A1", "email": "ana@example.com" })).await;
    let same_name = insert(&flow, json!({ "name": "ana souza" })).await;
    let _somebody_else = insert(&flow, json!({ "name": "Ana Souza", "phone": "+5531988880001" })).await;
    let _stranger = insert(&flow, json!({ "name": "Beatriz" })).await;
    let path = format!("contacts/{ana}/merge-candidates");
    let found = get(&flow, &path).await;
    insta::assert_json_snapshot!("merge_candidate", redacted(&found["items"][0]));
    let found: Vec<_> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["contact"]["id"].as_str().unwrap().to_owned(), item["reasons"].clone()))
        .collect();
    assert_eq!(found[0], (same_id.clone(), json!(["email", "external_id"])));
    assert_eq!(found[3], (same_name.clone(), json!(["name"])));
    assert!(found.contains(&(same_phone.clone(), json!(["phone"]))), "{found:?}");
    assert!(found.contains(&(same_email, json!(["email"]))), "{found:?}");
    assert_eq!(found.len(), 4);
    // Who was merged is no candidate any more.
    let _merged = merge(&flow, &same_phone, &ana).await.expect_status(200);
    assert_eq!(get(&flow, &path).await["items"].as_array().unwrap().len(), 3);
    let shown = get(&flow, &format!("contacts/{same_name}/merge-candidates")).await;
    let name_only: Vec<_> = shown["items"].as_array().unwrap().iter().map(|it| &it["reasons"]).collect();
    assert_eq!(name_only, [&json!(["name"]), &json!(["name"])], "without a phone it may be either");
    let nobody = format!("contacts/{}/merge-candidates", new_id());
    let _problem = flow.api(Method::GET, &nobody, None).await.expect_problem(404, "not_found");
    flow.pump().await;
    flow.end().await;
}
