//! `/connections/whatsapp-cloud/embedded-signup`: a number comes by Meta's own window.

use app::App;
use app::connections::signup::{self, SignUp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use runtime::http::{ApiError, Caller, Idempotency, IdempotencyHeader, Problem, ValidJson};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ConnectionBody;
use crate::group::{Group, routes};

/// The routes of this file.
pub(super) fn router() -> Group {
    Group::new().routes(routes!(embedded_signup))
}

/// What the browser was given by Meta's window. The code is exchanged within 30 seconds of its making; the rest is a hint,
/// and checked with Meta.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmbeddedSignup {
    /// `authResponse.code` of `FB.login`.
    #[schema(value_type = String, write_only)]
    code: SecretString,
    /// `data.waba_id` of the event `WA_EMBEDDED_SIGNUP`.
    #[schema(example = "100000000000001")]
    waba_id: String,
    /// `data.phone_number_id` of that event. Without one (coexistence, or an account alone) the account's only number is
    /// meant, or the only one that the WhatsApp Business app shares.
    #[schema(example = "100000000000002")]
    phone_number_id: Option<String>,
    /// The PIN of the number's two-step verification, where it has one: six digits.
    #[schema(value_type = Option<String>, write_only, example = "123456")]
    pin: Option<SecretString>,
}

/// Connects the number that a person chose in Meta's window, or gives the connection that it has a new token. Meta is asked
/// for the rest right afterwards: `state` is `connected` when the number works, and `down` with a reason where Meta refuses
/// (`pin_mismatch`, `registration_limited`, `webhook_unverified`, …); `check` goes on from there. After a 502, and after
/// `several_numbers`, the same code may be sent again for an hour.
#[utoipa::path(post, path = "/connections/whatsapp-cloud/embedded-signup", tag = "connections",
    params(IdempotencyHeader), security(("bearer" = [])), request_body = EmbeddedSignup, responses(
    (status = 200, description = "The number was connected already, and has the new token", body = ConnectionBody),
    (status = 201, body = ConnectionBody),
    (status = 409, description = "`embedded_signup_unavailable`, `signup_code_invalid`, `account_not_granted`, \
        `number_not_in_account`, `no_number`, `several_numbers`, or `idempotency_key_reused`", body = Problem),
    (status = 502, description = "Meta does not answer", body = Problem),
))]
async fn embedded_signup(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(asked): ValidJson<EmbeddedSignup>,
) -> Result<(StatusCode, Json<ConnectionBody>), ApiError> {
    let asked = SignUp {
        code: asked.code,
        waba_id: asked.waba_id,
        phone_number_id: asked.phone_number_id,
        pin: asked.pin,
    };
    let done = signup::sign_up(&app, caller.identity(), asked, key.as_ref()).await?;
    let status = if done.made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(ConnectionBody::of(&app, done.connection))))
}
