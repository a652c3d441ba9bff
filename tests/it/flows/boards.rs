//! Boards and their stages: made, changed, put into another order, removed.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::new_id;

use super::board::{Board, new_board, plain, shape, text};

fn names(board: &Value) -> Vec<String> {
    let stages = board["stages"].as_array().unwrap();
    for (position, stage) in stages.iter().enumerate() {
        assert_eq!(stage["position"], position, "{stages:?}");
    }
    stages.iter().map(|stage| text(&stage["name"])).collect()
}

#[tokio::test]
async fn a_board_is_made_changed_and_removed() {
    let board = Board::set_up().await;
    let path = format!("kanbans/{}", board.id);
    let made = board.post("kanbans", new_board()).await;
    insta::assert_json_snapshot!("board_made", shape(&made));
    assert_eq!(board.get(&format!("kanbans/{}", text(&made.body["id"]))).await, made.body);
    let bare = board.post("kanbans", json!({ "name": "  Pós-venda " })).await.expect_status(201).body;
    assert_eq!(
        (&bare["name"], &bare["description"], &bare["stages"]),
        (&json!("Pós-venda"), &Value::Null, &json!([]))
    );
    insta::assert_json_snapshot!("boards", plain(&board.get("kanbans?limit=2").await));
    let whole = board.all("kanbans", 100).await;
    assert_eq!(whole.len(), 3);
    assert_eq!(board.all("kanbans", 1).await, whole);

    let changed = board.patch(&path, json!({ "name": "Comercial", "description": null })).await;
    insta::assert_json_snapshot!("board_changed", shape(&changed));
    let same = board.patch(&path, json!({ "name": "Comercial" })).await.expect_status(200).body;
    assert_eq!(same, changed.body, "nothing changed");
    let again = board.patch(&path, json!({})).await.expect_status(200).body;
    assert_eq!(again, changed.body);

    let _lead = board.lead(0, "Plano anual").await;
    let _gone = board.delete(&path).await.expect_status(204);
    let _problem = board.flow.api(Method::GET, &path, None).await.expect_problem(404, "not_found");
    assert_eq!(board.get("leads").await["items"], json!([]));
    for table in ["board_stages", "leads", "lead_history"] {
        let query = format!("SELECT count(*) FROM {table} WHERE company_id = $1");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .bind(board.flow.tenant.company_id)
            .fetch_one(&board.flow.admin)
            .await
            .unwrap();
        assert_eq!(left, if table == "board_stages" { 4 } else { 0 }, "{table}");
    }
    let log = board.get("audit-log?object_kind=board").await;
    let actions: Vec<_> = log["items"].as_array().unwrap().iter().map(|line| text(&line["action"])).collect();
    assert_eq!(
        actions,
        ["board.deleted", "board.changed", "board.created", "board.created", "board.created"]
    );
    let detail = json!({ "name": "Comercial", "stages": 4, "leads": 1 });
    assert_eq!(log["items"][0]["detail"], detail);
    let told = board.told("board.deleted").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["board_id"], json!(board.id));
    let versions: Vec<_> = board.told("board.changed").await;
    let of_board = versions.iter().filter(|event| event["board_id"] == json!(board.id));
    let mut versions: Vec<_> = of_board.map(|event| event["version"].as_i64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2]);
    board.flow.end().await;
}

#[tokio::test]
async fn a_board_that_cannot_be_is_refused() {
    let board = Board::set_up().await;
    let stage = |stage: Value| json!({ "name": "Vendas", "stages": [{ "name": "Novo" }, stage] });
    let many: Vec<_> = (0..51).map(|number| json!({ "name": format!("Etapa {number}") })).collect();
    for (body, field) in [
        (json!({}), "name"),
        (json!({ "name": " " }), "name"),
        (json!({ "name": "x".repeat(101) }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": "Vendas", "description": "x".repeat(2_001) }), "description"),
        (json!({ "name": "Vendas", "color": "red" }), "color"),
        (json!({ "name": "Vendas", "stages": many }), "stages"),
        (stage(json!({ "name": "" })), "stages[1].name"),
        (stage(json!({ "name": "Ganho", "kind": "closed" })), "stages[1].kind"),
        (stage(json!({ "name": "Ganho", "colour": "green" })), "stages[1].colour"),
    ] {
        let problem = board.post("kanbans", body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let invalid = board.post("kanbans", stage(json!({ "name": "Ganho", "colour": "green" }))).await;
    insta::assert_json_snapshot!("board_with_a_wrong_colour", shape(&invalid));
    let path = format!("kanbans/{}", board.id);
    let problem =
        board.patch(&path, json!({ "name": null, "stages": [] })).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "stages");
    let unknown = format!("kanbans/{}", new_id());
    for answer in [
        board.flow.api(Method::GET, &unknown, None).await,
        board.flow.api(Method::GET, &format!("{unknown}/summary"), None).await,
        board.patch(&unknown, json!({ "name": "Vendas" })).await,
        board.delete(&unknown).await,
        board.post(&format!("{unknown}/stages"), json!({ "name": "Novo" })).await,
    ] {
        let problem = answer.expect_problem(404, "not_found");
        assert_eq!(problem["detail"], "kanban not found");
    }
    let unknown = format!("{path}/stages/{}", new_id());
    for answer in [board.patch(&unknown, json!({ "position": 0 })).await, board.delete(&unknown).await] {
        let _problem = answer.expect_problem(404, "not_found");
    }
    let problem = board.flow.api(Method::GET, "kanbans?cursor=x", None).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "cursor");
    board.flow.end().await;
}

#[tokio::test]
async fn stages_are_put_into_any_order() {
    let board = Board::set_up().await;
    let path = format!("kanbans/{}", board.id);
    let stages = format!("{path}/stages");
    let added = board.post(&stages, json!({ "name": "Visita", "position": 1 })).await;
    insta::assert_json_snapshot!("stage_added", shape(&added));
    assert_eq!(names(&board.get(&path).await), ["Novo", "Visita", "Proposta", "Ganho", "Perdido"]);
    let visit = format!("{stages}/{}", text(&added.body["id"]));
    for (position, expected) in [
        (3, ["Novo", "Proposta", "Ganho", "Visita", "Perdido"]),
        (0, ["Visita", "Novo", "Proposta", "Ganho", "Perdido"]),
        (99, ["Novo", "Proposta", "Ganho", "Perdido", "Visita"]),
        (2, ["Novo", "Proposta", "Visita", "Ganho", "Perdido"]),
        (2, ["Novo", "Proposta", "Visita", "Ganho", "Perdido"]),
    ] {
        let _moved = board.patch(&visit, json!({ "position": position })).await.expect_status(200);
        assert_eq!(names(&board.get(&path).await), expected);
    }
    let changed = board.patch(&visit, json!({ "name": "Reunião", "colour": " #ABCDEF" })).await;
    insta::assert_json_snapshot!("stage_changed", shape(&changed));
    let before = board.get(&path).await;
    let same = board.patch(&visit, json!({ "name": "Reunião" })).await.expect_status(200).body;
    assert_eq!((same, board.get(&path).await), (changed.body, before), "nothing changed");
    let _gone = board.delete(&visit).await.expect_status(204);
    assert_eq!(names(&board.get(&path).await), ["Novo", "Proposta", "Ganho", "Perdido"]);

    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "colour": "#12345" }), "colour"),
        (json!({ "kind": "done" }), "kind"),
        (json!({ "position": -1 }), "position"),
    ] {
        let stage = format!("{stages}/{}", board.stages[0]);
        let problem = board.patch(&stage, body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for number in 4..50 {
        let _stage =
            board.post(&stages, json!({ "name": format!("Etapa {number}") })).await.expect_status(201);
    }
    let full = board.post(&stages, json!({ "name": "Uma a mais" })).await;
    insta::assert_json_snapshot!("too_many_stages", shape(&full));
    board.flow.end().await;
}

/// Two that drag stages at once both succeed, and the board has one order.
#[tokio::test]
async fn stages_are_dragged_at_once() {
    let board = Board::set_up().await;
    let path = format!("kanbans/{}", board.id);
    let moves = (0..16).map(|number| {
        let stage = format!("{path}/stages/{}", board.stages[number % 4]);
        let board = &board;
        async move { board.patch(&stage, json!({ "position": number * 7 % 4 })).await.expect_status(200) }
    });
    let _moved = futures::future::join_all(moves).await;
    let mut names = names(&board.get(&path).await);
    names.sort_unstable();
    assert_eq!(names, ["Ganho", "Novo", "Perdido", "Proposta"]);
    board.flow.end().await;
}

#[tokio::test]
async fn a_stage_with_leads_goes_when_they_go_elsewhere() {
    let board = Board::set_up().await;
    let stages = format!("kanbans/{}/stages", board.id);
    let stage = |number: usize| format!("{stages}/{}", board.stages[number]);
    let there = board.lead(2, "Já ganho").await;
    let (first, second) = (board.lead(0, "Plano anual").await, board.lead(0, "Plano mensal").await);
    let refused = board.delete(&stage(0)).await;
    insta::assert_json_snapshot!("stage_not_empty", shape(&refused));
    let _problem = refused.expect_problem(409, "stage_not_empty");
    for to in [new_id().to_string(), board.stages[0].clone()] {
        let answer = board.delete(&format!("{}?move_to={to}", stage(0))).await;
        let problem = answer.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "move_to");
    }
    let other = board.post("kanbans", new_board()).await.expect_status(201).body;
    let elsewhere = text(&other["stages"][0]["id"]);
    let answer = board.delete(&format!("{}?move_to={elsewhere}", stage(0))).await;
    insta::assert_json_snapshot!("stage_of_another_board", shape(&answer));
    let _problem = board.delete(&format!("{stages}/{elsewhere}")).await.expect_problem(404, "not_found");

    let _gone = board.delete(&format!("{}?move_to={}", stage(0), board.stages[2])).await.expect_status(204);
    assert_eq!(board.order(2, 100).await, [there, first.clone(), second.clone()]);
    for lead in [&first, &second] {
        let lead = board.get(&format!("leads/{lead}")).await;
        assert_eq!((&lead["status"], &lead["version"]), (&json!("won"), &json!(2)));
        assert!(lead["closed_at"].is_string());
    }
    insta::assert_json_snapshot!(
        "history_of_a_lead_whose_stage_went",
        plain(&board.get(&format!("leads/{first}/history")).await)
    );
    let _gone = board.delete(&stage(1)).await.expect_status(204);
    let kanban = board.get(&format!("kanbans/{}", board.id)).await;
    assert_eq!(names(&kanban), ["Ganho", "Perdido"]);
    let log = board.get("audit-log?action=stage.deleted").await;
    assert_eq!(log["items"][1]["detail"]["leads"], 2);
    board.flow.end().await;
}

/// What a stage means is what its leads are.
#[tokio::test]
async fn leads_are_what_their_stage_means() {
    let board = Board::set_up().await;
    let lead = board.lead(1, "Plano anual").await;
    let stage = format!("kanbans/{}/stages/{}", board.id, board.stages[1]);
    let mut closed = Value::Null;
    for (kind, status) in [("won", "won"), ("lost", "lost"), ("open", "open")] {
        let _changed = board.patch(&stage, json!({ "kind": kind })).await.expect_status(200);
        let lead = board.get(&format!("leads/{lead}")).await;
        assert_eq!(lead["status"], status);
        assert_eq!(lead["closed_at"].is_string(), kind != "open");
        if kind == "lost" {
            assert_eq!(lead["closed_at"], closed, "since it was won");
        }
        closed = lead["closed_at"].clone();
    }
    let history = board.get(&format!("leads/{lead}/history")).await;
    let kinds: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|entry| text(&entry["kind"])).collect();
    assert_eq!(kinds, ["reopened", "lost", "won", "created"]);
    board.flow.end().await;
}

#[tokio::test]
async fn a_board_is_summed_up() {
    let board = Board::set_up().await;
    for (stage, value, currency) in [
        (0, Some(150_000), None),
        (0, Some(50_001), Some("BRL")),
        (0, Some(9_900), Some("USD")),
        (0, None, None),
        (2, Some(999_999_999_999_i64), None),
        (2, Some(0), None),
    ] {
        let new = json!({
            "stage_id": board.stages[stage], "title": "Plano", "value": value, "currency": currency,
        });
        let _lead = board.post("leads", new).await.expect_status(201);
    }
    let summary = board.get(&format!("kanbans/{}/summary", board.id)).await;
    insta::assert_json_snapshot!("board_summary", plain(&summary));
    let stages = summary["stages"].as_array().unwrap().iter().map(|stage| text(&stage["stage_id"]));
    assert_eq!(stages.collect::<Vec<_>>(), board.stages);
    let bare = board.post("kanbans", json!({ "name": "Vazio" })).await.expect_status(201).body;
    let summary = board.get(&format!("kanbans/{}/summary", text(&bare["id"]))).await;
    assert_eq!(summary["stages"], json!([]));
    board.flow.end().await;
}

/// A stage that goes while leads come to it takes none along: each is elsewhere, or was refused.
#[tokio::test]
async fn a_stage_goes_while_leads_come() {
    let board = Board::set_up().await;
    let new = |number: usize| {
        let new = json!({ "stage_id": board.stages[0], "title": format!("Negócio {number}") });
        let board = &board;
        async move { board.post("leads", new).await }
    };
    let path = format!("kanbans/{}/stages/{}?move_to={}", board.id, board.stages[0], board.stages[1]);
    let some = || futures::future::join_all((0..12).map(new));
    let (before, gone, after) = futures::join!(some(), board.delete(&path), some());
    let _gone = gone.expect_status(204);
    let mut made = Vec::new();
    for answer in before.into_iter().chain(after) {
        if answer.status == 201 {
            made.push(text(&answer.body["id"]));
        } else {
            let problem = answer.expect_problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], "stage_id");
        }
    }
    let mut there = board.order(1, 5).await;
    there.sort_unstable();
    made.sort_unstable();
    assert_eq!(there, made);
    board.flow.end().await;
}

/// A board that goes while leads come and move takes all of them along, and nobody waits for another for ever.
#[tokio::test]
async fn a_board_goes_while_leads_come_and_move() {
    let board = Board::set_up().await;
    let lead = board.lead(0, "Plano").await;
    let new = |number: usize| {
        let new = json!({ "stage_id": board.stages[0], "title": format!("Negócio {number}") });
        let (board, lead) = (&board, &lead);
        async move {
            match number % 3 {
                0 => board.put(lead, number % 2, None).await,
                1 => board.patch(&format!("leads/{lead}"), json!({ "value": number })).await,
                _ => board.post("leads", new).await,
            }
        }
    };
    let path = format!("kanbans/{}", board.id);
    let some = || futures::future::join_all((0..12).map(new));
    let (before, gone, after) = futures::join!(some(), board.delete(&path), some());
    let _gone = gone.expect_status(204);
    for answer in before.into_iter().chain(after) {
        assert!(matches!(answer.status, 200 | 201 | 404 | 422), "{}: {}", answer.status, answer.body);
    }
    assert_eq!(board.get("leads").await["items"], json!([]));
    board.flow.end().await;
}
