//! Message templates of WhatsApp: what they are made of, where they stand with Meta, and what fits into them.
//!
//! Rooms: here their words · [`definition`] whether Meta would take a template · [`parameters`] whether what is to be sent
//! fits into one. Components are kept in the Cloud API's own words.
//!
//! Source: Meta's reference of message templates and of the webhook `message_template_status_update`.

pub mod definition;
pub mod parameters;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a template stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TemplateStatus {
    /// Only here: Meta has not been asked, or has not taken it.
    Draft,
    /// Meta looks at it.
    Pending,
    /// It may be sent.
    Approved,
    /// It may be sent, but customers complain: it is about to be paused.
    Flagged,
    /// Refused by Meta.
    Rejected,
    /// Customers complained: it may not be sent for some hours.
    Paused,
    /// Customers complained too often: it may not be sent any more.
    Disabled,
    /// The company asked Meta to look again.
    InAppeal,
    /// The account has as many as it may have.
    LimitExceeded,
    /// Meta keeps it from being sent and changed.
    Locked,
    /// Put away; Meta deletes it after 28 days.
    Archived,
    /// It is being deleted, with what was sent by it still on its way.
    PendingDeletion,
    /// Meta has it no more.
    Deleted,
}

impl TemplateStatus {
    /// Reads the status of a list, or the event of a webhook; `None` for a word that we do not know.
    pub fn from_provider(word: &str) -> Option<Self> {
        Some(match word {
            "PENDING" => Self::Pending,
            "APPROVED" | "REINSTATED" | "UNARCHIVED" => Self::Approved,
            "FLAGGED" => Self::Flagged,
            "REJECTED" => Self::Rejected,
            "PAUSED" => Self::Paused,
            "DISABLED" => Self::Disabled,
            "IN_APPEAL" => Self::InAppeal,
            "LIMIT_EXCEEDED" => Self::LimitExceeded,
            "LOCKED" => Self::Locked,
            "ARCHIVED" => Self::Archived,
            "PENDING_DELETION" => Self::PendingDeletion,
            "DELETED" => Self::Deleted,
            _ => return None,
        })
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Flagged => "flagged",
            Self::Rejected => "rejected",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::InAppeal => "in_appeal",
            Self::LimitExceeded => "limit_exceeded",
            Self::Locked => "locked",
            Self::Archived => "archived",
            Self::PendingDeletion => "pending_deletion",
            Self::Deleted => "deleted",
        }
    }
}

/// What a company asked Meta, and has no answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Submission {
    /// Nothing.
    Idle,
    /// To take the template, or the change of it.
    Submitting,
    /// To delete it.
    Deleting,
}

/// What a template is for: it decides on price, limits and on who may be sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Category {
    /// One-time codes.
    Authentication,
    /// Whatever is to sell.
    Marketing,
    /// What follows from something that the customer did.
    Utility,
}

impl Category {
    /// Meta's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "AUTHENTICATION",
            Self::Marketing => "MARKETING",
            Self::Utility => "UTILITY",
        }
    }
}

/// How the variables of a template are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ParameterFormat {
    /// `{{1}}`, `{{2}}`, …
    #[default]
    Positional,
    /// `{{order_number}}`.
    Named,
}

impl ParameterFormat {
    /// Meta's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positional => "POSITIONAL",
            Self::Named => "NAMED",
        }
    }

    /// Reads Meta's word; what it leaves out is positional.
    pub fn from_provider(word: Option<&str>) -> Self {
        if word.is_some_and(|word| word.eq_ignore_ascii_case("named")) {
            Self::Named
        } else {
            Self::Positional
        }
    }
}

/// What is wrong with a part of a template or of a message by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The part, as a path below the components: `components[1].parameters[0]`.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It has to be there.
    Needed,
    /// Nothing of the sort belongs here.
    Unexpected,
    /// It has to be one of these words.
    OneOf(&'static str),
    /// Too short or too long, in characters.
    Characters(usize, usize),
    /// Too few or too many, in elements.
    Items(usize, usize),
    /// It stands there twice.
    Twice,
    /// Positional variables are `{{1}}`, `{{2}}`, … without a gap.
    Gap,
    /// A variable's name is of lower-case letters, digits and `_`.
    VariableName,
    /// Variables do not belong here.
    NoVariables,
    /// At most one variable, and that at the end.
    OneVariableAtEnd,
    /// So many examples as there are variables.
    Examples(usize),
    /// So many parameters as the template has variables here.
    Parameters {
        /// Variables that the template has.
        expected: usize,
        /// Parameters that were given.
        given: usize,
    },
    /// The template has no variable of this name.
    NoSuchVariable(String),
    /// A variable of the template without a parameter.
    Missing(String),
}

impl Fault {
    pub(crate) fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self { field: field.into(), problem }
    }
}

/// The variables of a text in their order, each once.
pub fn variables(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once("{{") {
        let Some((name, behind)) = behind.split_once("}}") else { break };
        let name = name.trim();
        if !found.contains(&name) {
            found.push(name);
        }
        rest = behind;
    }
    found
}

/// The text with values in the places of its variables; one without a value stays as it is.
pub fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((name, behind)) = behind.split_once("}}") else { break };
        filled.push_str(before);
        match value(name.trim()) {
            Some(value) => filled.push_str(value),
            None => {
                filled.push_str("{{");
                filled.push_str(name);
                filled.push_str("}}");
            }
        }
        rest = behind;
    }
    filled + rest
}

/// The component of a type, if there is one; types are written in capitals by some and not by others.
pub fn component<'a>(components: &'a Value, kind: &str) -> Option<&'a Value> {
    list(components).iter().find(|component| is(&component["type"], kind))
}

/// Whether two lists of components say the same to customers. Examples are for Meta's eyes, and Meta adds members of its
/// own.
pub fn say_the_same(one: &Value, other: &Value) -> bool {
    said(one) == said(other)
}

fn said(components: &Value) -> Vec<Value> {
    const SAID: [&str; 9] = [
        "text",
        "url",
        "phone_number",
        "flow_id",
        "otp_type",
        "package_name",
        "add_security_recommendation",
        "code_expiration_minutes",
        "cards",
    ];
    let part = |part: &Value| -> Vec<(String, Value)> {
        let mut kept: Vec<_> =
            SAID.iter().filter_map(|name| Some(((*name).to_owned(), part.get(*name)?.clone()))).collect();
        for name in ["type", "format"] {
            let word = part[name].as_str().map(str::to_uppercase);
            // A header without a format is a text.
            let word = word.filter(|word| !(name == "format" && word == "TEXT"));
            kept.extend(word.map(|word| (name.to_owned(), Value::String(word))));
        }
        kept
    };
    let mut said: Vec<Value> = list(components)
        .iter()
        .map(|component| {
            let buttons: Vec<_> = list(&component["buttons"]).iter().map(part).collect();
            serde_json::json!([component["type"].as_str().map(str::to_uppercase), part(component), buttons])
        })
        .collect();
    said.sort_by_key(ToString::to_string);
    said
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn is(value: &Value, word: &str) -> bool {
    value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_are_found_in_their_order() {
        assert_eq!(variables("Oi {{ nome }}, {{dia}} e {{nome}}."), ["nome", "dia"]);
        assert_eq!(variables("Oi {{nome"), Vec::<&str>::new());
        let filled = fill("Oi {{ nome }}, {{dia}}!", |name| (name == "nome").then_some("Ana"));
        assert_eq!(filled, "Oi Ana, {{dia}}!");
    }

    #[test]
    fn what_meta_adds_makes_no_difference() {
        let ours = json!([
            { "type": "body", "text": "Oi {{1}}", "example": { "body_text": [["Ana"]] } },
            { "type": "header", "text": "Pedido" },
        ]);
        let theirs = json!([
            { "type": "HEADER", "format": "TEXT", "text": "Pedido" },
            { "type": "BODY", "text": "Oi {{1}}" },
        ]);
        assert!(say_the_same(&ours, &theirs));
        assert!(!say_the_same(&ours, &json!([{ "type": "BODY", "text": "Oi {{1}}" }])));
        let button = |url: &str| json!([{ "type": "BUTTONS", "buttons": [{ "type": "URL", "text": "Ver", "url": url }] }]);
        assert!(!say_the_same(&button("https://a.example"), &button("https://b.example")));
    }

    #[test]
    fn the_names_are_those_of_the_wire() {
        for word in [
            "PENDING",
            "APPROVED",
            "FLAGGED",
            "REJECTED",
            "PAUSED",
            "DISABLED",
            "IN_APPEAL",
            "LIMIT_EXCEEDED",
            "LOCKED",
            "ARCHIVED",
            "PENDING_DELETION",
            "DELETED",
        ] {
            let status = TemplateStatus::from_provider(word).expect("a status");
            assert_eq!(status.as_str(), word.to_lowercase());
            assert_eq!(serde_json::to_value(status).expect("serialises"), status.as_str());
        }
        assert_eq!(TemplateStatus::from_provider("REINSTATED"), Some(TemplateStatus::Approved));
        assert_eq!(TemplateStatus::from_provider("ECLIPSED"), None);
    }
}
