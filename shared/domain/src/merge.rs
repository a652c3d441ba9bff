//! Two contacts that are one person: what the one has of both, and what it had.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is known of a person beside addresses and history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What the customer is called; empty when nobody said.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// WhatsApp username.
    pub username: Option<String>,
    /// Id in the company's own system.
    pub external_id: Option<String>,
    /// The AI leaves this customer alone.
    pub bypass_bots: bool,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// Tabulations.
    pub tags: Vec<String>,
    /// Opted out of everything.
    pub opted_out_at: Option<DateTime<Utc>>,
    /// When the customer last said yes or no.
    pub consent_changed_at: Option<DateTime<Utc>>,
    /// Opted out of marketing.
    pub marketing_opted_out_at: Option<DateTime<Utc>>,
    /// When the customer last stopped or resumed marketing.
    pub marketing_changed_at: Option<DateTime<Utc>>,
}

impl Facts {
    /// What the survivor of a merge has: its own, what it lacks of the `other`'s, and every refusal of both.
    pub fn with(&self, other: &Self) -> Self {
        let mut tags = self.tags.clone();
        tags.extend(other.tags.iter().filter(|tag| !self.tags.contains(tag)).cloned());
        let mut custom = other.custom.clone();
        custom.extend(self.custom.clone());
        Self {
            name: if self.name.is_empty() { other.name.clone() } else { self.name.clone() },
            phone: self.phone.clone().or_else(|| other.phone.clone()),
            email: self.email.clone().or_else(|| other.email.clone()),
            username: self.username.clone().or_else(|| other.username.clone()),
            external_id: self.external_id.clone().or_else(|| other.external_id.clone()),
            bypass_bots: self.bypass_bots || other.bypass_bots,
            custom,
            tags,
            opted_out_at: self.opted_out_at.or(other.opted_out_at),
            consent_changed_at: self.consent_changed_at.max(other.consent_changed_at),
            marketing_opted_out_at: self.marketing_opted_out_at.or(other.marketing_opted_out_at),
            marketing_changed_at: self.marketing_changed_at.max(other.marketing_changed_at),
        }
    }

    /// What the survivor has when a merge is undone which made `got` of what it `had`: what somebody changed since then
    /// stays as it is now, the rest is as it was.
    pub fn without(&self, had: &Self, got: &Self) -> Self {
        fn back<T: Clone + PartialEq>(now: &T, had: &T, got: &T) -> T {
            if now == got { had.clone() } else { now.clone() }
        }
        let gained = |tag: &String| got.tags.contains(tag) && !had.tags.contains(tag);
        let mut custom = self.custom.clone();
        for (key, value) in &got.custom {
            if !had.custom.contains_key(key) && custom.get(key) == Some(value) {
                custom.remove(key);
            }
        }
        Self {
            name: back(&self.name, &had.name, &got.name),
            phone: back(&self.phone, &had.phone, &got.phone),
            email: back(&self.email, &had.email, &got.email),
            username: back(&self.username, &had.username, &got.username),
            external_id: back(&self.external_id, &had.external_id, &got.external_id),
            bypass_bots: back(&self.bypass_bots, &had.bypass_bots, &got.bypass_bots),
            custom,
            tags: self.tags.iter().filter(|tag| !gained(tag)).cloned().collect(),
            opted_out_at: back(&self.opted_out_at, &had.opted_out_at, &got.opted_out_at),
            consent_changed_at: back(
                &self.consent_changed_at,
                &had.consent_changed_at,
                &got.consent_changed_at,
            ),
            marketing_opted_out_at: back(
                &self.marketing_opted_out_at,
                &had.marketing_opted_out_at,
                &got.marketing_opted_out_at,
            ),
            marketing_changed_at: back(
                &self.marketing_changed_at,
                &had.marketing_changed_at,
                &got.marketing_changed_at,
            ),
        }
    }

    /// What the merged one has when the merge is undone: what it had, and what the person refused of the survivor in
    /// between. Nobody knows for which of both it was meant; so it counts for both.
    pub fn after(&self, survivor_now: &Self, got: &Self) -> Self {
        let mut facts = self.clone();
        if survivor_now.opted_out_at.is_some() && survivor_now.opted_out_at != got.opted_out_at {
            facts.opted_out_at = facts.opted_out_at.or(survivor_now.opted_out_at);
            facts.consent_changed_at = facts.consent_changed_at.max(survivor_now.consent_changed_at);
        }
        let stopped = survivor_now.marketing_opted_out_at;
        if stopped.is_some() && stopped != got.marketing_opted_out_at {
            facts.marketing_opted_out_at = facts.marketing_opted_out_at.or(stopped);
            facts.marketing_changed_at = facts.marketing_changed_at.max(survivor_now.marketing_changed_at);
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(value: Value) -> Facts {
        let mut all = serde_json::to_value(Facts::default()).expect("facts serialise");
        for (name, value) in value.as_object().expect("an object") {
            all[name] = value.clone();
        }
        serde_json::from_value(all).expect("facts")
    }

    #[test]
    fn the_survivor_has_what_both_had_and_gives_it_back() {
        let ana = facts(json!({ "name": "Ana", "tags": ["vip"], "custom": { "plano": "ouro" } }));
        let other = facts(json!({
            "name": "Ana Maria", "email": "ana@example.com", "tags": ["vip", "sp"], "bypass_bots": true,
            "custom": { "plano": "prata", "cpf": "1" }, "opted_out_at": "2026-01-01T00:00:00Z",
        }));
        let got = ana.with(&other);
        let expected = facts(json!({
            "name": "Ana", "email": "ana@example.com", "tags": ["vip", "sp"], "bypass_bots": true,
            "custom": { "plano": "ouro", "cpf": "1" }, "opted_out_at": "2026-01-01T00:00:00Z",
        }));
        assert_eq!(got, expected);
        assert_eq!(got.without(&ana, &got), ana);
        assert_eq!(other.after(&got, &got), other);
    }

    #[test]
    fn what_was_changed_in_between_stays() {
        let (ana, other) =
            (facts(json!({ "name": "Ana" })), facts(json!({ "email": "a@example.com", "tags": ["sp"] })));
        let got = ana.with(&other);
        let mut now = got.clone();
        now.name = "Ana Souza".to_owned();
        now.tags.push("nova".to_owned());
        now.opted_out_at = Some(DateTime::UNIX_EPOCH);
        let left = now.without(&ana, &got);
        let expected =
            facts(json!({ "name": "Ana Souza", "tags": ["nova"], "opted_out_at": "1970-01-01T00:00:00Z" }));
        assert_eq!(left, expected);
        assert_eq!(other.after(&now, &got).opted_out_at, now.opted_out_at, "a refusal counts for both");
    }
}
