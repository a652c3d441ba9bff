//! How messages come to be.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::message::{Author, Direction, MessageStatus, MessageType};
use domain::{ConnectionId, ContactId, ConversationId, MessageId, SessionId, TurnId, UserId};
use serde_json::Value;

use crate::{Result, TenantTx, journal};

/// A message that a provider brought.
#[derive(Clone, Debug)]
pub struct Brought {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Its session.
    pub session_id: SessionId,
    /// The connection that it came in by.
    pub connection_id: ConnectionId,
    /// The customer.
    pub contact_id: ContactId,
    /// The contact whose address it came by, if that was merged into the customer.
    pub side_id: Option<ContactId>,
    /// Outbound for an echo.
    pub direction: Direction,
    /// The customer, or the business for an echo.
    pub author: Author,
    /// What it holds.
    pub message_type: MessageType,
    /// What a person reads.
    pub text: Option<String>,
    /// The type's own fields.
    pub content: Option<Value>,
    /// The file, as `domain::media::Attachment`; still with the provider.
    pub media: Option<Value>,
    /// What it answers, by the provider's id.
    pub reply_to: Option<String>,
    /// Received, or sent for an echo; of an old one of the business's how far it got.
    pub status: MessageStatus,
    /// The provider's id.
    pub provider_message_id: String,
    /// The provider's time.
    pub occurred_at: DateTime<Utc>,
}

/// Stores messages that a provider brought; one that is known changes nothing. The ids of the new ones.
///
/// # Errors
/// Database errors only.
pub async fn insert_brought(
    tx: &mut TenantTx,
    messages: &[Brought],
    now: DateTime<Utc>,
) -> Result<Vec<MessageId>> {
    let company_id = tx.company_id();
    let uuids = |value: fn(&Brought) -> uuid::Uuid| messages.iter().map(value).collect::<Vec<_>>();
    let ids = uuids(|message| message.id.0);
    let conversations = uuids(|message| message.conversation_id.0);
    let sessions = uuids(|message| message.session_id.0);
    let connections = uuids(|message| message.connection_id.0);
    let contacts = uuids(|message| message.contact_id.0);
    let sides: Vec<_> = messages.iter().map(|message| message.side_id.map(|side| side.0)).collect();
    let directions: Vec<_> = messages.iter().map(|message| message.direction).collect();
    let authors: Vec<_> = messages.iter().map(|message| message.author).collect();
    let types: Vec<_> = messages.iter().map(|message| message.message_type).collect();
    let texts: Vec<_> = messages.iter().map(|message| message.text.clone()).collect();
    let contents: Vec<_> = messages.iter().map(|message| message.content.clone()).collect();
    let media: Vec<_> = messages.iter().map(|message| message.media.clone()).collect();
    let replies: Vec<_> = messages.iter().map(|message| message.reply_to.clone()).collect();
    let statuses: Vec<_> = messages.iter().map(|message| message.status).collect();
    let provider_ids: Vec<_> = messages.iter().map(|message| message.provider_message_id.clone()).collect();
    let occurred: Vec<_> = messages.iter().map(|message| message.occurred_at).collect();
    let stored = sqlx::query_scalar!(
        r#"INSERT INTO messages (company_id, id, conversation_id, session_id, connection_id, contact_id, side_id, direction,
               author, type, text, content, media, reply_to_provider_id, reply_to_id, status, provider_message_id,
               occurred_at, created_at, sent_at)
           SELECT $1, new.id, new.conversation_id, new.session_id, new.connection_id, new.contact_id, new.side_id, new.direction,
                  new.author, new.type, new.text, new.content, new.media, new.reply_to,
                  (SELECT r.id FROM messages r WHERE r.company_id = $1 AND r.connection_id = new.connection_id
                                                 AND r.provider_message_id = new.reply_to),
                  new.status, new.provider_message_id, new.occurred_at, $17,
                  CASE WHEN new.direction = 'outbound' AND new.status NOT IN ('failed', 'unknown')
                       THEN new.occurred_at END
           FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
                       $10::text[], $11::jsonb[], $12::jsonb[], $13::text[], $14::text[], $15::text[],
                       $16::timestamptz[], $18::uuid[])
                AS new (id, conversation_id, session_id, connection_id, contact_id, direction, author, type, text,
                        content, media, reply_to, status, provider_message_id, occurred_at, side_id)
           ON CONFLICT (company_id, connection_id, provider_message_id) WHERE provider_message_id IS NOT NULL
           DO NOTHING
           RETURNING id AS "id: MessageId""#,
        company_id.0,
        &ids,
        &conversations,
        &sessions,
        &connections,
        &contacts,
        &directions as _,
        &authors as _,
        &types as _,
        &texts as _,
        &contents as _,
        &media as _,
        &replies as _,
        &statuses as _,
        &provider_ids,
        &occurred,
        now,
        &sides as _
    )
    .fetch_all(tx.connection())
    .await?;
    if has_replies_within(messages) {
        link_replies(tx, &stored).await?;
    }
    Ok(stored)
}

/// Which of these messages are stored already, by the provider's id; also those whose words were erased.
///
/// # Errors
/// Database errors only.
pub async fn list_known(
    tx: &mut TenantTx,
    named: &[(ConnectionId, String)],
) -> Result<HashSet<(ConnectionId, String)>> {
    let company_id = tx.company_id();
    // Each in a row of its own: one of two is not looked up in an index.
    let connections: Vec<_> = named.iter().flat_map(|(connection, _)| [connection.0; 2]).collect();
    let ids: Vec<_> = named.iter().flat_map(|(_, id)| [id.clone(), id.clone()]).collect();
    let stored: Vec<_> = named.iter().flat_map(|(_, id)| [id.clone(), journal::erased(id)]).collect();
    let known = sqlx::query!(
        r#"SELECT named.connection_id AS "connection_id!: ConnectionId", named.id AS "id!"
           FROM unnest($2::uuid[], $3::text[], $4::text[]) AS named (connection_id, id, stored)
           JOIN messages m ON m.company_id = $1 AND m.connection_id = named.connection_id
                          AND m.provider_message_id = named.stored"#,
        company_id.0,
        &connections,
        &ids,
        &stored
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(known.into_iter().map(|row| (row.connection_id, row.id)).collect())
}

/// A message that was known as an old one.
#[derive(Clone, Copy, Debug)]
pub struct Adopted {
    /// The id that it was to get.
    pub new_id: MessageId,
    /// The one that it has.
    pub id: MessageId,
}

/// Takes messages that a phone's history told of before they came themselves out of their past, into the sessions that they
/// belong to. One that came before by itself stays as it is.
///
/// # Errors
/// Database errors only.
pub async fn adopt(tx: &mut TenantTx, messages: &[&Brought]) -> Result<Vec<Adopted>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = messages.iter().map(|message| message.id.0).collect();
    let connections: Vec<_> = messages.iter().map(|message| message.connection_id.0).collect();
    let provider_ids: Vec<_> = messages.iter().map(|message| message.provider_message_id.clone()).collect();
    let sessions: Vec<_> = messages.iter().map(|message| message.session_id.0).collect();
    Ok(sqlx::query_as!(
        Adopted,
        r#"UPDATE messages m SET session_id = new.session_id, version = m.version + 1
           FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[])
                AS new (id, connection_id, provider_message_id, session_id), sessions s
           WHERE m.company_id = $1 AND m.connection_id = new.connection_id
             AND m.provider_message_id = new.provider_message_id
             AND s.company_id = $1 AND s.id = m.session_id AND s.is_past
           RETURNING new.id AS "new_id!: MessageId", m.id AS "id: MessageId""#,
        company_id.0,
        &ids,
        &connections,
        &provider_ids,
        &sessions
    )
    .fetch_all(tx.connection())
    .await?)
}

/// What an old message left out, which came after it.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The provider's id of the message.
    pub provider_message_id: String,
    /// What it holds.
    pub message_type: MessageType,
    /// What a person reads.
    pub text: Option<String>,
    /// The type's own fields.
    pub content: Option<Value>,
    /// The file, as `domain::media::Attachment`; still with the provider.
    pub media: Option<Value>,
}

impl From<&Brought> for Completed {
    fn from(message: &Brought) -> Self {
        Self {
            connection_id: message.connection_id,
            provider_message_id: message.provider_message_id.clone(),
            message_type: message.message_type,
            text: message.text.clone(),
            content: message.content.clone(),
            media: message.media.clone(),
        }
    }
}

/// A message that was [`complete`]d.
#[derive(Clone, Debug)]
pub struct CompleteMessage {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Grows with every change.
    pub version: i32,
    /// Its connection.
    pub connection_id: ConnectionId,
    /// The provider's id.
    pub provider_message_id: String,
}

/// Completes messages that hold the place of a file; others stay as they are.
///
/// # Errors
/// Database errors only.
pub async fn complete(tx: &mut TenantTx, completed: &[Completed]) -> Result<Vec<CompleteMessage>> {
    let company_id = tx.company_id();
    let connections: Vec<_> = completed.iter().map(|completed| completed.connection_id.0).collect();
    let ids: Vec<_> = completed.iter().map(|completed| completed.provider_message_id.clone()).collect();
    let types: Vec<_> = completed.iter().map(|completed| completed.message_type).collect();
    let texts: Vec<_> = completed.iter().map(|completed| completed.text.clone()).collect();
    let contents: Vec<_> = completed.iter().map(|completed| completed.content.clone()).collect();
    let media: Vec<_> = completed.iter().map(|completed| completed.media.clone()).collect();
    Ok(sqlx::query_as!(
        CompleteMessage,
        r#"UPDATE messages m SET type = new.type, text = new.text, content = new.content, media = new.media,
                                 version = m.version + 1
           FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[])
                AS new (connection_id, provider_message_id, type, text, content, media)
           WHERE m.company_id = $1 AND m.connection_id = new.connection_id
             AND m.provider_message_id = new.provider_message_id
             AND m.type = 'unsupported' AND m.content ->> 'type' = 'media_placeholder'
           RETURNING m.id AS "id: MessageId", m.conversation_id AS "conversation_id: ConversationId", m.version,
                     m.connection_id AS "connection_id: ConnectionId", m.provider_message_id AS "provider_message_id!""#,
        company_id.0,
        &connections,
        &ids,
        &types as _,
        &texts as _,
        &contents as _,
        &media as _
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A statement does not see its own rows: an answer to a message of the same batch finds it only afterwards.
fn has_replies_within(messages: &[Brought]) -> bool {
    let own: HashSet<_> = messages.iter().map(|message| message.provider_message_id.as_str()).collect();
    messages.iter().filter_map(|message| message.reply_to.as_deref()).any(|id| own.contains(id))
}

/// Links answers that were stored before what they answer, or with it: with these messages.
///
/// # Errors
/// Database errors only.
pub async fn link_replies(tx: &mut TenantTx, ids: &[MessageId]) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "UPDATE messages m SET reply_to_id = r.id FROM messages r
         WHERE r.company_id = $1 AND r.id = ANY($2) AND m.company_id = $1 AND m.connection_id = r.connection_id
           AND m.reply_to_provider_id = r.provider_message_id AND m.reply_to_id IS NULL",
        company_id.0,
        &ids
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A message of ours.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Its session.
    pub session_id: SessionId,
    /// The connection that it goes over.
    pub connection_id: ConnectionId,
    /// The customer.
    pub contact_id: ContactId,
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
    /// Queued, or sent when it is only recorded.
    pub status: MessageStatus,
    /// The turn that it answers, and which part of the answer it is.
    pub turn: Option<(TurnId, i16)>,
    /// The person who wrote it.
    pub author_user_id: Option<UserId>,
}

/// Stores a message of ours; `false` when this part of its turn's answer is there already.
///
/// # Errors
/// Database errors only.
pub async fn insert_written(tx: &mut TenantTx, message: &Written, now: DateTime<Utc>) -> Result<bool> {
    let company_id = tx.company_id();
    let (turn_id, turn_part) = message.turn.map(|(id, part)| (id.0, part)).unzip();
    let inserted = sqlx::query!(
        "INSERT INTO messages (company_id, id, conversation_id, session_id, connection_id, contact_id, direction,
             author, type, text, content, reply_to_id, status, turn_id, turn_part, author_user_id, occurred_at,
             created_at, sent_at, media)
         VALUES ($1, $2, $3, $4, $5, $6, 'outbound', $7, $8, $9, $10, $11, $12::text, $13, $14, $15, $16, $16,
                 CASE WHEN $12::text = 'sent' THEN $16::timestamptz END, $17)
         ON CONFLICT (company_id, turn_id, turn_part) WHERE turn_id IS NOT NULL DO NOTHING",
        company_id.0,
        message.id.0,
        message.conversation_id.0,
        message.session_id.0,
        message.connection_id.0,
        message.contact_id.0,
        message.author as _,
        message.message_type as _,
        message.text,
        message.content,
        message.reply_to_id as _,
        message.status as _,
        turn_id,
        turn_part,
        message.author_user_id as _,
        now,
        message.media
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(inserted == 1)
}
