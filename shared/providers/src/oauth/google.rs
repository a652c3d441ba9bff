//! Google: OpenID Connect with PKCE (developers.google.com/identity/openid-connect/openid-connect).

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::error::{OAuthError, passes, word};
use super::id_token::{Expected, IdToken};
use super::jwks::Jwks;
use super::{Client, Exchange, Profile, Registration};

/// Where Google is. Three hosts, which is why it is no single base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// `authorization_endpoint`: where browsers are sent.
    pub authorise: Url,
    /// `token_endpoint`.
    pub token: Url,
    /// `jwks_uri`.
    pub keys: Url,
    /// What may stand in a token's `iss`.
    pub issuers: Vec<String>,
}

impl Endpoints {
    /// Google's own, as its discovery document gives them. Tokens name the issuer with or without its scheme.
    ///
    /// # Panics
    /// Never: the addresses are constants.
    pub fn of_google() -> Self {
        let url = |address| Url::parse(address).expect("a constant address is well-formed");
        Self {
            authorise: url("https://accounts.google.com/o/oauth2/v2/auth"),
            token: url("https://oauth2.googleapis.com/token"),
            keys: url("https://www.googleapis.com/oauth2/v3/certs"),
            issuers: vec!["https://accounts.google.com".to_owned(), "accounts.google.com".to_owned()],
        }
    }

    /// Those of a stand-in that has everything below `base`, which is its issuer too.
    ///
    /// # Errors
    /// When `base` is no URL.
    pub fn below(base: &str) -> Result<Self, url::ParseError> {
        let base = base.trim_end_matches('/');
        let url = |path| Url::parse(&format!("{base}{path}"));
        Ok(Self {
            authorise: url("/o/oauth2/v2/auth")?,
            token: url("/token")?,
            keys: url("/certs")?,
            issuers: vec![base.to_owned()],
        })
    }
}

/// The rest of the answer is for calling Google's APIs, which we do not.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: SecretString,
}

pub(super) fn authorise(
    endpoints: &Endpoints,
    registration: &Registration,
    state: &str,
    nonce: &str,
    challenge: &str,
) -> Url {
    let mut url = endpoints.authorise.clone();
    url.query_pairs_mut()
        .append_pair("client_id", &registration.client_id)
        .append_pair("redirect_uri", &registration.redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", "openid email profile")
        .append_pair("state", state)
        .append_pair("nonce", nonce)
        .append_pair("code_challenge", challenge)
        .append_pair("code_challenge_method", "S256");
    url
}

pub(super) async fn exchange(
    client: &Client,
    endpoints: &Endpoints,
    keys: &Jwks,
    exchange: Exchange<'_>,
    now: DateTime<Utc>,
) -> Result<Profile, OAuthError> {
    let registration = &client.registration;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", exchange.code.expose_secret()),
        ("code_verifier", exchange.code_verifier.expose_secret()),
        ("client_id", &registration.client_id),
        ("client_secret", registration.client_secret.expose_secret()),
        ("redirect_uri", &registration.redirect_uri),
    ];
    let request = client.http.post(endpoints.token.clone()).timeout(client.timeout).form(&form);
    let response = request.send().await.map_err(OAuthError::transport)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await;
    if !status.is_success() {
        return Err(fault(status, &headers, &body.unwrap_or_default()));
    }
    let body = body.map_err(OAuthError::transport)?;
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|_| OAuthError::unreadable("Google's answer holds no identity token"))?;

    let token = IdToken::parse(answer.id_token.expose_secret())?;
    let key = keys.key(client, token.key_id(), now).await?;
    let expected =
        Expected { issuers: &endpoints.issuers, client_id: &registration.client_id, nonce: exchange.nonce };
    Ok(token.verify(&key)?.accept(&expected, now)?)
}

/// `{error, error_description}` of RFC 6749, section 5.2.
fn fault(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> OAuthError {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = word(parsed["error"].as_str().unwrap_or("without a code"));
    let detail = format!("HTTP {} {error}", status.as_u16());
    match error {
        "invalid_grant" => OAuthError::code_invalid(detail),
        _ if passes(status) => OAuthError::unavailable(headers, detail),
        _ => OAuthError::configuration(detail),
    }
}
