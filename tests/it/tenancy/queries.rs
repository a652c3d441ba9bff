//! Every query of the product names its company, so that the database's own wall is the second and not the only one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::{PgPool, Row as _};
use testkit::Stack;
use testkit::stack::checkout;

use super::catalogue::tenant_tables;

/// Queries that ask a table of companies for more than one company's rows: words that only this query has, and why it
/// may. This list may only shrink.
const ACROSS_COMPANIES: [(&str, &str); 13] = [
    ("FROM api_keys WHERE key_hash = $1", "who shows a key is let in by it: no company is known before"),
    ("FROM invitations WHERE token_hash = $1", "who shows an invitation belongs to no company yet"),
    ("WHERE m.user_id = $1 AND m.deactivated_at IS NULL", "a person's own companies, to choose one"),
    (
        "FROM memberships WHERE user_id = $1 AND deactivated_at IS NULL",
        "what happens to a person's account stands in the logs of all of their own companies",
    ),
    ("UPDATE outbox SET claimed_until = $2", "the relay moves every company's outbox"),
    ("DELETE FROM outbox WHERE id = ANY($1)", "the relay moves every company's outbox"),
    ("split_part(access_token, '.', 2) <> $1", "secrets of every company are sealed anew"),
    (
        "SELECT DISTINCT ON (c.company_id, c.waba_id)",
        "templates of every company's accounts are compared with the provider's",
    ),
    ("checked_at IS NULL OR checked_at < $1", "connections of every company are checked"),
    ("UPDATE sessions SET ai_blocked_until = NULL", "silences of every company end"),
    ("UPDATE turns SET updated_at = $2", "turns of every company whose job is lost"),
    ("DELETE FROM embedded_signups WHERE", "old tokens of every company go"),
    ("DELETE FROM idempotency_keys WHERE", "old keys of every company go"),
];

/// The text of every query by the file that caches it.
pub(crate) fn cached() -> BTreeMap<String, String> {
    let files = std::fs::read_dir(checkout().join(".sqlx")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let query: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let text = query["query"].as_str().unwrap().to_owned();
        (path.file_name().unwrap().to_string_lossy().into_owned(), text)
    };
    let queries: BTreeMap<_, _> = files.map(read).collect();
    assert!(queries.len() >= 100, "only {} queries", queries.len());
    queries
}

fn exception(query: &str) -> Option<usize> {
    ACROSS_COMPANIES.iter().position(|(words, _)| query.contains(words))
}

/// Whether `name` stands in `text` as a word of its own.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

#[tokio::test]
async fn every_query_of_a_tenant_table_mentions_the_company() {
    let tables = tenant_tables(&Stack::load().admin()).await;
    for (file, query) in cached() {
        let table = tables.iter().find(|table| names(&query, table));
        if let Some(table) = table.filter(|_| exception(&query).is_none()) {
            assert!(names(&query, "company_id"), "{file}: {table} without company_id: {query}");
        }
    }
}

/// Stricter than what the text says: in the plan of every query, each access to a table of companies is limited by an
/// equation of `company_id`. As the superuser, whose plans hold no policies.
#[tokio::test]
async fn every_access_to_a_tenant_table_is_limited_to_a_company() {
    let admin = Stack::load().admin();
    let tables = tenant_tables(&admin).await;
    let mut used = [0; ACROSS_COMPANIES.len()];
    let mut planned = 0;
    for (file, query) in cached() {
        if !tables.iter().any(|table| names(&query, table)) {
            continue;
        }
        planned += 1;
        let unlimited = unlimited(&admin, &tables, &query).await;
        match exception(&query) {
            Some(known) => {
                assert!(!unlimited.is_empty(), "{}: no exception any more", ACROSS_COMPANIES[known].0);
                used[known] += 1;
            }
            None => assert!(unlimited.is_empty(), "{file}: reads {unlimited:?} of every company: {query}"),
        }
    }
    assert!(planned >= 80, "only {planned} queries of tenant tables");
    for ((words, why), used) in ACROSS_COMPANIES.iter().zip(used) {
        assert_eq!(used, 1, "{words} ({why}) is to be the exception of one query");
    }

    // That this sees what it looks for.
    for (query, expected) in [
        ("SELECT name FROM contacts WHERE id = $1", vec!["contacts"]),
        ("SELECT name FROM contacts WHERE company_id <> $1", vec!["contacts"]),
        ("UPDATE messages SET text = '' WHERE id = $1", vec!["messages"]),
        (
            "DELETE FROM turns WHERE session_id IN (SELECT id FROM sessions WHERE company_id = $1)",
            vec!["turns"],
        ),
        (
            "SELECT 1 FROM contacts c JOIN turns t ON t.company_id = c.company_id WHERE t.company_id = $1",
            vec![],
        ),
    ] {
        assert_eq!(unlimited(&admin, &tables, query).await, expected, "{query}");
    }
    assert!(equates_company("(c.company_id = $1)") && !equates_company("(active_company_id = $1)"));
}

/// Which tables of companies a query accesses without an equation of `company_id`.
async fn unlimited(admin: &PgPool, tables: &[String], query: &str) -> Vec<String> {
    let explain = format!("EXPLAIN (GENERIC_PLAN, FORMAT JSON) {query}");
    // By the simple protocol: a plan that is generic has no parameters to bind.
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_one(admin).await;
    let row = row.unwrap_or_else(|error| panic!("{query}: {error}"));
    let plan: Value = serde_json::from_str(row.get_unchecked::<&str, _>(0)).unwrap();
    let mut found = Vec::new();
    collect(&plan[0]["Plan"], tables, &mut found);
    found
}

fn collect(node: &Value, tables: &[String], found: &mut Vec<String>) {
    let relation = node["Relation Name"].as_str().unwrap_or_default();
    // What a node changes was found by the nodes below it; what it inserts is checked by the policy.
    if node["Node Type"] != "ModifyTable" && tables.iter().any(|table| table == relation) {
        let conditions =
            ["Index Cond", "Recheck Cond", "Filter"].map(|kind| node[kind].as_str().unwrap_or_default());
        if !conditions.iter().any(|condition| equates_company(condition)) {
            found.push(relation.to_owned());
        }
    }
    for below in node["Plans"].as_array().into_iter().flatten() {
        collect(below, tables, found);
    }
}

/// Whether a condition equates `company_id`, and not a column whose name only ends so.
fn equates_company(condition: &str) -> bool {
    let mut places = condition.match_indices("company_id = ");
    places.any(|(at, _)| !condition[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The only file whose queries are put together at run time, from the filters of people: it takes words of its own and
/// binds all else, names the company for every table, and says so in a test beside it. `tests/it/flows/segments.rs` has
/// what it makes run as the application role.
const AT_RUN_TIME: &str = "shared/db/src/segments/filter.rs";

/// The checks above see what the macros have cached. A query without a macro would pass them by.
#[test]
fn every_query_is_a_checked_one() {
    let root = checkout();
    let mut sources = Vec::new();
    for folder in ["functions", "shared"] {
        rust_files(&root.join(folder), &mut sources);
    }
    let mut checked = 0;
    for path in sources.iter().filter(|path| !path.starts_with(root.join("shared/testkit"))) {
        let text = std::fs::read_to_string(path).unwrap();
        let is_db = path.starts_with(root.join("shared/db"));
        for call in
            ["query", "query_as", "query_scalar", "query_with", "query_as_with", "raw_sql", "QueryBuilder"]
        {
            let unchecked =
                text.contains(&format!("sqlx::{call}(")) || text.contains(&format!("sqlx::{call}::"));
            let exempt = call == "QueryBuilder" && path.ends_with(AT_RUN_TIME);
            assert_eq!(unchecked, exempt, "{}: sqlx::{call} without its macro", path.display());
        }
        let macros = text.matches("sqlx::query").count();
        assert!(is_db || macros == 0, "{}: a query outside of db", path.display());
        checked += macros;
        // What begins a transaction sets the company or the person with it; nothing else is put together from text.
        let by_hand = text.matches("AssertSqlSafe(").count();
        assert_eq!(by_hand, usize::from(path.ends_with("db/src/tx.rs")), "{}: SQL by hand", path.display());
    }
    assert!(checked >= 100, "only {checked} queries");
}

/// Every Rust file below a folder.
pub(crate) fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
