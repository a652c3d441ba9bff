//! The differences of two objects, for those who keep a history.

use serde_json::{Map, Value};

/// The fields that differ, as they were and as they became, `null` where there was none; `None` when none does.
pub(crate) fn differences(was: Value, became: Value) -> Option<(Value, Value)> {
    let (Value::Object(was), Value::Object(became)) = (was, became) else { return None };
    let (mut before, mut after) = (Map::new(), Map::new());
    for name in was.keys().chain(became.keys()) {
        let of = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
        let (old, new) = (of(&was), of(&became));
        if old != new {
            before.insert(name.clone(), old);
            after.insert(name.clone(), new);
        }
    }
    (!before.is_empty()).then_some((Value::Object(before), Value::Object(after)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let (was, became) = (json!({ "a": 1, "b": null, "c": [1] }), json!({ "a": 1, "b": 2, "c": [] }));
        let told = differences(was.clone(), became).expect("differ");
        assert_eq!(told, (json!({ "b": null, "c": [1] }), json!({ "b": 2, "c": [] })));
        assert_eq!(differences(was.clone(), was), None);
        let gone = differences(json!({ "a": 1 }), json!({ "b": 2 })).expect("differ");
        assert_eq!(gone, (json!({ "a": 1, "b": null }), json!({ "a": null, "b": 2 })));
    }
}
