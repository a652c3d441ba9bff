//! Twilio.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use providers::twilio::normalise::normalise;
use providers::twilio::signature::{sign, verify};
use providers::twilio::webhook::{About, split};
use secrecy::SecretString;

use super::tampering::Tampering;
use crate::events;

const TOKEN: &str = "the account's token";
const ADDRESS: &str = "https://hooks.example.com/loja/messages?callback=1";

/// A form as a message and as a report, and the same bytes as a payload of the queue.
pub(super) fn form(form: &[u8]) {
    if let Ok(text) = str::from_utf8(form) {
        events::read(text, normalise);
    }
    for (about, callback) in [(About::Message, None), (About::Status, Some("0190a1b2"))] {
        let split_events = split(about, form, callback, events::now());
        assert_eq!(split_events, split(about, form, callback, events::now()), "split twice");
        assert!(!split_events.is_empty(), "what is not understood is kept");
        // Up to ten files, each with all of the form, of which a byte becomes six at most.
        events::hold(form, &split_events, normalise, 64);
    }
}

/// What was signed, and then changed.
pub(super) fn signature(input: &[u8]) {
    let Some(tampering) = Tampering::read(input) else { return };
    let (token, form) = (SecretString::from(TOKEN), tampering.rest);
    let header = sign(&token, ADDRESS, form);
    verify(&token, ADDRESS, true, form, Some(&header)).expect("what was signed is genuine");
    let with_port = ADDRESS.replace(".com/", ".com:443/");
    verify(&token, &with_port, true, form, Some(&header)).expect("the port is said or not");
    verify(&token, ADDRESS, true, form, None).expect_err("no signature");
    verify(&"another".into(), ADDRESS, true, form, Some(&header)).expect_err("signed by somebody else");
    if let Some(changed) = tampering.change(form) {
        // The signature is over names and values without a sign between them: that is Twilio's to change.
        let is_same = signed_text(&changed) == signed_text(form);
        let verified = verify(&token, ADDRESS, true, &changed, Some(&header));
        assert_eq!(verified.is_ok(), is_same, "{}", String::from_utf8_lossy(&changed));
    }
    if let Some(changed) = tampering.change_text(&header) {
        let is_same = STANDARD.decode(&changed) == STANDARD.decode(&header);
        assert_eq!(verify(&token, ADDRESS, true, form, Some(&changed)).is_ok(), is_same, "{changed}");
    }
    if let Some(changed) = tampering.change_text(ADDRESS) {
        verify(&token, &changed, true, form, Some(&header)).expect_err("another address");
    }
    if let Ok(address) = str::from_utf8(form) {
        verify(&token, address, true, b"", Some(&header)).expect_err("an address that was not called");
        verify(&token, address, false, b"", Some(&header)).expect_err("an address without a hash");
    }
    other_body(&token, &tampering);
}

/// A body that is no form: its hash stands in the address.
fn other_body(token: &SecretString, tampering: &Tampering<'_>) {
    // SHA-256 of nothing.
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let address = format!("{ADDRESS}&bodySHA256={NOTHING}");
    let header = sign(token, &address, b"");
    verify(token, &address, false, b"", Some(&header)).expect("the hash is that of the body");
    if !tampering.rest.is_empty() {
        verify(token, &address, false, tampering.rest, Some(&header)).expect_err("another body");
    }
}

/// As `lib/webhooks/webhooks.js` of Twilio's Node SDK has it.
fn signed_text(form: &[u8]) -> String {
    let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(form).into_owned().collect();
    fields.sort();
    fields.dedup();
    fields.into_iter().map(|(name, value)| name + &value).collect()
}
