//! How conversations are listed.

use chrono::{DateTime, Utc};
use domain::{ConnectionId, ContactId, ConversationId, DepartmentId, MessageId, UserId};
use uuid::Uuid;

use super::Conversation;
use super::search::{HASHED, Question, Range};
use crate::{Result, TenantTx};

/// Which conversations to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `open` or `closed`.
    pub status: Option<String>,
    /// Over one connection.
    pub connection_id: Option<ConnectionId>,
    /// With one contact.
    pub contact_id: Option<ContactId>,
    /// Held by one member.
    pub assignee_id: Option<UserId>,
    /// Held by a member (`true`) or by none (`false`).
    pub assigned: Option<bool>,
    /// Held by one department.
    pub department_id: Option<DepartmentId>,
    /// With one tag.
    pub tag: Option<String>,
    /// Over one channel, `whatsapp_cloud`, …: what [`list`] is told of as the connections of [`Narrowed`].
    pub channel: Option<String>,
    /// With unread messages (`true`) or without (`false`).
    pub unread: Option<bool>,
    /// Group chats too.
    pub include_groups: bool,
}

/// What else must be true of the conversations of a list; see [`search`](super::search).
#[derive(Clone, Debug, Default)]
pub struct Narrowed {
    /// One of these.
    pub ids: Option<Vec<ConversationId>>,
    /// Over one of these connections.
    pub connections: Option<Vec<ConnectionId>>,
    /// They answer the question.
    pub question: Option<Question>,
    /// Where no more than [`HASHED`] have one of the question's names: those terms.
    pub named: Option<Range>,
}

/// Lists conversations, latest activity first, after the position `before`.
///
/// Tags are looked at row by row, and so is what a question asks: what makes them few stands in `narrowed.ids`. The question
/// is asked in subqueries, or the planner would read all contacts for those of a name, which it believes to be few. A name
/// that some have is looked up in a hash table of theirs first, which takes a tenth of the time that comparing it does.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    narrowed: &Narrowed,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Conversation>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    let ids: Option<Vec<Uuid>> = narrowed.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect());
    let connections = narrowed.connections.as_ref();
    let connections: Option<Vec<Uuid>> = connections.map(|ids| ids.iter().map(|id| id.0).collect());
    let question = narrowed.question.clone().unwrap_or_default();
    let names = question.name_patterns();
    let (named_from, named_to) = narrowed.named.as_ref().map(|range| (&range.low, &range.high)).unzip();
    Ok(sqlx::query_as!(
        Conversation,
        r#"SELECT c.id AS "id: ConversationId", c.contact_id AS "contact_id: ContactId", p.name AS contact_name,
                  p.phone AS contact_phone, p.username AS contact_username,
                  c.connection_id AS "connection_id: ConnectionId", c.channel, c.status, c.unread_count,
                  c.last_message_id AS "last_message_id: MessageId", c.last_inbound_at, c.assignee_id, c.department_id,
                  c.tags, c.is_group, c.version, c.updated_at
           FROM conversations c
           JOIN contacts p ON p.company_id = c.company_id AND p.id = c.contact_id
           WHERE c.company_id = $1
             AND (c.updated_at, c.id) < (coalesce($2, 'infinity'::timestamptz),
                                         coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
             AND ($5::text IS NULL OR c.status = $5)
             AND ($6::uuid IS NULL OR c.connection_id = $6)
             AND ($7::uuid IS NULL OR c.contact_id = $7)
             AND ($8::bool IS NULL OR (c.unread_count > 0) = $8)
             AND ($9 OR NOT c.is_group)
             AND ($10::uuid IS NULL OR c.assignee_id = $10)
             AND ($22::bool IS NULL OR (c.assignee_id IS NOT NULL) = $22)
             AND ($11::uuid IS NULL OR c.department_id = $11)
             AND ($12::text IS NULL OR c.tags @> ARRAY[$12])
             AND ($13::uuid[] IS NULL OR c.connection_id = ANY($13))
             AND ($14::uuid[] IS NULL OR c.id = ANY($14))
             AND (NOT $15
                  OR (cardinality($16::text[]) > 0
                      AND (SELECT count(*) = cardinality($16) FROM conversation_terms t
                           WHERE t.company_id = $1 AND t.term = ANY($16) AND t.conversation_id = c.id))
                  OR (cardinality($17::text[]) > 0
                      AND ($19::text IS NULL
                           OR c.id IN (SELECT t.conversation_id FROM conversation_terms t
                                       WHERE t.company_id = $1 AND t.term >= $19 AND t.term < $20 LIMIT $21))
                      AND (SELECT folded(n.name) ~ ALL($17)
                           FROM contacts n WHERE n.company_id = $1 AND n.id = c.contact_id))
                  OR (cardinality($18::text[]) > 0
                      AND EXISTS (SELECT 1 FROM contacts n, unnest(search_terms_of_contact('', n.phone)) AS own (term)
                                  WHERE n.company_id = $1 AND n.id = c.contact_id AND own.term ^@ ANY($18))))
           ORDER BY c.updated_at DESC, c.id DESC LIMIT $4"#,
        company_id.0,
        before_at,
        before_id,
        limit,
        filter.status,
        filter.connection_id as _,
        filter.contact_id as _,
        filter.unread,
        filter.include_groups,
        filter.assignee_id as _,
        filter.department_id as _,
        filter.tag,
        connections.as_deref(),
        ids.as_deref(),
        narrowed.question.is_some(),
        &question.words,
        &names,
        &question.numbers,
        named_from,
        named_to,
        HASHED,
        filter.assigned
    )
    .fetch_all(tx.connection())
    .await?)
}
