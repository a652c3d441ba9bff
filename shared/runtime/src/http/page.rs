//! Keyset pages: a cursor is the last row's place, so a page costs the same wherever it lies.

use app::{Error, Page, Position};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Rows of a page when the client does not say.
const DEFAULT_LIMIT: i64 = 50;

/// Rows of a page at most.
const LARGEST_LIMIT: i64 = 100;

/// `limit` and `cursor` of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows of a page, 1 to 100; 50 by default.
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The limit, checked.
    ///
    /// # Errors
    /// `Invalid` outside 1 to 100.
    pub fn limit(&self) -> Result<i64, Error> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=LARGEST_LIMIT => Ok(limit),
            _ => Err(Error::invalid("limit", format!("1 to {LARGEST_LIMIT}"))),
        }
    }

    /// The place where the page begins.
    ///
    /// # Errors
    /// `Invalid` for a cursor that we did not make.
    pub fn position(&self) -> Result<Option<Position>, Error> {
        self.cursor.as_deref().map(Cursor::decode).transpose()
    }
}

/// A place in a list, opaque to clients.
#[derive(Clone, Copy, Debug)]
pub struct Cursor;

impl Cursor {
    /// The text form of a position.
    pub fn encode((at, id): Position) -> String {
        let mut bytes = at.timestamp_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// `Invalid` for a text that [`Self::encode`] did not make.
    pub fn decode(text: &str) -> Result<Position, Error> {
        let read = || {
            let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
            let (micros, id) = bytes.split_at(8);
            let at = DateTime::from_timestamp_micros(i64::from_be_bytes(micros.try_into().ok()?))?;
            Some((at, Uuid::from_slice(id).ok()?))
        };
        read().ok_or_else(|| Error::invalid("cursor", "not a cursor of this list"))
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageBody<T> {
    /// The rows.
    pub items: Vec<T>,
    /// `cursor` of the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> PageBody<T> {
    /// Shapes a page for the client.
    pub fn from_page<U>(page: Page<U>, shape: impl Fn(U) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(shape).collect(),
            next_cursor: page.next.map(Cursor::encode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_journey() {
        let at = DateTime::from_timestamp_micros(1_763_700_000_123_456).expect("a time");
        let position = (at, Uuid::from_u128(42));
        assert_eq!(Cursor::decode(&Cursor::encode(position)).expect("reads"), position);
        assert!(Cursor::decode("nada").is_err());
        assert!(Cursor::decode("").is_err());
    }
}
