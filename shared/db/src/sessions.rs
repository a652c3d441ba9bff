//! Sessions: who handles a stretch of a conversation.

use chrono::{DateTime, Utc};
use domain::session::{SessionStatus, StartedBy};
use domain::{ContactId, ConversationId, SessionId};
use uuid::Uuid;

use crate::{Result, TenantTx};

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

/// Finds or begins the open session of each conversation; `wanted` names each conversation once.
///
/// # Errors
/// Database errors only.
pub async fn ensure_open(
    tx: &mut TenantTx,
    wanted: &[Wanted],
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
        r#"WITH opened AS (
               INSERT INTO sessions AS s (company_id, id, conversation_id, contact_id, started_by, status,
                                          created_at, updated_at)
               SELECT $1, id, conversation_id, contact_id, started_by, status, $7, $7
               FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
                    AS new (id, conversation_id, contact_id, started_by, status)
               ORDER BY conversation_id
               ON CONFLICT (company_id, conversation_id) WHERE status <> 'CLOSED'
               DO UPDATE SET updated_at = EXCLUDED.updated_at
               RETURNING s.id, s.conversation_id, s.contact_id, s.status, s.concat_timeout, s.ai_blocked_until)
           SELECT o.id AS "id: SessionId", o.conversation_id AS "conversation_id: ConversationId",
                  o.status AS "status: SessionStatus", o.concat_timeout, o.ai_blocked_until, p.bypass_bots
           FROM opened o JOIN contacts p ON p.company_id = $1 AND p.id = o.contact_id"#,
        company_id.0,
        &ids,
        &conversations,
        &contacts,
        &started as _,
        &statuses as _,
        now
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

/// Lists sessions, newest first, after the position `before`.
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
    Ok(sqlx::query_as!(
        Session,
        r#"SELECT id AS "id: SessionId", contact_id AS "contact_id: ContactId",
                  conversation_id AS "conversation_id: ConversationId", status AS "status: SessionStatus",
                  started_by AS "started_by: StartedBy", status_reason, end_reason, external_id,
                  assigned_department_id, assigned_agent_id, assigned_customer_id, concat_timeout, ai_blocked_until,
                  tabulations, created_at, closed_at
           FROM sessions
           WHERE company_id = $1
             AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                     coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
             AND ($5::text IS NULL OR status = $5)
             AND ($6::uuid IS NULL OR contact_id = $6)
             AND ($7::uuid IS NULL OR assigned_agent_id = $7)
             AND ($8::uuid IS NULL OR assigned_department_id = $8)
             AND ($9::text IS NULL OR $9 = ANY(tabulations))
           ORDER BY created_at DESC, id DESC LIMIT $4"#,
        company_id.0,
        before_at,
        before_id,
        limit,
        filter.status as _,
        filter.contact_id as _,
        filter.agent_id,
        filter.department_id,
        filter.tag
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
                  tabulations, created_at, closed_at
           FROM sessions WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
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
