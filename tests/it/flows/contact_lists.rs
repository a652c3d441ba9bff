//! Lists of contacts: made, filled, looked through, emptied, removed.

use axum::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Flow, new_id};

use super::people::{get, insert, post, quiet};
use crate::inbox::redacted;

async fn made(flow: &Flow, name: &str) -> String {
    let list = post(flow, "lists", json!({ "name": name })).await.expect_status(201).body;
    list["id"].as_str().unwrap().to_owned()
}

async fn people(flow: &Flow, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(insert(flow, json!({ "name": format!("Pessoa {number}") })).await);
    }
    ids
}

/// The ids of the contacts in a list, in pages of `limit`.
async fn listed(flow: &Flow, id: &str, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(flow, &format!("lists/{id}/contacts?limit={limit}{cursor}")).await;
        let rows = page["items"].as_array().unwrap().iter();
        ids.extend(rows.map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn a_list_is_made_changed_and_removed() {
    let flow = quiet().await;
    let new = json!({ "name": " Clientes VIP ", "description": "Quem compra muito" });
    let list = post(&flow, "lists", new).await.expect_status(201).body;
    insta::assert_json_snapshot!("list", redacted(&list));
    let path = format!("lists/{}", list["id"].as_str().unwrap());
    assert_eq!(get(&flow, &path).await, list);

    let taken = post(&flow, "lists", json!({ "name": "Clientes VIP" })).await;
    insta::assert_json_snapshot!("list_name_taken", taken.expect_problem(409, "conflict"));
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a".repeat(101) }), "name"),
        (json!({ "name": "Outra", "description": "a".repeat(1_001) }), "description"),
        (json!({ "name": "Outra", "colour": "blue" }), "colour"),
    ] {
        let problem = post(&flow, "lists", body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }

    let change = json!({ "name": "Clientes fiéis", "description": null });
    let changed = flow.api(Method::PATCH, &path, Some(&change)).await.expect_status(200).body;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Clientes fiéis"), &Value::Null));
    made(&flow, "aniversariantes").await;
    let names: Vec<_> = {
        let first = get(&flow, "lists?limit=1").await;
        let path = format!("lists?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
        let second = get(&flow, &path).await;
        assert_eq!(second["next_cursor"], Value::Null);
        [first, second].iter().map(|page| page["items"][0]["name"].clone()).collect()
    };
    assert_eq!(names, ["aniversariantes", "Clientes fiéis"], "by name, whatever its case");

    let _gone = flow.api(Method::DELETE, &path, None).await.expect_status(204);
    for method in [Method::GET, Method::DELETE] {
        let _problem = flow.api(method, &path, None).await.expect_problem(404, "not_found");
    }
    flow.end().await;
}

#[tokio::test]
async fn the_same_key_makes_one_list() {
    let flow = quiet().await;
    let api = &flow.tenant.api;
    let body = json!({ "name": "Uma vez" });
    let answers = join_all((0..4).map(|_| api.post_once("lists", "chave", &body))).await;
    let ids: std::collections::BTreeSet<String> =
        answers.into_iter().map(|answer| answer.expect_status(201).body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let other = api.post_once("lists", "chave", &json!({ "name": "Outra vez" })).await;
    let _problem = other.expect_problem(409, "idempotency_key_reused");
    flow.end().await;
}

#[tokio::test]
async fn contacts_are_in_a_list_once() {
    let flow = quiet().await;
    let people = people(&flow, 5).await;
    let id = made(&flow, "Leads").await;
    let path = format!("lists/{id}/contacts");
    let added = post(&flow, &path, json!({ "contact_ids": [people[0], people[1], people[0]] })).await;
    insta::assert_json_snapshot!("list_contacts_added", redacted(&added.expect_status(200).body));
    let again = post(&flow, &path, json!({ "contact_ids": people })).await.expect_status(200).body;
    assert_eq!((&again["changed"], &again["list"]["contact_count"]), (&json!(3), &json!(5)));
    let whole = listed(&flow, &id, 100).await;
    assert_eq!(whole.len(), 5);
    assert!(people.iter().all(|id| whole.contains(id)));
    for limit in [1, 2, 3] {
        assert_eq!(listed(&flow, &id, limit).await, whole, "in pages of {limit}");
    }
    let mut one = get(&flow, &format!("{path}?limit=1")).await;
    one["items"][0]["name"] = json!("[name]");
    insta::assert_json_snapshot!("list_contacts", redacted(&one["items"]));

    let gone = json!({ "contact_ids": [people[4], people[3], people[3]] });
    let removed = flow.api(Method::DELETE, &path, Some(&gone)).await.expect_status(200).body;
    assert_eq!((&removed["changed"], &removed["list"]["contact_count"]), (&json!(2), &json!(3)));
    let removed = flow.api(Method::DELETE, &path, Some(&gone)).await.expect_status(200).body;
    assert_eq!((&removed["changed"], &removed["list"]["contact_count"]), (&json!(0), &json!(3)));

    for ids in
        [json!([]), json!([new_id()]), json!([people[0], new_id()]), json!(vec![people[0].clone(); 1_001])]
    {
        let problem = post(&flow, &path, json!({ "contact_ids": ids })).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "contact_ids");
    }
    let nowhere = format!("lists/{}/contacts", new_id());
    let _problem =
        post(&flow, &nowhere, json!({ "contact_ids": [people[0]] })).await.expect_problem(404, "not_found");
    let _problem = flow.api(Method::GET, &nowhere, None).await.expect_problem(404, "not_found");
    flow.end().await;
}

#[tokio::test]
async fn the_count_is_right_whoever_comes_at_once() {
    let flow = quiet().await;
    let people = people(&flow, 12).await;
    let id = made(&flow, "Todos").await;
    let path = format!("lists/{id}/contacts");
    let api = &flow.tenant.api;
    let answers = join_all((0..8).map(|turn| {
        let some: Vec<_> = people.iter().cycle().skip(turn).step_by(2).take(5).cloned().collect();
        let path = &path;
        async move { api.post(path, &json!({ "contact_ids": some })).await.expect_status(200) }
    }))
    .await;
    let added: u64 = answers.iter().map(|answer| answer.body["changed"].as_u64().unwrap()).sum();
    let count = get(&flow, &format!("lists/{id}")).await["contact_count"].as_u64().unwrap();
    assert_eq!((count, usize::try_from(count).unwrap()), (added, listed(&flow, &id, 100).await.len()));
    // Who is deleted is in no list any more.
    sqlx::query("DELETE FROM contacts WHERE company_id = $1 AND id = $2::uuid")
        .bind(flow.tenant.company_id)
        .bind(&people[0])
        .execute(&flow.admin)
        .await
        .unwrap();
    let left = get(&flow, &format!("lists/{id}")).await["contact_count"].as_u64().unwrap();
    assert_eq!(usize::try_from(left).unwrap(), listed(&flow, &id, 100).await.len());
    flow.end().await;
}
