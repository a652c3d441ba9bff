//! Members: the people of a company, seen from the company.

use chrono::{DateTime, Utc};
use domain::user::Role;
use domain::{DepartmentId, UserId};
use uuid::Uuid;

use crate::{Error, Result, TenantTx};

/// A person of the company.
#[derive(Clone, Debug)]
pub struct Member {
    /// The person.
    pub user_id: UserId,
    /// Display name.
    pub name: String,
    /// Address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Since when they belong to the company.
    pub joined_at: DateTime<Utc>,
    /// Since when they may no longer enter.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// The departments that they work in.
    pub department_ids: Vec<DepartmentId>,
}

/// Makes a person a member of the company; one who was shut out is back, with this role.
///
/// # Errors
/// `Conflict` when the person is an active member already.
pub async fn insert(tx: &mut TenantTx, user_id: UserId, role: Role) -> Result<()> {
    let company_id = tx.company_id();
    let done = sqlx::query!(
        "INSERT INTO memberships AS m (company_id, user_id, role) VALUES ($1, $2, $3)
         ON CONFLICT (company_id, user_id) DO UPDATE SET role = excluded.role, deactivated_at = NULL
         WHERE m.company_id = $1 AND m.deactivated_at IS NOT NULL",
        company_id.0,
        user_id.0,
        role as _
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Error::Conflict("this person is a member already"));
    }
    Ok(())
}

/// Lists the members by name, from behind `after`.
///
/// # Errors
/// Database errors only.
pub async fn list(tx: &mut TenantTx, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<Member>> {
    let company_id = tx.company_id();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Member,
        r#"SELECT m.user_id AS "user_id: UserId", u.name, u.email::text AS "email!", m.role AS "role: Role",
                  m.created_at AS joined_at, m.deactivated_at,
                  ARRAY(SELECT d.department_id FROM department_members d
                        WHERE d.company_id = $1 AND d.user_id = m.user_id ORDER BY d.department_id)
                      AS "department_ids!: Vec<DepartmentId>"
           FROM memberships m JOIN users u ON u.id = m.user_id
           WHERE m.company_id = $1 AND ($2::text IS NULL OR (lower(u.name), m.user_id) > (lower($2), $3::uuid))
           ORDER BY lower(u.name), m.user_id LIMIT $4"#,
        company_id.0,
        after_name,
        after_id,
        limit
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Who of the active members is in charge of connections: owners and admins.
///
/// # Errors
/// Database errors only.
pub async fn list_in_charge(tx: &mut TenantTx) -> Result<Vec<UserId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id: UserId" FROM memberships
           WHERE company_id = $1 AND role IN ('owner', 'admin') AND deactivated_at IS NULL ORDER BY user_id"#,
        company_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Whether an active member has this address.
///
/// # Errors
/// Database errors only.
pub async fn is_active_address(tx: &mut TenantTx, email: &str) -> Result<bool> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
               WHERE m.company_id = $1 AND m.deactivated_at IS NULL AND u.email = $2::text::citext) AS "is_one!""#,
        company_id.0,
        email
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Finds a member.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, user_id: UserId) -> Result<Option<Member>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Member,
        r#"SELECT m.user_id AS "user_id: UserId", u.name, u.email::text AS "email!", m.role AS "role: Role",
                  m.created_at AS joined_at, m.deactivated_at,
                  ARRAY(SELECT d.department_id FROM department_members d
                        WHERE d.company_id = $1 AND d.user_id = m.user_id ORDER BY d.department_id)
                      AS "department_ids!: Vec<DepartmentId>"
           FROM memberships m JOIN users u ON u.id = m.user_id
           WHERE m.company_id = $1 AND m.user_id = $2"#,
        company_id.0,
        user_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds a member and keeps others from changing them until the end of the transaction.
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, user_id: UserId) -> Result<Option<Member>> {
    let company_id = tx.company_id();
    sqlx::query_scalar!(
        "SELECT user_id FROM memberships WHERE company_id = $1 AND user_id = $2 FOR UPDATE",
        company_id.0,
        user_id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    find(tx, user_id).await
}

/// Gives a member another role.
///
/// # Errors
/// Database errors only.
pub async fn set_role(tx: &mut TenantTx, user_id: UserId, role: Role) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE memberships SET role = $3 WHERE company_id = $1 AND user_id = $2",
        company_id.0,
        user_id.0,
        role as _
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Shuts a member out, or lets them in again with `None`.
///
/// # Errors
/// Database errors only.
pub async fn set_deactivated(
    tx: &mut TenantTx,
    user_id: UserId,
    deactivated_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE memberships SET deactivated_at = $3 WHERE company_id = $1 AND user_id = $2",
        company_id.0,
        user_id.0,
        deactivated_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes a person out of the company and its departments.
///
/// # Errors
/// Database errors only.
pub async fn delete(tx: &mut TenantTx, user_id: UserId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!("DELETE FROM memberships WHERE company_id = $1 AND user_id = $2", company_id.0, user_id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}
