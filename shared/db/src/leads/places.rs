//! Where leads stand. Whoever calls what writes here holds the board's lock: see `boards::lock`.

use chrono::{DateTime, Utc};
use domain::board::StageKind;
use domain::{LeadId, StageId};

use crate::{Result, TenantTx};

/// Where a lead of this stage stands.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: LeadId) -> Result<Option<(StageId, String)>> {
    let company_id = tx.company_id();
    let row = sqlx::query!(
        r#"SELECT stage_id AS "stage_id: StageId", place FROM leads WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.stage_id, row.place)))
}

/// The first place of a stage behind `after` that is not this lead's.
///
/// # Errors
/// Database errors only.
pub async fn find_next(
    tx: &mut TenantTx,
    stage_id: StageId,
    after: Option<&str>,
    id: LeadId,
) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "SELECT place FROM leads
         WHERE company_id = $1 AND stage_id = $2 AND place > coalesce($3, '') AND id <> $4
         ORDER BY place LIMIT 1",
        company_id.0,
        stage_id.0,
        after,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The last place of a stage.
///
/// # Errors
/// Database errors only.
pub async fn find_last(tx: &mut TenantTx, stage_id: StageId) -> Result<Option<String>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "SELECT place FROM leads WHERE company_id = $1 AND stage_id = $2 ORDER BY place DESC LIMIT 1",
        company_id.0,
        stage_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Every lead of a stage, in order. They stay there until the end of the transaction.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, stage_id: StageId) -> Result<Vec<LeadId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: LeadId" FROM leads WHERE company_id = $1 AND stage_id = $2
           ORDER BY place FOR NO KEY UPDATE"#,
        company_id.0,
        stage_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Gives leads of one stage other places; what they are stays what it was.
///
/// # Errors
/// Database errors only.
pub async fn set(tx: &mut TenantTx, leads: &[LeadId], places: &[String]) -> Result<()> {
    let company_id = tx.company_id();
    let leads: Vec<_> = leads.iter().map(|lead| lead.0).collect();
    sqlx::query!(
        "UPDATE leads l SET place = new.place FROM unnest($2::uuid[], $3::text[]) AS new (id, place)
         WHERE l.company_id = $1 AND l.id = new.id",
        company_id.0,
        &leads,
        places
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Puts leads into a stage of this kind, each at its place. One that is closed stays closed since then; `reason` is why
/// they are lost.
///
/// # Errors
/// Database errors only.
pub async fn put(
    tx: &mut TenantTx,
    leads: &[LeadId],
    places: &[String],
    (stage_id, kind): (StageId, StageKind),
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let leads: Vec<_> = leads.iter().map(|lead| lead.0).collect();
    sqlx::query!(
        "UPDATE leads l SET stage_id = $4, place = new.place,
                closed_at = CASE WHEN $5 <> 'open' THEN coalesce(l.closed_at, $7) END,
                lost_reason = CASE WHEN $5 = 'lost' THEN coalesce($6, l.lost_reason) END,
                version = l.version + 1, updated_at = $7
         FROM unnest($2::uuid[], $3::text[]) AS new (id, place)
         WHERE l.company_id = $1 AND l.id = new.id",
        company_id.0,
        &leads,
        places,
        stage_id.0,
        kind as _,
        reason,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A stage means something else from now on, and so do the leads in it.
///
/// # Errors
/// Database errors only.
pub async fn mean(tx: &mut TenantTx, stage_id: StageId, kind: StageKind, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE leads SET closed_at = CASE WHEN $3 <> 'open' THEN coalesce(closed_at, $4) END,
                lost_reason = CASE WHEN $3 = 'lost' THEN lost_reason END, version = version + 1, updated_at = $4
         WHERE company_id = $1 AND stage_id = $2",
        company_id.0,
        stage_id.0,
        kind as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
