//! Sessions: who handles a stretch of a conversation.
//!
//! Rooms: here those of today · [`past`] those of old messages.

pub mod past;

use chrono::{DateTime, Utc};
use domain::session::{SessionStatus, StartedBy};
use domain::{CompanyId, ContactId, ConversationId, DepartmentId, SessionId, UserId};
use uuid::Uuid;

use crate::error::OnConstraint as _;
use crate::{Result, SystemTx, TenantTx};

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The customer.
    pub contact_id: ContactId,
    /// The conversation that it is a stretch of.
    pub conversation_id: ConversationId,
    /// Where it stands.
    pub status: SessionStatus,
    /// Who began it.
    pub started_by: StartedBy,
    /// Why it stands there.
    pub status_reason: Option<String>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// Id in the company's own system.
    pub external_id: Option<String>,
    /// Assigned department.
    pub assigned_department_id: Option<Uuid>,
    /// Assigned agent.
    pub assigned_agent_id: Option<Uuid>,
    /// Assigned customer.
    pub assigned_customer_id: Option<Uuid>,
    /// Seconds of silence that end a customer's burst.
    pub concat_timeout: i32,
    /// The AI is silent until then.
    pub ai_blocked_until: Option<DateTime<Utc>>,
    /// Why it is.
    pub ai_block_reason: Option<String>,
    /// Tags.
    pub tabulations: Vec<String>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub closed_at: Option<DateTime<Utc>>,
}

/// A session that a conversation gets if it has none that is open.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The id that it gets if it is new.
    pub new_id: SessionId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The customer.
    pub contact_id: ContactId,
    /// Who begins it.
    pub started_by: StartedBy,
    /// Where it begins.
    pub status: SessionStatus,
}

/// What inbound work needs to know of an open session.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// Its id.
    pub id: SessionId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Where it stands.
    pub status: SessionStatus,
    /// Seconds of silence that end a burst.
    pub concat_timeout: i32,
    /// The AI is silent until then.
    pub ai_blocked_until: Option<DateTime<Utc>>,
    /// The AI leaves this customer alone.
    pub bypass_bots: bool,
}

/// Finds or begins the open session of each conversation, which is open again then; `wanted` names each conversation
/// once. A session that begins is held by whoever holds its conversation. With `may_stay_closed`, a company whose setting
/// says so ([`ClosedSessions`](domain::session::ClosedSessions)) gets the last one, over as it is, where all are over.
///
/// # Errors
/// Database errors only.
pub async fn ensure_open(
    tx: &mut TenantTx,
    wanted: &[Wanted],
    may_stay_closed: bool,
    now: DateTime<Utc>,
) -> Result<Vec<OpenSession>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = wanted.iter().map(|wanted| wanted.new_id.0).collect();
    let conversations: Vec<_> = wanted.iter().map(|wanted| wanted.conversation_id.0).collect();
    let contacts: Vec<_> = wanted.iter().map(|wanted| wanted.contact_id.0).collect();
    let started: Vec<_> = wanted.iter().map(|wanted| wanted.started_by).collect();
    let statuses: Vec<_> = wanted.iter().map(|wanted| wanted.status).collect();
    // The no-op update makes RETURNING give the session that was there; it is on the row that we lock anyway.
    Ok(sqlx::query_as!(
        OpenSession,
        r#"WITH new AS (
               SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
                    AS new (id, conversation_id, contact_id, started_by, status)),
           last AS (
               SELECT DISTINCT ON (s.conversation_id) s.id, s.conversation_id, s.contact_id, s.status, s.concat_timeout,
                      s.ai_blocked_until
               FROM new JOIN sessions s ON s.company_id = $1 AND s.conversation_id = new.conversation_id
               WHERE $8 AND NOT s.is_past AND EXISTS (SELECT 1 FROM companies
                                    WHERE id = $1 AND settings ->> 'closed_sessions' = 'stay_closed')
               ORDER BY s.conversation_id, s.status <> 'CLOSED' DESC, s.created_at DESC, s.id DESC),
           over AS (SELECT * FROM last WHERE status = 'CLOSED'),
           opened AS (
               INSERT INTO sessions AS s (company_id, id, conversation_id, contact_id, started_by, status, status_reason,
                                          assigned_agent_id, assigned_department_id, concat_timeout, created_at,
                                          updated_at)
               SELECT $1, new.id, conversation_id, new.contact_id, started_by,
                      CASE WHEN c.assignee_id IS NOT NULL AND new.status = 'QUEUED' THEN 'ACTIVE' ELSE new.status END,
                      CASE WHEN c.assignee_id IS NOT NULL AND new.status = 'QUEUED' THEN 'assigned' END,
                      c.assignee_id, c.department_id,
                      coalesce((SELECT (settings ->> 'concat_timeout')::integer FROM companies WHERE id = $1), 6),
                      $7, $7
               FROM new JOIN conversations c ON c.company_id = $1 AND c.id = new.conversation_id
               WHERE NOT EXISTS (SELECT 1 FROM over WHERE over.conversation_id = new.conversation_id)
               ORDER BY conversation_id
               ON CONFLICT (company_id, conversation_id) WHERE status <> 'CLOSED'
               DO UPDATE SET updated_at = EXCLUDED.updated_at
               RETURNING s.id, s.conversation_id, s.contact_id, s.status, s.concat_timeout, s.ai_blocked_until),
           reopened AS (
               UPDATE conversations c SET status = 'open' FROM opened
               WHERE c.company_id = $1 AND c.id = opened.conversation_id AND c.status = 'closed')
           SELECT s.id AS "id!: SessionId", s.conversation_id AS "conversation_id!: ConversationId",
                  s.status AS "status!: SessionStatus", s.concat_timeout AS "concat_timeout!", s.ai_blocked_until,
                  p.bypass_bots
           FROM (SELECT * FROM opened UNION ALL SELECT * FROM over) AS s
           JOIN contacts p ON p.company_id = $1 AND p.id = s.contact_id"#,
        company_id.0,
        &ids,
        &conversations,
        &contacts,
        &started as _,
        &statuses as _,
        now,
        may_stay_closed
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one status.
    pub status: Option<SessionStatus>,
    /// Of one contact.
    pub contact_id: Option<ContactId>,
    /// Assigned to one agent.
    pub agent_id: Option<Uuid>,
    /// Assigned to one department.
    pub department_id: Option<Uuid>,
    /// With one tag.
    pub tag: Option<String>,
}

/// Lists sessions, newest first, after the position `before`. Those with a tag have an order of their own: below row-level
/// security no index answers `tabulations @> …`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Session>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    if let Some(tag) = &filter.tag {
        return Ok(sqlx::query_as!(
            Session,
            r#"SELECT s.id AS "id: SessionId", s.contact_id AS "contact_id: ContactId",
                      s.conversation_id AS "conversation_id: ConversationId", s.status AS "status: SessionStatus",
                      s.started_by AS "started_by: StartedBy", s.status_reason, s.end_reason, s.external_id,
                      s.assigned_department_id, s.assigned_agent_id, s.assigned_customer_id, s.concat_timeout,
                      s.ai_blocked_until, s.ai_block_reason, s.tabulations, s.created_at, s.closed_at
               FROM session_tags t JOIN sessions s ON s.company_id = t.company_id AND s.id = t.session_id
               WHERE t.company_id = $1 AND t.tag = $9
                 AND (t.created_at, t.session_id) < (coalesce($2, 'infinity'::timestamptz),
                                                     coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                 AND ($5::text IS NULL OR s.status = $5)
                 AND ($6::uuid IS NULL OR s.contact_id = $6)
                 AND ($7::uuid IS NULL OR s.assigned_agent_id = $7)
                 AND ($8::uuid IS NULL OR s.assigned_department_id = $8)
               ORDER BY t.created_at DESC, t.session_id DESC LIMIT $4"#,
            company_id.0,
            before_at,
            before_id,
            limit,
            filter.status as _,
            filter.contact_id as _,
            filter.agent_id,
            filter.department_id,
            tag
        )
        .fetch_all(tx.connection())
        .await?);
    }
    Ok(sqlx::query_as!(
        Session,
        r#"SELECT id AS "id: SessionId", contact_id AS "contact_id: ContactId",
                  conversation_id AS "conversation_id: ConversationId", status AS "status: SessionStatus",
                  started_by AS "started_by: StartedBy", status_reason, end_reason, external_id,
                  assigned_department_id, assigned_agent_id, assigned_customer_id, concat_timeout, ai_blocked_until,
                  ai_block_reason, tabulations, created_at, closed_at
           FROM sessions
           WHERE company_id = $1
             AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                     coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
             AND ($5::text IS NULL OR status = $5)
             AND ($6::uuid IS NULL OR contact_id = $6)
             AND ($7::uuid IS NULL OR assigned_agent_id = $7)
             AND ($8::uuid IS NULL OR assigned_department_id = $8)
           ORDER BY created_at DESC, id DESC LIMIT $4"#,
        company_id.0,
        before_at,
        before_id,
        limit,
        filter.status as _,
        filter.contact_id as _,
        filter.agent_id,
        filter.department_id
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds a session.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: SessionId) -> Result<Option<Session>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Session,
        r#"SELECT id AS "id: SessionId", contact_id AS "contact_id: ContactId",
                  conversation_id AS "conversation_id: ConversationId", status AS "status: SessionStatus",
                  started_by AS "started_by: StartedBy", status_reason, end_reason, external_id,
                  assigned_department_id, assigned_agent_id, assigned_customer_id, concat_timeout, ai_blocked_until,
                  ai_block_reason, tabulations, created_at, closed_at
           FROM sessions WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds a session, and keeps others from changing it. The caller has locked its conversation: everywhere that one comes
/// first.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: SessionId) -> Result<Option<Session>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Session,
        r#"SELECT id AS "id: SessionId", contact_id AS "contact_id: ContactId",
                  conversation_id AS "conversation_id: ConversationId", status AS "status: SessionStatus",
                  started_by AS "started_by: StartedBy", status_reason, end_reason, external_id,
                  assigned_department_id, assigned_agent_id, assigned_customer_id, concat_timeout, ai_blocked_until,
                  ai_block_reason, tabulations, created_at, closed_at
           FROM sessions WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The session of a conversation that is not over, kept from others as by [`find_for_update`].
///
/// # Errors
/// Database errors only.
pub async fn find_open_for_update(
    tx: &mut TenantTx,
    conversation_id: ConversationId,
) -> Result<Option<Session>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Session,
        r#"SELECT id AS "id: SessionId", contact_id AS "contact_id: ContactId",
                  conversation_id AS "conversation_id: ConversationId", status AS "status: SessionStatus",
                  started_by AS "started_by: StartedBy", status_reason, end_reason, external_id,
                  assigned_department_id, assigned_agent_id, assigned_customer_id, concat_timeout, ai_blocked_until,
                  ai_block_reason, tabulations, created_at, closed_at
           FROM sessions WHERE company_id = $1 AND conversation_id = $2 AND status <> 'CLOSED' FOR NO KEY UPDATE"#,
        company_id.0,
        conversation_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The session of a conversation that is not over, or the last one that is.
///
/// # Errors
/// Database errors only.
pub async fn find_last(tx: &mut TenantTx, conversation_id: ConversationId) -> Result<Option<SessionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: SessionId" FROM sessions WHERE company_id = $1 AND conversation_id = $2
           ORDER BY status <> 'CLOSED' DESC, created_at DESC, id DESC LIMIT 1"#,
        company_id.0,
        conversation_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Writes what may change of a session that was found [for update](find_for_update).
///
/// # Errors
/// `Conflict` when it begins anew beside another one of its conversation that is not over.
pub async fn update(tx: &mut TenantTx, session: &Session, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE sessions SET status = $3, status_reason = $4, end_reason = $5, assigned_department_id = $6,
             assigned_agent_id = $7, assigned_customer_id = $8, ai_blocked_until = $9, ai_block_reason = $10,
             tabulations = $11, closed_at = $12, updated_at = $13, is_past = is_past AND $3 = 'CLOSED'
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        session.id.0,
        session.status as _,
        session.status_reason,
        session.end_reason,
        session.assigned_department_id,
        session.assigned_agent_id,
        session.assigned_customer_id,
        session.ai_blocked_until,
        session.ai_block_reason,
        &session.tabulations,
        session.closed_at,
        now
    )
    .execute(tx.connection())
    .await
    .on_constraint("sessions_open", "another session of this conversation is not over yet")?;
    Ok(())
}

/// A session whose silence is over.
#[derive(Clone, Copy, Debug)]
pub struct Unsilenced {
    /// Whose it is.
    pub company_id: CompanyId,
    /// The session.
    pub id: SessionId,
    /// Its conversation.
    pub conversation_id: ConversationId,
}

/// Lifts up to `limit` silences of the AI that are over, of every company.
///
/// # Errors
/// Database errors only.
pub async fn lift_silences(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> Result<Vec<Unsilenced>> {
    Ok(sqlx::query_as!(
        Unsilenced,
        r#"UPDATE sessions SET ai_blocked_until = NULL, ai_block_reason = NULL, updated_at = $1
           WHERE (company_id, id) IN (SELECT company_id, id FROM sessions WHERE ai_blocked_until <= $1
                                      ORDER BY ai_blocked_until LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING company_id AS "company_id: CompanyId", id AS "id: SessionId",
                     conversation_id AS "conversation_id: ConversationId""#,
        now,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// What decides whether the AI may speak in a session.
#[derive(Clone, Debug)]
pub struct AiStanding {
    /// Where the session stands.
    pub status: SessionStatus,
    /// The AI is silent until then.
    pub ai_blocked_until: Option<DateTime<Utc>>,
    /// The AI leaves this customer alone.
    pub bypass_bots: bool,
    /// Somebody answers for the connection.
    pub persona_id: Option<domain::PersonaId>,
}

/// Finds what decides whether the AI may speak.
///
/// # Errors
/// Database errors only.
pub async fn find_ai_standing(tx: &mut TenantTx, id: SessionId) -> Result<Option<AiStanding>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        AiStanding,
        r#"SELECT s.status AS "status: SessionStatus", s.ai_blocked_until, p.bypass_bots,
                  n.persona_id AS "persona_id: domain::PersonaId"
           FROM sessions s
           JOIN contacts p ON p.company_id = s.company_id AND p.id = s.contact_id
           JOIN conversations c ON c.company_id = s.company_id AND c.id = s.conversation_id
           JOIN connections n ON n.company_id = c.company_id AND n.id = c.connection_id
           WHERE s.company_id = $1 AND s.id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Moves a session from one of `from` to `to`; `false` when it stands elsewhere.
///
/// # Errors
/// Database errors only.
pub async fn set_status(
    tx: &mut TenantTx,
    id: SessionId,
    from: &[SessionStatus],
    to: SessionStatus,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let changed = sqlx::query!(
        "UPDATE sessions SET status = $4, status_reason = $5, updated_at = $6
         WHERE company_id = $1 AND id = $2 AND status = ANY($3)",
        company_id.0,
        id.0,
        from as _,
        to as _,
        reason,
        now
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// All sessions of a contact, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn list_for_contact(tx: &mut TenantTx, contact_id: ContactId) -> Result<Vec<Session>> {
    let filter = Filter { contact_id: Some(contact_id), ..Filter::default() };
    let mut sessions = list(tx, &filter, None, i64::MAX).await?;
    sessions.reverse();
    Ok(sessions)
}

/// A session that lost who held it, and its conversation.
#[derive(Clone, Copy, Debug)]
pub struct Released {
    /// Its id.
    pub id: SessionId,
    /// Its conversation.
    pub conversation_id: ConversationId,
}

/// Takes the sessions that are not over off a person who leaves the company: they wait again.
///
/// # Errors
/// Database errors only.
pub async fn release_all_of(tx: &mut TenantTx, user_id: UserId, now: DateTime<Utc>) -> Result<Vec<Released>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Released,
        r#"UPDATE sessions SET assigned_agent_id = NULL, updated_at = $3,
                  status = CASE WHEN status = 'ACTIVE' THEN 'QUEUED' ELSE status END,
                  status_reason = CASE WHEN status = 'ACTIVE' THEN 'assigned' ELSE status_reason END
           WHERE company_id = $1 AND assigned_agent_id = $2 AND status <> 'CLOSED'
           RETURNING id AS "id: SessionId", conversation_id AS "conversation_id: ConversationId""#,
        company_id.0,
        user_id.0,
        now
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Takes the sessions that are not over out of a department that there will not be.
///
/// # Errors
/// Database errors only.
pub async fn leave_department(
    tx: &mut TenantTx,
    department_id: DepartmentId,
    now: DateTime<Utc>,
) -> Result<Vec<Released>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Released,
        r#"UPDATE sessions SET assigned_department_id = NULL, updated_at = $3
           WHERE company_id = $1 AND assigned_department_id = $2 AND status <> 'CLOSED'
           RETURNING id AS "id: SessionId", conversation_id AS "conversation_id: ConversationId""#,
        company_id.0,
        department_id.0,
        now
    )
    .fetch_all(tx.connection())
    .await?)
}
