//! `/connections`: accounts at providers. [`health`] how they fare · [`crate::templates`] what they may send first.

pub mod health;

use crate::group::Group;

/// The routes of this group.
pub fn router() -> Group {
    Group::new().merge(health::router()).merge(crate::templates::router())
}
