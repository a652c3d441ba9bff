//! Messages: [`write`] how they come to be, [`delivery`] how far they get, and here how they are read.

pub mod delivery;
pub mod write;

use chrono::{DateTime, Utc};
use domain::message::{Author, Direction, MessageStatus, MessageType};
use domain::{ConnectionId, ContactId, ConversationId, MessageId, SessionId};
use serde_json::Value;
use uuid::Uuid;

use crate::{Result, TenantTx};

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Its session.
    pub session_id: SessionId,
    /// Which way it travels.
    pub direction: Direction,
    /// Who wrote it.
    pub author: Author,
    /// What it holds.
    pub message_type: MessageType,
    /// What a person reads.
    pub text: Option<String>,
    /// The type's own fields.
    pub content: Option<Value>,
    /// The file, as `domain::media::Attachment`.
    pub media: Option<Value>,
    /// What it answers.
    pub reply_to_id: Option<MessageId>,
    /// How far it got.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<Value>,
    /// The provider's id.
    pub provider_message_id: Option<String>,
    /// Grows with every change.
    pub version: i32,
    /// Its place in the conversation.
    pub occurred_at: DateTime<Utc>,
    /// When we stored it.
    pub created_at: DateTime<Utc>,
    /// When the provider sent it.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it reached the device.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When the customer saw it.
    pub read_at: Option<DateTime<Utc>>,
}

/// Which messages to list.
#[derive(Clone, Copy, Debug)]
pub enum Within {
    /// Of one conversation.
    Conversation(ConversationId),
    /// Of one session.
    Session(SessionId),
}

macro_rules! select_messages {
    ($filter:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Message,
            r#"SELECT id AS "id: MessageId", conversation_id AS "conversation_id: ConversationId",
                      session_id AS "session_id: SessionId", direction AS "direction: Direction",
                      author AS "author: Author", type AS "message_type: MessageType", text, content, media,
                      reply_to_id AS "reply_to_id: MessageId", status AS "status: MessageStatus", error,
                      provider_message_id, version, occurred_at, created_at, sent_at, delivered_at, read_at
               FROM messages WHERE "# + $filter,
            $($argument),+
        )
    };
}

/// Lists messages, newest first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    within: Within,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Message>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    let messages = match within {
        Within::Conversation(id) => {
            select_messages!(
                "company_id = $1 AND conversation_id = $5
                   AND (occurred_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                            coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                 ORDER BY occurred_at DESC, id DESC LIMIT $4",
                company_id.0,
                before_at,
                before_id,
                limit,
                id.0
            )
            .fetch_all(tx.connection())
            .await
        }
        Within::Session(id) => {
            select_messages!(
                "company_id = $1 AND session_id = $5
                   AND (occurred_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                            coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                 ORDER BY occurred_at DESC, id DESC LIMIT $4",
                company_id.0,
                before_at,
                before_id,
                limit,
                id.0
            )
            .fetch_all(tx.connection())
            .await
        }
    };
    Ok(messages?)
}

/// A message that a provider names.
#[derive(Clone, Debug)]
pub struct Named {
    /// The connection.
    pub connection_id: ConnectionId,
    /// What the provider calls it.
    pub provider_message_id: String,
    /// Its id.
    pub id: MessageId,
    /// The customer.
    pub contact_id: ContactId,
}

/// Which messages of ours providers mean.
///
/// # Errors
/// Database errors only.
pub async fn list_by_provider_ids(tx: &mut TenantTx, named: &[(ConnectionId, String)]) -> Result<Vec<Named>> {
    let company_id = tx.company_id();
    let connections: Vec<_> = named.iter().map(|(connection, _)| connection.0).collect();
    let ids: Vec<_> = named.iter().map(|(_, id)| id.clone()).collect();
    Ok(sqlx::query_as!(
        Named,
        r#"SELECT m.connection_id AS "connection_id: ConnectionId", m.provider_message_id AS "provider_message_id!",
                  m.id AS "id: MessageId", m.contact_id AS "contact_id: ContactId"
           FROM unnest($2::uuid[], $3::text[]) AS named (connection_id, provider_message_id)
           JOIN messages m ON m.company_id = $1 AND m.connection_id = named.connection_id
                          AND m.provider_message_id = named.provider_message_id
           WHERE m.direction = 'outbound'"#,
        company_id.0,
        &connections,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Which messages to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one conversation.
    pub conversation_id: Option<ConversationId>,
    /// With one contact.
    pub contact_id: Option<ContactId>,
    /// With all of these stems; see [`search`](crate::conversations::search).
    pub words: Vec<String>,
    /// Of these conversations: those that have the words, when they are few.
    pub conversations: Option<Vec<ConversationId>>,
}

/// Lists messages, newest first, after the position `before`. Words are asked for in a subquery: the planner would believe
/// them to be few, and read everything first.
///
/// # Errors
/// Database errors only.
pub async fn list_filtered(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Message>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    let conversations = filter.conversations.as_ref();
    let conversations: Option<Vec<Uuid>> = conversations.map(|ids| ids.iter().map(|id| id.0).collect());
    Ok(select_messages!(
        "company_id = $1
           AND (occurred_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                    coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           AND ($5::uuid IS NULL OR conversation_id = $5)
           AND ($6::uuid IS NULL OR contact_id = $6)
           AND ($7::uuid[] IS NULL OR conversation_id = ANY($7))
           AND (cardinality($8::text[]) = 0
                OR (SELECT count(*) = cardinality($8) AND search_words(messages.text) @> $8 FROM conversation_terms t
                    WHERE t.company_id = $1 AND t.term = ANY($8) AND t.conversation_id = messages.conversation_id))
         ORDER BY occurred_at DESC, id DESC LIMIT $4",
        company_id.0,
        before_at,
        before_id,
        limit,
        filter.conversation_id as _,
        filter.contact_id as _,
        conversations.as_deref(),
        &filter.words
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Lists a conversation's notes, newest first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list_notes(
    tx: &mut TenantTx,
    id: ConversationId,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Message>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(select_messages!(
        "company_id = $1 AND conversation_id = $5 AND type = 'note'
           AND (occurred_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                    coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
         ORDER BY occurred_at DESC, id DESC LIMIT $4",
        company_id.0,
        before_at,
        before_id,
        limit,
        id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Lists all messages of a contact over all sessions, oldest first, after the position `after`.
///
/// # Errors
/// Database errors only.
pub async fn list_for_contact(
    tx: &mut TenantTx,
    contact_id: ContactId,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Message>> {
    let company_id = tx.company_id();
    let (after_at, after_id) = after.unzip();
    Ok(select_messages!(
        "company_id = $1 AND contact_id = $5
           AND (occurred_at, id) > (coalesce($2, '-infinity'::timestamptz),
                                    coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
         ORDER BY occurred_at, id LIMIT $4",
        company_id.0,
        after_at,
        after_id,
        limit,
        contact_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one message.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: MessageId) -> Result<Option<Message>> {
    let company_id = tx.company_id();
    Ok(select_messages!("company_id = $1 AND id = $2", company_id.0, id.0)
        .fetch_optional(tx.connection())
        .await?)
}

/// Finds many messages by id, in no order: the newest ones of a page of conversations.
///
/// # Errors
/// Database errors only.
pub async fn find_many(tx: &mut TenantTx, ids: &[MessageId]) -> Result<Vec<Message>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(select_messages!("company_id = $1 AND id = ANY($2)", company_id.0, &ids)
        .fetch_all(tx.connection())
        .await?)
}
