//! Lists of contacts, newest first.
//!
//! What a GIN index answers, words and tags, is looked for twice: among the newest contacts, where what many have is found
//! at once; and when these do not fill a page, by the index, which then yields few. Neither is dear at a million contacts,
//! and no statistics have to guess which it will be.

use chrono::{DateTime, Utc};
use domain::ContactId;
use uuid::Uuid;

use super::Contact;
use crate::{Result, TenantTx};

/// Which contacts to list; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With all of these in name, username, email or phone.
    pub words: Option<Words>,
    /// With one tag.
    pub tag: Option<String>,
    /// One of these.
    pub ids: Option<Vec<ContactId>>,
    /// From one source.
    pub source: Option<String>,
    /// Who opted out of everything (`true`) or did not (`false`).
    pub opted_out: Option<bool>,
    /// Not made before.
    pub created_from: Option<DateTime<Utc>>,
    /// Made before.
    pub created_to: Option<DateTime<Utc>>,
}

impl Filter {
    /// Whether an index that is made for looking for parts is asked.
    fn is_of_parts(&self) -> bool {
        self.words.is_some() || self.tag.is_some()
    }
}

/// Words to look for: patterns of `LIKE`, the longest first, a line each. They are folded by the database, as what they
/// are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(String);

/// How many of the words the index is asked for; the others are looked for in what it gives.
const INDEXED: usize = 3;

impl Words {
    /// Reads what a person typed; `None` when there is no letter or digit in it. One or two characters are the beginning
    /// of a word, more may stand anywhere.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words: Vec<_> = text.split_whitespace().filter_map(pattern).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
        words.dedup();
        (!words.is_empty()).then(|| Self(words.join("\n")))
    }

    fn count(&self) -> i32 {
        i32::try_from(self.0.lines().take(INDEXED).count()).unwrap_or(i32::MAX)
    }
}

fn pattern(word: &str) -> Option<String> {
    if !word.contains(char::is_alphanumeric) {
        return None;
    }
    let digits: String = word.chars().filter(char::is_ascii_digit).collect();
    let is_number = word.chars().all(|c| c.is_ascii_digit() || "+()-./".contains(c));
    let word = if is_number { digits } else { word.to_owned() };
    let escaped = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    // The index knows texts by three letters in a row, and words by their first one or two.
    let blank = if word.chars().filter(|c| c.is_alphanumeric()).count() < 3 { " " } else { "" };
    Some(format!("%{blank}{escaped}%"))
}

/// How many of the newest contacts are looked at one by one.
const NEWEST: i64 = 5_000;

/// Lists contacts, newest first, after the position `before`. In a transaction for
/// [searches](crate::Db::begin_search).
///
/// # Errors
/// Database errors only.
pub async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Contact>> {
    if !filter.is_of_parts() {
        return list_plain(tx, filter, before, limit).await;
    }
    let found = list_among_newest(tx, filter, before, limit).await?;
    if i64::try_from(found.len()).is_ok_and(|found| found >= limit) {
        return Ok(found);
    }
    list_by_parts(tx, filter, before, limit).await
}

async fn list_plain(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Contact>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Contact,
        r#"SELECT id AS "id: ContactId", name, phone, email, username, source, external_id, bypass_bots, custom, tags,
                  opted_out_at, marketing_opted_out_at, merged_into_id AS "merged_into_id: ContactId", erased_at,
                  created_at
           FROM contacts
           WHERE company_id = $1 AND merged_into_id IS NULL AND erased_at IS NULL
             AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                     coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
             AND ($5::uuid[] IS NULL OR id = ANY($5))
             AND ($6::text IS NULL OR source = $6)
             AND ($7::bool IS NULL OR ($7 AND opted_out_at IS NOT NULL) OR (NOT $7 AND opted_out_at IS NULL))
             AND ($8::timestamptz IS NULL OR created_at >= $8)
             AND ($9::timestamptz IS NULL OR created_at < $9)
           ORDER BY created_at DESC, id DESC LIMIT $4"#,
        company_id.0,
        before_at,
        before_id,
        limit,
        ids(filter) as _,
        filter.source,
        filter.opted_out,
        filter.created_from,
        filter.created_to
    )
    .fetch_all(tx.connection())
    .await?)
}

async fn list_among_newest(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Contact>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Contact,
        r#"SELECT id AS "id!: ContactId", name AS "name!", phone, email, username, source AS "source!", external_id,
                  bypass_bots AS "bypass_bots!", custom AS "custom!", tags AS "tags!", opted_out_at,
                  marketing_opted_out_at, merged_into_id AS "merged_into_id: ContactId", erased_at,
                  created_at AS "created_at!"
           FROM (SELECT * FROM searchable_contacts
                 WHERE company_id = $1
                   AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                           coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                   AND ($8::timestamptz IS NULL OR created_at >= $8)
                   AND ($9::timestamptz IS NULL OR created_at < $9)
                 ORDER BY created_at DESC, id DESC LIMIT $12) AS newest
           WHERE ($5::uuid[] IS NULL OR id = ANY($5))
             AND ($6::text IS NULL OR source = $6)
             AND ($7::bool IS NULL OR ($7 AND opted_out_at IS NOT NULL) OR (NOT $7 AND opted_out_at IS NULL))
             AND ($10::text IS NULL OR tags @> ARRAY[$10])
             AND ($11::text IS NULL OR search LIKE ALL (string_to_array(folded($11), E'\n')))
           ORDER BY created_at DESC, id DESC LIMIT $4"#,
        company_id.0,
        before_at,
        before_id,
        limit,
        ids(filter) as _,
        filter.source,
        filter.opted_out,
        filter.created_from,
        filter.created_to,
        filter.tag,
        filter.words.as_ref().map(|words| words.0.as_str()),
        NEWEST
    )
    .fetch_all(tx.connection())
    .await?)
}

async fn list_by_parts(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Contact>> {
    let company_id = tx.company_id();
    let (before_at, before_id) = before.unzip();
    // OFFSET 0 keeps the order out of the search: the planner would walk all contacts in it, hoping for an early end. Tens
    // of thousands may be found, so that places alone are sorted.
    Ok(sqlx::query_as!(
        Contact,
        r#"SELECT p.id AS "id: ContactId", p.name, p.phone, p.email, p.username, p.source, p.external_id, p.bypass_bots,
                  p.custom, p.tags, p.opted_out_at, p.marketing_opted_out_at,
                  p.merged_into_id AS "merged_into_id: ContactId", p.erased_at, p.created_at
           FROM (SELECT id, created_at
                 FROM (SELECT id, created_at FROM searchable_contacts
                       WHERE company_id = $1
                         AND (created_at, id) < (coalesce($2, 'infinity'::timestamptz),
                                                 coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
                         AND ($5::uuid[] IS NULL OR id = ANY($5))
                         AND ($6::text IS NULL OR source = $6)
                         AND ($7::bool IS NULL OR ($7 AND opted_out_at IS NOT NULL) OR (NOT $7 AND opted_out_at IS NULL))
                         AND ($8::timestamptz IS NULL OR created_at >= $8)
                         AND ($9::timestamptz IS NULL OR created_at < $9)
                         AND ($10::text IS NULL OR (tags @> ARRAY[$10] AND tags <> '{}'))
                         AND ($11::text IS NULL OR search LIKE split_part(folded($11), E'\n', 1))
                         AND ($12::int < 2 OR search LIKE split_part(folded($11), E'\n', 2))
                         AND ($12::int < 3 OR search LIKE split_part(folded($11), E'\n', 3))
                         AND ($11::text IS NULL OR search LIKE ALL (string_to_array(folded($11), E'\n')))
                       OFFSET 0) AS found
                 ORDER BY created_at DESC, id DESC LIMIT $4) AS page
           JOIN contacts p ON p.company_id = $1 AND p.id = page.id
           ORDER BY page.created_at DESC, page.id DESC"#,
        company_id.0,
        before_at,
        before_id,
        limit,
        ids(filter) as _,
        filter.source,
        filter.opted_out,
        filter.created_from,
        filter.created_to,
        filter.tag,
        filter.words.as_ref().map(|words| words.0.as_str()),
        filter.words.as_ref().map_or(0, Words::count)
    )
    .fetch_all(tx.connection())
    .await?)
}

fn ids(filter: &Filter) -> Option<Vec<Uuid>> {
    filter.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_patterns_the_longest_first() {
        for (typed, patterns) in [
            ("Ana", "%Ana%"),
            ("an", "% an%"),
            ("a José", "%José%\n% a%"),
            ("50% de_sconto", "%de\\_sconto%\n% 50\\%%"),
            ("+55(62)9888-0001", "%556298880001%"),
            ("ana.b@x.com - ana", "%ana.b@x.com%\n%ana%"),
        ] {
            assert_eq!(Words::parse(typed), Some(Words(patterns.to_owned())), "{typed}");
        }
        for nothing in ["", "  ", "- @", "👍"] {
            assert_eq!(Words::parse(nothing), None, "{nothing}");
        }
    }
}
