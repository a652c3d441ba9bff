//! What a phone's app tells of the time before its number had an API beside it (coexistence).
//!
//! Old messages become a part of their conversations and nobody's work: they stand in a session that is over, are read, open no
//! window, ask for no answer and say nothing of who wants to be written to. A conversation that they make is closed. Each
//! changed conversation is told of once, not each message.

use std::collections::{HashMap, HashSet};

use db::TenantTx;
use db::connections::health::Altered;
use db::messages::write::{self, Completed};
use db::sessions::Past;
use domain::event::Event;
use domain::inbound::{Customer, History, InboundEvent, InboundMessage, PastFile, PastMessage};
use domain::job::Job;
use domain::message::MessageStatus;
use domain::session::StartedBy;
use domain::{CompanyScope, ConnectionId, MediaId, SessionId};

use super::messages::{self, Placed};
use super::{Arrived, identity, normalise};
use crate::error::Result;
use crate::outbox::Outgoing;
use crate::{App, connections, media};

/// Stores the old messages of a batch, and notes how much has come.
pub(super) async fn store(
    app: &App,
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, History>],
    outgoing: &mut Outgoing,
) -> Result<()> {
    if arrived.is_empty() {
        return Ok(());
    }
    store_messages(app, tx, arrived, outgoing).await?;
    let scope = CompanyScope::assert_verified(tx.company_id());
    let mut furthest: HashMap<ConnectionId, u8> = HashMap::new();
    for Arrived { connection_id, event, .. } in arrived {
        if let Some(percent) = event.percent {
            let known = furthest.entry(*connection_id).or_default();
            *known = percent.max(*known);
        }
        if let Some(fault) = &event.refused {
            connections::history_refused(app, tx, *connection_id, fault, outgoing).await?;
        }
    }
    for (connection_id, percent) in furthest {
        let news = db::connections::health::record_history(tx, connection_id, percent).await?;
        if let Some(Altered { id, version }) = news {
            outgoing.event(scope, Event::ConnectionChanged { connection_id: id, version })?;
        }
    }
    Ok(())
}

/// An old message on its way to its place.
struct Told<'a> {
    arrived: Arrived<'a, InboundMessage>,
    status: MessageStatus,
}

async fn store_messages(
    app: &App,
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, History>],
    outgoing: &mut Outgoing,
) -> Result<()> {
    let (now, scope) = (app.clock.now(), CompanyScope::assert_verified(tx.company_id()));
    let named: Vec<_> = arrived
        .iter()
        .flat_map(|part| part.event.messages.iter().map(|past| key(part.connection_id, past)))
        .collect();
    let mut known = write::list_known(tx, &named).await?;
    let mut fresh: Vec<(&Arrived<'_, History>, PastMessage)> = Vec::new();
    for part in arrived {
        for past in &part.event.messages {
            // Of one that stands there twice the first counts.
            if known.insert(key(part.connection_id, past)) {
                fresh.push((part, past.clone()));
            }
        }
    }
    if fresh.is_empty() {
        return Ok(());
    }
    let customers: Vec<_> = fresh.iter().map(|(part, past)| (&past.message.customer, part.kind)).collect();
    let contacts = identity::resolve(app, tx, &customers, outgoing).await?;
    complete_early(tx, &mut fresh).await?;
    let told: Vec<_> = fresh
        .iter()
        .map(|(part, past)| Told {
            arrived: Arrived { connection_id: part.connection_id, kind: part.kind, event: &past.message },
            status: past.status,
        })
        .collect();

    let (placed, mut activities) =
        messages::place(app, told.iter().map(|told| &told.arrived), &contacts, now);
    for activity in &mut activities {
        (activity.is_past, activity.unread, activity.last_inbound_at) = (true, 0, None);
    }
    let conversations = db::conversations::record_activity(tx, &activities, now).await?;
    let past = past_sessions(app, &placed, &activities, &conversations);
    let sessions = db::sessions::ensure_past(tx, &past, now).await?;
    let brought = placed
        .iter()
        .zip(&told)
        .map(|(placed, told)| {
            let conversation_id = conversations[placed.thread].id;
            let brought = messages::brought(placed, conversation_id, sessions[placed.thread])?;
            Ok(write::Brought { status: told.status, ..brought })
        })
        .collect::<Result<Vec<_>>>()?;
    let stored = messages::insert(tx, &brought, now).await?;
    messages::note_files(tx, scope, &placed, &stored, now, outgoing).await?;
    for active in conversations {
        let event = Event::ConversationChanged { conversation_id: active.id, version: active.version };
        outgoing.event(scope, event)?;
    }
    Ok(())
}

fn key(connection_id: ConnectionId, past: &PastMessage) -> (ConnectionId, String) {
    (connection_id, past.message.provider_message_id.clone())
}

/// The session of each thread: from the oldest to the newest of what came.
fn past_sessions(
    app: &App,
    placed: &[Placed<'_>],
    activities: &[db::conversations::Activity],
    conversations: &[db::conversations::Active],
) -> Vec<Past> {
    let mut past: Vec<_> = activities
        .iter()
        .zip(conversations)
        .map(|(activity, active)| Past {
            new_id: SessionId(app.clock.new_id()),
            conversation_id: active.id,
            contact_id: activity.contact_id,
            started_by: StartedBy::Customer,
            began_at: activity.last_message_at,
            ended_at: activity.last_message_at,
        })
        .collect();
    // Of two of the same moment the first one counts.
    for placed in placed.iter().rev() {
        let past = &mut past[placed.thread];
        if placed.occurred_at <= past.began_at {
            past.began_at = placed.occurred_at;
            past.started_by = if placed.message.echo { StartedBy::Business } else { StartedBy::Customer };
        }
    }
    past
}

/// Gives messages their files that came before them. Whoever brings a file later finds its message, for the lock makes one of
/// the two see the other.
async fn complete_early(tx: &mut TenantTx, fresh: &mut [(&Arrived<'_, History>, PastMessage)]) -> Result<()> {
    let mut awaiting: HashMap<ConnectionId, Vec<String>> = HashMap::new();
    for (part, past) in fresh.iter().filter(|(_, past)| past.awaits_file) {
        awaiting.entry(part.connection_id).or_default().push(past.message.provider_message_id.clone());
    }
    let mut awaiting: Vec<_> = awaiting.into_iter().collect();
    awaiting.sort_unstable();
    for (connection_id, ids) in awaiting {
        db::messages::delivery::lock_provider_ids(tx, connection_id, &ids).await?;
        for payload in db::journal::list_past_files(tx, connection_id, &ids).await? {
            for (part, past) in fresh.iter_mut().filter(|(part, _)| part.connection_id == connection_id) {
                let InboundEvent::PastFile(file) = normalise(part.kind, &payload) else { break };
                if past.awaits_file && past.message.provider_message_id == file.provider_message_id {
                    past.awaits_file = false;
                    past.message.message_type = file.message_type;
                    past.message.text = file.text;
                    past.message.media = Some(file.media);
                    past.message.content = file.content;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Gives old messages that are stored already their files, and has those fetched. A file that comes before its message waits in
/// the journal.
pub(super) async fn attach(
    app: &App,
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, PastFile>],
    outgoing: &mut Outgoing,
) -> Result<()> {
    if arrived.is_empty() {
        return Ok(());
    }
    let scope = CompanyScope::assert_verified(tx.company_id());
    let mut by_connection: HashMap<ConnectionId, Vec<String>> = HashMap::new();
    for Arrived { connection_id, event, .. } in arrived {
        by_connection.entry(*connection_id).or_default().push(event.provider_message_id.clone());
    }
    let mut by_connection: Vec<_> = by_connection.into_iter().collect();
    by_connection.sort_unstable();
    for (connection_id, ids) in by_connection {
        db::messages::delivery::lock_provider_ids(tx, connection_id, &ids).await?;
    }
    let ids: Vec<_> = arrived.iter().map(|_| MediaId(app.clock.new_id())).collect();
    let completed = arrived
        .iter()
        .zip(&ids)
        .map(|(Arrived { connection_id, event, .. }, &id)| {
            Ok(Completed {
                connection_id: *connection_id,
                provider_message_id: event.provider_message_id.clone(),
                message_type: event.message_type,
                text: event.text.as_deref().map(messages::clean),
                content: messages::content(&event.content),
                media: Some(media::inbound::awaited(&event.media, id)?),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut files = Vec::new();
    for message in write::complete(tx, &completed).await? {
        let is_its = |(arrived, _): &(&Arrived<'_, PastFile>, &MediaId)| {
            arrived.connection_id == message.connection_id
                && arrived.event.provider_message_id == message.provider_message_id
        };
        let Some((Arrived { connection_id, event, .. }, id)) = arrived.iter().zip(&ids).find(is_its) else {
            continue;
        };
        files.push(media::inbound::noted(scope, message.id, *connection_id, &event.media, *id));
        let write::CompleteMessage { id: message_id, conversation_id, version, .. } = message;
        outgoing.event(scope, Event::MessageMediaChanged { message_id, conversation_id, version })?;
    }
    if files.is_empty() {
        return Ok(());
    }
    db::media::insert_inbound(tx, &files, app.clock.now()).await?;
    for file in files {
        outgoing.job(scope, Job::FetchMedia { media_id: file.id })?;
    }
    Ok(())
}

/// Makes contacts of a phone's address book. A name that is known here stays: people gave it.
pub(super) async fn learn_names(
    app: &App,
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, Vec<Customer>>],
    outgoing: &mut Outgoing,
) -> Result<()> {
    let entries = arrived.iter().flat_map(|book| book.event.iter().map(|customer| (customer, book.kind)));
    let mut seen = HashSet::new();
    let customers: Vec<_> = entries.filter(|(customer, _)| seen.insert(&customer.addresses)).collect();
    if !customers.is_empty() {
        identity::resolve(app, tx, &customers, outgoing).await?;
    }
    Ok(())
}
