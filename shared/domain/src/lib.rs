//! The words of the product and its pure rules. Every other crate speaks them.
//!
//! Rooms: [`ids`] typed identifiers and the tenant scope · [`phone`] E.164 and WhatsApp addresses · [`contact`] what
//! may be known of a customer · [`segment`] who of them is meant · [`csv`] files of rows · [`import`] contacts out of
//! rows · [`transfer`] where an import or export stands · [`merge`] two that are one person · [`message`] messages and
//! the status lattice · [`sms`] how many a text is · [`media`] files, their types and limits · [`variables`] in texts ·
//! [`template`] texts that Meta approved · [`session`] sessions and who holds them · [`inbound`] what a provider told us, normalised · [`turn`] when a burst of
//! messages is answered · [`board`] stages and what they make of leads · [`fractional_index`] places in an order ·
//! [`money`] amounts and currencies · [`persona`] who the AI is · [`company`] what a company decided · [`connection`] its
//! accounts with providers, and their [`health`] · [`user`] people, roles, permissions · [`job`] work that travels on queues · [`event`] what
//! happened, for whoever listens.
//!
//! Never in here: I/O, async, the clock, randomness, SQL, HTTP, a provider's wire format.

pub mod board;
pub mod company;
pub mod connection;
pub mod contact;
pub mod csv;
pub mod event;
pub mod fractional_index;
pub mod health;
pub mod ids;
pub mod import;
pub mod inbound;
pub mod job;
pub mod media;
pub mod merge;
pub mod message;
pub mod money;
pub mod persona;
pub mod phone;
pub mod segment;
pub mod session;
pub mod sms;
pub mod template;
pub mod transfer;
pub mod turn;
pub mod user;
pub mod variables;

pub use ids::*;
