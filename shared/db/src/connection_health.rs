//! How connections fare, and what stands in their way.

use chrono::{DateTime, Utc};
use domain::health::{Health, Obstacle};
use domain::{CompanyId, ConnectionId};

use crate::{Result, SystemTx, TenantTx};

/// How a connection fares.
#[derive(Clone, Debug)]
pub struct ConnectionHealth {
    /// Which.
    pub connection_id: ConnectionId,
    /// What it can do.
    pub state: Health,
    /// The gravest of what stands in its way.
    pub reason: Option<String>,
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// When the provider was last asked.
    pub checked_at: Option<DateTime<Utc>>,
    /// The name that customers see.
    pub verified_name: Option<String>,
    /// The number as people write it.
    pub display_phone_number: Option<String>,
    /// How customers take the number.
    pub quality: Option<String>,
    /// How many customers may be written to first in 24 hours.
    pub messaging_limit: Option<String>,
    /// How fast it may send.
    pub throughput: Option<String>,
    /// State of the name's review.
    pub name_status: Option<String>,
    /// When the token's time is over.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// When people were last told of that.
    pub token_noticed_at: Option<DateTime<Utc>>,
    /// Grows with every change of state or reason.
    pub version: i32,
}

/// One thing that stands in a connection's way.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Whose way.
    pub connection_id: ConnectionId,
    /// What.
    pub kind: Obstacle,
    /// Since when.
    pub since: DateTime<Utc>,
    /// In the provider's words.
    pub detail: Option<String>,
}

/// Finds how a connection fares; `None` when nobody ever asked.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<ConnectionHealth>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        ConnectionHealth,
        r#"SELECT connection_id AS "connection_id: ConnectionId", state AS "state: Health", reason, since, checked_at,
                  verified_name, display_phone_number, quality, messaging_limit, throughput, name_status,
                  token_expires_at, token_noticed_at, version
           FROM connection_health WHERE company_id = $1 AND connection_id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// What stands in the way of these connections, the oldest first.
///
/// # Errors
/// Database errors only.
pub async fn list_obstacles(tx: &mut TenantTx, ids: &[ConnectionId]) -> Result<Vec<Standing>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Standing,
        r#"SELECT connection_id AS "connection_id: ConnectionId", kind AS "kind: Obstacle", since, detail
           FROM connection_obstacles WHERE company_id = $1 AND connection_id = ANY($2) ORDER BY since, kind"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Makes sure that these connections have a state, and keeps everybody else from changing it until the transaction ends.
///
/// # Errors
/// Database errors only.
pub async fn hold(tx: &mut TenantTx, ids: &[ConnectionId], now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "INSERT INTO connection_health (company_id, connection_id, since)
         SELECT company_id, id, $3 FROM connections WHERE company_id = $1 AND id = ANY($2) ORDER BY id
         ON CONFLICT (company_id, connection_id) DO NOTHING",
        company_id.0,
        &ids,
        now
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "SELECT connection_id FROM connection_health WHERE company_id = $1 AND connection_id = ANY($2)
         ORDER BY connection_id FOR NO KEY UPDATE",
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(())
}

/// Puts one thing into the way of connections; what stands there already stays, with its time and the new words.
///
/// # Errors
/// Database errors only.
pub async fn raise(
    tx: &mut TenantTx,
    ids: &[ConnectionId],
    kind: Obstacle,
    detail: Option<&str>,
    since: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "INSERT INTO connection_obstacles (company_id, connection_id, kind, since, detail)
         SELECT $1, id, $3, $4, $5 FROM unnest($2::uuid[]) AS id
         ON CONFLICT (company_id, connection_id, kind) DO UPDATE SET detail = excluded.detail",
        company_id.0,
        &ids,
        kind as _,
        since,
        detail
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes things out of the way of connections, if they stand there since `before` or longer.
///
/// # Errors
/// Database errors only.
pub async fn clear(
    tx: &mut TenantTx,
    ids: &[ConnectionId],
    kinds: &[Obstacle],
    before: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    sqlx::query!(
        "DELETE FROM connection_obstacles
         WHERE company_id = $1 AND connection_id = ANY($2) AND kind = ANY($3) AND since <= $4",
        company_id.0,
        &ids,
        &kinds,
        before
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What a connection comes to.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Which.
    pub connection_id: ConnectionId,
    /// What it can do.
    pub state: Health,
    /// Why.
    pub reason: Option<Obstacle>,
}

/// A connection whose state or reason is another one.
#[derive(Clone, Debug)]
pub struct ChangedHealth {
    /// Which.
    pub connection_id: ConnectionId,
    /// What it can do.
    pub state: Health,
    /// Why.
    pub reason: Option<String>,
    /// Its version now.
    pub version: i32,
}

/// Writes what connections come to; those for which that is news.
///
/// # Errors
/// Database errors only.
pub async fn settle(tx: &mut TenantTx, judged: &[Judged], now: DateTime<Utc>) -> Result<Vec<ChangedHealth>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = judged.iter().map(|judged| judged.connection_id.0).collect();
    let states: Vec<_> = judged.iter().map(|judged| judged.state.as_str().to_owned()).collect();
    let reasons: Vec<_> =
        judged.iter().map(|judged| judged.reason.map(|it| it.as_str().to_owned())).collect();
    Ok(sqlx::query_as!(
        ChangedHealth,
        r#"UPDATE connection_health h
           SET state = j.state, reason = j.reason, since = CASE WHEN h.state = j.state THEN h.since ELSE $5 END,
               version = h.version + 1
           FROM unnest($2::uuid[], $3::text[], $4::text[]) AS j (id, state, reason)
           WHERE h.company_id = $1 AND h.connection_id = j.id AND (h.state, h.reason) IS DISTINCT FROM (j.state, j.reason)
           RETURNING h.connection_id AS "connection_id: ConnectionId", h.state AS "state: Health", h.reason, h.version"#,
        company_id.0,
        &ids,
        &states,
        &reasons as &[Option<String>],
        now
    )
    .fetch_all(tx.connection())
    .await?)
}

/// What a provider says of a number and its token.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The name that customers see.
    pub verified_name: Option<String>,
    /// The number as people write it.
    pub display_phone_number: Option<String>,
    /// How customers take the number.
    pub quality: Option<String>,
    /// How many customers may be written to first in 24 hours.
    pub messaging_limit: Option<String>,
    /// How fast it may send.
    pub throughput: Option<String>,
    /// State of the name's review.
    pub name_status: Option<String>,
}

/// Writes what the provider said of a number; what it did not say stays.
///
/// # Errors
/// Database errors only.
pub async fn record_facts(tx: &mut TenantTx, id: ConnectionId, facts: &Facts) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE connection_health
         SET verified_name = coalesce($3, verified_name), display_phone_number = coalesce($4, display_phone_number),
             quality = coalesce($5, quality), messaging_limit = coalesce($6, messaging_limit),
             throughput = coalesce($7, throughput), name_status = coalesce($8, name_status)
         WHERE company_id = $1 AND connection_id = $2",
        company_id.0,
        id.0,
        facts.verified_name,
        facts.display_phone_number,
        facts.quality,
        facts.messaging_limit,
        facts.throughput,
        facts.name_status
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes that the provider was asked, when the token's time is over, and when people were last told of that.
///
/// # Errors
/// Database errors only.
pub async fn record_token(
    tx: &mut TenantTx,
    id: ConnectionId,
    expires_at: Option<DateTime<Utc>>,
    noticed_at: Option<DateTime<Utc>>,
    checked_at: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE connection_health SET token_expires_at = $3, token_noticed_at = $4, checked_at = $5
         WHERE company_id = $1 AND connection_id = $2",
        company_id.0,
        id.0,
        expires_at,
        noticed_at,
        checked_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The connections of an account about which nothing was told later than `at`, and notes that this is told now. With a
/// number (digits) only those that have it, or whose number nobody knows.
///
/// # Errors
/// Database errors only.
pub async fn hear_of_account(
    tx: &mut TenantTx,
    waba_id: &str,
    number: Option<&str>,
    at: DateTime<Utc>,
) -> Result<Vec<ConnectionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"UPDATE connection_health h SET account_told_at = $4
           FROM connections c
           WHERE c.company_id = $1 AND c.waba_id = $2 AND c.kind = 'whatsapp_cloud' AND h.company_id = $1
             AND h.connection_id = c.id AND (h.account_told_at IS NULL OR h.account_told_at <= $4)
             AND ($3::text IS NULL OR h.display_phone_number IS NULL
                  OR regexp_replace(h.display_phone_number, '\D', '', 'g') = $3)
           RETURNING h.connection_id AS "id: ConnectionId""#,
        company_id.0,
        waba_id,
        number,
        at
    )
    .fetch_all(tx.connection())
    .await?)
}

/// The connections of an account.
///
/// # Errors
/// Database errors only.
pub async fn list_of_account(tx: &mut TenantTx, waba_id: &str) -> Result<Vec<ConnectionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connections
           WHERE company_id = $1 AND kind = 'whatsapp_cloud' AND waba_id = $2 ORDER BY id"#,
        company_id.0,
        waba_id
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A connection to be checked.
#[derive(Clone, Debug)]
pub struct Due {
    /// Whose.
    pub company_id: CompanyId,
    /// Which.
    pub connection_id: ConnectionId,
}

/// Lists connections of all companies that were not checked since `before`, or not since `unwell_before` and do not fare
/// well, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list_due(
    tx: &mut SystemTx,
    before: DateTime<Utc>,
    unwell_before: DateTime<Utc>,
    after: Option<(CompanyId, ConnectionId)>,
    limit: i64,
) -> Result<Vec<Due>> {
    let (after_company, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Due,
        r#"SELECT c.company_id AS "company_id: CompanyId", c.id AS "connection_id: ConnectionId"
           FROM connections c
           LEFT JOIN connection_health h ON h.company_id = c.company_id AND h.connection_id = c.id
           WHERE c.kind = 'whatsapp_cloud'
             AND (h.checked_at IS NULL OR h.checked_at < $1 OR (h.state <> 'connected' AND h.checked_at < $2))
             AND ($3::uuid IS NULL OR (c.company_id, c.id) > ($3, $4))
           ORDER BY c.company_id, c.id LIMIT $5"#,
        before,
        unwell_before,
        after_company.map(|id| id.0),
        after_id.map(|id| id.0),
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}
