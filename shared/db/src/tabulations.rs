//! Tabulations: the tags that a company's people choose from. Contacts, conversations and sessions bear them by name.

use chrono::{DateTime, Utc};
use domain::TabulationId;
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{Result, TenantTx};

const NAME_TAKEN: &str = "a tabulation of this name exists";

/// A tabulation.
#[derive(Clone, Debug)]
pub struct Tabulation {
    /// Its id.
    pub id: TabulationId,
    /// What it is called; unique in the company, whatever the case.
    pub name: String,
    /// `#rrggbb`.
    pub color: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lists tabulations by name, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, after: Option<String>, limit: i64) -> Result<Vec<Tabulation>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Tabulation,
        r#"SELECT id AS "id: TabulationId", name, color, created_at, updated_at FROM tabulations
           WHERE company_id = $1 AND ($2::text IS NULL OR lower(name) > lower($2))
           ORDER BY lower(name) LIMIT $3"#,
        company_id.0,
        after,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds those of `ids` that there are.
///
/// # Errors
/// Database errors only.
pub async fn find_many(tx: &mut TenantTx, ids: &[TabulationId]) -> Result<Vec<Tabulation>> {
    let company_id = tx.company_id();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Tabulation,
        r#"SELECT id AS "id: TabulationId", name, color, created_at, updated_at FROM tabulations
           WHERE company_id = $1 AND id = ANY($2)"#,
        company_id.0,
        &ids
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds a tabulation.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: TabulationId) -> Result<Option<Tabulation>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Finds a tabulation, and keeps others from changing it.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: TabulationId) -> Result<Option<Tabulation>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Tabulation,
        r#"SELECT id AS "id: TabulationId", name, color, created_at, updated_at FROM tabulations
           WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes a tabulation.
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn insert(tx: &mut TenantTx, tabulation: &Tabulation) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO tabulations (company_id, id, name, color, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        company_id.0,
        tabulation.id.0,
        tabulation.name,
        tabulation.color,
        tabulation.created_at,
        tabulation.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("tabulations_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Writes what may change of a tabulation. What bears its name is [another matter](rename_on_contacts).
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn update(tx: &mut TenantTx, tabulation: &Tabulation) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE tabulations SET name = $3, color = $4, updated_at = $5 WHERE company_id = $1 AND id = $2",
        company_id.0,
        tabulation.id.0,
        tabulation.name,
        tabulation.color,
        tabulation.updated_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("tabulations_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Deletes a tabulation; its name, if there was one. What bears it keeps it.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: TabulationId) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "DELETE FROM tabulations WHERE company_id = $1 AND id = $2 RETURNING name",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Renames a tag on up to `limit` contacts that bear it; how many did.
///
/// # Errors
/// Database errors only.
pub async fn rename_on_contacts(
    tx: &mut TenantTx,
    from: &str,
    to: &str,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<u64> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "UPDATE contacts c SET updated_at = $5, tags =
             (SELECT array_agg(tag ORDER BY place)
              FROM (SELECT CASE WHEN tag = $2 THEN $3 ELSE tag END AS tag, min(place) AS place
                    FROM unnest(c.tags) WITH ORDINALITY AS had (tag, place) GROUP BY 1) AS has)
         WHERE c.company_id = $1 AND c.id IN
             (SELECT s.id FROM searchable_contacts s
              WHERE s.company_id = $1 AND s.tags @> ARRAY[$2] AND s.tags <> '{}' LIMIT $4)",
        company_id.0,
        from,
        to,
        limit,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}
