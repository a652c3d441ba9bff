//! How a connection fares. What stands in its way is known by name; what it comes to follows from the gravest of that.

use serde::{Deserialize, Serialize};

/// What a connection can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Health {
    /// Everything.
    Connected,
    /// It works, and somebody should look at it.
    Degraded,
    /// Nothing goes over it.
    Down,
}

impl Health {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// What stands in a connection's way; the graver ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Obstacle {
    /// The provider deleted the account.
    AccountDeleted,
    /// The provider disabled the account.
    AccountDisabled,
    /// The business took our app's rights to the account back.
    AppRemoved,
    /// The token's time is over.
    TokenExpired,
    /// The provider does not take the token any more, for another reason.
    TokenInvalid,
    /// The token lacks a right that is needed.
    PermissionMissing,
    /// The account has no such number, or none for this token.
    NumberGone,
    /// The number is not registered for the API.
    NumberUnregistered,
    /// The account has not paid.
    Unpaid,
    /// The provider stopped the number for what it sent.
    SenderBlocked,
    /// The provider found fault with the account, and limits it or is about to.
    AccountRestricted,
    /// Customers block and report the number.
    QualityLow,
    /// The token's time is over soon.
    TokenExpiring,
    /// The provider did not answer for a long time.
    Unreachable,
}

impl Obstacle {
    /// Those that a check of token and number finds, and whose end it finds as well.
    pub const CHECKED: [Self; 7] = [
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::PermissionMissing,
        Self::NumberGone,
        Self::QualityLow,
        Self::TokenExpiring,
        Self::Unreachable,
    ];

    /// Those that a message finds which is refused, and whose end one finds that is taken.
    pub const SENT: [Self; 3] = [Self::NumberUnregistered, Self::Unpaid, Self::SenderBlocked];

    /// Those that a new token ends, as far as anybody knows.
    pub const OF_TOKEN: [Self; 5] = [
        Self::AppRemoved,
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::PermissionMissing,
        Self::TokenExpiring,
    ];

    /// What it lets a connection do.
    pub fn health(self) -> Health {
        match self {
            Self::AccountDeleted
            | Self::AccountDisabled
            | Self::AppRemoved
            | Self::TokenExpired
            | Self::TokenInvalid
            | Self::PermissionMissing
            | Self::NumberGone
            | Self::NumberUnregistered
            | Self::Unpaid
            | Self::SenderBlocked => Health::Down,
            Self::AccountRestricted | Self::QualityLow | Self::TokenExpiring | Self::Unreachable => {
                Health::Degraded
            }
        }
    }

    /// Whether no call with the connection's token can succeed: none is made.
    pub fn forbids_calls(self) -> bool {
        matches!(self, Self::TokenExpired | Self::TokenInvalid)
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountDeleted => "account_deleted",
            Self::AccountDisabled => "account_disabled",
            Self::AppRemoved => "app_removed",
            Self::TokenExpired => "token_expired",
            Self::TokenInvalid => "token_invalid",
            Self::PermissionMissing => "permission_missing",
            Self::NumberGone => "number_gone",
            Self::NumberUnregistered => "number_unregistered",
            Self::Unpaid => "unpaid",
            Self::SenderBlocked => "sender_blocked",
            Self::AccountRestricted => "account_restricted",
            Self::QualityLow => "quality_low",
            Self::TokenExpiring => "token_expiring",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What it comes to, and why.
pub fn judge(obstacles: &[Obstacle]) -> (Health, Option<Obstacle>) {
    match obstacles.iter().min() {
        Some(gravest) => (gravest.health(), Some(*gravest)),
        None => (Health::Connected, None),
    }
}

/// Whether the second messaging limit (`TIER_250`, `TIER_2K`, `TIER_UNLIMITED`) lets fewer customers be written to than
/// the first. Of words that we do not know nothing is said.
pub fn is_lower_limit(before: &str, now: &str) -> bool {
    match (limit(before), limit(now)) {
        (Some(before), Some(now)) => now < before,
        _ => false,
    }
}

fn limit(tier: &str) -> Option<u64> {
    let size = tier.strip_prefix("TIER_")?;
    if size == "UNLIMITED" {
        return Some(u64::MAX);
    }
    match size.strip_suffix('K') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000),
        None => size.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_decides() {
        assert_eq!(judge(&[]), (Health::Connected, None));
        let both = [Obstacle::TokenExpiring, Obstacle::QualityLow];
        assert_eq!(judge(&both), (Health::Degraded, Some(Obstacle::QualityLow)));
        let worse = [Obstacle::QualityLow, Obstacle::Unpaid, Obstacle::TokenExpired];
        assert_eq!(judge(&worse), (Health::Down, Some(Obstacle::TokenExpired)));
    }

    #[test]
    fn what_is_graver_stands_first() {
        let all = [
            Obstacle::CHECKED.as_slice(),
            &Obstacle::SENT,
            &[
                Obstacle::AccountDeleted,
                Obstacle::AccountDisabled,
                Obstacle::AppRemoved,
                Obstacle::AccountRestricted,
            ],
        ]
        .concat();
        assert_eq!(all.len(), 14);
        for one in &all {
            for other in &all {
                assert!(one.health() >= other.health() || one > other, "{one:?} and {other:?}");
            }
            assert_eq!(serde_json::to_value(one).expect("serialises"), one.as_str());
        }
    }

    #[test]
    fn limits_are_compared_by_their_size() {
        assert!(is_lower_limit("TIER_10K", "TIER_2K") && is_lower_limit("TIER_UNLIMITED", "TIER_100K"));
        assert!(is_lower_limit("TIER_2K", "TIER_250") && !is_lower_limit("TIER_250", "TIER_2K"));
        assert!(!is_lower_limit("TIER_NEW", "TIER_250") && !is_lower_limit("TIER_2K", "TIER_2K"));
    }
}
