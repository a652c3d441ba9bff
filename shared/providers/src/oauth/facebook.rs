//! Facebook Login, written out without its SDK
//! (developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow).
//!
//! Facebook documents PKCE and nonces only for an OpenID Connect flow that it calls a test, so that here the code is
//! tied to us by the app secret and to the browser by the state alone.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use url::Url;

use super::error::{OAuthError, passes};
use super::{Client, Profile, Registration};

/// The version of the Graph API that this module speaks.
pub const VERSION: &str = "v23.0";

/// Where Facebook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where browsers are sent.
    pub dialog: Url,
    /// Where codes are exchanged.
    pub token: Url,
    /// The person whose token is shown.
    pub me: Url,
}

impl Endpoints {
    /// From two bases, normally `https://www.facebook.com` and `https://graph.facebook.com`; the version is put behind
    /// both.
    ///
    /// # Errors
    /// When one of them is no URL.
    pub fn below(dialog_base: &str, graph_base: &str) -> Result<Self, url::ParseError> {
        let url = |base: &str, path| Url::parse(&format!("{}/{VERSION}/{path}", base.trim_end_matches('/')));
        Ok(Self {
            dialog: url(dialog_base, "dialog/oauth")?,
            token: url(graph_base, "oauth/access_token")?,
            me: url(graph_base, "me")?,
        })
    }
}

/// An application at Meta. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// Its public id.
    pub id: String,
    /// What proves that we are it, and that Meta's webhooks come from Meta.
    pub secret: SecretString,
}

impl AppCredentials {
    /// The token by which the application speaks for itself
    /// (developers.facebook.com/docs/facebook-login/guides/access-tokens).
    pub fn token(&self) -> SecretString {
        SecretString::from(format!("{}|{}", self.id, self.secret.expose_secret()))
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
}

#[derive(Deserialize)]
struct Me {
    id: String,
    #[serde(default)]
    name: String,
    /// Absent when the account has a phone number only, and when the person withheld it.
    #[serde(default)]
    email: Option<String>,
}

/// Which call it was: Graph's codes mean different things.
#[derive(Clone, Copy)]
enum Step {
    Code,
    Profile,
}

pub(super) fn dialog(endpoints: &Endpoints, registration: &Registration, state: &str) -> Url {
    let mut url = endpoints.dialog.clone();
    url.query_pairs_mut()
        .append_pair("client_id", &registration.client_id)
        .append_pair("redirect_uri", &registration.redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", "public_profile,email")
        .append_pair("state", state);
    url
}

pub(super) async fn exchange(
    client: &Client,
    endpoints: &Endpoints,
    code: &SecretString,
) -> Result<Profile, OAuthError> {
    let registration = &client.registration;
    let secret = &registration.client_secret;
    // A form, where the documentation shows a query: addresses end up in logs.
    let form = [
        ("client_id", registration.client_id.as_str()),
        ("client_secret", secret.expose_secret()),
        ("redirect_uri", registration.redirect_uri.as_str()),
        ("code", code.expose_secret()),
    ];
    let request = client.http.post(endpoints.token.clone()).form(&form);
    let answer: TokenAnswer = call(client, request, Step::Code).await?;

    // The token comes from Facebook itself in exchange for our secret: it needs no `debug_token`.
    let token = answer.access_token;
    let request = client
        .http
        .get(endpoints.me.clone())
        .query(&[("fields", "id,name,email"), ("appsecret_proof", &proof(secret, &token))])
        .bearer_auth(token.expose_secret());
    let me: Me = call(client, request, Step::Profile).await?;
    if me.id.is_empty() {
        return Err(OAuthError::unreadable("Facebook's answer names nobody"));
    }
    Ok(Profile {
        subject: me.id,
        email: me.email.filter(|email| !email.is_empty()),
        email_verified: false,
        email_authoritative: false,
        name: me.name,
    })
}

/// `appsecret_proof`: the token's HMAC-SHA256 under the app secret, in lower-case hex
/// (developers.facebook.com/docs/facebook-login/security).
fn proof(app_secret: &SecretString, token: &SecretString) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(token.expose_secret().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Exchanges the code of Meta's Embedded Signup, which lives 30 seconds, for a business's token. There was no redirect, so
/// that no address is named (developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup).
///
/// # Errors
/// [`OAuthError`]; its class says whether to try again, start over or look into it.
pub async fn business_token(
    http: &reqwest::Client,
    graph_base: &str,
    app: &AppCredentials,
    code: &SecretString,
) -> Result<SecretString, OAuthError> {
    let url = format!("{}/{VERSION}/oauth/access_token", graph_base.trim_end_matches('/'));
    let form = [
        ("client_id", app.id.as_str()),
        ("client_secret", app.secret.expose_secret()),
        ("code", code.expose_secret()),
    ];
    let answer: TokenAnswer = answered(http.post(url).form(&form), super::TIMEOUT, Step::Code).await?;
    if answer.access_token.expose_secret().is_empty() {
        return Err(OAuthError::unreadable("Meta's answer brings no token"));
    }
    Ok(answer.access_token)
}

async fn call<A: serde::de::DeserializeOwned>(
    client: &Client,
    request: RequestBuilder,
    step: Step,
) -> Result<A, OAuthError> {
    answered(request, client.timeout, step).await
}

async fn answered<A: serde::de::DeserializeOwned>(
    request: RequestBuilder,
    timeout: Duration,
    step: Step,
) -> Result<A, OAuthError> {
    let response = request.timeout(timeout).send().await.map_err(OAuthError::transport)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await;
    if !status.is_success() {
        return Err(fault(status, &headers, &body.unwrap_or_default(), step));
    }
    let body = body.map_err(OAuthError::transport)?;
    serde_json::from_slice(&body)
        .map_err(|_| OAuthError::unreadable("Facebook's answer has not the form it should have"))
}

/// Graph's `{error: {message, type, code, error_subcode, is_transient, fbtrace_id}}`.
fn fault(status: StatusCode, headers: &HeaderMap, body: &[u8], step: Step) -> OAuthError {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &parsed["error"];
    let (code, subcode) = (error["code"].as_i64(), error["error_subcode"].as_i64());
    let mut detail = format!("HTTP {}", status.as_u16());
    for (name, number) in [("code", code), ("subcode", subcode)] {
        if let Some(number) = number {
            detail.push_str(&format!(" {name} {number}"));
        }
    }
    if error["is_transient"] == true || passes(status) {
        return OAuthError::unavailable(headers, detail);
    }
    match (step, code, subcode) {
        // Down, or too many calls: of the application, the person, the application again.
        (_, Some(2 | 4 | 17 | 341), _) => OAuthError::unavailable(headers, detail),
        // The redirect address is another than at the dialog.
        (Step::Code, Some(100), Some(36008)) => OAuthError::configuration(detail),
        // Expired (36007), used (36009), or no code at all. The subcodes are not documented: without one, a wrong
        // redirect address looks the same.
        (Step::Code, Some(100), _) => OAuthError::code_invalid(detail),
        // The person took the token back at once.
        (Step::Profile, Some(190), _) => OAuthError::code_invalid(detail),
        // A wrong secret is code 1, a wrong app id 101, a wrong proof 100.
        _ => OAuthError::configuration(detail),
    }
}
