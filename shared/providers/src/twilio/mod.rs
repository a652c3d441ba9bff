//! Twilio's Programmable Messaging: SMS and MMS. Facts: Twilio's OpenAPI document `twilio_api_v2010.json`, the webhook code
//! of its Node SDK 6.2, and the documentation of webhooks and error codes.
//!
//! In: [`signature`] is it Twilio who calls · [`webhook`] one call into events · [`normalise`] one event into our words.
//! Out: [`client`] sending, files, the state of the account · [`error`] its codes, classed.

pub mod client;
pub mod error;
pub mod normalise;
pub mod signature;
pub mod webhook;

pub use client::Sender;
