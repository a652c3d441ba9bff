//! Meta's errors: the HTTP form, and the form inside a failed status.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// One error of the Graph API.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    status: StatusCode,
    code: u32,
    subcode: Option<u32>,
    kind: &'static str,
    title: String,
    details: Option<String>,
    transient: bool,
    /// Written without the code before it, as where the object, the token or a log-in is at fault.
    bare: bool,
    /// Title and sentence for people.
    for_people: Option<Box<(String, String)>>,
}

/// Code, HTTP status, title, details: from Meta's error table.
const TABLE: &[(u32, u16, &str, &str)] = &[
    (0, 401, "AuthException", "We were unable to authenticate the app user."),
    (1, 400, "API Unknown", "Invalid request or possible server error."),
    (2, 503, "API Service", "Temporary due to downtime or due to being overloaded."),
    (4, 400, "Application request limit reached", "The app has reached its API call rate limit."),
    (
        10,
        403,
        "Application does not have permission for this action",
        "Permission is either not granted or has been removed.",
    ),
    (100, 400, "Invalid parameter", "The request included one or more unsupported or misspelled parameters."),
    (190, 401, "Error validating access token: Session has expired", ""),
    (
        368,
        403,
        "Temporarily blocked for policies violations",
        "The WhatsApp Business Account has been restricted from messaging.",
    ),
    (80007, 429, "Business request limit reached for WhatsApp Business Account", ""),
    (130_429, 429, "Rate limit hit", "Cloud API message throughput has been reached."),
    (
        130_472,
        400,
        "User's number is part of an experiment",
        "Message was not sent as part of an experiment.",
    ),
    (131_000, 500, "Something went wrong", "Message failed to send due to an unknown error."),
    (131_005, 403, "Access denied", "Permission is either not granted or has been removed."),
    (131_008, 400, "Required parameter is missing", "The request is missing a required parameter."),
    (131_009, 400, "Parameter value is not valid", "One or more parameter values are invalid."),
    (131_016, 503, "Service unavailable", "A service is temporarily unavailable."),
    (131_021, 400, "Recipient cannot be sender", "Sender and recipient phone number is the same."),
    (131_026, 400, "Message undeliverable", "Message Undeliverable."),
    (131_031, 403, "Account has been locked", "The account has been restricted or disabled."),
    (
        131_042,
        400,
        "Business eligibility payment issue",
        "There was an error related to your payment method.",
    ),
    (
        131_047,
        400,
        "Re-engagement message",
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
    ),
    (
        131_048,
        400,
        "Spam rate limit hit",
        "Message failed to send because there are restrictions on how many messages can be sent from this phone number.",
    ),
    (
        131_049,
        400,
        "This message was not delivered to maintain healthy ecosystem engagement.",
        "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
    ),
    (
        131_050,
        400,
        "User has stopped marketing messages",
        "The recipient chose to stop receiving marketing messages from this business.",
    ),
    (131_051, 400, "Unsupported message type", "Unsupported message type."),
    (131_052, 400, "Media download error", "Unable to download the media sent by the user."),
    (131_053, 400, "Media upload error", "Unable to upload the media used in the message."),
    (
        131_056,
        400,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time.",
    ),
    (131_057, 503, "Account in maintenance mode", "Business Account is in maintenance mode."),
    (
        132_000,
        400,
        "Number of parameters does not match the expected number of params",
        "The number of variable parameter values did not match the template.",
    ),
    (
        132_001,
        404,
        "Template name does not exist in the translation",
        "The template does not exist in the specified language.",
    ),
    (132_015, 400, "Template is paused", "Template is paused due to low quality."),
    (132_016, 400, "Template is disabled", "Template has been paused too many times and is now disabled."),
    (
        133_005,
        400,
        "Two step verification PIN Mismatch",
        "The two-step verification PIN provided is incorrect.",
    ),
    (
        133_006,
        400,
        "Phone number re-verification needed",
        "Phone number needs to be verified before registering.",
    ),
    (
        133_008,
        400,
        "Too many two step verification PIN guesses",
        "Too many two-step verification PIN guesses for this phone number.",
    ),
    (
        133_010,
        400,
        "Phone number not registered",
        "Phone number not registered on the WhatsApp Business Platform.",
    ),
    (
        133_015,
        400,
        "Please wait a few minutes before attempting to register this phone number",
        "The phone number was deleted recently, and its deletion is not over.",
    ),
    (
        133_016,
        400,
        "Account register deregister rate limit exceeded",
        "Registration or deregistration failed because there were too many attempts for this phone number in a short period of time.",
    ),
    (2_593_107, 400, "Synchronization request limit exceeded", "This synchronization was requested before."),
    (
        2_593_108,
        400,
        "Synchronization request made outside of the allowed time window",
        "The number came to the platform more than 24 hours ago.",
    ),
];

impl GraphError {
    /// The error of a code, as the table has it. An unknown code is a plain 400.
    pub(crate) fn of_code(code: u32) -> Self {
        let (status, title, details) = TABLE
            .iter()
            .find(|row| row.0 == code)
            .map_or((400, "Unknown error", ""), |row| (row.1, row.2, row.3));
        let subcode = match code {
            190 => Some(463),
            80007 => Some(2_446_079),
            _ => None,
        };
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            code,
            subcode,
            kind: "OAuthException",
            title: title.to_owned(),
            details: (!details.is_empty()).then(|| details.to_owned()),
            transient: matches!(code, 1 | 2 | 80007),
            bare: matches!(code, 190 | 80007),
            for_people: None,
        }
    }

    /// The likeliest error behind an HTTP status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let mut error = Self::of_code(match status.as_u16() {
            401 => 190,
            403 => 131_005,
            404 => 132_001,
            429 => 130_429,
            400..=499 => 100,
            _ => 131_000,
        });
        error.status = status;
        error
    }

    /// The same with other details.
    pub(crate) fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// A parameter that is missing or wrong: code 100 with its own sentence.
    pub(crate) fn parameter(sentence: impl Into<String>) -> Self {
        Self { title: sentence.into(), details: None, ..Self::of_code(100) }
    }

    /// A template that Meta does not take: code 100, a subcode, and words for people.
    pub(crate) fn of_template(subcode: u32, title: &str, sentence: &str) -> Self {
        let mut error = Self::parameter("Invalid parameter");
        (error.subcode, error.for_people) =
            (Some(subcode), Some(Box::new((title.to_owned(), sentence.to_owned()))));
        error
    }

    /// A token that is absent or not ours.
    pub(crate) fn token() -> Self {
        Self {
            title: "Invalid OAuth access token - Cannot parse access token".into(),
            subcode: None,
            ..Self::of_code(190)
        }
    }

    /// An id that does not exist, or not for this token.
    pub(crate) fn unknown_object(method: &str, id: &str) -> Self {
        Self {
            kind: "GraphMethodException",
            subcode: Some(33),
            title: format!(
                "Unsupported {method} request. Object with ID '{id}' does not exist, cannot be \
                 loaded due to missing permissions, or does not support this operation. Please \
                 read the Graph API documentation at https://developers.facebook.com/docs/graph-api"
            ),
            details: None,
            bare: true,
            ..Self::of_code(100)
        }
    }

    /// A log-in that goes wrong: 400, a sentence and no details.
    pub(crate) fn log_in(code: u32, subcode: Option<u32>, sentence: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            subcode,
            title: sentence.to_owned(),
            details: None,
            transient: false,
            bare: true,
            ..Self::of_code(code)
        }
    }

    /// As a failed status carries it.
    pub(crate) fn webhook_form(&self) -> Value {
        json!({
            "code": self.code,
            "title": self.title,
            "message": self.title,
            "error_data": { "details": self.details.as_deref().unwrap_or(&self.title) },
            "href": "/documentation/business-messaging/whatsapp/support/error-codes",
        })
    }

    fn message(&self) -> String {
        if self.bare { self.title.clone() } else { format!("(#{}) {}", self.code, self.title) }
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let trace: [u8; 15] = rand::random();
        let mut error = json!({
            "message": self.message(),
            "type": self.kind,
            "code": self.code,
            "fbtrace_id": format!("A{}", &hex::encode(trace)[..22]),
        });
        if let Some(details) = &self.details {
            error["error_data"] = json!({ "messaging_product": "whatsapp", "details": details });
        }
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if let Some((title, sentence)) = self.for_people.as_deref() {
            error["error_user_title"] = json!(title);
            error["error_user_msg"] = json!(sentence);
        }
        if self.transient {
            error["is_transient"] = json!(true);
        }
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
