//! A provider's events become messages and statuses, each once, in one transaction with the jobs that they cause.
//!
//! Rooms: here the journal and the order of work · [`identity`] which contact an address is · [`messages`] messages,
//! conversations, sessions, turns · [`opt_outs`] who wants no more of them · [`statuses`] delivery reports ·
//! [`templates`] what became of templates · [`accounts`] what stands in the way of connections · [`history`] what a phone's
//! app knows from before.

mod accounts;
mod history;
mod identity;
mod messages;
mod opt_outs;
mod statuses;
mod templates;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cloud::overflow::OverflowError;
use db::journal::Entry;
use domain::connection::ConnectionKind;
use domain::inbound::{History, InboundEvent};
use domain::job::InboundEnvelope;
use domain::{CompanyScope, ConnectionId};

use crate::connections::health;
use crate::error::{Error, Result, internal};
use crate::outbox::{self, Outgoing};
use crate::{App, connections};

pub(crate) use identity::learn;
pub(crate) use opt_outs::write_down_refused;
pub(crate) use statuses::{changed_event, replay_for};

/// One event with the connection that it came in by.
struct Arrived<'a, T> {
    connection_id: ConnectionId,
    /// What the connection is to: the provider whose words these are, and the channel of their conversation.
    kind: ConnectionKind,
    event: &'a T,
}

/// Stores a batch of one company's events. An event that is known changes nothing.
///
/// What a phone's app shares is stored part by part, each in a transaction of its own behind the others: a part is work for
/// many, and customers who write now do not wait for it, nor does a part for another one that cannot be stored.
///
/// # Errors
/// `Poison` when one of the events can never be stored (the caller narrows down which), else retryable errors. What is
/// stored by then stays.
pub async fn receive(app: &App, scope: CompanyScope, events: &[InboundEnvelope]) -> Result<()> {
    let payloads = load_payloads(app, events).await?;
    let mut live = Vec::with_capacity(events.len());
    let mut shared = Vec::new();
    for (event, payload) in events.iter().zip(payloads) {
        let parsed = match &event.kept_raw {
            Some(reason) => InboundEvent::Notice { field: "unknown".to_owned(), reason: reason.clone() },
            None => match event.provider.parse() {
                Ok(kind) => normalise(kind, &payload),
                Err(_) => unknown_provider(&event.provider),
            },
        };
        let told = Told {
            entry: entry(event, payload, &parsed)?,
            // What an unknown provider says is a notice, whatever this says.
            kind: event.provider.parse().unwrap_or(ConnectionKind::WhatsappCloud),
            parsed,
        };
        match told.parsed {
            InboundEvent::History(_) | InboundEvent::AddressBook { .. } => shared.push(told),
            _ => live.push(told),
        }
    }
    store(app, scope, live).await?;
    for part in shared {
        store(app, scope, vec![part]).await?;
    }
    Ok(())
}

/// An event, as the journal keeps it and as it is understood.
struct Told {
    entry: Entry,
    kind: ConnectionKind,
    parsed: InboundEvent,
}

/// Stores events in one transaction: all of them or nothing.
async fn store(app: &App, scope: CompanyScope, told: Vec<Told>) -> Result<()> {
    let (entries, told): (Vec<_>, Vec<_>) =
        told.into_iter().map(|Told { entry, kind, parsed }| (entry, (kind, parsed))).unzip();
    let mut tx = app.db().await?.begin(scope).await?;
    let fresh = db::journal::insert_new(&mut tx, &entries).await?;
    if fresh.is_empty() {
        return Ok(());
    }
    let mut outgoing = Outgoing::default();
    let mut arrived_messages = Vec::new();
    let mut arrived_statuses = Vec::new();
    let mut arrived_templates = Vec::new();
    let mut arrived_accounts = Vec::new();
    let mut arrived_files = Vec::new();
    let mut told_of_connections = BTreeMap::new();
    for position in fresh {
        let connection_id = entries[position].connection_id;
        let (kind, parsed) = &told[position];
        let kind = *kind;
        match parsed {
            InboundEvent::Message(event) => {
                arrived_messages.push(Arrived { connection_id, kind, event: &**event });
            }
            InboundEvent::Status(event) => {
                arrived_statuses.push(Arrived { connection_id, kind, event: &**event });
            }
            InboundEvent::AddressChange(change) => {
                // What came before it belongs to the old address, and may be what makes the contact.
                let before = std::mem::take(&mut arrived_messages);
                messages::store(app, &mut tx, &before, &mut outgoing).await?;
                identity::learn_change(&mut tx, connection_id, change, app.clock.now()).await?;
            }
            InboundEvent::MarketingPreference(preference) => {
                opt_outs::write_down_preference(app, &mut tx, kind, preference, &mut outgoing).await?;
            }
            InboundEvent::History(event) => {
                history::store(app, &mut tx, &Arrived { connection_id, kind, event }, &mut outgoing).await?;
            }
            InboundEvent::PastFile(event) => {
                arrived_files.push(Arrived { connection_id, kind, event: &**event });
            }
            InboundEvent::AddressBook { customers, .. } => {
                let customers: Vec<_> = customers.iter().map(|customer| (customer, kind)).collect();
                // A name that is known here stays: people gave it.
                identity::resolve(app, &mut tx, &customers, &mut outgoing).await?;
            }
            InboundEvent::Connection(update) => {
                let at = entries[position].received_at;
                connections::note(&mut tx, connection_id, update, at, &mut outgoing).await?;
            }
            InboundEvent::Template(event) => arrived_templates.push(Arrived { connection_id, kind, event }),
            InboundEvent::Account(event) => arrived_accounts.push(Arrived { connection_id, kind, event }),
            InboundEvent::Refusal(finding) => {
                let told = health::Told { finding: finding.clone(), at: entries[position].received_at };
                told_of_connections.insert((connection_id, finding.obstacle), told);
            }
            InboundEvent::Notice { field, reason } => {
                tracing::info!(
                    event.field = field,
                    event.reason = reason,
                    "provider event kept in the journal"
                );
            }
        }
    }
    messages::store(app, &mut tx, &arrived_messages, &mut outgoing).await?;
    history::attach(app, &mut tx, &arrived_files, &mut outgoing).await?;
    let came_through = statuses::apply(&mut tx, &arrived_statuses, &mut outgoing).await?;
    opt_outs::write_down_told(app, &mut tx, &arrived_statuses, &mut outgoing).await?;
    told_of_connections.extend(statuses::told_of_connections(&arrived_statuses));
    health::reported(&mut tx, &told_of_connections, &came_through, app.clock.now(), &mut outgoing).await?;
    templates::apply(&mut tx, &arrived_templates, app.clock.now(), &mut outgoing).await?;
    accounts::apply(&mut tx, &arrived_accounts, app.clock.now(), &mut outgoing).await?;
    outbox::commit(app, tx, outgoing).await
}

async fn load_payloads(app: &App, events: &[InboundEnvelope]) -> Result<Vec<String>> {
    let mut payloads = Vec::with_capacity(events.len());
    for event in events {
        payloads.push(match (&event.payload, &event.overflow_key) {
            (Some(payload), _) => payload.get().to_owned(),
            (None, Some(key)) => {
                let bytes = match app.overflow.get(&app.settings.overflow_bucket, key).await {
                    Ok(bytes) => bytes,
                    // It had its time: nothing brings it back, and what stands behind it shall not wait.
                    Err(error @ OverflowError::NotFound) => return Err(Error::Poison(error.into())),
                    Err(error) => return Err(internal(error)),
                };
                String::from_utf8(bytes.to_vec()).map_err(|error| Error::Poison(error.into()))?
            }
            (None, None) => return Err(Error::Malformed("an inbound event without a payload".to_owned())),
        });
    }
    Ok(payloads)
}

/// Reads a payload in the words of the provider that sent it.
pub(crate) fn normalise(kind: ConnectionKind, payload: &str) -> InboundEvent {
    match kind {
        ConnectionKind::WhatsappCloud => providers::whatsapp_cloud::normalise::normalise(payload),
        ConnectionKind::Evolution => providers::evolution::normalise::normalise(payload),
        ConnectionKind::Uazapi => providers::uazapi::normalise::normalise(payload),
        ConnectionKind::TwilioSms => providers::twilio::normalise::normalise(payload),
        ConnectionKind::WhatsappWeb | ConnectionKind::Retell => unknown_provider(kind.as_str()),
    }
}

fn unknown_provider(name: &str) -> InboundEvent {
    InboundEvent::Notice { field: "unknown".to_owned(), reason: format!("unknown_provider: {name}") }
}

fn entry(event: &InboundEnvelope, payload: String, parsed: &InboundEvent) -> Result<Entry> {
    let (kind, reason) = match parsed {
        InboundEvent::Message(_) => ("message", None),
        InboundEvent::Status(_) => ("status", None),
        InboundEvent::AddressChange(_) => ("address_change", None),
        InboundEvent::MarketingPreference(_) => ("marketing_preference", None),
        InboundEvent::History(History { left_out, .. }) => ("history", left_out_of(*left_out)),
        InboundEvent::PastFile(_) => ("past_file", None),
        InboundEvent::AddressBook { left_out, .. } => ("address_book", left_out_of(*left_out)),
        InboundEvent::Connection(_) => ("connection", None),
        InboundEvent::Template(_) => ("template", None),
        InboundEvent::Account(_) => ("account", None),
        InboundEvent::Refusal(_) => ("refusal", None),
        InboundEvent::Notice { field, reason } => ("notice", Some(format!("{field}: {reason}"))),
    };
    // What a phone's app shares is of many customers, and all of it is stored: nobody's words shall stand here once they are
    // erased there. Only a part of which something cannot be read is kept.
    let is_shared = matches!(parsed, InboundEvent::History(_) | InboundEvent::AddressBook { .. });
    let payload = if is_shared && reason.is_none() { "{}".to_owned() } else { payload };
    let received_at = DateTime::<Utc>::from_timestamp_millis(event.received_at_ms)
        .ok_or_else(|| Error::Malformed("received_at_ms is out of range".to_owned()))?;
    Ok(Entry {
        connection_id: event.connection_id,
        key: event.key.clone(),
        about: match parsed {
            InboundEvent::Status(update) => Some(update.provider_message_id.clone()),
            InboundEvent::PastFile(file) => Some(file.provider_message_id.clone()),
            InboundEvent::Message(_)
            | InboundEvent::AddressChange(_)
            | InboundEvent::MarketingPreference(_)
            | InboundEvent::History(_)
            | InboundEvent::AddressBook { .. }
            | InboundEvent::Connection(_)
            | InboundEvent::Template(_)
            | InboundEvent::Account(_)
            | InboundEvent::Refusal(_)
            | InboundEvent::Notice { .. } => None,
        },
        kind,
        reason,
        payload,
        received_at,
    })
}

fn left_out_of(count: usize) -> Option<String> {
    (count > 0).then(|| format!("unparseable: {count} left out"))
}
