//! What happens in a soak: who writes what and when, which statuses come, and in which batches.

use std::collections::BTreeMap;

use domain::message::MessageStatus;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use serde_json::Value;
use testkit::{Tenant, now_seconds, webhook};

use crate::history::SentMessage;

/// Of a hundred events so many come twice.
const DOUBLED: f64 = 0.2;

/// Events of a batch at most.
const LARGEST_BATCH: usize = 100;

/// A message that a customer writes.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) wa_id: String,
    pub(super) wamid: String,
    pub(super) at: i64,
    pub(super) text: String,
}

/// A status of a message of [`Plan::sent`].
#[derive(Clone, Debug)]
struct Reported {
    wa_id: String,
    wamid: String,
    at: i64,
    status: &'static str,
}

/// A whole soak.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) wa_ids: Vec<String>,
    pub(super) written: Vec<Written>,
    /// What the business had sent before.
    pub(super) sent: Vec<SentMessage>,
    reported: Vec<Reported>,
}

impl Plan {
    /// `messages` of `customers` customers, and three times as many statuses.
    pub(super) fn new(tenant: &Tenant, customers: usize, messages: usize) -> Self {
        let mut random = rand::rng();
        let wa_ids: Vec<String> = (0..customers).map(|number| format!("5562820{number:05}")).collect();
        let begin = now_seconds() - 86_000;
        let mut written = Vec::with_capacity(messages);
        let mut sent = Vec::with_capacity(messages);
        let mut reported = Vec::with_capacity(messages * 3);
        for number in 0..messages {
            let wa_id = wa_ids[number % customers].clone();
            // Each customer's seconds are their own: the order is the provider's, and there are no ties.
            let at = begin + i64::try_from(number / customers).unwrap();
            let text = format!("Mensagem {number} de {wa_id}");
            let wamid = format!("wamid.in.{}.{number}", tenant.slug);
            written.push(Written { wa_id: wa_id.clone(), wamid, at, text });

            let wamid = format!("wamid.out.{}.{number}", tenant.slug);
            sent.push(SentMessage { wa_id: wa_id.clone(), wamid: wamid.clone(), at });
            // Usually sent, delivered, read; now and then it fails, and some reports of other heights come besides.
            let statuses: [&'static str; 3] = match random.random_range(0..10) {
                0 => ["sent", "failed", "sent"],
                1 => ["sent", "delivered", "failed"],
                2 => ["sent", "sent", "delivered"],
                _ => ["sent", "delivered", "read"],
            };
            for (place, status) in (1..).zip(statuses) {
                reported.push(Reported {
                    wa_id: wa_id.clone(),
                    wamid: wamid.clone(),
                    at: at + place,
                    status,
                });
            }
        }
        Self { wa_ids, written, sent, reported }
    }

    /// One line about it.
    pub(super) fn describe(&self) -> String {
        let (customers, messages, statuses) = (self.wa_ids.len(), self.written.len(), self.reported.len());
        format!("{messages} messages and {statuses} statuses of {customers} customers")
    }

    /// Distinct events: a status is the same event when it names the same message and height.
    pub(super) fn events(&self) -> usize {
        let statuses: std::collections::BTreeSet<_> =
            self.reported.iter().map(|reported| (&reported.wamid, reported.status)).collect();
        self.written.len() + statuses.len()
    }

    /// The height that each sent message must have in the end.
    pub(super) fn heights(&self) -> BTreeMap<&str, MessageStatus> {
        let mut heights: BTreeMap<&str, MessageStatus> = BTreeMap::new();
        for reported in &self.reported {
            let status = match reported.status {
                "sent" => MessageStatus::Sent,
                "delivered" => MessageStatus::Delivered,
                "read" => MessageStatus::Read,
                _ => MessageStatus::Failed,
            };
            let height = heights.entry(&reported.wamid).or_insert(MessageStatus::Sent);
            if height.rank() < status.rank() {
                *height = status;
            }
        }
        heights
    }

    /// All events, shuffled, some twice, in bodies of 1 to 100.
    pub(super) fn batches(&self, tenant: &Tenant) -> Vec<String> {
        let mut random = rand::rng();
        let mut changes: Vec<Value> = Vec::new();
        for written in &self.written {
            let contact = webhook::contact(&written.wa_id, "Cliente");
            let message = webhook::text(&written.wa_id, &written.wamid, written.at, &written.text);
            changes.push(webhook::change(&tenant.phone_number_id, &[contact], &[message], &[]));
        }
        for reported in &self.reported {
            let status = webhook::status(&reported.wa_id, &reported.wamid, reported.at, reported.status);
            changes.push(webhook::change(&tenant.phone_number_id, &[], &[], &[status]));
        }
        for position in 0..changes.len() {
            if random.random_bool(DOUBLED) {
                changes.push(changes[position].clone());
            }
        }
        changes.shuffle(&mut random);
        let mut batches = Vec::new();
        let mut rest = changes.as_slice();
        while !rest.is_empty() {
            let size = random.random_range(1..=LARGEST_BATCH).min(rest.len());
            let (batch, others) = rest.split_at(size);
            batches.push(webhook::body(&tenant.waba_id, batch).to_string());
            rest = others;
        }
        batches
    }
}
