//! A stand-in for the third parties that the product talks to, over real HTTP.
//!
//! | room | what lives there |
//! |---|---|
//! | [`config`] | what the process is told by its environment |
//! | `server` | the listener; also the only place that can hang up without an answer |
//! | `world` | everything remembered: customers, messages, media, log. In memory, bounded |
//! | `graph` | WhatsApp Cloud API (Graph v23.0): messages, media, numbers, templates |
//! | `webhooks` | bodies as Meta writes them, signed, delivered with retries |
//! | `accounts` | Twilio, Evolution API and UAZapi: sends, states, and webhooks as each proves them |
//! | `openai` | chat completions and embeddings |
//! | `identity` | Google and Facebook where people log in |
//! | `script` | faults that a test orders in advance |
//! | `control` | `/_sandbox/…`: what tests drive and read |
//! | `phone` | the page that is a customer's phone |
//!
//! What must never be here: product crates. A stand-in that shares code with what it tests
//! would share its mistakes too; the wire facts are written down a second time on purpose.

pub mod config;
pub mod number;
pub mod server;

mod accounts;
mod clock;
mod control;
mod graph;
mod identity;
mod openai;
mod phone;
mod script;
mod webhooks;
mod world;

pub use config::{Application, Config, Line};
pub use server::{Running, start};
pub use webhooks::sign::{escape, signature};
