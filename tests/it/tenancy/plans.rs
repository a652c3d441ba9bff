//! What is searched enters its index, as the application's role: row-level security keeps most conditions from it.

use testkit::{Stack, Tenant, TenantOptions};
use uuid::Uuid;

use crate::history::{SentMessage, insert_customers, insert_sent};
use crate::plan::{explain, query};

/// A company of twenty thousand contacts, of which a tenth have a tag.
async fn company() -> (Stack, Uuid) {
    let stack = Stack::load();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let company_id = Tenant::seed(&stack, options).await.company_id;
    let admin = stack.admin();
    sqlx::query(
        "INSERT INTO contacts (company_id, id, name, phone, email, external_id, source, tags, created_at, updated_at)
         SELECT $1, gen_random_uuid(), 'Contato ' || md5(g::text), '+55629' || 80000000 + g, g || '@example.com',
                'erp-' || g, 'x', CASE WHEN g % 10 = 0 THEN ARRAY['quente'] ELSE '{}' END,
                now() - g * interval '1 minute', now()
         FROM generate_series(1, 20000) AS g",
    )
    .bind(company_id)
    .execute(&admin)
    .await
    .unwrap();
    sqlx::raw_sql("VACUUM (ANALYZE) contacts").execute(&admin).await.unwrap();
    (stack, company_id)
}

/// The plan of a statement with these values, `$company` for the company's id, for tables that are large.
async fn plan(stack: &Stack, company_id: Uuid, statement: &str, values: &str) -> String {
    let values = values.replace("$company", &company_id.to_string());
    let without = ["seqscan", "hashjoin", "mergejoin"];
    explain(&stack.application(), company_id, statement, &values, "", &without).await
}

/// The conditions with which a plan enters an index.
fn entered_with<'a>(plan: &'a str, index: &str) -> &'a str {
    let behind = plan.split_once(&format!("on {index}"));
    let (_, behind) = behind.unwrap_or_else(|| panic!("{index} is not asked: {plan}"));
    behind.lines().find(|line| line.trim_start().starts_with("Index Cond:")).expect("conditions")
}

#[tokio::test]
async fn a_search_enters_its_index_below_row_level_security() {
    let (stack, company_id) = company().await;
    let search = query(&["OFFSET 0) AS found"]);
    let words = "'$company', NULL, NULL, 51, NULL, NULL, NULL, NULL, NULL, NULL, E'%Conceição%\\n% a%', 2";
    let words = plan(&stack, company_id, &search, words).await;
    let conditions = entered_with(&words, "contacts_search");
    assert!(conditions.contains("company_id ="), "{words}");
    assert!(conditions.contains("search ~~ '%conceicao%'"), "{words}");
    assert!(conditions.contains("search ~~ '% a%'"), "{words}");
    let tag = "'$company', NULL, NULL, 51, NULL, NULL, NULL, NULL, NULL, 'quente', NULL, 0";
    let tag = plan(&stack, company_id, &search, tag).await;
    assert!(entered_with(&tag, "contacts_tags").contains("tags @>"), "{tag}");
}

#[tokio::test]
async fn what_was_erased_is_looked_up_and_not_searched_for() {
    let stack = Stack::load();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let tenant = Tenant::seed(&stack, options).await;
    let company_id = tenant.company_id;
    // Of a table with a page or two PostgreSQL reads everything.
    let customers = insert_customers(&stack.admin(), &tenant, &["5562999990000".to_owned()]).await;
    let sent = (0..5_000).map(|n| SentMessage {
        wa_id: "5562999990000".to_owned(),
        wamid: format!("wamid.{n}"),
        at: 1_768_053_600 + n,
    });
    insert_sent(&stack.admin(), &tenant, &customers, &sent.collect::<Vec<_>>()).await;
    sqlx::raw_sql("VACUUM (ANALYZE) messages").execute(&stack.admin()).await.unwrap();
    sqlx::query(
        "INSERT INTO inbound_events (company_id, connection_id, key, kind, payload, received_at)
         SELECT $1, $1, 'message:' || g, 'message', '{}', now() FROM generate_series(1, 5000) AS g",
    )
    .bind(company_id)
    .execute(&stack.admin())
    .await
    .unwrap();
    sqlx::raw_sql("VACUUM (ANALYZE) inbound_events").execute(&stack.admin()).await.unwrap();
    let insert = query(&["INSERT INTO inbound_events"]);
    let parameters =
        "'$company', ARRAY['$company']::uuid[], ARRAY['a'], ARRAY['status'], ARRAY['a'], ARRAY['{}'],
                      ARRAY[now()], ARRAY['b'], ARRAY['c']";
    let written = plan(&stack, company_id, &insert, parameters).await;
    assert!(written.contains("key = new.erased_key"), "{written}");
    assert!(written.contains("provider_message_id = new.erased_about"), "{written}");
    for conditions in ["key = new.erased_key", "provider_message_id = new.erased_about"] {
        let line = written.lines().find(|line| line.contains(conditions)).unwrap();
        assert!(line.trim_start().starts_with("Index Cond:"), "{written}");
    }

    // What a phone's history repeats, and the files that came before their messages.
    for (words, parameters, condition) in [
        (
            "named.stored",
            "'$company', ARRAY['$company']::uuid[], ARRAY['a'], ARRAY['b']",
            "provider_message_id = (named",
        ),
        ("AND e.key = named.key", "'$company', '$company', ARRAY['history:a', 'history:b']", "key = (named"),
    ] {
        let written = plan(&stack, company_id, &query(&[words]), parameters).await;
        let line = written.lines().find(|line| line.contains(condition));
        assert!(line.is_some_and(|line| line.trim_start().starts_with("Index Cond:")), "{written}");
    }

    // The function runs as the owner, who is bound by the same policies.
    let body: String =
        sqlx::query_scalar("SELECT prosrc FROM pg_proc WHERE proname = 'erase_message_events'")
            .fetch_one(&stack.admin())
            .await
            .unwrap();
    let read = body.split("gone AS (").next().unwrap().trim().trim_end_matches(',').to_owned()
        + " SELECT * FROM told";
    let read = read.replace("unnest(connections, provider_message_ids)", "unnest($1::uuid[], $2::text[])");
    let erased = plan(&stack, company_id, &read, "ARRAY['$company']::uuid[], ARRAY['wamid.1']").await;
    // By the message, by its echo, by the file that came after it, and by what was told of it.
    let by_key = |line: &&str| line.trim_start().starts_with("Index Cond:") && line.contains("AND (key ");
    assert_eq!(erased.lines().filter(by_key).count(), 4, "{erased}");
}

#[tokio::test]
async fn candidates_for_a_merge_are_looked_up() {
    let (stack, company_id) = company().await;
    let candidates = query(&["AS reason FROM contact_addresses"]);
    let one = "ARRAY['a']::text[]";
    let parameters = format!("'$company', '$company', {one}, {one}, {one}, {one}, false, 50");
    let plan = plan(&stack, company_id, &candidates, &parameters).await;
    for (index, condition) in [
        ("contacts_same_phone", "phone = ANY"),
        ("contacts_same_email", "email = ANY"),
        ("contacts_same_external_id", "external_id = ANY"),
        ("contacts_same_name", "name = ANY"),
    ] {
        let behind = plan.split_once(index).unwrap_or_else(|| panic!("{index} is not asked: {plan}")).1;
        let line = behind.lines().find(|line| line.contains(condition)).expect("a condition");
        assert!(line.trim_start().starts_with("Index Cond:"), "{index}: {plan}");
    }
}
