//! What must hold of everything that reads bytes from strangers, whatever the bytes.
//!
//! Rooms: [`targets`] what is read, and what must hold of it · [`seeds`] where the search begins: the fixtures, and what was
//! found before · [`mutate`] bytes that are nearly right · `events` what must hold of every event, whoever reported it.
//! `src/main.rs` runs a target over files; `src/engine.rs` lets libFuzzer search, guided by coverage (infra/fuzz.sh);
//! `tests/it` runs all of it on the ordinary toolchain, so that no target falls behind the product.
//!
//! A target panics for what must not be. Never in here: randomness, the clock, a network.

mod events;
pub mod mutate;
pub mod seeds;
pub mod targets;

pub use targets::{Shape, TARGETS, Target};

/// The target of a name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
