//! What went wrong with a call to Meta, by what to do about it.

use std::time::Duration;

use domain::inbound::ProviderFault;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::lenient::text;
use super::usage::Usage;
pub(super) use crate::channel::error::own_fault;
pub use crate::channel::error::{SendClass, SendError};

impl SendError {
    /// An answer that is not a success.
    pub(super) fn response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let after = wait(headers);
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &parsed["error"];
        match text(error, "code").and_then(|code| code.parse::<i64>().ok()) {
            Some(code) => {
                let (class, known_wait) = classify(code, error["is_transient"] == true, status);
                Self::new(class, after.or(known_wait), graph_fault(code, error))
            }
            // Not Graph that speaks, but something before it: it knows nothing about the message.
            None => {
                let class = match status.as_u16() {
                    429 => SendClass::Retry,
                    401 | 403 => SendClass::Reauthorise,
                    408 | 500.. => SendClass::Unknown,
                    _ => SendClass::Rejected,
                };
                let title = format!("HTTP {status} without a Graph error");
                Self::new(class, after, own_fault("http", &title, None))
            }
        }
    }

    /// A failure that a webhook tells of, as what the same refusal of a call would be; `None` without a code.
    pub(super) fn told(fault: &ProviderFault) -> Option<Self> {
        let (class, wait) = classify(fault.code.parse().ok()?, false, StatusCode::OK);
        Some(Self::new(class, wait, fault.clone()))
    }
}

/// The class of a code, and the wait that Meta documents for it. The HTTP status of a code differs between Meta's
/// own pages, so that it decides only about codes that nobody documented.
pub fn classify(code: i64, is_transient: bool, status: StatusCode) -> (SendClass, Option<Duration>) {
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    match code {
        // Transient, and rate limits of the number, the app and the account.
        1 | 2 | 131000 | 131016 | 131057 | 133004 => (SendClass::Retry, None),
        4 | 17 | 80007 | 80008 | 130429 => (SendClass::Retry, None),
        // Documented waits; 132069 is a throttled flow without a figure.
        133015 => (SendClass::Retry, minutes(5)),
        134101 => (SendClass::Retry, minutes(10)),
        132069 => (SendClass::Retry, None),
        131056 => (SendClass::PairLimited, None),
        131047 => (SendClass::WindowClosed, None),
        0 | 3 | 10 | 190 | 200..=299 | 131005 => (SendClass::Reauthorise, None),
        368 | 130497 | 131030 | 131031 | 131037 | 131042 | 131045 | 131048 => {
            (SendClass::SenderBlocked, None)
        }
        133000 | 133005 | 133006 | 133008 | 133009 | 133010 => (SendClass::SenderBlocked, None),
        131050 => (SendClass::MarketingStopped, None),
        // The recipient: unreachable, in an experiment. 131049 is a marketing cap of a day or more.
        130472 | 131021 | 131026 | 131049 | 131062 => (SendClass::Rejected, None),
        // The request, including registration attempts (133016, 72 h), usernames and synchronisation.
        33 | 100 | 506 | 131008 | 131009 | 131043 | 131051..=131053 | 131055 => (SendClass::Rejected, None),
        132000 | 132001 | 132005 | 132007 | 132012 | 132015 | 132016 | 132068 => (SendClass::Rejected, None),
        133016 | 134011 | 134100 | 134102 | 135000 | 137000 | 147001..=147005 => (SendClass::Rejected, None),
        2593107..=2593109 => (SendClass::Rejected, None),
        _ if is_transient || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            (SendClass::Retry, None)
        }
        _ => (SendClass::Rejected, None),
    }
}

/// `Retry-After` in seconds, or the time until the allowance is back.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let regained = Usage::from_headers(headers).regain_access;
    asked.map(Duration::from_secs).or_else(|| (!regained.is_zero()).then_some(regained))
}

fn graph_fault(code: i64, error: &Value) -> ProviderFault {
    let title = text(error, "error_user_title").or_else(|| text(error, "message"));
    let detail = text(&error["error_data"], "details").or_else(|| text(error, "error_user_msg"));
    // Meta's support asks for the trace id first.
    let trace = text(error, "fbtrace_id").map(|id| format!("fbtrace_id {id}"));
    ProviderFault {
        code: specific(code, error),
        title: title.unwrap_or_else(|| "no reason given".to_owned()),
        detail: match (detail, trace) {
            (Some(detail), Some(trace)) => Some(format!("{detail} ({trace})")),
            (detail, trace) => detail.or(trace),
        },
    }
}

/// Refusals of a template are code 100 all of them: what is meant stands in the subcode.
fn specific(code: i64, error: &Value) -> String {
    let subcode = text(error, "error_subcode").and_then(|subcode| subcode.parse::<i64>().ok());
    match subcode {
        Some(subcode @ 2_388_000..=2_388_999) if code == 100 => subcode.to_string(),
        _ => code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: i64) -> SendClass {
        classify(code, false, StatusCode::BAD_REQUEST).0
    }

    #[test]
    fn every_documented_code_has_its_class() {
        let table: [(SendClass, &[i64]); 7] = [
            (
                SendClass::Retry,
                &[1, 2, 131000, 131016, 131057, 133004, 4, 17, 80007, 80008, 130429, 133015, 134101, 132069],
            ),
            (SendClass::PairLimited, &[131056]),
            (SendClass::WindowClosed, &[131047]),
            (SendClass::MarketingStopped, &[131050]),
            (SendClass::Reauthorise, &[0, 3, 10, 190, 200, 299, 131005]),
            (
                SendClass::SenderBlocked,
                &[
                    131048, 368, 130497, 131031, 131042, 131045, 133010, 131030, 131037, 133000, 133005,
                    133006, 133008, 133009,
                ],
            ),
            (
                SendClass::Rejected,
                &[
                    131026, 131021, 130472, 131062, 131049, 33, 100, 506, 131043, 131008, 131009, 131051,
                    131052, 131053, 131055, 132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068,
                    134011, 134100, 134102, 135000, 137000, 147001, 147005, 2593107, 2593109, 133016,
                ],
            ),
        ];
        for (expected, codes) in table {
            for code in codes {
                assert_eq!(class(*code), expected, "{code}");
            }
        }
    }

    #[test]
    fn an_unknown_code_is_final_unless_it_says_otherwise() {
        assert_eq!(class(999_999), SendClass::Rejected);
        assert_eq!(classify(999_999, true, StatusCode::BAD_REQUEST).0, SendClass::Retry);
        assert_eq!(classify(999_999, false, StatusCode::TOO_MANY_REQUESTS).0, SendClass::Retry);
        assert_eq!(classify(999_999, false, StatusCode::BAD_GATEWAY).0, SendClass::Retry);
        // A known code is not overruled by the status around it.
        assert_eq!(classify(131047, true, StatusCode::BAD_GATEWAY).0, SendClass::WindowClosed);
    }
}
