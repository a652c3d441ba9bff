//! Quick replies: texts that people send often, the company's and one's own.

use chrono::{DateTime, Utc};
use domain::{QuickReplyId, UserId};
use uuid::Uuid;

use crate::error::OnConstraint as _;
use crate::{Result, TenantTx};

const SHORTCUT_TAKEN: &str = "a quick reply with this shortcut exists";

/// A quick reply.
#[derive(Clone, Debug)]
pub struct QuickReply {
    /// Its id.
    pub id: QuickReplyId,
    /// Whose alone it is; the company's without.
    pub owner_id: Option<UserId>,
    /// What is typed for it, in lower case.
    pub shortcut: String,
    /// What is sent, with variables.
    pub text: String,
    /// What it is found by.
    pub tags: Vec<String>,
    /// Since when there is one.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lists the company's quick replies and those of `reader` by shortcut, from behind `after`: those with `q` in their
/// shortcut or text, accents and case aside, and with the tag.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    reader: Option<UserId>,
    q: Option<&str>,
    tag: Option<&str>,
    after: Option<(String, Uuid)>,
    limit: i64,
) -> Result<Vec<QuickReply>> {
    let company_id = tx.company_id();
    let (after_shortcut, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        QuickReply,
        r#"SELECT id AS "id: QuickReplyId", owner_id AS "owner_id: UserId", shortcut, text, tags, created_at, updated_at
           FROM quick_replies
           WHERE company_id = $1 AND (owner_id IS NULL OR owner_id = $2)
             AND ($3::text IS NULL OR strpos(folded(shortcut || ' ' || text), folded($3)) > 0)
             AND ($4::text IS NULL OR tags @> ARRAY[$4])
             AND ($5::text IS NULL OR (shortcut, id) > ($5, $6::uuid))
           ORDER BY shortcut, id LIMIT $7"#,
        company_id.0,
        reader as _,
        q,
        tag,
        after_shortcut,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one that `reader` may see.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, reader: Option<UserId>, id: QuickReplyId) -> Result<Option<QuickReply>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        QuickReply,
        r#"SELECT id AS "id: QuickReplyId", owner_id AS "owner_id: UserId", shortcut, text, tags, created_at, updated_at
           FROM quick_replies WHERE company_id = $1 AND id = $3 AND (owner_id IS NULL OR owner_id = $2)"#,
        company_id.0,
        reader as _,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes one.
///
/// # Errors
/// `Conflict` when the shortcut is taken, among the company's or among the owner's.
pub async fn insert(tx: &mut TenantTx, reply: &QuickReply) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO quick_replies (company_id, id, owner_id, shortcut, text, tags, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        company_id.0,
        reply.id.0,
        reply.owner_id as _,
        reply.shortcut,
        reply.text,
        &reply.tags,
        reply.created_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("quick_replies_shortcut_key", SHORTCUT_TAKEN)?;
    Ok(())
}

/// Writes what may change of one.
///
/// # Errors
/// `Conflict` when the shortcut is taken.
pub async fn update(tx: &mut TenantTx, reply: &QuickReply) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE quick_replies SET shortcut = $3, text = $4, tags = $5, updated_at = $6
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        reply.id.0,
        reply.shortcut,
        reply.text,
        &reply.tags,
        reply.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("quick_replies_shortcut_key", SHORTCUT_TAKEN)?;
    Ok(())
}

/// Removes one that `reader` may see; whether there was one.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, reader: Option<UserId>, id: QuickReplyId) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "DELETE FROM quick_replies WHERE company_id = $1 AND id = $3 AND (owner_id IS NULL OR owner_id = $2)",
        company_id.0,
        reader as _,
        id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// What the variables of a text are filled with: of a conversation's contact, and of the company.
#[derive(Clone, Debug)]
pub struct Values {
    /// The contact's name; may be empty.
    pub contact_name: String,
    /// E.164.
    pub contact_phone: Option<String>,
    /// Address.
    pub contact_email: Option<String>,
    /// The contact's custom fields.
    pub contact_custom: serde_json::Value,
    /// The company's name.
    pub company_name: String,
}

/// Finds what the variables of a text are filled with in a conversation.
///
/// # Errors
/// Database errors only.
pub async fn find_values(
    tx: &mut TenantTx,
    conversation_id: domain::ConversationId,
) -> Result<Option<Values>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Values,
        "SELECT p.name AS contact_name, p.phone AS contact_phone, p.email AS contact_email,
                p.custom AS contact_custom, o.name AS company_name
         FROM conversations c
         JOIN contacts p ON p.company_id = c.company_id AND p.id = c.contact_id
         JOIN companies o ON o.id = c.company_id
         WHERE c.company_id = $1 AND c.id = $2",
        company_id.0,
        conversation_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}
