//! Batched sends: which entries travel together, in what order, and what is tried again.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use rand::Rng;

use crate::error::AwsError;

/// Chunks in flight at once. More brings nothing from one function: the queue's own latency dominates.
const CONCURRENCY: usize = 4;
/// How often an entry is sent before its failure stands. The SDK's own retries of whole requests come on top.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How many unfilled chunks are looked at for room, so that planning stays linear.
const OPEN_CHUNKS: usize = 8;

/// What planning needs to know of an entry.
pub(crate) struct Entry<'a> {
    /// Entries of one group keep their order.
    pub(crate) group: Option<&'a str>,
    /// What it weighs on the wire.
    pub(crate) bytes: usize,
}

/// A service's limits on one request.
pub(crate) struct Limits {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// Why one entry did not arrive.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Its request failed as a whole.
    Request(AwsError),
    /// The service answered for this entry alone.
    Entry(EntryFault),
    /// An earlier entry of its group did not arrive, and may later.
    Behind,
}

/// A service's answer about one entry.
#[derive(Clone, Debug)]
pub(crate) struct EntryFault {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Sending the same again would fail again.
    pub(crate) permanent: bool,
}

/// Indices of entries that travel in one request.
type Chunk = Vec<usize>;
/// Chunks that must be sent one after the other. No group is in two lanes.
type Lane = Vec<Chunk>;

/// Packs entries into few requests. A group stays within one chunk if it fits into one, and within one lane always.
pub(crate) fn plan(entries: &[Entry<'_>], limits: &Limits) -> Vec<Lane> {
    let mut planner = Planner { lanes: Vec::new(), open: Vec::new() };
    for members in groups(entries) {
        let weight = members.iter().map(|&index| entries[index].bytes).sum::<usize>();
        if members.len() > limits.entries || weight > limits.bytes {
            planner.add_lane(split(&members, entries, limits), entries);
        } else {
            planner.place(members, weight, limits);
        }
    }
    for chunk in planner.lanes.iter_mut().flatten() {
        chunk.sort_unstable();
    }
    planner.lanes
}

/// Entries by group, groups in the order of their first entry; an entry without a group is its own.
fn groups(entries: &[Entry<'_>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::with_capacity(entries.len());
    let mut known = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let Some(group) = entry.group else {
            groups.push(vec![index]);
            continue;
        };
        let position = *known.entry(group).or_insert(groups.len());
        match groups.get_mut(position) {
            Some(members) => members.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// Cuts a group that is too large for one request. An entry over the limit gets a chunk of its own, to be refused.
fn split(members: &[usize], entries: &[Entry<'_>], limits: &Limits) -> Lane {
    let mut lane: Lane = vec![Vec::new()];
    let mut weight = 0;
    for &index in members {
        let bytes = entries[index].bytes;
        let full = lane.last().is_some_and(|chunk| {
            !chunk.is_empty() && (chunk.len() == limits.entries || weight + bytes > limits.bytes)
        });
        if full {
            lane.push(Vec::new());
            weight = 0;
        }
        if let Some(chunk) = lane.last_mut() {
            chunk.push(index);
        }
        weight += bytes;
    }
    lane
}

/// A chunk that may take more: the last one of `lane`.
struct Open {
    lane: usize,
    weight: usize,
}

struct Planner {
    lanes: Vec<Lane>,
    open: Vec<Open>,
}

impl Planner {
    fn place(&mut self, members: Chunk, weight: usize, limits: &Limits) {
        for open in &mut self.open {
            let Some(chunk) = self.lanes[open.lane].last_mut() else { continue };
            if chunk.len() + members.len() <= limits.entries && open.weight + weight <= limits.bytes {
                chunk.extend(members);
                open.weight += weight;
                return;
            }
        }
        self.push(vec![members], weight);
    }

    fn add_lane(&mut self, lane: Lane, entries: &[Entry<'_>]) {
        let weight = lane.last().map_or(0, |chunk| chunk.iter().map(|&index| entries[index].bytes).sum());
        self.push(lane, weight);
    }

    fn push(&mut self, lane: Lane, weight: usize) {
        if self.open.len() == OPEN_CHUNKS {
            self.open.remove(0);
        }
        self.open.push(Open { lane: self.lanes.len(), weight });
        self.lanes.push(lane);
    }
}

/// Sends every lane, several at a time, and tells for each entry what became of it.
///
/// `send` gets the indices of one request and answers for each of them, in the same order. Within a lane a chunk
/// leaves when the one before it is settled. Once a request failed as a whole, nothing more is tried: what the SDK's
/// retries could not get through, the next request will not either.
pub(crate) async fn deliver<Send, Answer>(
    entries: &[Entry<'_>],
    lanes: Vec<Lane>,
    send: Send,
) -> Vec<Result<(), Failure>>
where
    Send: Fn(Vec<usize>) -> Answer,
    Answer: Future<Output = Result<Vec<Result<(), EntryFault>>, AwsError>>,
{
    let delivery = Delivery { entries, send, outage: OnceLock::new() };
    // Every entry is in exactly one chunk; the value here is never seen.
    let mut outcomes = vec![Err(Failure::Behind); entries.len()];
    let mut settled =
        stream::iter(lanes.into_iter().map(|lane| delivery.run(lane))).buffer_unordered(CONCURRENCY);
    while let Some(lane) = settled.next().await {
        for (index, outcome) in lane {
            outcomes[index] = outcome;
        }
    }
    outcomes
}

type Outcomes = Vec<(usize, Result<(), Failure>)>;

struct Delivery<'a, Send> {
    entries: &'a [Entry<'a>],
    send: Send,
    outage: OnceLock<AwsError>,
}

impl<'a, Send, Answer> Delivery<'a, Send>
where
    Send: Fn(Vec<usize>) -> Answer,
    Answer: Future<Output = Result<Vec<Result<(), EntryFault>>, AwsError>>,
{
    async fn run(&self, lane: Lane) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let mut held: HashSet<&str> = HashSet::new();
        for chunk in lane {
            let (behind, ready): (Chunk, Chunk) = chunk
                .into_iter()
                .partition(|&index| self.group(index).is_some_and(|group| held.contains(group)));
            outcomes.extend(behind.into_iter().map(|index| (index, Err(Failure::Behind))));
            let settled = self.chunk(ready).await;
            // A refusal for good must not hold the rest of its group for ever.
            let late = settled.iter().filter(|(_, outcome)| outcome.as_ref().is_err_and(may_arrive_later));
            held.extend(late.filter_map(|(index, _)| self.group(*index)));
            outcomes.extend(settled);
        }
        outcomes
    }

    fn group(&self, index: usize) -> Option<&'a str> {
        self.entries[index].group
    }

    async fn chunk(&self, mut pending: Chunk) -> Outcomes {
        let mut outcomes = Outcomes::with_capacity(pending.len());
        let mut attempt = 1;
        while !pending.is_empty() {
            let answers = match self.request(&pending).await {
                Ok(answers) => answers,
                Err(error) if pending.len() > 1 && error.blames_content() => {
                    outcomes.extend(self.one_by_one(pending).await);
                    return outcomes;
                }
                Err(error) => {
                    outcomes.extend(pending.into_iter().map(|i| (i, Err(Failure::Request(error.clone())))));
                    return outcomes;
                }
            };
            let mut again = Chunk::new();
            for (index, answer) in pending.into_iter().zip(answers) {
                match answer {
                    Err(fault) if !fault.permanent && attempt < ATTEMPTS => again.push(index),
                    answer => outcomes.push((index, answer.map_err(Failure::Entry))),
                }
            }
            if !again.is_empty() {
                tokio::time::sleep(pause(attempt)).await;
            }
            pending = again;
            attempt += 1;
        }
        outcomes
    }

    /// Some services refuse ten entries for the sake of one; this finds the one.
    async fn one_by_one(&self, pending: Chunk) -> Outcomes {
        let mut outcomes = Outcomes::with_capacity(pending.len());
        for index in pending {
            outcomes.extend(Box::pin(self.chunk(vec![index])).await);
        }
        outcomes
    }

    async fn request(&self, indices: &[usize]) -> Result<Vec<Result<(), EntryFault>>, AwsError> {
        if let Some(error) = self.outage.get() {
            return Err(error.clone());
        }
        let answer = (self.send)(indices.to_vec()).await;
        if let Err(error) = &answer
            && !error.blames_content()
        {
            self.outage.get_or_init(|| error.clone());
        }
        answer
    }
}

fn may_arrive_later(failure: &Failure) -> bool {
    match failure {
        Failure::Request(error) => !error.blames_content(),
        Failure::Entry(fault) => !fault.permanent,
        Failure::Behind => true,
    }
}

/// 50, 100, 200 ms, each up to half as long again, so that functions that failed together do not retry together.
fn pause(attempt: u32) -> Duration {
    let base = FIRST_PAUSE * 2_u32.saturating_pow(attempt - 1);
    base.mul_f64(rand::rng().random_range(1.0..1.5))
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
