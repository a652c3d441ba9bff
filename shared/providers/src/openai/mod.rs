//! OpenAI: answers ([`Client::chat`]) and embeddings ([`Client::embeddings`]).
//!
//! Calls have no effect on anybody, so that unlike messages they may be repeated whenever the error says `Retry`.

mod client;
mod error;

pub use client::{ChatAnswer, ChatMessage, ChatRequest, Client, Embeddings, Role};
pub use error::{ChatClass, ChatError};
