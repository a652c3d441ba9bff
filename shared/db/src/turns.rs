//! Turns: bursts of customer messages, each of which gets one answer.

use chrono::{DateTime, Utc};
use domain::turn::{LONGEST_WAIT, TurnState};
use domain::{CompanyId, ConversationId, MessageId, SessionId, TurnId};

use crate::{Result, SystemTx, TenantTx};

/// New messages of one session.
#[derive(Clone, Debug)]
pub struct Burst {
    /// The id that the turn gets if none is open.
    pub new_id: TurnId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The session.
    pub session_id: SessionId,
    /// The newest message.
    pub last_message_id: MessageId,
    /// When the turn is complete if nothing else comes.
    pub due_at: DateTime<Utc>,
}

/// An open turn after a burst was added.
#[derive(Clone, Debug)]
pub struct OpenTurn {
    /// Its id.
    pub id: TurnId,
    /// Its newest version.
    pub version: i32,
    /// When it is complete.
    pub due_at: DateTime<Utc>,
}

/// Adds bursts to the open turns of their sessions, or opens turns; `bursts` name each session once.
///
/// # Errors
/// Database errors only.
pub async fn extend(tx: &mut TenantTx, bursts: &[Burst], now: DateTime<Utc>) -> Result<Vec<OpenTurn>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = bursts.iter().map(|burst| burst.new_id.0).collect();
    let conversations: Vec<_> = bursts.iter().map(|burst| burst.conversation_id.0).collect();
    let sessions: Vec<_> = bursts.iter().map(|burst| burst.session_id.0).collect();
    let messages: Vec<_> = bursts.iter().map(|burst| burst.last_message_id.0).collect();
    let due: Vec<_> = bursts.iter().map(|burst| burst.due_at).collect();
    Ok(sqlx::query_as!(
        OpenTurn,
        r#"INSERT INTO turns AS t (company_id, id, conversation_id, session_id, state, last_message_id, first_at,
                                   due_at, updated_at)
           SELECT $1, id, conversation_id, session_id, 'open', last_message_id, $7, due_at, $7
           FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[])
                AS new (id, conversation_id, session_id, last_message_id, due_at)
           ORDER BY session_id
           ON CONFLICT (company_id, session_id) WHERE state = 'open' DO UPDATE SET
               version = t.version + 1,
               last_message_id = EXCLUDED.last_message_id,
               due_at = least(EXCLUDED.due_at, t.first_at + make_interval(secs => $8)),
               updated_at = EXCLUDED.updated_at
           RETURNING id AS "id: TurnId", version, due_at"#,
        company_id.0,
        &ids,
        &conversations,
        &sessions,
        &messages,
        &due,
        now,
        LONGEST_WAIT.num_seconds() as f64
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The session.
    pub session_id: SessionId,
    /// Where it stands.
    pub state: TurnState,
    /// Its newest message.
    pub last_message_id: MessageId,
    /// When the customer is taken to have finished.
    pub due_at: DateTime<Utc>,
}

/// Closes an open turn, if `version` is its newest; `None` when a later message, or a repeated job, was first.
///
/// # Errors
/// Database errors only.
pub async fn close(tx: &mut TenantTx, id: TurnId, version: i32, now: DateTime<Utc>) -> Result<Option<Turn>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Turn,
        r#"UPDATE turns SET state = 'ready', updated_at = $4
           WHERE company_id = $1 AND id = $2 AND version = $3 AND state = 'open'
           RETURNING id AS "id: TurnId", conversation_id AS "conversation_id: ConversationId",
                     session_id AS "session_id: SessionId", state AS "state: TurnState",
                     last_message_id AS "last_message_id: MessageId", due_at"#,
        company_id.0,
        id.0,
        version,
        now
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds a turn.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: TurnId) -> Result<Option<Turn>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Turn,
        r#"SELECT id AS "id: TurnId", conversation_id AS "conversation_id: ConversationId",
                  session_id AS "session_id: SessionId", state AS "state: TurnState",
                  last_message_id AS "last_message_id: MessageId", due_at
           FROM turns WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Whether a later turn of the same session is being answered, or was.
///
/// # Errors
/// Database errors only.
pub async fn is_superseded(tx: &mut TenantTx, session_id: SessionId, id: TurnId) -> Result<bool> {
    let company_id = tx.company_id();
    // Ids are UUIDv7: a later turn has a greater one.
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM turns WHERE company_id = $1 AND session_id = $2 AND id > $3
                                                AND state IN ('ready', 'answered')) AS "superseded!""#,
        company_id.0,
        session_id.0,
        id.0
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Ends a turn that is open or ready; `false` when it ended before.
///
/// # Errors
/// Database errors only.
pub async fn end(
    tx: &mut TenantTx,
    id: TurnId,
    state: TurnState,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let changed = sqlx::query!(
        "UPDATE turns SET state = $3, reason = $4, updated_at = $5
         WHERE company_id = $1 AND id = $2 AND state IN ('open', 'ready')",
        company_id.0,
        id.0,
        state as _,
        reason,
        now
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// A turn that waits although its job should have been done long ago.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    /// Whose it is.
    pub company_id: CompanyId,
    /// The turn.
    pub id: TurnId,
    /// Open or ready.
    pub state: TurnState,
    /// Its version.
    pub version: i32,
}

/// Up to `limit` turns of every company that were due, and last touched, before `before`. They count as touched now.
///
/// # Errors
/// Database errors only.
pub async fn touch_stuck(
    tx: &mut SystemTx,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Stuck>> {
    Ok(sqlx::query_as!(
        Stuck,
        r#"UPDATE turns SET updated_at = $2
           WHERE (company_id, id) IN (
               SELECT company_id, id FROM turns
               WHERE state IN ('open', 'ready') AND updated_at < $1 AND due_at < $1
               ORDER BY updated_at LIMIT $3 FOR UPDATE SKIP LOCKED)
           RETURNING company_id AS "company_id: CompanyId", id AS "id: TurnId", state AS "state: TurnState", version"#,
        before,
        now,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}
