//! The sandbox over real HTTP, as the product meets it.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod faults;
mod harness;
mod identity;
mod messages;
mod openai;
mod phone;
mod signup;
mod webhooks;
