//! How many SMS a text is: 3GPP TS 23.038 (alphabets) and TS 23.040 (concatenation).
//!
//! A text whose characters all stand in the GSM alphabet has 160 septets in one message, 153 in each of several; any other
//! is UCS-2, with 70 and 67 sixteen-bit units. One emoji makes a text of 160 characters three messages.

use serde::{Deserialize, Serialize};

/// How a text is written on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The GSM 7-bit default alphabet.
    Gsm7,
    /// UTF-16, in fact: characters beyond the basic plane take two units.
    Ucs2,
}

/// What a text costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segments {
    /// How it is written.
    pub encoding: Encoding,
    /// How many SMS it is; an empty text is one.
    pub segments: usize,
}

/// The longest text that a provider takes as one message, in characters (Twilio's `Body`).
pub const LONGEST: usize = 1_600;

/// The GSM alphabet without the letters and digits that are ASCII's.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";

/// Its extension: two septets each.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

impl Encoding {
    /// The units of a text that is one message, and of each of several.
    fn capacity(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }

    /// The units of a character; `None` for one that cannot be written so.
    fn units(self, character: char) -> Option<usize> {
        match self {
            Self::Gsm7 if character.is_ascii_alphanumeric() || BASIC.contains(character) => Some(1),
            Self::Gsm7 => EXTENDED.contains(character).then_some(2),
            Self::Ucs2 => Some(character.len_utf16()),
        }
    }
}

/// Counts the SMS of a text.
pub fn segments(text: &str) -> Segments {
    let fits = text.chars().all(|character| Encoding::Gsm7.units(character).is_some());
    let encoding = if fits { Encoding::Gsm7 } else { Encoding::Ucs2 };
    let (alone, each) = encoding.capacity();
    let units = || text.chars().filter_map(|character| encoding.units(character));
    if units().sum::<usize>() <= alone {
        return Segments { encoding, segments: 1 };
    }
    // A character of two units is never torn: what does not fit begins the next message.
    let (mut segments, mut filled) = (1, 0);
    for units in units() {
        if filled + units > each {
            segments += 1;
            filled = 0;
        }
        filled += units;
    }
    Segments { encoding, segments }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> (Encoding, usize) {
        let Segments { encoding, segments } = segments(text);
        (encoding, segments)
    }

    #[test]
    fn known_texts_are_counted_as_networks_count_them() {
        use Encoding::{Gsm7, Ucs2};
        assert_eq!(of(""), (Gsm7, 1));
        assert_eq!(of("Olá!"), (Ucs2, 1), "the alphabet has à, and no á");
        assert_eq!(of("Ola a todos, até já"), (Ucs2, 1));
        assert_eq!(of(&"a".repeat(160)), (Gsm7, 1));
        assert_eq!(of(&"a".repeat(161)), (Gsm7, 2));
        assert_eq!(of(&"a".repeat(306)), (Gsm7, 2));
        assert_eq!(of(&"a".repeat(307)), (Gsm7, 3));
        assert_eq!(of(&"€".repeat(80)), (Gsm7, 1));
        assert_eq!(of(&"€".repeat(81)), (Gsm7, 2));
        // 153 is odd: each message of several has room for 76 of them, and one septet stays empty.
        assert_eq!(of(&"€".repeat(153)), (Gsm7, 3));
        assert_eq!(of(&"á".repeat(70)), (Ucs2, 1));
        assert_eq!(of(&"á".repeat(71)), (Ucs2, 2));
        assert_eq!(of(&"😀".repeat(35)), (Ucs2, 1));
        assert_eq!(of(&"😀".repeat(36)), (Ucs2, 2));
        assert_eq!(of(&"😀".repeat(67)), (Ucs2, 3), "33 in each, and one unit empty");
        assert_eq!(of(&format!("{}😀", "a".repeat(159))), (Ucs2, 3));
    }

    proptest! {
        #[test]
        fn no_message_holds_more_than_it_can(text in "[a-z€^áç😀\n ]{0,700}") {
            let Segments { encoding, segments } = segments(&text);
            let units: usize = text.chars().filter_map(|character| encoding.units(character)).sum();
            let (alone, each) = encoding.capacity();
            prop_assert_eq!(segments == 1, units <= alone);
            if segments > 1 {
                prop_assert!(units <= segments * each);
                // At most one unit is lost at each end.
                prop_assert!(units > (segments - 1) * (each - 1));
            }
        }

        #[test]
        fn a_text_that_goes_on_is_not_cheaper(text in "[a-z€áç😀 ]{0,300}", more in "[a-z€á😀]{0,50}") {
            let longer = format!("{text}{more}");
            prop_assert!(segments(&longer).segments >= segments(&text).segments);
        }

        #[test]
        fn the_alphabet_is_left_for_one_character_alone(text in "[a-zA-Z0-9@£$¥èéùìòÇ€]{0,300}") {
            prop_assert_eq!(segments(&text).encoding, Encoding::Gsm7);
            let other = format!("{text}ã");
            prop_assert_eq!(segments(&other).encoding, Encoding::Ucs2);
        }
    }
}
