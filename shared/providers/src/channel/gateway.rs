//! What calls of self-hosted gateways have in common. Their addresses are a customer's to give: hand in the client of
//! [`crate::guard::Guard`].

use bytes::Bytes;
use domain::connection::ConnectionState;
use domain::health::{Finding, Obstacle};
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::error::{SendClass, SendError, own_fault};
use crate::guard::{ReadError, read_limited, refusal};
use crate::lenient::text;

/// The largest answer that is read, files aside.
pub(crate) const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Makes a call; the answer as JSON.
pub(crate) async fn call(request: RequestBuilder, largest: usize) -> Result<Value, SendError> {
    let response = request.send().await.map_err(transport)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = match read_limited(response, largest).await {
        Ok(body) => body,
        // The status alone says that the gateway refused, or that nobody knows.
        Err(_) if !status.is_success() => Bytes::new(),
        Err(ReadError::TooLarge) => return Err(SendError::unreadable("the answer is too large".to_owned())),
        Err(ReadError::Interrupted(detail)) => return Err(SendError::unreadable(detail)),
    };
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| SendError::unreadable(error.to_string()));
    }
    Err(refused(status, &headers, &body))
}

/// An address that leads nowhere that may be called stays so until somebody changes it.
fn transport(error: reqwest::Error) -> SendError {
    match refusal(&error) {
        Some(refused) => SendError::Reauthorise(own_fault(ADDRESS_REFUSED, &refused.to_string(), None)),
        None => SendError::transport(error),
    }
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> SendError {
    let after = headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let after = after.map(std::time::Duration::from_secs);
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let (class, code) = classify(status, &answer);
    let title = words(&answer).unwrap_or_else(|| format!("HTTP {status}"));
    SendError::new(class, after, own_fault(&code, &title, None))
}

/// The class of a refusal. Gateways have no codes of their own but for HTTP's, and a number that is not on WhatsApp.
pub(crate) fn classify(status: StatusCode, answer: &Value) -> (SendClass, String) {
    let nobody = answer["response"]["message"]
        .as_array()
        .is_some_and(|numbers| numbers.iter().any(|number| number["exists"] == false));
    if nobody {
        return (SendClass::Rejected, NOT_ON_WHATSAPP.to_owned());
    }
    let class = match status.as_u16() {
        429 => SendClass::Retry,
        401 | 403 => SendClass::Reauthorise,
        // There is no such instance.
        404 => SendClass::SenderBlocked,
        // It may have gone out: there is no idempotency key to find out.
        408 | 500.. => SendClass::Unknown,
        _ => SendClass::Rejected,
    };
    (class, status.as_u16().to_string())
}

/// What a refusal says of an instance.
pub(crate) fn obstacle(error: &SendError) -> Option<Obstacle> {
    match error {
        SendError::Reauthorise(fault) if fault.code == ADDRESS_REFUSED => Some(Obstacle::AddressRefused),
        SendError::Reauthorise(_) => Some(Obstacle::TokenInvalid),
        SendError::SenderBlocked(_) => Some(Obstacle::InstanceRefused),
        _ => None,
    }
}

/// What stands in the way of an instance in this state, for which its gateway has a `word`.
pub(crate) fn finding(state: ConnectionState, word: &str) -> Option<Finding> {
    match state {
        ConnectionState::Connected => None,
        ConnectionState::Connecting => Some(Finding::bare(Obstacle::Linking)),
        ConnectionState::Down => Some(Finding::bare(Obstacle::LinkClosed)),
        ConnectionState::Unknown | ConnectionState::Degraded => {
            Some(Finding::told(Obstacle::Unreachable, word))
        }
    }
}

/// The code of an address that leads nowhere that may be called.
const ADDRESS_REFUSED: &str = "address_refused";

/// The code of a number that nobody on WhatsApp has.
pub(crate) const NOT_ON_WHATSAPP: &str = "not_on_whatsapp";

/// Nobody on WhatsApp has the number.
pub(crate) fn not_on_whatsapp() -> SendError {
    SendError::Rejected(own_fault(NOT_ON_WHATSAPP, "This number is not on WhatsApp", None))
}

/// What the gateway says of it: `{error}`, `{message}` or `{response: {message}}`, a text or a list.
fn words(answer: &Value) -> Option<String> {
    let message = &answer["response"]["message"];
    let listed = || {
        let first = message.as_array()?.first()?;
        first
            .as_str()
            .map(str::to_owned)
            .or_else(|| (first["exists"] == false).then(|| "This number is not on WhatsApp".to_owned()))
    };
    let said = text(&answer["response"], "message").or_else(listed);
    let said = said.or_else(|| text(answer, "message")).or_else(|| text(answer, "error"))?;
    Some(said.chars().take(300).collect())
}

/// A call that changes nothing may be repeated, whatever became of it.
pub(crate) fn harmless(error: SendError) -> SendError {
    match error {
        SendError::Unknown(fault) => SendError::Retry { after: None, fault },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_have_their_classes_and_words() {
        let nobody = json!({ "response": { "message": [{ "exists": false, "number": "5511" }] } });
        for (status, answer, class, code, said) in [
            (400, nobody, SendClass::Rejected, NOT_ON_WHATSAPP, Some("This number is not on WhatsApp")),
            (400, json!({ "response": { "message": ["bad"] } }), SendClass::Rejected, "400", Some("bad")),
            (
                401,
                json!({ "response": { "message": "Unauthorized" } }),
                SendClass::Reauthorise,
                "401",
                Some("Unauthorized"),
            ),
            (404, json!({ "error": "Not Found" }), SendClass::SenderBlocked, "404", Some("Not Found")),
            (
                429,
                json!({ "error": "Rate limit exceeded" }),
                SendClass::Retry,
                "429",
                Some("Rate limit exceeded"),
            ),
            (500, json!({ "message": "boom" }), SendClass::Unknown, "500", Some("boom")),
            (503, Value::Null, SendClass::Unknown, "503", None),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(classify(status, &answer), (class, code.to_owned()), "{status} {answer}");
            assert_eq!(words(&answer).as_deref(), said, "{answer}");
        }
    }
}
