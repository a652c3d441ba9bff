//! PostgreSQL goes away: customers' messages are taken all the same, and stored when it is back.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use testkit::{Cloud, Stack, Tenant, TenantOptions, eventually};
use tokio::time::Instant;

use crate::history::journal_count;

/// Messages that customers write while the database is away.
const MESSAGES: usize = 200;

/// Customers who write.
const CUSTOMERS: usize = 20;

/// Connections that Meta holds at once.
const AT_ONCE: usize = 8;

/// A message that failed comes again after a pause that grows to a minute.
const CAUGHT_UP: Duration = Duration::from_secs(420);

#[tokio::test]
async fn customers_are_heard_while_the_database_is_away() {
    let stack = Stack::load();
    let cloud = Cloud::of(&stack).await;
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let tenant = Tenant::seed_with(&stack, &cloud, options).await;
    let dead_before = cloud.dead_letters().await;

    stack.postgres("stop").await;
    let ready = tenant.api.get("/health/ready").await;
    let answers: Vec<(u16, Duration)> = stream::iter(0..MESSAGES)
        .map(|number| {
            let tenant = &tenant;
            async move {
                let wa_id = format!("55628133{:05}", number % CUSTOMERS);
                let begin = Instant::now();
                let status = tenant
                    .deliver_text(&wa_id, &format!("wamid.{number}"), &format!("Mensagem {number}"))
                    .await;
                (status, begin.elapsed())
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    // Before anything is judged: whoever comes next needs the database.
    stack.postgres("start").await;
    assert_eq!(ready.status, 503, "readiness tells that the database is away: {}", ready.body);
    let (statuses, mut durations): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    assert_eq!(statuses, [200; MESSAGES]);

    durations.sort_unstable();
    let at = |percent: usize| durations[(durations.len() - 1) * percent / 100].as_millis();
    println!("webhooks without a database: p50 {} ms, p99 {} ms", at(50), at(99));
    let admin = stack.admin();
    let expected = i64::try_from(MESSAGES).unwrap();
    eventually(&format!("{MESSAGES} messages in the journal"), CAUGHT_UP, async || {
        (journal_count(&admin, &tenant).await >= expected).then_some(())
    })
    .await;
    let shown = tenant.api.all("messages", 100).await;
    assert_eq!(shown.len(), MESSAGES, "each once");
    assert_eq!(tenant.api.all("contacts", 100).await.len(), CUSTOMERS);
    assert_eq!(cloud.dead_letters().await, dead_before, "nothing is given up because we were away");
    tenant
        .api
        .get("/health/ready")
        .await
        .expect_status(200)
        .body
        .get("checks")
        .expect("readiness names its checks");
}
