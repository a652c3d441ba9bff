//! Tabulations on contacts: which of those that the company has a customer bears.

use db::contacts::Details;
use domain::contact::TAGS;
use domain::{ContactId, TabulationId};

use super::edit::{announce, details_of, particulars, record};
use super::{AddressedContact, read, require_somebody};
use crate::App;
use crate::auth::Identity;
use crate::error::{Error, Result};

/// Puts tabulations on a contact; those that are there stay.
///
/// # Errors
/// `NotFound`; `Invalid` for a tabulation that the company does not have, or for too many.
pub async fn add(
    app: &App,
    caller: &Identity,
    id: ContactId,
    tabulations: &[TabulationId],
) -> Result<AddressedContact> {
    change(app, caller, id, tabulations, |details, names| {
        for name in names {
            if !details.tags.contains(&name) {
                details.tags.push(name);
            }
        }
        if details.tags.len() > TAGS {
            return Err(Error::invalid("tabulation_ids", format!("a contact has at most {TAGS} tags")));
        }
        Ok(())
    })
    .await
}

/// Takes tabulations off a contact; those that are not there are no error.
///
/// # Errors
/// `NotFound`; `Invalid` for a tabulation that the company does not have.
pub async fn remove(
    app: &App,
    caller: &Identity,
    id: ContactId,
    tabulations: &[TabulationId],
) -> Result<AddressedContact> {
    change(app, caller, id, tabulations, |details, names| {
        details.tags.retain(|tag| !names.contains(tag));
        Ok(())
    })
    .await
}

async fn change(
    app: &App,
    caller: &Identity,
    id: ContactId,
    tabulations: &[TabulationId],
    work: impl FnOnce(&mut Details, Vec<String>) -> Result<()>,
) -> Result<AddressedContact> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let contact = db::contacts::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("contact"))?;
    require_somebody(&contact)?;
    let known = db::tabulations::find_many(&mut tx, tabulations).await?;
    if tabulations.iter().any(|id| known.iter().all(|known| known.id != *id)) {
        return Err(Error::invalid("tabulation_ids", "one of these is no tabulation of the company"));
    }
    let mut details = details_of(contact);
    let was = particulars(&details);
    work(&mut details, known.into_iter().map(|known| known.name).collect())?;
    if particulars(&details) == was {
        return read(&mut tx, id).await;
    }
    db::contacts::update(&mut tx, id, &details, app.clock.now()).await?;
    record(app, caller, &mut tx, id, was, &details).await?;
    let contact = read(&mut tx, id).await?;
    announce(app, caller, tx, id).await?;
    Ok(contact)
}
