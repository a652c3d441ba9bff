//! Telephone numbers, as people type them and as WhatsApp has them.

use domain::phone::{canonical_from_wa_id, match_key, parse, read_canonical, wa_id_candidates};

use crate::seeds::{self, Seed};

/// Where numbers without a country code may be read.
const REGIONS: [&str; 6] = ["BR", "US", "MX", "AR", "", "ZZ"];

/// A number, behind a byte that says in which country it is read.
pub(super) fn number(input: &[u8]) {
    let Some((region, number)) = input.split_first() else { return };
    let (region, number) = (REGIONS[usize::from(*region) % REGIONS.len()], String::from_utf8_lossy(number));
    let key = match_key(&number);
    let candidates = wa_id_candidates(&number);
    assert!(!candidates.is_empty(), "a number without an id");
    if let Some(canonical) = canonical_from_wa_id(&number) {
        hold(&canonical);
        assert_eq!(match_key(&key), key, "the key of a key");
        for candidate in candidates {
            assert_eq!(match_key(&candidate), key, "an id of another customer");
        }
        assert_eq!(match_key(&canonical), key, "a number of another customer");
    }
    let parsed = parse(&number, region);
    if let Ok(phone) = &parsed {
        assert!(phone.e164.starts_with('+') && phone.e164[1..].bytes().all(|byte| byte.is_ascii_digit()));
        assert!(!phone.valid || phone.possible, "valid, and not possible");
    }
    let read = read_canonical(&number, region);
    let Ok(canonical) = read else { return };
    hold(&canonical);
    assert_eq!(read_canonical(&canonical, region).as_ref(), Ok(&canonical), "what is stored is read again");
    assert_eq!(read_canonical(&canonical, "").as_ref(), Ok(&canonical), "wherever it is read");
    // Some are told without libphonenumber: it has to agree.
    let parsed = parsed.expect("what is read is a number");
    assert_eq!(parsed.canonical(), canonical, "two readings of {number:?}");
}

fn hold(canonical: &str) {
    let digits = canonical.strip_prefix('+').expect("it begins with +");
    assert!(
        (5..=17).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()),
        "{canonical}"
    );
    assert_eq!(canonical_from_wa_id(canonical).as_deref(), Some(canonical), "canonical of what is canonical");
}

pub(super) fn seeds() -> Vec<Seed> {
    let vectors = seeds::json_of("tests/fixtures/phone/vectors.json");
    let groups = vectors.as_object().expect("there are groups").iter();
    let texts = groups.flat_map(|(group, vectors)| {
        let vectors = vectors.as_array().map_or(&[][..], Vec::as_slice);
        vectors.iter().enumerate().filter_map(move |(number, vector)| {
            let text = ["input", "wa_id", "e164"].iter().find_map(|name| vector[*name].as_str())?;
            let region = vector["default_region"].as_str().unwrap_or("BR");
            let region = REGIONS.iter().position(|known| *known == region).unwrap_or_default();
            let region = u8::try_from(region).expect("there are few");
            Some((format!("{group}_{number}"), [&[region], text.as_bytes()].concat()))
        })
    });
    texts.collect()
}
