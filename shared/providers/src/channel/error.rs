//! How calls of channels fail: one enum for all providers, by what to do about it. Each provider's own codes are classed
//! once, beside its client.

use std::time::Duration;

use domain::inbound::ProviderFault;

use crate::redact;

/// A call that a provider refused, or that did not get through.
///
/// Only [`SendError::Retry`] and [`SendError::PairLimited`] may be tried again as they are: no provider takes an
/// idempotency key, so that repeating an [`SendError::Unknown`] may write to the customer twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Certainly not sent, and the obstacle passes: try again, `after` that long if given.
    #[error("the provider cannot take the call now ({}: {})", fault.code, fault.title)]
    Retry {
        /// How long the provider wants to be left alone, if it said so.
        after: Option<Duration>,
        /// What the provider said.
        fault: ProviderFault,
    },
    /// Too many messages to this one customer: wait 4^attempt seconds, others may go on.
    #[error("too many messages to one customer ({}: {})", _0.code, _0.title)]
    PairLimited(ProviderFault),
    /// The customer has been silent for 24 hours: only templates get through.
    #[error("the 24-hour window is closed ({}: {})", _0.code, _0.title)]
    WindowClosed(ProviderFault),
    /// The credentials or their rights are gone: nothing works until a person connects the account again.
    #[error("the connection is not authorised any more ({}: {})", _0.code, _0.title)]
    Reauthorise(ProviderFault),
    /// The number or account is blocked, unpaid, not registered or not linked: stop sending with it, tell a person.
    #[error("the business number may not send ({}: {})", _0.code, _0.title)]
    SenderBlocked(ProviderFault),
    /// This message will never go through: wrong, unwanted, or to somebody unreachable.
    #[error("the provider refused the call ({}: {})", _0.code, _0.title)]
    Rejected(ProviderFault),
    /// The customer told the provider that they want no more messages: to be written down, and never tried again.
    #[error("the customer opted out ({}: {})", _0.code, _0.title)]
    OptedOut(ProviderFault),
    /// The customer told the provider that they want no more marketing: as above, for messages of that kind.
    #[error("the customer stopped marketing ({}: {})", _0.code, _0.title)]
    MarketingStopped(ProviderFault),
    /// The request went out and no answer came back: it may have been sent. Wait for a status.
    #[error("the outcome of the call is unknown ({}: {})", _0.code, _0.title)]
    Unknown(ProviderFault),
}

/// The kind of a [`SendError`], for decisions and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendClass {
    /// See [`SendError::Retry`].
    Retry,
    /// See [`SendError::PairLimited`].
    PairLimited,
    /// See [`SendError::WindowClosed`].
    WindowClosed,
    /// See [`SendError::Reauthorise`].
    Reauthorise,
    /// See [`SendError::SenderBlocked`].
    SenderBlocked,
    /// See [`SendError::Rejected`].
    Rejected,
    /// See [`SendError::OptedOut`].
    OptedOut,
    /// See [`SendError::MarketingStopped`].
    MarketingStopped,
    /// See [`SendError::Unknown`].
    Unknown,
}

/// What is to be done about a [`SendError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// The same call, later.
    RetryAfter,
    /// Another message, or the same one when the customer has written.
    WaitForWindow,
    /// A person mends the connection, then the message is sent again.
    FixAndResend,
    /// Nothing: this message never goes.
    GiveUp,
    /// Nobody knows whether it went: a status tells, or a person decides.
    Unknown,
}

impl SendClass {
    /// What to do about it.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Retry | Self::PairLimited => Remedy::RetryAfter,
            Self::WindowClosed => Remedy::WaitForWindow,
            Self::Reauthorise | Self::SenderBlocked => Remedy::FixAndResend,
            Self::Rejected | Self::OptedOut | Self::MarketingStopped => Remedy::GiveUp,
            Self::Unknown => Remedy::Unknown,
        }
    }
}

impl SendError {
    /// What it is.
    pub fn class(&self) -> SendClass {
        match self {
            Self::Retry { .. } => SendClass::Retry,
            Self::PairLimited(_) => SendClass::PairLimited,
            Self::WindowClosed(_) => SendClass::WindowClosed,
            Self::Reauthorise(_) => SendClass::Reauthorise,
            Self::SenderBlocked(_) => SendClass::SenderBlocked,
            Self::Rejected(_) => SendClass::Rejected,
            Self::OptedOut(_) => SendClass::OptedOut,
            Self::MarketingStopped(_) => SendClass::MarketingStopped,
            Self::Unknown(_) => SendClass::Unknown,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        self.class().remedy()
    }

    /// Whether the same call may be answered otherwise later. Of a message that says nothing: it may have gone.
    pub fn may_pass(&self) -> bool {
        matches!(self.remedy(), Remedy::RetryAfter | Remedy::Unknown)
    }

    /// What the provider said, or what we say in its place.
    pub fn fault(&self) -> &ProviderFault {
        match self {
            Self::Retry { fault, .. } => fault,
            Self::PairLimited(fault)
            | Self::WindowClosed(fault)
            | Self::Reauthorise(fault)
            | Self::SenderBlocked(fault)
            | Self::Rejected(fault)
            | Self::OptedOut(fault)
            | Self::MarketingStopped(fault)
            | Self::Unknown(fault) => fault,
        }
    }

    pub(crate) fn new(class: SendClass, after: Option<Duration>, fault: ProviderFault) -> Self {
        match class {
            SendClass::Retry => Self::Retry { after, fault },
            SendClass::PairLimited => Self::PairLimited(fault),
            SendClass::WindowClosed => Self::WindowClosed(fault),
            SendClass::Reauthorise => Self::Reauthorise(fault),
            SendClass::SenderBlocked => Self::SenderBlocked(fault),
            SendClass::Rejected => Self::Rejected(fault),
            SendClass::OptedOut => Self::OptedOut(fault),
            SendClass::MarketingStopped => Self::MarketingStopped(fault),
            SendClass::Unknown => Self::Unknown(fault),
        }
    }

    /// A request that got no answer. Only what failed before a connection stood is certainly not sent.
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        let (class, code, title) = if error.is_connect() {
            (SendClass::Retry, "connect", "no connection")
        } else if error.is_builder() {
            (SendClass::Rejected, "request", "the request cannot be built")
        } else if error.is_timeout() {
            (SendClass::Unknown, "timeout", "no answer in time")
        } else {
            (SendClass::Unknown, "connection_lost", "the connection broke before the answer")
        };
        Self::new(class, None, own_fault(code, title, Some(redact::transport(error))))
    }

    /// The customer has no address that the channel could send to.
    pub(crate) fn no_address() -> Self {
        Self::Rejected(own_fault("no_address", "This contact has no address on this channel", None))
    }

    /// The channel does not send this type of content.
    pub(crate) fn unsendable() -> Self {
        Self::Rejected(own_fault("unsendable_type", "This type cannot be sent", None))
    }

    /// A success that cannot be read: sent, but we do not know as what.
    pub(crate) fn unreadable(detail: String) -> Self {
        Self::Unknown(own_fault("unreadable", "the answer cannot be read", Some(detail)))
    }
}

/// A fault in our words, about a call that was not made or not answered.
pub(crate) fn own_fault(code: &str, title: &str, detail: Option<String>) -> ProviderFault {
    ProviderFault { code: code.to_owned(), title: title.to_owned(), detail }
}
