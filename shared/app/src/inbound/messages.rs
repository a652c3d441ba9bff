//! Messages that a provider brought: conversation, session, message and turn, for a whole batch at once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use db::TenantTx;
use db::conversations::Activity;
use db::media::InboundMedia;
use db::messages::write::{Brought, Completed};
use db::sessions::{OpenSession, Wanted};
use db::turns::Burst;
use domain::event::Event;
use domain::inbound::{Address, InboundMessage, Keyword};
use domain::job::Job;
use domain::message::{Author, Direction, MessageStatus, MessageType};
use domain::session::{SessionStatus, StartedBy, ai_silent_because};
use domain::turn::due_at;
use domain::{CompanyScope, ConnectionId, ConversationId, MediaId, MessageId, SessionId, TurnId};
use serde_json::Value;

use super::identity::{self, Whose};
use super::{Arrived, opt_outs};
use crate::error::{Result, internal};
use crate::outbox::Outgoing;
use crate::{App, media};

/// A message on its way to its place.
pub(super) struct Placed<'a> {
    id: MessageId,
    media_id: MediaId,
    connection_id: ConnectionId,
    whose: Whose,
    /// Which of the batch's threads.
    pub(super) thread: usize,
    /// Its place in the conversation.
    pub(super) occurred_at: DateTime<Utc>,
    /// What was written.
    pub(super) message: &'a InboundMessage,
}

/// Stores the messages of a batch and what they cause.
pub(super) async fn store(
    app: &App,
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, InboundMessage>],
    outgoing: &mut Outgoing,
) -> Result<()> {
    if arrived.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let scope = CompanyScope::assert_verified(tx.company_id());
    let customers: Vec<_> = arrived.iter().map(|arrived| (&arrived.event.customer, arrived.kind)).collect();
    let contacts = identity::resolve(app, tx, &customers, outgoing).await?;

    let (mut placed, activities) = place(app, arrived, &contacts, now);
    let active = db::conversations::record_activity(tx, &activities, now).await?;
    let conversations: Vec<_> = active.into_iter().map(|active| active.id).collect();
    let wanted = wanted_sessions(app, &activities, &conversations);
    let sessions: HashMap<_, _> = db::sessions::ensure_open(tx, &wanted, true, now)
        .await?
        .into_iter()
        .map(|session| (session.conversation_id, session))
        .collect();
    for wanted in &wanted {
        if sessions.get(&wanted.conversation_id).is_some_and(|session| session.id == wanted.new_id) {
            let (session_id, conversation_id) = (wanted.new_id, wanted.conversation_id);
            outgoing.event(scope, Event::SessionChanged { session_id, conversation_id })?;
        }
    }

    let mut brought = placed
        .iter()
        .map(|placed| {
            let conversation_id = conversations[placed.thread];
            let session = sessions.get(&conversation_id).ok_or_else(|| {
                internal(anyhow::anyhow!("conversation {conversation_id} has no open session"))
            })?;
            brought(placed, conversation_id, session.id)
        })
        .collect::<Result<Vec<_>>>()?;
    let Outcome { fresh, with_files } = insert(tx, &mut placed, &mut brought, now).await?;
    for message in brought.iter().filter(|message| fresh.contains(&message.id)) {
        outgoing.event(
            scope,
            Event::MessageCreated {
                message_id: message.id,
                conversation_id: message.conversation_id,
                session_id: Some(message.session_id),
                direction: message.direction,
            },
        )?;
    }
    let own = brought.iter().zip(&placed).filter(|(_, placed)| placed.message.group_id.is_none());
    let own = own.filter(|(message, _)| fresh.contains(&message.id));
    let said = own.map(|(message, placed)| (message, placed.message.keyword));
    let done = opt_outs::write_down(app, tx, said, outgoing).await?;
    note_files(tx, scope, &placed, &with_files, now, outgoing).await?;
    placed.retain(|placed| !done.contains(&placed.id));
    open_turns(app, tx, &placed, &conversations, &sessions, outgoing).await
}

/// What became of messages that were to be stored.
struct Outcome {
    /// Who is new to everybody: also those of which a phone's history told before, and nobody heard.
    fresh: Vec<MessageId>,
    /// Those of them whose files are not known.
    with_files: Vec<MessageId>,
}

/// Stores messages. One that was known as an old one comes out of its past, by the id that it has there.
async fn insert(
    tx: &mut TenantTx,
    placed: &mut [Placed<'_>],
    brought: &mut [Brought],
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let mut fresh = db::messages::write::insert_brought(tx, brought, now).await?;
    let mut with_files = fresh.clone();
    let known: Vec<_> = brought.iter().filter(|message| !fresh.contains(&message.id)).collect();
    if known.is_empty() {
        return Ok(Outcome { fresh, with_files });
    }
    let adopted = db::messages::write::adopt(tx, &known).await?;
    let is_adopted = |message: &Brought| adopted.iter().any(|adopted| adopted.new_id == message.id);
    let told: Vec<_> =
        known.iter().filter(|message| is_adopted(message)).map(|message| Completed::from(*message)).collect();
    let completed = db::messages::write::complete(tx, &told).await?;
    with_files.extend(completed.into_iter().map(|message| message.id));
    find_newest_again(tx, &known).await?;
    for adopted in adopted {
        for (placed, brought) in placed.iter_mut().zip(brought.iter_mut()) {
            if brought.id == adopted.new_id {
                (placed.id, brought.id) = (adopted.id, adopted.id);
            }
        }
        fresh.push(adopted.id);
    }
    Ok(Outcome { fresh, with_files })
}

/// The conversations of messages that were known already took an id for their newest that nothing has.
pub(super) async fn find_newest_again(tx: &mut TenantTx, known: &[&Brought]) -> Result<()> {
    let mut conversations: Vec<_> = known.iter().map(|message| message.conversation_id).collect();
    conversations.sort_unstable();
    conversations.dedup();
    if conversations.is_empty() {
        return Ok(());
    }
    Ok(db::conversations::find_newest_again(tx, &conversations).await?)
}

/// Makes note of the files of messages that are new, and has them fetched.
pub(super) async fn note_files(
    tx: &mut TenantTx,
    scope: CompanyScope,
    placed: &[Placed<'_>],
    stored: &[MessageId],
    now: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let fresh = placed.iter().filter(|placed| stored.contains(&placed.id));
    let files: Vec<_> = fresh
        .filter_map(|placed| {
            let Placed { id, media_id, connection_id, message, .. } = *placed;
            let media = message.media.as_ref()?;
            Some(media::inbound::noted(scope, id, connection_id, media, media_id))
        })
        .collect();
    fetch(tx, scope, &files, now, outgoing).await
}

/// Makes note of files, and has them fetched.
pub(super) async fn fetch(
    tx: &mut TenantTx,
    scope: CompanyScope,
    files: &[InboundMedia],
    now: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    db::media::insert_inbound(tx, files, now).await?;
    for file in files {
        outgoing.job(scope, Job::FetchMedia { media_id: file.id })?;
    }
    Ok(())
}

/// Gives every message an id and finds the thread that it belongs to.
pub(super) fn place<'a>(
    app: &App,
    arrived: &[Arrived<'a, InboundMessage>],
    contacts: &[Whose],
    now: DateTime<Utc>,
) -> (Vec<Placed<'a>>, Vec<Activity>) {
    let mut threads: HashMap<(ConnectionId, String), usize> = HashMap::new();
    let mut activities: Vec<Activity> = Vec::new();
    let mut placed = Vec::with_capacity(arrived.len());
    for (arrived, &whose) in arrived.iter().zip(contacts) {
        let Arrived { connection_id, kind, event: message } = *arrived;
        let id = MessageId(app.clock.new_id());
        let media_id = MediaId(app.clock.new_id());
        // A provider's clock may run ahead; nothing may stand in the future of the conversation.
        let occurred_at = message.sent_at.min(now);
        let thread_key = match &message.group_id {
            Some(group) => format!("group:{group}"),
            None => whose.side_id.to_string(),
        };
        // A notice of the provider, or a message taken back, is nothing that the customer says.
        let from_customer =
            !message.echo && !matches!(message.message_type, MessageType::System | MessageType::Revoke);
        let thread = *threads.entry((connection_id, thread_key.clone())).or_insert_with(|| {
            activities.push(Activity {
                new_id: ConversationId(app.clock.new_id()),
                connection_id,
                thread_key,
                contact_id: whose.contact_id,
                channel: kind.to_string(),
                address: own_address(message),
                address_at: occurred_at,
                is_group: message.group_id.is_some(),
                unread: 0,
                last_message_id: id,
                last_message_at: occurred_at,
                last_inbound_at: None,
                is_past: false,
            });
            activities.len() - 1
        });
        let activity = &mut activities[thread];
        if occurred_at >= activity.address_at {
            (activity.address, activity.address_at) = (own_address(message), occurred_at);
        }
        if occurred_at >= activity.last_message_at {
            (activity.last_message_id, activity.last_message_at) = (id, occurred_at);
        }
        if from_customer {
            activity.unread += 1;
            activity.last_inbound_at = activity.last_inbound_at.max(Some(occurred_at));
        }
        placed.push(Placed { id, media_id, connection_id, whose, thread, occurred_at, message });
    }
    (placed, activities)
}

fn own_address(message: &InboundMessage) -> Address {
    message.customer.addresses.first().cloned().expect("a customer has an address")
}

fn wanted_sessions(app: &App, activities: &[Activity], conversations: &[ConversationId]) -> Vec<Wanted> {
    activities
        .iter()
        .zip(conversations)
        .map(|(activity, &conversation_id)| {
            let started_by = match activity.last_inbound_at {
                Some(_) => StartedBy::Customer,
                None => StartedBy::Business,
            };
            Wanted {
                new_id: SessionId(app.clock.new_id()),
                conversation_id,
                contact_id: activity.contact_id,
                started_by,
                status: SessionStatus::Queued,
            }
        })
        .collect()
}

/// A message as it is stored.
pub(super) fn brought(
    placed: &Placed<'_>,
    conversation_id: ConversationId,
    session_id: SessionId,
) -> Result<Brought> {
    let message = placed.message;
    let (direction, author, status) = if message.echo {
        (Direction::Outbound, Author::Business, MessageStatus::Sent)
    } else {
        (Direction::Inbound, Author::Customer, MessageStatus::Received)
    };
    Ok(Brought {
        id: placed.id,
        conversation_id,
        session_id,
        connection_id: placed.connection_id,
        contact_id: placed.whose.contact_id,
        side_id: Some(placed.whose.side_id).filter(|side_id| *side_id != placed.whose.contact_id),
        direction,
        author,
        message_type: message.message_type,
        text: message.text.as_deref().map(clean),
        content: content(&message.content),
        media: message
            .media
            .as_ref()
            .map(|media| media::inbound::awaited(media, placed.media_id))
            .transpose()?,
        reply_to: message.reply_to.clone(),
        status,
        provider_message_id: message.provider_message_id.clone(),
        occurred_at: placed.occurred_at,
    })
}

/// The type's own fields as they are stored; an empty object says no more than none.
pub(super) fn content(content: &Value) -> Option<Value> {
    cleaned(content).filter(|content| content.as_object().is_none_or(|fields| !fields.is_empty()))
}

/// PostgreSQL's text has no NUL; a customer's message may.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn cleaned(content: &Value) -> Option<Value> {
    match content {
        Value::Null => None,
        Value::String(text) => Some(Value::String(clean(text))),
        Value::Array(items) => {
            Some(Value::Array(items.iter().map(|item| cleaned(item).unwrap_or(Value::Null)).collect()))
        }
        Value::Object(fields) => Some(Value::Object(
            fields.iter().map(|(key, value)| (clean(key), cleaned(value).unwrap_or(Value::Null))).collect(),
        )),
        Value::Bool(_) | Value::Number(_) => Some(content.clone()),
    }
}

/// Opens or extends the turns of sessions in which the AI may answer.
async fn open_turns(
    app: &App,
    tx: &mut TenantTx,
    placed: &[Placed<'_>],
    conversations: &[ConversationId],
    sessions: &HashMap<ConversationId, OpenSession>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let now = app.clock.now();
    let asking: Vec<_> = placed
        .iter()
        .filter(|placed| {
            let message = placed.message;
            let is_word = message.keyword.is_some_and(|word| word != Keyword::Yes);
            let is_ours_to_answer = !is_word && !message.echo && message.group_id.is_none();
            is_ours_to_answer && message.message_type.asks_for_answer()
        })
        .collect();
    if asking.is_empty() {
        return Ok(());
    }
    let mut connections: Vec<_> = asking.iter().map(|placed| placed.connection_id).collect();
    connections.sort_unstable();
    connections.dedup();
    let answered = db::connections::list_answered(tx, &connections).await?;

    let mut bursts: HashMap<SessionId, Burst> = HashMap::new();
    for placed in asking {
        let conversation_id = conversations[placed.thread];
        let Some(session) = sessions.get(&conversation_id) else { continue };
        let has_persona = answered.contains(&placed.connection_id);
        let silent = ai_silent_because(
            session.status,
            session.ai_blocked_until,
            session.bypass_bots,
            has_persona,
            now,
        );
        if silent.is_some() {
            continue;
        }
        bursts
            .entry(session.id)
            .or_insert_with(|| Burst {
                new_id: TurnId(app.clock.new_id()),
                conversation_id,
                session_id: session.id,
                last_message_id: placed.id,
                // The window counts from when we saw the message, not from a provider's delayed clock.
                due_at: due_at(now, now, session.concat_timeout),
            })
            .last_message_id = placed.id;
    }
    if bursts.is_empty() {
        return Ok(());
    }
    let bursts: Vec<_> = bursts.into_values().collect();
    let scope = CompanyScope::assert_verified(tx.company_id());
    for turn in db::turns::extend(tx, &bursts, now).await? {
        outgoing.job_at(scope, Job::CloseTurn { turn_id: turn.id, version: turn.version }, turn.due_at)?;
    }
    Ok(())
}
