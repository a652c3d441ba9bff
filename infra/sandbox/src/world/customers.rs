//! People with a phone.

use std::collections::HashMap;

use serde::Serialize;

use crate::number;

/// Customers remembered; further ones are still served, but not kept.
const KEPT: usize = 50_000;

/// A person as WhatsApp knows them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Customer {
    /// The account's own digits, what webhooks carry.
    pub(crate) wa_id: String,
    /// Digits as a person writes the number, with the ninth digit.
    pub(crate) phone: String,
    /// `profile.name`.
    pub(crate) name: String,
    /// Business-scoped user id, for those who have a username.
    pub(crate) user_id: Option<String>,
}

/// All customers, found by account, by either spelling of the number, or by user id.
#[derive(Debug, Default)]
pub(crate) struct Customers {
    by_wa_id: HashMap<String, Customer>,
    by_match_key: HashMap<String, String>,
    by_user_id: HashMap<String, String>,
}

impl Customers {
    /// The account behind digits: one already known by either spelling, or what the rule gives.
    pub(crate) fn resolve(&self, digits: &str) -> String {
        if self.by_wa_id.contains_key(digits) {
            return digits.to_owned();
        }
        self.by_match_key.get(&number::match_key(digits)).cloned().unwrap_or_else(|| number::wa_id(digits))
    }

    /// The account behind a business-scoped user id.
    pub(crate) fn of_user_id(&self, user_id: &str) -> Option<String> {
        self.by_user_id.get(user_id).cloned()
    }

    pub(crate) fn get(&self, wa_id: &str) -> Option<&Customer> {
        self.by_wa_id.get(wa_id)
    }

    /// All, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Customer> {
        self.by_wa_id.values()
    }

    /// Makes a customer known, or renames one. What is not given stays as it was.
    pub(crate) fn remember(
        &mut self,
        wa_id: &str,
        phone: &str,
        name: Option<&str>,
        user_id: Option<&str>,
    ) -> Customer {
        let known = self.by_wa_id.get(wa_id);
        let customer = Customer {
            wa_id: wa_id.to_owned(),
            phone: known.map_or_else(|| phone.to_owned(), |known| known.phone.clone()),
            name: name
                .map(str::to_owned)
                .or_else(|| known.map(|known| known.name.clone()))
                .unwrap_or_else(|| phone.to_owned()),
            user_id: user_id.map(str::to_owned).or_else(|| known.and_then(|known| known.user_id.clone())),
        };
        if known.is_some() || self.by_wa_id.len() < KEPT {
            self.by_wa_id.insert(wa_id.to_owned(), customer.clone());
            self.by_match_key.insert(number::match_key(phone), wa_id.to_owned());
            self.by_match_key.insert(number::match_key(wa_id), wa_id.to_owned());
            if let Some(user_id) = &customer.user_id {
                self.by_user_id.insert(user_id.clone(), wa_id.to_owned());
            }
        }
        customer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_account_wins_over_the_rule() {
        let mut customers = Customers::default();
        assert_eq!(customers.resolve("5531988880001"), "553188880001");
        customers.remember("5531988880001", "5531988880001", None, None);
        assert_eq!(customers.resolve("5531988880001"), "5531988880001");
        assert_eq!(customers.resolve("553188880001"), "5531988880001");
    }
}
