//! What a stretch of an import's rows does to the contacts: a query for each set of rows.
//!
//! Rows travel as arrays, and not by `COPY` into a table beside: PostgreSQL copies into no table with row-level security
//! (infra/docs/decisions/0017).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ContactId;
use domain::import::{Draft, Values};
use domain::inbound::{Address, AddressKind};
use serde_json::{Map, Value};

use crate::{Result, TenantTx};

/// Waits for everybody who is about to give an address to a contact of the company, and keeps others from it until the end
/// of the transaction: a stretch has more addresses than PostgreSQL has locks.
///
/// # Errors
/// Database errors only.
pub async fn lock_all_addresses(tx: &mut TenantTx) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "SELECT count(pg_advisory_xact_lock(hashtextextended('addresses of ' || $1::text, 0)))",
        company_id.to_string()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// Which of `addresses` lead to a contact, and to which.
///
/// # Errors
/// Database errors only.
pub async fn find_by_addresses(
    tx: &mut TenantTx,
    addresses: &[Address],
) -> Result<HashMap<ContactId, Vec<Address>>> {
    let company_id = tx.company_id();
    let kinds: Vec<_> = addresses.iter().map(|address| address.kind).collect();
    let values: Vec<_> = addresses.iter().map(|address| address.value.clone()).collect();
    let rows = sqlx::query!(
        r#"SELECT a.kind AS "kind: AddressKind", a.value, a.contact_id AS "contact_id: ContactId"
           FROM unnest($2::text[], $3::text[]) AS wanted (kind, value)
           JOIN contact_addresses a ON a.company_id = $1 AND a.kind = wanted.kind AND a.value = wanted.value
           ORDER BY a.kind, a.value"#,
        company_id.0,
        &kinds as _,
        &values
    )
    .fetch_all(tx.connection())
    .await?;
    let mut found: HashMap<ContactId, Vec<Address>> = HashMap::new();
    for row in rows {
        found.entry(row.contact_id).or_default().push(Address { kind: row.kind, value: row.value });
    }
    Ok(found)
}

/// Contacts as rows find them, which nobody else changes until the end of the transaction. One that was merged or erased
/// meanwhile is left out.
///
/// # Errors
/// Database errors only.
pub async fn lock(tx: &mut TenantTx, ids: &[ContactId]) -> Result<Vec<(ContactId, Values)>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    // In one order everywhere: two transactions that want the same two contacts must not wait for each other.
    let rows = sqlx::query!(
        r#"SELECT id AS "id: ContactId", name, phone, email, external_id, tags, custom FROM contacts
           WHERE company_id = $1 AND id = ANY($2) AND merged_into_id IS NULL AND erased_at IS NULL
           ORDER BY id FOR NO KEY UPDATE"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    let values = rows.into_iter().map(|row| {
        let custom = match row.custom {
            Value::Object(custom) => custom,
            _ => Map::new(),
        };
        let (name, phone, email) = (row.name, row.phone, row.email);
        (row.id, Values { name, phone, email, external_id: row.external_id, tags: row.tags, custom })
    });
    Ok(values.collect())
}

/// The columns of drafts, as arrays.
#[derive(Default)]
struct Columns {
    ids: Vec<uuid::Uuid>,
    names: Vec<String>,
    phones: Vec<Option<String>>,
    emails: Vec<Option<String>>,
    external_ids: Vec<Option<String>>,
    tags: Vec<String>,
    customs: Vec<Value>,
}

impl Columns {
    fn of<'a>(drafts: impl IntoIterator<Item = &'a Draft>) -> Self {
        let mut columns = Self::default();
        for draft in drafts {
            columns.ids.push(draft.id.0);
            columns.names.push(draft.values.name.clone());
            columns.phones.push(draft.values.phone.clone());
            columns.emails.push(draft.values.email.clone());
            columns.external_ids.push(draft.values.external_id.clone());
            // No tag holds a control character.
            columns.tags.push(draft.values.tags.join("\u{1f}"));
            columns.customs.push(Value::Object(draft.values.custom.clone()));
        }
        columns
    }
}

/// Makes contacts.
///
/// # Errors
/// Database errors only.
pub async fn insert<'a>(
    tx: &mut TenantTx,
    drafts: impl IntoIterator<Item = &'a Draft>,
    source: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let columns = Columns::of(drafts);
    if columns.ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO contacts (company_id, id, name, phone, email, external_id, tags, custom, source, created_at, updated_at)
         SELECT $1, id, name, phone, email, external_id, string_to_array(tags, chr(31)), custom, $9, $10, $10
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[])
              AS new (id, name, phone, email, external_id, tags, custom)",
        company_id.0,
        &columns.ids,
        &columns.names,
        &columns.phones as _,
        &columns.emails as _,
        &columns.external_ids as _,
        &columns.tags,
        &columns.customs,
        source,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes contacts be as they are in the drafts.
///
/// # Errors
/// Database errors only.
pub async fn update<'a>(
    tx: &mut TenantTx,
    drafts: impl IntoIterator<Item = &'a Draft>,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let columns = Columns::of(drafts);
    if columns.ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE contacts c SET name = new.name, phone = new.phone, email = new.email, external_id = new.external_id,
             tags = string_to_array(new.tags, chr(31)), custom = new.custom, updated_at = $9
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[])
              AS new (id, name, phone, email, external_id, tags, custom)
         WHERE c.company_id = $1 AND c.id = new.id",
        company_id.0,
        &columns.ids,
        &columns.names,
        &columns.phones as _,
        &columns.emails as _,
        &columns.external_ids as _,
        &columns.tags,
        &columns.customs,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Teaches contacts the addresses that their rows brought; whether all of them were free. Otherwise somebody who does not
/// know of [`lock_all_addresses`], as a release before it, gave one of them to a contact a moment ago: the transaction can
/// only be rolled back, and the stretch be read again.
///
/// # Errors
/// Database errors only.
pub async fn insert_addresses<'a>(
    tx: &mut TenantTx,
    drafts: impl IntoIterator<Item = &'a Draft>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let (mut kinds, mut values, mut contacts) = (Vec::new(), Vec::new(), Vec::new());
    for draft in drafts {
        for address in &draft.learnt {
            kinds.push(address.kind);
            values.push(address.value.clone());
            contacts.push(draft.id.0);
        }
    }
    if kinds.is_empty() {
        return Ok(true);
    }
    // In the index's order: its pages are touched one after the other. Without ON CONFLICT, which looks each of them up
    // once more before it goes in: a third of the statement's time.
    let done = sqlx::query!(
        "INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
         SELECT $1, kind, value, contact_id, $5
         FROM unnest($2::text[], $3::text[], $4::uuid[]) AS new (kind, value, contact_id) ORDER BY kind, value",
        company_id.0,
        &kinds as _,
        &values,
        &contacts,
        now
    )
    .execute(tx.connection())
    .await;
    match done {
        Ok(_) => Ok(true),
        Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
