//! Webhooks: one Lambda a provider, each behind a function URL. They check that a call is genuine, put what it brings
//! on the inbound queue, and only then answer 200. They never touch PostgreSQL.
//!
//! Rooms: [`meta`] the WhatsApp Cloud API.

pub mod meta;
