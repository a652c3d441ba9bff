//! Contacts, as the API reads them.

use std::collections::HashMap;

use db::contacts::Contact;
use domain::inbound::Address;
use domain::{CompanyScope, ContactId};

use crate::error::{Error, Result};
use crate::{App, Page, Position};

/// A contact with every address that leads to it.
#[derive(Clone, Debug)]
pub struct AddressedContact {
    /// The contact.
    pub contact: Contact,
    /// Its addresses, oldest first.
    pub addresses: Vec<Address>,
}

/// Lists contacts, newest first.
///
/// # Errors
/// Database errors only.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<AddressedContact>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let contacts = db::contacts::list(&mut tx, before, limit + 1).await?;
    let page = Page::cut(contacts, limit, |contact| (contact.created_at, contact.id.0));
    let items = with_addresses(&mut tx, page.items).await?;
    Ok(Page { items, next: page.next })
}

/// Finds a contact.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: ContactId) -> Result<AddressedContact> {
    let mut tx = app.db().await?.begin(scope).await?;
    let contact = db::contacts::find(&mut tx, id).await?.ok_or(Error::NotFound("contact"))?;
    with_addresses(&mut tx, vec![contact]).await?.pop().ok_or(Error::NotFound("contact"))
}

pub(crate) async fn with_addresses(
    tx: &mut db::TenantTx,
    contacts: Vec<Contact>,
) -> Result<Vec<AddressedContact>> {
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
    let mut addresses: HashMap<ContactId, Vec<Address>> = HashMap::new();
    for known in db::contacts::list_addresses(tx, &ids).await? {
        addresses.entry(known.contact_id).or_default().push(known.address);
    }
    Ok(contacts
        .into_iter()
        .map(|contact| AddressedContact {
            addresses: addresses.remove(&contact.id).unwrap_or_default(),
            contact,
        })
        .collect())
}
