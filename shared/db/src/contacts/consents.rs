//! What customers said about being written to: a ledger that only grows, and what it comes to.

use chrono::{DateTime, Utc};
use domain::{ContactId, MessageId};
use uuid::Uuid;

use crate::{Result, TenantTx};

/// One line of the ledger.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Its id.
    pub id: Uuid,
    /// Who said it.
    pub contact_id: ContactId,
    /// They want no more of those messages; otherwise that they want them.
    pub is_opt_out: bool,
    /// Where the company heard it; `keyword` for a message of one word.
    pub source: String,
    /// How it knows.
    pub proof: Option<String>,
    /// In which message it was said.
    pub message_id: Option<MessageId>,
    /// Who wrote it down: `customer`, `person` or `api_key`.
    pub actor_kind: &'static str,
    /// Which person or key.
    pub actor_id: Option<Uuid>,
    /// When it was said.
    pub at: DateTime<Utc>,
}

impl Consent {
    fn kind(&self) -> &'static str {
        if self.is_opt_out { "opt_out" } else { "opt_in" }
    }
}

/// Adds lines about all messages, and makes contacts what the newest words about them say. What a message said already is
/// left out; the contacts about whom there is news.
///
/// # Errors
/// Database errors only.
pub async fn insert_many(
    tx: &mut TenantTx,
    consents: &[Consent],
    now: DateTime<Utc>,
) -> Result<Vec<ContactId>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = consents.iter().map(|consent| consent.id).collect();
    let contacts: Vec<_> = consents.iter().map(|consent| consent.contact_id.0).collect();
    let kinds: Vec<_> = consents.iter().map(|consent| consent.kind().to_owned()).collect();
    let sources: Vec<_> = consents.iter().map(|consent| consent.source.clone()).collect();
    let proofs: Vec<_> = consents.iter().map(|consent| consent.proof.clone()).collect();
    let messages: Vec<_> = consents.iter().map(|consent| consent.message_id.map(|id| id.0)).collect();
    let actor_kinds: Vec<_> = consents.iter().map(|consent| consent.actor_kind.to_owned()).collect();
    let actors: Vec<_> = consents.iter().map(|consent| consent.actor_id).collect();
    let times: Vec<_> = consents.iter().map(|consent| consent.at).collect();
    Ok(sqlx::query_scalar!(
        r#"WITH told AS (
               INSERT INTO contact_consents (company_id, id, contact_id, kind, source, proof, message_id, actor_kind,
                                             actor_id, at, created_at)
               SELECT $1, id, contact_id, kind, source, proof, message_id, actor_kind, actor_id, at, $11
               FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[],
                           $9::uuid[], $10::timestamptz[])
                    AS new (id, contact_id, kind, source, proof, message_id, actor_kind, actor_id, at)
               ON CONFLICT (company_id, message_id) WHERE actor_kind = 'customer' DO NOTHING
               RETURNING id, contact_id, kind, at),
           last AS (
               SELECT DISTINCT ON (contact_id) contact_id, kind, at FROM told ORDER BY contact_id, at DESC, id DESC)
           UPDATE contacts c SET
               -- Who says it again said it first before.
               opted_out_at = CASE WHEN last.kind = 'opt_out' THEN coalesce(c.opted_out_at, last.at) END,
               consent_changed_at = last.at, updated_at = $11
           FROM last
           WHERE c.company_id = $1 AND c.id = last.contact_id
             AND coalesce(c.consent_changed_at, '-infinity') <= last.at
           RETURNING c.id AS "id: ContactId""#,
        company_id.0,
        &ids,
        &contacts,
        &kinds,
        &sources,
        &proofs as _,
        &messages as _,
        &actor_kinds,
        &actors as _,
        &times,
        now
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Adds a line about marketing alone, and makes the contact what it says; whether that is news. What a message said already is
/// left out, and older words than those that are known change nothing.
///
/// # Errors
/// Database errors only.
pub async fn insert_about_marketing(
    tx: &mut TenantTx,
    consent: &Consent,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "WITH told AS (
             INSERT INTO contact_consents (company_id, id, contact_id, kind, scope, source, proof, message_id, actor_kind,
                                           actor_id, at, created_at)
             VALUES ($1, $2, $3, $4, 'marketing', $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (company_id, message_id) WHERE actor_kind = 'customer' DO NOTHING
             RETURNING contact_id, kind, at)
         UPDATE contacts c SET
             marketing_opted_out_at =
                 CASE WHEN told.kind = 'opt_out' THEN coalesce(c.marketing_opted_out_at, told.at) END,
             marketing_changed_at = told.at, updated_at = $11
         FROM told
         WHERE c.company_id = $1 AND c.id = told.contact_id
           AND coalesce(c.marketing_changed_at, '-infinity') <= told.at",
        company_id.0,
        consent.id,
        consent.contact_id.0,
        consent.kind(),
        consent.source,
        consent.proof,
        consent.message_id.map(|id| id.0),
        consent.actor_kind,
        consent.actor_id,
        consent.at,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Who of these want no messages.
///
/// # Errors
/// Database errors only.
pub async fn list_opted_out(tx: &mut TenantTx, ids: &[ContactId]) -> Result<Vec<ContactId>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ContactId" FROM contacts
           WHERE company_id = $1 AND id = ANY($2) AND opted_out_at IS NOT NULL"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A line of the ledger as it stands there.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its id.
    pub id: Uuid,
    /// `opt_out` or `opt_in`.
    pub kind: String,
    /// Of which messages: `all` or `marketing`.
    pub scope: String,
    /// Where the company heard it.
    pub source: String,
    /// How it knows.
    pub proof: Option<String>,
    /// In which message it was said.
    pub message_id: Option<MessageId>,
    /// When it was said.
    pub at: DateTime<Utc>,
}

/// All that a customer said, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, contact_id: ContactId) -> Result<Vec<Said>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Said,
        r#"SELECT id, kind, scope, source, proof, message_id AS "message_id: MessageId", at FROM contact_consents
           WHERE company_id = $1 AND contact_id = $2 ORDER BY at, id"#,
        company_id.0,
        contact_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}
