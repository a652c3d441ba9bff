//! Moves of leads: whatever the order in which they come, and however many at once, a stage has one order and every lead
//! stands somewhere.

use std::collections::BTreeSet;

use futures::future::join_all;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use testkit::{Stack, Tenant, TenantOptions, new_id};

use super::board::{Board, new_board, plain, shape, text};

/// How many series of moves are tried, and how long they are: a move takes a hundredth of a second.
const CASES: u32 = 6;
const MOVES: usize = 40;

/// So many move at once, by so many keys.
const CROWD: usize = 64;
const KEYS: usize = 8;

#[tokio::test]
async fn a_lead_goes_from_stage_to_stage() {
    let board = Board::set_up().await;
    let (one, two, three) =
        (board.lead(0, "Um").await, board.lead(0, "Dois").await, board.lead(0, "Três").await);
    assert_eq!(board.order(0, 100).await, [one.clone(), two.clone(), three.clone()], "as they were made");
    let first = board.put(&three, 0, None).await;
    insta::assert_json_snapshot!("lead_moved_to_the_top", shape(&first));
    let _moved = board.put(&one, 0, Some(&two)).await.expect_status(200);
    assert_eq!(board.order(0, 100).await, [three.clone(), two.clone(), one.clone()]);
    let version = board.get(&format!("leads/{one}")).await["version"].clone();
    let same = board.put(&one, 0, Some(&two)).await.expect_status(200).body;
    assert_eq!(same["version"], version, "it stands there already");

    let path = format!("leads/{two}");
    let won = json!({ "stage_id": board.stages[2], "after_lead_id": null, "reason": "Assinou" });
    let won = board.post(&format!("{path}/move"), won).await.expect_status(200).body;
    assert_eq!((&won["status"], &won["lost_reason"]), (&json!("won"), &json!(null)));
    let lost = json!({ "stage_id": board.stages[3], "reason": " Preço " });
    let lost = board.post(&format!("{path}/move"), lost).await.expect_status(200).body;
    assert_eq!((&lost["status"], &lost["lost_reason"]), (&json!("lost"), &json!("Preço")));
    assert_eq!(lost["closed_at"], won["closed_at"], "closed since then");
    let why = board.patch(&path, json!({ "lost_reason": "Concorrente" })).await.expect_status(200).body;
    assert_eq!(why["lost_reason"], "Concorrente");
    let open = board.put(&two, 1, None).await.expect_status(200).body;
    assert_eq!(
        (&open["status"], &open["lost_reason"], &open["closed_at"]),
        (&json!("open"), &json!(null), &json!(null))
    );
    insta::assert_json_snapshot!(
        "history_of_a_lead_that_was_moved",
        plain(&board.get(&format!("{path}/history")).await)
    );
    let told = board.told("lead.moved").await;
    let of_two = told.iter().filter(|event| event["lead_id"] == json!(two));
    let mut steps: Vec<_> = of_two
        .map(|event| {
            (event["version"].as_i64().unwrap(), text(&event["from_stage_id"]), text(&event["stage_id"]))
        })
        .collect();
    steps.sort_unstable();
    let stage = |number: usize| board.stages[number].clone();
    assert_eq!(steps, [(2, stage(0), stage(2)), (3, stage(2), stage(3)), (5, stage(3), stage(1))]);
    board.flow.end().await;
}

#[tokio::test]
async fn a_move_that_cannot_be_is_refused() {
    let board = Board::set_up().await;
    let (lead, other) = (board.lead(0, "Um").await, board.lead(0, "Dois").await);
    let path = format!("leads/{lead}/move");
    let elsewhere = board.post("kanbans", new_board()).await.expect_status(201).body;
    let across = board.post(&path, json!({ "stage_id": elsewhere["stages"][0]["id"] })).await;
    insta::assert_json_snapshot!("move_to_another_board", shape(&across));
    let _problem = across.expect_problem(409, "stage_of_another_board");
    let _moved = board.put(&other, 1, None).await.expect_status(200);
    let left = board.put(&lead, 0, Some(&other)).await;
    insta::assert_json_snapshot!("lead_moved_meanwhile", shape(&left));
    let _problem = left.expect_problem(409, "lead_moved");
    for (body, field) in [
        (json!({}), "stage_id"),
        (json!({ "stage_id": new_id() }), "stage_id"),
        (json!({ "stage_id": board.stages[0], "after_lead_id": lead }), "after_lead_id"),
        (json!({ "stage_id": board.stages[0], "after_lead_id": new_id() }), "after_lead_id"),
        (json!({ "stage_id": board.stages[0], "reason": "x".repeat(501) }), "reason"),
        (json!({ "stage_id": board.stages[0], "position": 1 }), "position"),
    ] {
        let problem = board.post(&path, body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(board.order(0, 100).await, [lead]);
    board.flow.end().await;
}

/// Stages as lists of leads.
struct Model(Vec<Vec<String>>);

impl Model {
    /// Puts a lead behind another one of the stage; behind nobody when that is itself, or there is none.
    fn put(&mut self, lead: &str, stage: usize, after: Option<&str>) {
        for leads in &mut self.0 {
            leads.retain(|other| other != lead);
        }
        let leads = &mut self.0[stage];
        let place = after.map_or(0, |after| 1 + leads.iter().position(|other| other == after).unwrap());
        leads.insert(place, lead.to_owned());
    }
}

#[test]
fn every_series_of_moves_is_that_of_lists() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let board = runtime.block_on(Board::set_up());
    let leads: Vec<String> = runtime.block_on(async {
        let mut leads = Vec::new();
        for number in 0..9 {
            leads.push(board.lead(number % 3, &format!("Negócio {number}")).await);
        }
        leads
    });
    let stages = (0..3).map(|stage| (0..3).map(|row| leads[row * 3 + stage].clone()).collect());
    let model = std::cell::RefCell::new(Model(stages.collect()));
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let moves = prop::collection::vec((any::<Index>(), 0..3_usize, any::<Option<Index>>()), MOVES);
    let outcome = TestRunner::new(config).run(&moves, |moves| {
        let mut model = model.borrow_mut();
        for (lead, stage, after) in moves {
            let lead = lead.get(&leads);
            let others: Vec<_> = model.0[stage].iter().filter(|other| *other != lead).cloned().collect();
            let after = after.filter(|_| !others.is_empty()).map(|after| after.get(&others).clone());
            let _moved = runtime.block_on(board.put(lead, stage, after.as_deref())).expect_status(200);
            model.put(lead, stage, after.as_deref());
        }
        for stage in 0..3 {
            prop_assert_eq!(&runtime.block_on(board.order(stage, 2)), &model.0[stage]);
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    runtime.block_on(board.flow.end());
}

/// Always between the same two: places grow, are spread anew, and the order stays.
#[tokio::test]
async fn places_that_grow_are_spread_anew() {
    let board = Board::set_up().await;
    let mut leads = Vec::new();
    for number in 0..4 {
        leads.push(board.lead(0, &format!("Negócio {number}")).await);
    }
    let mut model = Model(vec![leads]);
    let mut longest = Vec::new();
    for _ in 0..220 {
        let (first, last) = (model.0[0][0].clone(), model.0[0][3].clone());
        let _moved = board.put(&last, 0, Some(&first)).await.expect_status(200);
        model.put(&last, 0, Some(&first));
        let length: i32 = sqlx::query_scalar("SELECT max(length(place)) FROM leads WHERE company_id = $1")
            .bind(board.flow.tenant.company_id)
            .fetch_one(&board.flow.admin)
            .await
            .unwrap();
        longest.push(length);
    }
    assert!(longest.iter().all(|length| *length <= 33), "{longest:?}");
    assert!(longest.windows(2).any(|pair| pair[1] < pair[0] - 20), "they were spread: {longest:?}");
    assert_eq!(board.order(0, 3).await, model.0[0]);
    board.flow.end().await;
}

/// By the deployed function, in as many processes as it takes.
#[tokio::test]
async fn a_crowd_moves_at_once_and_no_lead_is_lost() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let api = &tenant.api;
    // Each key has a limit of its own, of which every process takes some in advance.
    let key = |number: usize| {
        let new = json!({ "name": format!("Painel {number}"), "permissions": ["write_inbox"] });
        async move { api.with(&text(&api.post("api-keys", &new).await.expect_status(201).body["key"])) }
    };
    let crowd = join_all((0..KEYS).map(key)).await;
    let board = api.post("kanbans", &new_board()).await.expect_status(201).body;
    let stage = |number: usize| text(&board["stages"][number]["id"]);
    let make = |number: usize| {
        let new = json!({ "stage_id": stage(number % 2), "title": format!("Negócio {number}") });
        let api = &crowd[number % KEYS];
        async move { text(&api.post("leads", &new).await.expect_status(201).body["id"]) }
    };
    let leads = join_all((0..CROWD).map(make)).await;
    // Half of them stand in the stage already, half come from the one beside it; all want to be behind the same lead, but
    // for those who want to be first.
    let anchor = api.post("leads", &json!({ "stage_id": stage(0), "title": "Âncora" })).await;
    let anchor = text(&anchor.expect_status(201).body["id"]);
    let put = |(number, lead): (usize, &String)| {
        let after = (number % 4 != 3).then_some(&anchor);
        let to = json!({ "stage_id": stage(0), "after_lead_id": after });
        let (api, path) = (&crowd[number % KEYS], format!("leads/{lead}/move"));
        async move { api.post(&path, &to).await }
    };
    for answer in join_all(leads.iter().enumerate().map(put)).await {
        let moved = answer.expect_status(200).body;
        assert_eq!(moved["stage_id"], json!(stage(0)));
    }
    let ids = |rows: Vec<serde_json::Value>| rows.iter().map(|row| text(&row["id"])).collect::<Vec<_>>();
    let order = ids(api.all(&format!("leads?stage_id={}", stage(0)), 7).await);
    let expected: BTreeSet<_> = leads.iter().chain([&anchor]).cloned().collect();
    assert_eq!(order.len(), CROWD + 1, "each once");
    assert_eq!(order.iter().cloned().collect::<BTreeSet<_>>(), expected, "none is lost");
    assert_eq!(ids(api.all(&format!("leads?stage_id={}", stage(0)), 100).await), order, "one order");
    assert_eq!(api.all(&format!("leads?stage_id={}", stage(1)), 100).await.len(), 0);
    // Whoever wanted to be before all of them is before the anchor, everybody else behind it.
    let place = |lead: &String| order.iter().position(|other| other == lead).unwrap();
    for (number, lead) in leads.iter().enumerate() {
        assert_eq!(place(lead) < place(&anchor), number % 4 == 3, "{number}");
    }
    let same: i64 = sqlx::query_scalar(
        "SELECT count(*) - count(DISTINCT (stage_id, place)) FROM leads WHERE company_id = $1",
    )
    .bind(tenant.company_id)
    .fetch_one(&stack.admin())
    .await
    .unwrap();
    assert_eq!(same, 0, "no two have one place");
}
