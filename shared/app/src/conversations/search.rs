//! How a question or a tag makes a list short. What few conversations have is looked up first; what many have is met soon
//! by walking the list, and asked of each conversation there. Words that many have each may be together in few, whom nobody
//! would meet soon: these are found by what the words have in common. Each way a page costs the same in a large company.

use std::collections::HashSet;

use db::TenantTx;
use db::conversations::inbox::{Filter, Narrowed};
use db::conversations::search::{self, HASHED, Question, Range};
use domain::{ConversationId, phone};

use crate::error::{Error, Result};

/// So many are few: they are looked up in less than the time that walking past them takes.
const FEW: i64 = 5_000;

/// As [`FEW`], of conversations whose messages are read.
const FEW_TO_READ: i64 = 1_000;

/// The longest question, in characters, and the most words of one.
const QUESTION_CHARS: usize = 200;
const WORDS: usize = 10;

/// The fewest digits that are a part of a number.
const DIGITS: usize = 4;

/// Whose numbers people write without the country.
const REGION: &str = "BR";

/// Narrows a list of conversations down to those that answer `q`, have the filter's tag and its channel; `None` when there
/// are none.
pub(super) async fn narrow(tx: &mut TenantTx, q: Option<&str>, filter: &Filter) -> Result<Option<Narrowed>> {
    let mut narrowed = Narrowed::default();
    if let Some(q) = asked(q)? {
        let Some(found) = find(tx, q).await? else { return Ok(None) };
        narrowed = found;
    }
    if let Some(channel) = &filter.channel {
        // Few or many, the planner knows it of connections.
        let connections = db::connections::list_of_kind(tx, channel).await?;
        if connections.is_empty() {
            return Ok(None);
        }
        narrowed.connections = Some(connections);
    }
    if let Some(tag) = &filter.tag {
        let tag = Range::tag(tag);
        if search::count(tx, &[(tag.clone(), FEW + 1)]).await?.iter().all(|count| *count <= FEW) {
            let tagged = search::find(tx, &[tag]).await?;
            narrowed.ids = Some(match narrowed.ids {
                Some(ids) => {
                    let tagged: HashSet<_> = tagged.into_iter().collect();
                    ids.into_iter().filter(|id| tagged.contains(id)).collect()
                }
                None => tagged,
            });
        }
    }
    Ok(Some(narrowed).filter(|narrowed| narrowed.ids.as_ref().is_none_or(|ids| !ids.is_empty())))
}

/// The words that messages are looked for by, and their conversations when these are few; `None` when there are none.
pub(crate) async fn narrow_messages(
    tx: &mut TenantTx,
    q: &str,
) -> Result<Option<(Vec<String>, Option<Vec<ConversationId>>)>> {
    let mut words = search::read(tx, q).await?.words;
    words.truncate(WORDS);
    let ranges: Vec<_> = words.iter().map(|word| Range::word(word)).collect();
    let counted: Vec<_> = ranges.iter().map(|range| (range.clone(), FEW_TO_READ + 1)).collect();
    let counts = search::count(tx, &counted).await?;
    let Some((rarest, range)) = counts.into_iter().zip(&ranges).min_by_key(|(count, _)| *count) else {
        return Ok(None);
    };
    Ok(match rarest {
        0 => None,
        1..=FEW_TO_READ => {
            let conversations = search::find(tx, std::slice::from_ref(range)).await?;
            Some((words, Some(conversations)))
        }
        _ => Some((words, None)),
    })
}

/// A question that asks nothing is none.
pub(crate) fn asked(q: Option<&str>) -> Result<Option<&str>> {
    match q.map(str::trim).filter(|q| !q.is_empty()) {
        Some(q) if q.chars().count() > QUESTION_CHARS => {
            Err(Error::invalid("q", format!("up to {QUESTION_CHARS} characters")))
        }
        q => Ok(q),
    }
}

async fn find(tx: &mut TenantTx, q: &str) -> Result<Option<Narrowed>> {
    let read = search::read(tx, q).await?;
    let numbers = numbers(q);
    let mut question = Question { words: read.words, names: read.tokens, numbers };
    if !question.numbers.is_empty() {
        question.names.clear();
    }
    question.words.truncate(WORDS);
    question.names.truncate(WORDS);
    if question.is_empty() {
        return Ok(None);
    }
    let words = question.words.iter().map(|word| Range::word(word));
    let names = question.names.iter().map(|name| Range::name(name));
    let numbers = question.numbers.iter().map(|number| Range::number(number));
    // As far as it matters: of one word alone whether many have it, of others and of names whether they can be compared.
    let of_words = if words.len() > 1 { HASHED } else { FEW };
    let all: Vec<_> = words
        .map(|range| (range, of_words + 1))
        .chain(names.map(|range| (range, HASHED + 1)))
        .chain(numbers.map(|range| (range, FEW + 1)))
        .collect();
    let counts = search::count(tx, &all).await?;
    let counted: Vec<_> = counts.into_iter().zip(all.into_iter().map(|(range, _)| range)).collect();
    let (of_words, rest) = counted.split_at(question.words.len());
    let (of_names, of_numbers) = rest.split_at(question.names.len());
    // What nobody has is not asked for.
    let is_somewhere =
        |of: &[(i64, Range)]| of.iter().map(|(count, _)| *count).min().is_some_and(|least| least > 0);
    if !is_somewhere(of_words) {
        question.words.clear();
    }
    if !is_somewhere(of_names) {
        question.names.clear();
    }
    let mut ids = Vec::new();
    // Words must all be there; of numbers each one does.
    let together = [of_words, of_names].into_iter().filter(|of| is_somewhere(of));
    let numbers = of_numbers.iter().filter(|(count, _)| *count > 0).map(std::slice::from_ref);
    for terms in together.chain(numbers) {
        let Some(found) = find_few(tx, terms).await? else {
            let named = of_names.iter().min_by_key(|(count, _)| *count);
            let named =
                named.filter(|(count, _)| (1..=HASHED).contains(count)).map(|(_, range)| range.clone());
            return Ok(Some(Narrowed { question: Some(question), named, ..Narrowed::default() }));
        };
        ids.extend(found);
    }
    if ids.is_empty() {
        return Ok(None);
    }
    ids.sort_unstable();
    ids.dedup();
    // What was not compared is asked of each.
    let is_said = question.words.len() <= 1 && question.names.len() <= 1;
    let question = (!is_said).then_some(question);
    Ok(Some(Narrowed { ids: Some(ids), question, ..Narrowed::default() }))
}

/// The conversations that have all of the terms, and perhaps some that do not; `None` when they are many. Each term comes
/// with how many conversations have it, counted to one more than [`FEW`], where there are several to one more than
/// [`HASHED`].
async fn find_few(tx: &mut TenantTx, terms: &[(i64, Range)]) -> Result<Option<Vec<ConversationId>>> {
    let mut rarest: Vec<_> = terms.iter().collect();
    rarest.sort_by_key(|(count, _)| *count);
    let found = match rarest[..] {
        [(..=FEW, rarest), ..] => search::find(tx, std::slice::from_ref(rarest)).await?,
        // The two say enough: what they leave is few, and asked the rest one by one.
        [(..=HASHED, rarest), (..=HASHED, next), ..] => {
            search::find_in_both(tx, next, rarest, FEW + 1).await?
        }
        _ => return Ok(None),
    };
    Ok(Some(found).filter(|found| found.len() as i64 <= FEW))
}

/// What a text that can only be a number, or a part of one, begins with; also as contacts have it.
fn numbers(q: &str) -> Vec<String> {
    let digits: String = q.chars().filter(char::is_ascii_digit).collect();
    let is_number = q.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
    if !is_number || digits.len() < DIGITS {
        return Vec::new();
    }
    let canonical =
        phone::parse(q, REGION).ok().filter(|phone| phone.possible).map(|phone| phone.canonical());
    let mut numbers = vec![format!("#{digits}")];
    if let Some(canonical) = canonical.filter(|canonical| canonical.trim_start_matches('+') != digits) {
        numbers.push(format!("#{}", canonical.trim_start_matches('+')));
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_words() {
        for (q, expected) in [
            ("4567", vec!["#4567"]),
            ("(62) 9", vec![]),
            ("pedido 4567", vec![]),
            ("+55 62 98123-4567", vec!["#5562981234567"]),
            // Without the ninth digit, and without the country.
            ("62 8123-4567", vec!["#6281234567", "#5562981234567"]),
        ] {
            assert_eq!(numbers(q), expected, "{q}");
        }
    }

    #[test]
    fn what_asks_nothing_is_no_question() {
        assert!(matches!(asked(Some("  ")), Ok(None)));
        assert!(matches!(asked(None), Ok(None)));
        assert!(matches!(asked(Some(" Ana ")), Ok(Some("Ana"))));
        assert!(asked(Some(&"a".repeat(QUESTION_CHARS + 1))).is_err());
    }
}
