//! Companies: the tenants themselves.

use chrono::{DateTime, Utc};
use domain::CompanyId;
use domain::company::CompanySettings;
use sqlx::types::Json;

use crate::{Result, TenantTx};

/// A company.
#[derive(Clone, Debug)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// What it is called.
    pub name: String,
    /// What it decided.
    pub settings: Json<CompanySettings>,
    /// When it registered.
    pub created_at: DateTime<Utc>,
}

/// Makes the company that `tx` speaks for.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, name: &str) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("INSERT INTO companies (id, name) VALUES ($1, $2)", company_id.0, name)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The company that `tx` speaks for.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx) -> Result<Option<Company>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Company,
        r#"SELECT id AS "id: CompanyId", name, settings AS "settings: Json<CompanySettings>", created_at
           FROM companies WHERE id = $1"#,
        company_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The company that `tx` speaks for, which nobody else changes meanwhile.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx) -> Result<Option<Company>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Company,
        r#"SELECT id AS "id: CompanyId", name, settings AS "settings: Json<CompanySettings>", created_at
           FROM companies WHERE id = $1 FOR NO KEY UPDATE"#,
        company_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Renames the company.
///
/// # Errors
/// Database errors only.
pub async fn rename(tx: &mut TenantTx, name: &str) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("UPDATE companies SET name = $2 WHERE id = $1", company_id.0, name)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Writes the company's settings.
///
/// # Errors
/// Database errors only.
pub async fn set_settings(tx: &mut TenantTx, settings: &CompanySettings) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE companies SET settings = settings || $2 WHERE id = $1",
        company_id.0,
        Json(settings) as _
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
