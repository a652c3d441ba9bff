//! Every webhook fixture, split and normalised; the snapshots are the contract with the inbound consumer.

use domain::inbound::InboundEvent;
use domain::message::{MessageStatus, MessageType};
use providers::whatsapp_cloud::normalise::normalise;
use providers::whatsapp_cloud::webhook::{SplitEvent, split};
use serde_json::{Value, json};

fn events(fixture: &str) -> Vec<SplitEvent> {
    split(crate::fixture(&format!("whatsapp_cloud/{fixture}.json")).as_bytes()).unwrap()
}

/// The events of a change in field `messages` with this value.
fn value(mut value: Value) -> Vec<SplitEvent> {
    value["metadata"] = json!({ "phone_number_id": 100 });
    let body = json!({ "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": value }] }] });
    split(body.to_string().as_bytes()).unwrap()
}

fn only(value_of_change: Value) -> InboundEvent {
    let events = value(value_of_change);
    assert_eq!(events.len(), 1);
    normalise(&events[0].payload)
}

fn message(event: InboundEvent) -> domain::inbound::InboundMessage {
    match event {
        InboundEvent::Message(message) => *message,
        other => panic!("no message: {other:?}"),
    }
}

#[test]
fn every_webhook_fixture_is_understood() {
    let meta: Value = serde_json::from_str(&crate::fixture("whatsapp_cloud/_meta.json")).unwrap();
    let mut seen = 0;
    for (file, about) in meta.as_object().unwrap() {
        if about["kind"] != "webhook" {
            continue;
        }
        seen += 1;
        let name = file.trim_end_matches(".json");
        let described: Vec<Value> = events(name)
            .into_iter()
            .map(|event| {
                let payload: Value = serde_json::from_str(&event.payload).unwrap();
                json!({
                    "key": event.key,
                    "group": event.group,
                    "phone_number_id": event.phone_number_id,
                    "payload_members": payload.as_object().unwrap().keys().collect::<Vec<_>>(),
                    "normalised": normalise(&event.payload),
                })
            })
            .collect();
        insta::assert_json_snapshot!(name, described);
    }
    assert!(seen > 60, "only {seen} webhook fixtures");
}

#[test]
fn a_customer_has_one_group_in_every_spelling() {
    let message = value(json!({
        "contacts": [{ "wa_id": "553188880001", "user_id": "BR.1" }],
        "messages": [{ "id": "a", "from": "553188880001", "timestamp": "1", "type": "text", "text": { "body": "x" } }]
    }));
    let status = value(json!({ "statuses": [
        { "id": "b", "status": "sent", "timestamp": "1", "recipient_id": "5531988880001", "recipient_user_id": "BR.1" }
    ] }));
    let hidden = value(json!({
        "contacts": [{ "wa_id": "5531988880001", "user_id": "BR.1" }],
        "messages": [{ "id": "c", "from_user_id": "BR.1", "timestamp": "1", "type": "text", "text": { "body": "x" } }]
    }));
    assert_eq!(message[0].group, "5531988880001");
    assert_eq!(status[0].group, message[0].group);
    assert_eq!(hidden[0].group, message[0].group);
    assert_eq!(message[0].phone_number_id.as_deref(), Some("100"));
}

#[test]
fn a_group_fits_into_a_queue() {
    let long = format!("BR.{}", "9".repeat(128));
    let odd = "someone else's \u{1F600}";
    for address in [long.as_str(), odd] {
        let events = value(json!({ "messages": [{ "id": "a", "from_user_id": address }] }));
        assert_eq!(events[0].group.len(), 64);
        assert!(events[0].group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

#[test]
fn each_message_takes_its_own_contact() {
    let events = value(json!({
        "contacts": [
            { "wa_id": "16505550123", "profile": { "name": "Ana" } },
            { "wa_id": "5531988880001", "profile": { "name": "Bruno" } },
            { "wa_id": "16505550199", "profile": { "name": "Carla" } },
        ],
        "messages": [
            { "id": "1", "from": "553188880001", "timestamp": "1", "type": "text", "text": { "body": "x" } },
            { "id": "2", "from": "16505550123", "timestamp": "1", "type": "text", "text": { "body": "x" } },
            { "id": "3", "from": "16505550100", "timestamp": "1", "type": "text", "text": { "body": "x" } },
        ]
    }));
    let names: Vec<Option<String>> =
        events.iter().map(|event| message(normalise(&event.payload)).customer.name).collect();
    assert_eq!(names, [Some("Bruno".to_owned()), Some("Ana".to_owned()), None]);
    // Nobody's contact is kept all the same.
    assert!(events[0].payload.contains("Carla"));
}

#[test]
fn types_without_a_fixture_are_read_too() {
    let read = |part: Value| {
        let mut whole = json!({ "id": "1", "from": "16505550123", "timestamp": 1_750_030_080 });
        whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        message(only(json!({ "messages": [whole] })))
    };
    let order = read(json!({ "type": "order", "order": { "catalog_id": "1", "product_items": [
        { "product_retailer_id": "sku-1", "quantity": 2, "item_price": 9.9, "currency": "BRL" }
    ] } }));
    assert_eq!((order.message_type, order.text.as_deref()), (MessageType::Order, Some("2 × sku-1")));
    assert_eq!(order.content["order"]["catalog_id"], "1");

    let flow = read(json!({ "type": "interactive", "interactive": { "type": "nfm_reply",
        "nfm_reply": { "name": "flow", "body": "Sent", "response_json": "{\"a\":1}" } } }));
    assert_eq!((flow.message_type, flow.text.as_deref()), (MessageType::Interactive, Some("Sent")));
    assert_eq!(flow.content["interactive"]["nfm_reply"]["response_json"], "{\"a\":1}");

    let unknown = read(json!({ "type": "hologram", "hologram": { "depth": 3 } }));
    assert_eq!((unknown.message_type, unknown.text), (MessageType::Unsupported, None));
    assert_eq!(unknown.content, json!({ "type": "hologram", "hologram": { "depth": 3 } }));

    let nameless = read(json!({ "text": { "body": "no type" } }));
    assert_eq!((nameless.message_type, nameless.text.as_deref()), (MessageType::Text, Some("no type")));

    let place = read(json!({ "type": "location", "location": { "latitude": "-23.5", "longitude": -46.6 } }));
    assert_eq!(place.text.as_deref(), Some("-23.5, -46.6"));

    let grouped = read(json!({ "type": "text", "text": { "body": "x" }, "group_id": "G1" }));
    assert_eq!(grouped.group_id.as_deref(), Some("G1"));

    let by_hand = read(json!({ "type": "contacts", "contacts": [
        { "origin": "other", "name": { "formatted_name": "Rui" }, "phones": [{ "wa_id": "16505550199" }] }
    ] }));
    assert_eq!(by_hand.text.as_deref(), Some("Rui"));
    assert!(!by_hand.customer.addresses.iter().any(|address| address.value.contains("0199")));
}

#[test]
fn half_an_emoji_does_not_cost_a_message() {
    let body = r#"{"entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[
        {"id":"1","from":"16505550123","timestamp":"1","type":"text","text":{"body":"oi \ud83d\u0000"}}]}}]}]}"#;
    let events = split(body.as_bytes()).unwrap();
    assert_eq!(message(normalise(&events[0].payload)).text.as_deref(), Some("oi \u{FFFD}\u{FFFD}"));
}

#[test]
fn what_cannot_be_read_says_why() {
    let reason = |event: InboundEvent| match event {
        InboundEvent::Notice { field, reason } => (field, reason),
        other => panic!("no notice: {other:?}"),
    };
    let unparseable = |why: &str| ("messages".to_owned(), format!("unparseable: {why}"));
    for (part, expected) in [
        (json!({ "messages": [{ "from": "1" }] }), unparseable("a message without an id")),
        (json!({ "messages": [7] }), unparseable("a message without an id")),
        (json!({ "messages": [{ "id": "1" }] }), unparseable("a message without a customer")),
        (json!({ "statuses": [{ "status": "sent" }] }), unparseable("a status without a message id")),
        (
            json!({ "statuses": [{ "id": "1", "status": "teleported" }] }),
            ("messages".to_owned(), "not_handled".to_owned()),
        ),
        (json!({ "messages": [] }), ("messages".to_owned(), "not_handled".to_owned())),
    ] {
        assert_eq!(reason(only(part.clone())), expected, "{part}");
    }
    let (field, why) = reason(normalise("{\"field\":"));
    assert_eq!(field, "unknown");
    assert!(why.starts_with("unparseable: "), "{why}");
}

#[test]
fn a_group_status_is_one_for_each_participant() {
    let events = value(json!({ "statuses": [
        { "id": "1", "status": "read", "recipient_id": "G1", "recipient_type": "group",
          "recipient_participant_id": "16505550123", "timestamp": "1" },
        { "id": "1", "status": "read", "recipient_id": "G1", "recipient_type": "group",
          "recipient_participant_id": "16505550145", "timestamp": "1" },
    ] }));
    assert_eq!(events[0].key, "status:1:read:16505550123");
    assert_eq!(events[1].key, "status:1:read:16505550145");
    let InboundEvent::Status(status) = normalise(&events[0].payload) else { panic!("no status") };
    assert_eq!(status.status, MessageStatus::Read);
    assert_eq!(status.recipient[0].value, "16505550123");
}
