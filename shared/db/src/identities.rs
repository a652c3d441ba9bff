//! Accounts at identity providers by which people log in.

use chrono::{DateTime, Utc};
use domain::UserId;

use crate::error::OnConstraint;
use crate::{IdentityTx, PersonTx, Principal, Result};

/// An account at a provider, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Which provider.
    pub provider: &'a str,
    /// The provider's own id of the person.
    pub subject: &'a str,
    /// Whose.
    pub user_id: UserId,
    /// The address that the provider told.
    pub email: Option<&'a str>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// The principal of whom a provider vouches for.
pub fn principal(provider: &str, subject: &str) -> Principal {
    Principal::KeyHash(format!("{provider}:{subject}"))
}

/// Whose account this is; `tx` was begun with its [`principal`].
///
/// # Errors
/// Database errors only.
pub async fn find_shown(tx: &mut IdentityTx, provider: &str, subject: &str) -> Result<Option<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id: UserId" FROM user_identities WHERE provider = $1 AND subject = $2"#,
        provider,
        subject
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lets a person log in by an account from now on; `tx` must act as them.
///
/// # Errors
/// `Conflict` when the account is somebody's already, or the person has another one of this provider.
pub async fn insert(tx: &mut impl PersonTx, identity: &Identity<'_>) -> Result<()> {
    let inserted = sqlx::query!(
        "INSERT INTO user_identities (provider, subject, user_id, email, created_at) VALUES ($1, $2, $3, $4, $5)",
        identity.provider,
        identity.subject,
        identity.user_id.0,
        identity.email,
        identity.created_at
    )
    .execute(tx.connection())
    .await;
    match inserted.on_constraint("user_identities_pkey", "this account is linked to somebody already") {
        Err(crate::Error::Sqlx(error)) => {
            Err(error).on_constraint("user_identities_one_each", "another account of this provider is linked")
        }
        other => other.map(drop),
    }
}
