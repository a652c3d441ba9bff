//! Connections: a company's accounts with messaging providers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a connection is to. The stable name is also the channel of its conversations and the provider of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ConnectionKind {
    /// Meta's WhatsApp Cloud API.
    WhatsappCloud,
    /// A linked device of WhatsApp.
    WhatsappWeb,
    /// An instance of an Evolution API gateway.
    Evolution,
    /// An instance of a UAZapi gateway.
    Uazapi,
    /// SMS by Twilio.
    TwilioSms,
    /// Phone calls by Retell.
    Retell,
}

impl ConnectionKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::WhatsappCloud,
        Self::WhatsappWeb,
        Self::Evolution,
        Self::Uazapi,
        Self::TwilioSms,
        Self::Retell,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhatsappCloud => "whatsapp_cloud",
            Self::WhatsappWeb => "whatsapp_web",
            Self::Evolution => "evolution",
            Self::Uazapi => "uazapi",
            Self::TwilioSms => "twilio_sms",
            Self::Retell => "retell",
        }
    }

    /// Whether the business may write freely for 24 hours after the customer did, and only templates after that: a rule of
    /// Meta's Cloud API alone.
    pub fn has_service_window(self) -> bool {
        self == Self::WhatsappCloud
    }

    /// Whether nothing goes to a customer who opted out, until they opt in: a rule of SMS, which Twilio and the carriers keep as
    /// well. Elsewhere people may go on with a conversation.
    pub fn obeys_opt_outs(self) -> bool {
        self == Self::TwilioSms
    }
}

impl fmt::Display for ConnectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a connection stands; see [`crate::health`] for why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ConnectionState {
    /// Nobody said anything yet.
    #[default]
    Unknown,
    /// It is being linked: a person has to act, or wait.
    Connecting,
    /// It works.
    Connected,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Down,
}

impl ConnectionState {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// How a number of WhatsApp gets to the Cloud API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Onboarding {
    /// Somebody registered it, and gave us a token.
    Token,
    /// Embedded Signup: we register it.
    Registration,
    /// Embedded Signup: it stays in the WhatsApp Business app as well, and is never registered.
    Coexistence,
}

/// The text names no kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of connection")]
pub struct UnknownKind;

impl FromStr for ConnectionKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for kind in ConnectionKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("serialises"), kind.as_str());
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("telegram".parse::<ConnectionKind>(), Err(UnknownKind));
    }
}
