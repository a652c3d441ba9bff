//! The stages of boards, in their order.

use chrono::{DateTime, Utc};
use domain::board::StageKind;
use domain::{BoardId, StageId};

use crate::{Result, TenantTx};

/// A stage of a board.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its id.
    pub id: StageId,
    /// Its board.
    pub board_id: BoardId,
    /// What it is called.
    pub name: String,
    /// `#rrggbb`.
    pub colour: String,
    /// What it means to stand in it.
    pub kind: StageKind,
    /// Its place on the board, from 0.
    pub position: i32,
}

/// A stage that shall be.
#[derive(Clone, Debug)]
pub struct NewStage {
    /// Its id.
    pub id: StageId,
    /// What it is called.
    pub name: String,
    /// `#rrggbb`.
    pub colour: String,
    /// What it means to stand in it.
    pub kind: StageKind,
}

/// Lists the stages of boards, each board's in their order.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, boards: &[BoardId]) -> Result<Vec<Stage>> {
    let company_id = tx.company_id();
    let boards: Vec<_> = boards.iter().map(|board| board.0).collect();
    Ok(sqlx::query_as!(
        Stage,
        r#"SELECT id AS "id: StageId", board_id AS "board_id: BoardId", name, colour, kind AS "kind: StageKind",
                  position
           FROM board_stages WHERE company_id = $1 AND board_id = ANY($2) ORDER BY board_id, position"#,
        company_id.0,
        &boards
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: StageId) -> Result<Option<Stage>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Stage,
        r#"SELECT id AS "id: StageId", board_id AS "board_id: BoardId", name, colour, kind AS "kind: StageKind",
                  position
           FROM board_stages WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes stages of a board in their order, the first one at `position`. Nothing stands there or behind it.
///
/// # Errors
/// Database errors only.
pub async fn insert_many(
    tx: &mut TenantTx,
    board_id: BoardId,
    position: i32,
    stages: &[NewStage],
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = stages.iter().map(|stage| stage.id.0).collect();
    let names: Vec<_> = stages.iter().map(|stage| stage.name.clone()).collect();
    let colours: Vec<_> = stages.iter().map(|stage| stage.colour.clone()).collect();
    let kinds: Vec<_> = stages.iter().map(|stage| stage.kind).collect();
    sqlx::query!(
        "INSERT INTO board_stages (company_id, board_id, id, name, colour, kind, position, created_at)
         SELECT $1, $2, id, name, colour, kind, $7::int4 + place::int4 - 1, $8
         FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
              AS new (id, name, colour, kind, place)",
        company_id.0,
        board_id.0,
        &ids,
        &names,
        &colours,
        &kinds as _,
        position,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Says what a stage is called, how it looks and what it means.
///
/// # Errors
/// Database errors only.
pub async fn describe(tx: &mut TenantTx, stage: &Stage) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE board_stages SET name = $3, colour = $4, kind = $5 WHERE company_id = $1 AND id = $2",
        company_id.0,
        stage.id.0,
        stage.name,
        stage.colour,
        stage.kind as _
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Puts a board's stages, all of them, into this order.
///
/// # Errors
/// Database errors only.
pub async fn set_order(tx: &mut TenantTx, board_id: BoardId, order: &[StageId]) -> Result<()> {
    let company_id = tx.company_id();
    let order: Vec<_> = order.iter().map(|id| id.0).collect();
    sqlx::query!(
        "UPDATE board_stages s SET position = new.place - 1
         FROM unnest($3::uuid[]) WITH ORDINALITY AS new (id, place)
         WHERE s.company_id = $1 AND s.board_id = $2 AND s.id = new.id AND s.position <> new.place - 1",
        company_id.0,
        board_id.0,
        &order
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes one, in which no lead stands any more.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: StageId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("DELETE FROM board_stages WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}
