//! All that happened with a contact: changes, notes, what it agreed to, sessions, messages, leads, merges.

use db::contacts::timeline::Entry;
use domain::{CompanyScope, ContactId};

use crate::error::{Error, Result};
use crate::{App, Page, Position};

/// Lists what happened, newest first.
///
/// # Errors
/// `NotFound` for the contact.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    id: ContactId,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Entry>> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::contacts::find(&mut tx, id).await?.ok_or(Error::NotFound("contact"))?;
    let rows = db::contacts::timeline::list(&mut tx, id, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |entry| (entry.at, entry.id)))
}
