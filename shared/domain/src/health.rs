//! How a connection fares. What stands in its way is known by name; how it stands follows from the gravest of that.

use serde::{Deserialize, Serialize};

use crate::connection::ConnectionState;

/// What stands in a connection's way; the graver ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Obstacle {
    /// The provider deleted the account.
    AccountDeleted,
    /// The provider disabled the account.
    AccountDisabled,
    /// The provider suspended the account, until a person settles it with them.
    AccountSuspended,
    /// The business took our app's rights to the account back.
    AppRemoved,
    /// Its secrets cannot be read.
    CredentialsUnreadable,
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
    /// Meta did not get the answer that it wants from our webhook.
    WebhookUnverified,
    /// Meta does not let our app hear of the account.
    SubscriptionRefused,
    /// The number has another PIN, of two-step verification.
    PinMismatch,
    /// Wrong PINs were tried too often: Meta takes none for a while.
    PinBlocked,
    /// The number was not verified at Meta.
    NumberUnverified,
    /// The number was registered too often: Meta takes it again after 72 hours.
    RegistrationLimited,
    /// Meta refuses to register the number, for another reason.
    RegistrationRefused,
    /// The gateway's address is none that may be called.
    AddressRefused,
    /// The gateway does not know the instance, or refuses to speak of it.
    InstanceRefused,
    /// WhatsApp bars the phone's number.
    PhoneBarred,
    /// The phone unlinked the device: a person has to link it again.
    LoggedOut,
    /// The gateway shows no more codes until a person asks for new ones.
    CodeLimit,
    /// The device is not linked now, or has lost its line.
    LinkClosed,
    /// The device is being linked: a person has to act, or wait.
    Linking,
    /// Steps are left before it works, which a job goes for.
    SettingUp,
    /// The provider found fault with the account, and limits it or is about to.
    AccountRestricted,
    /// Customers block and report the number.
    QualityLow,
    /// The token's time is over soon.
    TokenExpiring,
    /// The provider did not answer.
    Unreachable,
    /// Our app may not hear of the account: the number works, and what comes in may not reach us.
    NotSubscribed,
    /// The phone's app does not share what it knows.
    SharingRefused,
    /// The contacts of the phone's app do not come.
    ContactsMissed,
    /// The history of the phone's app does not come.
    HistoryMissed,
}

impl Obstacle {
    /// Those that a check finds, and whose end it finds as well.
    pub const CHECKED: [Self; 16] = [
        Self::AccountSuspended,
        Self::CredentialsUnreadable,
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::PermissionMissing,
        Self::NumberGone,
        Self::AddressRefused,
        Self::InstanceRefused,
        Self::PhoneBarred,
        Self::LoggedOut,
        Self::CodeLimit,
        Self::LinkClosed,
        Self::Linking,
        Self::QualityLow,
        Self::TokenExpiring,
        Self::Unreachable,
    ];

    /// Those of a device's line, of which one at a time is true: the newest word counts.
    pub const OF_LINK: [Self; 5] =
        [Self::PhoneBarred, Self::LoggedOut, Self::CodeLimit, Self::LinkClosed, Self::Linking];

    /// Those that a message finds which is refused or fails, and whose end one finds that comes through.
    pub const SENT: [Self; 4] =
        [Self::NumberUnregistered, Self::Unpaid, Self::SenderBlocked, Self::LinkClosed];

    /// Those that a new token ends, as far as anybody knows.
    pub const OF_TOKEN: [Self; 6] = [
        Self::AppRemoved,
        Self::CredentialsUnreadable,
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::PermissionMissing,
        Self::TokenExpiring,
    ];

    /// Those that the way of a number to us leaves: what is written down of that is what is true.
    pub const OF_SETUP: [Self; 12] = [
        Self::WebhookUnverified,
        Self::SubscriptionRefused,
        Self::PinMismatch,
        Self::PinBlocked,
        Self::NumberUnverified,
        Self::RegistrationLimited,
        Self::RegistrationRefused,
        Self::SettingUp,
        Self::NotSubscribed,
        Self::SharingRefused,
        Self::ContactsMissed,
        Self::HistoryMissed,
    ];

    /// Every one, in order.
    pub const ALL: [Self; 35] = [
        Self::AccountDeleted,
        Self::AccountDisabled,
        Self::AccountSuspended,
        Self::AppRemoved,
        Self::CredentialsUnreadable,
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::PermissionMissing,
        Self::NumberGone,
        Self::NumberUnregistered,
        Self::Unpaid,
        Self::SenderBlocked,
        Self::WebhookUnverified,
        Self::SubscriptionRefused,
        Self::PinMismatch,
        Self::PinBlocked,
        Self::NumberUnverified,
        Self::RegistrationLimited,
        Self::RegistrationRefused,
        Self::AddressRefused,
        Self::InstanceRefused,
        Self::PhoneBarred,
        Self::LoggedOut,
        Self::CodeLimit,
        Self::LinkClosed,
        Self::Linking,
        Self::SettingUp,
        Self::AccountRestricted,
        Self::QualityLow,
        Self::TokenExpiring,
        Self::Unreachable,
        Self::NotSubscribed,
        Self::SharingRefused,
        Self::ContactsMissed,
        Self::HistoryMissed,
    ];

    /// How a connection stands with it in its way.
    pub fn state(self) -> ConnectionState {
        match self {
            Self::Linking | Self::SettingUp => ConnectionState::Connecting,
            Self::AccountRestricted
            | Self::QualityLow
            | Self::TokenExpiring
            | Self::Unreachable
            | Self::NotSubscribed
            | Self::SharingRefused => ConnectionState::Degraded,
            // Nothing suffers from it.
            Self::ContactsMissed | Self::HistoryMissed => ConnectionState::Connected,
            _ => ConnectionState::Down,
        }
    }

    /// Whether no call with the connection's token can succeed: none is made.
    pub fn forbids_calls(self) -> bool {
        matches!(self, Self::TokenExpired | Self::TokenInvalid)
    }

    /// Whether it is about the end of a token, which people are told of.
    pub fn ends_token(self) -> bool {
        matches!(self, Self::TokenExpiring | Self::TokenExpired | Self::TokenInvalid)
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountDeleted => "account_deleted",
            Self::AccountDisabled => "account_disabled",
            Self::AccountSuspended => "account_suspended",
            Self::AppRemoved => "app_removed",
            Self::CredentialsUnreadable => "credentials_unreadable",
            Self::TokenExpired => "token_expired",
            Self::TokenInvalid => "token_invalid",
            Self::PermissionMissing => "permission_missing",
            Self::NumberGone => "number_gone",
            Self::NumberUnregistered => "number_unregistered",
            Self::Unpaid => "unpaid",
            Self::SenderBlocked => "sender_blocked",
            Self::WebhookUnverified => "webhook_unverified",
            Self::SubscriptionRefused => "subscription_refused",
            Self::PinMismatch => "pin_mismatch",
            Self::PinBlocked => "pin_blocked",
            Self::NumberUnverified => "number_unverified",
            Self::RegistrationLimited => "registration_limited",
            Self::RegistrationRefused => "registration_refused",
            Self::AddressRefused => "address_refused",
            Self::InstanceRefused => "instance_refused",
            Self::PhoneBarred => "phone_barred",
            Self::LoggedOut => "logged_out",
            Self::CodeLimit => "code_limit",
            Self::LinkClosed => "link_closed",
            Self::Linking => "linking",
            Self::SettingUp => "setting_up",
            Self::AccountRestricted => "account_restricted",
            Self::QualityLow => "quality_low",
            Self::TokenExpiring => "token_expiring",
            Self::Unreachable => "unreachable",
            Self::NotSubscribed => "not_subscribed",
            Self::SharingRefused => "sharing_refused",
            Self::ContactsMissed => "contacts_missed",
            Self::HistoryMissed => "history_missed",
        }
    }
}

/// One thing that stands in a connection's way, as somebody found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub obstacle: Obstacle,
    /// In the provider's words.
    pub detail: Option<String>,
}

impl Finding {
    /// Without the provider's words.
    pub fn bare(obstacle: Obstacle) -> Self {
        Self { obstacle, detail: None }
    }

    /// With the provider's words.
    pub fn told(obstacle: Obstacle, detail: impl Into<String>) -> Self {
        Self { obstacle, detail: Some(detail.into()) }
    }
}

/// A number in its provider's words; what it has not said is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberFacts {
    /// The name that customers see.
    pub verified_name: Option<String>,
    /// The number as people write it.
    pub display_phone_number: Option<String>,
    /// How customers take the number: `GREEN`, `YELLOW`, `RED`, `NA` or `UNKNOWN`.
    pub quality: Option<String>,
    /// `TIER_…`: how many customers may be written to first in 24 hours.
    pub messaging_limit: Option<String>,
    /// `STANDARD` or `HIGH`: how fast it may send.
    pub throughput: Option<String>,
    /// State of the name's review.
    pub name_status: Option<String>,
    /// By which customers find it, besides the number.
    pub username: Option<String>,
}

/// How a connection stands with all of these in its way, and why.
pub fn judge(obstacles: &[Obstacle]) -> (ConnectionState, Option<Obstacle>) {
    match obstacles.iter().min() {
        Some(gravest) => (gravest.state(), Some(*gravest)),
        None => (ConnectionState::Connected, None),
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
        assert_eq!(judge(&[]), (ConnectionState::Connected, None));
        let both = [Obstacle::TokenExpiring, Obstacle::QualityLow];
        assert_eq!(judge(&both), (ConnectionState::Degraded, Some(Obstacle::QualityLow)));
        let linking = [Obstacle::Unreachable, Obstacle::Linking];
        assert_eq!(judge(&linking), (ConnectionState::Connecting, Some(Obstacle::Linking)));
        let worse = [Obstacle::QualityLow, Obstacle::Unpaid, Obstacle::TokenExpired];
        assert_eq!(judge(&worse), (ConnectionState::Down, Some(Obstacle::TokenExpired)));
    }

    #[test]
    fn what_is_graver_stands_first() {
        let works = |it: &Obstacle| match it.state() {
            ConnectionState::Down => 0,
            ConnectionState::Connecting => 1,
            ConnectionState::Degraded => 2,
            ConnectionState::Connected | ConnectionState::Unknown => 3,
        };
        assert!(Obstacle::ALL.is_sorted() && Obstacle::ALL.is_sorted_by_key(works));
        for one in Obstacle::ALL {
            assert_eq!(serde_json::to_value(one).expect("serialises"), one.as_str());
        }
        assert!(Obstacle::OF_LINK.iter().all(|it| Obstacle::CHECKED.contains(it)), "a check sees the line");
    }

    #[test]
    fn limits_are_compared_by_their_size() {
        assert!(is_lower_limit("TIER_10K", "TIER_2K") && is_lower_limit("TIER_UNLIMITED", "TIER_100K"));
        assert!(is_lower_limit("TIER_2K", "TIER_250") && !is_lower_limit("TIER_250", "TIER_2K"));
        assert!(!is_lower_limit("TIER_NEW", "TIER_250") && !is_lower_limit("TIER_2K", "TIER_2K"));
    }
}
