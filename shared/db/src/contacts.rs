//! Contacts and the addresses that lead to them.
//!
//! Rooms: here one by one, and what providers tell of many · [`search`] lists · [`notes`] · [`consents`] what customers
//! said about being written to · [`history`] what was changed · [`timeline`] all that happened.

pub mod consents;
pub mod history;
pub mod notes;
pub mod search;
pub mod timeline;

use chrono::{DateTime, Utc};
use domain::ContactId;
use domain::inbound::{Address, AddressKind};
use serde_json::Value;

use crate::{Error, Result, TenantTx};

/// A customer.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// What the customer is called; empty when nobody said.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// WhatsApp username, by which those are known who share no number.
    pub username: Option<String>,
    /// Where it came from.
    pub source: String,
    /// Id in the company's own system.
    pub external_id: Option<String>,
    /// The AI leaves this customer alone.
    pub bypass_bots: bool,
    /// Custom fields.
    pub custom: Value,
    /// Tabulations.
    pub tags: Vec<String>,
    /// Opted out of everything.
    pub opted_out_at: Option<DateTime<Utc>>,
    /// Opted out of marketing.
    pub marketing_opted_out_at: Option<DateTime<Utc>>,
    /// Who it is now, if it was merged.
    pub merged_into_id: Option<ContactId>,
    /// When everything about the person was taken out of it.
    pub erased_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The contact of a row that has all of its columns, and others.
macro_rules! contact {
    ($row:ident) => {
        $crate::contacts::Contact {
            id: $row.id,
            name: $row.name,
            phone: $row.phone,
            email: $row.email,
            username: $row.username,
            source: $row.source,
            external_id: $row.external_id,
            bypass_bots: $row.bypass_bots,
            custom: $row.custom,
            tags: $row.tags,
            opted_out_at: $row.opted_out_at,
            marketing_opted_out_at: $row.marketing_opted_out_at,
            merged_into_id: $row.merged_into_id,
            erased_at: $row.erased_at,
            created_at: $row.created_at,
        }
    };
}
pub(crate) use contact;

/// A contact to be made from what a provider told.
#[derive(Clone, Debug)]
pub struct NewContact {
    /// Its id.
    pub id: ContactId,
    /// Profile name.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// WhatsApp username.
    pub username: Option<String>,
    /// Where it came from.
    pub source: String,
}

/// An address and the contact that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAddress {
    /// The address.
    pub address: Address,
    /// Whose it is.
    pub contact_id: ContactId,
    /// The contact whose threads it belongs to: the same, unless contacts were merged.
    pub side_id: ContactId,
}

fn columns(addresses: &[Address]) -> (Vec<AddressKind>, Vec<String>) {
    addresses.iter().map(|address| (address.kind, address.value.clone())).unzip()
}

/// A contact that an address led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The address and the contact.
    pub known: KnownAddress,
    /// The contact has no name or no phone yet.
    pub incomplete: bool,
}

/// Which of `addresses` lead to a contact, and to which.
///
/// # Errors
/// Database errors only.
pub async fn find_by_addresses(tx: &mut TenantTx, addresses: &[Address]) -> Result<Vec<Found>> {
    let company_id = tx.company_id();
    let (kinds, values) = columns(addresses);
    let rows = sqlx::query!(
        r#"SELECT a.kind AS "kind: AddressKind", a.value, a.contact_id AS "contact_id: ContactId",
                  coalesce(a.side_id, a.contact_id) AS "side_id!: ContactId",
                  (p.name = '' OR p.phone IS NULL) AS "incomplete!"
           FROM unnest($2::text[], $3::text[]) AS wanted (kind, value)
           JOIN contact_addresses a ON a.company_id = $1 AND a.kind = wanted.kind AND a.value = wanted.value
           JOIN contacts p ON p.company_id = a.company_id AND p.id = a.contact_id"#,
        company_id.0,
        &kinds as _,
        &values
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Found {
            known: KnownAddress {
                address: Address { kind: row.kind, value: row.value },
                contact_id: row.contact_id,
                side_id: row.side_id,
            },
            incomplete: row.incomplete,
        })
        .collect())
}

/// The contact that the first of `addresses` leads to, of those that lead to any, with all that lead to it, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn find_by_first_address(
    tx: &mut TenantTx,
    addresses: &[Address],
) -> Result<Option<(Contact, Vec<Address>)>> {
    let company_id = tx.company_id();
    let (kinds, values) = columns(addresses);
    let row = sqlx::query!(
        r#"SELECT p.id AS "id: ContactId", p.name, p.phone, p.email, p.username, p.source, p.external_id, p.bypass_bots,
                  p.custom, p.tags, p.opted_out_at, p.marketing_opted_out_at,
                  p.merged_into_id AS "merged_into_id: ContactId", p.erased_at, p.created_at,
                  own.kinds AS "kinds!: Vec<AddressKind>", own.addresses AS "addresses!"
           FROM (SELECT p.*
                 FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS wanted (kind, value, place)
                 JOIN contact_addresses a ON a.company_id = $1 AND a.kind = wanted.kind AND a.value = wanted.value
                 JOIN contacts p ON p.company_id = a.company_id AND p.id = a.contact_id
                 ORDER BY wanted.place LIMIT 1) AS p
           CROSS JOIN LATERAL (SELECT array_agg(kind ORDER BY created_at, kind) AS kinds,
                                      array_agg(value ORDER BY created_at, kind) AS addresses
                               FROM contact_addresses WHERE company_id = $1 AND contact_id = p.id) AS own"#,
        company_id.0,
        &kinds as _,
        &values
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| {
        let contact = contact!(row);
        let addresses = row.kinds.into_iter().zip(row.addresses).map(|(kind, value)| Address { kind, value });
        (contact, addresses.collect())
    }))
}

/// As [`find_by_addresses`], for what is to be filed. Until the end of the transaction none of those is given to another
/// one: who merges contacts, takes them apart or erases one waits for what is being filed, and what comes next for them.
///
/// # Errors
/// Database errors only.
pub async fn hold_by_addresses(tx: &mut TenantTx, addresses: &[Address]) -> Result<Vec<Found>> {
    let company_id = tx.company_id();
    let (kinds, values) = columns(addresses);
    let rows = sqlx::query!(
        r#"SELECT a.kind AS "kind: AddressKind", a.value, a.contact_id AS "contact_id: ContactId",
                  coalesce(a.side_id, a.contact_id) AS "side_id!: ContactId",
                  (p.name = '' OR p.phone IS NULL) AS "incomplete!"
           FROM unnest($2::text[], $3::text[]) AS wanted (kind, value)
           JOIN contact_addresses a ON a.company_id = $1 AND a.kind = wanted.kind AND a.value = wanted.value
           JOIN contacts p ON p.company_id = a.company_id AND p.id = a.contact_id
           -- One that was given away while we waited fits its contact no more, and is not found: the caller looks again.
           ORDER BY a.kind, a.value FOR KEY SHARE OF a"#,
        company_id.0,
        &kinds as _,
        &values
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Found {
            known: KnownAddress {
                address: Address { kind: row.kind, value: row.value },
                contact_id: row.contact_id,
                side_id: row.side_id,
            },
            incomplete: row.incomplete,
        })
        .collect())
}

/// Waits for every other transaction that is about to give one of `addresses` to a contact, and for one that is about to
/// give any number of them ([`lock_all_addresses`](crate::imports::contacts::lock_all_addresses)).
///
/// # Errors
/// Database errors only.
pub async fn lock_addresses(tx: &mut TenantTx, addresses: &[Address]) -> Result<()> {
    let company_id = tx.company_id();
    let (kinds, values) = columns(addresses);
    // In one order everywhere: two transactions that want the same two addresses must not wait for each other.
    sqlx::query!(
        r#"WITH any_of_them AS MATERIALIZED (
               SELECT pg_advisory_xact_lock_shared(hashtextextended('addresses of ' || $1::text, 0)))
           SELECT count(pg_advisory_xact_lock(key)) AS "locked!"
           FROM any_of_them, (SELECT DISTINCT hashtextextended($1::text || kind || ':' || value, 0) AS key
                 FROM unnest($2::text[], $3::text[]) AS wanted (kind, value) ORDER BY key) AS keys"#,
        company_id.to_string(),
        &kinds as _,
        &values
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// Makes contacts.
///
/// # Errors
/// Database errors only.
pub async fn insert_many(tx: &mut TenantTx, contacts: &[NewContact], now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id.0).collect();
    let names: Vec<_> = contacts.iter().map(|contact| contact.name.clone()).collect();
    let phones: Vec<_> = contacts.iter().map(|contact| contact.phone.clone()).collect();
    let usernames: Vec<_> = contacts.iter().map(|contact| contact.username.clone()).collect();
    let sources: Vec<_> = contacts.iter().map(|contact| contact.source.clone()).collect();
    sqlx::query!(
        "INSERT INTO contacts (company_id, id, name, phone, username, source, created_at, updated_at)
         SELECT $1, id, name, phone, username, source, $7, $7
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
              AS new (id, name, phone, username, source)",
        company_id.0,
        &ids,
        &names,
        &phones as _,
        &usernames as _,
        &sources,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Learns addresses of sides (see [`KnownAddress::side_id`]), which belong to whoever the side is by now; nobody who was
/// erased learns one. One that leads somewhere already keeps leading there.
///
/// # Errors
/// Database errors only.
pub async fn insert_addresses(
    tx: &mut TenantTx,
    addresses: &[(Address, ContactId)],
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let kinds: Vec<_> = addresses.iter().map(|(address, _)| address.kind).collect();
    let values: Vec<_> = addresses.iter().map(|(address, _)| address.value.clone()).collect();
    let sides: Vec<_> = addresses.iter().map(|(_, side)| side.0).collect();
    sqlx::query!(
        "INSERT INTO contact_addresses (company_id, kind, value, contact_id, side_id, created_at)
         SELECT $1, new.kind, new.value, coalesce(p.merged_into_id, p.id),
                CASE WHEN p.merged_into_id IS NOT NULL THEN p.id END, $5
         FROM unnest($2::text[], $3::text[], $4::uuid[]) AS new (kind, value, side_id)
         JOIN contacts p ON p.company_id = $1 AND p.id = new.side_id AND p.erased_at IS NULL
         ORDER BY p.id FOR KEY SHARE OF p
         ON CONFLICT (company_id, kind, value) DO NOTHING",
        company_id.0,
        &kinds as _,
        &values,
        &sides,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Fills in what a contact did not have yet: name, phone, username.
///
/// # Errors
/// Database errors only.
pub async fn fill_in(tx: &mut TenantTx, contacts: &[NewContact], now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id.0).collect();
    let names: Vec<_> = contacts.iter().map(|contact| contact.name.clone()).collect();
    let phones: Vec<_> = contacts.iter().map(|contact| contact.phone.clone()).collect();
    let usernames: Vec<_> = contacts.iter().map(|contact| contact.username.clone()).collect();
    sqlx::query!(
        "UPDATE contacts c SET
             name = CASE WHEN c.name = '' THEN new.name ELSE c.name END,
             phone = coalesce(c.phone, new.phone),
             username = coalesce(new.username, c.username),
             updated_at = $6
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS new (id, name, phone, username)
         WHERE c.company_id = $1 AND c.id = new.id
           AND ((c.name = '' AND new.name <> '') OR (c.phone IS NULL AND new.phone IS NOT NULL)
                OR (new.username IS NOT NULL AND c.username IS DISTINCT FROM new.username))",
        company_id.0,
        &ids,
        &names,
        &phones as _,
        &usernames as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What people and programs write about a contact.
#[derive(Clone, Debug)]
pub struct Details {
    /// What the customer is called; empty when nobody said.
    pub name: String,
    /// Canonical E.164.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Where it came from.
    pub source: String,
    /// Id in the company's own system.
    pub external_id: Option<String>,
    /// The AI leaves this customer alone.
    pub bypass_bots: bool,
    /// Custom fields, an object.
    pub custom: Value,
    /// Tabulations.
    pub tags: Vec<String>,
}

/// Makes a contact. Its addresses are [another matter](insert_addresses).
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, id: ContactId, details: &Details, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO contacts (company_id, id, name, phone, email, source, external_id, bypass_bots, custom, tags,
                               created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        company_id.0,
        id.0,
        details.name,
        details.phone,
        details.email,
        details.source,
        details.external_id,
        details.bypass_bots,
        details.custom,
        &details.tags,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes what may change of a contact that was found [for update](find_for_update).
///
/// # Errors
/// Database errors only.
pub async fn update(tx: &mut TenantTx, id: ContactId, details: &Details, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE contacts SET name = $3, phone = $4, email = $5, source = $6, external_id = $7, bypass_bots = $8,
             custom = $9, tags = $10, updated_at = $11
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        details.name,
        details.phone,
        details.email,
        details.source,
        details.external_id,
        details.bypass_bots,
        details.custom,
        &details.tags,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes a contact that nothing else is about: neither messages, nor what the customer agreed to; whether there was
/// one. Its notes and its history go along.
///
/// # Errors
/// `Conflict` when something is about it.
pub async fn delete(tx: &mut TenantTx, id: ContactId) -> Result<bool> {
    let company_id = tx.company_id();
    sqlx::query!(
        "DELETE FROM contact_addresses WHERE company_id = $1 AND contact_id = $2",
        company_id.0,
        id.0
    )
    .execute(tx.connection())
    .await?;
    let done = sqlx::query!("DELETE FROM contacts WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await
        // Whatever points at it, also tables that come later.
        .map_err(|error| match error.as_database_error() {
            Some(violated) if violated.is_foreign_key_violation() => {
                Error::Conflict("something is about this contact")
            }
            _ => error.into(),
        })?;
    // Behind the row, for which whoever was changing it made us wait.
    history::delete(tx, &[id]).await?;
    Ok(done.rows_affected() > 0)
}

/// Takes addresses from a contact.
///
/// # Errors
/// Database errors only.
pub async fn delete_addresses(tx: &mut TenantTx, id: ContactId, addresses: &[Address]) -> Result<()> {
    let company_id = tx.company_id();
    let (kinds, values) = columns(addresses);
    sqlx::query!(
        "DELETE FROM contact_addresses a USING unnest($3::text[], $4::text[]) AS gone (kind, value)
         WHERE a.company_id = $1 AND a.contact_id = $2 AND a.kind = gone.kind AND a.value = gone.value",
        company_id.0,
        id.0,
        &kinds as _,
        &values
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds a contact, and keeps others from changing it. Addresses that are to be [locked](lock_addresses) were locked
/// before: everywhere those come first.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: ContactId) -> Result<Option<Contact>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Contact,
        r#"SELECT id AS "id: ContactId", name, phone, email, username, source, external_id, bypass_bots, custom, tags,
                  opted_out_at, marketing_opted_out_at, merged_into_id AS "merged_into_id: ContactId", erased_at,
                  created_at
           FROM contacts WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds a contact, also one that was merged or erased.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ContactId) -> Result<Option<Contact>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Contact,
        r#"SELECT id AS "id: ContactId", name, phone, email, username, source, external_id, bypass_bots, custom, tags,
                  opted_out_at, marketing_opted_out_at, merged_into_id AS "merged_into_id: ContactId", erased_at,
                  created_at
           FROM contacts WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lists the addresses of contacts.
///
/// # Errors
/// Database errors only.
pub async fn list_addresses(tx: &mut TenantTx, ids: &[ContactId]) -> Result<Vec<KnownAddress>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"SELECT kind AS "kind: AddressKind", value, contact_id AS "contact_id: ContactId",
                  coalesce(side_id, contact_id) AS "side_id!: ContactId"
           FROM contact_addresses WHERE company_id = $1 AND contact_id = ANY($2) ORDER BY created_at, kind"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| KnownAddress {
            address: Address { kind: row.kind, value: row.value },
            contact_id: row.contact_id,
            side_id: row.side_id,
        })
        .collect())
}

/// The contacts that are `id` now, who was merged last first.
///
/// # Errors
/// Database errors only.
pub async fn list_merged(tx: &mut TenantTx, id: ContactId) -> Result<Vec<Contact>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Contact,
        r#"SELECT id AS "id: ContactId", name, phone, email, username, source, external_id, bypass_bots, custom, tags,
                  opted_out_at, marketing_opted_out_at, merged_into_id AS "merged_into_id: ContactId", erased_at,
                  created_at
           FROM contacts WHERE company_id = $1 AND merged_into_id = $2 ORDER BY updated_at DESC, id"#,
        company_id.0,
        id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Who a contact is by now.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Itself, or whom it was merged into.
    pub current_id: ContactId,
    /// Nobody is there any more.
    pub erased: bool,
}

/// Who contacts are by now, which stays until the end of the transaction; one each that there is.
///
/// # Errors
/// Database errors only.
pub async fn list_standing(tx: &mut TenantTx, ids: &[ContactId]) -> Result<Vec<Standing>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Standing,
        r#"SELECT coalesce(merged_into_id, id) AS "current_id!: ContactId", erased_at IS NOT NULL AS "erased!"
           FROM contacts WHERE company_id = $1 AND id = ANY($2) ORDER BY id FOR KEY SHARE"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}
