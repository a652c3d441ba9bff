//! How far messages get: claiming, recording, and statuses that only climb.

use chrono::{DateTime, TimeDelta, Utc};
use domain::message::{Callback, MessageStatus, MessageType};
use domain::{ConnectionId, ConversationId, MessageId};
use serde_json::Value;

use crate::{Result, TenantTx};

/// A message that this worker may send now, and nobody else.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// What it holds.
    pub message_type: MessageType,
    /// The text.
    pub text: Option<String>,
    /// The type's own fields.
    pub content: Option<Value>,
    /// The file, as `domain::media::Attachment`.
    pub media: Option<Value>,
    /// The provider's id of what it answers.
    pub reply_to_provider_id: Option<String>,
    /// How often it was tried on this journey, this time included.
    pub attempts: i16,
    /// Which journey it is on.
    pub journey: i16,
    /// Its version now.
    pub version: i32,
}

/// A message whose status changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The message.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Its status now.
    pub status: MessageStatus,
    /// Its version now.
    pub version: i32,
}

/// What waits longer than this is not late but stuck: it holds up nothing, and is not sent by the way.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// Claims a queued message for sending; `None` when it is not queued, or when one before it in its conversation still
/// is: a hand-over that failed must not change the order. One with a file is claimed `with_file` alone: when the provider
/// has the file.
///
/// # Errors
/// Database errors only.
pub async fn claim(
    tx: &mut TenantTx,
    id: MessageId,
    with_file: bool,
    now: DateTime<Utc>,
) -> Result<Option<Claimed>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Claimed,
        r#"UPDATE messages m SET status = 'sending', attempts = attempts + 1, version = version + 1
           WHERE company_id = $1 AND id = $2 AND status = 'queued' AND direction = 'outbound'
             AND ($4 OR media IS NULL)
             AND NOT EXISTS (
                 SELECT 1 FROM messages e
                 WHERE e.company_id = $1 AND e.conversation_id = m.conversation_id AND e.occurred_at > $3
                   AND (e.occurred_at, e.id) < (m.occurred_at, m.id)
                   AND e.status = 'queued' AND e.direction = 'outbound')
           RETURNING id AS "id: MessageId", conversation_id AS "conversation_id: ConversationId",
                     type AS "message_type: MessageType", text, content, media, attempts, journey, version,
                     (SELECT r.provider_message_id FROM messages r
                      WHERE r.company_id = m.company_id AND r.id = m.reply_to_id) AS reply_to_provider_id"#,
        company_id.0,
        id.0,
        now - LATE,
        with_file
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The queued messages that stand before this one in its conversation and are late, in order.
///
/// # Errors
/// Database errors only.
pub async fn list_waiting_before(
    tx: &mut TenantTx,
    id: MessageId,
    now: DateTime<Utc>,
) -> Result<Vec<MessageId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT e.id AS "id: MessageId" FROM messages m
           JOIN messages e ON e.company_id = $1 AND e.conversation_id = m.conversation_id AND e.occurred_at > $3
                          AND (e.occurred_at, e.id) < (m.occurred_at, m.id)
           WHERE m.company_id = $1 AND m.id = $2 AND e.status = 'queued' AND e.direction = 'outbound'
           ORDER BY e.occurred_at, e.id"#,
        company_id.0,
        id.0,
        now - LATE
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Moves a message from `from` to `to`, below anything that a provider reported; `None` when it stands elsewhere.
///
/// # Errors
/// Database errors only.
pub async fn set_status(
    tx: &mut TenantTx,
    id: MessageId,
    from: &[MessageStatus],
    to: MessageStatus,
    error: Option<Value>,
    now: DateTime<Utc>,
) -> Result<Option<Changed>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Changed,
        r#"UPDATE messages SET status = $4::text, error = $5, version = version + 1,
                  failed_at = CASE WHEN $4::text = 'failed' THEN $6 ELSE failed_at END
           WHERE company_id = $1 AND id = $2 AND status = ANY($3)
           RETURNING id AS "id: MessageId", conversation_id AS "conversation_id: ConversationId",
                     status AS "status: MessageStatus", version"#,
        company_id.0,
        id.0,
        from as _,
        to as _,
        error,
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Queues a message again that failed or whose outcome is unknown, as if it had never been tried: on another journey, of
/// which no report on an earlier one tells anything. `None` when it stands elsewhere, or was not ours to send: what the
/// business wrote in its phone's app had the provider's id before anybody tried, and is that one's to send.
///
/// # Errors
/// Database errors only.
pub async fn requeue(tx: &mut TenantTx, id: MessageId) -> Result<Option<Changed>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Changed,
        r#"UPDATE messages SET status = 'queued', error = NULL, attempts = 0, journey = journey + 1, version = version + 1,
                  provider_message_id = NULL, sent_at = NULL, delivered_at = NULL, read_at = NULL, failed_at = NULL
           WHERE company_id = $1 AND id = $2 AND direction = 'outbound' AND status IN ('failed', 'unknown')
             AND (author <> 'BUSINESS' OR attempts > 0 OR provider_message_id IS NULL)
           RETURNING id AS "id: MessageId", conversation_id AS "conversation_id: ConversationId",
                     status AS "status: MessageStatus", version"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Waits for every other transaction that is about to connect one of these provider ids with a message.
///
/// A status may arrive before the answer to the send that it is about was recorded. Whoever comes second, the
/// status or the record, must see what the first one wrote.
///
/// # Errors
/// Database errors only.
pub async fn lock_provider_ids(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    provider_message_ids: &[String],
) -> Result<()> {
    sqlx::query!(
        r#"SELECT count(pg_advisory_xact_lock(key)) AS "locked!"
           FROM (SELECT DISTINCT hashtextextended($1::text || id, 1) AS key FROM unnest($2::text[]) AS id
                 ORDER BY key) AS keys"#,
        connection_id.to_string(),
        provider_message_ids
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// Records the provider's id of a message that it accepted, whatever the status is by now.
///
/// # Errors
/// Database errors only.
pub async fn record_accepted(
    tx: &mut TenantTx,
    id: MessageId,
    provider_message_id: &str,
    now: DateTime<Utc>,
) -> Result<Option<Changed>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Changed,
        r#"UPDATE messages SET
               provider_message_id = $3,
               status = CASE WHEN message_status_rank(status) < message_status_rank('sent') THEN 'sent' ELSE status END,
               error = CASE WHEN message_status_rank(status) < message_status_rank('sent') THEN NULL ELSE error END,
               sent_at = coalesce(sent_at, $4), version = version + 1
           WHERE company_id = $1 AND id = $2
           RETURNING id AS "id: MessageId", conversation_id AS "conversation_id: ConversationId",
                     status AS "status: MessageStatus", version"#,
        company_id.0,
        id.0,
        provider_message_id,
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Everything that a batch reports of one message.
#[derive(Clone, Debug)]
pub struct Report {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The provider's id of the message.
    pub provider_message_id: String,
    /// Our message and its journey, where the provider echoed it.
    pub callback: Option<Callback>,
    /// The highest status reported.
    pub status: MessageStatus,
    /// When it was sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was delivered.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
    /// When it failed.
    pub failed_at: Option<DateTime<Utc>>,
    /// Why.
    pub error: Option<Value>,
    /// Pricing, verbatim; a later report adds to it.
    pub billing: Option<Value>,
}

/// What became of one report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// No message of ours has this id (yet).
    Unmatched,
    /// The message stands as high already.
    Unchanged,
    /// The message climbed.
    Changed(Changed),
}

/// Applies reports to the messages that they are about. Statuses only climb, in whatever order reports arrive.
/// Reports name each message once; the outcomes are in the same order.
///
/// # Errors
/// Database errors only.
pub async fn apply_reports(tx: &mut TenantTx, reports: &[Report]) -> Result<Vec<Applied>> {
    let company_id = tx.company_id();
    let connections: Vec<_> = reports.iter().map(|report| report.connection_id.0).collect();
    let provider_ids: Vec<_> = reports.iter().map(|report| report.provider_message_id.clone()).collect();
    let message_ids: Vec<_> =
        reports.iter().map(|report| report.callback.map(|callback| callback.message_id.0)).collect();
    let journeys: Vec<_> =
        reports.iter().map(|report| report.callback.map(|callback| callback.journey)).collect();
    let statuses: Vec<_> = reports.iter().map(|report| report.status).collect();
    let times = |value: fn(&Report) -> Option<DateTime<Utc>>| reports.iter().map(value).collect::<Vec<_>>();
    let sent = times(|report| report.sent_at);
    let delivered = times(|report| report.delivered_at);
    let read = times(|report| report.read_at);
    let failed = times(|report| report.failed_at);
    let errors: Vec<_> = reports.iter().map(|report| report.error.clone()).collect();
    let billing: Vec<_> = reports.iter().map(|report| report.billing.clone()).collect();
    // Locked in one order, so that two batches never wait for each other crosswise.
    let rows = sqlx::query!(
        r#"WITH report AS (
               SELECT * FROM unnest($2::uuid[], $3::text[], $4::uuid[], $12::smallint[], $5::text[], $6::timestamptz[],
                                    $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::jsonb[], $11::jsonb[])
                    WITH ORDINALITY AS r (connection_id, provider_message_id, message_id, journey, status, sent_at,
                                          delivered_at, read_at, failed_at, error, billing, position)),
           -- By the provider's id; or by ours, while the answer to the send was not recorded yet.
           candidate AS (
               SELECT r.position, m.id FROM report r JOIN messages m
                   ON m.company_id = $1 AND m.connection_id = r.connection_id
                  AND m.provider_message_id = r.provider_message_id
               UNION
               SELECT r.position, m.id FROM report r JOIN messages m
                   ON m.company_id = $1 AND m.id = r.message_id AND m.connection_id = r.connection_id
                  AND m.journey = r.journey
               WHERE m.provider_message_id IS NULL),
           matched AS MATERIALIZED (
               SELECT m.id AS matched_id, message_status_rank(r.status) > message_status_rank(m.status) AS climbs, r.*
               FROM candidate JOIN report r USING (position) JOIN messages m ON m.company_id = $1 AND m.id = candidate.id
               WHERE m.direction = 'outbound'
               ORDER BY m.id FOR NO KEY UPDATE OF m),
           changed AS (
               UPDATE messages m SET
                   provider_message_id = coalesce(m.provider_message_id, n.provider_message_id),
                   status = CASE WHEN n.climbs THEN n.status ELSE m.status END,
                   error = CASE WHEN n.climbs THEN n.error ELSE m.error END,
                   sent_at = coalesce(m.sent_at, n.sent_at),
                   delivered_at = coalesce(m.delivered_at, n.delivered_at),
                   read_at = coalesce(m.read_at, n.read_at),
                   failed_at = coalesce(m.failed_at, n.failed_at),
                   billing = CASE WHEN n.billing IS NULL THEN m.billing
                       -- What the report on a higher status says stands.
                       WHEN n.climbs THEN coalesce(m.billing, '{}') || n.billing
                       ELSE n.billing || coalesce(m.billing, '{}') END,
                   version = m.version + 1
               FROM matched n
               WHERE m.company_id = $1 AND m.id = n.matched_id
                 AND (n.climbs OR m.provider_message_id IS NULL OR (m.sent_at IS NULL AND n.sent_at IS NOT NULL)
                      OR (m.delivered_at IS NULL AND n.delivered_at IS NOT NULL)
                      OR NOT coalesce(m.billing, '{}') @> coalesce(n.billing, '{}'))
               RETURNING n.position, m.conversation_id, m.status, m.version)
           SELECT matched.position AS "position!", matched.matched_id AS "id!: MessageId", matched.climbs AS "climbs!",
                  changed.conversation_id AS "conversation_id?: ConversationId",
                  changed.status AS "status?: MessageStatus", changed.version AS "version?"
           FROM matched LEFT JOIN changed USING (position)"#,
        company_id.0,
        &connections,
        &provider_ids,
        &message_ids as _,
        &statuses as _,
        &sent as _,
        &delivered as _,
        &read as _,
        &failed as _,
        &errors as _,
        &billing as _,
        &journeys as _
    )
    .fetch_all(tx.connection())
    .await?;
    let mut applied = vec![Applied::Unmatched; reports.len()];
    for row in rows {
        let outcome = match (row.climbs, row.conversation_id, row.status, row.version) {
            (true, Some(conversation_id), Some(status), Some(version)) => {
                Applied::Changed(Changed { id: row.id, conversation_id, status, version })
            }
            _ => Applied::Unchanged,
        };
        if let Some(slot) = usize::try_from(row.position - 1).ok().and_then(|index| applied.get_mut(index)) {
            *slot = outcome;
        }
    }
    Ok(applied)
}
