//! Connections: the company's accounts with messaging providers. Secrets stay sealed here.
//!
//! Rooms: here the accounts · [`health`] how they stand.

pub mod health;

use chrono::{DateTime, Utc};
use domain::connection::{ConnectionKind, ConnectionState};
use domain::health::Obstacle;
use domain::{CompanyId, ConnectionId, PersonaId};
use serde_json::Value;

use crate::error::OnConstraint;
use crate::{Result, SystemTx, TenantTx};

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// What it is to.
    pub kind: ConnectionKind,
    /// What people call it.
    pub name: String,
    /// Its place in webhook addresses.
    pub slug: String,
    /// The provider's id of the account.
    pub provider_account: String,
    /// The WhatsApp Business Account.
    pub waba_id: Option<String>,
    /// What calls of the account need besides secrets.
    pub settings: Value,
    /// Sealed: what opens the account.
    pub access_token: String,
    /// Sealed: what proves webhooks.
    pub app_secret: String,
    /// Sealed: what the provider says when it asks whether the address is ours.
    pub verify_token: String,
    /// Who answers for it.
    pub persona_id: Option<PersonaId>,
    /// The app that its token was made for, where it is known.
    pub app_id: Option<String>,
    /// How it stands.
    pub state: ConnectionState,
    /// The gravest of what stands in its way.
    pub state_reason: Option<Obstacle>,
    /// Since when it stands so.
    pub state_since: Option<DateTime<Utc>>,
    /// Everything that stands in its way.
    pub obstacles: Vec<Obstacle>,
    /// Grows with every change.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Its id.
    pub id: ConnectionId,
    /// What it is to.
    pub kind: ConnectionKind,
    /// What people call it.
    pub name: String,
    /// Its place in webhook addresses.
    pub slug: String,
    /// The provider's id of the account.
    pub provider_account: String,
    /// The WhatsApp Business Account.
    pub waba_id: Option<String>,
    /// What calls of the account need besides secrets.
    pub settings: Value,
    /// Sealed.
    pub access_token: String,
    /// Sealed.
    pub app_secret: String,
    /// Sealed.
    pub verify_token: String,
    /// Who answers for it.
    pub persona_id: Option<PersonaId>,
}

/// The account is connected already, by another connection of the company.
const CONNECTED: &str = "this account is connected already";

/// Makes a connection.
///
/// # Errors
/// `Conflict` when the slug is taken, or the account is connected already.
pub async fn insert(tx: &mut TenantTx, new: &NewConnection, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO connections (company_id, id, kind, name, slug, provider_account, waba_id, settings, access_token,
                                  app_secret, verify_token, persona_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)",
        company_id.0,
        new.id.0,
        new.kind as _,
        new.name,
        new.slug,
        new.provider_account,
        new.waba_id,
        new.settings,
        new.access_token,
        new.app_secret,
        new.verify_token,
        new.persona_id as _,
        now
    )
    .execute(tx.connection())
    .await
    .on_constraint("connections_account_key", CONNECTED)?;
    Ok(())
}

/// Finds a connection that was not removed.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<Connection>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Connection,
        r#"SELECT id AS "id: ConnectionId", kind AS "kind: ConnectionKind", name, slug, provider_account, waba_id,
                  settings, access_token, app_secret, verify_token, persona_id AS "persona_id: PersonaId", app_id,
                  state AS "state: ConnectionState", state_obstacle AS "state_reason: Obstacle", state_since,
                  ARRAY(SELECT o.kind FROM connection_obstacles o
                        WHERE o.company_id = $1 AND o.connection_id = c.id ORDER BY o.kind) AS "obstacles!: Vec<Obstacle>",
                  version, created_at, updated_at
           FROM connections c WHERE company_id = $1 AND id = $2 AND deleted_at IS NULL"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// As [`find`], and keeps others from changing it.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<Connection>> {
    let company_id = tx.company_id();
    sqlx::query!(
        "SELECT id FROM connections WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    find(tx, id).await
}

/// The connections of an account of WhatsApp, always in the same order.
///
/// # Errors
/// Database errors only.
pub async fn list_of_account(tx: &mut TenantTx, waba_id: &str) -> Result<Vec<ConnectionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connections
           WHERE company_id = $1 AND kind = 'whatsapp_cloud' AND waba_id = $2 AND deleted_at IS NULL ORDER BY id"#,
        company_id.0,
        waba_id
    )
    .fetch_all(tx.connection())
    .await?)
}

/// A connection by which an account of WhatsApp is reached, the same one every time.
///
/// # Errors
/// Database errors only.
pub async fn find_of_account(tx: &mut TenantTx, waba_id: &str) -> Result<Option<Connection>> {
    match list_of_account(tx, waba_id).await?.first() {
        Some(&id) => find(tx, id).await,
        None => Ok(None),
    }
}

/// Where the webhooks of a connection came, also of one that was removed.
///
/// # Errors
/// Database errors only.
pub async fn find_address(
    tx: &mut TenantTx,
    id: ConnectionId,
) -> Result<Option<(ConnectionKind, String, String)>> {
    let company_id = tx.company_id();
    let row = sqlx::query!(
        r#"SELECT kind AS "kind: ConnectionKind", slug, provider_account FROM connections
           WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.kind, row.slug, row.provider_account)))
}

/// Lists connections, newest first, from behind `before`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    kind: Option<ConnectionKind>,
    before: Option<(DateTime<Utc>, uuid::Uuid)>,
    limit: i64,
) -> Result<Vec<Connection>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Connection,
        r#"SELECT id AS "id: ConnectionId", kind AS "kind: ConnectionKind", name, slug, provider_account, waba_id,
                  settings, access_token, app_secret, verify_token, persona_id AS "persona_id: PersonaId", app_id,
                  state AS "state: ConnectionState", state_obstacle AS "state_reason: Obstacle", state_since,
                  ARRAY(SELECT o.kind FROM connection_obstacles o
                        WHERE o.company_id = $1 AND o.connection_id = c.id ORDER BY o.kind) AS "obstacles!: Vec<Obstacle>",
                  version, created_at, updated_at
           FROM connections c
           WHERE company_id = $1 AND deleted_at IS NULL AND ($2::text IS NULL OR kind = $2)
             AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
           ORDER BY created_at DESC, id DESC LIMIT $5"#,
        company_id.0,
        kind as _,
        before_at,
        before_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Writes what people may change of a connection.
///
/// # Errors
/// `Conflict` when the account is connected already.
pub async fn update(tx: &mut TenantTx, connection: &Connection, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE connections SET name = $3, provider_account = $4, waba_id = $5, settings = $6, access_token = $7,
                app_secret = $8, verify_token = $9, persona_id = $10, version = version + 1, updated_at = $11
         WHERE company_id = $1 AND id = $2 AND deleted_at IS NULL",
        company_id.0,
        connection.id.0,
        connection.name,
        connection.provider_account,
        connection.waba_id,
        connection.settings,
        connection.access_token,
        connection.app_secret,
        connection.verify_token,
        connection.persona_id as _,
        now
    )
    .execute(tx.connection())
    .await
    .on_constraint("connections_account_key", CONNECTED)?;
    Ok(())
}

/// Removes a connection; its secrets become `nothing`, which is sealed. Whether there was one.
///
/// # Errors
/// Database errors only.
pub async fn delete(
    tx: &mut TenantTx,
    id: ConnectionId,
    nothing: [&str; 3],
    now: DateTime<Utc>,
) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE connections SET deleted_at = $3, access_token = $4, app_secret = $5, verify_token = $6,
                registration_pin = NULL, state = 'down', state_obstacle = NULL, state_since = $3, version = version + 1,
                updated_at = $3
         WHERE company_id = $1 AND id = $2 AND deleted_at IS NULL",
        company_id.0,
        id.0,
        now,
        nothing[0],
        nothing[1],
        nothing[2]
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "WITH steps AS (DELETE FROM connection_onboardings WHERE company_id = $1 AND connection_id = $2)
         DELETE FROM connection_obstacles WHERE company_id = $1 AND connection_id = $2",
        company_id.0,
        id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The connection of a number of WhatsApp's Cloud API.
///
/// # Errors
/// Database errors only.
pub async fn find_number(tx: &mut TenantTx, phone_number_id: &str) -> Result<Option<ConnectionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connections
           WHERE company_id = $1 AND kind = 'whatsapp_cloud' AND provider_account = $2 AND deleted_at IS NULL"#,
        company_id.0,
        phone_number_id
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The connections of a kind.
///
/// # Errors
/// Database errors only.
pub async fn list_of_kind(tx: &mut TenantTx, kind: &str) -> Result<Vec<ConnectionId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connections WHERE company_id = $1 AND kind = $2"#,
        company_id.0,
        kind
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Which of `ids` have a persona that answers.
///
/// # Errors
/// Database errors only.
pub async fn list_answered(tx: &mut TenantTx, ids: &[ConnectionId]) -> Result<Vec<ConnectionId>> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connections
           WHERE company_id = $1 AND id = ANY($2) AND persona_id IS NOT NULL"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// The app and the PIN of a connection. A PIN that it has stays unless the new one is `given` by a person.
///
/// # Errors
/// Database errors only.
pub async fn set_app_and_pin(
    tx: &mut TenantTx,
    id: ConnectionId,
    app_id: Option<&str>,
    registration_pin: Option<&str>,
    given: bool,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE connections
         SET app_id = $3, registration_pin = CASE WHEN $5 THEN $4 ELSE coalesce(registration_pin, $4) END
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        app_id,
        registration_pin,
        given
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The sealed PIN of a connection.
///
/// # Errors
/// Database errors only.
pub async fn find_registration_pin(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<String>> {
    let company_id = tx.company_id();
    let pin = sqlx::query_scalar!(
        "SELECT registration_pin FROM connections WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(pin.flatten())
}

/// The sealed columns of a connection.
#[derive(Clone, Debug)]
pub struct SealedColumns {
    /// Whose it is.
    pub company_id: CompanyId,
    /// Its id.
    pub id: ConnectionId,
    /// Sealed.
    pub access_token: String,
    /// Sealed.
    pub app_secret: String,
    /// Sealed.
    pub verify_token: String,
    /// Sealed, where there is one.
    pub registration_pin: Option<String>,
}

/// Lists connections of all companies with a column that another key than `key_id` sealed, in the order of their keys,
/// from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list_sealed_otherwise(
    tx: &mut SystemTx,
    key_id: &str,
    after: Option<(CompanyId, ConnectionId)>,
    limit: i64,
) -> Result<Vec<SealedColumns>> {
    let (after_company, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        SealedColumns,
        r#"SELECT company_id AS "company_id: CompanyId", id AS "id: ConnectionId", access_token, app_secret, verify_token,
                  registration_pin
           FROM connections
           WHERE ($2::uuid IS NULL OR (company_id, id) > ($2, $3))
             AND (split_part(access_token, '.', 2) <> $1 OR split_part(app_secret, '.', 2) <> $1
                  OR split_part(verify_token, '.', 2) <> $1 OR split_part(registration_pin, '.', 2) <> $1)
           ORDER BY company_id, id LIMIT $4"#,
        key_id,
        after_company.map(|id| id.0),
        after_id.map(|id| id.0),
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Writes the columns of `new` where those of `old` stand still; `false` when somebody changed them meanwhile.
///
/// # Errors
/// Database errors only.
pub async fn replace_sealed(tx: &mut SystemTx, old: &SealedColumns, new: &SealedColumns) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE connections SET access_token = $3, app_secret = $4, verify_token = $5, registration_pin = $9
         WHERE company_id = $1 AND id = $2 AND access_token = $6 AND app_secret = $7 AND verify_token = $8
           AND registration_pin IS NOT DISTINCT FROM $10",
        old.company_id.0,
        old.id.0,
        new.access_token,
        new.app_secret,
        new.verify_token,
        old.access_token,
        old.app_secret,
        old.verify_token,
        new.registration_pin,
        old.registration_pin
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Which of `ids` are connections of the company.
///
/// # Errors
/// Database errors only.
pub async fn list_known(tx: &mut TenantTx, ids: &[uuid::Uuid]) -> Result<Vec<uuid::Uuid>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "SELECT id FROM connections WHERE company_id = $1 AND id = ANY($2)",
        company_id.0,
        ids
    )
    .fetch_all(tx.connection())
    .await?)
}
