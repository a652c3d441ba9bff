//! The outbox: jobs and events that commit with the data that caused them.
//!
//! A row is born claimed by the process that writes it, which hands it over right after its commit and deletes it.
//! When that process dies, the claim runs out and the scheduled relay takes the row. Either way it leaves at least
//! once; consumers are idempotent.

use chrono::{DateTime, Utc};
use domain::CompanyId;
use sqlx::PgConnection;

use crate::{Result, SystemTx, TenantTx};

/// Where a row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Destination {
    /// A job's queue.
    Queue,
    /// The event bus.
    Bus,
}

impl Destination {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Bus => "bus",
        }
    }
}

/// A row before it is written.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Where it goes.
    pub destination: Destination,
    /// The serialised envelope.
    pub body: String,
    /// Not before.
    pub due_at: Option<DateTime<Utc>>,
}

/// A row that waits to be handed over.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: i64,
    /// What it says.
    pub row: NewRow,
    /// How often a relay tried, this time included.
    pub attempts: i32,
}

/// Writes `rows` of the company that `tx` speaks for, claimed until `claimed_until`, and returns their ids in the same
/// order.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, rows: &[NewRow], claimed_until: DateTime<Utc>) -> Result<Vec<i64>> {
    let companies = vec![tx.company_id(); rows.len()];
    insert_rows(tx.connection(), &companies, rows, claimed_until).await
}

/// As [`insert`], for several companies at once: `companies` says whose each row is.
///
/// # Errors
/// Database errors only.
pub async fn insert_for(
    tx: &mut SystemTx,
    companies: &[CompanyId],
    rows: &[NewRow],
    claimed_until: DateTime<Utc>,
) -> Result<Vec<i64>> {
    insert_rows(tx.connection(), companies, rows, claimed_until).await
}

async fn insert_rows(
    connection: &mut PgConnection,
    companies: &[CompanyId],
    rows: &[NewRow],
    claimed_until: DateTime<Utc>,
) -> Result<Vec<i64>> {
    let companies: Vec<_> = companies.iter().map(|company| company.0).collect();
    let destinations: Vec<_> = rows.iter().map(|row| row.destination.as_str().to_owned()).collect();
    let bodies: Vec<_> = rows.iter().map(|row| row.body.clone()).collect();
    let due: Vec<_> = rows.iter().map(|row| row.due_at).collect();
    Ok(sqlx::query_scalar!(
        "INSERT INTO outbox (company_id, destination, body, due_at, claimed_until)
         SELECT company_id, destination, body, due_at, $5
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
              WITH ORDINALITY AS new (company_id, destination, body, due_at, position)
         ORDER BY position
         RETURNING id",
        &companies,
        &destinations,
        &bodies,
        &due as _,
        claimed_until
    )
    .fetch_all(connection)
    .await?)
}

/// Forgets rows that the writing process handed over. Losing this work only hands them over twice, so a transaction that
/// does not wait for the disk is good enough: [`Db::begin_relaxed`](crate::Db::begin_relaxed).
///
/// # Errors
/// Database errors only.
pub async fn delete_handed_over(tx: &mut TenantTx, ids: &[i64]) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("DELETE FROM outbox WHERE company_id = $1 AND id = ANY($2)", company_id.0, ids)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Claims up to `limit` rows whose claim ran out, oldest first, until `claimed_until`.
///
/// # Errors
/// Database errors only.
pub async fn claim_overdue(
    tx: &mut SystemTx,
    now: DateTime<Utc>,
    claimed_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Row>> {
    let mut rows = sqlx::query!(
        r#"UPDATE outbox SET claimed_until = $2, attempts = attempts + 1
           WHERE id IN (SELECT id FROM outbox WHERE claimed_until <= $1
                        ORDER BY claimed_until, id LIMIT $3 FOR UPDATE SKIP LOCKED)
           RETURNING id, destination AS "destination: Destination", body, due_at, attempts"#,
        now,
        claimed_until,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    rows.sort_by_key(|row| row.id);
    Ok(rows
        .into_iter()
        .map(|row| Row {
            id: row.id,
            row: NewRow { destination: row.destination, body: row.body, due_at: row.due_at },
            attempts: row.attempts,
        })
        .collect())
}

/// Forgets rows that the relay handed over.
///
/// # Errors
/// Database errors only.
pub async fn delete_relayed(tx: &mut SystemTx, ids: &[i64]) -> Result<()> {
    sqlx::query!("DELETE FROM outbox WHERE id = ANY($1)", ids).execute(tx.connection()).await?;
    Ok(())
}
