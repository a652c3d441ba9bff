//! Notes that a company's people write on a contact; the customer sees none of them.

use chrono::{DateTime, Utc};
use domain::{ContactId, ContactNoteId, UserId};
use uuid::Uuid;

use crate::{Result, TenantTx};

/// A note.
#[derive(Clone, Debug)]
pub struct Note {
    /// Its id.
    pub id: ContactNoteId,
    /// Whom it is about.
    pub contact_id: ContactId,
    /// What it says.
    pub text: String,
    /// Who wrote it; nobody when an API key did.
    pub author_user_id: Option<UserId>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lists the notes on a contact, newest first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    contact_id: ContactId,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Note>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Note,
        r#"SELECT id AS "id: ContactNoteId", contact_id AS "contact_id: ContactId", text,
                  author_user_id AS "author_user_id: UserId", created_at, updated_at
           FROM contact_notes
           WHERE company_id = $1 AND contact_id = $2
             AND (created_at, id) < (coalesce($3, 'infinity'::timestamptz),
                                     coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           ORDER BY created_at DESC, id DESC LIMIT $5"#,
        company_id.0,
        contact_id.0,
        before_at,
        before_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds a note on a contact.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, contact_id: ContactId, id: ContactNoteId) -> Result<Option<Note>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Note,
        r#"SELECT id AS "id: ContactNoteId", contact_id AS "contact_id: ContactId", text,
                  author_user_id AS "author_user_id: UserId", created_at, updated_at
           FROM contact_notes WHERE company_id = $1 AND contact_id = $2 AND id = $3"#,
        company_id.0,
        contact_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Writes a note.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, note: &Note) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO contact_notes (company_id, id, contact_id, text, author_user_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        company_id.0,
        note.id.0,
        note.contact_id.0,
        note.text,
        note.author_user_id as _,
        note.created_at,
        note.updated_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes another text in the place of a note's; whether there is that note on that contact.
///
/// # Errors
/// Database errors only.
pub async fn set_text(
    tx: &mut TenantTx,
    contact_id: ContactId,
    id: ContactNoteId,
    text: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE contact_notes SET text = $4, updated_at = $5 WHERE company_id = $1 AND contact_id = $2 AND id = $3",
        company_id.0,
        contact_id.0,
        id.0,
        text,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes a note; whether there was that note on that contact.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, contact_id: ContactId, id: ContactNoteId) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "DELETE FROM contact_notes WHERE company_id = $1 AND contact_id = $2 AND id = $3",
        company_id.0,
        contact_id.0,
        id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}
