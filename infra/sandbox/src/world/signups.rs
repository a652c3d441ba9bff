//! Accounts and numbers that people choose in Meta's window (Embedded Signup), and what was asked of them since.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::clock;

/// Milliseconds that a code lives.
const CODE_LIFE_MS: i64 = 30_000;

/// Attempts to register a number in [`REGISTRATIONS_MS`].
const REGISTRATIONS: usize = 10;

/// 72 hours.
const REGISTRATIONS_MS: i64 = 72 * 3_600_000;

/// A number as it came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Number {
    pub(crate) phone_number_id: String,
    /// Digits.
    pub(crate) display_phone: String,
    pub(crate) verified_name: String,
    /// Also used in the phone's app.
    pub(crate) is_on_biz_app: bool,
    /// With the Cloud API; one that the phone's app shares is.
    pub(crate) registered: bool,
    /// Its owner never showed a code that was sent to it.
    pub(crate) unverified: bool,
    /// Of two-step verification.
    pub(crate) pin: Option<String>,
    /// When somebody tried to register it.
    #[serde(skip_deserializing)]
    attempts_ms: Vec<i64>,
    /// What of the phone's app was asked for.
    #[serde(skip_deserializing)]
    shared: BTreeSet<String>,
}

/// What a person chose.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) waba_id: String,
    pub(crate) token: String,
    /// The app that the token is of.
    pub(crate) app_id: String,
    pub(crate) scopes: Vec<String>,
    code: String,
    at_ms: i64,
    used: bool,
}

/// Why a code is not exchanged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BadCode {
    Unknown,
    Used,
    Expired,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Signups {
    grants: Vec<Grant>,
    numbers: BTreeMap<String, Number>,
    /// Calls, by what they were for: `register 100…`.
    calls: BTreeMap<String, u32>,
}

impl Signups {
    pub(crate) fn grant(&mut self, code: String, age_ms: i64, token: String, mut grant: Grant) {
        (grant.code, grant.token, grant.at_ms) = (code, token, clock::now_ms() - age_ms);
        self.grants.push(grant);
    }

    pub(crate) fn put(&mut self, number: Number) {
        self.numbers.insert(number.phone_number_id.clone(), number);
    }

    pub(crate) fn number(&self, phone_number_id: &str) -> Option<&Number> {
        self.numbers.get(phone_number_id)
    }

    pub(crate) fn numbers(&self) -> &BTreeMap<String, Number> {
        &self.numbers
    }

    pub(crate) fn calls(&self) -> &BTreeMap<String, u32> {
        &self.calls
    }

    pub(crate) fn count(&mut self, what: &str) {
        *self.calls.entry(what.to_owned()).or_default() += 1;
    }

    /// Spends a code.
    pub(crate) fn redeem(&mut self, code: &str) -> Result<Grant, BadCode> {
        let grant = self.grants.iter_mut().find(|grant| grant.code == code).ok_or(BadCode::Unknown)?;
        if std::mem::replace(&mut grant.used, true) {
            return Err(BadCode::Used);
        }
        if clock::now_ms() >= grant.at_ms + CODE_LIFE_MS {
            return Err(BadCode::Expired);
        }
        Ok(grant.clone())
    }

    /// What a token that was given out is good for.
    pub(crate) fn granted(&self, token: &str) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.used && grant.token == token)
    }

    /// Whether somebody chose the account.
    pub(crate) fn has_account(&self, waba_id: &str) -> bool {
        self.grants.iter().any(|grant| grant.waba_id == waba_id)
    }

    /// Registers a number, or the code of the error that stands in the way.
    pub(crate) fn register(&mut self, phone_number_id: &str, pin: &str) -> Result<(), u32> {
        let number = self.numbers.get_mut(phone_number_id).ok_or(100_u32)?;
        let now = clock::now_ms();
        number.attempts_ms.retain(|at| *at > now - REGISTRATIONS_MS);
        if number.attempts_ms.len() >= REGISTRATIONS {
            return Err(133_016);
        }
        number.attempts_ms.push(now);
        if number.is_on_biz_app {
            return Err(100);
        }
        if number.unverified {
            return Err(133_006);
        }
        if number.pin.as_deref().is_some_and(|known| known != pin) {
            return Err(133_005);
        }
        number.registered = true;
        number.pin = Some(pin.to_owned());
        Ok(())
    }

    /// Shares what the phone's app knows, once.
    pub(crate) fn share(&mut self, phone_number_id: &str, what: &str) -> Result<(), u32> {
        let number = self.numbers.get_mut(phone_number_id).ok_or(100_u32)?;
        if !number.is_on_biz_app || !["smb_app_state_sync", "history"].contains(&what) {
            return Err(100);
        }
        if number.shared.insert(what.to_owned()) { Ok(()) } else { Err(2_593_107) }
    }
}

impl Grant {
    pub(crate) fn of(waba_id: String, app_id: String, scopes: Vec<String>) -> Self {
        Self { waba_id, app_id, scopes, token: String::new(), code: String::new(), at_ms: 0, used: false }
    }
}
