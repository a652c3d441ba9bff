//! How PostgreSQL goes about a query that the product is compiled with (`.sqlx`), planned as the application's role plans it:
//! row-level security keeps some conditions from their indexes, and the superuser's plans show nothing of it.

use std::fmt::Display;

use sqlx::{AssertSqlSafe, PgPool, Row as _};

use crate::tenancy::cached;

/// The one query with all of these words.
pub(crate) fn query(words: &[&str]) -> String {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found: Vec<_> = cached()
        .into_values()
        .filter(|query| {
            let query = plain(query);
            words.iter().all(|word| query.contains(word))
        })
        .collect();
    assert_eq!(found.len(), 1, "{words:?} are to be the words of one query: {found:#?}");
    found.remove(0)
}

/// What `EXPLAIN` says of `query` with `values` (SQL, from `$1` on) in a company. `options` are those of `EXPLAIN`, in
/// parentheses; the ways of `without` (`seqscan`) are taken only where there is no other: the tables of a test are small.
pub(crate) async fn explain(
    application: &PgPool,
    company_id: impl Display,
    query: &str,
    values: &str,
    options: &str,
    without: &[&str],
) -> String {
    let mut tx = application.begin().await.unwrap();
    let settings =
        [("app.company_id", company_id.to_string()), ("plan_cache_mode", "force_custom_plan".into())];
    let settings = settings.into_iter().map(|(name, value)| format!("SET LOCAL {name} = '{value}'"));
    let ways = without.iter().map(|way| format!("SET LOCAL enable_{way} = off"));
    for statement in settings.chain(ways).chain([format!("PREPARE wanted AS {query}")]) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await.unwrap();
    }
    let explain = AssertSqlSafe(format!("EXPLAIN {options} EXECUTE wanted({values})"));
    let lines = sqlx::raw_sql(explain).fetch_all(&mut *tx).await.unwrap();
    // It would outlive the transaction, with the connection in its pool.
    sqlx::raw_sql("DEALLOCATE wanted").execute(&mut *tx).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|row| row.get_unchecked::<&str, _>(0)).collect();
    lines.join("\n")
}
