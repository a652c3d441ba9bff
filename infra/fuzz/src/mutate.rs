//! Bytes that are nearly right: the same for the same number, whoever asks.
//!
//! Bytes that are changed at random are seldom JSON any more; what is JSON still, with a member more or less or of another
//! kind, gets further into a reader.

use serde_json::{Value, json};

use crate::Shape;

/// Numbers that look random (SplitMix64, by Sebastiano Vigna).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins at a number.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `most`, which is not among them.
    pub fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.draw() % most.max(1) as u64).unwrap_or_default()
    }
}

/// Changes `bytes` in one to four places; `other` is another input of the target, of which parts may be taken.
pub fn mutate(shape: Shape, bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let of_json = || Some((serde_json::from_slice(&changed).ok()?, serde_json::from_slice(other).ok()?));
        changed = match (shape, random.below(3), of_json()) {
            (Shape::Json, 1.., Some((value, other))) => change_json(value, &other, random),
            _ => change_bytes(changed, other, random),
        };
    }
    changed
}

/// What breaks readers.
const WORDS: [&str; 16] = [
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "0",
    "-1",
    "1e308",
    "9223372036854775808",
    "\\u0000",
    "\\ud83d",
    "\"",
    "\\",
    "\u{fffd}",
    "%00",
    "&",
];

fn change_bytes(mut bytes: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    let at = random.below(bytes.len() + 1);
    let length = random.below(32.min(bytes.len() + 1));
    let end = (at + length).min(bytes.len());
    match random.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 => bytes.insert(at, random.draw().to_le_bytes()[0]),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
        5 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        _ => {
            let from = random.below(other.len() + 1);
            let part = &other[from..(from + length).min(other.len())];
            drop(bytes.splice(at..end, part.iter().copied()));
        }
    }
    bytes
}

/// Changes one node of a document.
fn change_json(mut value: Value, other: &Value, random: &mut Random) -> Vec<u8> {
    let number = random.below(count(&value));
    let node = node(&mut value, &mut { number }).expect("there are as many");
    let foreign = || {
        let mut other = other.clone();
        let number = Random::new(number as u64).below(count(&other));
        self::node(&mut other, &mut { number }).map(|node| node.take()).unwrap_or_default()
    };
    match random.below(8) {
        0 => *node = foreign(),
        1 => *node = odd(random),
        2 => *node = json!([node.take()]),
        3 => *node = json!([node.clone(), node.clone()]),
        4 => *node = json!(node.to_string()),
        _ => match node {
            Value::Object(members) => {
                let name = members.keys().nth(random.below(members.len())).cloned().unwrap_or_default();
                match random.below(3) {
                    0 => drop(members.remove(&name)),
                    1 => drop(members.insert(name, odd(random))),
                    _ => drop(members.insert(format!("{name}_"), foreign())),
                }
            }
            Value::Array(items) => {
                let item =
                    if items.is_empty() { odd(random) } else { items[random.below(items.len())].clone() };
                items.insert(random.below(items.len() + 1), item);
            }
            Value::String(text) => {
                let at = text.char_indices().nth(random.below(text.len().max(1))).map_or(0, |(at, _)| at);
                text.insert_str(at, ["@lid", "+", "0", "\0", " ", "é", "@s.whatsapp.net"][random.below(7)]);
            }
            Value::Number(number) => *node = Value::String(number.to_string()),
            Value::Null | Value::Bool(_) => *node = odd(random),
        },
    }
    let text = value.to_string();
    // An object may name a member twice, which no document of ours can hold.
    match random.below(8) {
        0 => twice(&text, random).into_bytes(),
        _ => text.into_bytes(),
    }
}

fn odd(random: &mut Random) -> Value {
    [
        Value::Null,
        json!(true),
        json!(""),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(-62_135_596_800_001_i64),
        json!("253402300800000"),
        json!([]),
        json!({}),
        json!("\0"),
        json!("5511900000001@s.whatsapp.net"),
        json!("100000000000123@lid"),
    ][random.below(15)]
    .clone()
}

/// A member again, with another value, before or behind the first one.
fn twice(text: &str, random: &mut Random) -> String {
    let names: Vec<_> = text.match_indices("\":").map(|(at, _)| at).collect();
    let Some(end) = names.get(random.below(names.len())) else { return text.to_owned() };
    let Some(start) = text[..*end].rfind('"') else { return text.to_owned() };
    format!("{}{}:{},{}", &text[..start], &text[start..=*end], odd(random), &text[start..])
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum::<usize>(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The node of a number, counted from the outside.
fn node<'a>(value: &'a mut Value, number: &mut usize) -> Option<&'a mut Value> {
    if *number == 0 {
        return Some(value);
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, number)),
        Value::Object(members) => members.values_mut().find_map(|member| node(member, number)),
        _ => None,
    }
}
