//! UAZapi (uazapiGO v2), a hosted WhatsApp gateway. Its vendor publishes no repository; facts: a copy of its OpenAPI
//! document (github `euventura/uazapi-sdk`), captured webhooks (github `TitoBahe/uazapi-webhook-events-examples`), and
//! public integrations that quote what they receive.
//!
//! In: [`webhook`] is it the gateway who calls, and one call into events · [`normalise`] one event into our words. Out:
//! [`client`] an instance.

pub mod client;
pub mod normalise;
pub mod webhook;

pub use client::Instance;
