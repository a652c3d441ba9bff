//! Use cases: what the product does, one file a resource.
//!
//! Rooms: [`context`] what every use case is handed · [`error`] how they fail · [`outbox`] how data and the jobs that it
//! causes leave together · [`inbound`] a provider's event becomes messages and statuses · [`turns`] a customer's burst
//! is complete · [`ai_reply`] it is answered · [`outbound`] messages go out · [`webhooks`] whose webhook this is ·
//! [`realtime`] browsers see it live · [`auth`] who is calling · [`company`] who belongs to it · [`audit`] who did what ·
//! `channels` the client of a connection · `changes` the differences of two objects · [`mail`] what people are written ·
//! [`text`] what they write into fields · [`idempotency`] what they ask for twice · [`sealed`] secrets of connections ·
//! [`cleanup`] what has had its time goes · [`demo`] the company that a new
//! installation begins with.
//!
//! What the API reads and writes, and consumers with it: [`contacts`], [`tabulations`], [`lists`], [`segments`],
//! [`imports`] out of files, [`exports`] into files, [`merges`] contacts that are one person, [`disclosures`] what is
//! known of a person, for them, [`erasures`] who is forgotten · [`connections`] · [`conversations`], [`quick_replies`],
//! [`messages`], [`templates`], [`media`] files, [`sessions`] · [`boards`], [`leads`].
//!
//! Never in here: HTTP status codes, SQS, the environment, SQL. No transaction stays open across a provider's call.

pub mod ai_reply;
pub mod audit;
pub mod auth;
pub mod boards;
mod changes;
mod channels;
pub mod cleanup;
pub mod company;
pub mod connections;
pub mod contacts;
pub mod context;
pub mod conversations;
pub mod demo;
pub mod disclosures;
pub mod erasures;
pub mod error;
pub mod exports;
pub mod health;
pub mod idempotency;
pub mod imports;
pub mod inbound;
pub mod leads;
pub mod lists;
pub mod mail;
pub mod media;
pub mod merges;
pub mod messages;
pub mod outbound;
pub mod outbox;
pub mod quick_replies;
pub mod realtime;
pub mod sealed;
pub mod segments;
pub mod sessions;
pub mod tabulations;
pub mod templates;
mod text;
pub mod trace;
pub mod turns;
pub mod webhooks;

pub use context::{App, Application, Clock, Settings};
pub use error::{Error, Result};

/// A position in a keyset-paged list: what the last row is ordered by, most often a time, and its id.
pub type Position<K = chrono::DateTime<chrono::Utc>> = (K, uuid::Uuid);

/// One page of a keyset-paged list.
#[derive(Clone, Debug)]
pub struct Page<T, K = chrono::DateTime<chrono::Utc>> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Position<K>>,
}

impl<T, K> Page<T, K> {
    /// Makes a page of `limit` rows out of `limit + 1` that were read.
    pub fn cut(mut items: Vec<T>, limit: i64, position: impl Fn(&T) -> Position<K>) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(position) } else { None };
        Self { items, next }
    }
}
