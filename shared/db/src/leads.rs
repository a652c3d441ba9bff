//! Leads, and their places on the boards. Here what is read and what one lead is · [`places`] the order.

pub mod places;

use chrono::{DateTime, NaiveDate, Utc};
use domain::board::StageKind;
use domain::{BoardId, ContactId, LeadId, StageId, UserId};
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{Result, TenantTx};

const CONTACT_GONE: &str = "the contact is gone";

/// A lead with what a card shows of it.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// The board that it stands on.
    pub board_id: BoardId,
    /// The stage that it stands in.
    pub stage_id: StageId,
    /// What that means.
    pub status: StageKind,
    /// Its place in the stage, as `domain::fractional_index` has them.
    pub place: String,
    /// What it is called.
    pub title: String,
    /// What it is worth, in minor units of `currency`.
    pub value: Option<i64>,
    /// ISO 4217; there is one exactly when there is a value.
    pub currency: Option<String>,
    /// The member who works on it.
    pub owner_id: Option<UserId>,
    /// The customer; nobody once they are erased.
    pub contact_id: Option<ContactId>,
    /// The customer's name.
    pub contact_name: Option<String>,
    /// The customer's phone, E.164.
    pub contact_phone: Option<String>,
    /// The customer's WhatsApp username.
    pub contact_username: Option<String>,
    /// When it is hoped to be won.
    pub expected_close_on: Option<NaiveDate>,
    /// Whatever else is to be known.
    pub notes: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Since when it is won or lost.
    pub closed_at: Option<DateTime<Utc>>,
    /// Why it is lost.
    pub lost_reason: Option<String>,
    /// Grows with every change.
    pub version: i32,
    /// Since when there is one.
    pub created_at: DateTime<Utc>,
    /// Its last change.
    pub updated_at: DateTime<Utc>,
}

/// Which leads to list; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// On one board.
    pub board_id: Option<BoardId>,
    /// Of one member.
    pub owner_id: Option<UserId>,
    /// Of one customer.
    pub contact_id: Option<ContactId>,
    /// With these letters in the title, whatever their case and accents.
    pub title: Option<String>,
}

impl Filter {
    /// What the title has to be like.
    fn pattern(&self) -> Option<String> {
        let escaped = |text: &String| text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        self.title.as_ref().map(|text| format!("%{}%", escaped(text)))
    }
}

/// Lists leads, newest first, after the position `before`.
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Lead>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    // The page first, by the view alone: beside a table with row-level security its conditions enter no index either.
    Ok(sqlx::query_as!(
        Lead,
        r#"SELECT l.id AS "id!: LeadId", l.board_id AS "board_id!: BoardId", l.stage_id AS "stage_id!: StageId",
                  s.kind AS "status!: StageKind", l.place AS "place!", l.title AS "title!", l.value, l.currency,
                  l.owner_id AS "owner_id: UserId", l.contact_id AS "contact_id: ContactId",
                  p.name AS "contact_name?", p.phone AS "contact_phone?", p.username AS "contact_username?",
                  l.expected_close_on, l.notes, l.tags AS "tags!", l.closed_at, l.lost_reason, l.version AS "version!",
                  l.created_at AS "created_at!", l.updated_at AS "updated_at!"
           FROM (SELECT * FROM searchable_leads
                 WHERE company_id = $1
                   AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                           coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                   AND ($5::uuid IS NULL OR board_id = $5)
                   AND ($6::uuid IS NULL OR owner_id = $6)
                   AND ($7::uuid IS NULL OR contact_id = $7)
                   AND ($8::text IS NULL OR search LIKE folded($8))
                 ORDER BY created_at DESC, id DESC LIMIT $4) AS l
           JOIN board_stages s ON s.company_id = $1 AND s.id = l.stage_id
           LEFT JOIN contacts p ON p.company_id = $1 AND p.id = l.contact_id
           ORDER BY l.created_at DESC, l.id DESC"#,
        company_id.0,
        before_at,
        before_id,
        limit,
        filter.board_id as _,
        filter.owner_id as _,
        filter.contact_id as _,
        filter.pattern()
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Lists the leads of a stage in their order, from behind the place `after`.
///
/// # Errors
/// Database errors only.
pub async fn list_in_stage(
    tx: &mut TenantTx,
    stage_id: StageId,
    filter: &Filter,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Lead>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Lead,
        r#"SELECT l.id AS "id!: LeadId", l.board_id AS "board_id!: BoardId", l.stage_id AS "stage_id!: StageId",
                  s.kind AS "status!: StageKind", l.place AS "place!", l.title AS "title!", l.value, l.currency,
                  l.owner_id AS "owner_id: UserId", l.contact_id AS "contact_id: ContactId",
                  p.name AS "contact_name?", p.phone AS "contact_phone?", p.username AS "contact_username?",
                  l.expected_close_on, l.notes, l.tags AS "tags!", l.closed_at, l.lost_reason, l.version AS "version!",
                  l.created_at AS "created_at!", l.updated_at AS "updated_at!"
           FROM (SELECT * FROM searchable_leads
                 WHERE company_id = $1 AND stage_id = $2 AND ($3::text IS NULL OR place > $3)
                   AND ($5::uuid IS NULL OR board_id = $5)
                   AND ($6::uuid IS NULL OR owner_id = $6)
                   AND ($7::uuid IS NULL OR contact_id = $7)
                   AND ($8::text IS NULL OR search LIKE folded($8))
                 ORDER BY place LIMIT $4) AS l
           JOIN board_stages s ON s.company_id = $1 AND s.id = l.stage_id
           LEFT JOIN contacts p ON p.company_id = $1 AND p.id = l.contact_id
           ORDER BY l.place"#,
        company_id.0,
        stage_id.0,
        after,
        limit,
        filter.board_id as _,
        filter.owner_id as _,
        filter.contact_id as _,
        filter.pattern()
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: LeadId) -> Result<Option<Lead>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Lead,
        r#"SELECT l.id AS "id: LeadId", l.board_id AS "board_id: BoardId", l.stage_id AS "stage_id: StageId",
                  s.kind AS "status: StageKind", l.place, l.title, l.value, l.currency,
                  l.owner_id AS "owner_id: UserId", l.contact_id AS "contact_id: ContactId",
                  p.name AS "contact_name?", p.phone AS "contact_phone?", p.username AS "contact_username?",
                  l.expected_close_on, l.notes, l.tags, l.closed_at, l.lost_reason, l.version, l.created_at, l.updated_at
           FROM leads l
           JOIN board_stages s ON s.company_id = l.company_id AND s.id = l.stage_id
           LEFT JOIN contacts p ON p.company_id = l.company_id AND p.id = l.contact_id
           WHERE l.company_id = $1 AND l.id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Keeps others from changing a lead until the end of the transaction; what it is then.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: LeadId) -> Result<Option<Lead>> {
    let company_id = tx.company_id();
    sqlx::query!(
        "SELECT id FROM leads WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    find(tx, id).await
}

/// Makes one.
///
/// # Errors
/// `Conflict` when its contact was removed meanwhile.
pub async fn insert(tx: &mut TenantTx, lead: &Lead) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO leads (company_id, id, board_id, stage_id, place, title, value, currency, owner_id, contact_id,
                            expected_close_on, notes, tags, closed_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)",
        company_id.0,
        lead.id.0,
        lead.board_id.0,
        lead.stage_id.0,
        lead.place,
        lead.title,
        lead.value,
        lead.currency,
        lead.owner_id as _,
        lead.contact_id as _,
        lead.expected_close_on,
        lead.notes,
        &lead.tags,
        lead.closed_at,
        lead.created_at
    )
    .execute(tx.connection())
    .await
    .on_constraint("leads_contact_fkey", CONTACT_GONE)?;
    Ok(())
}

/// Stores what one is; where it stands is for [`places`].
///
/// # Errors
/// `Conflict` when its contact was removed meanwhile.
pub async fn update(tx: &mut TenantTx, lead: &Lead, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE leads SET title = $3, value = $4, currency = $5, owner_id = $6, contact_id = $7,
                expected_close_on = $8, notes = $9, tags = $10, lost_reason = $11, version = version + 1,
                updated_at = $12
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        lead.id.0,
        lead.title,
        lead.value,
        lead.currency,
        lead.owner_id as _,
        lead.contact_id as _,
        lead.expected_close_on,
        lead.notes,
        &lead.tags,
        lead.lost_reason,
        now
    )
    .execute(tx.connection())
    .await
    .on_constraint("leads_contact_fkey", CONTACT_GONE)?;
    Ok(())
}

/// Removes one with its history.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: LeadId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("DELETE FROM leads WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Removes all of a board with their histories; how many.
///
/// # Errors
/// Database errors only.
pub async fn delete_of_board(tx: &mut TenantTx, board_id: BoardId) -> Result<u64> {
    let company_id = tx.company_id();
    let done =
        sqlx::query!("DELETE FROM leads WHERE company_id = $1 AND board_id = $2", company_id.0, board_id.0)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected())
}
