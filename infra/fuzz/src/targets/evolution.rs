//! Evolution API.

use chrono::TimeDelta;
use providers::evolution::normalise::normalise;
use providers::evolution::signature::{sign, verify};
use providers::evolution::webhook::split;
use secrecy::SecretString;

use super::tampering::Tampering;
use crate::events;

const KEY: &str = "the gateway's key";

/// A webhook's body, and the same bytes as a payload of the queue.
pub(super) fn body(body: &[u8]) {
    if let Ok(text) = str::from_utf8(body) {
        events::read(text, normalise);
    }
    let Ok(split_events) = split(body, events::now()) else { return };
    assert_eq!(split_events, split(body, events::now()).expect("it was a webhook"), "split twice");
    events::hold(body, &split_events, normalise, 8);
}

/// A token that was changed, or is of another time.
pub(super) fn token(input: &[u8]) {
    let Some(tampering) = Tampering::read(input) else { return };
    let (key, now) = (SecretString::from(KEY), events::now());
    let header = sign(&key, now);
    verify(&key, Some(&header), now).expect("what was signed is genuine");
    verify(&key, None, now).expect_err("no token");
    verify(&"another".into(), Some(&header), now).expect_err("signed by somebody else");
    verify(&"".into(), Some(&sign(&"".into(), now)), now).expect_err("a key that anybody could guess");
    if let Some(changed) = tampering.change_text(&header) {
        let token = |header: &str| header.strip_prefix("Bearer ").map(|token| token.trim().to_owned());
        let is_same = token(&changed) == token(&header);
        assert_eq!(verify(&key, Some(&changed), now).is_ok(), is_same, "{changed}");
    }
    // Ten minutes, and one for a clock that is ahead.
    let late = tampering.seconds();
    let at = now + TimeDelta::seconds(late);
    assert_eq!(verify(&key, Some(&header), at).is_ok(), (-60..=600).contains(&late), "{late} s later");
    if let Ok(text) = str::from_utf8(tampering.rest) {
        verify(&key, Some(text), now).expect_err("it is signed by another key");
        verify(&key, Some(&format!("Bearer {text}")), now).expect_err("it is signed by another key");
    }
}
