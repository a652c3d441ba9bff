//! From what a person types to the id under which WhatsApp knows the account.

/// The digits of a phone number, or nothing when it holds letters or has an impossible length.
#[must_use]
pub fn digits(typed: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_digit() || "+-(). \u{a0}".contains(c);
    if !typed.chars().all(allowed) {
        return None;
    }
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    (8..=15).contains(&digits.len()).then_some(digits)
}

/// The `wa_id` of an account nobody has seen yet.
///
/// Brazil's ninth digit: accounts in area codes from 31 up lost it when the eight digits begin
/// with 7, 8 or 9, the others carry it. There are exceptions both ways, so a `wa_id` that is
/// already known always wins over this rule.
#[must_use]
pub fn wa_id(digits: &str) -> String {
    let Some(national) = digits.strip_prefix("55") else {
        return digits.to_owned();
    };
    if !national.is_ascii() || national.len() < 10 {
        return digits.to_owned();
    }
    let (area, subscriber) = national.split_at(2);
    let dropped_nine = area >= "31";
    match (subscriber.len(), subscriber.as_bytes()) {
        (9, [b'9', b'7'..=b'9', ..]) if dropped_nine => format!("55{area}{}", &subscriber[1..]),
        (8, [b'6'..=b'9', ..]) if !dropped_nine => format!("55{area}9{subscriber}"),
        _ => digits.to_owned(),
    }
}

/// What both spellings of one Brazilian mobile have in common; other numbers are their own key.
#[must_use]
pub fn match_key(digits: &str) -> String {
    let national = digits.strip_prefix("55").unwrap_or_default().as_bytes();
    match national {
        [_, _, b'9', _, rest @ ..] if national.len() == 11 && rest.len() == 7 => {
            format!("55{}{}", &digits[2..4], &digits[5..])
        }
        _ => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ninth_digit_is_dropped_from_area_code_31_up() {
        for (typed, expected) in [
            ("+55 62 98888-0001", "556288880001"),
            ("+5531988880001", "553188880001"),
            ("+5511988880001", "5511988880001"),
            ("+551188880001", "5511988880001"),
            ("+5562968880001", "5562968880001"),
            ("+556232220001", "556232220001"),
            ("+16505550123", "16505550123"),
        ] {
            let digits = digits(typed).expect("a phone number");
            assert_eq!(wa_id(&digits), expected, "{typed}");
        }
    }

    #[test]
    fn both_spellings_of_a_mobile_share_a_key_and_a_landline_does_not() {
        assert_eq!(match_key("5562988880001"), match_key("556288880001"));
        assert_ne!(match_key("5511933330001"), match_key("5511833330001"));
    }

    #[test]
    fn letters_and_impossible_lengths_are_no_number() {
        assert_eq!(digits("abc"), None);
        assert_eq!(digits("190"), None);
        assert_eq!(digits("1234567890123456"), None);
    }
}
