//! Taking JSON apart and putting it together as text, so that what is passed on is what was written.

use std::borrow::Cow;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in their order.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

pub(super) fn push_string(text: &str, payload: &mut String) {
    payload.push_str(&serde_json::Value::from(text).to_string());
}

pub(super) fn write_object(members: &Members<'_>, payload: &mut String) {
    payload.push('{');
    for (index, (name, raw)) in members.iter().enumerate() {
        if index > 0 {
            payload.push(',');
        }
        push_string(name, payload);
        payload.push(':');
        payload.push_str(raw.get());
    }
    payload.push('}');
}

pub(super) fn write_array<'a>(elements: impl Iterator<Item = &'a RawValue>, payload: &mut String) {
    payload.push('[');
    for (index, raw) in elements.enumerate() {
        if index > 0 {
            payload.push(',');
        }
        payload.push_str(raw.get());
    }
    payload.push(']');
}

pub(super) fn find<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(member, _)| member == name).map(|(_, raw)| *raw)
}

/// Members with the given names, and the others.
pub(super) fn part<'a>(members: Members<'a>, names: &[&str]) -> (Members<'a>, Members<'a>) {
    members.into_iter().partition(|(name, _)| names.contains(&name.as_ref()))
}

/// A string, or a number as it is written.
pub(super) fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => {
            let inner = text.strip_prefix('"')?.strip_suffix('"')?;
            if inner.contains('\\') {
                serde_json::from_str(text).ok().map(Cow::Owned)
            } else {
                Some(inner.into())
            }
        }
        b'-' | b'0'..=b'9' => Some(text.into()),
        _ => None,
    }
}

pub(super) fn array(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// The members of an object in their order, repeated names included; `None` if it is something else.
pub(super) fn object(raw: &RawValue) -> Option<Members<'_>> {
    struct InOrder;

    impl<'de> Visitor<'de> for InOrder {
        type Value = Members<'de>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::with_capacity(8);
            while let Some((Name(name), raw)) = map.next_entry()? {
                members.push((name, raw));
            }
            Ok(members)
        }
    }

    if !raw.get().starts_with('{') {
        return None;
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_map(InOrder).ok()
}

/// A member's name; borrowed unless it is escaped. (`Cow` alone would always copy.)
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
