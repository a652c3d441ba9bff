//! Splitting against bodies that nobody has sent yet: it never panics, and no leaf of a webhook is lost.

use proptest::prelude::*;
use providers::whatsapp_cloud::normalise::normalise;
use providers::whatsapp_cloud::webhook::{SplitError, split};
use serde_json::{Map, Value, json};

/// Names that mean something to the splitter, and some that do not. Not `object` and `messaging_product`, whose
/// values are constants and are dropped.
const NAMES: [&str; 22] = [
    "entry",
    "id",
    "time",
    "changes",
    "field",
    "value",
    "metadata",
    "phone_number_id",
    "contacts",
    "messages",
    "message_echoes",
    "statuses",
    "errors",
    "user_id_update",
    "user_preferences",
    "from",
    "wa_id",
    "user_id",
    "status",
    "recipient_id",
    "type",
    "new\nfield \"2027\"",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), Just(Value::from("leaf"))];
    leaf.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&NAMES[..]), inner), 0..6).prop_map(object),
        ]
    })
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// Bodies of the right shape down to some depth, and of any shape below.
fn any_body() -> impl Strategy<Value = Value> {
    let list = |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from);
    let part = || {
        prop::collection::vec((prop::sample::select(&NAMES[..]), any_json()), 0..5).prop_map(object).boxed()
    };
    let value = prop_oneof![
        any_json(),
        (list(part()), list(part()), list(part()), any_json()).prop_map(
            |(contacts, messages, statuses, other)| json!({
                "metadata": { "phone_number_id": "leaf" },
                "contacts": contacts, "messages": messages, "statuses": statuses, "other": other,
            })
        ),
    ];
    let change = prop_oneof![
        any_json(),
        (any_json(), value, any_json()).prop_map(|(field, value, extra)| json!({
            "field": field, "value": value, "extra": extra,
        })),
    ];
    let entry = prop_oneof![
        any_json(),
        (list(change.boxed()), any_json(), any_json()).prop_map(|(changes, id, extra)| json!({
            "id": id, "changes": changes, "extra": extra,
        })),
    ];
    let entries = prop_oneof![any_json(), list(entry.boxed())];
    (entries, any_json()).prop_map(|(entry, extra)| json!({ "entry": entry, "extra": extra }))
}

/// Makes every leaf a word of its own; answers the words.
fn name_leaves(value: &mut Value, words: &mut Vec<String>) {
    match value {
        Value::String(leaf) => {
            // Words end in a letter, so that none begins another.
            *leaf = format!("leaf{}x", words.len());
            words.push(leaf.clone());
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| name_leaves(element, words)),
        Value::Object(members) => members.values_mut().for_each(|member| name_leaves(member, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_leaf_is_lost(mut body in any_body()) {
        let mut words = Vec::new();
        name_leaves(&mut body, &mut words);
        let events = split(body.to_string().as_bytes()).unwrap();
        prop_assert!(!events.is_empty());
        let payloads: String = events.iter().map(|event| event.payload.as_str()).collect();
        for word in words {
            prop_assert!(payloads.contains(&word), "{word} of {body} is lost");
        }
        for event in &events {
            prop_assert!(serde_json::from_str::<Value>(&event.payload).unwrap().is_object());
            prop_assert!((1..=64).contains(&event.group.len()) && event.group.is_ascii());
            normalise(&event.payload);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(split(&bytes).is_err());
    }

    #[test]
    fn no_text_panics_the_normaliser(text in ".{0,80}", body in any_json()) {
        normalise(&text);
        normalise(&body.to_string());
        normalise(&json!({ "field": "messages", "message": body, "contacts": [body], "entry_time": text }).to_string());
        normalise(&json!({ "status": body }).to_string());
    }
}

#[test]
fn what_is_no_webhook_is_refused() {
    for body in ["", "{", "{\"entry\":[}", "\u{FEFF}"] {
        assert!(matches!(split(body.as_bytes()), Err(SplitError::Malformed(_))), "{body}");
    }
    assert!(matches!(split(b"{\"entry\":\"\xff\"}"), Err(SplitError::Malformed(_))));
    for body in ["null", "[]", "7", "\"entry\"", "{}", "{\"object\":\"whatsapp_business_account\"}"] {
        assert!(matches!(split(body.as_bytes()), Err(SplitError::Shape)), "{body}");
    }
}

#[test]
fn the_largest_batch_is_split_in_no_time() {
    let message = json!({ "from": "16505550123", "id": "wamid.1", "timestamp": "1", "type": "text",
        "text": { "body": "x".repeat(2000) } });
    let contact = json!({ "wa_id": "16505550123", "profile": { "name": "Ana" } });
    let body = json!({ "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": {
        "metadata": { "phone_number_id": "1" }, "contacts": [contact], "messages": vec![message; 1000] } }] }] })
    .to_string();
    let started = std::time::Instant::now();
    assert_eq!(split(body.as_bytes()).unwrap().len(), 1000);
    // Generous: tests are not optimised, and machines are busy.
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
}

#[test]
fn a_retry_has_the_same_keys() {
    let body = crate::fixture("whatsapp_cloud/batch_messages_and_statuses_multiple_entries.json");
    let (first, again) = (split(body.as_bytes()).unwrap(), split(body.as_bytes()).unwrap());
    assert_eq!(first, again);
    let later = body.replace("1750030004", "1750030005");
    let notice =
        |events: &[providers::whatsapp_cloud::webhook::SplitEvent]| events.last().unwrap().key.clone();
    assert_ne!(notice(&first), notice(&split(later.as_bytes()).unwrap()));
}

/// Bodies that are made to become large: each of many events takes along what stands around it, or is looked for among as many
/// others. What no provider sends is kept whole, in no more time than it takes to read it.
#[test]
fn no_body_becomes_many_times_as_large() {
    let many = |piece: &str, times: usize| vec![piece; times].join(",");
    let value = |value: String| {
        format!(r#"{{"entry":[{{"changes":[{{"field":"messages","value":{{{value}}}}}]}}]}}"#)
    };
    let contact = r#"{"wa_id":"5562999990001"}"#;
    let message = r#"{"id":"a","from":"5562999990001"}"#;
    let large = "x".repeat(500_000);
    for (what, body) in [
        ("entries that are none", format!(r#"{{"entry":[{}]}}"#, many("0", 300_000))),
        ("entries that hold nothing", format!(r#"{{"entry":[{}]}}"#, many("{}", 300_000))),
        ("lists of entries", format!("{{{}}}", many(r#""entry":0"#, 50_000))),
        ("changes that are none", format!(r#"{{"entry":[{{"changes":[{}]}}]}}"#, many("0", 300_000))),
        ("messages", value(format!(r#""messages":[{}]"#, many("0", 300_000)))),
        ("messages and metadata", value(format!(r#""metadata":"{large}","messages":[{}]"#, many("0", 100)))),
        (
            "messages and contacts of one number",
            value(format!(r#""contacts":[{}],"messages":[{}]"#, many(contact, 20_000), many(message, 3_000))),
        ),
        (
            "messages and contacts of nobody",
            value(format!(r#""contacts":[{}],"messages":[{}]"#, many("{}", 200_000), many(message, 3_000))),
        ),
    ] {
        let began = std::time::Instant::now();
        let events = split(body.as_bytes()).unwrap();
        let size: usize = events.iter().map(|event| event.payload.len()).sum();
        assert!(
            size <= (8 << 20).max(4 * body.len()) && events.len() <= 4_000,
            "{what}: {} events, {size}",
            events.len()
        );
        assert!(began.elapsed().as_secs() < 20, "{what}: {:?}", began.elapsed());
        if !what.ends_with("nobody") {
            assert_eq!(events.len(), 1, "{what}: kept whole");
            assert!(events[0].payload.contains(&body), "{what}: kept whole");
        }
    }
}

/// What an event is known by is what it is stored by, however its id is spelt.
#[test]
fn a_message_is_known_by_the_id_that_it_is_stored_by() {
    for (id, expected) in [
        (r#""id":"wamid.a""#, "wamid.a"),
        (r#""id":"wamid.a","id":"wamid.b""#, "wamid.b"),
        (r#""id":"a\u0000b""#, "a\u{fffd}b"),
        (r#""id":"a\ud83d""#, "a\u{fffd}"),
        (r#""id":"a","\ud83d":1"#, "a"),
        (r#""id":1768053600"#, "1768053600"),
        (r#""id":123456789012345678901234567890"#, "1.2345678901234568e+29"),
    ] {
        let body = format!(
            r#"{{"entry":[{{"changes":[{{"value":{{"messages":[{{{id},"from":"5562999990001"}}]}}}}]}}]}}"#
        );
        let events = split(body.as_bytes()).unwrap();
        assert_eq!(events[0].key, format!("message:{expected}"), "{id}");
        match normalise(&events[0].payload) {
            domain::inbound::InboundEvent::Message(message) => {
                assert_eq!(message.provider_message_id, expected, "{id}");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}
