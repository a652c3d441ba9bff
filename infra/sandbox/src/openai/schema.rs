//! A value that fits a JSON schema, with a text in it where a text belongs.

use serde_json::{Map, Value, json};

/// The smallest value that the schema allows; strings hold `text`. `$ref` into `$defs` is
/// followed a few levels deep.
pub(crate) fn example(schema: &Value, text: &str) -> Value {
    fit(schema, schema, text, 0)
}

fn fit(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    if depth > 8 {
        return Value::Null;
    }
    let again = |inner: &Value| fit(root, inner, text, depth + 1);
    if let Some(pointer) = schema["$ref"].as_str() {
        let target = pointer.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.map_or(Value::Null, again);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[key].as_array().and_then(|schemas| schemas.first()) {
            return again(first);
        }
    }
    let kind = schema["type"]
        .as_str()
        .or_else(|| schema["type"].as_array().and_then(|kinds| kinds.first()?.as_str()));
    match kind {
        Some("string") => json!(string(schema, text)),
        Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(0)),
        Some("number") => json!(schema["minimum"].as_f64().unwrap_or(0.0)),
        Some("boolean") => json!(true),
        Some("array") => match schema["minItems"].as_u64() {
            Some(1..) => json!([again(&schema["items"])]),
            _ => json!([]),
        },
        Some("null") => Value::Null,
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let values = properties.map(|(name, inner)| (name.clone(), again(inner)));
            Value::Object(values.collect::<Map<_, _>>())
        }
    }
}

fn string(schema: &Value, text: &str) -> String {
    match schema["format"].as_str() {
        Some("date") => "2026-01-12".into(),
        Some("date-time") => "2026-01-12T12:00:00Z".into(),
        Some("email") => "cliente@example.com".into(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_required_property_is_there_with_its_type() {
        let schema = json!({
            "type": "object",
            "properties": {
                "answer": { "type": "string" },
                "mood": { "enum": ["good", "bad"] },
                "score": { "type": "integer", "minimum": 3 },
                "tags": { "type": "array", "items": { "type": "string" } },
                "next": { "$ref": "#/$defs/step" },
            },
            "$defs": { "step": { "type": "object", "properties": { "done": { "type": "boolean" } } } },
        });
        let expected = json!({
            "answer": "Oi", "mood": "good", "score": 3, "tags": [], "next": { "done": true },
        });
        assert_eq!(example(&schema, "Oi"), expected);
    }
}
