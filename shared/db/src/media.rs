//! Files: what is known of them. Their bytes lie in a bucket.

use chrono::{DateTime, Utc};
use domain::media::{MediaReason, MediaState, Purpose};
use domain::{ConnectionId, ContactId, ConversationId, MediaId, MessageId, UserId};
use serde_json::Value;

use crate::{Result, TenantTx};

/// A file.
#[derive(Clone, Debug)]
pub struct Media {
    /// Its id.
    pub id: MediaId,
    /// What it is for.
    pub purpose: Purpose,
    /// How far it got.
    pub state: MediaState,
    /// Why it is refused or gone.
    pub reason: Option<MediaReason>,
    /// Its type, without parameters.
    pub mime_type: String,
    /// Bytes; of an upload that is awaited, as many as were said.
    pub size: Option<i64>,
    /// SHA-256 in hexadecimal, where we had the bytes in hand.
    pub sha256: Option<String>,
    /// Where it lies in the bucket.
    pub key: String,
    /// Where a small picture of it lies.
    pub thumbnail_key: Option<String>,
    /// Its name where it comes from.
    pub file_name: Option<String>,
    /// The message that it came with.
    pub message_id: Option<MessageId>,
    /// The connection that it came by.
    pub connection_id: Option<ConnectionId>,
    /// What the provider calls it.
    pub provider_media_id: Option<String>,
    /// Since when we know of it.
    pub created_at: DateTime<Utc>,
    /// Since when it is there.
    pub ready_at: Option<DateTime<Utc>>,
}

macro_rules! select_media {
    ($filter:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Media,
            r#"SELECT id AS "id: MediaId", purpose AS "purpose: Purpose", state AS "state: MediaState",
                      reason AS "reason: MediaReason", mime_type, size, sha256, key, thumbnail_key, file_name,
                      message_id AS "message_id: MessageId", connection_id AS "connection_id: ConnectionId",
                      provider_media_id, created_at, ready_at
               FROM media WHERE "# + $filter,
            $($argument),+
        )
    };
}

/// A file that is not there yet, or that we are about to write.
#[derive(Clone, Debug)]
pub struct NewMedia {
    /// Its id.
    pub id: MediaId,
    /// What it is for; not `Inbound`, see [`insert_inbound`].
    pub purpose: Purpose,
    /// Its type, without parameters.
    pub mime_type: String,
    /// Bytes, if they are known.
    pub size: Option<i64>,
    /// Where it will lie in the bucket.
    pub key: String,
    /// Its name.
    pub file_name: Option<String>,
    /// Who brings it.
    pub created_by: Option<UserId>,
}

/// Makes note of a file that is awaited.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, media: &NewMedia, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO media (company_id, id, purpose, state, mime_type, size, key, file_name, created_by, created_at)
         VALUES ($1, $2, $3, 'waiting', $4, $5, $6, $7, $8, $9)",
        company_id.0,
        media.id.0,
        media.purpose as _,
        media.mime_type,
        media.size,
        media.key,
        media.file_name,
        media.created_by as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A file that came with a message and still lies with the provider.
#[derive(Clone, Debug)]
pub struct InboundMedia {
    /// Its id.
    pub id: MediaId,
    /// The message.
    pub message_id: MessageId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// What the provider calls it.
    pub provider_media_id: String,
    /// Its type, as the provider says.
    pub mime_type: String,
    /// Where it will lie in the bucket.
    pub key: String,
    /// Its name where it comes from.
    pub file_name: Option<String>,
}

/// Makes note of files that came with messages, which are stored.
///
/// # Errors
/// Database errors only.
pub async fn insert_inbound(tx: &mut TenantTx, media: &[InboundMedia], now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = media.iter().map(|media| media.id.0).collect();
    let messages: Vec<_> = media.iter().map(|media| media.message_id.0).collect();
    let connections: Vec<_> = media.iter().map(|media| media.connection_id.0).collect();
    let provider_ids: Vec<_> = media.iter().map(|media| media.provider_media_id.clone()).collect();
    let types: Vec<_> = media.iter().map(|media| media.mime_type.clone()).collect();
    let keys: Vec<_> = media.iter().map(|media| media.key.clone()).collect();
    let names: Vec<_> = media.iter().map(|media| media.file_name.clone()).collect();
    sqlx::query!(
        "INSERT INTO media (company_id, id, purpose, state, mime_type, key, file_name, message_id, connection_id,
             provider_media_id, created_at)
         SELECT $1, id, 'inbound', 'waiting', mime_type, key, file_name, message_id, connection_id, provider_id, $9
         FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[])
              AS new (id, message_id, connection_id, provider_id, mime_type, key, file_name)
         ON CONFLICT (company_id, message_id) WHERE message_id IS NOT NULL DO NOTHING",
        company_id.0,
        &ids,
        &messages,
        &connections,
        &provider_ids,
        &types,
        &keys,
        &names as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: MediaId) -> Result<Option<Media>> {
    let company_id = tx.company_id();
    Ok(select_media!("company_id = $1 AND id = $2", company_id.0, id.0)
        .fetch_optional(tx.connection())
        .await?)
}

/// What the bytes say of a file.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its type, without parameters.
    pub mime_type: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 in hexadecimal, if they were in hand.
    pub sha256: Option<String>,
}

/// An awaited file is there; `false` when it is awaited no longer.
///
/// # Errors
/// Database errors only.
pub async fn set_ready(
    tx: &mut TenantTx,
    id: MediaId,
    arrived: &Arrived,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let changed = sqlx::query!(
        "UPDATE media SET state = 'ready', reason = NULL, mime_type = $3, size = $4, sha256 = $5, ready_at = $6
         WHERE company_id = $1 AND id = $2 AND state = 'waiting'",
        company_id.0,
        id.0,
        arrived.mime_type,
        arrived.size,
        arrived.sha256,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// An awaited file will not come: it is refused, or gone; `false` when it is awaited no longer.
///
/// # Errors
/// Database errors only.
pub async fn set_lost(
    tx: &mut TenantTx,
    id: MediaId,
    state: MediaState,
    reason: MediaReason,
) -> Result<bool> {
    let company_id = tx.company_id();
    let changed = sqlx::query!(
        "UPDATE media SET state = $3, reason = $4 WHERE company_id = $1 AND id = $2 AND state = 'waiting'",
        company_id.0,
        id.0,
        state as _,
        reason as _
    )
    .execute(tx.connection())
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// There is a small picture of a file, at `key`; `false` when the file is not there any more.
///
/// # Errors
/// Database errors only.
pub async fn set_thumbnail(tx: &mut TenantTx, id: MediaId, key: &str) -> Result<bool> {
    let company_id = tx.company_id();
    let changed = sqlx::query!(
        "UPDATE media SET thumbnail_key = $3 WHERE company_id = $1 AND id = $2 AND state = 'ready'",
        company_id.0,
        id.0,
        key
    )
    .execute(tx.connection())
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Notes to whom a file is sent.
///
/// # Errors
/// Database errors only.
pub async fn note_sent(tx: &mut TenantTx, id: MediaId, contact_id: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    // What is sent to many is written twice, and no more.
    sqlx::query!(
        "UPDATE media SET is_shared = sent_to IS NOT NULL, sent_to = coalesce(sent_to, $3)
         WHERE company_id = $1 AND id = $2 AND NOT is_shared AND sent_to IS DISTINCT FROM $3",
        company_id.0,
        id.0,
        contact_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The files that came with these messages, and those that were sent with them and to nobody else, are gone, by a person's
/// will: nothing is known of them any more but that there were some. Their ids, for their bytes to be deleted.
///
/// # Errors
/// Database errors only.
pub async fn erase_of_messages(tx: &mut TenantTx, message_ids: &[MessageId]) -> Result<Vec<MediaId>> {
    let company_id = tx.company_id();
    let message_ids: Vec<_> = message_ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar!(
        r#"WITH files AS (
               SELECT id FROM media WHERE company_id = $1 AND message_id = ANY($2)
               UNION
               SELECT (media ->> 'id')::uuid FROM messages
               WHERE company_id = $1 AND id = ANY($2) AND direction = 'outbound' AND media ->> 'id' IS NOT NULL)
           UPDATE media f SET state = 'gone', reason = 'erased', file_name = NULL, sha256 = NULL, thumbnail_key = NULL,
                  provider_media_id = NULL
           FROM files
           WHERE f.company_id = $1 AND f.id = files.id
             AND (f.message_id = ANY($2) OR f.purpose = 'message' AND NOT f.is_shared)
           RETURNING f.id AS "id: MediaId""#,
        company_id.0,
        &message_ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Where the bytes of those of these files lie that are gone.
///
/// # Errors
/// Database errors only.
pub async fn list_keys_of_gone(tx: &mut TenantTx, ids: &[MediaId]) -> Result<Vec<String>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar!(
        "SELECT key FROM media WHERE company_id = $1 AND id = ANY($2) AND state = 'gone' ORDER BY id",
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A message whose file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedMessage {
    /// The message.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Its version now.
    pub version: i32,
}

/// Adds to what stands with a message about its file.
///
/// # Errors
/// Database errors only.
pub async fn set_on_message(
    tx: &mut TenantTx,
    message_id: MessageId,
    known: &Value,
) -> Result<Option<ChangedMessage>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        ChangedMessage,
        r#"UPDATE messages SET media = coalesce(media, '{}') || $3, version = version + 1
           WHERE company_id = $1 AND id = $2
           RETURNING id AS "id: MessageId", conversation_id AS "conversation_id: ConversationId", version"#,
        company_id.0,
        message_id.0,
        known
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// What a provider calls the copy of a file that it keeps for us until after `until`.
///
/// # Errors
/// Database errors only.
pub async fn find_copy(
    tx: &mut TenantTx,
    media_id: MediaId,
    connection_id: ConnectionId,
    until: DateTime<Utc>,
) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "SELECT provider_media_id FROM media_copies
         WHERE company_id = $1 AND media_id = $2 AND connection_id = $3 AND expires_at > $4",
        company_id.0,
        media_id.0,
        connection_id.0,
        until
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// A provider keeps a copy of a file for us; the newest one counts.
///
/// # Errors
/// Database errors only.
pub async fn put_copy(
    tx: &mut TenantTx,
    media_id: MediaId,
    connection_id: ConnectionId,
    provider_media_id: &str,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO media_copies (company_id, media_id, connection_id, provider_media_id, expires_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (company_id, media_id, connection_id)
         DO UPDATE SET provider_media_id = excluded.provider_media_id, expires_at = excluded.expires_at",
        company_id.0,
        media_id.0,
        connection_id.0,
        provider_media_id,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets the copy of a file at a provider.
///
/// # Errors
/// Database errors only.
pub async fn delete_copy(tx: &mut TenantTx, media_id: MediaId, connection_id: ConnectionId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "DELETE FROM media_copies WHERE company_id = $1 AND media_id = $2 AND connection_id = $3",
        company_id.0,
        media_id.0,
        connection_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes uploads that were begun before `time` and never finished; how many. Their bytes, if they came, run out by
/// themselves.
///
/// # Errors
/// Database errors only.
pub async fn delete_unfinished(tx: &mut TenantTx, time: DateTime<Utc>) -> Result<u64> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "DELETE FROM media
         WHERE company_id = $1 AND state = 'waiting' AND purpose IN ('message', 'import') AND created_at < $2",
        company_id.0,
        time
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}
