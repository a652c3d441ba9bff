//! Facebook Login (developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow).

use axum::Json;
use axum::extract::{RawQuery, State};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

use crate::graph::error::GraphError;
use crate::script;
use crate::world::identity::BadCode;

type Shared = State<Arc<Sandbox>>;

/// Seconds that access tokens live: sixty days, less what Facebook spends on it.
const TOKEN_LIFE_S: u32 = 5_183_944;

/// `GET /facebook/dialog/oauth`.
pub(super) async fn dialog(
    State(sandbox): Shared,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    script::run(&sandbox, Target::FacebookDialog, query.as_bytes(), async {
        agreed(&sandbox, &headers, &Asked::read(query.as_bytes())).unwrap_or_else(page::error)
    })
    .await
}

fn agreed(sandbox: &Sandbox, headers: &HeaderMap, asked: &Asked) -> Result<Response, &'static str> {
    if asked.get("client_id") != Some(&sandbox.config.facebook.client_id) {
        return Err("Invalid App ID: The provided app ID does not look like a valid app ID.");
    }
    let cancelled = without(asked, "access_denied")
        .ok_or("URL Blocked: This redirect failed because the redirect URI is no web address.")?;
    if !matches!(asked.get("response_type"), None | Some("code")) {
        return Err("Only response_type=code is known here.");
    }
    let Some(account) = chosen(sandbox, Provider::Facebook, asked) else {
        return Ok(question(sandbox, Provider::Facebook, asked, headers, &cancelled));
    };
    let grant = Grant {
        account,
        redirect_uri: asked.owned("redirect_uri").unwrap_or_default(),
        scope: asked.owned("scope").unwrap_or_default(),
        nonce: None,
        code_challenge: None,
    };
    let code = agree(sandbox, format!("AQD{}", hex::encode(rand::random::<[u8; 100]>())), grant);
    let mut parameters = vec![("code", code.as_str())];
    parameters.extend(asked.get("state").map(|state| ("state", state)));
    Ok(back(asked, &parameters))
}

/// Facebook puts an empty-looking fragment behind every address it sends people back to.
fn back(asked: &Asked, parameters: &[(&str, &str)]) -> Response {
    match asked.back(parameters) {
        Some(mut url) => {
            url.set_fragment(Some("_=_"));
            redirect(&url)
        }
        None => page::error("URL Blocked"),
    }
}

fn without(asked: &Asked, error: &str) -> Option<Url> {
    asked.back(&refusal(asked, error))
}

pub(super) fn send_back_without(asked: &Asked, error: &str) -> Response {
    back(asked, &refusal(asked, error))
}

fn refusal<'a>(asked: &'a Asked, error: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut parameters = vec![("error", error)];
    if error == "access_denied" {
        parameters.extend([
            ("error_code", "200"),
            ("error_description", "Permissions error"),
            ("error_reason", "user_denied"),
        ]);
    }
    parameters.extend(asked.get("state").map(|state| ("state", state)));
    parameters
}

/// `POST /facebook/oauth/access_token`, a form.
pub(super) async fn token(State(sandbox): Shared, form: Bytes) -> Response {
    exchange(&sandbox, &form).await
}

/// The same by GET, as the documentation shows it.
pub(super) async fn token_by_query(State(sandbox): Shared, RawQuery(query): RawQuery) -> Response {
    exchange(&sandbox, query.unwrap_or_default().as_bytes()).await
}

async fn exchange(sandbox: &Arc<Sandbox>, request: &[u8]) -> Response {
    script::run(sandbox, Target::FacebookToken, request, async {
        match redeem(sandbox, &Asked::read(request)) {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await
}

fn redeem(sandbox: &Sandbox, asked: &Asked) -> Result<Value, GraphError> {
    let facebook = &sandbox.config.facebook;
    if asked.get("client_id") != Some(&facebook.client_id) {
        return Err(GraphError::log_in(101, None, "Error validating application. Invalid application ID."));
    }
    if asked.get("client_secret") != Some(&facebook.client_secret) {
        return Err(GraphError::log_in(1, None, "Error validating client secret."));
    }
    let code = asked.get("code").ok_or_else(|| GraphError::parameter("Missing authorization code"))?;
    let mut world = sandbox.world();
    let life_ms = world.settings.identity.code_ms;
    let grant = world.identities.redeem(Provider::Facebook, code, life_ms).map_err(bad_code)?;
    if asked.get("redirect_uri") != Some(&grant.redirect_uri) {
        return Err(GraphError::log_in(
            100,
            Some(36008),
            "Error validating verification code. Please make sure your redirect_uri is identical to the one \
             you used in the OAuth dialog request",
        ));
    }
    let access_token = format!("EAA{}", hex::encode(rand::random::<[u8; 80]>()));
    world.identities.issue_token(access_token.clone(), grant.account);
    Ok(json!({ "access_token": access_token, "token_type": "bearer", "expires_in": TOKEN_LIFE_S }))
}

fn bad_code(bad: BadCode) -> GraphError {
    match bad {
        BadCode::Unknown => GraphError::log_in(100, None, "Invalid verification code format."),
        BadCode::Used => GraphError::log_in(100, Some(36009), "This authorization code has been used."),
        BadCode::Expired => GraphError::log_in(100, Some(36007), "This authorization code has expired."),
    }
}

/// What Graph says where others say this word of OAuth.
pub(super) fn error_named(error: &str) -> GraphError {
    match error {
        "invalid_grant" => bad_code(BadCode::Expired),
        "invalid_client" => GraphError::log_in(1, None, "Error validating client secret."),
        "invalid_token" => GraphError::token(),
        _ => GraphError::of_code(100),
    }
}

/// `GET /facebook/me?fields=…&appsecret_proof=…`, the token in the query or as Bearer.
pub(super) async fn me(State(sandbox): Shared, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    script::run(&sandbox, Target::FacebookMe, query.as_bytes(), async {
        match profile(&sandbox, &headers, &Asked::read(query.as_bytes())) {
            Ok(profile) => Json(profile).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await
}

fn profile(sandbox: &Sandbox, headers: &HeaderMap, asked: &Asked) -> Result<Value, GraphError> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let token = asked.get("access_token").or(bearer).ok_or_else(GraphError::token)?;
    let world = sandbox.world();
    let account = world.identities.bearer(Provider::Facebook, token).ok_or_else(GraphError::token)?;
    match asked.get("appsecret_proof") {
        None => {
            return Err(GraphError::log_in(
                100,
                None,
                "API calls from the server require an appsecret_proof argument",
            ));
        }
        Some(proof) if proof != proof_of(&sandbox.config.facebook.client_secret, token) => {
            return Err(GraphError::log_in(
                100,
                None,
                "Invalid appsecret_proof provided in the API argument",
            ));
        }
        Some(_) => {}
    }
    let mut profile = json!({ "id": account.subject });
    for field in asked.get("fields").unwrap_or("id,name").split(',') {
        match (field.trim(), &account.email) {
            ("name", _) => profile["name"] = json!(account.name),
            ("email", Some(email)) => profile["email"] = json!(email),
            ("id" | "email", _) => {}
            (other, _) => {
                let sentence = format!("Tried accessing nonexisting field ({other}) on node type (User)");
                return Err(GraphError::parameter(sentence));
            }
        }
    }
    Ok(profile)
}

/// HMAC-SHA256 of the token under the app secret, in hex.
fn proof_of(app_secret: &str, token: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(token.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}
