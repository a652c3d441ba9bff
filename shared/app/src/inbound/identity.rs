//! Which contact an address is. A contact has many addresses; each address belongs to one contact.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use db::TenantTx;
use db::contacts::{Found, KnownAddress, NewContact};
use domain::connection::ConnectionKind;
use domain::event::Event;
use domain::inbound::{Address, AddressChange, AddressKind, Customer};
use domain::{ConnectionId, ContactId};

use crate::App;
use crate::error::Result;
use crate::outbox::Outgoing;

/// Whose an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    /// The contact.
    pub(super) contact_id: ContactId,
    /// The contact whose threads it goes into: the same, unless contacts were merged.
    pub(super) side_id: ContactId,
}

/// Finds or makes the contact of each customer, by the channel that they came by, in the same order, and learns the addresses that are new.
///
/// An event that names addresses of two contacts belongs to the contact of the first address, the provider's own;
/// the other address stays where it was. Merging is for people to decide.
pub(super) async fn resolve(
    app: &App,
    tx: &mut TenantTx,
    customers: &[(&Customer, ConnectionKind)],
    outgoing: &mut Outgoing,
) -> Result<Vec<Whose>> {
    let now = app.clock.now();
    let mut known = Known::default();
    let wanted = distinct(customers.iter().flat_map(|(customer, _)| &customer.addresses));
    known.learn(db::contacts::hold_by_addresses(tx, &wanted).await?);

    let unknown: Vec<_> =
        wanted.into_iter().filter(|address| !known.addresses.contains_key(address)).collect();
    if !unknown.is_empty() {
        // Somebody else may be giving one of them to a contact, from another connection, right now.
        db::contacts::lock_addresses(tx, &unknown).await?;
        known.learn(db::contacts::hold_by_addresses(tx, &unknown).await?);
    }

    let scope = domain::CompanyScope::assert_verified(tx.company_id());
    let mut made = Vec::new();
    let mut addresses = Vec::new();
    let mut filled = Vec::new();
    let mut contacts = Vec::with_capacity(customers.len());
    for &(customer, source) in customers {
        let whose = match known.whose(customer) {
            Some(whose) => {
                let contact_id = whose.contact_id;
                let news = customer.addresses.iter().any(|address| !known.addresses.contains_key(address));
                if news || known.incomplete.contains(&contact_id) {
                    filled.push(contact_of(contact_id, customer, source));
                }
                whose
            }
            None => {
                let contact_id = ContactId(app.clock.new_id());
                made.push(contact_of(contact_id, customer, source));
                outgoing.event(scope, Event::ContactCreated { contact_id })?;
                Whose { contact_id, side_id: contact_id }
            }
        };
        for address in &customer.addresses {
            if !known.addresses.contains_key(address) {
                known.addresses.insert(address.clone(), whose);
                addresses.push((address.clone(), whose.side_id));
            }
        }
        contacts.push(whose);
    }
    if !made.is_empty() {
        db::contacts::insert_many(tx, &made, now).await?;
    }
    if !addresses.is_empty() {
        db::contacts::insert_addresses(tx, &addresses, now).await?;
    }
    if !filled.is_empty() {
        filled.dedup_by_key(|contact| contact.id);
        db::contacts::fill_in(tx, &filled, now).await?;
    }
    Ok(contacts)
}

/// Gives the current address to the contact of the previous ones, and sends to it from now on.
pub(super) async fn learn_change(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    change: &AddressChange,
    now: DateTime<Utc>,
) -> Result<()> {
    let found = db::contacts::hold_by_addresses(tx, &change.previous).await?;
    let known =
        |address: &Address| found.iter().map(|found| &found.known).find(|known| known.address == *address);
    let Some(KnownAddress { contact_id, side_id, .. }) = change.previous.iter().find_map(known) else {
        // A stranger who changed number before ever writing to us: the first message will make the contact.
        return Ok(());
    };
    let mut told = change.previous.clone();
    told.push(change.current.clone());
    let owned = learn(tx, *side_id, &told, now).await?;
    if owned.contains(&change.current) {
        let current = &change.current;
        let same_kind = change.previous.iter().filter(|address| address.kind == current.kind);
        let previous: Vec<_> = same_kind.map(|address| address.value.clone()).collect();
        db::conversations::move_address(tx, connection_id, *contact_id, &previous, current, change.at)
            .await?;
    }
    Ok(())
}

/// Gives a side (see [`KnownAddress::side_id`]) the addresses that nobody has yet; which of them are its own now.
pub(crate) async fn learn(
    tx: &mut TenantTx,
    side_id: ContactId,
    addresses: &[Address],
    now: DateTime<Utc>,
) -> Result<Vec<Address>> {
    db::contacts::lock_addresses(tx, addresses).await?;
    let told: Vec<_> = addresses.iter().map(|address| (address.clone(), side_id)).collect();
    db::contacts::insert_addresses(tx, &told, now).await?;
    let found = db::contacts::hold_by_addresses(tx, addresses).await?;
    let own = found.into_iter().filter(|found| found.known.side_id == side_id);
    Ok(own.map(|found| found.known.address).collect())
}

#[derive(Default)]
struct Known {
    addresses: HashMap<Address, Whose>,
    incomplete: HashSet<ContactId>,
}

impl Known {
    fn learn(&mut self, found: Vec<Found>) {
        for found in found {
            if found.incomplete {
                self.incomplete.insert(found.known.contact_id);
            }
            let KnownAddress { address, contact_id, side_id } = found.known;
            self.addresses.insert(address, Whose { contact_id, side_id });
        }
    }

    fn whose(&self, customer: &Customer) -> Option<Whose> {
        customer.addresses.iter().find_map(|address| self.addresses.get(address)).copied()
    }
}

fn distinct<'a>(addresses: impl Iterator<Item = &'a Address>) -> Vec<Address> {
    let mut seen = HashSet::new();
    addresses.filter(|address| seen.insert(*address)).cloned().collect()
}

fn contact_of(id: ContactId, customer: &Customer, source: ConnectionKind) -> NewContact {
    let phone = customer.addresses.iter().find(|address| address.kind == AddressKind::E164);
    NewContact {
        id,
        name: super::messages::clean(customer.name.as_deref().unwrap_or_default()),
        phone: phone.map(|address| address.value.clone()),
        username: customer.username.clone(),
        source: source.to_string(),
    }
}
