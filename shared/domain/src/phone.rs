//! Phone numbers: reading what people type, and reconciling E.164 with the digits that WhatsApp uses.
//!
//! Only [`parse`] consults libphonenumber. Everything about WhatsApp ids is arithmetic on digits, because
//! libphonenumber calls numbers invalid that are alive on WhatsApp: Brazilian mobiles without the ninth digit,
//! Mexican ones with the legacy `1`.

use rlibphonenumber::{PHONE_NUMBER_UTIL, ParseError, PhoneNumberType, Region};

/// A number that somebody typed, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// `+` and digits, exactly as dialled: a Brazilian mobile without its ninth digit stays without it.
    /// Store [`Phone::canonical`].
    pub e164: String,
    /// libphonenumber knows a range that holds this number.
    pub valid: bool,
    /// The length is right for the country, even if the range is unknown.
    pub possible: bool,
    /// Can be a mobile: surely one, or in a country whose mobiles cannot be told from landlines.
    pub mobile: bool,
    /// What the number is used for.
    pub kind: PhoneKind,
    /// ISO 3166 country, upper case.
    pub region: Option<String>,
}

impl Phone {
    /// The form under which a contact is stored: E.164 with Brazil's ninth digit, without Mexico's legacy `1`.
    pub fn canonical(&self) -> String {
        canonical_from_wa_id(&self.e164).unwrap_or_else(|| self.e164.clone())
    }
}

/// What a number is used for, in libphonenumber's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneKind {
    /// A landline.
    FixedLine,
    /// A mobile.
    Mobile,
    /// Either; the country's plan does not tell (United States, Mexico).
    FixedLineOrMobile,
    /// Free for the caller.
    TollFree,
    /// Dear for the caller.
    PremiumRate,
    /// Half and half (`4004`).
    SharedCost,
    /// Voice over IP.
    Voip,
    /// Pager, voice mail, personal and company-wide numbers.
    Other,
    /// No known range.
    Unknown,
}

/// Why something is no phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// There are no digits, or too much else.
    #[error("not a phone number")]
    NotANumber,
    /// No such country code, or a national number without a country to read it in.
    #[error("the country code is unknown or missing")]
    InvalidCountryCode,
    /// Fewer digits than any number of the country has.
    #[error("too few digits for a phone number")]
    TooShort,
    /// More digits than any number of the country has.
    #[error("too many digits for a phone number")]
    TooLong,
}

/// Reads a number as people type it. `default_region` is the ISO 3166 country in which a number without `+` is
/// read (`BR`); empty or unknown means that only international forms are accepted.
///
/// Accepts more than it calls valid: see [`Phone::valid`] and [`Phone::possible`].
///
/// # Errors
/// [`PhoneError`] if the input cannot be a phone number of any country.
pub fn parse(input: &str, default_region: &str) -> Result<Phone, PhoneError> {
    let region = Region::from_code(default_region).ok();
    let number = PHONE_NUMBER_UTIL.parse(input, region).map_err(|error| match error {
        ParseError::InvalidCountryCode => PhoneError::InvalidCountryCode,
        ParseError::NotANumber(_) => PhoneError::NotANumber,
        ParseError::TooShortAfterIdd | ParseError::TooShortNsn => PhoneError::TooShort,
        ParseError::TooLongNsn => PhoneError::TooLong,
    })?;
    let e164 = number.to_string();
    let kind = kind(number.get_type());
    // A Brazilian mobile without its ninth digit has no known range, yet it is a mobile.
    let mobile = matches!(kind, PhoneKind::Mobile | PhoneKind::FixedLineOrMobile)
        || Shape::of(digits_of(&e164)) == Shape::BrazilMobileWithoutNinth;
    let region = number
        .get_region_code()
        .or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code));
    Ok(Phone {
        valid: number.is_valid(),
        possible: number.is_possible_with_reason().is_ok(),
        mobile,
        kind,
        region: region.map(|region| region.to_string()),
        e164,
    })
}

/// Whether this is a country that numbers can be of: ISO 3166, in capitals.
pub fn is_region(code: &str) -> bool {
    PHONE_NUMBER_UTIL.get_supported_regions().any(|region| region.to_string() == code)
}

/// As [`parse`], for a number that has a length of its country: the form under which a contact is stored. Most Brazilian
/// numbers are told by their digits, without libphonenumber: a file may have a million of them.
///
/// # Errors
/// As [`parse`], and [`PhoneError::NotANumber`] for what is no number's length.
pub fn read_canonical(input: &str, default_region: &str) -> Result<String, PhoneError> {
    if let Some(digits) = brazilian(input, default_region) {
        return Ok(format!("+{}", canonical_digits(&digits)));
    }
    let phone = parse(input, default_region)?;
    if !(phone.possible || phone.mobile) {
        return Err(PhoneError::NotANumber);
    }
    // Lengths that are possible somewhere are none of E.164's: 4 digits, or 17.
    let canonical = canonical_from_wa_id(&phone.e164).ok_or(PhoneError::NotANumber)?;
    // libphonenumber takes zeros before numbers that nobody has for prefixes, one each time: one customer would be another
    // one whenever the number is read again.
    let again = || parse(&canonical, "").is_ok_and(|again| again.possible && again.canonical() == canonical);
    if phone.valid || again() { Ok(canonical) } else { Err(PhoneError::NotANumber) }
}

/// The digits of a number that is surely Brazilian, with its country code.
fn brazilian(input: &str, default_region: &str) -> Option<String> {
    let input = input.trim();
    let (international, rest) = match input.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, input),
    };
    let mut digits = String::with_capacity(13);
    for byte in rest.bytes() {
        match byte {
            b'0'..=b'9' if digits.len() < 13 => digits.push(byte.into()),
            b' ' | b'-' | b'(' | b')' | b'.' if !digits.is_empty() || byte == b'(' => {}
            _ => return None,
        }
    }
    let national = match digits.len() {
        12 | 13 if international || default_region == "BR" => digits.strip_prefix("55")?,
        10 | 11 if !international && default_region == "BR" => digits.as_str(),
        _ => return None,
    };
    let has_area = match &national.as_bytes()[..2] {
        [b'1' | b'4' | b'6' | b'8' | b'9', b'1'..=b'9'] => true,
        [b'2', second] => b"12478".contains(second),
        [b'3', second] => b"1234578".contains(second),
        [b'5', second] => b"1345".contains(second),
        [b'7', second] => b"134579".contains(second),
        _ => false,
    };
    let has_shape = match national.len() {
        11 => national.as_bytes()[2] == b'9',
        _ => (b'2'..=b'9').contains(&national.as_bytes()[2]),
    };
    (has_area && has_shape).then(|| format!("55{national}"))
}

fn kind(kind: PhoneNumberType) -> PhoneKind {
    match kind {
        PhoneNumberType::FixedLine => PhoneKind::FixedLine,
        PhoneNumberType::Mobile => PhoneKind::Mobile,
        PhoneNumberType::FixedLineOrMobile => PhoneKind::FixedLineOrMobile,
        PhoneNumberType::TollFree => PhoneKind::TollFree,
        PhoneNumberType::PremiumRate => PhoneKind::PremiumRate,
        PhoneNumberType::SharedCost => PhoneKind::SharedCost,
        PhoneNumberType::VoIP => PhoneKind::Voip,
        PhoneNumberType::Unknown => PhoneKind::Unknown,
        PhoneNumberType::PersonalNumber
        | PhoneNumberType::Pager
        | PhoneNumberType::UAN
        | PhoneNumberType::VoiceMail => PhoneKind::Other,
    }
}

/// The canonical E.164 of a WhatsApp id or of an E.164 number (`+` or not): Brazil's ninth digit is put in,
/// Mexico's legacy `1` taken out, Argentina's `9` kept as it is.
///
/// Never asks whether the number is valid: whoever writes on WhatsApp has a number. `None` only for what is no
/// number at all (a business-scoped user id, a group, anything outside 5 to 15 digits).
pub fn canonical_from_wa_id(wa_id: &str) -> Option<String> {
    let digits = digits_of(wa_id);
    let is_number = (5..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    is_number.then(|| format!("+{}", canonical_digits(digits)))
}

/// Two numbers with the same key are presumably one customer: the key forgets the digits that WhatsApp and
/// people put in or leave out (Brazil's ninth, Mexico's `1`, Argentina's `9`). Not a number to send to.
pub fn match_key(e164: &str) -> String {
    let canonical = canonical_digits(digits_of(e164));
    match Shape::of(&canonical) {
        Shape::ArgentinaMobile => format!("54{}", &canonical[3..]),
        Shape::BrazilMobileWithoutNinth
        | Shape::BrazilMobile
        | Shape::MexicoLegacy
        | Shape::Mexico
        | Shape::Other => canonical,
    }
}

/// The WhatsApp ids under which a number may be registered, the likeliest first; digits without `+`.
///
/// Brazilian accounts made before the ninth digit keep an id without it, mostly outside the area codes 11 to 28.
/// A stored `wa_id` is always better than the first candidate.
pub fn wa_id_candidates(e164: &str) -> Vec<String> {
    let canonical = canonical_digits(digits_of(e164));
    match Shape::of(&canonical) {
        Shape::BrazilMobile => brazil_candidates(&canonical),
        Shape::Mexico => vec![format!("521{}", &canonical[2..]), canonical],
        Shape::ArgentinaMobile => {
            let without = format!("54{}", &canonical[3..]);
            vec![canonical, without]
        }
        Shape::BrazilMobileWithoutNinth | Shape::MexicoLegacy | Shape::Other => vec![canonical],
    }
}

/// `with` is a Brazilian mobile of 13 digits.
fn brazil_candidates(with: &str) -> Vec<String> {
    let first_of_eight = with.as_bytes()[5];
    // Below 6 the number without the 9 is somebody's landline.
    if first_of_eight < b'6' {
        return vec![with.to_owned()];
    }
    let without = format!("{}{}", &with[..4], &with[5..]);
    if &with[2..4] < "31" || first_of_eight < b'7' {
        vec![with.to_owned(), without]
    } else {
        vec![without, with.to_owned()]
    }
}

fn digits_of(address: &str) -> &str {
    address.strip_prefix('+').unwrap_or(address)
}

fn canonical_digits(digits: &str) -> String {
    match Shape::of(digits) {
        Shape::BrazilMobileWithoutNinth => format!("{}9{}", &digits[..4], &digits[4..]),
        Shape::MexicoLegacy => format!("52{}", &digits[3..]),
        Shape::BrazilMobile | Shape::Mexico | Shape::ArgentinaMobile | Shape::Other => digits.to_owned(),
    }
}

/// The number shapes about which WhatsApp and the numbering plans disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `55`, area code, 8 digits of which the first is 6 to 9.
    BrazilMobileWithoutNinth,
    /// `55`, area code, `9`, 8 digits.
    BrazilMobile,
    /// `521` and 10 digits.
    MexicoLegacy,
    /// `52` and 10 digits.
    Mexico,
    /// `549` and 10 digits.
    ArgentinaMobile,
    /// No dispute.
    Other,
}

impl Shape {
    fn of(digits: &str) -> Self {
        let bytes = digits.as_bytes();
        if !bytes.iter().all(u8::is_ascii_digit) {
            return Self::Other;
        }
        match (bytes.len(), bytes) {
            (12, [b'5', b'5', b'1'..=b'9', b'1'..=b'9', b'6'..=b'9', ..]) => Self::BrazilMobileWithoutNinth,
            (13, [b'5', b'5', b'1'..=b'9', b'1'..=b'9', b'9', ..]) => Self::BrazilMobile,
            (13, [b'5', b'2', b'1', ..]) => Self::MexicoLegacy,
            (12, [b'5', b'2', ..]) => Self::Mexico,
            (13, [b'5', b'4', b'9', ..]) => Self::ArgentinaMobile,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors(group: &str) -> Vec<Value> {
        let all: Value = serde_json::from_str(include_str!("../../../tests/fixtures/phone/vectors.json"))
            .expect("the vectors are JSON");
        all[group].as_array().expect("each group is an array").clone()
    }

    #[test]
    fn every_parsing_vector_holds() {
        for vector in vectors("parse") {
            let input = vector["input"].as_str().expect("an input");
            let result = parse(input, vector["default_region"].as_str().unwrap_or(""));
            if vector["parses"] == true {
                let phone = result.unwrap_or_else(|error| panic!("{input}: {error}"));
                assert_eq!(phone.e164, vector["e164"], "{input}");
                assert_eq!(phone.valid, vector["is_valid"], "{input}");
                assert_eq!(phone.possible, vector["is_possible"], "{input}");
                assert_eq!(phone.region.as_deref(), vector["region"].as_str(), "{input}");
                let kind = match phone.kind {
                    PhoneKind::FixedLine => "FIXED_LINE",
                    PhoneKind::Mobile => "MOBILE",
                    PhoneKind::FixedLineOrMobile => "FIXED_LINE_OR_MOBILE",
                    PhoneKind::TollFree => "TOLL_FREE",
                    PhoneKind::SharedCost => "SHARED_COST",
                    PhoneKind::Unknown => "UNKNOWN",
                    PhoneKind::PremiumRate | PhoneKind::Voip | PhoneKind::Other => "not in the vectors",
                };
                assert_eq!(kind, vector["type"], "{input}");
            } else {
                let expected = match vector["error_type"].as_str() {
                    Some("NOT_A_NUMBER") => PhoneError::NotANumber,
                    Some("INVALID_COUNTRY_CODE") => PhoneError::InvalidCountryCode,
                    Some("TOO_LONG") => PhoneError::TooLong,
                    other => panic!("{input}: unknown error {other:?}"),
                };
                assert_eq!(result, Err(expected), "{input}");
            }
        }
    }

    proptest::proptest! {
        /// What is told by the digits alone is what libphonenumber would say.
        #[test]
        fn the_short_way_leads_to_the_same_number(
            plus in "(\\+|\\+55|55|\\+ ?55 ?|0|)",
            area in "(\\([1-9][0-9]\\)|[1-9][0-9]|[0-9]{2})",
            rest in "( ?[29][0-9]{3,4}-?[0-9]{4}|[0-9 ]{7,10}|9[0-9]{8})",
            region in proptest::sample::select(vec!["BR", "US", ""]),
        ) {
            let input = format!("{plus}{area}{rest}");
            if let Some(digits) = brazilian(&input, region) {
                let phone = parse(&input, region).unwrap_or_else(|error| panic!("{input}: {error}"));
                proptest::prop_assert_eq!(phone.canonical(), format!("+{}", canonical_digits(&digits)), "{}", input);
                proptest::prop_assert!(phone.possible, "{}", input);
            }
        }
    }

    #[test]
    fn countries_are_those_that_have_numbers() {
        for code in ["BR", "US", "PT"] {
            assert!(is_region(code), "{code}");
        }
        for code in ["XX", "br", "BRA", "", "001"] {
            assert!(!is_region(code), "{code}");
        }
    }

    #[test]
    fn a_number_is_read_for_its_contact() {
        for (input, expected) in [
            ("(62) 99999-0001", Ok("+5562999990001")),
            ("62 9999-0001", Ok("+5562999990001")),
            ("55 62 9999 0001", Ok("+5562999990001")),
            ("+55 (62) 3222-0001", Ok("+556232220001")),
            ("062 99999-0001", Ok("+5562999990001")),
            ("+1 650-555-0123", Ok("+16505550123")),
            ("12345", Err(PhoneError::NotANumber)),
            ("nenhum", Err(PhoneError::NotANumber)),
            // Read again, it would lose a zero.
            ("+550053220050", Err(PhoneError::NotANumber)),
            ("+4900", Err(PhoneError::NotANumber)),
        ] {
            assert_eq!(read_canonical(input, "BR"), expected.map(str::to_owned), "{input}");
        }
    }

    #[test]
    fn every_candidate_vector_holds() {
        for vector in vectors("wa_id_candidates") {
            let number = vector["e164_or_wa"].as_str().expect("a number");
            let expected: Vec<String> =
                serde_json::from_value(vector["candidates_in_order"].clone()).expect("a list");
            assert_eq!(wa_id_candidates(number), expected, "{number}");
        }
    }

    #[test]
    fn every_same_contact_vector_holds() {
        for vector in vectors("same_contact_key") {
            let (a, b) = (vector["a"].as_str().expect("a"), vector["b"].as_str().expect("b"));
            assert_eq!(match_key(a) == match_key(b), vector["same_contact"] == true, "{a} {b}");
        }
    }

    #[test]
    fn a_whatsapp_id_becomes_canonical_and_is_never_refused() {
        for (wa_id, expected) in [
            ("553188880001", Some("+5531988880001")),
            ("5531988880001", Some("+5531988880001")),
            ("553133330001", Some("+553133330001")),
            ("5215512345678", Some("+525512345678")),
            ("5491123456789", Some("+5491123456789")),
            ("541123456789", Some("+541123456789")),
            ("16505550123", Some("+16505550123")),
            ("+16505550123", Some("+16505550123")),
            ("999999999999999", Some("+999999999999999")),
            ("BR.10000000000000000001", None),
            ("", None),
            ("120363043968066561-group", None),
            ("1203630439680665612", None),
        ] {
            assert_eq!(canonical_from_wa_id(wa_id).as_deref(), expected, "{wa_id}");
        }
    }

    #[test]
    fn a_mobile_is_recognised_without_its_ninth_digit() {
        let phone = parse("3188880001", "BR").expect("parses");
        assert!(phone.mobile && !phone.valid);
        assert_eq!(phone.canonical(), "+5531988880001");
        assert!(!parse("(55) 3222-0001", "BR").expect("parses").mobile);
    }

    #[test]
    fn a_landline_is_no_candidate_of_a_mobile() {
        assert_eq!(wa_id_candidates("+5547933330001"), ["5547933330001"]);
        assert_eq!(wa_id_candidates("BR.1"), ["BR.1"]);
    }
}
