//! The bytes as Meta writes them, and their signature.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// JSON text with everything outside ASCII as `\uXXXX` in lower-case hex, and on request `/`
/// as `\/`. Both are the same JSON, but not the same bytes, and the bytes are what is signed.
#[must_use]
pub fn escape(json: &str, slashes: bool) -> String {
    let mut escaped = String::with_capacity(json.len() + json.len() / 8);
    let mut units = [0_u16; 2];
    for character in json.chars() {
        match character {
            // JSON knows `/` only inside strings, so no position needs to be told apart.
            '/' if slashes => escaped.push_str("\\/"),
            ' '..='~' => escaped.push(character),
            '\n' | '\r' | '\t' => escaped.push(character),
            _ => {
                for unit in character.encode_utf16(&mut units) {
                    write!(escaped, "\\u{unit:04x}").expect("writing to a String cannot fail");
                }
            }
        }
    }
    escaped
}

/// The value of `X-Hub-Signature-256`.
///
/// # Panics
/// Never: HMAC takes a key of any length.
#[must_use]
pub fn signature(app_secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_outside_ascii_is_escaped_in_lower_case_with_surrogates() {
        assert_eq!(escape("{\"a\":\"ã👍\"}", true), r#"{"a":"\u00e3\ud83d\udc4d"}"#);
        assert_eq!(escape("\"a/b\"", true), r#""a\/b""#);
        assert_eq!(escape("\"a/b\"", false), "\"a/b\"");
    }
}
