//! A process dies between two durable steps. What it held comes again, and in the end everything is as if it had lived.

use std::time::Duration;

use axum::http::Method;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::webhook::{body, change, contact, sign, text};
use testkit::{Flow, PATIENCE, Step, TenantOptions, at_answer, new_phone, new_word, now_seconds};
use tokio::time::{Instant, sleep};

use super::customer::Customer;

/// When a consumer dies.
#[derive(Clone, Copy)]
enum Death {
    /// Whenever an answer reaches it: the first time at the first, then at the second, until it comes through.
    AtEveryAnswer,
    /// When the database shows this.
    When(fn(&Value) -> bool),
    /// When so many jobs are on a queue.
    Queued(Queue, u64),
    /// When the model has been asked.
    Asked,
    /// When the customer's message is marked as read.
    Seen,
    /// When the provider has the answer.
    Accepted,
    /// When it has done everything, which the database shows by this, and the queue has not heard of it.
    Unheard(fn(&Value) -> bool),
}

fn stored(known: &Value) -> bool {
    known["messages"][0].is_object()
}

fn closed(known: &Value) -> bool {
    known["turns"][0]["state"] == "ready"
}

fn answered(known: &Value) -> bool {
    known["messages"][1].is_object()
}

fn claimed(known: &Value) -> bool {
    known["messages"][1]["status"] == "sending"
}

fn recorded(known: &Value) -> bool {
    known["messages"][1]["at_provider"] == true
}

/// Everything before `queue` is done; its consumer dies as `death` says.
async fn die(flow: &Flow, customer: &Customer, queue: Queue, death: Death) {
    let before =
        [Queue::Inbound, Queue::Turns, Queue::AiReply].into_iter().take_while(|&other| other != queue);
    let before: Vec<Queue> = before.collect();
    let end = Instant::now() + PATIENCE;
    let mut answers = 1;
    loop {
        for &queue in &before {
            while flow.step(queue).await != Step::Nothing {}
        }
        let mut nth = at_answer(answers);
        let step = match death {
            Death::Unheard(_) => flow.step_unheard(queue).await,
            _ => {
                let dies = async || match death {
                    Death::AtEveryAnswer => nth().await,
                    Death::When(shows) => shows(&customer.stored(flow).await),
                    Death::Queued(queue, count) => flow.queued(queue).await == count,
                    Death::Asked => !flow.sandbox.get("script").await.to_string().contains(&customer.word),
                    Death::Seen => customer.is_seen(flow).await,
                    Death::Accepted => !customer.received(flow).await.is_empty(),
                    Death::Unheard(_) => false,
                };
                flow.step_unless(queue, dies).await
            }
        };
        match (death, step) {
            (Death::AtEveryAnswer, Step::Died) => answers += 1,
            (Death::AtEveryAnswer, Step::Done) => {
                assert!(answers > 3, "it came through after {answers} answers");
                return;
            }
            (Death::Unheard(shows), Step::Died) if !shows(&customer.stored(flow).await) => {}
            (_, Step::Died) => return,
            // The webhook is still on its way, or this was somebody else's.
            (_, Step::Nothing | Step::Done) => sleep(Duration::from_millis(20)).await,
        }
        assert!(Instant::now() < end, "the consumer of {queue:?} did not die");
    }
}

/// One customer after the other meets a consumer of `queue` that dies; all end as one of whom nobody died.
async fn end_as_usual(queue: Queue, deaths: &[(&str, Death)]) {
    let flow = Flow::start(TenantOptions { persona: true, ..TenantOptions::default() }).await;
    let usual = Customer::asks(&flow).await;
    usual.reads(&flow, 1).await;
    let mut customers = Vec::new();
    for (name, death) in deaths {
        let word = new_word("palavra");
        if matches!(death, Death::Asked) {
            // A rule that changes nothing, and is spent when a request has come.
            flow.sandbox.script("openai.chat", json!([{ "times": 1, "contains": word }])).await;
        }
        let customer = Customer::asks_for(&flow, word).await;
        die(&flow, &customer, queue, *death).await;
        flow.recover().await;
        assert_eq!(customer.received(&flow).await.len(), 1, "answers on the phone after it died {name}");
        customers.push((name, customer));
    }
    for (_, customer) in &customers {
        customer.reads(&flow, 1).await;
    }
    let events = flow.events().await;
    let usual = usual.known(&flow, &events).await;
    assert_eq!(usual["stored"]["messages"].as_array().unwrap().len(), 2, "{usual:#}");
    assert_eq!(usual["phone"].as_array().unwrap().len(), 1, "{usual:#}");
    for (name, customer) in customers {
        let known = customer.known(&flow, &events).await;
        assert_eq!(known, usual, "died {name}: {known:#}, usually {usual:#}");
    }
    flow.end().await;
}

#[tokio::test]
async fn the_inbound_consumer_dies() {
    let deaths = [
        ("at every answer", Death::AtEveryAnswer),
        ("after its commit", Death::When(stored)),
        ("after the turn's job is handed over", Death::Queued(Queue::Turns, 1)),
        ("unheard", Death::Unheard(stored)),
    ];
    end_as_usual(Queue::Inbound, &deaths).await;
}

#[tokio::test]
async fn the_turns_consumer_dies() {
    let deaths = [
        ("at every answer", Death::AtEveryAnswer),
        ("after its commit", Death::When(closed)),
        ("after the answer's job is handed over", Death::Queued(Queue::AiReply, 1)),
        ("unheard", Death::Unheard(closed)),
    ];
    end_as_usual(Queue::Turns, &deaths).await;
}

#[tokio::test]
async fn the_ai_reply_consumer_dies() {
    let deaths = [
        ("at every answer", Death::AtEveryAnswer),
        ("after the model was asked", Death::Asked),
        ("after its commit", Death::When(answered)),
        // The read receipt is there already.
        ("after the send is handed over", Death::Queued(Queue::Outbound, 2)),
        ("unheard", Death::Unheard(answered)),
    ];
    end_as_usual(Queue::AiReply, &deaths).await;
}

#[tokio::test]
async fn the_outbound_consumer_dies() {
    let deaths = [
        ("after the read receipt", Death::Seen),
        ("after the provider took the message", Death::Accepted),
        ("after its record", Death::When(recorded)),
        ("unheard", Death::Unheard(recorded)),
    ];
    end_as_usual(Queue::Outbound, &deaths).await;
}

#[tokio::test]
async fn a_send_that_dies_before_its_call_is_left_to_a_person() {
    let flow = Flow::start(TenantOptions { persona: true, ..TenantOptions::default() }).await;
    let usual = Customer::asks(&flow).await;
    usual.reads(&flow, 1).await;
    let customer = Customer::asks(&flow).await;
    die(&flow, &customer, Queue::Outbound, Death::When(claimed)).await;
    flow.recover().await;
    let left = &customer.stored(&flow).await["messages"][1];
    assert_eq!((&left["status"], &left["error"]["code"]), (&json!("unknown"), &json!("outcome_unknown")));
    assert!(customer.received(&flow).await.is_empty(), "never sent blindly");

    let path = format!("messages/{}/retry", left["id"].as_str().unwrap());
    let _queued = flow.api(Method::POST, &path, None).await.expect_status(202);
    customer.reads(&flow, 1).await;
    let events = flow.events().await;
    assert_eq!(customer.known(&flow, &events).await, usual.known(&flow, &events).await);
    flow.end().await;
}

#[tokio::test]
async fn a_webhook_dies_before_it_has_answered() {
    let flow = Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    // More than a request to a queue takes.
    const MESSAGES: usize = 12;
    let (wa_id, word) = (new_phone(), new_word("wamid."));
    let messages: Vec<Value> = (0..MESSAGES)
        .map(|number| text(&wa_id, &format!("{word}.{number:02}"), now_seconds(), &format!("{number}")))
        .collect();
    let change = change(&flow.tenant.phone_number_id, &[contact(&wa_id, "Ana")], &messages, &[]);
    let whole = body(&flow.tenant.waba_id, &[change]).to_string();
    let signature = sign(&flow.tenant.app_secret, whole.as_bytes());

    let died = flow
        .unless(flow.webhook(whole.clone(), Some(&signature)), async || {
            flow.queued(Queue::Inbound).await == 10
        })
        .await;
    assert!(died.is_none(), "it died between its two requests");
    // Whoever is not answered tells it again.
    let mut answers = 1;
    loop {
        let webhook = flow.webhook(whole.clone(), Some(&signature));
        let Some(answer) = flow.unless(webhook, at_answer(answers)).await else {
            answers += 1;
            // Some of it was stored before Meta comes again.
            flow.step(Queue::Inbound).await;
            continue;
        };
        assert_eq!(answer.status, 200, "{}", answer.body);
        break;
    }
    flow.recover().await;
    let stored: Vec<String> = sqlx::query_scalar(
        "SELECT provider_message_id FROM messages WHERE company_id = $1 ORDER BY occurred_at, id",
    )
    .bind(flow.tenant.company_id)
    .fetch_all(&flow.admin)
    .await
    .unwrap();
    let expected: Vec<String> = (0..MESSAGES).map(|number| format!("{word}.{number:02}")).collect();
    assert_eq!(stored, expected, "each once, in order");
    flow.end().await;
}
