//! Embedded Signup, from the exchange of a code to a number that works
//! (developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup).

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::error::GraphError;
use super::{Shared, numbers};
use crate::script::{self, Target};
use crate::world::signups::BadCode;
use crate::world::{Sandbox, World};

type Node = Path<(String, String)>;

/// What Meta shows of a number, with how far it got.
pub(super) fn shown(world: &World, mut info: Value) -> Value {
    let number = info["id"].as_str().and_then(|id| world.signups.number(id));
    if let Some(number) = number {
        let is_registered = number.registered || number.is_on_biz_app;
        info["platform_type"] = json!(if is_registered { "CLOUD_API" } else { "NOT_APPLICABLE" });
        info["is_on_biz_app"] = json!(number.is_on_biz_app);
        if number.unverified {
            info["code_verification_status"] = json!("NOT_VERIFIED");
        }
    }
    info
}

/// Runs a call under the script `graph.signup`, and counts it.
async fn call(sandbox: &Shared, what: &str, process: impl Future<Output = Response>) -> Response {
    sandbox.world().signups.count(what);
    script::run(&sandbox.0, Target::GraphSignup, what.as_bytes(), process).await
}

/// `POST /oauth/access_token`, a form.
pub(super) async fn token(sandbox: Shared, form: Bytes) -> Response {
    exchange(sandbox, &form).await
}

/// The same by GET, as the documentation shows it.
pub(super) async fn token_by_query(sandbox: Shared, RawQuery(query): RawQuery) -> Response {
    exchange(sandbox, query.unwrap_or_default().as_bytes()).await
}

async fn exchange(sandbox: Shared, request: &[u8]) -> Response {
    let asked: HashMap<String, String> = url::form_urlencoded::parse(request).into_owned().collect();
    let code = asked.get("code").cloned().unwrap_or_default();
    call(&sandbox, &format!("exchange {code}"), async { redeem(&sandbox, &asked).map(Json).into_response() })
        .await
}

fn redeem(sandbox: &Sandbox, asked: &HashMap<String, String>) -> Result<Value, GraphError> {
    let get = |name: &str| asked.get(name).map(String::as_str);
    // The same app as for logging in.
    let app = &sandbox.config.facebook;
    if get("client_id") != Some(&app.client_id) {
        return Err(GraphError::log_in(101, None, "Error validating application. Invalid application ID."));
    }
    if get("client_secret") != Some(&app.client_secret) {
        return Err(GraphError::log_in(1, None, "Error validating client secret."));
    }
    if get("redirect_uri").is_some_and(|uri| !uri.is_empty()) {
        return Err(GraphError::log_in(
            100,
            Some(36008),
            "Error validating verification code. Please make sure your redirect_uri is identical to the one \
             you used in the OAuth dialog request",
        ));
    }
    let code = get("code").ok_or_else(|| GraphError::parameter("Missing authorization code"))?;
    let mut world = sandbox.world();
    let grant = world.signups.redeem(code).map_err(|bad| match bad {
        BadCode::Unknown => GraphError::log_in(100, None, "Invalid verification code format."),
        BadCode::Used => GraphError::log_in(100, Some(36009), "This authorization code has been used."),
        BadCode::Expired => GraphError::log_in(100, Some(36007), "This authorization code has expired."),
    })?;
    // From now on the account is that app's.
    for line in world.lines.values_mut().filter(|line| line.waba_id == grant.waba_id) {
        line.access_token.clone_from(&grant.token);
        line.app_secret.clone_from(&app.client_secret);
    }
    Ok(json!({ "access_token": grant.token, "token_type": "bearer" }))
}

/// `GET /debug_token` of a token that a code was exchanged for; of others as ever.
pub(super) async fn debug_token(
    sandbox: Shared,
    query: Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let token = query.get("input_token").cloned().unwrap_or_default();
    let grant = sandbox.world().signups.granted(&token).cloned();
    let Some(grant) = grant else {
        return numbers::debug_token(&sandbox.world(), &query, &headers).into_response();
    };
    call(&sandbox, &format!("debug_token {}", grant.waba_id), async {
        let app = &sandbox.config.facebook;
        if bearer(&headers) != Some(&format!("{}|{}", app.client_id, app.client_secret)) {
            return GraphError::token().into_response();
        }
        let data = numbers::works(&grant.app_id, &grant.waba_id, &grant.scopes);
        Json(json!({ "data": data })).into_response()
    })
    .await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// `GET /{WABA}/phone_numbers`.
pub(super) async fn phone_numbers(sandbox: Shared, node: Node, headers: HeaderMap) -> Response {
    let what = format!("phone_numbers {}", node.0.1);
    let asked = State(sandbox.0.clone());
    call(&sandbox, &what, numbers::of_account(asked, node, headers)).await
}

/// `POST /{WABA}/subscribed_apps`.
pub(super) async fn subscribe(sandbox: Shared, node: Node, headers: HeaderMap, body: Bytes) -> Response {
    let what = format!("subscribe {}", node.0.1);
    let asked = State(sandbox.0.clone());
    call(&sandbox, &what, numbers::subscribe(asked, node, headers, body)).await
}

/// `POST /{PNID}/register`.
pub(super) async fn register(
    sandbox: Shared,
    Path((_, id)): Node,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    call(&sandbox, &format!("register {id}"), async {
        answer(&sandbox, &id, &headers, &body, |world, asked| {
            let pin = asked["pin"].as_str().unwrap_or_default();
            if pin.len() != 6 || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(GraphError::parameter("Param pin must be 6 characters long."));
            }
            world.signups.register(&id, pin).map_err(GraphError::of_code)?;
            Ok(json!({ "success": true }))
        })
    })
    .await
}

/// `POST /{PNID}/smb_app_data`.
pub(super) async fn share(sandbox: Shared, Path((_, id)): Node, headers: HeaderMap, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let what = asked["sync_type"].as_str().unwrap_or_default();
    call(&sandbox, &format!("{what} {id}"), async {
        answer(&sandbox, &id, &headers, &body, |world, _| {
            world.signups.share(&id, what).map_err(GraphError::of_code)?;
            Ok(json!({ "messaging_product": "whatsapp", "request_id": format!("{what}-{id}") }))
        })
    })
    .await
}

/// What a number answers to whom it belongs.
fn answer(
    sandbox: &Sandbox,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
    act: impl FnOnce(&mut World, &Value) -> Result<Value, GraphError>,
) -> Response {
    let mut world = sandbox.world();
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_whatsapp = asked["messaging_product"] == "whatsapp";
    let done = super::line(&world, headers, id).map(|_| ()).and_then(|()| {
        if is_whatsapp {
            act(&mut world, &asked)
        } else {
            Err(GraphError::parameter("The parameter messaging_product is required."))
        }
    });
    done.map(Json).into_response()
}
