//! What was changed of contacts, of their conversations and of their sessions.

use chrono::{DateTime, Utc};
use domain::ContactId;
use domain::contact::ContactChange;
use serde_json::Value;
use uuid::Uuid;

use crate::{Result, TenantTx};

/// One change.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// Of which contact.
    pub contact_id: ContactId,
    /// When.
    pub at: DateTime<Utc>,
    /// Of what.
    pub kind: ContactChange,
    /// Of which conversation or session; of the contact itself, by which import, if by one.
    pub object_id: Option<Uuid>,
    /// `person`, `api_key` or `system`.
    pub actor_kind: String,
    /// Who.
    pub actor_id: Option<Uuid>,
    /// The fields that differ, as they were.
    pub was: Value,
    /// As they became.
    pub became: Value,
}

/// Adds entries.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, entries: &[Entry]) -> Result<()> {
    let company_id = tx.company_id();
    if entries.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let contacts: Vec<_> = entries.iter().map(|entry| entry.contact_id.0).collect();
    let times: Vec<_> = entries.iter().map(|entry| entry.at).collect();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
    let objects: Vec<_> = entries.iter().map(|entry| entry.object_id).collect();
    let actor_kinds: Vec<_> = entries.iter().map(|entry| entry.actor_kind.clone()).collect();
    let actors: Vec<_> = entries.iter().map(|entry| entry.actor_id).collect();
    let was: Vec<_> = entries.iter().map(|entry| entry.was.clone()).collect();
    let became: Vec<_> = entries.iter().map(|entry| entry.became.clone()).collect();
    sqlx::query!(
        "INSERT INTO contact_history (company_id, id, contact_id, at, kind, object_id, actor_kind, actor_id, was,
                                      became)
         SELECT $1, id, contact_id, at, kind, object_id, actor_kind, actor_id, was, became
         FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::uuid[], $7::text[], $8::uuid[],
                     $9::jsonb[], $10::jsonb[])
              AS new (id, contact_id, at, kind, object_id, actor_kind, actor_id, was, became)",
        company_id.0,
        &ids,
        &contacts,
        &times,
        &kinds as _,
        &objects as _,
        &actor_kinds,
        &actors as _,
        &was,
        &became
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// All that was changed of a contact, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, contact_id: ContactId) -> Result<Vec<Entry>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Entry,
        r#"SELECT id, contact_id AS "contact_id: ContactId", at, kind AS "kind: ContactChange", object_id, actor_kind,
                  actor_id, was, became
           FROM contact_history WHERE company_id = $1 AND contact_id = $2 ORDER BY at, id"#,
        company_id.0,
        contact_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Forgets all that was changed of contacts, and of those that they were merged into while they were.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, contacts: &[ContactId]) -> Result<()> {
    let company_id = tx.company_id();
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
    sqlx::query!(
        "DELETE FROM contact_history h
         WHERE h.company_id = $1
           AND (h.contact_id = ANY($2)
                OR h.kind = 'contact_changed'
                   AND EXISTS (SELECT FROM contact_merges m
                               WHERE m.company_id = $1 AND m.contact_id = ANY($2) AND m.into_id = h.contact_id
                                 AND h.at >= m.merged_at AND h.at <= coalesce(m.undone_at, 'infinity')))",
        company_id.0,
        &contacts
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
