//! The journal of provider events: each once, as it came.

use chrono::{DateTime, Utc};
use domain::ConnectionId;
use sha2::{Digest as _, Sha256};

use crate::{Result, TenantTx};

/// One event to remember.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The connection that it came in by.
    pub connection_id: ConnectionId,
    /// The provider's idempotency key.
    pub key: String,
    /// The provider's id of the message that it is about: of a status, or of a file that comes after its message.
    pub about: Option<String>,
    /// `message`, `status`, `history`, `notice` …: what became of it.
    pub kind: &'static str,
    /// Why it is kept without being acted upon.
    pub reason: Option<String>,
    /// JSON text, as the provider worded it.
    pub payload: String,
    /// When the webhook took it.
    pub received_at: DateTime<Utc>,
}

/// Writes down the entries that are not known yet and returns their positions in `entries`, ascending. What is said of a
/// message whose words were erased is written down without words, and not returned: nobody is there to act for.
///
/// The marks commit or roll back with the work that they stand for. A key that stands twice in `entries` counts once.
///
/// # Errors
/// Database errors only; a known key is none.
pub async fn insert_new(tx: &mut TenantTx, entries: &[Entry]) -> Result<Vec<usize>> {
    let company_id = tx.company_id();
    let connection_ids: Vec<_> = entries.iter().map(|entry| entry.connection_id.0).collect();
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.to_owned()).collect();
    let reasons: Vec<_> = entries.iter().map(|entry| entry.reason.clone()).collect();
    let payloads: Vec<_> = entries.iter().map(|entry| entry.payload.clone()).collect();
    let erased_keys: Vec<_> = entries.iter().map(|entry| erased(&entry.key)).collect();
    let erased_about: Vec<_> = entries.iter().map(|entry| entry.about.as_deref().map(erased)).collect();
    let received: Vec<_> = entries.iter().map(|entry| entry.received_at).collect();
    let inserted = sqlx::query!(
        "INSERT INTO inbound_events (company_id, connection_id, key, kind, reason, payload, received_at)
         SELECT $1, new.connection_id, CASE WHEN about.erased THEN new.erased_key ELSE new.key END, new.kind,
                CASE WHEN NOT about.erased THEN new.reason END,
                CASE WHEN about.erased THEN '{}' ELSE new.payload END, new.received_at
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
                     $9::text[])
              AS new (connection_id, key, kind, reason, payload, received_at, erased_key, erased_about)
         CROSS JOIN LATERAL (
             SELECT EXISTS (SELECT FROM messages m
                            WHERE m.company_id = $1 AND m.connection_id = new.connection_id
                              AND m.provider_message_id = new.erased_about) AS erased) AS about
         -- One whose words were erased does not come back by a late repetition. A subquery of one value is looked up by the
         -- whole key, whatever is believed of how many events there are; an anti join would walk through a company's.
         WHERE (SELECT true FROM inbound_events e
                WHERE e.company_id = $1 AND e.connection_id = new.connection_id AND e.key = new.erased_key) IS NULL
         ON CONFLICT (company_id, connection_id, key) DO NOTHING
         RETURNING connection_id, key",
        company_id.0,
        &connection_ids,
        &keys,
        &kinds,
        &reasons as _,
        &payloads,
        &received,
        &erased_keys,
        &erased_about as _
    )
    .fetch_all(tx.connection())
    .await?;
    let mut fresh: std::collections::HashSet<_> =
        inserted.iter().map(|row| (row.connection_id, row.key.as_str())).collect();
    Ok(entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| fresh.remove(&(entry.connection_id.0, entry.key.as_str())))
        .map(|(position, _)| position)
        .collect())
}

/// What stands in the place of an event's key, or of the provider's id of a message, once the words were erased; as
/// `erased_key` in migration 0013 has it. Computed here: below row-level security PostgreSQL looks up in an index what is
/// there already, and calls no function for it.
pub(crate) fn erased(key: &str) -> String {
    format!("erased:{}", hex::encode(Sha256::digest(key.as_bytes())))
}

/// The payloads of all statuses that were reported for a provider's message id, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn list_statuses(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    provider_message_id: &str,
) -> Result<Vec<String>> {
    let company_id = tx.company_id();
    // ';' follows ':' in ASCII, and the column collates by bytes: a range of the primary key.
    let first = format!("status:{provider_message_id}:");
    let end = format!("status:{provider_message_id};");
    Ok(sqlx::query_scalar!(
        "SELECT payload FROM inbound_events
         WHERE company_id = $1 AND connection_id = $2 AND key >= $3 AND key < $4
         ORDER BY received_at",
        company_id.0,
        connection_id.0,
        first,
        end
    )
    .fetch_all(tx.connection())
    .await?)
}

/// The payloads of the files that came for messages of a connection, by the provider's ids.
///
/// # Errors
/// Database errors only.
pub async fn list_past_files(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    provider_message_ids: &[String],
) -> Result<Vec<String>> {
    let company_id = tx.company_id();
    let keys: Vec<_> = provider_message_ids.iter().map(|id| format!("history:{id}")).collect();
    Ok(sqlx::query_scalar!(
        "SELECT e.payload FROM unnest($3::text[]) AS named (key)
         JOIN inbound_events e ON e.company_id = $1 AND e.connection_id = $2 AND e.key = named.key",
        company_id.0,
        connection_id.0,
        &keys
    )
    .fetch_all(tx.connection())
    .await?)
}
