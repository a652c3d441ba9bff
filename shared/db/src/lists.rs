//! Lists of contacts, which people put together by hand.

use chrono::{DateTime, Utc};
use domain::{ContactId, ListId};
use uuid::Uuid;

use crate::contacts::{Contact, contact};
use crate::error::OnConstraint as _;
use crate::{Result, TenantTx};

const NAME_TAKEN: &str = "a list of this name exists";

/// A list.
#[derive(Clone, Debug)]
pub struct List {
    /// Its id.
    pub id: ListId,
    /// What it is called; unique in the company.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many contacts are in it.
    pub contact_count: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its name or description last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lists the lists by name, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<List>> {
    let company_id = tx.company_id();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        List,
        r#"SELECT id AS "id: ListId", name, description, contact_count, created_at, updated_at
           FROM lists
           WHERE company_id = $1 AND ($2::text IS NULL OR (lower(name), id) > (lower($2), $3::uuid))
           ORDER BY lower(name), id LIMIT $4"#,
        company_id.0,
        after_name,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ListId) -> Result<Option<List>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        List,
        r#"SELECT id AS "id: ListId", name, description, contact_count, created_at, updated_at
           FROM lists WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds one, and keeps others from changing or removing it.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: ListId) -> Result<Option<List>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        List,
        r#"SELECT id AS "id: ListId", name, description, contact_count, created_at, updated_at
           FROM lists WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Whether there is such a list; it is not removed before the end of the transaction.
///
/// # Errors
/// Database errors only.
pub async fn hold(tx: &mut TenantTx, id: ListId) -> Result<bool> {
    let company_id = tx.company_id();
    let found = sqlx::query!(
        "SELECT id FROM lists WHERE company_id = $1 AND id = $2 FOR KEY SHARE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.is_some())
}

/// Which of `ids` are lists of the company.
///
/// # Errors
/// Database errors only.
pub async fn list_known(tx: &mut TenantTx, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!("SELECT id FROM lists WHERE company_id = $1 AND id = ANY($2)", company_id.0, ids)
        .fetch_all(tx.connection())
        .await?)
}

/// Makes one.
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn insert(tx: &mut TenantTx, list: &List) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO lists (company_id, id, name, description, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        company_id.0,
        list.id.0,
        list.name,
        list.description,
        list.created_at,
        list.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("lists_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Writes what may change of one.
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn update(tx: &mut TenantTx, list: &List) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE lists SET name = $3, description = $4, updated_at = $5 WHERE company_id = $1 AND id = $2",
        company_id.0,
        list.id.0,
        list.name,
        list.description,
        list.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("lists_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Removes one, but not the contacts in it; whether there was one.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: ListId) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!("DELETE FROM lists WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// A contact in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Since when.
    pub added_at: DateTime<Utc>,
    /// Who.
    pub contact: Contact,
}

/// Lists the contacts in a list, who came last first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list_contacts(
    tx: &mut TenantTx,
    id: ListId,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Listed>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    let rows = sqlx::query!(
        r#"SELECT l.added_at, p.id AS "id: ContactId", p.name, p.phone, p.email, p.username, p.source, p.external_id,
                  p.bypass_bots, p.custom, p.tags, p.opted_out_at, p.marketing_opted_out_at,
                  p.merged_into_id AS "merged_into_id: ContactId", p.erased_at, p.created_at
           FROM list_contacts l
           JOIN contacts p ON p.company_id = l.company_id AND p.id = l.contact_id
           WHERE l.company_id = $1 AND l.list_id = $2
             AND (l.added_at, l.contact_id) < (coalesce($3, 'infinity'::timestamptz),
                                               coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           ORDER BY l.added_at DESC, l.contact_id DESC LIMIT $5"#,
        company_id.0,
        id.0,
        before_at,
        before_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| Listed { added_at: row.added_at, contact: contact!(row) }).collect())
}

/// Puts contacts into a list; how many were not in it yet. The caller has made sure that they are the company's.
///
/// # Errors
/// Database errors only.
pub async fn insert_contacts(
    tx: &mut TenantTx,
    id: ListId,
    contacts: &[ContactId],
    now: DateTime<Utc>,
) -> Result<u64> {
    let company_id = tx.company_id();
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
    let done = sqlx::query!(
        "INSERT INTO list_contacts (company_id, list_id, contact_id, added_at)
         SELECT $1, $2, contact_id, $4 FROM unnest($3::uuid[]) AS new (contact_id) ORDER BY contact_id
         ON CONFLICT (company_id, list_id, contact_id) DO NOTHING",
        company_id.0,
        id.0,
        &contacts,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// Takes contacts out of a list; how many were in it.
///
/// # Errors
/// Database errors only.
pub async fn delete_contacts(tx: &mut TenantTx, id: ListId, contacts: &[ContactId]) -> Result<u64> {
    let company_id = tx.company_id();
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
    let done = sqlx::query!(
        "DELETE FROM list_contacts WHERE company_id = $1 AND list_id = $2 AND contact_id = ANY($3)",
        company_id.0,
        id.0,
        &contacts
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// The names of the lists that a contact is in.
///
/// # Errors
/// Database errors only.
pub async fn list_of_contact(
    tx: &mut TenantTx,
    id: ContactId,
) -> Result<Vec<(ListId, String, DateTime<Utc>)>> {
    let company_id = tx.company_id();
    let rows = sqlx::query!(
        r#"SELECT l.id AS "id: ListId", l.name, c.added_at
           FROM list_contacts c JOIN lists l ON l.company_id = c.company_id AND l.id = c.list_id
           WHERE c.company_id = $1 AND c.contact_id = $2 ORDER BY c.added_at, l.id"#,
        company_id.0,
        id.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name, row.added_at)).collect())
}
