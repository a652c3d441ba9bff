//! What people write into fields: without blanks at its ends, not empty, not too long, and such as a database can hold.

use crate::error::{Error, Result};

/// One line, of up to `longest` characters, that can be shown beside others.
///
/// # Errors
/// `Invalid` for `field`.
pub(crate) fn line(field: &'static str, text: &str, longest: usize) -> Result<String> {
    fitting(field, text, longest, char::is_control)
}

/// Lines of together up to `longest` characters.
///
/// # Errors
/// `Invalid` for `field`.
pub(crate) fn lines(field: &'static str, text: &str, longest: usize) -> Result<String> {
    fitting(field, text, longest, |c| c == '\0')
}

fn fitting(field: &'static str, text: &str, longest: usize, refused: fn(char) -> bool) -> Result<String> {
    let text = text.trim();
    if (1..=longest).contains(&text.chars().count()) && !text.chars().any(refused) {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid(field, format!("1 to {longest} characters")))
    }
}
