//! Taking JSON apart and putting it together as text, so that what is passed on is what was written.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Number;
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

/// A member; the last one of several of the same name, as who reads the piece later has it.
pub(super) fn find<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().rfind(|(member, _)| member == name).map(|(_, raw)| *raw)
}

/// Members with the given names, and the others.
pub(super) fn part<'a>(members: Members<'a>, names: &[&str]) -> (Members<'a>, Members<'a>) {
    members.into_iter().partition(|(name, _)| names.contains(&name.as_ref()))
}

/// A string, or a number, as `lenient::as_text` has it: what an event is known by here, it is stored by later.
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
        b'-' | b'0'..=b'9' => {
            serde_json::from_str::<Number>(text).ok().map(|number| number.to_string().into())
        }
        _ => None,
    }
}

pub(super) fn array(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// The members of an object in their order, repeated names included; `None` if it is something else.
pub(super) fn object(raw: &RawValue) -> Option<Members<'_>> {
    raw.get().starts_with('{').then(|| read_object(raw.get().as_bytes())).flatten()
}

/// The members of the object that a text is; `None` if it is something else, or no JSON.
pub(super) fn read_object(text: &[u8]) -> Option<Members<'_>> {
    serde_json::from_slice(text).ok().map(|InOrder(members)| members)
}

/// The elements of an array: their members. Whoever has both text and members reads everything twice: so the texts, which
/// few need, are looked for when one is asked for, all of them at once.
pub(super) struct Elements<'a> {
    /// Of each element, unless it is no object.
    pub(super) members: Vec<Option<Members<'a>>>,
    list: &'a RawValue,
    texts: OnceCell<Vec<&'a RawValue>>,
}

impl<'a> Elements<'a> {
    /// All of an element.
    pub(super) fn raw(&self, index: usize) -> &'a RawValue {
        let texts = self.texts.get_or_init(|| array(self.list).unwrap_or_default());
        texts.get(index).copied().unwrap_or(self.list)
    }
}

/// The elements of an array; `None` if it is something else.
pub(super) fn elements(list: &RawValue) -> Option<Elements<'_>> {
    let objects = serde_json::from_str::<Vec<InOrder<'_>>>(list.get());
    let members = match objects {
        Ok(objects) => objects.into_iter().map(|InOrder(members)| Some(members)).collect(),
        Err(_) => array(list)?.into_iter().map(object).collect(),
    };
    Some(Elements { members, list, texts: OnceCell::new() })
}

/// An object's members in their order.
struct InOrder<'a>(Members<'a>);

impl<'de> serde::Deserialize<'de> for InOrder<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
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

        deserializer.deserialize_map(Each).map(InOrder)
    }
}

/// A member's name; borrowed unless it is escaped. (`Cow` alone would always copy.)
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
