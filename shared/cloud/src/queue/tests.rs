use proptest::prelude::*;

use super::*;

#[test]
fn ids_that_sqs_takes_stay_readable_and_others_are_hashed() {
    assert_eq!(legal_id("0190-abc:5511999990000"), "0190-abc:5511999990000");
    for id in [String::new(), "á".to_owned(), "two words".to_owned(), "x".repeat(129)] {
        assert_eq!(legal_id(&id).len(), 64, "{id}");
    }
    assert_eq!(legal_id(&"x".repeat(128)).len(), 128);
    assert_ne!(legal_id("é"), legal_id("è"));
}

#[test]
fn characters_that_sqs_refuses_survive_as_escapes() {
    let text = "a\u{ffff}b\u{fffe}c";
    let body = serde_json::to_string(text).expect("text serialises");
    let legal = legal_body(&body);
    assert!(!legal.contains(['\u{ffff}', '\u{fffe}']));
    assert_eq!(serde_json::from_str::<String>(&legal).expect("still JSON"), text);
}

#[test]
fn seconds_are_rounded_up() {
    assert_eq!(whole_seconds(Duration::ZERO), 0);
    assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
    assert_eq!(whole_seconds(Duration::from_secs(900)), 900);
}

#[test]
fn what_no_queue_takes_is_refused_before_it_travels() {
    let second = Duration::from_secs(1);
    let plain = QueueMessage::new("{}");
    assert!(plain.check(false).is_ok());
    assert!(matches!(plain.check(true), Err(QueueError::MissingGroup)));
    assert!(plain.clone().group("g").check(true).is_ok());
    assert!(matches!(plain.clone().group("g").delay(second).check(true), Err(QueueError::Delay)));
    assert!(plain.clone().delay(MAX_DELAY).check(false).is_ok());
    assert!(matches!(plain.delay(MAX_DELAY + second).check(false), Err(QueueError::Delay)));
    assert!(QueueMessage::new("x".repeat(MAX_MESSAGE_BYTES)).check(false).is_ok());
    let large = QueueMessage::new("x".repeat(MAX_MESSAGE_BYTES)).attribute("n", "v");
    assert!(
        matches!(large.check(false), Err(QueueError::TooLarge { bytes }) if bytes == MAX_MESSAGE_BYTES + 8)
    );
}

#[test]
fn debug_prints_no_body() {
    let message = QueueMessage::new("segredo").group("5511999990000").attribute("a", "segredo");
    let printed = format!("{message:?}");
    assert!(!printed.contains("segredo") && !printed.contains("5511"), "{printed}");
}

proptest! {
    #[test]
    fn every_id_becomes_legal(id in ".*") {
        let legal = legal_id(&id);
        prop_assert!((1..=MAX_ID_CHARS).contains(&legal.len()));
        prop_assert!(legal.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn every_value_becomes_legal(value in any::<String>(), max in 0_usize..64) {
        let legal = legal_value(&value, max);
        prop_assert!(legal.len() <= max);
        let is_legal = |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        prop_assert!(legal.chars().all(is_legal));
    }
}
