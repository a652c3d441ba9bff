//! What Meta is asked for a connection before its number works, step by step, and how far that got.

use chrono::{DateTime, Utc};
use domain::ConnectionId;
use domain::connection::Onboarding;
use domain::health::Obstacle;

use crate::{Result, TenantTx};

/// How far a connection got.
#[derive(Clone, Debug)]
pub struct Progress {
    /// How its number gets to the Cloud API.
    pub way: Onboarding,
    /// When a person last gave a token.
    pub asked_at: DateTime<Utc>,
    /// When our app was subscribed to the account.
    pub subscribed_at: Option<DateTime<Utc>>,
    /// When the number was known to be registered.
    pub registered_at: Option<DateTime<Utc>>,
    /// When the contacts of the phone's app were asked for.
    pub contacts_asked_at: Option<DateTime<Utc>>,
    /// When the history of the phone's app was asked for.
    pub history_asked_at: Option<DateTime<Utc>>,
    /// Why a step was refused.
    pub failure: Option<Obstacle>,
    /// It is not to be asked before.
    pub not_before: Option<DateTime<Utc>>,
    /// What of the phone's app does not come.
    pub missed: Option<Obstacle>,
}

/// A step that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Our app is subscribed to the account.
    Subscribed,
    /// The number is registered.
    Registered,
    /// The contacts of the phone's app were asked for.
    Contacts,
    /// The history of the phone's app was asked for.
    History,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Registered => "registered",
            Self::Contacts => "contacts",
            Self::History => "history",
        }
    }
}

/// Begins from the first step: a person gave a token.
///
/// # Errors
/// Database errors only.
pub async fn begin(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    way: Onboarding,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        // What came of the phone's history came by another token; it comes anew.
        "WITH anew AS (UPDATE connections SET history_percent = NULL WHERE company_id = $1 AND id = $2 AND $3 = 'coexistence')
         INSERT INTO connection_onboardings AS o (company_id, connection_id, way, asked_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (company_id, connection_id) DO UPDATE
         SET way = excluded.way, asked_at = greatest(excluded.asked_at, o.asked_at + interval '1 microsecond'),
             subscribed_at = NULL, registered_at = NULL, contacts_asked_at = NULL, history_asked_at = NULL,
             failure = NULL, not_before = NULL, missed = NULL",
        company_id.0,
        connection_id.0,
        way as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How far a connection got; `None` where nothing is to be asked.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, connection_id: ConnectionId) -> Result<Option<Progress>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Progress,
        r#"SELECT way AS "way: Onboarding", asked_at, subscribed_at, registered_at, contacts_asked_at, history_asked_at,
                  failure AS "failure: Obstacle", not_before, missed AS "missed: Obstacle"
           FROM connection_onboardings WHERE company_id = $1 AND connection_id = $2"#,
        company_id.0,
        connection_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Writes that a step is done, and with `missed` that it brought nothing; unless a person gave another token since
/// `asked_at`, of which it says nothing. Whether it was written.
///
/// # Errors
/// Database errors only.
pub async fn record(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    asked_at: DateTime<Utc>,
    step: Step,
    missed: Option<Obstacle>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE connection_onboardings
         SET subscribed_at = CASE WHEN $4 = 'subscribed' THEN $6 ELSE subscribed_at END,
             registered_at = CASE WHEN $4 = 'registered' THEN $6 ELSE registered_at END,
             contacts_asked_at = CASE WHEN $4 = 'contacts' THEN $6 ELSE contacts_asked_at END,
             history_asked_at = CASE WHEN $4 = 'history' THEN $6 ELSE history_asked_at END,
             missed = coalesce($5, missed)
         WHERE company_id = $1 AND connection_id = $2 AND asked_at = $3",
        company_id.0,
        connection_id.0,
        asked_at,
        step.as_str(),
        missed as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Forgets that the history of the phone's app does not come: it does. Whether that was believed.
///
/// # Errors
/// Database errors only.
pub async fn history_comes(tx: &mut TenantTx, connection_id: ConnectionId) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE connection_onboardings SET missed = NULL
         WHERE company_id = $1 AND connection_id = $2 AND missed = 'history_missed'",
        company_id.0,
        connection_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes why a step was refused, as [`record`] does.
///
/// # Errors
/// Database errors only.
pub async fn fail(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    asked_at: DateTime<Utc>,
    failure: Obstacle,
    not_before: Option<DateTime<Utc>>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE connection_onboardings SET failure = $4, not_before = $5
         WHERE company_id = $1 AND connection_id = $2 AND asked_at = $3",
        company_id.0,
        connection_id.0,
        asked_at,
        failure as _,
        not_before
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets a connection go on, if it may be asked again by now; with `refused` also where a step was refused for good. Whether
/// there is a step to ask for.
///
/// # Errors
/// Database errors only.
pub async fn resume(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    refused: bool,
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE connection_onboardings SET failure = NULL, not_before = NULL
         WHERE company_id = $1 AND connection_id = $2 AND coalesce(not_before, '-infinity') <= $4
           AND ($3 OR failure IS NULL OR not_before IS NOT NULL)
           AND (subscribed_at IS NULL OR (way = 'registration' AND registered_at IS NULL)
                OR (way = 'coexistence' AND (contacts_asked_at IS NULL OR history_asked_at IS NULL)))",
        company_id.0,
        connection_id.0,
        refused,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends what was asked for a connection that is removed. The account's webhooks may come to its address, which ends, too:
/// another connection of the account that has them come to its own, if there is one.
///
/// # Errors
/// Database errors only.
pub async fn end(tx: &mut TenantTx, connection_id: ConnectionId) -> Result<Option<ConnectionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"WITH ended AS (
               DELETE FROM connection_onboardings WHERE company_id = $1 AND connection_id = $2 AND way <> 'token'
               RETURNING connection_id),
           heir AS (
               SELECT o.connection_id FROM ended
               JOIN connections gone ON gone.company_id = $1 AND gone.id = ended.connection_id
               JOIN connections c ON c.company_id = $1 AND c.kind = 'whatsapp_cloud' AND c.waba_id = gone.waba_id
                                 AND c.deleted_at IS NULL AND c.id <> gone.id
               JOIN connection_onboardings o ON o.company_id = $1 AND o.connection_id = c.id AND o.way <> 'token'
               ORDER BY c.created_at DESC, c.id DESC LIMIT 1)
           UPDATE connection_onboardings o SET subscribed_at = NULL FROM heir
           WHERE o.company_id = $1 AND o.connection_id = heir.connection_id
           RETURNING o.connection_id AS "connection_id: ConnectionId""#,
        company_id.0,
        connection_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}
