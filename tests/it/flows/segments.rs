//! Segments: what people ask for, and that the database understands it as it is meant.

use std::collections::BTreeSet;

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use testkit::{Flow, new_id};

use super::people::{get, insert, number, post, quiet, writes};
use crate::inbox::redacted;

/// How many filters are tried.
const FILTERS: usize = 200;

async fn preview(flow: &Flow, filter: &Value) -> Value {
    post(flow, "segments/preview", json!({ "filter": filter })).await.expect_status(200).body
}

#[tokio::test]
async fn a_segment_is_saved_previewed_changed_and_removed() {
    let flow = quiet().await;
    insert(&flow, json!({ "name": "Ana", "tags": ["vip"] })).await;
    insert(&flow, json!({ "name": "Bia", "tags": ["vip"], "opted_out_at": "2026-01-01T00:00:00Z" })).await;
    insert(&flow, json!({ "name": "Caio" })).await;
    let filter = json!({ "all": [
        { "field": "tag", "op": "has", "value": "vip" },
        { "not": { "field": "opted_out", "op": "is", "value": true } },
    ]});
    let new = json!({ "name": "VIPs", "filter": filter });
    let segment = post(&flow, "segments", new.clone()).await.expect_status(201).body;
    insta::assert_json_snapshot!("segment", redacted(&segment));
    let path = format!("segments/{}", segment["id"].as_str().unwrap());
    assert_eq!(get(&flow, &path).await, segment);
    assert_eq!(get(&flow, "segments").await["items"], json!([segment]));
    let shown = flow.api(Method::POST, &format!("{path}/preview"), None).await.expect_status(200).body;
    insta::assert_json_snapshot!("segment_preview", redacted(&shown));
    assert_eq!(preview(&flow, &filter).await, shown);
    let taken = post(&flow, "segments", new).await.expect_problem(409, "conflict");
    insta::assert_json_snapshot!("segment_name_taken", taken);

    let change = json!({ "name": "Todos", "filter": { "all": [] } });
    let changed = flow.api(Method::PATCH, &path, Some(&change)).await.expect_status(200).body;
    assert_eq!((&changed["name"], &changed["filter"]), (&json!("Todos"), &json!({ "all": [] })));
    let shown = flow.api(Method::POST, &format!("{path}/preview"), None).await.expect_status(200).body;
    assert_eq!(shown["count"], 3);
    let _gone = flow.api(Method::DELETE, &path, None).await.expect_status(204);
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/preview")),
    ] {
        let _problem = flow.api(method, &path, None).await.expect_problem(404, "not_found");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_wrong_node_is_named() {
    let flow = quiet().await;
    let saved = |filter: Value| json!({ "name": "Segmento", "filter": filter });
    for (filter, field) in [
        (json!(1), "filter"),
        (json!({ "all": [{ "any": [{ "not": {} }] }] }), "filter.all[0].any[0].not"),
        (json!({ "field": "password", "op": "eq", "value": "x" }), "filter.field"),
        (json!({ "any": [{ "field": "tag", "op": "like", "value": "x" }] }), "filter.any[0].op"),
        (json!({ "not": { "field": "created_at", "op": "within_days", "value": "7" } }), "filter.not.value"),
        (json!({ "all": [{ "field": "list", "op": "in", "value": [new_id()] }] }), "filter.all[0].value"),
        (json!({ "field": "connection", "op": "in", "value": new_id() }), "filter.value"),
    ] {
        let problem = post(&flow, "segments", saved(filter.clone())).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{filter}");
        let unsaved = post(&flow, "segments/preview", json!({ "filter": filter })).await;
        assert_eq!(unsaved.expect_problem(422, "invalid")["errors"][0]["field"], field, "{filter}");
    }
    let nameless = post(&flow, "segments", json!({ "name": " ", "filter": { "all": [] } })).await;
    assert_eq!(nameless.expect_problem(422, "invalid")["errors"][0]["field"], "name");
    let wrong =
        post(&flow, "segments/preview", json!({ "filter": { "all": [{ "field": "tag", "op": "is" }] } }))
            .await;
    insta::assert_json_snapshot!("segment_wrong_node", wrong.expect_problem(422, "invalid"));
    flow.end().await;
}

#[tokio::test]
async fn who_wrote_and_who_was_written_to() {
    let flow = quiet().await;
    let wa_id = number();
    let ana = writes(&flow, &wa_id, "Ana", "Oi").await;
    let silent = insert(&flow, json!({ "name": "Silvio" })).await;
    let merged = insert(&flow, json!({ "name": "Ana de novo" })).await;
    let _merged =
        post(&flow, &format!("contacts/{merged}/merge"), json!({ "into": ana })).await.expect_status(200);
    let list = post(&flow, "lists", json!({ "name": "Lista" })).await.expect_status(201).body["id"].clone();
    let path = format!("lists/{}/contacts", list.as_str().unwrap());
    let _added = post(&flow, &path, json!({ "contact_ids": [silent] })).await.expect_status(200);
    let connection = flow.tenant.connection_id;
    let test = |field: &str, op: &str, value: Value| json!({ "field": field, "op": op, "value": value });
    for (filter, expected) in [
        (test("last_inbound_at", "within_days", json!(1)), vec![&ana]),
        (test("last_inbound_at", "not_within_days", json!(1)), vec![&silent]),
        (test("last_inbound_at", "known", json!(false)), vec![&silent]),
        (test("last_inbound_at", "before", json!("2020-01-01")), vec![]),
        (test("last_outbound_at", "known", json!(true)), vec![]),
        (test("open_session", "is", json!(true)), vec![&ana]),
        (test("open_conversation", "is", json!(false)), vec![&silent]),
        (test("connection", "in", json!([connection])), vec![&ana]),
        (test("list", "in", list.clone()), vec![&silent]),
        (test("phone", "starts_with", json!(format!("+{}", &wa_id[..4]))), vec![&ana]),
        (test("source", "eq", json!("WhatsApp_Cloud")), vec![&ana]),
        (test("name", "contains", json!("de novo")), vec![]),
    ] {
        let shown = preview(&flow, &filter).await;
        let found: BTreeSet<_> =
            shown["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        let expected: BTreeSet<_> = expected.into_iter().map(String::as_str).collect();
        assert_eq!((found, &shown["count"]), (expected.clone(), &json!(expected.len())), "{filter}");
    }
    let conversation = get(&flow, &format!("conversations?contact_id={ana}")).await["items"][0]["id"].clone();
    super::people::notes_down(&flow, conversation.as_str().unwrap(), "Olá!").await;
    assert_eq!(preview(&flow, &test("last_outbound_at", "within_days", json!(1))).await["count"], 1);
    flow.pump().await;
    flow.end().await;
}

const NAMES: [&str; 4] = ["", "Ana", "ANA LIMA", "Beto's"];
const SOURCES: [&str; 3] = ["import", "site", "100%"];
const TAGS: [&str; 3] = ["vip", "sp", "a'b"];
const PLANS: [&str; 3] = ["ouro", "prata", "_"];
const DAYS: [&str; 3] = ["1990-05-17", "2001-02-03", "sem data"];

fn person() -> impl Strategy<Value = Value> {
    let tags = prop::sample::subsequence(TAGS.to_vec(), 0..=TAGS.len());
    let plan = prop_oneof![
        Just(json!({})),
        select(PLANS.to_vec()).prop_map(|plan| json!({ "plano": plan })),
        (-3..4i64).prop_map(|total| json!({ "plano": total, "total": f64::from(total as i32) / 2.0 })),
        select(DAYS.to_vec()).prop_map(|day| json!({ "plano": true, "dia": day })),
    ];
    let email = prop_oneof![Just(Value::Null), Just(json!("ana@example.com")), Just(json!(""))];
    let fields =
        (select(NAMES.to_vec()), select(SOURCES.to_vec()), email, tags, plan, any::<bool>(), 0..400i64);
    fields.prop_map(|(name, source, email, tags, custom, out, days)| {
        json!({ "name": name, "source": source, "email": email, "tags": tags, "custom": custom,
                "opted_out_at": out.then_some("2026-01-01T00:00:00Z"), "days": days })
    })
}

fn text_test() -> impl Strategy<Value = Value> {
    let field = select(vec!["name", "source", "email", "custom.plano", "custom.nada"]);
    let words = [NAMES.as_slice(), &SOURCES, &PLANS].concat();
    let words: Vec<_> =
        words.into_iter().filter(|word| !word.is_empty()).chain(["a", "ana", "%", "true"]).collect();
    let one = select(words.clone());
    let many = prop::collection::vec(select(words), 1..4);
    let asked = prop_oneof![
        (select(vec!["eq", "ne", "contains", "starts_with"]), one).prop_map(|(op, word)| (op, json!(word))),
        many.prop_map(|words| ("in", json!(words))),
        any::<bool>().prop_map(|yes| ("known", json!(yes))),
    ];
    (field, asked).prop_map(|(field, (op, value))| json!({ "field": field, "op": op, "value": value }))
}

fn other_test() -> impl Strategy<Value = Value> {
    let number = select(vec!["eq", "ne", "lt", "lte", "gt", "gte"]);
    let tags = prop::sample::subsequence(TAGS.to_vec(), 1..=TAGS.len());
    let test = |field: &str, op: &str, value: Value| json!({ "field": field, "op": op, "value": value });
    prop_oneof![
        (select(vec!["custom.total", "custom.plano"]), number, -3..4i32)
            .prop_map(move |(field, op, value)| test(field, op, json!(f64::from(value) / 2.0))),
        (select(vec!["before", "after"]), select(vec!["1990-05-17", "1995-01-01", "2001-02-04"]))
            .prop_map(move |(op, day)| test("custom.dia", op, json!(day))),
        any::<bool>().prop_map(move |yes| test("custom.plano", "is", json!(yes))),
        select(TAGS.to_vec()).prop_map(move |tag| test("tag", "has", json!(tag))),
        (select(vec!["has_any", "has_all"]), tags).prop_map(move |(op, tags)| test("tag", op, json!(tags))),
        any::<bool>().prop_map(move |yes| test("opted_out", "is", json!(yes))),
        (select(vec!["within_days", "not_within_days"]), 0..500u32).prop_map(move |(op, days)| test(
            "created_at",
            op,
            json!(days)
        )),
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![text_test(), other_test()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|nodes| json!({ "all": nodes })),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|nodes| json!({ "any": nodes })),
            inner.prop_map(|node| json!({ "not": node })),
        ]
    })
}

/// What the table in `domain::segment` says, once more and without SQL.
fn passes(filter: &Value, person: &Value) -> bool {
    if let Some(nodes) = filter["all"].as_array() {
        return nodes.iter().all(|node| passes(node, person));
    }
    if let Some(nodes) = filter["any"].as_array() {
        return nodes.iter().any(|node| passes(node, person));
    }
    if filter["not"].is_object() {
        return !passes(&filter["not"], person);
    }
    let (field, op, wanted) =
        (filter["field"].as_str().unwrap(), filter["op"].as_str().unwrap(), &filter["value"]);
    let value = match field.strip_prefix("custom.") {
        Some(key) => &person["custom"][key],
        None => &person[field],
    };
    match field {
        "tag" => {
            let has = |tag: &Value| person["tags"].as_array().unwrap().contains(tag);
            match op {
                "has" => has(wanted),
                "has_any" => wanted.as_array().unwrap().iter().any(has),
                _ => wanted.as_array().unwrap().iter().all(has),
            }
        }
        "opted_out" => person["opted_out_at"].is_string() == wanted.as_bool().unwrap(),
        "created_at" => {
            let within = person["days"].as_u64() < wanted.as_u64();
            within == (op == "within_days")
        }
        _ if wanted.is_number() => match (value.as_f64(), wanted.as_f64().unwrap(), op) {
            (number, wanted, "ne") => number != Some(wanted),
            (None, ..) => false,
            (Some(number), wanted, "eq") => number == wanted,
            (Some(number), wanted, "lt") => number < wanted,
            (Some(number), wanted, "lte") => number <= wanted,
            (Some(number), wanted, "gt") => number > wanted,
            (Some(number), wanted, _) => number >= wanted,
        },
        "custom.dia" => {
            let day = value.as_str().filter(|day| day.starts_with(|c: char| c.is_ascii_digit()));
            day.is_some_and(|day| (day < wanted.as_str().unwrap()) == (op == "before"))
        }
        _ if op == "is" => value == wanted,
        _ => {
            let text = match value {
                Value::Null => None,
                Value::String(text) => Some(text.to_lowercase()),
                other => Some(other.to_string()),
            };
            let lower = |wanted: &Value| wanted.as_str().map(str::to_lowercase);
            match (op, text) {
                ("known", text) => text.is_some_and(|text| !text.is_empty()) == wanted.as_bool().unwrap(),
                ("ne", text) => text != lower(wanted),
                (_, None) => false,
                ("eq", text) => text == lower(wanted),
                ("in", text) => wanted.as_array().unwrap().iter().any(|wanted| lower(wanted) == text),
                ("contains", Some(text)) => text.contains(&lower(wanted).unwrap()),
                (_, Some(text)) => text.starts_with(&lower(wanted).unwrap()),
            }
        }
    }
}

#[tokio::test]
async fn the_database_finds_whom_the_filter_means() {
    let flow = quiet().await;
    let now: DateTime<Utc> = flow.clock.pass(TimeDelta::zero());
    let mut runner = TestRunner::default();
    let mut people = Vec::new();
    for _ in 0..18 {
        let person = person().new_tree(&mut runner).unwrap().current();
        let mut row = person.clone();
        let age = TimeDelta::days(row["days"].as_i64().unwrap()) + TimeDelta::hours(1);
        row.as_object_mut().unwrap().remove("days");
        row["created_at"] = json!(now - age);
        people.push((insert(&flow, row).await, person));
    }
    let mut sizes = BTreeSet::new();
    for _ in 0..FILTERS {
        let filter = filter().new_tree(&mut runner).unwrap().current();
        let shown = preview(&flow, &filter).await;
        let found: BTreeSet<&str> =
            shown["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        let meant: BTreeSet<&str> =
            people.iter().filter(|(_, person)| passes(&filter, person)).map(|(id, _)| id.as_str()).collect();
        assert_eq!(found, meant, "{filter} among {people:#?}");
        assert_eq!(shown["count"], json!(meant.len()), "{filter}");
        sizes.insert(meant.len());
    }
    assert!(sizes.len() > 5, "the filters tell people apart: {sizes:?}");
    flow.end().await;
}
