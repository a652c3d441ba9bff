//! What must hold when a soak has settled.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use sqlx::{PgPool, Row as _};
use testkit::{Cloud, PATIENCE, Sandbox, Stack, Tenant, eventually};
use uuid::Uuid;

use super::plan::Plan;
use crate::history::Customer;

/// How many conversations are read back by the API: each costs a request or two.
const READ_BACK: usize = 60;

/// Waits until nothing of this company is on its way: no queued job, no row in the outbox, no message in between.
///
/// `unknown` is no place in between: a worker that died before its call leaves a message there for a person to decide.
pub(super) async fn wait_until_settled(admin: &PgPool, cloud: &Cloud, tenant: &Tenant, limit: Duration) {
    eventually("an empty outbox, empty queues and no message on its way", limit, async || {
        let outbox: i64 = count(admin, "SELECT count(*) FROM outbox WHERE company_id = $1", tenant).await?;
        let between = "SELECT count(*) FROM messages WHERE company_id = $1 AND direction = 'outbound'
                       AND status IN ('queued', 'sending')";
        let between = count(admin, between, tenant).await?;
        (outbox == 0 && between == 0 && cloud.queued().await == 0).then_some(())
    })
    .await;
}

async fn count(admin: &PgPool, query: &'static str, tenant: &Tenant) -> Option<i64> {
    sqlx::query_scalar(query).bind(tenant.company_id).fetch_one(admin).await.ok()
}

/// Every message of the plan is there once, under the contact who wrote it, with its text and its time.
pub(super) async fn inbound(
    admin: &PgPool,
    tenant: &Tenant,
    plan: &Plan,
    customers: &BTreeMap<String, Customer>,
) {
    let rows = sqlx::query(
        "SELECT provider_message_id, contact_id, conversation_id, text, extract(epoch FROM occurred_at)::bigint AS at
         FROM messages WHERE company_id = $1 AND direction = 'inbound' AND provider_message_id LIKE 'wamid.in.%'",
    )
    .bind(tenant.company_id)
    .fetch_all(admin)
    .await
    .unwrap();
    assert_eq!(rows.len(), plan.written.len(), "each message once");
    let by_id: BTreeMap<String, _> =
        rows.iter().map(|row| (row.get::<String, _>("provider_message_id"), row)).collect();
    for written in &plan.written {
        let row = by_id.get(&written.wamid).unwrap_or_else(|| panic!("{} is lost", written.wamid));
        let customer = &customers[&written.wa_id];
        assert_eq!(row.get::<Uuid, _>("contact_id"), customer.contact_id, "{}", written.wamid);
        assert_eq!(row.get::<Uuid, _>("conversation_id"), customer.conversation_id, "{}", written.wamid);
        assert_eq!(row.get::<String, _>("text"), written.text);
        assert_eq!(row.get::<i64, _>("at"), written.at, "{}", written.wamid);
    }
    let contacts = count(admin, "SELECT count(*) FROM contacts WHERE company_id = $1", tenant).await.unwrap();
    // Those of the plan, and the ten who are really written to.
    assert_eq!(usize::try_from(contacts).unwrap(), plan.wa_ids.len() + 10, "no contact is split or merged");
}

/// The API shows a conversation in the provider's order.
pub(super) async fn order(tenant: &Tenant, plan: &Plan, customers: &BTreeMap<String, Customer>) {
    let mut expected: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
    for written in &plan.written {
        expected.entry(&written.wa_id).or_default().push((written.at, &written.wamid));
    }
    stream::iter(expected.into_iter().take(READ_BACK))
        .for_each_concurrent(4, |(wa_id, mut expected)| async move {
            expected.sort_unstable();
            let conversation_id = customers[wa_id].conversation_id.to_string();
            let messages = crate::inbox::messages_of(&tenant.api, &conversation_id).await;
            let shown: Vec<&str> = messages
                .iter()
                .filter(|message| message["direction"] == "inbound")
                .map(|message| message["provider_message_id"].as_str().unwrap())
                .collect();
            let expected: Vec<&str> = expected.into_iter().map(|(_, wamid)| wamid).collect();
            assert_eq!(shown, expected, "{wa_id}");
        })
        .await;
}

/// Every message of the business has the highest status that was reported of it.
pub(super) async fn statuses(admin: &PgPool, tenant: &Tenant, plan: &Plan) {
    let rows = sqlx::query(
        "SELECT provider_message_id, status FROM messages
         WHERE company_id = $1 AND direction = 'outbound' AND provider_message_id LIKE 'wamid.out.%'",
    )
    .bind(tenant.company_id)
    .fetch_all(admin)
    .await
    .unwrap();
    let stored: BTreeMap<String, String> =
        rows.iter().map(|row| (row.get("provider_message_id"), row.get("status"))).collect();
    let heights = plan.heights();
    assert_eq!(stored.len(), heights.len());
    let mut wrong = Vec::new();
    for (wamid, height) in heights {
        let height = serde_json::to_value(height).unwrap();
        if height != stored[wamid].as_str() {
            wrong.push(format!("{wamid} is {}, not {height}", stored[wamid]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong statuses: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
}

/// No message reached the provider twice. One that it took is read; one that never got there, because its worker died
/// first, says so: `unknown`, never `sent`.
pub(super) async fn really_sent(stack: &Stack, tenant: &Tenant, ids: &[String]) {
    let sandbox = Sandbox::of(stack);
    let mut undecided = 0;
    for id in ids {
        let accepted = sandbox.accepted(id).await;
        assert!(accepted <= 1, "message {id} was sent {accepted} times");
        let wanted = if accepted == 1 { "read" } else { "unknown" };
        eventually(
            &format!("message {id}, accepted {accepted} times, to be {wanted}"),
            PATIENCE,
            async || {
                let message = tenant.api.get(&format!("messages/{id}")).await.expect_status(200).body;
                (message["status"] == wanted).then_some(())
            },
        )
        .await;
        undecided += 1 - accepted;
    }
    println!("soak: {undecided} messages are left to a person, for their worker died before it called");
}
