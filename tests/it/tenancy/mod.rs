//! Who sees what. The matrices are made from the OpenAPI document: a new route is covered, or missed by name, the day it
//! appears.
//!
//! Rooms: `document` what is known of each route · `strangers` those without credentials · `neighbours` one company
//! before another's things · `roles` who may do what · `catalogue` row-level security as PostgreSQL has it · `queries`
//! every query of the product · `plans` and `lead_plans` that the wall does not keep them from their indexes · `promises` what
//! the threat model names.

mod catalogue;
mod document;
mod lead_plans;
mod neighbours;
mod plans;
mod promises;
mod queries;
mod roles;
mod strangers;

pub(crate) use queries::{cached, rust_files};
