//! Contacts out of rows: which column is what, what a cell has to be, and whose a row is.

mod columns;
mod custom;
mod roster;
mod rows;

pub use columns::{Field, suggest};
pub use custom::CustomField;
pub use roster::{Counts, Draft, Roster, Values};
pub use rows::{Row, RowError, Rows};
