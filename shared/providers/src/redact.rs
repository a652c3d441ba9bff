//! Describing transport errors without what they might carry.

use std::error::Error;

/// A transport error and its causes in one line, without the URL: ids and media tokens travel in it.
pub(crate) fn transport(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        line.push_str(": ");
        line.push_str(&inner.to_string());
        cause = inner.source();
    }
    line
}
