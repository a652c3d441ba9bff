//! Whose a row is, and what it changes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value};

use super::Row;
use super::rows::RowError;
use crate::ContactId;
use crate::contact::TAGS;
use crate::inbound::{Address, AddressKind};

/// What rows can say of a contact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// What it is called; empty when nobody said.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// The id in the company's own system.
    pub external_id: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its custom fields.
    pub custom: Map<String, Value>,
}

/// A contact into which rows were put.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its id.
    pub id: ContactId,
    /// What it was before the rows; `None` when a row made it.
    pub before: Option<Values>,
    /// What it is now.
    pub values: Values,
    /// Addresses that the rows brought.
    pub learnt: Vec<Address>,
    /// It is not what it was.
    pub is_changed: bool,
}

/// What rows did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that made a contact.
    pub created: i64,
    /// Rows that changed one.
    pub updated: i64,
    /// Rows that said what was known.
    pub unchanged: i64,
}

/// The contacts that rows may be of, and those that they make.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    contacts: Vec<Known>,
    by_address: HashMap<Address, usize>,
}

#[derive(Clone, Debug)]
struct Known {
    id: ContactId,
    /// What it was before the rows; `None` when a row made it.
    before: Option<Values>,
    values: Values,
    learnt: Vec<Address>,
    changing: i64,
    repeating: i64,
}

impl Roster {
    /// A contact that there is, with those of its addresses that rows may name.
    pub fn know(&mut self, id: ContactId, values: Values, addresses: impl IntoIterator<Item = Address>) {
        let place = self.contacts.len();
        self.by_address.extend(addresses.into_iter().map(|address| (address, place)));
        self.contacts.push(Known {
            id,
            before: Some(values.clone()),
            values,
            learnt: Vec::new(),
            changing: 0,
            repeating: 0,
        });
    }

    /// Puts a row into the contact that its addresses lead to; into a new one when they lead nowhere. What two rows say
    /// differently is as the last one says it.
    ///
    /// # Errors
    /// When its addresses lead to two contacts, or to one that the company's own system knows as another. Which of them is
    /// meant is for people to decide: nothing is changed. Also when the contact would have too many tags.
    pub fn put(&mut self, row: Row, new_id: impl FnOnce() -> ContactId) -> Result<(), RowError> {
        let addresses: Vec<Address> = row.addresses().collect();
        let mut place: Option<usize> = None;
        for address in &addresses {
            let by_whatsapp = || match address.kind {
                AddressKind::E164 => row.whatsapp_addresses().find_map(|known| self.by_address.get(&known)),
                _ => None,
            };
            // When WhatsApp's spellings lead elsewhere, the number that people use counts.
            let Some(&known) = self.by_address.get(address).or_else(by_whatsapp) else { continue };
            if let Some(place) = place.filter(|place| *place != known) {
                return Err(taken(address, self.contacts[known].id, self.contacts[place].id));
            }
            place = Some(known);
        }
        if let Some(place) = place {
            self.require_room(&self.contacts[place], &row)?;
        }
        let place = place.unwrap_or_else(|| {
            self.contacts.push(Known {
                id: new_id(),
                before: None,
                values: Values::default(),
                learnt: Vec::new(),
                changing: 0,
                repeating: 0,
            });
            self.contacts.len() - 1
        });
        let contact = &mut self.contacts[place];
        let mut changes = contact.values.put(row);
        for address in addresses {
            if let Entry::Vacant(free) = self.by_address.entry(address) {
                contact.learnt.push(free.key().clone());
                free.insert(place);
                changes = true;
            }
        }
        if changes {
            contact.changing += 1;
        } else {
            contact.repeating += 1;
        }
        Ok(())
    }

    /// Refuses a row that cannot be of this contact.
    fn require_room(&self, contact: &Known, row: &Row) -> Result<(), RowError> {
        let new_id = row.external_id.as_ref().filter(|id| {
            let address = Address { kind: AddressKind::External, value: (*id).clone() };
            !self.by_address.contains_key(&address)
        });
        // An id is given once. Two customers may share a number or a mailbox, and stay two.
        if new_id.is_some() && contact.values.external_id.is_some() {
            return Err(RowError {
                field: "external_id".to_owned(),
                code: "other_external_id",
                reason: format!("its number or email belongs to the contact {}, of another id", contact.id)
                    .into(),
            });
        }
        let new_tags = row.tags.iter().filter(|tag| !contact.values.tags.contains(tag)).count();
        if new_tags > 0 && contact.values.tags.len() + new_tags > TAGS {
            return Err(RowError {
                field: "tags".to_owned(),
                code: "too_many_tags",
                reason: format!("a contact has at most {TAGS} tags").into(),
            });
        }
        Ok(())
    }

    /// The contacts into which rows were put, and what the rows did. Rows that take each other back did nothing.
    pub fn finish(self) -> (Vec<Draft>, Counts) {
        let mut counts = Counts::default();
        let touched = self.contacts.into_iter().filter(|contact| contact.changing + contact.repeating > 0);
        let drafts = touched
            .map(|contact| {
                let is_new = contact.before.is_none();
                let is_changed = !contact.learnt.is_empty()
                    || contact.before.as_ref().is_none_or(|before| *before != contact.values);
                counts.created += i64::from(is_new);
                if is_changed {
                    counts.updated += contact.changing - i64::from(is_new);
                    counts.unchanged += contact.repeating;
                } else {
                    counts.unchanged += contact.changing + contact.repeating;
                }
                let Known { id, before, values, learnt, .. } = contact;
                Draft { id, before, values, learnt, is_changed }
            })
            .collect();
        (drafts, counts)
    }
}

fn taken(address: &Address, known: ContactId, other: ContactId) -> RowError {
    let field = match address.kind {
        AddressKind::Email => "email",
        AddressKind::External => "external_id",
        AddressKind::E164 | AddressKind::WaId | AddressKind::Lid | AddressKind::Bsuid => "phone",
    };
    let reason = format!("belongs to the contact {known}, what else the row says to the contact {other}");
    RowError { field: field.to_owned(), code: "address_taken", reason: reason.into() }
}

impl Values {
    /// Whether that changed anything.
    fn put(&mut self, row: Row) -> bool {
        let mut changes = false;
        if let Some(name) = row.name.filter(|name| *name != self.name) {
            self.name = name;
            changes = true;
        }
        for (own, said) in [
            (&mut self.phone, row.phone),
            (&mut self.email, row.email),
            (&mut self.external_id, row.external_id),
        ] {
            if said.is_some() && *own != said {
                *own = said;
                changes = true;
            }
        }
        for tag in row.tags {
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
                changes = true;
            }
        }
        for (key, value) in row.custom {
            if self.custom.get(&key) != Some(&value) {
                self.custom.insert(key, value);
                changes = true;
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    /// Puts rows into contacts that are kept between stretches, as a database keeps them: what the rows did, which of
    /// them are wrong, and the contacts.
    fn put_in(
        rows: &[Row],
        stretch: usize,
        kept: &mut Vec<(ContactId, Values, Vec<Address>)>,
    ) -> (Counts, Vec<usize>) {
        let (mut counts, mut wrong) = (Counts::default(), Vec::new());
        for (number, rows) in rows.chunks(stretch).enumerate() {
            let mut roster = Roster::default();
            for (id, values, addresses) in &*kept {
                roster.know(*id, values.clone(), addresses.clone());
            }
            for (place, row) in rows.iter().enumerate() {
                let row_number = number * stretch + place;
                if roster.put(row.clone(), || ContactId(Uuid::from_u128(row_number as u128))).is_err() {
                    wrong.push(row_number);
                }
            }
            let (drafts, done) = roster.finish();
            counts.created += done.created;
            counts.updated += done.updated;
            counts.unchanged += done.unchanged;
            for draft in drafts {
                match kept.iter_mut().find(|(id, ..)| *id == draft.id) {
                    Some((_, values, addresses)) => {
                        *values = draft.values;
                        addresses.extend(draft.learnt);
                    }
                    None => kept.push((draft.id, draft.values, draft.learnt)),
                }
            }
        }
        (counts, wrong)
    }

    fn row(name: &str, phone: &str, email: &str, external_id: &str) -> Row {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Row {
            name: given(name),
            phone: given(phone),
            email: given(email),
            external_id: given(external_id),
            ..Row::default()
        }
    }

    #[test]
    fn the_last_row_has_the_last_word_and_no_row_joins_two_contacts() {
        let rows = [
            row("Ana", "+1", "", ""),
            row("", "+2", "rui@x.com", ""),
            row("Ana Souza", "+1", "", "7"),
            row("Ana Souza", "+1", "", "7"),
            row("Alguém", "+1", "rui@x.com", ""),
            row("Ana S.", "+3", "", "7"),
        ];
        let mut kept = Vec::new();
        let done = put_in(&rows, 10, &mut kept);
        assert_eq!(done, (Counts { created: 2, updated: 2, unchanged: 1 }, vec![4]));
        let (_, ana, _) = &kept[0];
        assert_eq!((kept.len(), ana.name.as_str(), ana.phone.as_deref()), (2, "Ana S.", Some("+3")));
        let done = put_in(&rows, 10, &mut kept);
        assert_eq!(done, (Counts { created: 0, updated: 0, unchanged: 5 }, vec![4]), "the same again");
    }

    proptest! {
        /// Wherever the stretches are cut, the contacts are the same; and the same rows again change none of them.
        #[test]
        fn stretches_make_no_difference(
            rows in prop::collection::vec(
                ("[AB]?", "(\\+[1-4])?", "([ab]@x.com)?", "[7-9]?", prop::collection::vec("[xy]", 0..2)),
                1..24,
            ),
            stretch in 1_usize..24,
        ) {
            let rows: Vec<Row> = rows
                .into_iter()
                .map(|(name, phone, email, id, tags)| Row { tags, ..row(&name, &phone, &email, &id) })
                .filter(|row| row.addresses().next().is_some())
                .collect();
            let (mut whole, mut cut) = (Vec::new(), Vec::new());
            let (counts, wrong) = put_in(&rows, rows.len().max(1), &mut whole);
            let (cut_counts, cut_wrong) = put_in(&rows, stretch, &mut cut);
            prop_assert_eq!((counts.created, &wrong), (cut_counts.created, &cut_wrong));
            prop_assert_eq!(&whole, &cut);
            let before = whole.clone();
            let (counts, _) = put_in(&rows, rows.len().max(1), &mut whole);
            prop_assert_eq!((counts.created, counts.updated), (0, 0));
            prop_assert_eq!(before, whole);
        }
    }
}
