//! Reading JSON whose author changes his mind: numbers that are sometimes strings, members that are sometimes
//! missing, escapes that are no characters.

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, Utc};
use serde_json::{Map, Value};

/// Seconds above this are milliseconds (the year 5138 otherwise).
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// A string or a number, as text; empty strings count as missing.
pub(crate) fn text(value: &Value, name: &str) -> Option<String> {
    as_text(value.get(name)?)
}

/// See [`text`].
pub(crate) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Unix seconds (or milliseconds), as a string or a number. `None` for what nobody can have written a message at: RFC 3339
/// ends with the year 9999, PostgreSQL not much later.
pub(crate) fn instant(value: Option<&Value>) -> Option<DateTime<Utc>> {
    let seconds: i64 = as_text(value?)?.parse().ok()?;
    let at = if seconds >= MILLISECONDS_FROM {
        DateTime::from_timestamp_millis(seconds)
    } else {
        DateTime::from_timestamp(seconds, 0)
    };
    at.filter(|at| (1970..=9999).contains(&at.year()))
}

/// `true`, or the word, however it is written.
pub(crate) fn flag(value: &Value, name: &str) -> bool {
    match value.get(name) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(word)) => word.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// The elements of a list; nothing if it is none.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The members that are not named.
pub(crate) fn without(value: &Value, names: &[&str]) -> Map<String, Value> {
    let members = value.as_object().cloned().unwrap_or_default();
    members.into_iter().filter(|(name, _)| !names.contains(&name.as_str())).collect()
}

/// Parses JSON that people wrote through several programs: half an emoji (a lone surrogate) is no JSON string, and
/// a NUL is refused by PostgreSQL, yet the message around it is real. Both become U+FFFD.
pub(crate) fn parse(payload: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&storable(payload))
}

/// The text with U+FFFD in the place of escapes that are no characters, and of NULs.
pub(crate) fn storable(json: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = json[at..].find('\\') {
        let start = at + found;
        let (length, good) = match code_unit(json, start) {
            // Not a `\u` escape: skip the escaped byte, which may be a backslash.
            None => (1 + json[start + 1..].chars().next().map_or(0, char::len_utf8), true),
            Some(0) => (6, false),
            Some(0xD800..=0xDBFF) => match code_unit(json, start + 6) {
                Some(0xDC00..=0xDFFF) => (12, true),
                _ => (6, false),
            },
            Some(0xDC00..=0xDFFF) => (6, false),
            Some(_) => (6, true),
        };
        at = start + length;
        if !good {
            repaired.push_str(&json[copied..start]);
            repaired.push_str("\\ufffd");
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    repaired.push_str(&json[copied..]);
    Cow::Owned(repaired)
}

/// The number in the `\uXXXX` that stands at `start`.
fn code_unit(json: &str, start: usize) -> Option<u32> {
    let digits = json.get(start..start + 6)?.strip_prefix("\\u")?;
    // A sign would be read, too.
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_emoji_and_a_nul_do_not_cost_the_message() {
        for (json, expected) in [
            (r#""\ud83d\udc4d""#, "👍"),
            (r#""a\ud83d""#, "a\u{FFFD}"),
            (r#""\udc4d b""#, "\u{FFFD} b"),
            (r#""\ud83d\ud83d\udc4d""#, "\u{FFFD}👍"),
            (r#""a\u0000b""#, "a\u{FFFD}b"),
            (r#""\\u0000 \" \\""#, "\\u0000 \" \\"),
            (r#""é\né""#, "é\né"),
        ] {
            assert_eq!(parse(json).expect("JSON"), expected, "{json}");
        }
        for json in ["\"\\", r#""\u+000""#] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn times_are_read_in_every_spelling() {
        let expected = DateTime::from_timestamp(1_750_030_080, 0);
        for value in [Value::from("1750030080"), Value::from(1_750_030_080), Value::from("1750030080000")] {
            assert_eq!(instant(Some(&value)), expected);
        }
        for never in ["yesterday", "-1", "-62135596800001", "253402300800000", "9223372036854775807"] {
            assert_eq!(instant(Some(&Value::from(never))), None, "{never}");
        }
        assert_eq!(instant(None), None);
    }
}
