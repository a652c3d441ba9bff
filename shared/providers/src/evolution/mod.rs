//! Evolution API, a WhatsApp gateway that its operator hosts. Facts: github `EvolutionAPI/evolution-api` 2.3.6.
//!
//! In: [`signature`] is it the gateway who calls · [`webhook`] one call into events · [`normalise`] one event into our
//! words · [`message`] what a WhatsApp message holds. Out: [`client`] an instance.

pub mod client;
pub mod message;
pub mod normalise;
pub mod signature;
pub mod webhook;

pub use client::Instance;
