//! Boards: what a stage means, what a colour is, and what a step from stage to stage makes of a lead.

use serde::{Deserialize, Serialize};

/// What it means that a lead stands in a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum StageKind {
    /// Somebody works on it.
    #[default]
    Open,
    /// The customer bought.
    Won,
    /// Nothing came of it.
    Lost,
}

/// What happened to a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum LeadChange {
    /// It was made.
    Created,
    /// It went to another place, and means what it meant before.
    Moved,
    /// Its title, owner, contact, or whatever is no money, changed.
    Changed,
    /// Its value or currency changed.
    ValueChanged,
    /// It went to where leads are won.
    Won,
    /// It went to where leads are lost.
    Lost,
    /// It was won or lost, and is worked on again.
    Reopened,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Open, Self::Won, Self::Lost];

    /// What becomes of a lead that goes from a stage of this kind to one of that.
    pub fn step_to(self, to: Self) -> LeadChange {
        match (self, to) {
            (from, to) if from == to => LeadChange::Moved,
            (_, Self::Won) => LeadChange::Won,
            (_, Self::Lost) => LeadChange::Lost,
            (_, Self::Open) => LeadChange::Reopened,
        }
    }

    /// The colour of a stage that was given none.
    pub fn colour(self) -> &'static str {
        match self {
            Self::Open => "#64748b",
            Self::Won => "#16a34a",
            Self::Lost => "#dc2626",
        }
    }
}

/// A colour as `#rrggbb` in small letters; `None` for what is none.
pub fn colour(text: &str) -> Option<String> {
    let digits = text.trim().strip_prefix('#')?;
    let is_colour = digits.len() == 6 && digits.bytes().all(|c| c.is_ascii_hexdigit());
    is_colour.then(|| format!("#{}", digits.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_by_what_it_means() {
        for from in StageKind::ALL {
            assert_eq!(from.step_to(from), LeadChange::Moved);
        }
        assert_eq!(StageKind::Open.step_to(StageKind::Won), LeadChange::Won);
        assert_eq!(StageKind::Won.step_to(StageKind::Lost), LeadChange::Lost);
        assert_eq!(StageKind::Lost.step_to(StageKind::Open), LeadChange::Reopened);
    }

    #[test]
    fn colours_have_one_spelling() {
        assert_eq!(colour(" #1A2b3C "), Some("#1a2b3c".to_owned()));
        for wrong in ["", "#", "1a2b3c", "#1a2b3", "#1a2b3cd", "#1a2b3g", "red"] {
            assert_eq!(colour(wrong), None, "{wrong}");
        }
        for kind in StageKind::ALL {
            assert_eq!(colour(kind.colour()).as_deref(), Some(kind.colour()));
        }
    }
}
