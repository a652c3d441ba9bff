//! What a phone's app tells of the time before its number had an API beside it (coexistence).
//!
//! Old messages become a part of their conversations and nobody's work: they stand in a session that is over, are read, open no
//! window, ask for no answer and say nothing of who wants to be written to. A conversation that they make is closed. Each
//! changed conversation is told of once, not each message.

use std::collections::HashMap;

use db::TenantTx;
use db::connections::health::Altered;
use db::messages::write::{self, Brought, Completed};
use db::sessions::past::Past;
use domain::connection::ConnectionKind;
use domain::event::Event;
use domain::inbound::{History, InboundEvent, PastFile, PastMessage};
use domain::session::StartedBy;
use domain::{CompanyScope, ConnectionId, MediaId, SessionId};

use super::messages::{self, Placed};
use super::{Arrived, identity, normalise, statuses};
use crate::error::Result;
use crate::outbox::Outgoing;
use crate::{App, connections, media};

/// Stores a part of the history, and notes how far it has come.
pub(super) async fn store(
    app: &App,
    tx: &mut TenantTx,
    part: &Arrived<'_, History>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let Arrived { connection_id, event, .. } = *part;
    if !event.messages.is_empty() {
        store_messages(app, tx, part, outgoing).await?;
        connections::history_comes(app, tx, connection_id, outgoing).await?;
    }
    if let Some(fault) = &event.refused {
        connections::history_refused(app, tx, connection_id, fault, outgoing).await?;
    }
    let Some(percent) = event.percent else { return Ok(()) };
    if let Some(Altered { id, version }) =
        db::connections::health::record_history(tx, connection_id, percent).await?
    {
        let scope = CompanyScope::assert_verified(tx.company_id());
        outgoing.event(scope, Event::ConnectionChanged { connection_id: id, version })?;
    }
    Ok(())
}

async fn store_messages(
    app: &App,
    tx: &mut TenantTx,
    part: &Arrived<'_, History>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let (now, scope) = (app.clock.now(), CompanyScope::assert_verified(tx.company_id()));
    let Arrived { connection_id, kind, event } = *part;
    let key = |past: &PastMessage| (connection_id, past.message.provider_message_id.clone());
    let named: Vec<_> = event.messages.iter().map(key).collect();
    let mut known = write::list_known(tx, &named).await?;
    // Of one that stands there twice the first counts.
    let mut fresh: Vec<_> = event.messages.iter().filter(|past| known.insert(key(past))).cloned().collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let customers: Vec<_> = fresh.iter().map(|past| (&past.message.customer, kind)).collect();
    let contacts = identity::resolve(app, tx, &customers, outgoing).await?;
    complete_early(tx, connection_id, kind, &mut fresh).await?;

    let arrived: Vec<_> =
        fresh.iter().map(|past| Arrived { connection_id, kind, event: &past.message }).collect();
    let (placed, mut activities) = messages::place(app, &arrived, &contacts, now);
    for activity in &mut activities {
        (activity.is_past, activity.unread, activity.last_inbound_at) = (true, 0, None);
    }
    let conversations = db::conversations::record_activity(tx, &activities, now).await?;
    let wanted = past_sessions(app, &placed, &activities, &conversations);
    let sessions = db::sessions::past::ensure(tx, &wanted, now).await?;
    let brought = placed
        .iter()
        .zip(&fresh)
        .map(|(placed, past)| {
            let conversation_id = conversations[placed.thread].id;
            let brought = messages::brought(placed, conversation_id, sessions[placed.thread])?;
            Ok(Brought { status: past.status, ..brought })
        })
        .collect::<Result<Vec<_>>>()?;
    let stored = write::insert_brought(tx, &brought, now).await?;
    // One that came by itself meanwhile is not the newest by the id that it did not get.
    let overtaken: Vec<_> = brought.iter().filter(|message| !stored.contains(&message.id)).collect();
    messages::find_newest_again(tx, &overtaken).await?;
    write::link_replies(tx, &stored).await?;
    messages::note_files(tx, scope, &placed, &stored, now, outgoing).await?;
    for active in conversations {
        let event = Event::ConversationChanged { conversation_id: active.id, version: active.version };
        outgoing.event(scope, event)?;
    }
    Ok(())
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
async fn complete_early(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    kind: ConnectionKind,
    fresh: &mut [PastMessage],
) -> Result<()> {
    let awaiting: Vec<_> = fresh
        .iter()
        .filter(|past| past.awaits_file)
        .map(|past| past.message.provider_message_id.clone())
        .collect();
    if awaiting.is_empty() {
        return Ok(());
    }
    db::messages::delivery::lock_provider_ids(tx, connection_id, &awaiting).await?;
    let payloads = db::journal::list_past_files(tx, connection_id, &awaiting).await?;
    let mut files: HashMap<_, _> = payloads
        .iter()
        .filter_map(|payload| match normalise(kind, payload) {
            InboundEvent::PastFile(file) => Some((file.provider_message_id.clone(), file)),
            _ => None,
        })
        .collect();
    for PastMessage { message, .. } in fresh.iter_mut().filter(|past| past.awaits_file) {
        if let Some(file) = files.remove(&message.provider_message_id) {
            message.message_type = file.message_type;
            message.text = file.text;
            message.media = Some(file.media);
            message.content = file.content;
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
    let named = arrived.iter().map(|file| (file.connection_id, file.event.provider_message_id.as_str()));
    statuses::lock(tx, named).await?;
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
    messages::fetch(tx, scope, &files, app.clock.now(), outgoing).await
}
