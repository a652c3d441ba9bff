//! Turns: a customer's burst of messages gets one answer, when the customer pauses.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The silence that ends a burst, in seconds: the shortest and the longest that a session may ask for.
pub const WINDOW_SECONDS: std::ops::RangeInclusive<i32> = 5..=8;

/// What a session waits when nothing was configured, in seconds.
pub const DEFAULT_WINDOW_SECONDS: i32 = 6;

/// A customer who never pauses is answered after this long all the same.
pub const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(30);

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TurnState {
    /// Still collecting messages.
    Open,
    /// Complete; an answer is being made.
    Ready,
    /// Answered.
    Answered,
    /// Not to be answered: a person took over, or the AI was blocked.
    Skipped,
    /// The AI could not answer; a person has to.
    Failed,
}

/// When a turn is complete: `window` after its newest message, but never more than [`LONGEST_WAIT`] after its first.
pub fn due_at(first: DateTime<Utc>, newest: DateTime<Utc>, window_seconds: i32) -> DateTime<Utc> {
    let window = window_seconds.clamp(*WINDOW_SECONDS.start(), *WINDOW_SECONDS.end());
    (newest + TimeDelta::seconds(window.into())).min(first + LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_a_turn() {
        let first = DateTime::UNIX_EPOCH;
        let newest = first + TimeDelta::seconds(4);
        assert_eq!(due_at(first, newest, 6), newest + TimeDelta::seconds(6));
    }

    #[test]
    fn nobody_waits_longer_than_the_longest_wait() {
        let first = DateTime::UNIX_EPOCH;
        assert_eq!(due_at(first, first + TimeDelta::seconds(29), 8), first + LONGEST_WAIT);
    }

    #[test]
    fn a_window_outside_the_limits_is_clamped() {
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(due_at(at, at, 0), at + TimeDelta::seconds(5));
        assert_eq!(due_at(at, at, 60), at + TimeDelta::seconds(8));
    }
}
