//! How connections stand, and what stands in their way.

use chrono::{DateTime, Utc};
use domain::connection::ConnectionState;
use domain::health::{Finding, NumberFacts, Obstacle};
use domain::{CompanyId, ConnectionId, MessageId};

use crate::{Result, SystemTx, TenantTx};

/// What a connection's provider says of it.
#[derive(Clone, Debug)]
pub struct Health {
    /// How it stands.
    pub state: ConnectionState,
    /// The gravest of what stands in its way.
    pub reason: Option<Obstacle>,
    /// Since when it stands so.
    pub since: Option<DateTime<Utc>>,
    /// When the provider was last asked.
    pub checked_at: Option<DateTime<Utc>>,
    /// The number, in the provider's words.
    pub number: NumberFacts,
    /// How far the phone's app says that it got with its history, 0 to 100; `None` where nothing has come.
    pub history_percent: Option<i16>,
    /// When the token's time is over; `None` when never, or when nobody knows.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// When people were last told of that.
    pub token_noticed_at: Option<DateTime<Utc>>,
    /// Of the connection.
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

/// How a connection stands; `None` for one that was removed.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<Health>> {
    let company_id = tx.company_id();
    let row = sqlx::query!(
        r#"SELECT state AS "state: ConnectionState", state_obstacle AS "reason: Obstacle", state_since,
                  checked_at, verified_name, display_phone_number, quality, messaging_limit, throughput, name_status,
                  username, history_percent, token_expires_at, token_noticed_at, version
           FROM connections WHERE company_id = $1 AND id = $2 AND deleted_at IS NULL"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Health {
        state: row.state,
        reason: row.reason,
        since: row.state_since,
        checked_at: row.checked_at,
        number: NumberFacts {
            verified_name: row.verified_name,
            display_phone_number: row.display_phone_number,
            quality: row.quality,
            messaging_limit: row.messaging_limit,
            throughput: row.throughput,
            name_status: row.name_status,
            username: row.username,
        },
        history_percent: row.history_percent,
        token_expires_at: row.token_expires_at,
        token_noticed_at: row.token_noticed_at,
        version: row.version,
    }))
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

/// Keeps everybody else from changing how these connections stand until the transaction ends; those that there are.
///
/// # Errors
/// Database errors only.
pub async fn hold(tx: &mut TenantTx, ids: &[ConnectionId]) -> Result<Vec<ConnectionId>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connections
           WHERE company_id = $1 AND id = ANY($2) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Puts one thing into the way of connections; what stands there already stays, with its time and the new words. A restriction
/// counts from the last one. Whether it is new to any of them.
///
/// # Errors
/// Database errors only.
pub async fn raise(
    tx: &mut TenantTx,
    ids: &[ConnectionId],
    finding: &Finding,
    since: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let inserted = sqlx::query_scalar!(
        r#"INSERT INTO connection_obstacles AS o (company_id, connection_id, kind, since, detail)
           SELECT $1, id, $3, $4, $5 FROM unnest($2::uuid[]) AS id
           ON CONFLICT (company_id, connection_id, kind) DO UPDATE
           SET detail = excluded.detail,
               since = CASE WHEN o.kind = 'account_restricted' THEN greatest(o.since, excluded.since) ELSE o.since END
           RETURNING (xmax = 0) AS "is_new!""#,
        company_id.0,
        &ids,
        finding.obstacle as _,
        since,
        finding.detail
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(inserted.contains(&true))
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

/// A connection over which a message came through.
#[derive(Clone, Copy, Debug)]
pub struct CameThrough {
    /// Which.
    pub connection_id: ConnectionId,
    /// When the last of them was sent.
    pub sent_at: DateTime<Utc>,
}

/// The connections in whose way one of `kinds` stands, and over which one of `messages` was sent since it does; in order.
///
/// # Errors
/// Database errors only.
pub async fn list_come_through(
    tx: &mut TenantTx,
    messages: &[MessageId],
    kinds: &[Obstacle],
) -> Result<Vec<CameThrough>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = messages.iter().map(|id| id.0).collect();
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    Ok(sqlx::query_as!(
        CameThrough,
        r#"SELECT m.connection_id AS "connection_id: ConnectionId", max(m.sent_at) AS "sent_at!"
           FROM messages m
           JOIN connection_obstacles o ON o.company_id = $1 AND o.connection_id = m.connection_id
                                      AND o.kind = ANY($3) AND o.since < m.sent_at
           WHERE m.company_id = $1 AND m.id = ANY($2)
           GROUP BY m.connection_id ORDER BY m.connection_id"#,
        company_id.0,
        &ids,
        &kinds
    )
    .fetch_all(tx.connection())
    .await?)
}

/// How a connection stands with what is in its way now.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Which.
    pub connection_id: ConnectionId,
    /// How.
    pub state: ConnectionState,
    /// Why.
    pub reason: Option<Obstacle>,
}

/// A connection that stands otherwise than before, or for another reason.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Which.
    pub connection_id: ConnectionId,
    /// How it stands.
    pub state: ConnectionState,
    /// Why.
    pub reason: Option<Obstacle>,
    /// Its version now.
    pub version: i32,
}

/// Writes how connections stand; those for which that is news. One of which no provider ever spoke is not connected for
/// the lack of bad news.
///
/// # Errors
/// Database errors only.
pub async fn settle(tx: &mut TenantTx, judged: &[Judged], now: DateTime<Utc>) -> Result<Vec<Changed>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = judged.iter().map(|judged| judged.connection_id.0).collect();
    let states: Vec<_> = judged.iter().map(|judged| judged.state.as_str().to_owned()).collect();
    let reasons: Vec<_> =
        judged.iter().map(|judged| judged.reason.map(|it| it.as_str().to_owned())).collect();
    Ok(sqlx::query_as!(
        Changed,
        r#"UPDATE connections c
           SET state = j.state, state_obstacle = j.reason, version = c.version + 1,
               state_since = CASE WHEN c.state = j.state THEN c.state_since ELSE $5 END
           FROM unnest($2::uuid[], $3::text[], $4::text[]) AS j (id, state, reason)
           WHERE c.company_id = $1 AND c.id = j.id AND (c.state, c.state_obstacle) IS DISTINCT FROM (j.state, j.reason)
             AND NOT (c.state = 'unknown' AND j.state = 'connected' AND c.state_told_at IS NULL)
           RETURNING c.id AS "connection_id: ConnectionId", c.state AS "state: ConnectionState",
                     c.state_obstacle AS "reason: Obstacle", c.version"#,
        company_id.0,
        &ids,
        &states,
        &reasons as &[Option<String>],
        now
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Notes that the provider said how a connection's line is; whether nothing newer is known.
///
/// # Errors
/// Database errors only.
pub async fn hear(tx: &mut TenantTx, id: ConnectionId, at: DateTime<Utc>) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE connections SET state_told_at = $3
         WHERE company_id = $1 AND id = $2 AND deleted_at IS NULL AND coalesce(state_told_at, '-infinity') <= $3",
        company_id.0,
        id.0,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes what the provider said of a number; what it did not say stays.
///
/// # Errors
/// Database errors only.
pub async fn record_number(tx: &mut TenantTx, id: ConnectionId, number: &NumberFacts) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE connections
         SET verified_name = coalesce($3, verified_name), display_phone_number = coalesce($4, display_phone_number),
             quality = coalesce($5, quality), messaging_limit = coalesce($6, messaging_limit),
             throughput = coalesce($7, throughput), name_status = coalesce($8, name_status)
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        number.verified_name,
        number.display_phone_number,
        number.quality,
        number.messaging_limit,
        number.throughput,
        number.name_status
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes when the provider was asked (`None`: it has to be, soon), when the token's time is over, and when people were last
/// told of that.
///
/// # Errors
/// Database errors only.
pub async fn record_token(
    tx: &mut TenantTx,
    id: ConnectionId,
    expires_at: Option<DateTime<Utc>>,
    noticed_at: Option<DateTime<Utc>>,
    checked_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE connections SET token_expires_at = $3, token_noticed_at = $4, checked_at = $5
         WHERE company_id = $1 AND id = $2",
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

/// The connections of an account of which nothing was told later than `at` of what this is `about`, an obstacle or the
/// username, and notes that this is told now. With a number (digits) only those that have it, or whose number nobody
/// knows.
///
/// # Errors
/// Database errors only.
pub async fn hear_of_account(
    tx: &mut TenantTx,
    waba_id: &str,
    number: Option<&str>,
    about: &str,
    at: DateTime<Utc>,
) -> Result<Vec<ConnectionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"UPDATE connections SET account_told_at = account_told_at || jsonb_build_object($5::text, $4::timestamptz)
           WHERE company_id = $1 AND waba_id = $2 AND kind = 'whatsapp_cloud' AND deleted_at IS NULL
             AND coalesce((account_told_at ->> $5::text)::timestamptz, '-infinity') <= $4
             AND ($3::text IS NULL OR display_phone_number IS NULL
                  OR regexp_replace(display_phone_number, '\D', '', 'g') = $3)
           RETURNING id AS "id: ConnectionId""#,
        company_id.0,
        waba_id,
        number,
        at,
        about
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A connection that is another than before.
#[derive(Clone, Copy, Debug)]
pub struct Altered {
    /// Which.
    pub id: ConnectionId,
    /// Of the connection.
    pub version: i32,
}

/// Writes by which name customers find these connections' number, if by any; those that it is news of. With a number (digits)
/// only those that are known to have it.
///
/// # Errors
/// Database errors only.
pub async fn record_username(
    tx: &mut TenantTx,
    ids: &[ConnectionId],
    number: Option<&str>,
    username: Option<&str>,
) -> Result<Vec<Altered>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Altered,
        r#"UPDATE connections SET username = $3, version = version + 1
           WHERE company_id = $1 AND id = ANY($2) AND username IS DISTINCT FROM $3
             AND ($4::text IS NULL OR regexp_replace(display_phone_number, '\D', '', 'g') = $4)
           RETURNING id AS "id: ConnectionId", version"#,
        company_id.0,
        &ids,
        username,
        number
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Writes how far the phone's app says that it got with its history: parts come in any order, the furthest counts. `None` when it
/// is no news.
///
/// # Errors
/// Database errors only.
pub async fn record_history(tx: &mut TenantTx, id: ConnectionId, percent: u8) -> Result<Option<Altered>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Altered,
        r#"UPDATE connections SET history_percent = $3::smallint, version = version + 1
           WHERE company_id = $1 AND id = $2 AND deleted_at IS NULL AND coalesce(history_percent, -1) < $3::smallint
           RETURNING id AS "id: ConnectionId", version"#,
        company_id.0,
        id.0,
        i16::from(percent)
    )
    .fetch_optional(tx.connection())
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

/// Lists connections of all companies that were not checked since `before`, or not since `unwell_before` and do not stand
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
        r#"SELECT company_id AS "company_id: CompanyId", id AS "connection_id: ConnectionId"
           FROM connections
           WHERE deleted_at IS NULL AND kind IN ('whatsapp_cloud', 'evolution', 'uazapi', 'twilio_sms')
             AND (checked_at IS NULL OR checked_at < $1 OR (state <> 'connected' AND checked_at < $2))
             AND ($3::uuid IS NULL OR (company_id, id) > ($3, $4))
           ORDER BY company_id, id LIMIT $5"#,
        before,
        unwell_before,
        after_company.map(|id| id.0),
        after_id.map(|id| id.0),
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}
