//! The sessions of messages from before we knew of a conversation: one a conversation, over, and no place for new messages. One
//! that a person opens again is a session as every other from then on.

use chrono::{DateTime, Utc};
use domain::session::StartedBy;
use domain::{ContactId, ConversationId, SessionId};

use crate::{Result, TenantTx};

/// The session of a conversation that old messages stand in.
#[derive(Clone, Debug)]
pub struct Past {
    /// The id that it gets if there is none.
    pub new_id: SessionId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The contact.
    pub contact_id: ContactId,
    /// Who wrote first.
    pub started_by: StartedBy,
    /// When the oldest of the messages was written.
    pub began_at: DateTime<Utc>,
    /// When the newest of them was.
    pub ended_at: DateTime<Utc>,
}

/// Finds or makes the sessions of old messages, which are over, in the order of `past`; that names each conversation once.
///
/// # Errors
/// Database errors only.
pub async fn ensure(tx: &mut TenantTx, past: &[Past], now: DateTime<Utc>) -> Result<Vec<SessionId>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = past.iter().map(|past| past.new_id.0).collect();
    let conversations: Vec<_> = past.iter().map(|past| past.conversation_id.0).collect();
    let contacts: Vec<_> = past.iter().map(|past| past.contact_id.0).collect();
    let started: Vec<_> = past.iter().map(|past| past.started_by).collect();
    let began: Vec<_> = past.iter().map(|past| past.began_at).collect();
    let ended: Vec<_> = past.iter().map(|past| past.ended_at).collect();
    let rows = sqlx::query!(
        r#"INSERT INTO sessions AS s (company_id, id, conversation_id, contact_id, started_by, status, end_reason, is_past,
                                      created_at, closed_at, updated_at)
           SELECT $1, id, conversation_id, contact_id, started_by, 'CLOSED', 'history', true, began_at, ended_at, $8
           FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[])
                AS new (id, conversation_id, contact_id, started_by, began_at, ended_at)
           ORDER BY conversation_id
           ON CONFLICT (company_id, conversation_id) WHERE is_past
           DO UPDATE SET started_by = CASE WHEN EXCLUDED.created_at < s.created_at THEN EXCLUDED.started_by
                                           ELSE s.started_by END,
                         created_at = least(s.created_at, EXCLUDED.created_at),
                         closed_at = greatest(s.closed_at, EXCLUDED.closed_at)
           RETURNING s.id AS "id: SessionId", s.conversation_id AS "conversation_id: ConversationId""#,
        company_id.0,
        &ids,
        &conversations,
        &contacts,
        &started as _,
        &began,
        &ended,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    let by_conversation: std::collections::HashMap<_, _> =
        rows.into_iter().map(|row| (row.conversation_id, row.id)).collect();
    past.iter()
        .map(|past| {
            by_conversation
                .get(&past.conversation_id)
                .copied()
                .ok_or(crate::Error::Sqlx(sqlx::Error::RowNotFound))
        })
        .collect()
}
