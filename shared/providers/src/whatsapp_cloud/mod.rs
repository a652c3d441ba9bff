//! Meta's WhatsApp Cloud API, Graph v23.0.
//!
//! In: [`signature`] is it Meta who calls · [`webhook`] one body into single events · [`normalise`] one event into
//! our words. Out: [`channel`] a number as a channel · [`content`] what can be sent · [`limits`] what Meta would refuse ·
//! [`client`] sending · [`media`] files · [`templates`] of an account · [`token`] what it is good for · [`signup`]
//! numbers on their way here · [`condition`] how a number stands · [`usage`] how much of the allowance is gone · [`error`] what went wrong and whether to retry.

pub mod channel;
pub mod client;
mod coexistence;
pub mod condition;
pub mod content;
pub mod error;
pub mod limits;
pub mod media;
pub mod normalise;
pub mod signature;
pub mod signup;
pub mod templates;
pub mod token;
pub mod usage;
pub mod webhook;

mod account;
mod message;
mod raw;

use crate::lenient;

pub use channel::Number;
pub use client::{Accepted, Credentials, NumberInfo, WhatsAppCloud};
pub use content::{MediaKind, MediaSource, OutboundContent, OutboundMedia, OutboundMessage, Recipient};
pub use error::{SendClass, SendError};
