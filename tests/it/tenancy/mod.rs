//! Who sees what: row-level security as the catalogue of PostgreSQL tells it, and the API before strangers.

mod catalogue;
mod strangers;
