//! What a phone's app shares comes in bulk, thousands of messages in one call: here it is cut into parts, of which each is
//! work for a moment.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::whatsapp_cloud::raw::{Members, array, find, object, part, write_array, write_object};

/// The most messages, or contacts, of a part.
pub(super) const MOST: usize = 100;

/// An element of `history`: its threads, and what stands around them.
pub(super) struct Threads<'a> {
    rest: Members<'a>,
    threads: Vec<Thread<'a>>,
}

/// One customer's messages, and what stands around them.
struct Thread<'a> {
    raw: &'a RawValue,
    rest: Members<'a>,
    /// Empty where there are none, or something else than a list: then it stays as it is.
    messages: Vec<&'a RawValue>,
}

/// Which messages of which threads.
pub(super) type Part = Vec<(usize, Range<usize>)>;

impl<'a> Threads<'a> {
    /// `None` if it is something else, which stays whole: the refusal to share anything, for one.
    pub(super) fn read(element: &'a RawValue) -> Option<Self> {
        let (known, rest) = part(object(element)?, &["threads"]);
        let threads = array(find(&known, "threads")?)?;
        let threads = threads.into_iter().map(Thread::read).collect::<Vec<_>>();
        (!threads.is_empty()).then_some(Self { rest, threads })
    }

    /// All of it, in parts of [`MOST`] messages.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut part = Part::new();
        let mut room = MOST;
        for (place, thread) in self.threads.iter().enumerate() {
            let mut begin = 0;
            loop {
                let end = thread.messages.len().min(begin + room);
                // One that holds nothing is some work as well.
                room -= (end - begin).max(1);
                part.push((place, begin..end));
                begin = end;
                if room == 0 {
                    parts.push(std::mem::take(&mut part));
                    room = MOST;
                }
                if begin == thread.messages.len() {
                    break;
                }
            }
        }
        if !part.is_empty() {
            parts.push(part);
        }
        parts
    }

    /// A part, as the element would be that held nothing else. How far everything has come is told with the last one alone:
    /// then it has.
    pub(super) fn write(&self, part: &Part, is_last: bool) -> String {
        let mut text = String::new();
        let rest = if is_last { &self.rest } else { &Members::new() };
        write_object(rest, &mut text);
        open(&mut text, rest, "threads");
        text.push('[');
        for (index, (place, messages)) in part.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            self.threads[*place].write(messages.clone(), &mut text);
        }
        text.push_str("]}");
        text
    }
}

impl<'a> Thread<'a> {
    fn read(raw: &'a RawValue) -> Self {
        let (known, rest) = part(object(raw).unwrap_or_default(), &["messages"]);
        let messages = find(&known, "messages").and_then(array).unwrap_or_default();
        Self { raw, rest, messages }
    }

    fn write(&self, messages: Range<usize>, text: &mut String) {
        if self.messages.is_empty() {
            text.push_str(self.raw.get());
            return;
        }
        write_object(&self.rest, text);
        open(text, &self.rest, "messages");
        write_array(self.messages[messages].iter().copied(), text);
        text.push('}');
    }
}

/// Opens an object that is written again, for a member more.
fn open(text: &mut String, members: &Members<'_>, name: &str) {
    text.pop();
    if !members.is_empty() {
        text.push(',');
    }
    text.push('"');
    text.push_str(name);
    text.push_str("\":");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn parts_of(element: &Value) -> Vec<Value> {
        let raw = serde_json::value::to_raw_value(element).expect("it is JSON");
        let threads = Threads::read(&raw).expect("it has threads");
        let parts = threads.parts();
        let written =
            parts.iter().enumerate().map(|(place, part)| threads.write(part, place + 1 == parts.len()));
        written.map(|text| serde_json::from_str(&text).expect("a part is JSON")).collect()
    }

    proptest! {
        /// Every message is in one part, in its order, with all that stood around its thread; no part holds more than it may.
        #[test]
        fn parts_make_up_the_whole(lengths in prop::collection::vec(0..350_usize, 1..12), around in any::<bool>()) {
            let thread = |(number, length): (usize, &usize)| {
                let messages: Vec<_> = (0..*length).map(|message| json!({ "id": format!("{number}.{message}") })).collect();
                match around {
                    true => json!({ "id": number, "messages": messages }),
                    false => json!({ "messages": messages }),
                }
            };
            let threads: Vec<_> = lengths.iter().enumerate().map(thread).collect();
            let metadata = json!({ "phase": 0, "progress": 55 });
            let parts = parts_of(&match around {
                true => json!({ "metadata": metadata, "threads": threads }),
                false => json!({ "threads": threads }),
            });
            let mut told: Vec<Value> = Vec::new();
            let last = parts.len() - 1;
            for (place, part) in parts.into_iter().enumerate() {
                let is_told = around && place == last;
                prop_assert_eq!(&part["metadata"], if is_told { &metadata } else { &Value::Null });
                let threads = part["threads"].as_array().expect("threads");
                let held: usize = threads.iter().map(|thread| thread["messages"].as_array().expect("messages").len().max(1)).sum();
                prop_assert!((1..=MOST).contains(&held), "{}", held);
                for thread in threads {
                    match told.last_mut().filter(|last| around && last["id"] == thread["id"]) {
                        Some(last) => {
                            let more = thread["messages"].as_array().expect("messages").clone();
                            last["messages"].as_array_mut().expect("messages").extend(more);
                        }
                        None => told.push(thread.clone()),
                    }
                }
            }
            if around {
                prop_assert_eq!(told, threads);
            } else {
                let messages = |threads: &[Value]| -> Vec<Value> {
                    threads.iter().flat_map(|thread| thread["messages"].as_array().expect("messages").clone()).collect()
                };
                prop_assert_eq!(messages(&told), messages(&threads));
            }
        }
    }

    #[test]
    fn what_is_no_history_stays_whole() {
        for other in [r#"{"errors":[{"code":2593109}]}"#, r#"{"threads":[]}"#, r#"{"threads":1}"#, "[1]", "7"]
        {
            let raw: Box<RawValue> = serde_json::from_str(other).expect("it is JSON");
            assert!(Threads::read(&raw).is_none(), "{other}");
        }
        let odd = json!({ "threads": [{ "id": "1", "messages": "none" }, 7, { "id": "2" }] });
        assert_eq!(parts_of(&odd), [odd]);
    }
}
