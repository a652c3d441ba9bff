//! Tabulations: the tags that a company's people choose from. What bears one bears its name, so that a tag outlives the
//! choice: deleting a tabulation takes it off nothing. Another name goes to the contacts that bear it; sessions and
//! conversations keep what they were called at their time.

use db::tabulations::Tabulation;
use domain::TabulationId;
use domain::user::Permission;
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::{App, Page, Position, text};

/// The longest name, as the table has it.
const NAME_CHARS: usize = 100;

/// On so many contacts a name is changed while somebody waits for it.
const RENAMED: i64 = 10_000;

/// What shall be true of a tabulation; what is `None` stays, what is `Some(None)` goes.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its name.
    pub name: Option<String>,
    /// `#rrggbb`.
    pub color: Option<Option<String>>,
}

/// The tabulations by name.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<Tabulation, String>> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let rows = db::tabulations::list(&mut tx, after.map(|(name, _)| name), limit + 1).await?;
    Ok(Page::cut(rows, limit, |tabulation| (tabulation.name.clone(), tabulation.id.0)))
}

/// One tabulation.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: TabulationId) -> Result<Tabulation> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::tabulations::find(&mut tx, id).await?.ok_or(Error::NotFound("tabulation"))
}

/// Makes one; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for the name or the colour, `Conflict` for a name that is taken.
pub async fn create(
    app: &App,
    identity: &Identity,
    name: &str,
    color: Option<&str>,
    key: Option<&IdempotencyKey>,
) -> Result<Tabulation> {
    identity.require(Permission::ManageContacts)?;
    let now = app.clock.now();
    let tabulation = Tabulation {
        id: TabulationId(app.clock.new_id()),
        name: text::line("name", name, NAME_CHARS)?,
        color: color.map(checked_color).transpose()?,
        created_at: now,
        updated_at: now,
    };
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let asked = json!([tabulation.name, tabulation.color]);
    if let Some(known) = idempotency::claim(&mut tx, key, "tabulation", &asked, tabulation.id.0).await? {
        let known = db::tabulations::find(&mut tx, TabulationId(known)).await?;
        return known.ok_or(Error::NotFound("tabulation"));
    }
    db::tabulations::insert(&mut tx, &tabulation).await?;
    let object = ("tabulation", Some(tabulation.id.0));
    let detail = json!({ "name": tabulation.name });
    audit::record(app, &mut tx, By::Caller(identity), "tabulation.created", object, detail).await?;
    tx.commit().await?;
    Ok(tabulation)
}

/// Changes one, and its name on the contacts that bear it.
///
/// # Errors
/// As [`create`], and `NotFound`; `Rule` (`tabulation_in_use`) for another name when more than 10,000 contacts bear it.
pub async fn change(app: &App, identity: &Identity, id: TabulationId, change: Change) -> Result<Tabulation> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin_search(identity.scope).await?;
    let mut tabulation =
        db::tabulations::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("tabulation"))?;
    let was = tabulation.name.clone();
    if let Some(name) = &change.name {
        tabulation.name = text::line("name", name, NAME_CHARS)?;
    }
    if let Some(color) = &change.color {
        tabulation.color = color.as_deref().map(checked_color).transpose()?;
    }
    tabulation.updated_at = app.clock.now();
    db::tabulations::update(&mut tx, &tabulation).await?;
    if tabulation.name != was {
        let now = tabulation.updated_at;
        let renamed =
            db::tabulations::rename_on_contacts(&mut tx, &was, &tabulation.name, RENAMED + 1, now).await?;
        if i64::try_from(renamed).is_ok_and(|renamed| renamed > RENAMED) {
            let message = format!("more than {RENAMED} contacts bear this name: make another tabulation");
            return Err(Error::Rule { code: "tabulation_in_use", message });
        }
    }
    let detail = json!({ "from": was, "name": tabulation.name, "color": tabulation.color });
    let object = ("tabulation", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "tabulation.changed", object, detail).await?;
    tx.commit().await?;
    Ok(tabulation)
}

/// Deletes one; what bears its name keeps it.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, identity: &Identity, id: TabulationId) -> Result<()> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let name = db::tabulations::delete(&mut tx, id).await?.ok_or(Error::NotFound("tabulation"))?;
    let object = ("tabulation", Some(id.0));
    let detail = json!({ "name": name });
    audit::record(app, &mut tx, By::Caller(identity), "tabulation.deleted", object, detail).await?;
    Ok(tx.commit().await?)
}

fn checked_color(color: &str) -> Result<String> {
    let is_hex = |digits: &str| digits.len() == 6 && digits.bytes().all(|c| c.is_ascii_hexdigit());
    match color.strip_prefix('#') {
        Some(digits) if is_hex(digits) => Ok(color.to_ascii_lowercase()),
        _ => Err(Error::invalid("color", "six hexadecimal digits behind a #, as in #1e90ff")),
    }
}
