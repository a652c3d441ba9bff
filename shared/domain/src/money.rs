//! Amounts of money: whole minor units (centavos, cents) of a currency.

use std::ops::RangeInclusive;

/// What an amount may be, in minor units. A million of the largest still fit into the database's sums, and every one into
/// the numbers of JavaScript.
pub const VALUE: RangeInclusive<i64> = 0..=999_999_999_999;

/// What an amount is in when nobody says.
pub const DEFAULT_CURRENCY: &str = "BRL";

/// The active alphabetic codes of currencies in ISO 4217, without those of funds, metals and tests; sorted.
const CURRENCIES: [&str; 154] = [
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD", "BIF", "BMD",
    "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC",
    "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL",
    "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR",
    "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP",
    "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK",
    "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR",
    "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE",
    "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD",
    "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED", "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF",
    "XPF", "YER", "ZAR", "ZMW",
];

/// Whether `code` is the code of a currency.
pub fn is_currency(code: &str) -> bool {
    CURRENCIES.binary_search(&code).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_known_by_their_codes() {
        assert!(CURRENCIES.is_sorted_by(|a, b| a < b));
        assert!(
            CURRENCIES.iter().all(|code| code.len() == 3 && code.bytes().all(|c| c.is_ascii_uppercase()))
        );
        for code in [DEFAULT_CURRENCY, "USD", "EUR", "JPY", "PYG", "ARS"] {
            assert!(is_currency(code), "{code}");
        }
        for code in ["", "brl", "R$", "BRLX", "XXX", "XTS", "DEM"] {
            assert!(!is_currency(code), "{code}");
        }
    }
}
