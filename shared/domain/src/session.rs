//! Sessions: stretches of a conversation that somebody handles, and when the AI may speak in them.

use std::fmt;
use std::ops::RangeInclusive;

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

/// For how many minutes the AI may be silenced.
pub const AI_BLOCK_MINUTES: RangeInclusive<u32> = 1..=1_440;

impl SessionStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Active, Self::Paused, Self::Closed];

    /// Checks a step of the life cycle. A session that is not over may go anywhere else; one that is over only begins
    /// anew, waiting or answered, which is what reopening means.
    ///
    /// # Errors
    /// When the life cycle has no such step; a status is no step away from itself.
    pub fn step_to(self, to: Self) -> Result<(), IllegalTransition> {
        let legal = match (self, to) {
            (Self::Closed, Self::Paused) => false,
            (from, to) => from != to,
        };
        if legal { Ok(()) } else { Err(IllegalTransition { from: self, to }) }
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step that the life cycle of a session does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// Where it stands.
    pub from: SessionStatus,
    /// Where it was to go.
    pub to: SessionStatus,
}

/// What a customer's message does when their last session is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedSessions {
    /// It begins another session.
    #[default]
    BeginAnother,
    /// It is stored in the session that is over, and nothing automatic happens.
    StayClosed,
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
    fn the_life_cycle_is_this() {
        use SessionStatus::{Active, Closed, Paused, Queued};
        let legal = [
            (Queued, [Active, Paused, Closed].as_slice()),
            (Active, &[Queued, Paused, Closed]),
            (Paused, &[Queued, Active, Closed]),
            (Closed, &[Queued, Active]),
        ];
        for (from, reachable) in legal {
            for to in SessionStatus::ALL {
                let outcome = from.step_to(to);
                assert_eq!(outcome.is_ok(), reachable.contains(&to), "{from} to {to}");
                if let Err(error) = outcome {
                    let text = error.to_string();
                    assert!(text.contains(from.as_str()) && text.contains(to.as_str()), "{text}");
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_the_wire() {
        for status in SessionStatus::ALL {
            assert_eq!(serde_json::to_value(status).expect("serialises"), status.as_str());
        }
    }

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
