//! What was received, answered and delivered, so that a test can prove "exactly once".

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Lines kept of each kind.
const KEPT: usize = 20_000;

/// Numbers of one target.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Count {
    /// Requests that arrived, also those that got no answer.
    pub(crate) received: u64,
    /// Answers by HTTP status; 0 is a connection closed on purpose.
    pub(crate) answered: BTreeMap<u16, u64>,
}

/// One request, answered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answered {
    pub(crate) at_ms: i64,
    pub(crate) target: &'static str,
    /// 0 is a connection closed on purpose.
    pub(crate) status: u16,
}

/// One attempt to deliver a webhook.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attempt {
    pub(crate) at_ms: i64,
    pub(crate) phone_number_id: String,
    /// 1 is the first.
    pub(crate) attempt: u32,
    /// What the product answered, if it did.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) duration_ms: i64,
    /// One entry an update: `message:<wamid>` or `<status>:<wamid>`.
    pub(crate) updates: Vec<String>,
}

/// The log.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Log {
    pub(crate) counts: BTreeMap<&'static str, Count>,
    pub(crate) requests: VecDeque<Answered>,
    pub(crate) deliveries: VecDeque<Attempt>,
}

impl Log {
    pub(crate) fn receive(&mut self, target: &'static str) {
        self.counts.entry(target).or_default().received += 1;
    }

    pub(crate) fn answer(&mut self, target: &'static str, status: u16) {
        let count = self.counts.entry(target).or_default();
        *count.answered.entry(status).or_default() += 1;
        let at_ms = crate::clock::now_ms();
        push(&mut self.requests, Answered { at_ms, target, status });
    }

    pub(crate) fn attempt(&mut self, attempt: Attempt) {
        let count = self.counts.entry("webhook").or_default();
        count.received += 1;
        *count.answered.entry(attempt.status.unwrap_or(0)).or_default() += 1;
        push(&mut self.deliveries, attempt);
    }
}

fn push<T>(lines: &mut VecDeque<T>, line: T) {
    lines.push_back(line);
    if lines.len() > KEPT {
        lines.pop_front();
    }
}
