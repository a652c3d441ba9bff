//! Whatever order events come in, however often, and wherever their consumer dies: the end is the same.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use domain::job::Queue;
use domain::message::MessageStatus;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use testkit::{Flow, Tenant, TenantOptions, at_answer, now_seconds, webhook};

use crate::history::{SentMessage, insert_customers, insert_sent};

/// How many plans are tried: a plan takes a third of a second.
const CASES: u32 = 12;

/// Of so many customers some write and some are written to.
const CUSTOMERS: usize = 3;

/// What a provider reports of a message.
const STATUSES: [&str; 4] = ["sent", "delivered", "read", "failed"];

/// One thing that the provider tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// The customer's message of this number.
    Said { customer: usize, number: usize },
    /// A status of the message of this number that the business sent to the customer.
    Reported { customer: usize, number: usize, status: &'static str },
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    Unheard,
    /// The consumer dies at its so-manieth answer.
    Died(usize),
}

#[derive(Clone, Debug)]
struct Plan {
    /// In the order in which it is told, some of it more than once.
    told: Vec<Told>,
    /// How many things stand in each body; from the beginning again after the last.
    bodies: Vec<usize>,
    /// What becomes of the batches; from the beginning again after the last.
    fates: Vec<Fate>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let said = prop::collection::vec(0..CUSTOMERS, 1..16);
    let reported = prop::collection::vec(prop::collection::vec(select(STATUSES.as_slice()), 0..5), 0..6);
    let twice = prop::collection::vec(any::<Index>(), 0..6);
    let told = (said, reported, twice).prop_flat_map(|(said, reported, twice)| {
        let said = said.into_iter().enumerate().map(|(number, customer)| Told::Said { customer, number });
        let reported = reported.into_iter().enumerate().flat_map(|(number, statuses)| {
            let customer = number % CUSTOMERS;
            statuses.into_iter().map(move |status| Told::Reported { customer, number, status })
        });
        let mut told: Vec<Told> = said.chain(reported).collect();
        let again: Vec<Told> = twice.iter().map(|index| index.get(&told).clone()).collect();
        told.extend(again);
        Just(told).prop_shuffle()
    });
    let fate = prop_oneof![Just(Fate::Done), Just(Fate::Unheard), (1..25usize).prop_map(Fate::Died)];
    let bodies = prop::collection::vec(1..7usize, 1..5);
    (told, bodies, prop::collection::vec(fate, 1..8)).prop_map(|(told, bodies, fates)| Plan {
        told,
        bodies,
        fates,
    })
}

/// Customers and messages that no other plan knows.
struct Cast {
    begin: i64,
    word: String,
    /// They write; nobody knew them before.
    writers: Vec<String>,
    /// They were written to.
    recipients: Vec<String>,
}

impl Cast {
    /// Those of a plan; every plan of a company has another number.
    fn of(plan: usize) -> Self {
        let digits =
            |kind: usize| (0..CUSTOMERS).map(|place| format!("55628{kind}{plan:05}{place}")).collect();
        let word = testkit::new_word("");
        Self { begin: now_seconds() - 3600, word, writers: digits(1), recipients: digits(2) }
    }

    fn said(&self, number: usize) -> String {
        format!("wamid.in.{}.{number:02}", self.word)
    }

    fn sent(&self, number: usize) -> String {
        format!("wamid.out.{}.{number:02}", self.word)
    }

    fn at(&self, number: usize) -> i64 {
        self.begin + i64::try_from(number).unwrap()
    }

    fn change(&self, tenant: &Tenant, told: &Told) -> Value {
        match told {
            Told::Said { customer, number } => {
                let wa_id = &self.writers[*customer];
                let text = webhook::text(wa_id, &self.said(*number), self.at(*number), &format!("{number}"));
                webhook::change(&tenant.phone_number_id, &[webhook::contact(wa_id, "Ana")], &[text], &[])
            }
            Told::Reported { customer, number, status } => {
                let wa_id = &self.recipients[*customer];
                let status = webhook::status(wa_id, &self.sent(*number), self.at(*number), status);
                webhook::change(&tenant.phone_number_id, &[], &[], &[status])
            }
        }
    }
}

async fn step(flow: &Flow, fate: Fate) {
    match fate {
        Fate::Done => flow.step(Queue::Inbound).await,
        Fate::Unheard => flow.step_unheard(Queue::Inbound).await,
        Fate::Died(answers) => flow.step_unless(Queue::Inbound, at_answer(answers)).await,
    };
}

async fn holds(flow: &Flow, number: usize, plan: &Plan) {
    let cast = Cast::of(number);
    let sent: BTreeMap<usize, usize> = plan
        .told
        .iter()
        .filter_map(|told| match told {
            Told::Reported { customer, number, .. } => Some((*number, *customer)),
            Told::Said { .. } => None,
        })
        .collect();
    let customers = insert_customers(&flow.admin, &flow.tenant, &cast.recipients).await;
    let history: Vec<SentMessage> = sent
        .iter()
        .map(|(&number, &customer)| SentMessage {
            wa_id: cast.recipients[customer].clone(),
            wamid: cast.sent(number),
            at: cast.at(number),
        })
        .collect();
    insert_sent(&flow.admin, &flow.tenant, &customers, &history).await;

    let mut rest = plan.told.as_slice();
    let mut fates = plan.fates.iter().cycle();
    for size in plan.bodies.iter().cycle() {
        let (told, others) = rest.split_at((*size).min(rest.len()));
        let changes: Vec<Value> = told.iter().map(|told| cast.change(&flow.tenant, told)).collect();
        let body = webhook::body(&flow.tenant.waba_id, &changes).to_string();
        let _taken = flow.deliver(&body).await.expect_status(200);
        step(flow, *fates.next().unwrap()).await;
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    flow.recover().await;

    assert_said(flow, plan, &cast).await;
    assert_reported(flow, plan, &cast).await;
    let events: BTreeSet<&Told> = plan.told.iter().collect();
    let journal: i64 =
        sqlx::query_scalar("SELECT count(*) FROM inbound_events WHERE company_id = $1 AND key LIKE $2")
            .bind(flow.tenant.company_id)
            .bind(format!("%.{}.%", cast.word))
            .fetch_one(&flow.admin)
            .await
            .unwrap();
    assert_eq!(usize::try_from(journal).unwrap(), events.len(), "each event once");
}

/// Each message once, under the contact who wrote it and no other, in the provider's order.
async fn assert_said(flow: &Flow, plan: &Plan, cast: &Cast) {
    let mut expected: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for told in &plan.told {
        if let Told::Said { customer, number } = told {
            expected.entry(&cast.writers[*customer]).or_default().insert(*number);
        }
    }
    let expected: BTreeMap<String, Vec<String>> = expected
        .into_iter()
        .map(|(wa_id, numbers)| {
            (wa_id.to_owned(), numbers.into_iter().map(|number| cast.said(number)).collect())
        })
        .collect();
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT a.value, array_agg(m.provider_message_id ORDER BY m.occurred_at, m.id)
         FROM contact_addresses a JOIN messages m ON m.company_id = a.company_id AND m.contact_id = a.contact_id
         WHERE a.company_id = $1 AND a.kind = 'wa_id' AND m.provider_message_id LIKE $2
         GROUP BY a.contact_id, a.value",
    )
    .bind(flow.tenant.company_id)
    .bind(format!("wamid.in.{}.%", cast.word))
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    assert_eq!(rows.len(), expected.len(), "a contact a customer");
    assert_eq!(rows.into_iter().collect::<BTreeMap<_, _>>(), expected);
}

/// Each sent message stands at the highest status that was reported of it.
async fn assert_reported(flow: &Flow, plan: &Plan, cast: &Cast) {
    let mut expected: BTreeMap<String, MessageStatus> = BTreeMap::new();
    for told in &plan.told {
        if let Told::Reported { number, status, .. } = told {
            let height = expected.entry(cast.sent(*number)).or_insert(MessageStatus::Sent);
            let status: MessageStatus = serde_json::from_value(json!(status)).unwrap();
            if height.climbs_to(status) {
                *height = status;
            }
        }
    }
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT provider_message_id, status FROM messages WHERE company_id = $1 AND provider_message_id LIKE $2",
    )
    .bind(flow.tenant.company_id)
    .bind(format!("wamid.out.{}.%", cast.word))
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    assert_eq!(json!(rows.into_iter().collect::<BTreeMap<_, _>>()), json!(expected));
}

#[test]
fn every_plan_ends_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let flow = runtime.block_on(Flow::start(options));
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let plans = Cell::new(0);
    let outcome = TestRunner::new(config).run(&plan(), |plan| {
        plans.set(plans.get() + 1);
        runtime.block_on(holds(&flow, plans.get(), &plan));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    runtime.block_on(flow.end());
}
