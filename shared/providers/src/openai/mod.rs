//! OpenAI: answers ([`Client::chat`]) and embeddings ([`Client::embeddings`]).
//!
//! Calls have no effect on anybody, so that unlike messages they may be repeated whenever the error says `Retry`.

mod client;
mod error;

pub use client::{
    CHAT_TIMEOUT, ChatAnswer, ChatMessage, ChatRequest, Client, EMBEDDINGS_TIMEOUT, Embeddings, Role,
};
pub use error::{ChatClass, ChatError};
