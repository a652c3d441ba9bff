//! What is searched enters its index, as the application's role: row-level security keeps most conditions from it.

use sqlx::{AssertSqlSafe, Row as _};
use testkit::Stack;

use super::queries::cached;

/// The plan of the search by parts with these parameters behind the company's, for the role of functions.
async fn plan(parameters: &str) -> String {
    let stack = Stack::load();
    let search = cached().into_values().find(|query| query.contains("OFFSET 0) AS found"));
    let search = search.expect("the query that searches contacts by their parts");
    let mut tx = stack.application().begin().await.unwrap();
    let company_id = stack.demo.company_id;
    // Whatever has a condition of its own for another index is out of the way, as the table is small.
    for statement in [
        format!("SET LOCAL app.company_id = '{company_id}'"),
        "SET LOCAL plan_cache_mode = force_custom_plan".to_owned(),
        "SET LOCAL enable_seqscan = off".to_owned(),
        "SET LOCAL enable_indexscan = off".to_owned(),
        format!("PREPARE search AS {search}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await.unwrap();
    }
    let explain = format!("EXPLAIN EXECUTE search('{company_id}', {parameters})");
    let lines = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *tx).await.unwrap();
    let lines: Vec<String> = lines.iter().map(|row| row.get_unchecked::<&str, _>(0).to_owned()).collect();
    lines.join("\n")
}

/// The conditions with which a plan enters an index.
fn entered_with<'a>(plan: &'a str, index: &str) -> &'a str {
    let behind = plan.split_once(&format!("on {index}"));
    let (_, behind) = behind.unwrap_or_else(|| panic!("{index} is not asked: {plan}"));
    behind.lines().find(|line| line.trim_start().starts_with("Index Cond:")).expect("conditions")
}

#[tokio::test]
async fn a_search_enters_its_index_below_row_level_security() {
    let words = plan("NULL, NULL, 51, NULL, NULL, NULL, NULL, NULL, NULL, E'%Conceição%\\n% a%', 2").await;
    let conditions = entered_with(&words, "contacts_search");
    assert!(conditions.contains("company_id ="), "{words}");
    assert!(conditions.contains("search ~~ '%conceicao%'"), "{words}");
    assert!(conditions.contains("search ~~ '% a%'"), "{words}");
    let tag = plan("NULL, NULL, 51, NULL, NULL, NULL, NULL, NULL, 'quente', NULL, 0").await;
    assert!(entered_with(&tag, "contacts_tags").contains("tags @>"), "{tag}");
}
