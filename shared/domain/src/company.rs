//! What a company decides about itself.

use serde::{Deserialize, Serialize};

use crate::session::ClosedSessions;

/// Seconds of silence that end a customer's burst.
pub const CONCAT_TIMEOUT: std::ops::RangeInclusive<i32> = 5..=8;

/// A company's settings; what it never said is as here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompanySettings {
    /// What a customer's message does when their last session is over.
    pub closed_sessions: ClosedSessions,
    /// For new sessions: seconds of silence that end a customer's burst, within [`CONCAT_TIMEOUT`].
    pub concat_timeout: i32,
    /// By which words alone a customer says that they want no more messages, besides
    /// [`OPT_OUT_KEYWORDS`](crate::contact::OPT_OUT_KEYWORDS).
    pub opt_out_keywords: Vec<String>,
}

impl Default for CompanySettings {
    fn default() -> Self {
        Self { closed_sessions: ClosedSessions::default(), concat_timeout: 6, opt_out_keywords: Vec::new() }
    }
}
