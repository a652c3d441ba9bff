//! What conversations are found by: words of their messages, names and numbers of their contacts, tags. Each is a row of
//! `conversation_terms`, which triggers write. A range of terms is an index condition below row-level security, where
//! full text and trigrams are none.

use domain::ConversationId;

use crate::{Result, TenantTx};

/// What somebody looks for. A conversation answers it with all of the words in its messages, with all of the beginnings in its
/// contact's name, or with one of the numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Stems, as messages are found by.
    pub words: Vec<String>,
    /// Folded beginnings of words: letters and digits only.
    pub names: Vec<String>,
    /// Beginnings of terms of a number, with their `#`.
    pub numbers: Vec<String>,
}

/// Terms from `low` to below `high`, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub(super) low: String,
    pub(super) high: String,
}

/// More conversations than this have a term in a [`Range`]: too many for a hash table of them, which is asked row by row.
pub const HASHED: i64 = 50_000;

impl Range {
    /// One word of messages.
    pub fn word(word: &str) -> Self {
        Self::exactly(word.to_owned())
    }

    /// Names with a word that begins so.
    pub fn name(beginning: &str) -> Self {
        Self::beginning(format!("@{beginning}"))
    }

    /// Numbers with a part that begins so; with its `#`.
    pub fn number(beginning: &str) -> Self {
        Self::beginning(beginning.to_owned())
    }

    /// One tag.
    pub fn tag(tag: &str) -> Self {
        Self::exactly(format!("={tag}"))
    }

    fn exactly(term: String) -> Self {
        let high = format!("{term}\u{1}");
        Self { low: term, high }
    }

    fn beginning(term: String) -> Self {
        let high = format!("{term}\u{10ffff}");
        Self { low: term, high }
    }
}

impl Question {
    /// Nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.names.is_empty() && self.numbers.is_empty()
    }

    /// The names as patterns that a folded name matches, all of them.
    pub(super) fn name_patterns(&self) -> Vec<String> {
        self.names.iter().map(|name| format!(r"(^|[^[:alnum:]]){name}")).collect()
    }
}

/// What a text asks for: stems, and the words themselves, folded.
#[derive(Clone, Debug)]
pub struct Read {
    /// Stems, as messages are found by.
    pub words: Vec<String>,
    /// Folded words.
    pub tokens: Vec<String>,
}

/// Reads what somebody typed as messages and names were read.
///
/// # Errors
/// Database errors only.
pub async fn read(tx: &mut TenantTx, text: &str) -> Result<Read> {
    Ok(sqlx::query_as!(
        Read,
        r#"SELECT search_words($1) AS "words!",
                  ARRAY(SELECT DISTINCT left(token, 60) FROM regexp_split_to_table(folded($1), '[^[:alnum:]]+') AS token
                        WHERE token <> '') AS "tokens!""#,
        text
    )
    .fetch_one(tx.connection())
    .await?)
}

/// How many terms of conversations each range has, but no more than stands beside it; in the same order.
///
/// # Errors
/// Database errors only.
pub async fn count(tx: &mut TenantTx, ranges: &[(Range, i64)]) -> Result<Vec<i64>> {
    let company_id = tx.company_id();
    let (ranges, most): (Vec<_>, Vec<_>) = ranges.iter().cloned().unzip();
    let (lows, highs) = columns(&ranges);
    Ok(sqlx::query_scalar!(
        r#"SELECT (SELECT count(*)
                   FROM (SELECT 1 FROM conversation_terms t
                         WHERE t.company_id = $1 AND t.term >= wanted.low AND t.term < wanted.high LIMIT wanted.most)
                         AS few) AS "count!"
           FROM unnest($2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS wanted (low, high, most, place)
           ORDER BY place"#,
        company_id.0,
        &lows,
        &highs,
        &most
    )
    .fetch_all(tx.connection())
    .await?)
}

/// The conversations with a term in one of the ranges, in no order.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, ranges: &[Range]) -> Result<Vec<ConversationId>> {
    let company_id = tx.company_id();
    let (lows, highs) = columns(ranges);
    Ok(sqlx::query_scalar!(
        r#"SELECT DISTINCT t.conversation_id AS "id: ConversationId"
           FROM unnest($2::text[], $3::text[]) AS wanted (low, high)
           JOIN conversation_terms t ON t.company_id = $1 AND t.term >= wanted.low AND t.term < wanted.high"#,
        company_id.0,
        &lows,
        &highs
    )
    .fetch_all(tx.connection())
    .await?)
}

/// The conversations with a term in both ranges, of which `hashed` has [`HASHED`] at most; `most` of them, in no order,
/// some of them twice.
///
/// # Errors
/// Database errors only.
pub async fn find_in_both(
    tx: &mut TenantTx,
    walked: &Range,
    hashed: &Range,
    most: i64,
) -> Result<Vec<ConversationId>> {
    let company_id = tx.company_id();
    // Behind OR the planner makes no join of it, for which it would guess how many terms a range has; and with a limit it
    // knows that they fit into a hash table.
    Ok(sqlx::query_scalar!(
        r#"SELECT t.conversation_id AS "id: ConversationId"
           FROM conversation_terms t
           WHERE t.company_id = $1 AND t.term >= $2 AND t.term < $3
             AND ($6::bigint = 0 OR t.conversation_id IN (SELECT other.conversation_id FROM conversation_terms other
                                                  WHERE other.company_id = $1 AND other.term >= $4 AND other.term < $5
                                                  LIMIT $6))
           LIMIT $7"#,
        company_id.0,
        walked.low,
        walked.high,
        hashed.low,
        hashed.high,
        HASHED,
        most
    )
    .fetch_all(tx.connection())
    .await?)
}

fn columns(ranges: &[Range]) -> (Vec<String>, Vec<String>) {
    ranges.iter().map(|range| (range.low.clone(), range.high.clone())).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_terms_and_no_others() {
        let holds = |range: &Range, term: &str| range.low.as_str() <= term && term < range.high.as_str();
        assert!(holds(&Range::word("ped"), "ped") && !holds(&Range::word("ped"), "pedr"));
        for name in ["@ana", "@anabela", "@anaç"] {
            assert!(holds(&Range::name("ana"), name), "{name}");
        }
        assert!(!holds(&Range::name("ana"), "@an") && !holds(&Range::name("ana"), "ana"));
        assert!(holds(&Range::tag("vip"), "=vip") && !holds(&Range::tag("vip"), "=vip ouro"));
    }
}
