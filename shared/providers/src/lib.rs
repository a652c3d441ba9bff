//! What the outside services say and want to hear, one module a service.
//!
//! Rooms: [`channel`] one way to speak with every messaging provider · [`whatsapp_cloud`] Meta's WhatsApp Cloud API:
//! webhooks in, messages out · [`evolution`] and [`uazapi`] gateways to WhatsApp · [`twilio`] SMS · [`openai`] answers and
//! embeddings · [`oauth`] logging in by Google and Facebook · [`guard`] addresses that customers give, before they are
//! called.
//!
//! Never in here: the database, queues, secrets' storage, the environment, a tenant, or a decision about what to do
//! with an answer. HTTP clients (but for the guard's) and keys are handed in. Every error says whether trying again is
//! safe.

pub mod channel;
pub mod evolution;
pub mod guard;
pub mod oauth;
pub mod openai;
pub mod twilio;
pub mod uazapi;
pub mod whatsapp_cloud;

mod lenient;
mod redact;
