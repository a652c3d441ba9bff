//! Connections: the company's accounts with messaging providers. Secrets stay sealed here.

use domain::{CompanyId, ConnectionId, PersonaId};

use crate::error::OnConstraint;
use crate::{Result, SystemTx, TenantTx};

/// A connection as sending and answering need it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// `whatsapp_cloud`, …
    pub kind: String,
    /// The provider's id of the account.
    pub provider_account: String,
    /// The WhatsApp Business Account.
    pub waba_id: Option<String>,
    /// Sealed access token.
    pub access_token: String,
    /// Sealed app secret.
    pub app_secret: String,
    /// The app that the token belongs to, where it is known.
    pub app_id: Option<String>,
    /// Who answers for it.
    pub persona_id: Option<PersonaId>,
    /// Names of what stands in its way.
    pub obstacles: Vec<String>,
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Its id.
    pub id: ConnectionId,
    /// `whatsapp_cloud`, …
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// Its place in webhook addresses.
    pub slug: String,
    /// The provider's id of the account.
    pub provider_account: String,
    /// The WhatsApp Business Account.
    pub waba_id: Option<String>,
    /// Sealed.
    pub access_token: String,
    /// Sealed.
    pub app_secret: String,
    /// Sealed.
    pub verify_token: String,
    /// Who answers for it.
    pub persona_id: Option<PersonaId>,
}

/// Makes a connection.
///
/// # Errors
/// `Conflict` when the slug is taken.
pub async fn insert(tx: &mut TenantTx, new: &NewConnection) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO connections (company_id, id, kind, name, slug, provider_account, waba_id, access_token,
                                  app_secret, verify_token, persona_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        company_id.0,
        new.id.0,
        new.kind,
        new.name,
        new.slug,
        new.provider_account,
        new.waba_id,
        new.access_token,
        new.app_secret,
        new.verify_token,
        new.persona_id as _
    )
    .execute(tx.connection())
    .await
    .on_constraint("connections_slug_key", "this slug is in use")?;
    Ok(())
}

/// Finds a connection.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<Connection>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Connection,
        r#"SELECT id AS "id: ConnectionId", kind, provider_account, waba_id, access_token, app_secret, app_id,
                  persona_id AS "persona_id: PersonaId",
                  ARRAY(SELECT o.kind FROM connection_obstacles o WHERE o.company_id = $1 AND o.connection_id = c.id)
                      AS "obstacles!"
           FROM connections c WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// What people call a connection.
///
/// # Errors
/// Database errors only.
pub async fn find_name(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "SELECT name FROM connections WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// A connection by which an account of WhatsApp is reached, the same one every time.
///
/// # Errors
/// Database errors only.
pub async fn find_of_account(tx: &mut TenantTx, waba_id: &str) -> Result<Option<Connection>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Connection,
        r#"SELECT id AS "id: ConnectionId", kind, provider_account, waba_id, access_token, app_secret, app_id,
                  persona_id AS "persona_id: PersonaId",
                  ARRAY(SELECT o.kind FROM connection_obstacles o WHERE o.company_id = $1 AND o.connection_id = c.id)
                      AS "obstacles!"
           FROM connections c WHERE company_id = $1 AND kind = 'whatsapp_cloud' AND waba_id = $2
           ORDER BY id LIMIT 1"#,
        company_id.0,
        waba_id
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
        r#"SELECT company_id AS "company_id: CompanyId", id AS "id: ConnectionId", access_token, app_secret, verify_token
           FROM connections
           WHERE ($2::uuid IS NULL OR (company_id, id) > ($2, $3))
             AND (split_part(access_token, '.', 2) <> $1 OR split_part(app_secret, '.', 2) <> $1
                  OR split_part(verify_token, '.', 2) <> $1)
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
        "UPDATE connections SET access_token = $3, app_secret = $4, verify_token = $5
         WHERE company_id = $1 AND id = $2 AND access_token = $6 AND app_secret = $7 AND verify_token = $8",
        old.company_id.0,
        old.id.0,
        new.access_token,
        new.app_secret,
        new.verify_token,
        old.access_token,
        old.app_secret,
        old.verify_token
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
