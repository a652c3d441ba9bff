//! Webhooks: one Lambda a provider, each behind a function URL. They check that a call is genuine, put what it brings
//! on the inbound queue, and only then answer 200. They never touch PostgreSQL.
//!
//! Rooms: [`meta`] the WhatsApp Cloud API · [`twilio`] SMS · [`gateway`] gateways to WhatsApp.

pub mod gateway;
pub mod meta;
pub mod twilio;

/// A webhook's work is many small, short-lived allocations: a seventh of its processor time with the platform's own
/// allocator. Other functions keep that one: they wait for others most of their time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
