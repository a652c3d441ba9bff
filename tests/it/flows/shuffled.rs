//! Whatever order events come in, however often, and wherever their consumer dies: the end is the same, by every channel.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use domain::job::Queue;
use domain::message::MessageStatus;
use domain::phone::canonical_from_wa_id;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use testkit::{Flow, Tenant, TenantOptions, at_answer, now_seconds, webhook};

use super::line::Line;
use crate::history::{SentMessage, insert_customers, insert_sent};

/// How many plans are tried of each channel: a plan takes a third of a second.
const CASES: u32 = 12;

/// Of so many customers some write and some are written to.
const CUSTOMERS: usize = 3;

/// A channel, and what its provider reports of a message.
struct Channel {
    kind: &'static str,
    /// The provider's own words, and how far a message got by each.
    words: &'static [(&'static str, MessageStatus)],
    /// Whether messages say when they were written.
    tells_time: bool,
}

const WHATSAPP_CLOUD: Channel = Channel {
    kind: "whatsapp_cloud",
    words: &[
        ("sent", MessageStatus::Sent),
        ("delivered", MessageStatus::Delivered),
        ("read", MessageStatus::Read),
        ("played", MessageStatus::Read),
        ("failed", MessageStatus::Failed),
    ],
    tells_time: true,
};

const TWILIO_SMS: Channel = Channel {
    kind: "twilio_sms",
    words: &[
        ("queued", MessageStatus::Sent),
        ("sending", MessageStatus::Sent),
        ("sent", MessageStatus::Sent),
        ("delivered", MessageStatus::Delivered),
        ("read", MessageStatus::Read),
        ("undelivered", MessageStatus::Failed),
        ("failed", MessageStatus::Failed),
        ("canceled", MessageStatus::Failed),
    ],
    tells_time: false,
};

const EVOLUTION: Channel = Channel {
    kind: "evolution",
    words: &[
        // Nothing that is known of it already.
        ("PENDING", MessageStatus::Queued),
        (SEND_MESSAGE, MessageStatus::Sent),
        ("SERVER_ACK", MessageStatus::Sent),
        ("DELIVERY_ACK", MessageStatus::Delivered),
        ("READ", MessageStatus::Read),
        ("PLAYED", MessageStatus::Read),
        ("ERROR", MessageStatus::Failed),
    ],
    tells_time: true,
};

const UAZAPI: Channel = Channel {
    kind: "uazapi",
    words: &[
        (SENT_BY_API, MessageStatus::Sent),
        ("Sent", MessageStatus::Sent),
        ("Delivered", MessageStatus::Delivered),
        ("Read", MessageStatus::Read),
        ("Played", MessageStatus::Read),
    ],
    tells_time: true,
};

/// An event of its own at Evolution API: the gateway sent what its API was asked to.
const SEND_MESSAGE: &str = "send.message";

/// A message of its own at UAZapi: the business said what the gateway's API was asked to.
const SENT_BY_API: &str = "SentByApi";

/// One thing that the provider tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// The customer's message of this number.
    Said { customer: usize, number: usize },
    /// A status of the message of this number that the business sent to the customer.
    Reported { customer: usize, number: usize, word: &'static str },
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
    /// How many things come at once, with Meta in one body; from the beginning again after the last.
    bodies: Vec<usize>,
    /// What becomes of the batches; from the beginning again after the last.
    fates: Vec<Fate>,
}

fn plan(channel: &Channel) -> impl Strategy<Value = Plan> {
    let words: Vec<&'static str> = channel.words.iter().map(|(word, _)| *word).collect();
    let said = prop::collection::vec(0..CUSTOMERS, 1..16);
    let reported = prop::collection::vec(prop::collection::vec(select(words), 0..5), 0..6);
    let twice = prop::collection::vec(any::<Index>(), 0..6);
    let told = (said, reported, twice).prop_flat_map(|(said, reported, twice)| {
        let said = said.into_iter().enumerate().map(|(number, customer)| Told::Said { customer, number });
        let reported = reported.into_iter().enumerate().flat_map(|(number, words)| {
            let customer = number % CUSTOMERS;
            words.into_iter().map(move |word| Told::Reported { customer, number, word })
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

    /// As Meta tells it.
    fn change(&self, tenant: &Tenant, told: &Told) -> Value {
        match told {
            Told::Said { customer, number } => {
                let wa_id = &self.writers[*customer];
                let text = webhook::text(wa_id, &self.said(*number), self.at(*number), &format!("{number}"));
                webhook::change(&tenant.phone_number_id, &[webhook::contact(wa_id, "Ana")], &[text], &[])
            }
            Told::Reported { customer, number, word } => {
                let wa_id = &self.recipients[*customer];
                let status = webhook::status(wa_id, &self.sent(*number), self.at(*number), word);
                webhook::change(&tenant.phone_number_id, &[], &[], &[status])
            }
        }
    }

    /// As Twilio tells it: to which of its two addresses, and the form.
    fn form(&self, told: &Told) -> (&'static str, String) {
        match told {
            Told::Said { customer, number } => {
                let (sid, from) = (self.said(*number), &self.writers[*customer]);
                ("messages", format!("MessageSid={sid}&From=%2B{from}&Body={number}&NumMedia=0"))
            }
            Told::Reported { customer, number, word } => {
                let (sid, to) = (self.sent(*number), &self.recipients[*customer]);
                ("status", format!("MessageSid={sid}&MessageStatus={word}&To=%2B{to}"))
            }
        }
    }

    /// As Evolution API tells it.
    fn evolution(&self, told: &Told) -> Value {
        let key = |wa_id: &str, from_me: bool, id: String| json!({ "remoteJid": jid(wa_id), "fromMe": from_me, "id": id });
        match told {
            Told::Said { customer, number } => json!({ "event": "messages.upsert", "data": {
                "key": key(&self.writers[*customer], false, self.said(*number)), "pushName": "Ana",
                "message": { "conversation": format!("{number}") }, "messageTimestamp": self.at(*number),
            } }),
            Told::Reported { customer, number, word: SEND_MESSAGE } => {
                json!({ "event": SEND_MESSAGE, "data": {
                "key": key(&self.recipients[*customer], true, self.sent(*number)), "status": "PENDING",
                "message": { "conversation": "Oi" }, "messageTimestamp": self.at(*number),
            } })
            }
            Told::Reported { customer, number, word } => json!({ "event": "messages.update", "data": {
                "keyId": self.sent(*number), "remoteJid": jid(&self.recipients[*customer]), "fromMe": true,
                "status": word,
            } }),
        }
    }

    /// As UAZapi tells it.
    fn uazapi(&self, told: &Told) -> Value {
        let message = |wa_id: &str, id: String, number: usize| {
            json!({
                "messageid": id, "chatid": jid(wa_id), "senderName": "Ana", "messageType": "Conversation",
                "text": format!("{number}"), "messageTimestamp": self.at(number) * 1000,
            })
        };
        match told {
            Told::Said { customer, number } => {
                let message = message(&self.writers[*customer], self.said(*number), *number);
                json!({ "EventType": "messages", "message": message })
            }
            Told::Reported { customer, number, word: SENT_BY_API } => {
                let mut message = message(&self.recipients[*customer], self.sent(*number), *number);
                (message["fromMe"], message["wasSentByApi"]) = (true.into(), true.into());
                message["track_id"] = json!(testkit::new_id());
                json!({ "EventType": "messages", "message": message })
            }
            Told::Reported { customer, number, word } => json!({ "EventType": "messages_update", "event": {
                "Chat": jid(&self.recipients[*customer]), "IsFromMe": false, "MessageIDs": [self.sent(*number)],
                "Timestamp": self.at(*number), "Type": word,
            } }),
        }
    }
}

fn jid(wa_id: &str) -> String {
    format!("{wa_id}@s.whatsapp.net")
}

/// A company and its way to customers: the number at Meta that it has anyway, or another channel's line.
struct Way {
    flow: Flow,
    channel: &'static Channel,
    line: Option<Line>,
}

impl Way {
    async fn open(channel: &'static Channel) -> Self {
        let flow = Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
        let line = match channel.kind {
            "whatsapp_cloud" => None,
            kind => Some(Line::open(&flow, kind).await),
        };
        Self { flow, channel, line }
    }

    /// The company, with the connection that this is about.
    fn tenant(&self) -> Tenant {
        let mut tenant = self.flow.tenant.clone();
        if let Some(line) = &self.line {
            tenant.connection_id = line.id.parse().unwrap();
        }
        tenant
    }

    async fn tell(&self, cast: &Cast, told: &[Told]) {
        let Some(line) = &self.line else {
            let changes: Vec<Value> = told.iter().map(|told| cast.change(&self.flow.tenant, told)).collect();
            let body = webhook::body(&self.flow.tenant.waba_id, &changes).to_string();
            let _taken = self.flow.deliver(&body).await.expect_status(200);
            return;
        };
        for told in told {
            let (about, body) = match line.kind {
                "twilio_sms" => {
                    let (about, form) = cast.form(told);
                    (about, form.into())
                }
                "evolution" => ("messages", cast.evolution(told)),
                _ => ("messages", cast.uazapi(told)),
            };
            assert_eq!(line.deliver(&self.flow, about, &body).await, 200, "{told:?}");
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

async fn holds(way: &Way, number: usize, plan: &Plan) {
    let (flow, tenant) = (&way.flow, way.tenant());
    let cast = Cast::of(number);
    let sent: BTreeMap<usize, usize> = plan
        .told
        .iter()
        .filter_map(|told| match told {
            Told::Reported { customer, number, .. } => Some((*number, *customer)),
            Told::Said { .. } => None,
        })
        .collect();
    let customers = insert_customers(&flow.admin, &tenant, &cast.recipients).await;
    let history: Vec<SentMessage> = sent
        .iter()
        .map(|(&number, &customer)| SentMessage {
            wa_id: cast.recipients[customer].clone(),
            wamid: cast.sent(number),
            at: cast.at(number),
        })
        .collect();
    insert_sent(&flow.admin, &tenant, &customers, &history).await;

    let mut rest = plan.told.as_slice();
    let mut fates = plan.fates.iter().cycle();
    for size in plan.bodies.iter().cycle() {
        let (told, others) = rest.split_at((*size).min(rest.len()));
        way.tell(&cast, told).await;
        step(flow, *fates.next().unwrap()).await;
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    flow.recover().await;

    assert_said(way, plan, &cast).await;
    assert_reported(way, plan, &cast).await;
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

/// Each message once, under the contact who wrote it and no other, in the provider's order if it tells one.
async fn assert_said(way: &Way, plan: &Plan, cast: &Cast) {
    let mut expected: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for told in &plan.told {
        if let Told::Said { customer, number } = told {
            expected.entry(&cast.writers[*customer]).or_default().insert(*number);
        }
    }
    let expected: BTreeMap<String, Vec<String>> = expected
        .into_iter()
        .map(|(wa_id, numbers)| {
            (
                canonical_from_wa_id(wa_id).unwrap(),
                numbers.into_iter().map(|number| cast.said(number)).collect(),
            )
        })
        .collect();
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT a.value,
                array_agg(m.provider_message_id
                          ORDER BY CASE WHEN $3 THEN m.occurred_at END, m.provider_message_id)
         FROM contact_addresses a JOIN messages m ON m.company_id = a.company_id AND m.contact_id = a.contact_id
         WHERE a.company_id = $1 AND a.kind = 'e164' AND m.provider_message_id LIKE $2
         GROUP BY a.contact_id, a.value",
    )
    .bind(way.flow.tenant.company_id)
    .bind(format!("wamid.in.{}.%", cast.word))
    .bind(way.channel.tells_time)
    .fetch_all(&way.flow.admin)
    .await
    .unwrap();
    assert_eq!(rows.len(), expected.len(), "a contact a customer");
    assert_eq!(rows.into_iter().collect::<BTreeMap<_, _>>(), expected);
}

/// Each sent message stands at the highest status that was reported of it, and has no error unless it failed.
async fn assert_reported(way: &Way, plan: &Plan, cast: &Cast) {
    let mut expected: BTreeMap<String, MessageStatus> = BTreeMap::new();
    for told in &plan.told {
        if let Told::Reported { number, word, .. } = told {
            let height = expected.entry(cast.sent(*number)).or_insert(MessageStatus::Sent);
            let (_, status) = *way.channel.words.iter().find(|(known, _)| known == word).unwrap();
            if height.climbs_to(status) {
                *height = status;
            }
        }
    }
    let rows: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT provider_message_id, status, error IS NOT NULL FROM messages
         WHERE company_id = $1 AND provider_message_id LIKE $2",
    )
    .bind(way.flow.tenant.company_id)
    .bind(format!("wamid.out.{}.%", cast.word))
    .fetch_all(&way.flow.admin)
    .await
    .unwrap();
    for (id, status, has_error) in &rows {
        assert!(!has_error || status == "failed", "{id} is {status}, and has an error");
    }
    let statuses: BTreeMap<_, _> = rows.into_iter().map(|(id, status, _)| (id, status)).collect();
    assert_eq!(json!(statuses), json!(expected));
}

fn every_plan_ends_the_same(channel: &'static Channel) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let way = runtime.block_on(Way::open(channel));
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let plans = Cell::new(0);
    let outcome = TestRunner::new(config).run(&plan(channel), |plan| {
        plans.set(plans.get() + 1);
        runtime.block_on(holds(&way, plans.get(), &plan));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    runtime.block_on(way.flow.end());
}

#[test]
fn every_plan_of_the_cloud_api_ends_the_same() {
    every_plan_ends_the_same(&WHATSAPP_CLOUD);
}

#[test]
fn every_plan_of_twilio_ends_the_same() {
    every_plan_ends_the_same(&TWILIO_SMS);
}

#[test]
fn every_plan_of_evolution_ends_the_same() {
    every_plan_ends_the_same(&EVOLUTION);
}

#[test]
fn every_plan_of_uazapi_ends_the_same() {
    every_plan_ends_the_same(&UAZAPI);
}
