//! What is searched enters its index, as the application's role: row-level security keeps most conditions from it.

use sqlx::{AssertSqlSafe, Row as _};
use testkit::{Stack, Tenant, TenantOptions};
use uuid::Uuid;

use super::queries::cached;

/// Twenty thousand contacts, of which a tenth have a tag.
async fn fill(stack: &Stack, company_id: Uuid) {
    let admin = stack.admin();
    sqlx::query(
        "INSERT INTO contacts (company_id, id, name, source, tags, created_at, updated_at)
         SELECT $1, gen_random_uuid(), 'Contato ' || md5(g::text), 'x',
                CASE WHEN g % 10 = 0 THEN ARRAY['quente'] ELSE '{}' END, now() - g * interval '1 minute', now()
         FROM generate_series(1, 20000) AS g",
    )
    .bind(company_id)
    .execute(&admin)
    .await
    .unwrap();
    sqlx::raw_sql("VACUUM (ANALYZE) contacts").execute(&admin).await.unwrap();
}

/// The plan of the search by parts with these parameters behind the company's, for the role of functions.
async fn plan(stack: &Stack, company_id: Uuid, parameters: &str) -> String {
    let search = cached().into_values().find(|query| query.contains("OFFSET 0) AS found"));
    let search = search.expect("the query that searches contacts by their parts");
    let mut tx = stack.application().begin().await.unwrap();
    for statement in [
        format!("SET LOCAL app.company_id = '{company_id}'"),
        "SET LOCAL plan_cache_mode = force_custom_plan".to_owned(),
        "SET LOCAL enable_seqscan = off".to_owned(),
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
    let stack = Stack::load();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let company_id = Tenant::seed(&stack, options).await.company_id;
    fill(&stack, company_id).await;
    let words = "NULL, NULL, 51, NULL, NULL, NULL, NULL, NULL, NULL, E'%Conceição%\\n% a%', 2";
    let words = plan(&stack, company_id, words).await;
    let conditions = entered_with(&words, "contacts_search");
    assert!(conditions.contains("company_id ="), "{words}");
    assert!(conditions.contains("search ~~ '%conceicao%'"), "{words}");
    assert!(conditions.contains("search ~~ '% a%'"), "{words}");
    let tag = "NULL, NULL, 51, NULL, NULL, NULL, NULL, NULL, 'quente', NULL, 0";
    let tag = plan(&stack, company_id, tag).await;
    assert!(entered_with(&tag, "contacts_tags").contains("tags @>"), "{tag}");
}
