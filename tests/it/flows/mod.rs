//! What the API promises, answer by answer, and what happens when third parties fail.

mod graph;
mod idempotency;
mod lists;
mod model;
mod problems;
mod writing;
