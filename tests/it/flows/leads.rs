//! Leads: made, changed, listed, removed; what of them is kept and who hears of it. Their moves are `moves`.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::{Stack, Tenant, TenantOptions, new_id, new_word};

use super::board::{Board, new_board, plain, shape, text};

#[tokio::test]
async fn a_lead_is_made_changed_and_removed() {
    let board = Board::set_up().await;
    let (contact, member) = (board.contact("Ana Exemplo").await, board.member().await);
    let new = json!({
        "board_id": board.id, "title": " Plano anual ", "value": 1_250_000, "currency": "USD", "owner_id": member,
        "contact_id": contact, "expected_close_on": "2026-12-31", "notes": "Quer desconto.\nLigar na sexta.",
        "tags": ["quente", " quente", "indicação"],
    });
    let made = board.post("leads", new).await;
    insta::assert_json_snapshot!("lead_made", shape(&made));
    assert_eq!(made.body["stage_id"], json!(board.stages[0]), "the first one that is open");
    let id = text(&made.body["id"]);
    let path = format!("leads/{id}");
    assert_eq!(board.get(&path).await, made.body);

    let changed = board.patch(
        &path,
        json!({
            "title": "Plano anual, 12 licenças", "value": 1_400_000, "currency": "BRL", "owner_id": null,
            "expected_close_on": null, "tags": [],
        }),
    );
    let changed = changed.await;
    insta::assert_json_snapshot!("lead_changed", shape(&changed));
    for nothing in [
        json!({}),
        json!({ "title": "Plano anual, 12 licenças", "value": 1_400_000, "notes": changed.body["notes"] }),
    ] {
        let same = board.patch(&path, nothing).await.expect_status(200).body;
        assert_eq!(same, changed.body, "nothing changed");
    }
    let worthless = board.patch(&path, json!({ "value": null, "contact_id": null, "notes": " " })).await;
    let worthless = worthless.expect_status(200).body;
    for field in ["value", "currency", "contact_id", "contact", "notes"] {
        assert_eq!(worthless[field], Value::Null, "{field}");
    }
    insta::assert_json_snapshot!("lead_history", plain(&board.get(&format!("{path}/history")).await));
    let history = format!("{path}/history");
    assert_eq!(board.all(&history, 2).await, board.all(&history, 100).await);

    let _gone = board.delete(&path).await.expect_status(204);
    for gone in [&path, &history] {
        let _problem = board.flow.api(Method::GET, gone, None).await.expect_problem(404, "not_found");
    }
    let log = board.get("audit-log?action=lead.deleted").await;
    assert_eq!(log["items"][0]["object_id"], json!(id));
    let told = |name: &'static str| async {
        let mut told = board.told(name).await;
        told.sort_by_key(|event| event["version"].as_i64());
        told.iter()
            .map(|event| (text(&event["lead_id"]), event["version"].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(told("lead.created").await, [(id.clone(), 1)]);
    assert_eq!(told("lead.changed").await, [(id.clone(), 2), (id.clone(), 3)]);
    assert_eq!(told("lead.deleted").await, [(id.clone(), 4)]);
    board.flow.end().await;
}

#[tokio::test]
async fn a_lead_that_cannot_be_is_refused() {
    let board = Board::set_up().await;
    let id = board.lead(0, "Plano anual").await;
    let path = format!("leads/{id}");
    let many: Vec<_> = (0..51).map(|number| format!("tag {number}")).collect();
    for (fields, field) in [
        (json!({ "title": "" }), "title"),
        (json!({ "title": "x".repeat(201) }), "title"),
        (json!({ "value": -1 }), "value"),
        (json!({ "value": 1_000_000_000_000_i64 }), "value"),
        (json!({ "value": 1.5 }), "value"),
        (json!({ "value": 1, "currency": "R$" }), "currency"),
        (json!({ "value": 1, "currency": "brl" }), "currency"),
        (json!({ "currency": "BRL" }), "currency"),
        (json!({ "owner_id": new_id() }), "owner_id"),
        (json!({ "contact_id": new_id() }), "contact_id"),
        (json!({ "contact_id": "x" }), "contact_id"),
        (json!({ "expected_close_on": "31/12/2026" }), "expected_close_on"),
        (json!({ "notes": "x".repeat(10_001) }), "notes"),
        (json!({ "tags": [""] }), "tags"),
        (json!({ "tags": many }), "tags"),
        (json!({ "status": "won" }), "status"),
    ] {
        let problem = board.patch(&path, fields.clone()).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        let mut new = json!({ "board_id": board.id, "title": "Plano mensal" });
        new.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let problem = board.post("leads", new).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for (place, field) in [
        (json!({}), "board_id"),
        (json!({ "board_id": new_id() }), "board_id"),
        (json!({ "stage_id": new_id() }), "stage_id"),
        (json!({ "board_id": board.id, "stage_id": new_id() }), "stage_id"),
    ] {
        let mut new = place;
        new["title"] = json!("Plano mensal");
        let problem = board.post("leads", new).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let other = board.post("kanbans", new_board()).await.expect_status(201).body;
    let torn = json!({ "board_id": board.id, "stage_id": other["stages"][0]["id"], "title": "Plano" });
    let _problem = board.post("leads", torn).await.expect_problem(409, "stage_of_another_board");
    let bare = board.post("kanbans", json!({ "name": "Vazio" })).await.expect_status(201).body;
    let nowhere = board.post("leads", json!({ "board_id": bare["id"], "title": "Plano" })).await;
    insta::assert_json_snapshot!("board_without_stages", shape(&nowhere));
    let not_lost = board.patch(&path, json!({ "lost_reason": "Preço" })).await;
    insta::assert_json_snapshot!("lead_not_lost", shape(&not_lost));
    let _problem = not_lost.expect_problem(409, "lead_not_lost");
    let invalid = board.post("leads", json!({ "board_id": board.id, "title": "Plano", "value": -1 })).await;
    insta::assert_json_snapshot!("lead_with_a_wrong_value", shape(&invalid));

    let unknown = format!("leads/{}", new_id());
    let to = json!({ "stage_id": board.stages[0] });
    for answer in [
        board.flow.api(Method::GET, &unknown, None).await,
        board.flow.api(Method::GET, &format!("{unknown}/history"), None).await,
        board.patch(&unknown, json!({ "title": "Plano" })).await,
        board.delete(&unknown).await,
        board.post(&format!("{unknown}/move"), to).await,
    ] {
        let problem = answer.expect_problem(404, "not_found");
        assert_eq!(problem["detail"], "lead not found");
    }
    assert_eq!(board.get(&path).await["version"], 1, "nothing was changed");
    board.flow.end().await;
}

#[tokio::test]
async fn leads_are_listed_by_whatever_they_have() {
    let board = Board::set_up().await;
    let (contact, member) = (board.contact("Ana Exemplo").await, board.member().await);
    let other = board.post("kanbans", new_board()).await.expect_status(201).body;
    let mut ids = Vec::new();
    for (title, more) in [
        ("Licença de SOFTWARE", json!({ "stage_id": board.stages[0], "owner_id": member })),
        ("licenca anual", json!({ "stage_id": board.stages[0], "contact_id": contact })),
        ("100% de desconto", json!({ "stage_id": board.stages[1], "contact_id": contact })),
        ("Manutenção_mensal", json!({ "board_id": other["id"], "owner_id": member })),
    ] {
        let mut new = more;
        new["title"] = json!(title);
        ids.push(text(&board.post("leads", new).await.expect_status(201).body["id"]));
    }
    let own = &board.id;
    let stage = &board.stages[0];
    for (query, expected) in [
        (String::new(), vec![3, 2, 1, 0]),
        (format!("board_id={own}"), vec![2, 1, 0]),
        (format!("owner_id={member}"), vec![3, 0]),
        (format!("contact_id={contact}"), vec![2, 1]),
        (format!("board_id={own}&owner_id={member}"), vec![0]),
        ("q=LICENC".to_owned(), vec![1, 0]),
        ("q=licen%C3%A7a%20de".to_owned(), vec![0]),
        ("q=%25".to_owned(), vec![2]),
        ("q=o_m".to_owned(), vec![3]),
        ("q=o_a".to_owned(), vec![]),
        (format!("stage_id={stage}"), vec![0, 1]),
        (format!("stage_id={stage}&q=anual"), vec![1]),
        (format!("stage_id={stage}&contact_id={contact}"), vec![1]),
        (format!("stage_id={stage}&board_id={}", text(&other["id"])), vec![]),
        (format!("stage_id={}", new_id()), vec![]),
        (format!("contact_id={}", new_id()), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|index: usize| ids[index].clone()).collect();
        for limit in [1, 2, 100] {
            assert_eq!(board.all(&format!("leads?{query}"), limit).await, expected, "{query} by {limit}");
        }
    }
    insta::assert_json_snapshot!("leads", plain(&board.get("leads?limit=1").await));
    // A cursor is good in its own list: not in another stage's, nor in that of all.
    let page = board.get(&format!("leads?stage_id={stage}&limit=1")).await;
    let cursor = text(&page["next_cursor"]);
    for list in [format!("leads?stage_id={}", board.stages[1]), "leads?limit=1".to_owned()] {
        let answer = board.flow.api(Method::GET, &format!("{list}&cursor={cursor}"), None).await;
        let problem = answer.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "cursor");
    }
    for (query, field) in [("q=", "q"), ("limit=0", "limit"), ("owner_id=x", "owner_id"), ("tag=x", "tag")] {
        let answer = board.flow.api(Method::GET, &format!("leads?{query}"), None).await;
        assert_eq!(answer.expect_problem(422, "invalid")["errors"][0]["field"], field);
    }
    board.flow.end().await;
}

/// Whoever goes takes no money along.
#[tokio::test]
async fn a_lead_outlives_its_customer_and_its_owner() {
    let board = Board::set_up().await;
    let (contact, member) = (board.contact("Ana Exemplo").await, board.member().await);
    let new = json!({
        "board_id": board.id, "title": "Plano", "value": 900, "contact_id": contact, "owner_id": member,
    });
    let id = text(&board.post("leads", new).await.expect_status(201).body["id"]);
    for gone in ["DELETE FROM contacts WHERE id = $1", "DELETE FROM memberships WHERE user_id = $1"] {
        let who = if gone.contains("contacts") { contact } else { member.parse().unwrap() };
        sqlx::query(gone).bind(who).execute(&board.flow.admin).await.unwrap();
    }
    let lead = board.get(&format!("leads/{id}")).await;
    for field in ["contact_id", "contact", "owner_id"] {
        assert_eq!(lead[field], Value::Null, "{field}");
    }
    assert_eq!((&lead["value"], &lead["currency"]), (&json!(900), &json!("BRL")));
    board.flow.end().await;
}

/// By the deployed function: it makes one thing of one key, and has the rights that it needs.
#[tokio::test]
async fn the_same_key_makes_the_same_thing_once() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let api = &tenant.api;
    let mut made: Vec<String> = Vec::new();
    for (path, body) in [
        ("kanbans".to_owned(), json!({ "name": "Vendas", "stages": [{ "name": "Novo" }] })),
        ("kanbans/$board/stages".to_owned(), json!({ "name": "Proposta" })),
        ("leads".to_owned(), json!({ "board_id": "$board", "title": "Plano" })),
    ] {
        let board = made.first().cloned().unwrap_or_default();
        let path = path.replace("$board", &board);
        let body: Value = serde_json::from_str(&body.to_string().replace("$board", &board)).unwrap();
        let key = new_word("chave-");
        let answers = futures::future::join_all((0..8).map(|_| api.post_once(&path, &key, &body))).await;
        let ids: std::collections::BTreeSet<_> =
            answers.into_iter().map(|answer| text(&answer.expect_status(201).body["id"])).collect();
        assert_eq!(ids.len(), 1, "{path}");
        made.extend(ids);
        let mut other = body.clone();
        other[if path == "leads" { "title" } else { "name" }] = json!("Outro");
        let _problem = api.post_once(&path, &key, &other).await.expect_problem(409, "idempotency_key_reused");
    }
    assert_eq!(api.all("kanbans", 100).await[0]["stages"].as_array().unwrap().len(), 2);
    assert_eq!(api.all("leads", 100).await.len(), 1);
}
