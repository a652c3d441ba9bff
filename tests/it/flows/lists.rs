//! Lists: every row once, whatever the size of a page, also when rows of the same second meet a page's end.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::webhook::{body, change, contact, text};
use testkit::{PATIENCE, Stack, Tenant, TenantOptions, eventually, now_seconds};

use crate::history::journal_count;

const CUSTOMERS: i64 = 7;
const EACH: i64 = 5;

#[tokio::test]
async fn pages_have_every_row_once() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    // All of the same second: only the ids tell the rows apart.
    let at = now_seconds() - 60;
    let wa_id = |number: i64| format!("55628444{number:05}");
    let messages: Vec<Value> = (0..CUSTOMERS * EACH)
        .map(|number| {
            text(&wa_id(number % CUSTOMERS), &format!("wamid.{number}"), at, &format!("Mensagem {number}"))
        })
        .collect();
    let contacts: Vec<Value> = (0..CUSTOMERS).map(|number| contact(&wa_id(number), "Ana")).collect();
    let whole = body(&tenant.waba_id, &[change(&tenant.phone_number_id, &contacts, &messages, &[])]);
    assert_eq!(tenant.deliver(whole.to_string()).await, 200);
    let admin = stack.admin();
    eventually("all messages", PATIENCE, async || {
        (journal_count(&admin, &tenant).await == CUSTOMERS * EACH).then_some(())
    })
    .await;

    let conversation_id = tenant.api.all("conversations", 100).await[0]["id"].as_str().unwrap().to_owned();
    let lists = [
        ("messages".to_owned(), CUSTOMERS * EACH),
        ("contacts".to_owned(), CUSTOMERS),
        ("conversations".to_owned(), CUSTOMERS),
        ("sessions".to_owned(), CUSTOMERS),
        (format!("conversations/{conversation_id}/messages"), EACH),
    ];
    for (list, count) in lists {
        let whole: Vec<String> = ids(&tenant.api.all(&list, 100).await);
        assert_eq!(i64::try_from(whole.len()).unwrap(), count, "{list}");
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), whole.len(), "{list}: a row twice");
        for limit in [1, 2, 3, 5, 7] {
            assert_eq!(ids(&tenant.api.all(&list, limit).await), whole, "{list} in pages of {limit}");
        }
    }
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}
