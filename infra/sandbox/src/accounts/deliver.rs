//! How webhooks travel: proved as each provider does it, and again while the product does not take them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

use super::{Account, Provider};
use crate::clock;
use crate::world::Sandbox;

/// Attempts to deliver one webhook, each later than the one before.
const ATTEMPTS: u32 = 8;

/// What is posted, and where.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) url: Option<String>,
    pub(super) body: Body,
}

/// A body.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Form(Vec<(String, String)>),
    Json(Value),
}

/// Posts until it is taken; the last status, or nothing when there is no address or no answer.
pub(super) async fn post(sandbox: &Arc<Sandbox>, account: &Account, call: Call) -> Option<u16> {
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        // Set meanwhile, perhaps.
        let now = sandbox.world().accounts.find(account.provider, &account.name)?.clone();
        let url = call.url.clone().or_else(|| now.webhook_url.clone());
        // What stands behind a `#` is for the provider, and is neither called nor signed.
        if let Some(url) = url.as_deref().map(|url| url.split('#').next().unwrap_or(url)) {
            last = once(sandbox, &now, url, &call.body).await;
            if last.is_some_and(|status| status < 500) {
                return last;
            }
        }
        tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
    }
    last
}

async fn once(sandbox: &Sandbox, account: &Account, url: &str, body: &Body) -> Option<u16> {
    let _permit = sandbox.deliveries.acquire().await.ok()?;
    let request = sandbox.http.post(url);
    let request = match body {
        Body::Form(fields) => {
            request.header("x-twilio-signature", twilio(&account.secret, url, fields)).form(fields)
        }
        Body::Json(json) => request.json(json),
    };
    let request = match (&account.jwt_key, account.provider) {
        (Some(key), Provider::Evolution) => {
            request.header("authorization", format!("Bearer {}", jwt(key, account.token_life_s)))
        }
        _ => request,
    };
    Some(request.send().await.ok()?.status().as_u16())
}

/// `X-Twilio-Signature` of a form.
fn twilio(auth_token: &str, url: &str, fields: &[(String, String)]) -> String {
    let mut fields = fields.to_vec();
    fields.sort();
    let mut mac =
        Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(url.as_bytes());
    for (name, value) in fields {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The token that Evolution sends with a `jwt_key`.
fn jwt(key: &str, life_s: i64) -> String {
    let now = clock::now_s();
    let claims = json!({ "iat": now, "exp": now + life_s, "app": "evolution", "action": "webhook" });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
