//! UAZapi.

use providers::uazapi::normalise::normalise;
use providers::uazapi::webhook::split;
use secrecy::SecretString;
use serde_json::Value;

use crate::events;

/// A webhook's body, and the same bytes as a payload of the queue. Whatever token stands in the body is taken for ours: any
/// other one of ours is not the one that it proves.
pub(super) fn body(body: &[u8]) {
    if let Ok(text) = str::from_utf8(body) {
        events::read(text, normalise);
    }
    split(&"".into(), body, events::now()).expect_err("a token that anybody could guess");
    let whole: Value = serde_json::from_slice(body).unwrap_or_default();
    let token = whole["token"].as_str().unwrap_or_default();
    for other in [format!("{token}x"), format!("x{token}"), token.chars().skip(1).collect()] {
        split(&other.into(), body, events::now()).expect_err("another token");
    }
    let Ok(split_events) = split(&SecretString::from(token), body, events::now()) else { return };
    let again = split(&SecretString::from(token), body, events::now()).expect("it was a webhook");
    assert_eq!(split_events, again, "split twice");
    assert!(!split_events.is_empty(), "what is not understood is kept");
    for event in split_events.iter().take(50) {
        let payload: Value = serde_json::from_str(&event.payload).expect("a payload is JSON");
        assert!(payload.get("token").is_none(), "what opens the instance goes along");
    }
    events::hold(body, &split_events, normalise, 8);
}
