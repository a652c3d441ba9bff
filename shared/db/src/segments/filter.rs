//! A filter in SQL. It is put together at run time, which no macro checks: so [`Sql`] takes words that stand in this file
//! and values that are bound, and nothing else; and every table names the company.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::ContactId;
use domain::segment::{DayTest, Filter, NumberTest, Test, TextField, TextTest, TimeField, TimeTest};
use sqlx::{Encode, Postgres, QueryBuilder, Row as _, Type};
use uuid::Uuid;

use crate::contacts::Contact;
use crate::{Result, TenantTx};

/// How many contacts pass a filter.
///
/// # Errors
/// Database errors only.
pub async fn count(tx: &mut TenantTx, filter: &Filter, now: DateTime<Utc>) -> Result<i64> {
    let mut sql = Sql::of(tx.company_id().0, now);
    sql.words("SELECT count(*) ").passing(filter);
    Ok(sql.query.build_query_scalar().persistent(false).fetch_one(tx.connection()).await?)
}

/// Contacts that pass a filter, newest first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list_contacts(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Contact>> {
    let mut sql = Sql::of(tx.company_id().0, now);
    sql.words(
        "SELECT p.id, p.name, p.phone, p.email, p.username, p.source, p.external_id, p.bypass_bots, p.custom, p.tags,
                p.opted_out_at, p.marketing_opted_out_at, p.merged_into_id, p.erased_at, p.created_at ",
    )
    .passing(filter);
    if let Some((at, id)) = before {
        sql.words(" AND (p.created_at, p.id) < (").bind(at).words(", ").bind(id).words(")");
    }
    sql.words(" ORDER BY p.created_at DESC, p.id DESC LIMIT ").bind(limit);
    let rows = sql.query.build().persistent(false).fetch_all(tx.connection()).await?;
    let contact = |row: sqlx::postgres::PgRow| {
        Ok(Contact {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            phone: row.try_get("phone")?,
            email: row.try_get("email")?,
            username: row.try_get("username")?,
            source: row.try_get("source")?,
            external_id: row.try_get("external_id")?,
            bypass_bots: row.try_get("bypass_bots")?,
            custom: row.try_get("custom")?,
            tags: row.try_get("tags")?,
            opted_out_at: row.try_get("opted_out_at")?,
            marketing_opted_out_at: row.try_get("marketing_opted_out_at")?,
            merged_into_id: row.try_get::<Option<ContactId>, _>("merged_into_id")?,
            erased_at: row.try_get("erased_at")?,
            created_at: row.try_get("created_at")?,
        })
    };
    rows.into_iter().map(contact).collect()
}

/// A query over `contacts p` that is being written.
struct Sql {
    query: QueryBuilder<Postgres>,
    company_id: Uuid,
    now: DateTime<Utc>,
}

impl Sql {
    fn of(company_id: Uuid, now: DateTime<Utc>) -> Self {
        Self { query: sqlx::QueryBuilder::new(""), company_id, now }
    }

    /// Words of ours.
    fn words(&mut self, words: &'static str) -> &mut Self {
        self.query.push(words);
        self
    }

    /// A value of somebody's.
    fn bind<T: for<'t> Encode<'t, Postgres> + Type<Postgres>>(&mut self, value: T) -> &mut Self {
        self.query.push_bind(value);
        self
    }

    fn company(&mut self) -> &mut Self {
        self.bind(self.company_id)
    }

    fn passing(&mut self, filter: &Filter) -> &mut Self {
        self.words("FROM contacts p WHERE p.company_id = ").company();
        self.words(" AND p.merged_into_id IS NULL AND p.erased_at IS NULL AND ").filter(filter)
    }

    /// True or false, never NULL: so `not` means what people mean by it.
    fn filter(&mut self, filter: &Filter) -> &mut Self {
        match filter {
            Filter::All(nodes) => self.joined(nodes, " AND ", "true"),
            Filter::Any(nodes) => self.joined(nodes, " OR ", "false"),
            Filter::Not(node) => self.words("(NOT ").filter(node).words(")"),
            Filter::Test(test) => self.words("coalesce(").test(test).words(", false)"),
        }
    }

    fn joined(&mut self, nodes: &[Filter], between: &'static str, of_none: &'static str) -> &mut Self {
        if nodes.is_empty() {
            return self.words(of_none);
        }
        for (index, node) in nodes.iter().enumerate() {
            self.words(if index == 0 { "(" } else { between }).filter(node);
        }
        self.words(")")
    }

    fn test(&mut self, test: &Test) -> &mut Self {
        match test {
            Test::Text(field, test) => self.text(field, test),
            Test::Number(key, test, number) => self.number(key, *test, *number),
            Test::Flag(key, flag) => {
                self.words("p.custom -> ").key(key).words(" = to_jsonb(").bind(*flag).words("::bool)")
            }
            Test::Day(key, test, day) => self.day(key, *test, *day),
            Test::AnyTag(tags) => self.words("p.tags && ").bind(tags.clone()).words("::text[]"),
            Test::AllTags(tags) => self.words("p.tags @> ").bind(tags.clone()).words("::text[]"),
            Test::Lists(ids) => self
                .words("EXISTS (SELECT FROM list_contacts l WHERE l.company_id = ")
                .company()
                .words(" AND l.contact_id = p.id AND l.list_id = ANY(")
                .bind(ids.clone())
                .words("))"),
            Test::Time(field, test) => self.time(*field, *test),
            Test::OptedOut(yes) => self.words("(p.opted_out_at IS NOT NULL) = ").bind(*yes),
            Test::BypassBots(yes) => self.words("p.bypass_bots = ").bind(*yes),
            Test::OpenSession(yes) => self
                .words("EXISTS (SELECT FROM sessions s WHERE s.company_id = ")
                .company()
                .words(" AND s.contact_id = p.id AND s.status <> 'CLOSED') = ")
                .bind(*yes),
            Test::OpenConversation(yes) => self.conversation().words(" AND v.status = 'open') = ").bind(*yes),
            Test::Connections(ids) => self
                .conversation()
                .words(" AND v.status = 'open' AND v.connection_id = ANY(")
                .bind(ids.clone())
                .words("))"),
        }
    }

    /// The beginning of a look for a conversation with the contact alone.
    fn conversation(&mut self) -> &mut Self {
        self.words("EXISTS (SELECT FROM conversations v WHERE v.company_id = ")
            .company()
            .words(" AND v.contact_id = p.id AND NOT v.is_group")
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.bind(key.to_owned()).words("::text")
    }

    fn field(&mut self, field: &TextField) -> &mut Self {
        match field {
            TextField::Name => self.words("p.name"),
            TextField::Phone => self.words("p.phone"),
            TextField::Email => self.words("p.email"),
            TextField::Source => self.words("p.source"),
            TextField::ExternalId => self.words("p.external_id"),
            TextField::Custom(key) => self.words("p.custom ->> ").key(key),
        }
    }

    fn text(&mut self, field: &TextField, test: &TextTest) -> &mut Self {
        match test {
            TextTest::In(texts) => self
                .words("lower(")
                .field(field)
                .words(") IN (SELECT lower(text) FROM unnest(")
                .bind(texts.clone())
                .words("::text[]) AS wanted (text))"),
            TextTest::Contains(text) => self
                .words("strpos(lower(")
                .field(field)
                .words("), lower(")
                .bind(text.clone())
                .words("::text)) > 0"),
            TextTest::StartsWith(text) => self
                .words("starts_with(lower(")
                .field(field)
                .words("), lower(")
                .bind(text.clone())
                .words("::text))"),
            TextTest::Known => self.words("(").field(field).words(") <> ''"),
        }
    }

    fn number(&mut self, key: &str, test: NumberTest, number: f64) -> &mut Self {
        let compared = match test {
            NumberTest::Eq => " = ",
            NumberTest::Lt => " < ",
            NumberTest::Lte => " <= ",
            NumberTest::Gt => " > ",
            NumberTest::Gte => " >= ",
        };
        self.words("CASE WHEN jsonb_typeof(p.custom -> ").key(key);
        self.words(") = 'number' THEN (p.custom -> ").key(key).words(")::numeric").words(compared);
        self.bind(number).words("::numeric END")
    }

    /// A day is kept as text, and compares as such.
    fn day(&mut self, key: &str, test: DayTest, day: NaiveDate) -> &mut Self {
        let compared = match test {
            DayTest::Before => " < ",
            DayTest::After => " >= ",
        };
        self.words("CASE WHEN p.custom ->> ").key(key);
        self.words(r" ~ '^\d{4}-\d{2}-\d{2}' THEN left(p.custom ->> ").key(key);
        self.words(r#", 10) COLLATE "C""#).words(compared);
        self.bind(day.format("%Y-%m-%d").to_string()).words(" END")
    }

    fn time(&mut self, field: TimeField, test: TimeTest) -> &mut Self {
        let (compared, at) = match test {
            TimeTest::Before(at) => (" < ", at),
            TimeTest::After(at) => (" >= ", at),
            TimeTest::WithinDays(days) => (" >= ", self.now - TimeDelta::days(days.into())),
            TimeTest::Known => (" > ", DateTime::UNIX_EPOCH),
        };
        match field {
            TimeField::CreatedAt => self.words("p.created_at"),
            TimeField::LastInbound => self
                .words("(SELECT max(v.last_inbound_at) FROM conversations v WHERE v.company_id = ")
                .company()
                .words(" AND v.contact_id = p.id AND NOT v.is_group)"),
            // The newest first along the index, which ends at the first that is no note.
            TimeField::LastOutbound => {
                self.words("(SELECT m.occurred_at FROM messages m WHERE m.company_id = ").company().words(
                    " AND m.contact_id = p.id AND m.direction = 'outbound' AND m.type <> 'note'
                      ORDER BY m.occurred_at DESC LIMIT 1)",
                )
            }
        }
        .words(compared)
        .bind(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_people_write_is_no_sql() {
        let evil = "x') OR true --";
        let filter = json!({ "all": [
            { "field": "name", "op": "in", "value": [evil] },
            { "field": "source", "op": "contains", "value": evil },
            { "field": format!("custom.{evil}"), "op": "starts_with", "value": evil },
            { "field": format!("custom.{evil}"), "op": "known", "value": false },
            { "field": format!("custom.{evil}"), "op": "gt", "value": 4711 },
            { "field": format!("custom.{evil}"), "op": "before", "value": "1999-12-31" },
            { "field": format!("custom.{evil}"), "op": "is", "value": true },
            { "field": "tag", "op": "has_all", "value": [evil] },
            { "any": [{ "field": "list", "op": "in", "value": Uuid::max() }] },
            { "not": { "field": "connection", "op": "in", "value": Uuid::max() } },
            { "field": "last_outbound_at", "op": "within_days", "value": 4711 },
        ]});
        let filter = Filter::parse(&filter, "filter").expect("it is one");
        let mut sql = Sql::of(Uuid::nil(), DateTime::UNIX_EPOCH);
        sql.words("SELECT count(*) ").passing(&filter);
        let text = sql.query.into_string();
        for value in [evil, "x'", "4711", "1999", "ffffffff", "1970"] {
            assert!(!text.contains(value), "{value} stands in {text}");
        }
        assert_eq!(
            text.matches('$').count(),
            text.matches(" $").count() + text.matches("($").count(),
            "{text}"
        );
    }
}
