//! Sessions: stretches of a conversation that somebody handles, and when the AI may speak in them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionStatus {
    /// Nobody has answered yet.
    Queued,
    /// Somebody, AI or human, is answering.
    Active,
    /// A human holds it; the AI is silent.
    Paused,
    /// Over.
    Closed,
}

/// Who began a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StartedBy {
    /// The customer wrote first.
    Customer,
    /// The business wrote first, by campaign, cadence or integration.
    Business,
    /// A person of the company wrote first.
    Agent,
}

/// Why the AI does not answer, or `None` when it may.
///
/// The reasons are stable words: the API shows them in `ai-status`.
pub fn ai_silent_because(
    status: SessionStatus,
    ai_blocked_until: Option<DateTime<Utc>>,
    bypass_bots: bool,
    has_persona: bool,
    now: DateTime<Utc>,
) -> Option<&'static str> {
    match status {
        SessionStatus::Paused => return Some("session_paused"),
        SessionStatus::Closed => return Some("session_closed"),
        SessionStatus::Queued | SessionStatus::Active => {}
    }
    if ai_blocked_until.is_some_and(|until| until > now) {
        Some("ai_blocked")
    } else if bypass_bots {
        Some("contact_bypasses_bots")
    } else if !has_persona {
        Some("no_persona")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_block_ends_by_itself() {
        let now = DateTime::UNIX_EPOCH;
        let until = Some(now + TimeDelta::minutes(1));
        let silent = |at| ai_silent_because(SessionStatus::Active, until, false, true, at);
        assert_eq!(silent(now), Some("ai_blocked"));
        assert_eq!(silent(now + TimeDelta::minutes(1)), None);
    }

    #[test]
    fn a_person_outranks_the_ai() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(ai_silent_because(SessionStatus::Paused, None, false, true, now), Some("session_paused"));
        assert_eq!(ai_silent_because(SessionStatus::Closed, None, false, true, now), Some("session_closed"));
        assert_eq!(
            ai_silent_because(SessionStatus::Queued, None, true, true, now),
            Some("contact_bypasses_bots")
        );
        assert_eq!(ai_silent_because(SessionStatus::Queued, None, false, false, now), Some("no_persona"));
        assert_eq!(ai_silent_because(SessionStatus::Queued, None, false, true, now), None);
    }
}
