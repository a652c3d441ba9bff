//! What concerns accounts at providers: so far [`crate::templates`] alone.

use crate::group::Group;

/// The routes of this group.
pub fn router() -> Group {
    Group::new().merge(crate::templates::router())
}
