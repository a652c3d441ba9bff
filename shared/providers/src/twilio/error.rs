//! Twilio's error codes, by what to do about them. (https://www.twilio.com/docs/api/errors)

use domain::health::Obstacle;
use domain::inbound::ProviderFault;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::channel::error::{SendClass, SendError, own_fault};
use crate::lenient::text;

/// The recipient told Twilio that they want no more messages of this sender.
pub const OPTED_OUT: i64 = 21610;

/// The class of a code.
pub fn classify(code: i64, status: StatusCode) -> SendClass {
    match code {
        // Never processed, or the sender's queue is full.
        20429 | 21611 => SendClass::Retry,
        OPTED_OUT => SendClass::OptedOut,
        20003 => SendClass::Reauthorise,
        // The sender or the account: not SMS-capable, no rights for the country, trial, suspended, unregistered, daily cap.
        21408 | 21606 | 21608 | 21659 | 21660 | 30002 | 30034 | 63038 => SendClass::SenderBlocked,
        _ if status == StatusCode::TOO_MANY_REQUESTS => SendClass::Retry,
        _ if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN => SendClass::Reauthorise,
        // It may have been processed: there is no idempotency key to find out.
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => SendClass::Unknown,
        // The recipient (21211, 21612, 21614) and the content (21602, 21617) are wrong, as is what nobody documented.
        _ => SendClass::Rejected,
    }
}

/// What a refusal says of the account or the sender.
pub(super) fn obstacle(error: &SendError) -> Option<Obstacle> {
    match error {
        SendError::Reauthorise(_) => Some(Obstacle::TokenInvalid),
        SendError::SenderBlocked(fault) => match fault.code.as_str() {
            "30002" => Some(Obstacle::AccountSuspended),
            "21606" | "21659" | "21660" | "30034" => Some(Obstacle::NumberUnregistered),
            "63038" => Some(Obstacle::SenderBlocked),
            // About this recipient or their country: the sender itself is well.
            _ => None,
        },
        _ => None,
    }
}

/// An answer that is not a success.
pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> SendError {
    let after = headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let after = after.map(std::time::Duration::from_secs);
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    match text(&error, "code").and_then(|code| code.parse().ok()) {
        Some(code) => SendError::new(classify(code, status), after, fault(code, text(&error, "message"))),
        None => {
            let title = format!("HTTP {status} without a Twilio error");
            SendError::new(classify(0, status), after, own_fault("http", &title, None))
        }
    }
}

/// A failure that Twilio reports of a message, as what the same refusal of a call would be.
pub(super) fn told(code: i64, fault: &ProviderFault) -> SendError {
    SendError::new(classify(code, StatusCode::OK), None, fault.clone())
}

/// A code in words; Twilio's own where there are some.
pub(super) fn fault(code: i64, message: Option<String>) -> ProviderFault {
    let known = match code {
        OPTED_OUT => "The recipient opted out of messages of this sender",
        30001 => "The queue overflowed",
        30002 => "The account is suspended",
        30003 => "The handset could not be reached",
        30004 => "The recipient blocks messages",
        30005 => "The handset is unknown",
        30006 => "A landline, or a carrier that cannot be reached",
        30007 => "The carrier filtered the message",
        30008 => "An unknown error of the carrier",
        30019 => "The carrier does not take content of this size",
        30034 => "The sender is not registered with the carriers",
        _ => "The message was not delivered",
    };
    ProviderFault {
        code: code.to_string(),
        title: message.unwrap_or_else(|| known.to_owned()),
        detail: Some(format!("https://www.twilio.com/docs/api/errors/{code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_of_a_refusal_has_its_class() {
        let bad = StatusCode::BAD_REQUEST;
        for (class, codes) in [
            (SendClass::Retry, &[20429, 21611][..]),
            (SendClass::OptedOut, &[21610]),
            (SendClass::Reauthorise, &[20003]),
            (SendClass::SenderBlocked, &[21408, 21606, 21608, 21659, 21660, 30002, 30034, 63038]),
            (SendClass::Rejected, &[21211, 21602, 21612, 21614, 21617, 99_999]),
        ] {
            for code in codes {
                assert_eq!(classify(*code, bad), class, "{code}");
            }
        }
        assert_eq!(classify(0, StatusCode::TOO_MANY_REQUESTS), SendClass::Retry);
        assert_eq!(classify(0, StatusCode::BAD_GATEWAY), SendClass::Unknown);
        assert_eq!(classify(0, StatusCode::UNAUTHORIZED), SendClass::Reauthorise);
    }
}
