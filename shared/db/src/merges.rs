//! Contacts that turned out to be one person: what moves from one to the other, and back.
//!
//! Who merges locks addresses first, then contacts: what comes in takes its addresses
//! ([`hold_by_addresses`](crate::contacts::hold_by_addresses)) before anything else, too.

use chrono::{DateTime, Utc};
use domain::merge::Facts;
use domain::{ContactId, MergeId};
use serde_json::{Map, Value};

use crate::contacts::{Contact, contact};
use crate::{Result, TenantTx};

/// Waits for everything that is being filed under these contacts, and keeps the next from being filed.
///
/// # Errors
/// Database errors only.
pub async fn lock_addresses_of(tx: &mut TenantTx, contacts: &[ContactId]) -> Result<()> {
    let company_id = tx.company_id();
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
    sqlx::query!(
        "SELECT value FROM contact_addresses WHERE company_id = $1 AND contact_id = ANY($2)
         ORDER BY kind, value FOR UPDATE",
        company_id.0,
        &contacts
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(())
}

/// A contact that is about to be merged, taken apart or erased.
#[derive(Clone, Debug)]
pub struct Locked {
    /// Its id.
    pub id: ContactId,
    /// Who it is now, if it was merged.
    pub merged_into_id: Option<ContactId>,
    /// When it was erased.
    pub erased_at: Option<DateTime<Utc>>,
    /// What is known of it.
    pub facts: Facts,
}

/// Finds contacts and keeps others from changing them, by their ids.
///
/// # Errors
/// Database errors only.
pub async fn lock_contacts(tx: &mut TenantTx, contacts: &[ContactId]) -> Result<Vec<Locked>> {
    let company_id = tx.company_id();
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id: ContactId", merged_into_id AS "merged_into_id: ContactId", erased_at, name, phone, email,
                  username, external_id, bypass_bots, custom, tags, opted_out_at, consent_changed_at,
                  marketing_opted_out_at, marketing_changed_at
           FROM contacts WHERE company_id = $1 AND id = ANY($2) ORDER BY id FOR UPDATE"#,
        company_id.0,
        &contacts
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Locked {
            id: row.id,
            merged_into_id: row.merged_into_id,
            erased_at: row.erased_at,
            facts: Facts {
                name: row.name,
                phone: row.phone,
                email: row.email,
                username: row.username,
                external_id: row.external_id,
                bypass_bots: row.bypass_bots,
                custom: match row.custom {
                    Value::Object(fields) => fields,
                    _ => Map::new(),
                },
                tags: row.tags,
                opted_out_at: row.opted_out_at,
                consent_changed_at: row.consent_changed_at,
                marketing_opted_out_at: row.marketing_opted_out_at,
                marketing_changed_at: row.marketing_changed_at,
            },
        })
        .collect())
}

/// Writes what is known of a contact.
///
/// # Errors
/// Database errors only.
pub async fn update_facts(tx: &mut TenantTx, id: ContactId, facts: &Facts, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE contacts SET name = $3, phone = $4, email = $5, username = $6, external_id = $7, bypass_bots = $8,
             custom = $9, tags = $10, opted_out_at = $11, marketing_opted_out_at = $12, marketing_changed_at = $13,
             updated_at = $14, consent_changed_at = $15
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        facts.name,
        facts.phone,
        facts.email,
        facts.username,
        facts.external_id,
        facts.bypass_bots,
        Value::Object(facts.custom.clone()),
        &facts.tags,
        facts.opted_out_at,
        facts.marketing_opted_out_at,
        facts.marketing_changed_at,
        now,
        facts.consent_changed_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// One contact that became another.
#[derive(Clone, Debug)]
pub struct Merge {
    /// Its id.
    pub id: MergeId,
    /// Who is no more.
    pub contact_id: ContactId,
    /// Who it is now.
    pub into_id: ContactId,
    /// What the survivor had.
    pub had: Facts,
    /// What it has since.
    pub got: Facts,
    /// When.
    pub merged_at: DateTime<Utc>,
}

fn json(facts: &Facts) -> Result<Value> {
    serde_json::to_value(facts).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// Writes a merge down.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, merge: &Merge) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO contact_merges (company_id, id, contact_id, into_id, had, got, merged_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        company_id.0,
        merge.id.0,
        merge.contact_id.0,
        merge.into_id.0,
        json(&merge.had)?,
        json(&merge.got)?,
        merge.merged_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The merge by which a contact is another one now.
///
/// # Errors
/// Database errors only.
pub async fn find_standing(tx: &mut TenantTx, id: ContactId) -> Result<Option<Merge>> {
    let company_id = tx.company_id();
    let row = sqlx::query!(
        r#"SELECT id AS "id: MergeId", contact_id AS "contact_id: ContactId", into_id AS "into_id: ContactId", had, got,
                  merged_at
           FROM contact_merges WHERE company_id = $1 AND contact_id = $2 AND undone_at IS NULL"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let facts = |value| serde_json::from_value(value).map_err(|error| sqlx::Error::Decode(Box::new(error)));
    Ok(Some(Merge {
        id: row.id,
        contact_id: row.contact_id,
        into_id: row.into_id,
        had: facts(row.had)?,
        got: facts(row.got)?,
        merged_at: row.merged_at,
    }))
}

/// Notes that a merge is undone.
///
/// # Errors
/// Database errors only.
pub async fn set_undone(tx: &mut TenantTx, id: MergeId, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE contact_merges SET undone_at = $3 WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A contact, and all that were merged into it, and into those: the sides that it has.
///
/// # Errors
/// Database errors only.
pub async fn list_sides(tx: &mut TenantTx, id: ContactId) -> Result<Vec<ContactId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"WITH RECURSIVE side (id) AS (
               SELECT $2::uuid
               UNION SELECT m.contact_id FROM side JOIN contact_merges m
                   ON m.company_id = $1 AND m.into_id = side.id AND m.undone_at IS NULL)
           SELECT id AS "id!: ContactId" FROM side"#,
        company_id.0,
        id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Gives the addresses of a contact to another one; each keeps its side.
///
/// # Errors
/// Database errors only.
pub async fn move_addresses(tx: &mut TenantTx, from: ContactId, into: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE contact_addresses SET contact_id = $3, side_id = coalesce(side_id, $2)
         WHERE company_id = $1 AND contact_id = $2",
        company_id.0,
        from.0,
        into.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives the addresses of `sides` back to the contact that is the first of them.
///
/// # Errors
/// Database errors only.
pub async fn return_addresses(
    tx: &mut TenantTx,
    from: ContactId,
    to: ContactId,
    sides: &[ContactId],
) -> Result<()> {
    let company_id = tx.company_id();
    let sides: Vec<_> = sides.iter().map(|side| side.0).collect();
    sqlx::query!(
        "UPDATE contact_addresses SET contact_id = $3, side_id = nullif(side_id, $3)
         WHERE company_id = $1 AND contact_id = $2 AND side_id = ANY($4)",
        company_id.0,
        from.0,
        to.0,
        &sides
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes down what moves from `from` to `into` and does not say itself whose it was: groups, lists, notes,
/// consents, changes and leads.
///
/// # Errors
/// Database errors only.
pub async fn insert_items(tx: &mut TenantTx, id: MergeId, from: ContactId, into: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO contact_merge_items (company_id, merge_id, kind, item_id, since)
         SELECT $1::uuid, $2::uuid, 'conversation', id, NULL::timestamptz FROM conversations
         WHERE company_id = $1 AND contact_id = $3 AND is_group
         UNION ALL
         SELECT $1, $2, 'session', s.id, NULL::timestamptz FROM sessions s
         JOIN conversations c ON c.company_id = $1 AND c.id = s.conversation_id AND c.is_group
         WHERE s.company_id = $1 AND s.contact_id = $3
         UNION ALL
         SELECT $1, $2, 'note', id, NULL::timestamptz FROM contact_notes WHERE company_id = $1 AND contact_id = $3
         UNION ALL
         SELECT $1, $2, 'consent', id, NULL::timestamptz FROM contact_consents
         WHERE company_id = $1 AND contact_id = $3
         UNION ALL
         SELECT $1, $2, 'history', id, NULL::timestamptz FROM contact_history
         WHERE company_id = $1 AND contact_id = $3
         UNION ALL
         SELECT $1, $2, 'lead', id, NULL::timestamptz FROM leads WHERE company_id = $1 AND contact_id = $3
         UNION ALL
         SELECT $1, $2, 'list', list_id, added_at FROM list_contacts WHERE company_id = $1 AND contact_id = $3
         UNION ALL
         SELECT $1, $2, 'list_gained', l.list_id, NULL::timestamptz FROM list_contacts l
         WHERE l.company_id = $1 AND l.contact_id = $3
           AND NOT EXISTS (SELECT FROM list_contacts o
                           WHERE o.company_id = $1 AND o.list_id = l.list_id AND o.contact_id = $4)",
        company_id.0,
        id.0,
        from.0,
        into.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives the conversations of a contact to another one. They stay apart: each has the customer's own address, window and
/// thread.
///
/// # Errors
/// Database errors only.
pub async fn move_conversations(tx: &mut TenantTx, from: ContactId, into: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "WITH locked AS MATERIALIZED (
             SELECT id FROM conversations WHERE company_id = $1 AND contact_id = $2 ORDER BY id FOR NO KEY UPDATE)
         UPDATE conversations c SET contact_id = $3, version = version + 1 FROM locked
         WHERE c.company_id = $1 AND c.id = locked.id",
        company_id.0,
        from.0,
        into.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives the conversations of `sides`, and the groups that a merge moved, back.
///
/// # Errors
/// Database errors only.
pub async fn return_conversations(
    tx: &mut TenantTx,
    id: MergeId,
    from: ContactId,
    to: ContactId,
    sides: &[ContactId],
) -> Result<()> {
    let company_id = tx.company_id();
    let sides: Vec<_> = sides.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "WITH locked AS MATERIALIZED (
             SELECT id FROM conversations c
             WHERE c.company_id = $1 AND c.contact_id = $3
               AND (c.thread_key = ANY($5)
                    OR EXISTS (SELECT FROM contact_merge_items i
                               WHERE i.company_id = $1 AND i.merge_id = $2 AND i.kind = 'conversation'
                                 AND i.item_id = c.id))
             ORDER BY id FOR NO KEY UPDATE)
         UPDATE conversations c SET contact_id = $4, version = version + 1 FROM locked
         WHERE c.company_id = $1 AND c.id = locked.id",
        company_id.0,
        id.0,
        from.0,
        to.0,
        &sides
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives the sessions of a contact to another one.
///
/// # Errors
/// Database errors only.
pub async fn move_sessions(tx: &mut TenantTx, from: ContactId, into: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE sessions SET contact_id = $3 WHERE company_id = $1 AND contact_id = $2",
        company_id.0,
        from.0,
        into.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives the sessions of conversations that `to` has back by now, and those in groups that a merge moved.
///
/// # Errors
/// Database errors only.
pub async fn return_sessions(tx: &mut TenantTx, id: MergeId, from: ContactId, to: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE sessions s SET contact_id = $4
         WHERE s.company_id = $1 AND s.contact_id = $3
           AND (s.conversation_id IN (SELECT c.id FROM conversations c
                                      WHERE c.company_id = $1 AND c.contact_id = $4 AND NOT c.is_group)
                OR s.id IN (SELECT i.item_id FROM contact_merge_items i
                            WHERE i.company_id = $1 AND i.merge_id = $2 AND i.kind = 'session'))",
        company_id.0,
        id.0,
        from.0,
        to.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives the messages of a contact to another one; each keeps its side.
///
/// # Errors
/// Database errors only.
pub async fn move_messages(tx: &mut TenantTx, from: ContactId, into: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    // In the order of delivery reports, which may be about the same messages.
    sqlx::query!(
        "WITH locked AS MATERIALIZED (
             SELECT id FROM messages WHERE company_id = $1 AND contact_id = $2 ORDER BY id FOR NO KEY UPDATE)
         UPDATE messages m SET contact_id = $3, side_id = coalesce(m.side_id, $2) FROM locked
         WHERE m.company_id = $1 AND m.id = locked.id",
        company_id.0,
        from.0,
        into.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives back the messages of `sides`, and of conversations that `to` has back by now: what came and went in between, too.
///
/// # Errors
/// Database errors only.
pub async fn return_messages(
    tx: &mut TenantTx,
    from: ContactId,
    to: ContactId,
    sides: &[ContactId],
) -> Result<()> {
    let company_id = tx.company_id();
    let sides: Vec<_> = sides.iter().map(|side| side.0).collect();
    sqlx::query!(
        "WITH locked AS MATERIALIZED (
             SELECT m.id FROM messages m
             WHERE m.company_id = $1 AND m.contact_id = $2
               AND (m.side_id = ANY($4)
                    OR m.conversation_id IN (SELECT c.id FROM conversations c
                                             WHERE c.company_id = $1 AND c.contact_id = $3 AND NOT c.is_group))
             ORDER BY m.id FOR NO KEY UPDATE OF m)
         UPDATE messages m SET contact_id = $3, side_id = nullif(m.side_id, $3) FROM locked
         WHERE m.company_id = $1 AND m.id = locked.id",
        company_id.0,
        from.0,
        to.0,
        &sides
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Puts a contact into the lists that another one is in, and takes that one out.
///
/// # Errors
/// Database errors only.
pub async fn move_lists(tx: &mut TenantTx, from: ContactId, into: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO list_contacts (company_id, list_id, contact_id, added_at)
         SELECT $1, list_id, $3, added_at FROM list_contacts WHERE company_id = $1 AND contact_id = $2 ORDER BY list_id
         ON CONFLICT (company_id, list_id, contact_id) DO NOTHING",
        company_id.0,
        from.0,
        into.0
    )
    .execute(tx.connection())
    .await?;
    delete_lists(tx, from).await
}

/// Takes a contact out of all lists.
///
/// # Errors
/// Database errors only.
pub async fn delete_lists(tx: &mut TenantTx, id: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("DELETE FROM list_contacts WHERE company_id = $1 AND contact_id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Puts a contact into the lists that it was in before a merge, and takes the other one out of those that it gained.
///
/// # Errors
/// Database errors only.
pub async fn return_lists(tx: &mut TenantTx, id: MergeId, from: ContactId, to: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO list_contacts (company_id, list_id, contact_id, added_at)
         SELECT $1, l.id, $3, i.since
         FROM contact_merge_items i JOIN lists l ON l.company_id = $1 AND l.id = i.item_id
         WHERE i.company_id = $1 AND i.merge_id = $2 AND i.kind = 'list' ORDER BY l.id
         ON CONFLICT (company_id, list_id, contact_id) DO NOTHING",
        company_id.0,
        id.0,
        to.0
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "DELETE FROM list_contacts l
         WHERE l.company_id = $1 AND l.contact_id = $3
           AND l.list_id IN (SELECT i.item_id FROM contact_merge_items i
                             WHERE i.company_id = $1 AND i.merge_id = $2 AND i.kind = 'list_gained')",
        company_id.0,
        id.0,
        from.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives notes, leads and what the customer said about being written to, to another contact.
///
/// # Errors
/// Database errors only.
pub async fn move_belongings(tx: &mut TenantTx, from: ContactId, into: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "WITH notes AS (
             UPDATE contact_notes SET contact_id = $3 WHERE company_id = $1 AND contact_id = $2),
         consents AS (
             UPDATE contact_consents SET contact_id = $3 WHERE company_id = $1 AND contact_id = $2),
         history AS (
             UPDATE contact_history SET contact_id = $3 WHERE company_id = $1 AND contact_id = $2)
         UPDATE leads SET contact_id = $3, version = version + 1 WHERE company_id = $1 AND contact_id = $2",
        company_id.0,
        from.0,
        into.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives the notes, leads, consents and changes that a merge moved back, and the consents that stand in messages, and the
/// changes of conversations and sessions, that `to` has back by now.
///
/// # Errors
/// Database errors only.
pub async fn return_belongings(tx: &mut TenantTx, id: MergeId, from: ContactId, to: ContactId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "WITH moved AS MATERIALIZED (
             SELECT kind, item_id FROM contact_merge_items WHERE company_id = $1 AND merge_id = $2),
         notes AS (
             UPDATE contact_notes n SET contact_id = $4
             WHERE n.company_id = $1 AND n.contact_id = $3
               AND n.id IN (SELECT item_id FROM moved WHERE kind = 'note')),
         consents AS (
             UPDATE contact_consents o SET contact_id = $4
             WHERE o.company_id = $1 AND o.contact_id = $3
               AND (o.id IN (SELECT item_id FROM moved WHERE kind = 'consent')
                    OR EXISTS (SELECT FROM messages m
                               WHERE m.company_id = $1 AND m.id = o.message_id AND m.contact_id = $4))),
         history AS (
             UPDATE contact_history h SET contact_id = $4
             WHERE h.company_id = $1 AND h.contact_id = $3
               AND (h.id IN (SELECT item_id FROM moved WHERE kind = 'history')
                    OR h.object_id IN (SELECT c.id FROM conversations c
                                       WHERE c.company_id = $1 AND c.contact_id = $4
                                       UNION ALL
                                       SELECT s.id FROM sessions s WHERE s.company_id = $1 AND s.contact_id = $4)))
         UPDATE leads l SET contact_id = $4, version = version + 1
         WHERE l.company_id = $1 AND l.contact_id = $3
           AND l.id IN (SELECT item_id FROM moved WHERE kind = 'lead')",
        company_id.0,
        id.0,
        from.0,
        to.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Says who these contacts are from now on; `None`: themselves.
///
/// # Errors
/// Database errors only.
pub async fn set_merged(
    tx: &mut TenantTx,
    contacts: &[ContactId],
    into: Option<ContactId>,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let contacts: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
    sqlx::query!(
        "UPDATE contacts SET merged_into_id = $3, updated_at = $4 WHERE company_id = $1 AND id = ANY($2)",
        company_id.0,
        &contacts,
        into as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What a contact has in common with others.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    /// Its numbers in every spelling, with and without `+`.
    pub numbers: Vec<String>,
    /// Its email addresses, in the spellings that they may have.
    pub emails: Vec<String>,
    /// Its ids in the company's own system.
    pub external_ids: Vec<String>,
    /// Its name in the spellings that it may have; none when it tells nobody apart.
    pub names: Vec<String>,
    /// It has a phone: then somebody of the same name with another one is somebody else.
    pub has_phone: bool,
}

/// A contact that may be the same person.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Who.
    pub contact: Contact,
    /// What both have: `phone`, `email`, `external_id`, `name`.
    pub reasons: Vec<String>,
}

/// Lists up to `limit` contacts that may be the same person as `id`, those with the most in common first.
///
/// # Errors
/// Database errors only.
pub async fn list_candidates(
    tx: &mut TenantTx,
    id: ContactId,
    traits: &Traits,
    limit: i64,
) -> Result<Vec<Candidate>> {
    let company_id = tx.company_id();
    let rows = sqlx::query!(
        r#"WITH same AS (
               (SELECT a.contact_id AS id, 'phone' AS reason FROM contact_addresses a
                WHERE a.company_id = $1 AND a.kind IN ('e164', 'wa_id') AND a.value = ANY($3))
               UNION (SELECT id, 'phone' FROM contacts WHERE company_id = $1 AND phone = ANY($3) LIMIT $8)
               UNION (SELECT id, 'email' FROM contacts WHERE company_id = $1 AND email = ANY($4) LIMIT $8)
               UNION (SELECT a.contact_id, 'email' FROM contact_addresses a
                      WHERE a.company_id = $1 AND a.kind = 'email' AND a.value = ANY($4))
               UNION (SELECT id, 'external_id' FROM contacts
                      WHERE company_id = $1 AND external_id = ANY($5) LIMIT $8)
               UNION (SELECT a.contact_id, 'external_id' FROM contact_addresses a
                      WHERE a.company_id = $1 AND a.kind = 'external' AND a.value = ANY($5))
               UNION (SELECT id, 'name' FROM contacts
                      WHERE company_id = $1 AND name = ANY($6) AND name <> '' AND (phone IS NULL OR NOT $7)
                      LIMIT $8)),
           candidate AS (
               SELECT id, array_agg(reason ORDER BY reason) AS reasons FROM same WHERE id <> $2 GROUP BY id)
           SELECT p.id AS "id: ContactId", p.name, p.phone, p.email, p.username, p.source, p.external_id, p.bypass_bots,
                  p.custom, p.tags, p.opted_out_at, p.marketing_opted_out_at,
                  p.merged_into_id AS "merged_into_id: ContactId", p.erased_at, p.created_at,
                  candidate.reasons AS "reasons!"
           FROM candidate JOIN contacts p ON p.company_id = $1 AND p.id = candidate.id
           WHERE p.merged_into_id IS NULL AND p.erased_at IS NULL
           ORDER BY cardinality(candidate.reasons) DESC, candidate.reasons = ARRAY['name'], p.created_at DESC, p.id DESC
           LIMIT $8"#,
        company_id.0,
        id.0,
        &traits.numbers,
        &traits.emails,
        &traits.external_ids,
        &traits.names,
        traits.has_phone,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| Candidate { contact: contact!(row), reasons: row.reasons }).collect())
}
