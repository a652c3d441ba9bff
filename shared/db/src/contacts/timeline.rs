//! All that happened with a contact, newest first.

use chrono::{DateTime, Utc};
use domain::ContactId;
use serde_json::Value;
use uuid::Uuid;

use crate::{Result, TenantTx};

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What: `contact_created`, `contact_changed`, `note`, `opt_out`, `opt_in`, `session_started`, `session_changed`,
    /// `session_closed`, `conversation_changed`, `message`, `contact_merged`, `contact_unmerged`, and `lead_` with what
    /// happened to one.
    pub kind: String,
    /// The id of the note, the session, the entry of the lead's history, …
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// The words of it, of a message its first line.
    pub text: Option<String>,
    /// Which person or key did it, where that is known.
    pub actor_id: Option<Uuid>,
    /// The kind's own fields, an object.
    pub detail: Value,
}

/// Lists what happened, newest first, after the position `before`. Each kind is read by an index of its own and gives no
/// more than a page, so a page costs the same wherever it lies.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    contact_id: ContactId,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Entry>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Entry,
        r#"SELECT kind AS "kind!", id AS "id!", at AS "at!", text, actor_id, detail AS "detail!" FROM (
               (SELECT 'contact_created' AS kind, c.id, c.created_at AS at, NULL AS text, NULL::uuid AS actor_id,
                       jsonb_build_object('source', c.source) AS detail
                FROM contacts c
                WHERE c.company_id = $1 AND c.id = $2
                  AND (c.created_at, c.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)))
               UNION ALL
               (SELECT 'note', n.id, n.created_at, n.text, n.author_user_id,
                       jsonb_build_object('updated_at', n.updated_at)
                FROM contact_notes n
                WHERE n.company_id = $1 AND n.contact_id = $2
                  AND (n.created_at, n.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                ORDER BY n.created_at DESC, n.id DESC LIMIT $5)
               UNION ALL
               (SELECT o.kind, o.id, o.at, o.proof, o.actor_id,
                       jsonb_build_object('scope', o.scope, 'source', o.source, 'actor_kind', o.actor_kind,
                                          'message_id', o.message_id)
                FROM contact_consents o
                WHERE o.company_id = $1 AND o.contact_id = $2
                  AND (o.at, o.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                ORDER BY o.at DESC, o.id DESC LIMIT $5)
               UNION ALL
               (SELECT h.kind, h.id, h.at, NULL, h.actor_id,
                       jsonb_build_object('actor_kind', h.actor_kind, 'was', h.was, 'became', h.became)
                       || CASE h.kind
                              WHEN 'conversation_changed' THEN jsonb_build_object('conversation_id', h.object_id)
                              WHEN 'session_changed' THEN jsonb_build_object('session_id', h.object_id)
                              ELSE jsonb_strip_nulls(jsonb_build_object('import_id', h.object_id)) END
                FROM contact_history h
                WHERE h.company_id = $1 AND h.contact_id = $2
                  AND (h.at, h.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                ORDER BY h.at DESC, h.id DESC LIMIT $5)
               UNION ALL
               (SELECT 'session_started', s.id, s.created_at, NULL, NULL,
                       jsonb_build_object('conversation_id', s.conversation_id, 'started_by', s.started_by)
                FROM sessions s
                WHERE s.company_id = $1 AND s.contact_id = $2
                  AND (s.created_at, s.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                ORDER BY s.created_at DESC, s.id DESC LIMIT $5)
               UNION ALL
               (SELECT 'session_closed', s.id, s.closed_at, s.end_reason, NULL,
                       jsonb_build_object('conversation_id', s.conversation_id)
                FROM sessions s
                WHERE s.company_id = $1 AND s.contact_id = $2 AND s.closed_at IS NOT NULL
                  AND (s.closed_at, s.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                ORDER BY s.closed_at DESC, s.id DESC LIMIT $5)
               UNION ALL
               (SELECT 'message', m.id, m.occurred_at, left(split_part(m.text, E'\n', 1), 200), m.author_user_id,
                       jsonb_build_object('conversation_id', m.conversation_id, 'session_id', m.session_id,
                                          'direction', m.direction, 'author', m.author, 'type', m.type,
                                          'status', m.status)
                FROM messages m
                WHERE m.company_id = $1 AND m.contact_id = $2
                  AND (m.occurred_at, m.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                ORDER BY m.occurred_at DESC, m.id DESC LIMIT $5)
               UNION ALL
               (SELECT 'lead_' || h.kind, h.id, h.at, h.reason, h.actor_id,
                       jsonb_build_object('lead_id', l.id, 'title', l.title, 'actor_kind', h.actor_kind, 'was', h.was,
                                          'became', h.became)
                FROM leads l
                CROSS JOIN LATERAL (
                    SELECT * FROM lead_history
                    WHERE company_id = $1 AND lead_id = l.id
                      AND (at, id) <
                          (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                    ORDER BY at DESC, id DESC LIMIT $5) AS h
                WHERE l.company_id = $1 AND l.contact_id = $2
                ORDER BY h.at DESC, h.id DESC LIMIT $5)
               UNION ALL
               (SELECT happened.kind, m.id, happened.at, NULL, NULL,
                       jsonb_build_object('contact_id', m.contact_id, 'into_id', m.into_id)
                FROM contact_merges m
                CROSS JOIN LATERAL (VALUES ('contact_merged', m.merged_at), ('contact_unmerged', m.undone_at))
                    AS happened (kind, at)
                WHERE m.company_id = $1 AND (m.into_id = $2 OR m.contact_id = $2)
                  AND (happened.at, m.id) <
                      (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                ORDER BY happened.at DESC, m.id DESC LIMIT $5)) AS happened
           ORDER BY at DESC, id DESC LIMIT $5"#,
        company_id.0,
        contact_id.0,
        before_at,
        before_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}
