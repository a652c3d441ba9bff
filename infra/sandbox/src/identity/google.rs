//! Google: OpenID Connect with PKCE
//! (developers.google.com/identity/openid-connect/openid-connect). The issuer is `<origin>/google`.

use axum::Json;
use axum::extract::{RawQuery, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

use crate::clock;
use crate::script;
use crate::world::identity::BadCode;

type Shared = State<Arc<Sandbox>>;

/// Seconds that tokens live.
const TOKEN_LIFE_S: i64 = 3600;

const SCOPE: &str =
    "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile";

pub(super) async fn discovery(State(sandbox): Shared) -> Json<Value> {
    let base = issuer(&sandbox);
    Json(json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/o/oauth2/v2/auth"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/certs"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    }))
}

fn issuer(sandbox: &Sandbox) -> String {
    format!("{}/google", sandbox.origin)
}

/// `GET /google/o/oauth2/v2/auth`. What is wrong with the request itself is shown, not sent back: the address to send it
/// to may be what is wrong.
pub(super) async fn authorise(
    State(sandbox): Shared,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    script::run(&sandbox, Target::GoogleAuth, query.as_bytes(), async {
        dialog(&sandbox, &headers, &Asked::read(query.as_bytes())).unwrap_or_else(page::error)
    })
    .await
}

fn dialog(sandbox: &Sandbox, headers: &HeaderMap, asked: &Asked) -> Result<Response, &'static str> {
    if asked.get("client_id") != Some(&sandbox.config.google.client_id) {
        return Err("invalid_client: The OAuth client was not found.");
    }
    let cancelled = without(asked, "access_denied")
        .ok_or("redirect_uri_mismatch: The redirect URI is missing or is no web address.")?;
    if asked.get("response_type") != Some("code") {
        return Err("unsupported_response_type: Only response_type=code is known here.");
    }
    let scope = asked.get("scope").unwrap_or_default();
    if !scope.split(' ').any(|scope| scope == "openid") {
        return Err("invalid_scope: The scope openid is missing.");
    }
    let code_challenge = asked.owned("code_challenge");
    if code_challenge.is_some() && asked.get("code_challenge_method") != Some("S256") {
        return Err("invalid_request: Only code_challenge_method=S256 is known here.");
    }
    let Some(account) = chosen(sandbox, Provider::Google, asked) else {
        return Ok(question(sandbox, Provider::Google, asked, headers, &cancelled));
    };
    let grant = Grant {
        account,
        redirect_uri: asked.owned("redirect_uri").unwrap_or_default(),
        scope: scope.to_owned(),
        nonce: asked.owned("nonce"),
        code_challenge,
    };
    let code = format!("4/0A{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 48]>()));
    let code = agree(sandbox, code, grant);
    let mut parameters =
        vec![("code", code.as_str()), ("scope", SCOPE), ("authuser", "0"), ("prompt", "none")];
    parameters.extend(asked.get("state").map(|state| ("state", state)));
    Ok(asked.back(&parameters).map_or_else(|| page::error("redirect_uri_mismatch"), |url| redirect(&url)))
}

/// Where the person is sent with an error in place of a code.
fn without(asked: &Asked, error: &str) -> Option<Url> {
    let mut parameters = vec![("error", error)];
    parameters.extend(asked.get("state").map(|state| ("state", state)));
    asked.back(&parameters)
}

pub(super) fn send_back_without(asked: &Asked, error: &str) -> Response {
    without(asked, error).map_or_else(|| page::error("redirect_uri_mismatch"), |url| redirect(&url))
}

/// `POST /google/token`.
pub(super) async fn token(State(sandbox): Shared, form: Bytes) -> Response {
    script::run(&sandbox, Target::GoogleToken, &form, async {
        match redeem(&sandbox, &Asked::read(&form)) {
            Ok(grant) => issue(&sandbox, &grant).await,
            Err(fault) => fault.into_response(),
        }
    })
    .await
}

/// Checks everything that Google checks before a code is worth a token.
fn redeem(sandbox: &Sandbox, asked: &Asked) -> Result<Grant, Fault> {
    let google = &sandbox.config.google;
    if asked.get("client_id") != Some(&google.client_id) {
        return Err(Fault::new("invalid_client", "The OAuth client was not found."));
    }
    if asked.get("client_secret") != Some(&google.client_secret) {
        return Err(Fault::new("invalid_client", "Unauthorized"));
    }
    if asked.get("grant_type") != Some("authorization_code") {
        return Err(Fault::new("unsupported_grant_type", "Invalid grant_type."));
    }
    let code = asked.get("code").ok_or(Fault::new("invalid_request", "Missing required parameter: code"))?;
    let grant = {
        let mut world = sandbox.world();
        let life_ms = world.settings.identity.code_ms;
        world.identities.redeem(Provider::Google, code, life_ms)
    };
    let grant = grant.map_err(|bad| match bad {
        BadCode::Unknown => Fault::new("invalid_grant", "Malformed auth code."),
        BadCode::Used | BadCode::Expired => Fault::named("invalid_grant"),
    })?;
    if asked.get("redirect_uri") != Some(&grant.redirect_uri) {
        return Err(Fault::named("redirect_uri_mismatch"));
    }
    match (&grant.code_challenge, asked.get("code_verifier")) {
        (Some(_), None) => Err(Fault::new("invalid_grant", "Missing code verifier.")),
        (Some(challenge), Some(verifier)) if *challenge != hashed(verifier) => {
            Err(Fault::new("invalid_grant", "Invalid code verifier."))
        }
        _ => Ok(grant),
    }
}

fn hashed(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

async fn issue(sandbox: &Sandbox, grant: &Grant) -> Response {
    let access_token = format!("ya29.{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 96]>()));
    let claims = claims(sandbox, grant, &access_token);
    let signed = match sandbox.keys.current().await {
        Ok(key) => key.sign(&claims),
        Err(error) => Err(error),
    };
    match signed {
        Ok(id_token) => {
            sandbox.world().identities.issue_token(access_token.clone(), grant.account.clone());
            Json(json!({
                "access_token": access_token,
                "expires_in": TOKEN_LIFE_S - 1,
                "scope": SCOPE,
                "token_type": "Bearer",
                "id_token": id_token,
            }))
            .into_response()
        }
        Err(error) => {
            tracing::error!(%error, "no identity token could be signed");
            Fault::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
    }
}

fn claims(sandbox: &Sandbox, grant: &Grant, access_token: &str) -> Value {
    let (account, now) = (&grant.account, clock::now_s());
    let wants = |scope: &str| grant.scope.split(' ').any(|asked| asked == scope);
    let client_id = &sandbox.config.google.client_id;
    let mut claims = json!({
        "iss": issuer(sandbox),
        "azp": client_id,
        "aud": client_id,
        "sub": account.subject,
        "at_hash": URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16]),
        "iat": now,
        "exp": now + TOKEN_LIFE_S,
    });
    if let Some(nonce) = &grant.nonce {
        claims["nonce"] = json!(nonce);
    }
    if let Some(domain) = &account.hosted_domain {
        claims["hd"] = json!(domain);
    }
    if let Some(email) = account.email.as_ref().filter(|_| wants("email")) {
        claims["email"] = json!(email);
        claims["email_verified"] = json!(account.email_verified);
    }
    if wants("profile") {
        let (given, family) = account.name.split_once(' ').unwrap_or((&account.name, ""));
        claims["name"] = json!(account.name);
        claims["given_name"] = json!(given);
        claims["family_name"] = json!(family);
        claims["picture"] = json!("https://lh3.googleusercontent.com/a/exemplo");
    }
    for (name, value) in sandbox.world().settings.identity.id_token_claims.iter().flatten() {
        match (value, claims.as_object_mut()) {
            (Value::Null, Some(claims)) => {
                claims.remove(name);
            }
            (value, _) => claims[name] = value.clone(),
        }
    }
    claims
}

/// `GET /google/certs`.
pub(super) async fn certs(State(sandbox): Shared) -> Response {
    script::run(&sandbox, Target::GoogleCerts, b"", async {
        match sandbox.keys.published().await {
            Ok(keys) => {
                let life = "public, max-age=21600, must-revalidate, no-transform";
                ([(header::CACHE_CONTROL, life)], Json(keys)).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "no key could be made");
                Fault::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
            }
        }
    })
    .await
}
