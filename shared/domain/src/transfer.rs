//! Imports and exports: work on a file that takes its time, and what becomes of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ListId;

/// Where an import or an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TransferState {
    /// Asked for.
    Waiting,
    /// Under way.
    Running,
    /// Came to its end.
    Done,
    /// Somebody stopped it; what was done stays.
    Cancelled,
    /// Cannot go on; what was done stays.
    Failed,
}

impl TransferState {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Done, Self::Cancelled, Self::Failed];

    /// Nothing happens any more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Running => false,
            Self::Done | Self::Cancelled | Self::Failed => true,
        }
    }

    /// Whether it may stand there next.
    pub fn may_become(self, next: Self) -> bool {
        match next {
            Self::Waiting => false,
            // From one piece of the work to the next.
            Self::Running => !self.is_over(),
            Self::Done => self == Self::Running,
            Self::Cancelled | Self::Failed => !self.is_over(),
        }
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// Which contacts are written out; what is `None` does not limit them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFilter {
    /// Those that have this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Those that came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Those in this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_id: Option<ListId>,
    /// Those that opted out, or those that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opted_out: Option<bool>,
    /// Those that were made then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_from: Option<DateTime<Utc>>,
    /// Those that were made before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_to: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_so() {
        for state in TransferState::ALL {
            assert_eq!(serde_json::to_value(state).expect("serialises"), state.as_str());
            for next in TransferState::ALL {
                assert!(!(state.is_over() && state.may_become(next)), "{state:?} to {next:?}");
            }
        }
        assert!(TransferState::Waiting.may_become(TransferState::Cancelled));
        assert!(!TransferState::Waiting.may_become(TransferState::Done));
    }
}
