//! Places in an order, as short texts that sort byte by byte (`COLLATE "C"`): between any two of them, before the first and
//! behind the last there is always room for another one, so that who moves one thing writes one row.
//!
//! A key is a number to the base 62: a head that says how long its integer is, the integer, and a fraction that does not
//! end in `0`. Whoever is put before the first or behind the last gets another integer, which grows with the logarithm;
//! whoever is put between two neighbours again and again gets longer fractions, until the keys are spread anew.

use std::cmp::Ordering;

/// A key longer than this wants [`spread`]. More than a hundred things come between the same two before that.
pub const LONGEST: usize = 32;

/// In the order of their bytes.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const ZERO: u8 = DIGITS[0];
const LAST: u8 = DIGITS[DIGITS.len() - 1];

/// The first key of an order.
const FIRST: &str = "a0";

/// Two texts between which there is no place: one is no key, or they stand the wrong way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no place between what are no keys in their order")]
pub struct NoPlace;

/// A key between two others; `None` is the beginning, or the end.
///
/// # Errors
/// When one of the texts is no key, or `before` is not less than `after`.
pub fn between(before: Option<&str>, after: Option<&str>) -> Result<String, NoPlace> {
    let before = before.map(Key::parse).transpose()?;
    let after = after.map(Key::parse).transpose()?;
    match (before, after) {
        (None, None) => Ok(FIRST.to_owned()),
        (None, Some(after)) => Ok(first_before(after)),
        (Some(before), None) => {
            Ok(next(before.integer).unwrap_or_else(|| join(before.integer, &middle(before.fraction, None))))
        }
        (Some(before), Some(after)) => match before.cmp(&after) {
            Ordering::Less => Ok(middle_of(before, after)),
            Ordering::Equal | Ordering::Greater => Err(NoPlace),
        },
    }
}

/// `count` keys behind `before`, in order, as short as can be and with room between any two.
///
/// # Errors
/// When `before` is no key.
pub fn spread(before: Option<&str>, count: usize) -> Result<Vec<String>, NoPlace> {
    let mut keys: Vec<String> = Vec::with_capacity(count);
    for _ in 0..count {
        let key = between(keys.last().map(String::as_str).or(before), None)?;
        keys.push(key);
    }
    Ok(keys)
}

/// A key in its two parts; ordered as its bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    /// With the head.
    integer: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Key<'a> {
    fn parse(text: &'a str) -> Result<Self, NoPlace> {
        let bytes = text.as_bytes();
        let length = bytes.first().and_then(|head| integer_length(*head)).ok_or(NoPlace)?;
        let (integer, fraction) = bytes.split_at_checked(length).ok_or(NoPlace)?;
        let is_key = bytes.iter().all(u8::is_ascii_alphanumeric)
            && fraction.last() != Some(&ZERO)
            && !(is_smallest(integer) && fraction.is_empty());
        if is_key { Ok(Self { integer, fraction }) } else { Err(NoPlace) }
    }
}

/// How long an integer with this head is: `a` to `z` grow upwards from zero, `Z` to `A` downwards below it.
fn integer_length(head: u8) -> Option<usize> {
    match head {
        b'a'..=b'z' => Some(usize::from(head - b'a') + 2),
        b'A'..=b'Z' => Some(usize::from(b'Z' - head) + 2),
        _ => None,
    }
}

/// Before it there is no integer: it only stands with a fraction.
fn is_smallest(integer: &[u8]) -> bool {
    integer[0] == b'A' && integer[1..].iter().all(|digit| *digit == ZERO)
}

fn first_before(after: Key<'_>) -> String {
    if is_smallest(after.integer) {
        return join(after.integer, &middle(&[], Some(after.fraction)));
    }
    if !after.fraction.is_empty() {
        return text(after.integer.to_vec());
    }
    let integer = previous(after.integer);
    if is_smallest(integer.as_bytes()) { join(integer.as_bytes(), &middle(&[], None)) } else { integer }
}

fn middle_of(before: Key<'_>, after: Key<'_>) -> String {
    if before.integer == after.integer {
        return join(before.integer, &middle(before.fraction, Some(after.fraction)));
    }
    let behind =
        next(before.integer).filter(|integer| Key { integer: integer.as_bytes(), fraction: &[] } < after);
    behind.unwrap_or_else(|| join(before.integer, &middle(before.fraction, None)))
}

/// The shortest fraction between two, about their middle; `None` is one.
fn middle(before: &[u8], after: Option<&[u8]>) -> Vec<u8> {
    let digit = |digits: &[u8], index: usize| digits.get(index).copied().unwrap_or(ZERO);
    if let Some(after) = after {
        let common = (0..after.len()).take_while(|&index| digit(before, index) == after[index]).count();
        if common > 0 {
            let rest = before.get(common..).unwrap_or_default();
            return [&after[..common], &middle(rest, Some(&after[common..]))].concat();
        }
    }
    let low = value(digit(before, 0));
    let high = after.map_or(DIGITS.len(), |after| value(digit(after, 0)));
    if high - low > 1 {
        return vec![DIGITS[(low + high).div_ceil(2)]];
    }
    match after {
        // One digit less than the end is between, as the end has more of them.
        Some(after) if after.len() > 1 => after[..1].to_vec(),
        _ => [&[DIGITS[low]], &*middle(before.get(1..).unwrap_or_default(), None)].concat(),
    }
}

/// The next integer; `None` behind the last.
fn next(integer: &[u8]) -> Option<String> {
    let (head, mut digits) = (integer[0], integer[1..].to_vec());
    let carries = digits.iter().rev().take_while(|digit| **digit == LAST).count();
    let length = digits.len();
    digits[length - carries..].fill(ZERO);
    if carries < length {
        let digit = &mut digits[length - carries - 1];
        *digit = DIGITS[value(*digit) + 1];
        return Some(join(&[head], &digits));
    }
    let head = match head {
        b'z' => return None,
        b'Z' => b'a',
        head => head + 1,
    };
    digits.resize(integer_length(head)? - 1, ZERO);
    Some(join(&[head], &digits))
}

/// The integer before one that is not the smallest.
fn previous(integer: &[u8]) -> String {
    let (head, mut digits) = (integer[0], integer[1..].to_vec());
    let borrows = digits.iter().rev().take_while(|digit| **digit == ZERO).count();
    let length = digits.len();
    digits[length - borrows..].fill(LAST);
    if borrows < length {
        let digit = &mut digits[length - borrows - 1];
        *digit = DIGITS[value(*digit) - 1];
        return join(&[head], &digits);
    }
    let head = if head == b'a' { b'Z' } else { head - 1 };
    digits.resize(integer_length(head).map_or(length, |length| length - 1), LAST);
    join(&[head], &digits)
}

/// What a digit counts.
fn value(digit: u8) -> usize {
    DIGITS.iter().position(|known| *known == digit).unwrap_or_default()
}

fn join(integer: &[u8], rest: &[u8]) -> String {
    text([integer, rest].concat())
}

fn text(bytes: Vec<u8>) -> String {
    bytes.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn put(before: Option<&str>, after: Option<&str>) -> String {
        between(before, after).expect("keys in their order")
    }

    #[test]
    fn there_is_room_at_both_ends_and_between() {
        for (before, after, key) in [
            (None, None, "a0"),
            (Some("a0"), None, "a1"),
            (Some("az"), None, "b00"),
            (Some("b0z"), None, "b10"),
            (Some("bzz"), None, "c000"),
            (Some("Zz"), None, "a0"),
            (Some("Yzz"), None, "Z0"),
            (None, Some("a0"), "Zz"),
            (None, Some("Z0"), "Yzz"),
            (None, Some("b00"), "az"),
            (None, Some("a0V"), "a0"),
            (Some("a0"), Some("a1"), "a0V"),
            (Some("a0"), Some("a2"), "a1"),
            (Some("a0"), Some("a0V"), "a0G"),
            (Some("a0V"), Some("a1"), "a0l"),
            (Some("a0"), Some("a01"), "a00V"),
            (Some("a0z"), Some("a1"), "a0zV"),
            (Some("Zz"), Some("a0"), "ZzV"),
            (Some("a0"), Some("b00"), "a1"),
            (Some("a01"), Some("a02"), "a01V"),
            (Some("a01"), Some("a021"), "a02"),
        ] {
            let made = put(before, after);
            assert_eq!(made, key, "{before:?} {after:?}");
            assert!(before.is_none_or(|before| before < key) && after.is_none_or(|after| key < after));
        }
    }

    #[test]
    fn there_is_room_where_integers_end() {
        let (last, smallest) = (format!("z{}", "z".repeat(26)), format!("A{}", "0".repeat(26)));
        assert_eq!(put(Some(&last), None), format!("{last}V"));
        let second = format!("A{}1", "0".repeat(25));
        let first = put(None, Some(&second));
        assert!(first < second && first.starts_with(&smallest), "{first}");
        let before = put(None, Some(&first));
        assert!(before < first && before.starts_with(&smallest), "{before}");
        assert_eq!(put(Some(&before), Some(&first)).len(), before.len());
    }

    #[test]
    fn what_is_no_key_has_no_place() {
        let smallest = format!("A{}", "0".repeat(26));
        for wrong in ["", "a", "0", "a00", "b0", "a0-", "ação", " a0", &smallest] {
            assert_eq!(between(Some(wrong), None), Err(NoPlace), "{wrong}");
            assert_eq!(between(None, Some(wrong)), Err(NoPlace), "{wrong}");
        }
        assert_eq!(between(Some("a1"), Some("a0")), Err(NoPlace));
        assert_eq!(between(Some("a0"), Some("a0")), Err(NoPlace));
    }

    #[test]
    fn many_behind_each_other_stay_short() {
        let keys = spread(None, 100_000).expect("keys");
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!(keys.iter().all(|key| key.len() <= 4), "{:?}", keys.last());
        let behind = spread(keys.last().map(String::as_str), 3).expect("keys");
        assert!(behind.is_sorted_by(|a, b| a < b) && keys.last() < behind.first());
        let mut first = FIRST.to_owned();
        for _ in 0..100_000 {
            let before = put(None, Some(&first));
            assert!(before < first && before.len() <= 4, "{before}");
            first = before;
        }
    }

    #[test]
    fn a_hundred_come_between_the_same_two_before_keys_are_long() {
        for keep_left in [true, false] {
            let (mut left, mut right) = ("a0".to_owned(), "a1".to_owned());
            for _ in 0..100 {
                let key = put(Some(&left), Some(&right));
                assert!(left < key && key < right && key.len() <= LONGEST, "{left} {key} {right}");
                if keep_left { right = key } else { left = key }
            }
        }
    }

    /// Things in an order, by their keys and as a list.
    struct Things {
        keys: Vec<String>,
        list: Vec<usize>,
        spread: usize,
    }

    impl Things {
        fn new(count: usize) -> Self {
            Self { keys: spread(None, count).expect("keys"), list: (0..count).collect(), spread: 0 }
        }

        fn by_keys(&self) -> Vec<usize> {
            let mut order: Vec<usize> = (0..self.keys.len()).collect();
            order.sort_by(|a, b| self.keys[*a].cmp(&self.keys[*b]));
            order
        }

        /// Moves one as the product does; keys and list must agree afterwards.
        fn move_to(&mut self, thing: usize, after: Option<usize>) {
            let after = after.filter(|after| *after != thing);
            self.list.retain(|other| *other != thing);
            let known = |after| 1 + self.list.iter().position(|it| *it == after).expect("is in the list");
            self.list.insert(after.map_or(0, known), thing);

            let before = after.map(|after| self.keys[after].clone());
            let others = self.keys.iter().enumerate().filter(|(other, _)| *other != thing);
            let behind = others.map(|(_, key)| key).filter(|key| Some(*key) > before.as_ref()).min();
            self.keys[thing] = put(before.as_deref(), behind.map(String::as_str));
            if self.keys[thing].len() > LONGEST {
                let keys = spread(None, self.keys.len()).expect("keys");
                for (thing, key) in self.by_keys().into_iter().zip(keys) {
                    self.keys[thing] = key;
                }
                self.spread += 1;
            }
            assert_eq!(self.by_keys(), self.list);
            assert!(
                self.list.windows(2).all(|pair| self.keys[pair[0]] < self.keys[pair[1]]),
                "{:?}",
                self.keys
            );
            assert!(
                self.keys.iter().all(|key| key.len() <= LONGEST && Key::parse(key).is_ok()),
                "{:?}",
                self.keys
            );
        }
    }

    #[test]
    fn keys_that_grow_are_spread_and_the_order_stays() {
        let mut things = Things::new(5);
        for _ in 0..2_000 {
            let (first, last) = (things.list[0], things.list[4]);
            things.move_to(last, Some(first));
        }
        assert!((5..=20).contains(&things.spread), "{} times", things.spread);
    }

    proptest! {
        #[test]
        fn moves_are_those_of_a_list(
            count in 2..12_usize,
            moves in prop::collection::vec((any::<Index>(), any::<Option<Index>>()), 0..400),
        ) {
            let mut things = Things::new(count);
            for (thing, after) in moves {
                things.move_to(thing.index(count), after.map(|after| after.index(count)));
            }
        }

        #[test]
        fn a_place_is_between_its_neighbours(inserts in prop::collection::vec(any::<Index>(), 1..300)) {
            let mut keys: Vec<String> = Vec::new();
            for insert in inserts {
                let place = insert.index(keys.len() + 1);
                let before = place.checked_sub(1).map(|index| keys[index].as_str());
                let key = put(before, keys.get(place).map(String::as_str));
                prop_assert!(before.is_none_or(|before| before < key.as_str()));
                prop_assert!(keys.get(place).is_none_or(|after| key < *after));
                prop_assert!(Key::parse(&key).is_ok());
                keys.insert(place, key);
            }
        }
    }
}
