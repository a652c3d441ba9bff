//! People who want to be forgotten: the words go, and what was counted stays.

use chrono::{DateTime, Utc};
use domain::{ContactId, ErasureId};
use uuid::Uuid;

use crate::{Result, TenantTx};

/// The erasure of one person.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// Whose.
    pub contact_id: ContactId,
    /// `running` or `done`.
    pub state: String,
    /// Messages that hold nothing of the person any more.
    pub messages: i64,
    /// The last message that it came to.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When nothing was left.
    pub finished_at: Option<DateTime<Utc>>,
}

macro_rules! erasure {
    ($row:expr) => {
        $row.map(|row| Erasure {
            id: row.id,
            contact_id: row.contact_id,
            state: row.state,
            messages: row.messages,
            after: row.after_at.zip(row.after_id),
            requested_at: row.requested_at,
            finished_at: row.finished_at,
        })
    };
}

/// Begins one.
///
/// # Errors
/// Database errors only.
pub async fn insert(
    tx: &mut TenantTx,
    id: ErasureId,
    contact_id: ContactId,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO erasures (company_id, id, contact_id, state, requested_at) VALUES ($1, $2, $3, 'running', $4)",
        company_id.0,
        id.0,
        contact_id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The erasure of a contact.
///
/// # Errors
/// Database errors only.
pub async fn find_of_contact(tx: &mut TenantTx, contact_id: ContactId) -> Result<Option<Erasure>> {
    let company_id = tx.company_id();
    let row = sqlx::query!(
        r#"SELECT id AS "id: ErasureId", contact_id AS "contact_id: ContactId", state, messages, after_at, after_id,
                  requested_at, finished_at
           FROM erasures WHERE company_id = $1 AND contact_id = $2"#,
        company_id.0,
        contact_id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(erasure!(row))
}

/// Finds one, and keeps another worker from going on with it.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: ErasureId) -> Result<Option<Erasure>> {
    let company_id = tx.company_id();
    let row = sqlx::query!(
        r#"SELECT id AS "id: ErasureId", contact_id AS "contact_id: ContactId", state, messages, after_at, after_id,
                  requested_at, finished_at
           FROM erasures WHERE company_id = $1 AND id = $2 FOR UPDATE"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(erasure!(row))
}

/// Writes how far one got.
///
/// # Errors
/// Database errors only.
pub async fn update(tx: &mut TenantTx, erasure: &Erasure) -> Result<()> {
    let company_id = tx.company_id();
    let (after_at, after_id) = erasure.after.unzip();
    sqlx::query!(
        "UPDATE erasures SET state = $3, messages = $4, after_at = $5, after_id = $6, finished_at = $7
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        erasure.id.0,
        erasure.state,
        erasure.messages,
        after_at,
        after_id,
        erasure.finished_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes the person out of contacts; when the contacts came, and what they refused, stays.
///
/// # Errors
/// Database errors only.
pub async fn erase_contacts(tx: &mut TenantTx, contacts: &[ContactId], now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
    sqlx::query!(
        "UPDATE contacts SET name = '', phone = NULL, email = NULL, username = NULL, external_id = NULL, custom = '{}',
             tags = '{}', erased_at = $3, updated_at = $3
         WHERE company_id = $1 AND id = ANY($2)",
        company_id.0,
        &contacts,
        now
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "UPDATE contact_merges SET had = '{}', got = '{}'
         WHERE company_id = $1 AND (contact_id = ANY($2) OR into_id = ANY($2))",
        company_id.0,
        &contacts
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes the notes on a contact away.
///
/// # Errors
/// Database errors only.
pub async fn delete_notes(tx: &mut TenantTx, id: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("DELETE FROM contact_notes WHERE company_id = $1 AND contact_id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Takes the person's words out of what an erased contact said about being written to; that it was said stays.
///
/// # Errors
/// Database errors only.
pub async fn erase_consents(tx: &mut TenantTx, id: ContactId) -> Result<()> {
    sqlx::query_scalar!(r#"SELECT erase_consents($1) AS "consents!""#, id.0)
        .fetch_one(tx.connection())
        .await?;
    Ok(())
}

/// Takes what people wrote about the person out of a contact's leads and their history; where they stand, and what they
/// are worth, stays.
///
/// # Errors
/// Database errors only.
pub async fn erase_leads(tx: &mut TenantTx, id: ContactId, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE lead_history h SET reason = NULL,
             was = CASE jsonb_typeof(h.was) WHEN 'object'
                 THEN h.was - ARRAY['title', 'notes', 'tags', 'lost_reason'] ELSE h.was END,
             became = CASE jsonb_typeof(h.became) WHEN 'object'
                 THEN h.became - ARRAY['title', 'notes', 'tags', 'lost_reason'] ELSE h.became END
         WHERE h.company_id = $1
           AND h.lead_id IN (SELECT l.id FROM leads l WHERE l.company_id = $1 AND l.contact_id = $2)",
        company_id.0,
        id.0
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "UPDATE leads SET title = '-', notes = NULL, tags = '{}', lost_reason = NULL, version = version + 1,
             updated_at = $3
         WHERE company_id = $1 AND contact_id = $2",
        company_id.0,
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes a contact's addresses away: whoever writes from one of them is somebody new.
///
/// # Errors
/// Database errors only.
pub async fn delete_addresses(tx: &mut TenantTx, id: ContactId) -> Result<Vec<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "DELETE FROM contact_addresses WHERE company_id = $1 AND contact_id = $2 RETURNING value",
        company_id.0,
        id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Takes the person out of a contact's conversations, and closes them; groups go on without an address of theirs. Of tags
/// those stay that the company chooses from, which are counted. Each of the values that an address had is told.
///
/// # Errors
/// Database errors only.
pub async fn erase_conversations(
    tx: &mut TenantTx,
    id: ContactId,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"WITH was AS MATERIALIZED (
               SELECT id, address_value FROM conversations WHERE company_id = $1 AND contact_id = $2
               ORDER BY id FOR NO KEY UPDATE)
           UPDATE conversations c SET address_kind = 'external', address_value = '',
               tags = CASE WHEN c.is_group THEN c.tags ELSE known_tags($1, c.tags) END,
               status = CASE WHEN c.is_group THEN c.status ELSE 'closed' END,
               unread_count = CASE WHEN c.is_group THEN c.unread_count ELSE 0 END,
               version = c.version + 1, updated_at = $3
           FROM was WHERE c.company_id = $1 AND c.id = was.id
           RETURNING was.address_value AS "address_value!""#,
        company_id.0,
        id.0,
        now
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Takes what people wrote about the person out of a contact's sessions, and closes those that are not over. Tags as with
/// conversations.
///
/// # Errors
/// Database errors only.
pub async fn erase_sessions(tx: &mut TenantTx, id: ContactId, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE sessions s SET external_id = NULL, status_reason = NULL, ai_block_reason = NULL, ai_blocked_until = NULL,
             tabulations = CASE WHEN c.is_group THEN s.tabulations ELSE known_tags($1, s.tabulations) END,
             end_reason = CASE WHEN s.status <> 'CLOSED' AND NOT c.is_group THEN 'contact_erased' END,
             closed_at = CASE WHEN c.is_group THEN s.closed_at ELSE coalesce(s.closed_at, $3) END,
             status = CASE WHEN c.is_group THEN s.status ELSE 'CLOSED' END, updated_at = $3
         FROM conversations c
         WHERE s.company_id = $1 AND s.contact_id = $2 AND c.company_id = $1 AND c.id = s.conversation_id",
        company_id.0,
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A message that is about to lose its words.
#[derive(Clone, Debug)]
pub struct Erasable {
    /// Its id.
    pub id: Uuid,
    /// Its connection.
    pub connection_id: Uuid,
    /// The provider's id.
    pub provider_message_id: Option<String>,
    /// Its place in the contact's history.
    pub occurred_at: DateTime<Utc>,
}

/// Lists the next messages of a contact that are not erased, oldest first, from behind `after`, and keeps others from
/// changing them. What the company wrote to a group is not the person's.
///
/// # Errors
/// Database errors only.
pub async fn list_erasable(
    tx: &mut TenantTx,
    id: ContactId,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Erasable>> {
    let company_id = tx.company_id();
    let (after_at, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Erasable,
        r#"SELECT m.id, m.connection_id, m.provider_message_id, m.occurred_at FROM messages m
           WHERE m.company_id = $1 AND m.contact_id = $2 AND m.erased_at IS NULL
             AND (m.occurred_at, m.id) > (coalesce($3, '-infinity'::timestamptz),
                                          coalesce($4, '00000000-0000-0000-0000-000000000000'::uuid))
             AND NOT (m.direction = 'outbound'
                      AND EXISTS (SELECT FROM conversations c
                                  WHERE c.company_id = $1 AND c.id = m.conversation_id AND c.is_group))
           ORDER BY m.occurred_at, m.id LIMIT $5 FOR NO KEY UPDATE OF m"#,
        company_id.0,
        id.0,
        after_at,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Takes the words out of messages, and out of the journal of what the provider said of them.
///
/// # Errors
/// Database errors only.
pub async fn erase_messages(tx: &mut TenantTx, messages: &[Erasable], now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    let told = messages
        .iter()
        .filter_map(|message| Some((message.connection_id, message.provider_message_id.clone()?)));
    let (connections, provider_ids): (Vec<_>, Vec<_>) = told.unzip();
    sqlx::query_scalar!(r#"SELECT erase_message_events($1, $2) AS "events!""#, &connections, &provider_ids)
        .fetch_one(tx.connection())
        .await?;
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    // The provider's id of a message may hold the customer's number. By its hash it is known what is said of it later.
    sqlx::query!(
        "UPDATE messages SET text = NULL, content = NULL, media = NULL, reply_to_provider_id = NULL,
             provider_message_id = erased_key(provider_message_id), error = error - 'detail', erased_at = $3,
             version = version + 1
         WHERE company_id = $1 AND id = ANY($2)",
        company_id.0,
        &ids,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes wrong rows of imports away in which one of these addresses stands, a number in any spelling.
///
/// # Errors
/// Database errors only.
pub async fn delete_import_errors(tx: &mut TenantTx, mentioned: &[String]) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        r"DELETE FROM contact_import_errors e
          WHERE company_id = $1
            AND EXISTS (SELECT FROM unnest(e.cells) AS cell, unnest($2::text[]) AS word
                        WHERE length(word) >= 8
                          AND (strpos(lower(cell), lower(word)) > 0
                               OR length(regexp_replace(cell, '\D', '', 'g')) >= 8
                                  AND word ~ '^\+?[0-9]+$' AND word LIKE '%' || regexp_replace(cell, '\D', '', 'g')))",
        company_id.0,
        mentioned
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes out of the journal what providers said of these addresses beside messages.
///
/// # Errors
/// Database errors only.
pub async fn erase_other_events(tx: &mut TenantTx, mentioned: &[String]) -> Result<()> {
    sqlx::query_scalar!(r#"SELECT erase_other_events($1) AS "events!""#, mentioned)
        .fetch_one(tx.connection())
        .await?;
    Ok(())
}
