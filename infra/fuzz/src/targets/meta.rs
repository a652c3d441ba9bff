//! The WhatsApp Cloud API.

use providers::channel::event::Event;
use providers::whatsapp_cloud::normalise::normalise;
use providers::whatsapp_cloud::signature::{sign, verify, verify_challenge};
use providers::whatsapp_cloud::webhook::split;
use secrecy::SecretString;

use super::tampering::Tampering;
use crate::events;

const SECRET: &str = "the app's secret";
const VERIFY_TOKEN: &str = "our token";

/// A webhook's body, and the same bytes as a payload of the queue.
pub(super) fn body(body: &[u8]) {
    if let Ok(text) = str::from_utf8(body) {
        events::read(text, normalise);
    }
    let Ok(split_events) = split(body) else { return };
    assert_eq!(split_events, split(body).expect("it was a webhook"), "split twice");
    assert!(!split_events.is_empty(), "what is not understood is kept");
    let split_events: Vec<Event> = split_events
        .into_iter()
        .map(|event| Event {
            key: event.key,
            group: event.group,
            accounts: event.phone_number_id.into_iter().collect(),
            payload: event.payload,
        })
        .collect();
    events::hold(body, &split_events, normalise, 8);
}

/// What was signed, and then changed.
pub(super) fn signature(input: &[u8]) {
    let Some(tampering) = Tampering::read(input) else { return };
    let (secret, body) = (SecretString::from(SECRET), tampering.rest);
    let header = sign(&secret, body);
    verify(&secret, body, Some(&header)).expect("what was signed is genuine");
    verify(&secret, body, None).expect_err("no signature");
    verify(&"another".into(), body, Some(&header)).expect_err("signed by somebody else");
    if let Some(changed) = tampering.change(body) {
        verify(&secret, &changed, Some(&header)).expect_err("another body");
    }
    if let Some(changed) = tampering.change_text(&header) {
        // Hexadecimal digits are the same in both cases.
        let is_same = changed.starts_with("sha256=") && changed.eq_ignore_ascii_case(&header);
        assert_eq!(verify(&secret, body, Some(&changed)).is_ok(), is_same, "{changed}");
    }
    let Ok(text) = str::from_utf8(body) else { return };
    verify(&secret, body, Some(text)).expect_err("a body is no signature of itself");
    if let Ok(challenge) = verify_challenge(text, &VERIFY_TOKEN.into()) {
        assert!((1..=256).contains(&challenge.len()), "{challenge}");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(challenge.bytes().all(is_plain), "{challenge}");
    }
    let query = format!("hub.mode=subscribe&hub.verify_token=our+token&hub.challenge=1&{text}");
    if let Err(error) = verify_challenge(&query, &VERIFY_TOKEN.into()) {
        assert!(text.contains("hub") || text.contains('%'), "{error}: nothing was said after the token");
    }
    let stranger = format!("{text}&hub.mode=subscribe&hub.verify_token=their+token&hub.challenge=1");
    verify_challenge(&stranger, &VERIFY_TOKEN.into()).expect_err("another token");
}
