//! Filters of segments.

use domain::segment::{DEPTH, Filter, NODES, TEXT_CHARS, Test, TextTest, VALUES};
use serde_json::{Value, json};

use crate::seeds::Seed;

/// A filter, as it comes in a body.
pub(super) fn filter(text: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
    let read = Filter::parse(&value, "filter");
    assert_eq!(read, Filter::parse(&value, "filter"), "read twice");
    match read {
        Ok(filter) => {
            let mut nodes = 0;
            hold(&filter, 1, &mut nodes);
            assert!(nodes <= 2 * NODES, "{nodes} nodes");
            let named = filter.named("filter");
            assert!(named.iter().all(|(_, path)| path.starts_with("filter")));
        }
        Err(wrong) => {
            assert!(wrong.path.starts_with("filter"), "{wrong}");
            assert!(!wrong.message.is_empty(), "{wrong}");
        }
    }
}

/// `ne` and its like are a test within a `not`.
fn hold(filter: &Filter, depth: usize, nodes: &mut usize) {
    assert!(depth <= DEPTH + 1, "too deep");
    *nodes += 1;
    match filter {
        Filter::All(inner) | Filter::Any(inner) => inner.iter().for_each(|node| hold(node, depth + 1, nodes)),
        Filter::Not(inner) => hold(inner, depth + 1, nodes),
        Filter::Test(Test::Text(_, test)) => match test {
            TextTest::In(words) => hold_words(words),
            TextTest::Contains(word) | TextTest::StartsWith(word) => hold_words(std::slice::from_ref(word)),
            TextTest::Known => {}
        },
        Filter::Test(Test::AnyTag(words) | Test::AllTags(words)) => hold_words(words),
        Filter::Test(Test::Lists(ids) | Test::Connections(ids)) => assert!(ids.len() <= VALUES),
        Filter::Test(Test::Number(key, _, number)) => {
            hold_words(std::slice::from_ref(key));
            assert!(number.is_finite(), "no number");
        }
        Filter::Test(_) => {}
    }
}

fn hold_words(words: &[String]) {
    assert!(words.len() <= VALUES, "too many");
    for word in words {
        assert!(word.chars().count() <= TEXT_CHARS, "too long: {word}");
        assert!(!word.contains('\0'), "no text for a database: {word:?}");
    }
}

pub(super) fn seeds() -> Vec<Seed> {
    let id = "0190a1b2-0000-7000-8000-000000000001";
    let filters = [
        json!({ "all": [] }),
        json!({ "any": [{ "field": "name", "op": "contains", "value": "Ana" }, { "not": { "all": [] } }] }),
        json!({ "field": "phone", "op": "in", "value": ["+5562999990001", "+5562999990002"] }),
        json!({ "field": "email", "op": "known", "value": false }),
        json!({ "field": "custom.plano", "op": "ne", "value": 12.5 }),
        json!({ "field": "custom.desde", "op": "after", "value": "2026-03-31" }),
        json!({ "field": "custom.ativo", "op": "is", "value": true }),
        json!({ "all": [{ "field": "tag", "op": "has_any", "value": ["vip", "novo"] },
                        { "field": "list", "op": "in", "value": [id] },
                        { "field": "connection", "op": "in", "value": id }] }),
        json!({ "field": "created_at", "op": "before", "value": "2026-03-31T12:00:00-03:00" }),
        json!({ "field": "last_inbound_at", "op": "not_within_days", "value": 30 }),
        json!({ "field": "opted_out", "op": "is", "value": false }),
        json!({ "not": { "not": { "field": "open_session", "op": "is", "value": true } } }),
    ];
    let seed =
        |(number, filter): (usize, &Value)| (format!("filter_{number}"), filter.to_string().into_bytes());
    filters.iter().enumerate().map(seed).collect()
}
