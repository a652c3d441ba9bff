//! Segments: which customers are meant, in a small language of JSON.
//!
//! A node is `{"all": [node, …]}`, `{"any": [node, …]}`, `{"not": node}`, or a test `{"field", "op", "value"}`. `all` of
//! nothing is everybody, `any` of nothing nobody. What a customer does not have passes no test, so that `not` of it passes.
//!
//! | field | op | value |
//! |---|---|---|
//! | `name`, `phone`, `email`, `source`, `external_id`, `custom.<key>` | `eq`, `ne`, `contains`, `starts_with` | a text, without regard to case |
//! | | `in` | a list of texts |
//! | | `known` | `true` or `false` |
//! | `custom.<key>` | `eq`, `ne`, `lt`, `lte`, `gt`, `gte` | a number |
//! | `custom.<key>` | `is` | `true` or `false` |
//! | `custom.<key>` | `before`, `after` (that day included) | a day, `2026-03-31` |
//! | `tag` | `has`; `has_any`, `has_all` | a text; a list of texts |
//! | `list` | `in` | the id of a list, or a list of ids |
//! | `created_at`, `last_inbound_at`, `last_outbound_at` | `before`, `after` (that moment included) | a day or a time as RFC 3339 has it |
//! | | `within_days`, `not_within_days` | days, 0 to 36,500 |
//! | `last_inbound_at`, `last_outbound_at` | `known` | `true` or `false` |
//! | `opted_out`, `bypass_bots`, `open_session`, `open_conversation` | `is` | `true` or `false` |
//! | `connection` (an open conversation over it) | `in` | the id of a connection, or a list of ids |

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Nodes within each other at most.
pub const DEPTH: usize = 8;

/// Nodes at most.
pub const NODES: usize = 100;

/// Values of one test at most.
pub const VALUES: usize = 100;

/// Characters of a text at most.
pub const TEXT_CHARS: usize = 200;

/// Days back at most.
const DAYS: u64 = 36_500;

/// Which customers.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Those that pass all of these.
    All(Vec<Self>),
    /// Those that pass one of these.
    Any(Vec<Self>),
    /// Those that do not pass this.
    Not(Box<Self>),
    /// Those that pass a test.
    Test(Test),
}

/// What is asked of one customer.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A text.
    Text(TextField, TextTest),
    /// A number in a custom field.
    Number(String, NumberTest, f64),
    /// A yes or no in a custom field.
    Flag(String, bool),
    /// A day in a custom field.
    Day(String, DayTest, NaiveDate),
    /// One of these tags.
    AnyTag(Vec<String>),
    /// All of these tags.
    AllTags(Vec<String>),
    /// In one of these lists.
    Lists(Vec<Uuid>),
    /// A time.
    Time(TimeField, TimeTest),
    /// Refuses everything, or does not.
    OptedOut(bool),
    /// The AI leaves them alone, or does not.
    BypassBots(bool),
    /// A session of theirs is not over, or all are.
    OpenSession(bool),
    /// A conversation with them is open, or none is.
    OpenConversation(bool),
    /// A conversation with them is open over one of these connections.
    Connections(Vec<Uuid>),
}

/// What is a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextField {
    /// What the customer is called.
    Name,
    /// E.164.
    Phone,
    /// Email address.
    Email,
    /// Where the customer came from.
    Source,
    /// Id in the company's own system.
    ExternalId,
    /// A custom field.
    Custom(String),
}

/// What is asked of a text; case makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// It is one of these.
    In(Vec<String>),
    /// It holds this.
    Contains(String),
    /// It begins with this.
    StartsWith(String),
    /// There is one that is not empty.
    Known,
}

/// What is asked of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberTest {
    /// Equal.
    Eq,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
}

/// What is asked of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayTest {
    /// Earlier.
    Before,
    /// That day or later.
    After,
}

/// What is a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeField {
    /// When the contact was made.
    CreatedAt,
    /// When the customer last wrote.
    LastInbound,
    /// When the company last wrote to the customer.
    LastOutbound,
}

/// What is asked of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeTest {
    /// Earlier.
    Before(DateTime<Utc>),
    /// Then or later.
    After(DateTime<Utc>),
    /// In the last so many days.
    WithinDays(u32),
    /// There is one.
    Known,
}

/// A node that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Wrong {
    /// Where it stands: `all[0].not.op`.
    pub path: String,
    /// What must be true of it.
    pub message: String,
}

/// Something of the company's that a filter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A list.
    List(Uuid),
    /// A connection.
    Connection(Uuid),
}

impl Filter {
    /// Reads a filter that stands at `path` of a body.
    ///
    /// # Errors
    /// The first node that is wrong.
    pub fn parse(value: &Value, path: &str) -> Result<Self, Wrong> {
        Reader { nodes: 0 }.node(value, path, 1)
    }

    /// Everything of the company's that it names, and where, if the filter stands at `path`.
    pub fn named(&self, path: &str) -> Vec<(Named, String)> {
        let mut named = Vec::new();
        self.collect(path, &mut named);
        named
    }

    fn collect(&self, path: &str, named: &mut Vec<(Named, String)>) {
        let mut all = |name: &str, nodes: &[Self]| {
            for (index, node) in nodes.iter().enumerate() {
                node.collect(&format!("{path}.{name}[{index}]"), named);
            }
        };
        match self {
            Self::All(nodes) => all("all", nodes),
            Self::Any(nodes) => all("any", nodes),
            Self::Not(node) => node.collect(&format!("{path}.not"), named),
            Self::Test(Test::Lists(ids)) => {
                named.extend(ids.iter().map(|id| (Named::List(*id), format!("{path}.value"))));
            }
            Self::Test(Test::Connections(ids)) => {
                named.extend(ids.iter().map(|id| (Named::Connection(*id), format!("{path}.value"))));
            }
            Self::Test(_) => {}
        }
    }
}

struct Reader {
    nodes: usize,
}

fn wrong(path: impl Into<String>, message: impl Into<String>) -> Wrong {
    Wrong { path: path.into(), message: message.into() }
}

impl Reader {
    fn node(&mut self, value: &Value, path: &str, depth: usize) -> Result<Filter, Wrong> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(wrong(path, format!("a filter has at most {NODES} nodes")));
        }
        if depth > DEPTH {
            return Err(wrong(path, format!("at most {DEPTH} nodes stand within each other")));
        }
        let fields = value.as_object().ok_or_else(|| wrong(path, "must be an object"))?;
        for (name, wrap) in [("all", Filter::All as fn(_) -> _), ("any", Filter::Any as fn(_) -> _)] {
            if let Some(inner) = fields.get(name) {
                only(fields, &[name], path)?;
                return Ok(wrap(self.nodes(inner, &format!("{path}.{name}"), depth)?));
            }
        }
        if let Some(inner) = fields.get("not") {
            only(fields, &["not"], path)?;
            return Ok(Filter::Not(Box::new(self.node(inner, &format!("{path}.not"), depth + 1)?)));
        }
        if !fields.contains_key("field") {
            return Err(wrong(path, "must have one of all, any, not, field"));
        }
        only(fields, &["field", "op", "value"], path)?;
        test(fields, path)
    }

    fn nodes(&mut self, value: &Value, path: &str, depth: usize) -> Result<Vec<Filter>, Wrong> {
        let items = value.as_array().ok_or_else(|| wrong(path, "must be a list"))?;
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.node(item, &format!("{path}[{index}]"), depth + 1))
            .collect()
    }
}

fn only(fields: &Map<String, Value>, known: &[&str], path: &str) -> Result<(), Wrong> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(wrong(format!("{path}.{name}"), "is not known here")),
        None => Ok(()),
    }
}

/// A test's parts and where they stand.
struct Parts<'a> {
    path: &'a str,
    op: &'a str,
    value: Option<&'a Value>,
}

fn test(fields: &Map<String, Value>, path: &str) -> Result<Filter, Wrong> {
    let word = |name: &str| {
        let text = fields.get(name).ok_or_else(|| wrong(format!("{path}.{name}"), "is needed"))?;
        text.as_str().ok_or_else(|| wrong(format!("{path}.{name}"), "must be a string"))
    };
    let field = word("field")?;
    let parts = Parts { path, op: word("op")?, value: fields.get("value") };
    match field {
        "name" => parts.text(TextField::Name),
        "phone" => parts.text(TextField::Phone),
        "email" => parts.text(TextField::Email),
        "source" => parts.text(TextField::Source),
        "external_id" => parts.text(TextField::ExternalId),
        "tag" => parts.tag(),
        "list" => Ok(Filter::Test(Test::Lists(parts.ids()?))),
        "connection" => Ok(Filter::Test(Test::Connections(parts.ids()?))),
        "created_at" => parts.time(TimeField::CreatedAt),
        "last_inbound_at" => parts.time(TimeField::LastInbound),
        "last_outbound_at" => parts.time(TimeField::LastOutbound),
        "opted_out" => Ok(Filter::Test(Test::OptedOut(parts.is()?))),
        "bypass_bots" => Ok(Filter::Test(Test::BypassBots(parts.is()?))),
        "open_session" => Ok(Filter::Test(Test::OpenSession(parts.is()?))),
        "open_conversation" => Ok(Filter::Test(Test::OpenConversation(parts.is()?))),
        custom => match custom.strip_prefix("custom.") {
            Some(key) if (1..=TEXT_CHARS).contains(&key.chars().count()) && !key.contains('\0') => {
                parts.custom(key)
            }
            _ => Err(wrong(format!("{path}.field"), "is no field of a contact")),
        },
    }
}

impl Parts<'_> {
    fn text(&self, field: TextField) -> Result<Filter, Wrong> {
        let is = |test| Filter::Test(Test::Text(field, test));
        match self.op {
            "eq" => Ok(is(TextTest::In(vec![self.word()?]))),
            "ne" => Ok(not(is(TextTest::In(vec![self.word()?])))),
            "in" => Ok(is(TextTest::In(self.words()?))),
            "contains" => Ok(is(TextTest::Contains(self.word()?))),
            "starts_with" => Ok(is(TextTest::StartsWith(self.word()?))),
            "known" => Ok(when(self.flag()?, is(TextTest::Known))),
            _ => Err(self.no_op("eq, ne, in, contains, starts_with, known")),
        }
    }

    fn custom(&self, key: &str) -> Result<Filter, Wrong> {
        let number = |test| Ok(Filter::Test(Test::Number(key.to_owned(), test, self.number()?)));
        let day = |test| Ok(Filter::Test(Test::Day(key.to_owned(), test, self.day()?)));
        match self.op {
            "eq" if self.is_number() => number(NumberTest::Eq),
            "ne" if self.is_number() => Ok(not(number(NumberTest::Eq)?)),
            "lt" => number(NumberTest::Lt),
            "lte" => number(NumberTest::Lte),
            "gt" => number(NumberTest::Gt),
            "gte" => number(NumberTest::Gte),
            "before" => day(DayTest::Before),
            "after" => day(DayTest::After),
            "is" => Ok(Filter::Test(Test::Flag(key.to_owned(), self.flag()?))),
            "eq" | "ne" | "in" | "contains" | "starts_with" | "known" => {
                self.text(TextField::Custom(key.to_owned()))
            }
            _ => {
                Err(self
                    .no_op("eq, ne, in, contains, starts_with, known, lt, lte, gt, gte, is, before, after"))
            }
        }
    }

    fn tag(&self) -> Result<Filter, Wrong> {
        match self.op {
            "has" => Ok(Filter::Test(Test::AnyTag(vec![self.word()?]))),
            "has_any" => Ok(Filter::Test(Test::AnyTag(self.words()?))),
            "has_all" => Ok(Filter::Test(Test::AllTags(self.words()?))),
            _ => Err(self.no_op("has, has_any, has_all")),
        }
    }

    fn time(&self, field: TimeField) -> Result<Filter, Wrong> {
        let is = |test| Filter::Test(Test::Time(field, test));
        match self.op {
            "before" => Ok(is(TimeTest::Before(self.moment()?))),
            "after" => Ok(is(TimeTest::After(self.moment()?))),
            "within_days" => Ok(is(TimeTest::WithinDays(self.days()?))),
            "not_within_days" => Ok(not(is(TimeTest::WithinDays(self.days()?)))),
            "known" if field != TimeField::CreatedAt => Ok(when(self.flag()?, is(TimeTest::Known))),
            _ if field == TimeField::CreatedAt => {
                Err(self.no_op("before, after, within_days, not_within_days"))
            }
            _ => Err(self.no_op("before, after, within_days, not_within_days, known")),
        }
    }

    fn is(&self) -> Result<bool, Wrong> {
        if self.op == "is" { self.flag() } else { Err(self.no_op("is")) }
    }

    fn ids(&self) -> Result<Vec<Uuid>, Wrong> {
        if self.op != "in" {
            return Err(self.no_op("in"));
        }
        let id = |value: &Value, path: String| {
            let id = value.as_str().and_then(|text| Uuid::parse_str(text).ok());
            id.ok_or_else(|| wrong(path, "must be a UUID"))
        };
        match self.value()? {
            Value::Array(items) => self.each(items, id),
            one => Ok(vec![id(one, self.value_path())?]),
        }
    }

    fn value_path(&self) -> String {
        format!("{}.value", self.path)
    }

    fn bad(&self, message: impl Into<String>) -> Wrong {
        wrong(self.value_path(), message)
    }

    fn no_op(&self, known: &str) -> Wrong {
        wrong(format!("{}.op", self.path), format!("must be one of {known}"))
    }

    fn value(&self) -> Result<&Value, Wrong> {
        self.value.ok_or_else(|| self.bad("is needed"))
    }

    fn flag(&self) -> Result<bool, Wrong> {
        self.value()?.as_bool().ok_or_else(|| self.bad("must be true or false"))
    }

    fn is_number(&self) -> bool {
        self.value.is_some_and(Value::is_number)
    }

    fn number(&self) -> Result<f64, Wrong> {
        let number = self.value()?.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.bad("must be a number"))
    }

    fn days(&self) -> Result<u32, Wrong> {
        let days = self.value()?.as_u64().filter(|days| *days <= DAYS);
        days.and_then(|days| u32::try_from(days).ok()).ok_or_else(|| self.bad(format!("must be 0 to {DAYS}")))
    }

    fn day(&self) -> Result<NaiveDate, Wrong> {
        read_day(self.value()?).ok_or_else(|| self.bad("must be a day, as in 2026-03-31"))
    }

    fn moment(&self) -> Result<DateTime<Utc>, Wrong> {
        let value = self.value()?;
        let at = match read_day(value) {
            Some(day) => Some(day.and_time(NaiveTime::MIN).and_utc()),
            None => {
                value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|at| at.to_utc())
            }
        };
        let years = 1..=9999;
        at.filter(|at| years.contains(&chrono::Datelike::year(at)))
            .ok_or_else(|| self.bad("must be a day, or a time as RFC 3339 has it"))
    }

    fn word(&self) -> Result<String, Wrong> {
        read_word(self.value()?, self.value_path())
    }

    fn words(&self) -> Result<Vec<String>, Wrong> {
        let items = self.value()?.as_array().ok_or_else(|| self.bad("must be a list"))?;
        self.each(items, read_word)
    }

    fn each<T>(
        &self,
        items: &[Value],
        read: impl Fn(&Value, String) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        if !(1..=VALUES).contains(&items.len()) {
            return Err(self.bad(format!("1 to {VALUES} values")));
        }
        let path = self.value_path();
        items.iter().enumerate().map(|(index, item)| read(item, format!("{path}[{index}]"))).collect()
    }
}

fn read_day(value: &Value) -> Option<NaiveDate> {
    let text = value.as_str().filter(|text| text.len() == 10)?;
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

fn read_word(value: &Value, path: String) -> Result<String, Wrong> {
    let text = value.as_str().ok_or_else(|| wrong(path.clone(), "must be a string"))?;
    if (1..=TEXT_CHARS).contains(&text.chars().count()) && !text.contains('\0') {
        Ok(text.to_owned())
    } else {
        Err(wrong(path, format!("1 to {TEXT_CHARS} characters")))
    }
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn when(yes: bool, filter: Filter) -> Filter {
    if yes { filter } else { not(filter) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path_of(filter: Value) -> String {
        Filter::parse(&filter, "filter").expect_err("it is wrong").path
    }

    #[test]
    fn a_filter_is_read() {
        let filter = json!({ "all": [
            { "field": "tag", "op": "has", "value": "vip" },
            { "not": { "field": "custom.plano", "op": "in", "value": ["ouro", "prata"] } },
            { "any": [] },
        ]});
        let tag = Filter::Test(Test::AnyTag(vec!["vip".to_owned()]));
        let plans = TextTest::In(vec!["ouro".to_owned(), "prata".to_owned()]);
        let plan = Filter::Test(Test::Text(TextField::Custom("plano".to_owned()), plans));
        let expected = Filter::All(vec![tag, not(plan), Filter::Any(Vec::new())]);
        assert_eq!(Filter::parse(&filter, "filter"), Ok(expected));
        for (field, op, value) in [
            ("custom.total", "eq", json!(3)),
            ("custom.total", "lte", json!(3.5)),
            ("custom.nascimento", "before", json!("1990-01-31")),
            ("custom.ativo", "is", json!(true)),
            ("created_at", "after", json!("2026-01-31")),
            ("last_inbound_at", "before", json!("2026-01-31T10:00:00-03:00")),
            ("last_outbound_at", "known", json!(false)),
            ("list", "in", json!(Uuid::nil())),
            ("connection", "in", json!([Uuid::nil()])),
        ] {
            let test = json!({ "field": field, "op": op, "value": value });
            assert!(Filter::parse(&test, "filter").is_ok(), "{test}");
        }
    }

    #[test]
    fn a_wrong_node_is_named() {
        let deep = (0..DEPTH).fold(json!({ "all": [] }), |inner, _| json!({ "not": inner }));
        let wide = json!({ "any": vec![json!({ "all": [] }); NODES] });
        let values = vec!["a"; VALUES + 1];
        for (filter, path) in [
            (json!([]), "filter"),
            (json!({}), "filter"),
            (json!({ "all": {} }), "filter.all"),
            (json!({ "all": [1] }), "filter.all[0]"),
            (json!({ "all": [], "any": [] }), "filter.any"),
            (json!({ "field": "tag" }), "filter.op"),
            (json!({ "field": 1, "op": "has" }), "filter.field"),
            (json!({ "field": "sql", "op": "eq", "value": "x" }), "filter.field"),
            (json!({ "field": "custom.", "op": "eq", "value": "x" }), "filter.field"),
            (json!({ "field": "tag", "op": "eq", "value": "x" }), "filter.op"),
            (json!({ "field": "tag", "op": "has", "value": 1 }), "filter.value"),
            (json!({ "field": "tag", "op": "has" }), "filter.value"),
            (json!({ "field": "tag", "op": "has", "value": "" }), "filter.value"),
            (json!({ "field": "tag", "op": "has_any", "value": [] }), "filter.value"),
            (json!({ "field": "tag", "op": "has_any", "value": ["a", 1] }), "filter.value[1]"),
            (json!({ "field": "tag", "op": "has_any", "value": values }), "filter.value"),
            (json!({ "field": "name", "op": "eq", "value": "a".repeat(TEXT_CHARS + 1) }), "filter.value"),
            (json!({ "field": "list", "op": "in", "value": ["1"] }), "filter.value[0]"),
            (json!({ "field": "created_at", "op": "known", "value": true }), "filter.op"),
            (json!({ "field": "created_at", "op": "within_days", "value": -1 }), "filter.value"),
            (json!({ "field": "created_at", "op": "after", "value": "ontem" }), "filter.value"),
            (json!({ "field": "opted_out", "op": "is", "value": "yes" }), "filter.value"),
            (json!({ "field": "name", "op": "eq", "value": "a", "or": 1 }), "filter.or"),
            (json!({ "any": [{ "not": { "field": "tag", "op": "?" } }] }), "filter.any[0].not.op"),
            (wide, "filter.any[99]"),
        ] {
            assert_eq!(path_of(filter.clone()), path, "{filter}");
        }
        assert!(path_of(deep).ends_with(".not"), "too deep");
    }
}
