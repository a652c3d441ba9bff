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
    low: String,
    high: String,
}

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

/// How many terms of conversations each range has, but no more than `most`; in the same order.
///
/// # Errors
/// Database errors only.
pub async fn count(tx: &mut TenantTx, ranges: &[Range], most: i64) -> Result<Vec<i64>> {
    let company_id = tx.company_id();
    let (lows, highs) = columns(ranges);
    Ok(sqlx::query_scalar!(
        r#"SELECT (SELECT count(*)
                   FROM (SELECT 1 FROM conversation_terms t
                         WHERE t.company_id = $1 AND t.term >= wanted.low AND t.term < wanted.high LIMIT $4) AS few)
                  AS "count!"
           FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS wanted (low, high, place) ORDER BY place"#,
        company_id.0,
        &lows,
        &highs,
        most
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

/// The conversations with a term in each of the ranges, `most` of them at most, in no order. Every term of every range is
/// read.
///
/// # Errors
/// Database errors only.
pub async fn find_in_all(tx: &mut TenantTx, ranges: &[Range], most: i64) -> Result<Vec<ConversationId>> {
    let company_id = tx.company_id();
    let (lows, highs) = columns(ranges);
    Ok(sqlx::query_scalar!(
        r#"SELECT t.conversation_id AS "id: ConversationId"
           FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS wanted (low, high, place)
           JOIN conversation_terms t ON t.company_id = $1 AND t.term >= wanted.low AND t.term < wanted.high
           GROUP BY t.conversation_id
           HAVING bit_or(1 << (wanted.place - 1)::integer) = (1 << cardinality($2::text[])) - 1
           LIMIT $4"#,
        company_id.0,
        &lows,
        &highs,
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
