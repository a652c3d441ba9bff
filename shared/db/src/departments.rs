//! Departments, and who works in them.

use chrono::{DateTime, Utc};
use domain::{DepartmentId, UserId};
use uuid::Uuid;

use crate::error::OnConstraint;
use crate::{Result, TenantTx};

const NAME_TAKEN: &str = "a department of this name exists";

/// A department.
#[derive(Clone, Debug)]
pub struct Department {
    /// Its id.
    pub id: DepartmentId,
    /// What it is called; unique in the company.
    pub name: String,
    /// Who works in it.
    pub member_ids: Vec<UserId>,
    /// Since when there is one.
    pub created_at: DateTime<Utc>,
}

/// Lists the departments by name, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<Department>> {
    let company_id = tx.company_id();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Department,
        r#"SELECT d.id AS "id: DepartmentId", d.name, d.created_at,
                  ARRAY(SELECT m.user_id FROM department_members m
                        WHERE m.company_id = $1 AND m.department_id = d.id ORDER BY m.user_id)
                      AS "member_ids!: Vec<UserId>"
           FROM departments d
           WHERE d.company_id = $1 AND ($2::text IS NULL OR (lower(d.name), d.id) > (lower($2), $3::uuid))
           ORDER BY lower(d.name), d.id LIMIT $4"#,
        company_id.0,
        after_name,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Finds one.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: DepartmentId) -> Result<Option<Department>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Department,
        r#"SELECT d.id AS "id: DepartmentId", d.name, d.created_at,
                  ARRAY(SELECT m.user_id FROM department_members m
                        WHERE m.company_id = $1 AND m.department_id = d.id ORDER BY m.user_id)
                      AS "member_ids!: Vec<UserId>"
           FROM departments d WHERE d.company_id = $1 AND d.id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes one.
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn insert(tx: &mut TenantTx, id: DepartmentId, name: &str, now: DateTime<Utc>) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO departments (company_id, id, name, created_at) VALUES ($1, $2, $3, $4)",
        company_id.0,
        id.0,
        name,
        now
    )
    .execute(tx.connection())
    .await
    .on_constraint("departments_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Renames one.
///
/// # Errors
/// `Conflict` when the name is taken.
pub async fn rename(tx: &mut TenantTx, id: DepartmentId, name: &str) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE departments SET name = $3 WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        name
    )
    .execute(tx.connection())
    .await
    .on_constraint("departments_name_key", NAME_TAKEN)?;
    Ok(())
}

/// Says who works in one, in place of who did. People who are no members of the company are left out; how many were
/// put in.
///
/// # Errors
/// Database errors only.
pub async fn set_members(tx: &mut TenantTx, id: DepartmentId, members: &[UserId]) -> Result<u64> {
    let company_id = tx.company_id();
    sqlx::query!(
        "DELETE FROM department_members WHERE company_id = $1 AND department_id = $2",
        company_id.0,
        id.0
    )
    .execute(tx.connection())
    .await?;
    let members: Vec<_> = members.iter().map(|member| member.0).collect();
    let done = sqlx::query!(
        "INSERT INTO department_members (company_id, department_id, user_id)
         SELECT $1, $2, m.user_id FROM memberships m WHERE m.company_id = $1 AND m.user_id = ANY($3)",
        company_id.0,
        id.0,
        &members
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// Waits for every other transaction that hands work to this department, and keeps the next ones waiting.
///
/// # Errors
/// Database errors only.
pub async fn lock(tx: &mut TenantTx, id: DepartmentId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "SELECT id FROM departments WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(())
}

/// The active member of a department with the fewest sessions that are not over; among equals the one whose last came
/// longest ago.
///
/// # Errors
/// Database errors only.
pub async fn find_least_busy(tx: &mut TenantTx, id: DepartmentId) -> Result<Option<UserId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT d.user_id AS "user_id: UserId" FROM department_members d
           JOIN memberships m ON m.company_id = d.company_id AND m.user_id = d.user_id AND m.deactivated_at IS NULL
           LEFT JOIN LATERAL (
               SELECT count(*) AS open, max(s.updated_at) AS last FROM sessions s
               WHERE s.company_id = $1 AND s.assigned_agent_id = d.user_id AND s.status <> 'CLOSED') AS held ON true
           WHERE d.company_id = $1 AND d.department_id = $2
           ORDER BY held.open, held.last NULLS FIRST, d.user_id LIMIT 1"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Removes one; whether there was one.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, id: DepartmentId) -> Result<bool> {
    let company_id = tx.company_id();
    let done = sqlx::query!("DELETE FROM departments WHERE company_id = $1 AND id = $2", company_id.0, id.0)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() > 0)
}
