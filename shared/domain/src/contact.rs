//! What may be known of a customer: a company's own fields, and the words by which a customer says no.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest name, in characters.
pub const NAME_CHARS: usize = 200;

/// The longest id of the company's own system, in characters.
pub const EXTERNAL_ID_CHARS: usize = 200;

/// Tags of one contact at most.
pub const TAGS: usize = 50;

/// The longest tag, in characters.
pub const TAG_CHARS: usize = 100;

/// Of which messages a customer says that they are wanted, or not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentScope {
    /// Of all.
    All,
    /// Of those alone that advertise.
    Marketing,
}

/// What was changed, in the history of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ContactChange {
    /// The contact's own fields.
    ContactChanged,
    /// Whose a conversation is, whether it is over, its tags.
    ConversationChanged,
    /// Where a session stands, whether the AI is silent in it, its tags.
    SessionChanged,
}

/// What a field of a company's own holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum FieldType {
    /// Any text, up to [`TEXT_CHARS`].
    Text,
    /// A number.
    Number,
    /// A day: `2026-11-21`.
    Date,
    /// Yes or no.
    Boolean,
    /// One of the field's options.
    Choice,
}

/// The longest text in a field, in characters.
pub const TEXT_CHARS: usize = 4_096;

/// The longest key of a field.
pub const KEY_CHARS: usize = 63;

/// Whether `key` can name a field: small letters, digits and underscores, a letter first.
pub fn is_field_key(key: &str) -> bool {
    key.len() <= KEY_CHARS
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
}

/// What makes a value right or wrong for a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldRule<'a> {
    /// What it holds.
    pub field_type: FieldType,
    /// What there is to choose from.
    pub options: &'a [String],
}

impl FieldRule<'_> {
    /// Whether `value` may stand in the field.
    ///
    /// # Errors
    /// What must be true of it, as in "must be …".
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match (self.field_type, value) {
            (FieldType::Text, Value::String(text)) => text.chars().count() <= TEXT_CHARS,
            (FieldType::Number, Value::Number(_)) | (FieldType::Boolean, Value::Bool(_)) => true,
            (FieldType::Date, Value::String(text)) => is_day(text),
            (FieldType::Choice, Value::String(text)) => self.options.contains(text),
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.wanted()) }
    }

    fn wanted(&self) -> String {
        match self.field_type {
            FieldType::Text => format!("must be a string of up to {TEXT_CHARS} characters"),
            FieldType::Number => "must be a number".to_owned(),
            FieldType::Date => "must be a day, as in 2026-11-21".to_owned(),
            FieldType::Boolean => "must be true or false".to_owned(),
            FieldType::Choice => format!("must be one of {}", self.options.join(", ")),
        }
    }
}

/// One spelling only, so that days compare as texts.
fn is_day(text: &str) -> bool {
    text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|day| day.to_string() == text)
}

/// Takes `changes` over into `custom`; `null` takes a value away. `rule` knows the fields that there are.
///
/// # Errors
/// The key of a field that there is not, or whose value is wrong, and what is wrong with it.
pub fn change_custom<'a>(
    custom: &mut Map<String, Value>,
    changes: &Map<String, Value>,
    rule: impl Fn(&str) -> Option<FieldRule<'a>>,
) -> Result<(), (String, String)> {
    for (key, value) in changes {
        let Some(rule) = rule(key) else {
            return Err((key.clone(), "is no field of the company".to_owned()));
        };
        if value.is_null() {
            custom.remove(key);
            continue;
        }
        rule.check(value).map_err(|wanted| (key.clone(), wanted))?;
        custom.insert(key.clone(), value.clone());
    }
    Ok(())
}

/// What of `custom` is shown: fields that there are, with values that fit. The rest stays stored, and is seen again when
/// its field comes back.
pub fn shown_custom<'a>(custom: &mut Map<String, Value>, rule: impl Fn(&str) -> Option<FieldRule<'a>>) {
    custom.retain(|key, value| {
        rule(key).is_some_and(|rule| match rule.field_type {
            // An option may be withdrawn; who had it keeps it.
            FieldType::Choice => value.is_string(),
            _ => rule.check(value).is_ok(),
        })
    });
}

/// By these words alone every customer says that they want no more messages.
pub const OPT_OUT_KEYWORDS: [&str; 4] = ["stop", "sair", "parar", "cancelar"];

/// The longest word of that kind, in characters; a longer message says something else.
pub const KEYWORD_CHARS: usize = 40;

/// A message as keywords are compared: without accents, capitals, punctuation and blanks at its ends. `None` for what is
/// too long or has no letter or digit, and can be no keyword.
pub fn keyword(text: &str) -> Option<String> {
    if text.chars().count() > 2 * KEYWORD_CHARS {
        return None;
    }
    let words = text.split_whitespace().map(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.chars().flat_map(char::to_lowercase).map(without_accent).collect::<String>()
    });
    let keyword = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    (1..=KEYWORD_CHARS).contains(&keyword.chars().count()).then_some(keyword)
}

/// A small letter of Portuguese, Spanish or French as it is typed in haste.
fn without_accent(letter: char) -> char {
    match letter {
        'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(key: &str) -> Option<FieldRule<'static>> {
        let field_type = match key {
            "note" => FieldType::Text,
            "points" => FieldType::Number,
            "birthday" => FieldType::Date,
            "vip" => FieldType::Boolean,
            "size" => FieldType::Choice,
            _ => return None,
        };
        static OPTIONS: std::sync::LazyLock<Vec<String>> =
            std::sync::LazyLock::new(|| vec!["P".to_owned(), "G".to_owned()]);
        Some(FieldRule { field_type, options: &OPTIONS })
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn values_fit_their_fields() {
        for (key, good, bad) in [
            ("note", json!("a"), json!(1)),
            ("note", json!("á".repeat(4_096)), json!("á".repeat(4_097))),
            ("points", json!(-1.5), json!("1")),
            ("birthday", json!("2024-02-29"), json!("2023-02-29")),
            ("birthday", json!("0999-01-01"), json!("2024-2-1")),
            ("birthday", json!("2024-12-31"), json!("2024-12-31T00:00:00Z")),
            ("vip", json!(false), json!("false")),
            ("size", json!("G"), json!("g")),
        ] {
            let rule = rule(key).expect("a field");
            assert_eq!(rule.check(&good), Ok(()), "{key} {good}");
            assert!(rule.check(&bad).is_err(), "{key} {bad}");
            assert!(rule.check(&Value::Null).is_err(), "{key}");
        }
    }

    #[test]
    fn changes_touch_what_they_name() {
        let mut custom = object(json!({ "note": "a", "points": 1, "gone": true }));
        let changes = object(json!({ "note": null, "size": "P" }));
        change_custom(&mut custom, &changes, rule).expect("good values");
        assert_eq!(Value::Object(custom.clone()), json!({ "points": 1, "gone": true, "size": "P" }));
        for (changes, key) in
            [(json!({ "gone": 1 }), "gone"), (json!({ "gone": null }), "gone"), (json!({ "vip": 1 }), "vip")]
        {
            let refused = change_custom(&mut custom, &object(changes), rule).expect_err("wrong");
            assert_eq!(refused.0, key);
        }
    }

    #[test]
    fn what_fits_no_field_is_not_shown() {
        let mut custom = object(json!({ "gone": true, "points": "1", "vip": true, "size": "M" }));
        shown_custom(&mut custom, rule);
        assert_eq!(Value::Object(custom), json!({ "vip": true, "size": "M" }));
    }

    #[test]
    fn keys_are_words() {
        for good in ["a", "cpf", "data_de_nascimento", "x1"] {
            assert!(is_field_key(good), "{good}");
        }
        for bad in ["", "1a", "_a", "CPF", "a-b", "a.b", "ação", &"a".repeat(64)] {
            assert!(!is_field_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_keyword_is_the_whole_message() {
        for said in ["SAIR", " sair. ", "Saír!", "\"Sair\""] {
            assert_eq!(keyword(said).as_deref(), Some("sair"), "{said}");
        }
        assert_eq!(keyword("Não  quero mais!").as_deref(), Some("nao quero mais"));
        assert_eq!(keyword("Quero sair daqui a pouco").as_deref(), Some("quero sair daqui a pouco"));
        for said in ["", "👍", "...", &"sair ".repeat(20)] {
            assert_eq!(keyword(said), None, "{said}");
        }
        for keyword_of_all in OPT_OUT_KEYWORDS {
            assert_eq!(keyword(keyword_of_all).as_deref(), Some(keyword_of_all));
        }
    }
}
