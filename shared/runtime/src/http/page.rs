//! Keyset pages: a cursor is the last row's place, so a page costs the same wherever it lies. A cursor is good in the list
//! that it was made for: a list is named by its path below `/api/v1`.

use app::{Error, Page, Position};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
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

    /// The place in `list` where the page begins.
    ///
    /// # Errors
    /// `Invalid` for a cursor that we did not make for this list.
    pub fn position<K: CursorKey>(&self, list: &str) -> Result<Option<Position<K>>, Error> {
        self.cursor.as_deref().map(|cursor| Cursor::decode(list, cursor)).transpose()
    }
}

/// What rows are ordered by, as it stands in a cursor.
pub trait CursorKey: Sized {
    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads them; `None` for what the database cannot compare with.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl CursorKey for DateTime<Utc> {
    fn to_bytes(&self) -> Vec<u8> {
        self.timestamp_micros().to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let at = Self::from_timestamp_micros(i64::from_be_bytes(bytes.try_into().ok()?))?;
        (1..=9999).contains(&at.year()).then_some(at)
    }
}

impl CursorKey for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok().filter(|text| !text.contains('\0'))
    }
}

/// A place in a list, opaque to clients.
#[derive(Clone, Copy, Debug)]
pub struct Cursor;

impl Cursor {
    /// The text form of a position in `list`.
    pub fn encode<K: CursorKey>(list: &str, (key, id): Position<K>) -> String {
        let bytes = [&tag(list)[..], id.as_bytes(), &key.to_bytes()].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// `Invalid` for a text that [`Self::encode`] did not make for this list.
    pub fn decode<K: CursorKey>(list: &str, text: &str) -> Result<Position<K>, Error> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (shown, place) = bytes.split_at_checked(4)?;
            let (id, key) = place.split_at_checked(16)?;
            let key = K::from_bytes(key).filter(|_| shown == tag(list))?;
            Some((key, Uuid::from_slice(id).ok()?))
        };
        read().ok_or_else(|| Error::invalid("cursor", "not a cursor of this list"))
    }
}

/// What tells the cursors of one list from those of another.
fn tag(list: &str) -> [u8; 4] {
    let hash = Sha256::digest(list.as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
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
    /// Shapes a page of `list` for the client.
    pub fn from_page<U, K: CursorKey>(list: &str, page: Page<U, K>, shape: impl Fn(U) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(shape).collect(),
            next_cursor: page.next.map(|position| Cursor::encode(list, position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever somebody writes in place of a cursor is refused, or is the one text of its place.
        #[test]
        fn a_place_has_one_text(key in prop::collection::vec(any::<u8>(), 0..24), id in any::<u128>(), tail in "[A-Za-z0-9_=-]{0,3}") {
            let bytes = [&tag("contacts")[..], &id.to_be_bytes(), &key].concat();
            for text in [URL_SAFE_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes) + &tail, tail] {
                if let Ok(position) = Cursor::decode::<DateTime<Utc>>("contacts", &text) {
                    prop_assert_eq!(Cursor::encode("contacts", position), text.clone());
                }
                if let Ok(position) = Cursor::decode::<String>("contacts", &text) {
                    prop_assert_eq!(Cursor::encode("contacts", position), text);
                }
            }
        }
    }

    fn read(list: &str, text: &str) -> Option<Position> {
        Cursor::decode(list, text).ok()
    }

    #[test]
    fn a_cursor_survives_the_journey() {
        let at = DateTime::from_timestamp_micros(1_763_700_000_123_456).expect("a time");
        let position = (at, Uuid::from_u128(42));
        let cursor = Cursor::encode("contacts", position);
        assert_eq!(read("contacts", &cursor), Some(position));
        assert_eq!(read("messages", &cursor), None, "of another list");
        for text in ["nada", "", "AAAA", &cursor[..cursor.len() - 2]] {
            assert_eq!(read("contacts", text), None, "{text}");
        }
        let named = ("Ação & Cia".to_owned(), Uuid::from_u128(7));
        let cursor = Cursor::encode("departments", named.clone());
        assert_eq!(Cursor::decode("departments", &cursor).expect("reads"), named);
    }

    #[test]
    fn no_cursor_leads_where_the_database_has_no_time() {
        for years in [-10_000, -4_800, 0, 10_000, 200_000] {
            let at = DateTime::from_timestamp(years * 31_556_952 - 62_167_219_200, 0).expect("a time");
            assert_eq!(read("contacts", &Cursor::encode("contacts", (at, Uuid::nil()))), None, "{at}");
        }
    }

    #[test]
    fn no_cursor_leads_to_what_no_text_holds() {
        let cursor = Cursor::encode("departments", ("a\0".to_owned(), Uuid::nil()));
        assert!(Cursor::decode::<String>("departments", &cursor).is_err());
    }
}
