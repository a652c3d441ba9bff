//! What is told to the product: built, signed, delivered until it is taken.
//!
//! Updates of one customer keep their order on their first attempt, each customer having a lane
//! of their own; a retried body no longer holds up those behind it, as with Meta.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use serde::Serialize;
use serde_json::json;

use crate::Line;
use crate::clock;
use crate::script::{DropAt, Rule, Target};
use crate::world::messages::{Stage, Writer};
use crate::world::settings::WebhookSettings;
use crate::world::{Sandbox, log::Attempt};

pub(crate) mod payload;
pub(crate) mod sign;

use payload::Update;

/// Updates that may wait at once, first attempts and retries together.
const KEPT: usize = 50_000;

/// Webhooks that wait.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    lanes: HashMap<String, VecDeque<Update>>,
    /// What the page and the health check show.
    pub(crate) state: OutboundState,
}

/// How delivery is going.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct OutboundState {
    /// Updates not yet taken by the product.
    pub(crate) waiting: usize,
    /// Updates given up because too many waited.
    pub(crate) lost: usize,
    /// Why the last attempt was not taken; nothing when it was.
    pub(crate) last_error: Option<String>,
}

/// A body ready to be posted, always the same bytes however often it is tried.
#[derive(Debug, Clone)]
struct Parcel {
    generation: u64,
    line: String,
    body: Arc<str>,
    updates: Arc<[Update]>,
}

/// Puts an update in line. It is lost only when [`KEPT`] others wait already.
pub(crate) fn enqueue(sandbox: &Arc<Sandbox>, update: Update) {
    let mut guard = sandbox.world();
    let world = &mut *guard;
    if world.outbound.state.waiting >= KEPT {
        world.outbound.state.lost += 1;
        tracing::warn!("too many webhooks wait, one is lost");
        return;
    }
    world.outbound.state.waiting += 1;
    let habits = &world.settings.webhook;
    let lane = if habits.shuffle || habits.batch_size > 1 {
        update.line.clone()
    } else {
        format!("{} {}", update.line, update.wa_id)
    };
    let generation = world.generation;
    if let Some(waiting) = world.outbound.lanes.get_mut(&lane) {
        waiting.push_back(update);
        return;
    }
    world.outbound.lanes.insert(lane.clone(), VecDeque::from([update]));
    drop(guard);
    tokio::spawn(drive(sandbox.clone(), lane, generation));
}

/// Works a lane off, then closes it.
async fn drive(sandbox: Arc<Sandbox>, lane: String, generation: u64) {
    loop {
        let Some(habits) = gate(&sandbox, generation).await else {
            return;
        };
        let gathers = habits.shuffle || habits.batch_size > 1;
        let wait = habits.delay_ms + if gathers { habits.gather_ms } else { 0 };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let batches = take(&sandbox, &lane, generation, &habits);
        if batches.is_empty() {
            return;
        }
        for batch in batches {
            if let Some(parcel) = pack(&sandbox, generation, batch, &habits) {
                first_attempt(&sandbox, parcel).await;
            }
        }
    }
}

/// Waits while delivery is paused. Nothing after a reset.
async fn gate(sandbox: &Sandbox, generation: u64) -> Option<WebhookSettings> {
    loop {
        {
            let world = sandbox.world();
            if world.generation != generation {
                return None;
            }
            if !world.settings.webhook.paused {
                return Some(world.settings.webhook.clone());
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Everything in the lane, in batches of one line each. An empty lane is closed.
fn take(sandbox: &Sandbox, lane: &str, generation: u64, habits: &WebhookSettings) -> Vec<Vec<Update>> {
    let mut world = sandbox.world();
    if world.generation != generation {
        return Vec::new();
    }
    let lanes = &mut world.outbound.lanes;
    let mut updates: Vec<Update> =
        lanes.get_mut(lane).map(|waiting| waiting.drain(..).collect()).unwrap_or_default();
    if updates.is_empty() {
        lanes.remove(lane);
    }
    if habits.shuffle {
        updates.shuffle(&mut rand::rng());
    }
    updates.chunks(habits.batch_size.clamp(1, 1000)).map(<[Update]>::to_vec).collect()
}

fn pack(
    sandbox: &Sandbox,
    generation: u64,
    updates: Vec<Update>,
    habits: &WebhookSettings,
) -> Option<Parcel> {
    let mut world = sandbox.world();
    let line = updates.first().map(|update| update.line.clone())?;
    let Some(found) = world.lines.get(&line) else {
        world.outbound.state.waiting -= updates.len();
        return None;
    };
    let json = payload::envelope(found, &updates).to_string();
    Some(Parcel {
        generation,
        line,
        body: sign::escape(&json, habits.escape_slashes).into(),
        updates: updates.into(),
    })
}

async fn first_attempt(sandbox: &Arc<Sandbox>, parcel: Parcel) {
    if attempt(sandbox, &parcel, 1).await {
        taken(sandbox, &parcel);
    } else {
        tokio::spawn(retry(sandbox.clone(), parcel));
    }
}

async fn retry(sandbox: Arc<Sandbox>, parcel: Parcel) {
    for tries in 2_u32.. {
        let Some(habits) = gate(&sandbox, parcel.generation).await else {
            return;
        };
        let doubled = habits.retry_first_ms.saturating_mul(1 << (tries - 2).min(20));
        tokio::time::sleep(Duration::from_millis(doubled.min(habits.retry_max_ms))).await;
        if gate(&sandbox, parcel.generation).await.is_none() {
            return;
        }
        if attempt(&sandbox, &parcel, tries).await {
            taken(&sandbox, &parcel);
            return;
        }
    }
}

/// Posts once; says whether the product took it. The scripted faults of `webhook` happen here.
async fn attempt(sandbox: &Arc<Sandbox>, parcel: &Parcel, tries: u32) -> bool {
    let (line, rule) = {
        let mut world = sandbox.world();
        let rule = world.script.take(Target::Webhook, parcel.body.as_bytes());
        (world.lines.get(&parcel.line).cloned(), rule)
    };
    let started = clock::now_ms();
    let outcome = match line {
        Some(line) => post_under(sandbox, &line, &parcel.body, &rule.unwrap_or_default()).await,
        None => Err("the line was removed".to_owned()),
    };
    let accepted = outcome == Ok(200);
    let mut world = sandbox.world();
    if world.generation != parcel.generation {
        return false;
    }
    let error = match &outcome {
        Ok(200) => None,
        Ok(status) => Some(format!("HTTP {status}")),
        Err(error) => Some(error.clone()),
    };
    world.log.attempt(Attempt {
        at_ms: started,
        phone_number_id: parcel.line.clone(),
        attempt: tries,
        status: outcome.as_ref().ok().copied(),
        error: outcome.err(),
        duration_ms: clock::now_ms() - started,
        updates: parcel.updates.iter().map(Update::label).collect(),
    });
    let changed = world.outbound.state.last_error != error;
    world.outbound.state.last_error = error;
    let state = world.outbound.state.clone();
    drop(world);
    if changed {
        sandbox.tell(json!({ "kind": "delivery", "delivery": state }));
    }
    accepted
}

async fn post_under(sandbox: &Sandbox, line: &Line, body: &str, rule: &Rule) -> Result<u16, String> {
    if rule.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(rule.latency_ms)).await;
    }
    if rule.drop == Some(DropAt::Before) {
        return Err("the connection was lost on the way (scripted)".into());
    }
    let answer = post(sandbox, line, body, &signed(line, body)).await?;
    match (rule.drop, rule.status) {
        (Some(DropAt::After), _) => Err("the answer was lost on the way (scripted)".into()),
        (_, Some(status)) => Ok(status),
        _ => Ok(answer.status),
    }
}

/// What the product said to a body.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) duration_ms: i64,
}

/// The header that goes with a body.
pub(crate) fn signed(line: &Line, body: &str) -> BTreeMap<&'static str, String> {
    let signature = sign::signature(&line.app_secret, body.as_bytes());
    BTreeMap::from([("x-hub-signature-256", signature)])
}

/// Posts a body once, with these headers.
pub(crate) async fn post(
    sandbox: &Sandbox,
    line: &Line,
    body: &str,
    headers: &BTreeMap<&'static str, String>,
) -> Result<Answer, String> {
    let address = line.webhook_url.as_deref().ok_or("no webhook address is subscribed")?;
    let _permit = sandbox.deliveries.acquire().await.map_err(|error| error.to_string())?;
    let mut request =
        sandbox.http.post(address).header("content-type", "application/json").body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let started = clock::now_ms();
    let response = request.send().await.map_err(|error| describe(&error))?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|error| describe(&error))?;
    Ok(Answer { status, body, duration_ms: clock::now_ms() - started })
}

fn describe(error: &reqwest::Error) -> String {
    let mut described = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        described = format!("{described}: {inner}");
        cause = inner.source();
    }
    described
}

/// Notes that the product has these updates now, and sometimes tells it again.
fn taken(sandbox: &Arc<Sandbox>, parcel: &Parcel) {
    let mut guard = sandbox.world();
    let world = &mut *guard;
    if world.generation != parcel.generation {
        return;
    }
    world.outbound.state.waiting = world.outbound.state.waiting.saturating_sub(parcel.updates.len());
    let mut changed = Vec::new();
    for update in &*parcel.updates {
        if let Some(message) = world.messages.get_mut(&update.message_id)
            && message.writer == Writer::Customer
            && message.stage == Stage::Accepted
        {
            message.stage = Stage::Sent;
            changed.push(message.clone());
        }
    }
    let again = rand::random_range(0..100) < u32::from(world.settings.webhook.duplicate_percent);
    drop(guard);
    for message in changed {
        sandbox.tell(json!({ "kind": "message", "message": message }));
    }
    if again {
        let (sandbox, parcel) = (sandbox.clone(), parcel.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(rand::random_range(20..400))).await;
            attempt(&sandbox, &parcel, 1).await;
        });
    }
}
