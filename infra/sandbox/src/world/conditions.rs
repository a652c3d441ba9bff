//! How numbers and tokens fare, where it is not the usual.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is not as usual about a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Condition {
    /// `GREEN` by default.
    pub(crate) quality_rating: Option<String>,
    /// `TIER_250` by default.
    pub(crate) messaging_limit: Option<String>,
    /// Unix seconds; never by default. From then on the token is refused.
    pub(crate) token_expires_at: Option<i64>,
    /// The token was taken back: it is refused.
    pub(crate) token_revoked: bool,
}

/// By phone number id.
#[derive(Debug, Default)]
pub(crate) struct Conditions(BTreeMap<String, Condition>);

impl Conditions {
    /// That of a line.
    pub(crate) fn of(&self, phone_number_id: &str) -> Condition {
        self.0.get(phone_number_id).cloned().unwrap_or_default()
    }

    /// Sets that of a line as a whole.
    pub(crate) fn set(&mut self, phone_number_id: &str, condition: Condition) {
        self.0.insert(phone_number_id.to_owned(), condition);
    }
}

impl Condition {
    /// Whether calls with the line's token are taken.
    pub(crate) fn takes_token(&self, now_s: i64) -> bool {
        !self.token_revoked && self.token_expires_at.is_none_or(|at| now_s < at)
    }
}
