//! Logging in by Google and Facebook.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::harness::{FACEBOOK, GOOGLE, Stage, fixture, shape, stage};

const BACK: &str = "http://127.0.0.1:9/callback?tenant=1";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ANA: &str = "100000000000000000001";

/// A browser that stops at redirects.
async fn visit(address: &str, language: &str) -> Response {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    client.get(address).header("accept-language", language).send().await.unwrap()
}

fn google_dialog(stage: &Stage, more: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut url = Url::parse(&format!("{}/google/o/oauth2/v2/auth", stage.url)).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("client_id", GOOGLE.0),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("state", "s-1"),
        ("nonce", "n-0001"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    url.query_pairs_mut().extend_pairs(more);
    url.into()
}

fn facebook_dialog(stage: &Stage, more: &[(&str, &str)]) -> String {
    let mut url = Url::parse(&format!("{}/facebook/v23.0/dialog/oauth", stage.url)).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("client_id", FACEBOOK.0),
        ("redirect_uri", BACK),
        ("state", "s-1"),
        ("scope", "public_profile,email"),
    ]);
    url.query_pairs_mut().extend_pairs(more);
    url.into()
}

/// Where a redirect leads, and what it carries.
fn sent_back(response: &Response) -> (Url, Vec<(String, String)>) {
    assert_eq!(response.status(), 302);
    let url = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert!(url.as_str().starts_with(BACK), "{url}");
    let pairs = url.query_pairs().into_owned().skip(1).collect();
    (url, pairs)
}

fn value(pairs: &[(String, String)], name: &str) -> String {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

async fn google_code(stage: &Stage) -> String {
    let (_, pairs) = sent_back(&visit(&google_dialog(stage, &[("login_hint", ANA)]), "pt").await);
    assert_eq!(value(&pairs, "state"), "s-1");
    value(&pairs, "code")
}

fn google_form(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", GOOGLE.0),
        ("client_secret", GOOGLE.1),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
        ("code", code),
    ]
}

async fn post(stage: &Stage, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let response = stage.http.post(format!("{}{path}", stage.url)).form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The claims, once the signature holds by a published key.
async fn verified(stage: &Stage, token: &str) -> Option<Value> {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let (text, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = text.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header["alg"], "RS256");
    let set = stage.look("/google/certs").await;
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"])?;
    let part = |name: &str| decode(key[name].as_str().unwrap());
    RsaPublicKeyComponents { n: part("n"), e: part("e") }
        .verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &decode(signature))
        .unwrap();
    Some(serde_json::from_slice(&decode(claims)).unwrap())
}

#[tokio::test]
async fn google_asks_in_the_browsers_language_and_its_links_lead_back() {
    let stage = stage().await;
    let account = json!({
        "provider": "google", "subject": "7", "email": null, "email_verified": false, "name": "<Zé & \"Cia\">",
    });
    stage.control("identity/accounts", account).await;
    let page = visit(&google_dialog(&stage, &[]), "pt-BR,pt;q=0.9,en;q=0.8").await;
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let page = page.text().await.unwrap();
    assert!(page.contains("Continuar como Ana Exemplo") && page.contains("Cancelar"));
    assert!(page.contains("&lt;Zé &amp; &quot;Cia&quot;&gt;") && !page.contains("<Zé"));
    let english = visit(&google_dialog(&stage, &[]), "en-US,en;q=0.9").await.text().await.unwrap();
    assert!(english.contains("Continue as Ana Exemplo") && english.contains("Cancel"));

    let link = |id: &str| {
        let tag = page.split("<a ").find(|tag| tag.contains(&format!("data-testid=\"{id}\""))).unwrap();
        let link = tag.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        link.replace("&amp;", "&")
    };
    let chosen = format!("{}/google/o/oauth2/v2/auth{}", stage.url, link("continue-7"));
    let (_, pairs) = sent_back(&visit(&chosen, "pt").await);
    assert!(!value(&pairs, "code").is_empty());
    assert_eq!(link("cancel"), format!("{BACK}&error=access_denied&state=s-1"));
}

#[tokio::test]
async fn google_gives_a_signed_token_for_a_code_once() {
    let stage = stage().await;
    let code = google_code(&stage).await;
    let (status, answer) = post(&stage, "/google/token", &google_form(&code)).await;
    assert_eq!(status, 200);
    let mut expected = shape(&fixture("google_token_response"));
    expected.as_object_mut().unwrap().remove("refresh_token");
    assert_eq!(shape(&answer), expected);
    let claims = verified(&stage, answer["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(shape(&claims), shape(&fixture("google_id_token_claims")));
    for (name, expected) in [
        ("iss", format!("{}/google", stage.url)),
        ("aud", GOOGLE.0.to_owned()),
        ("sub", ANA.to_owned()),
        ("nonce", "n-0001".to_owned()),
        ("email", "ana@example.com".to_owned()),
    ] {
        assert_eq!(claims[name], expected);
    }
    let again = post(&stage, "/google/token", &google_form(&code)).await;
    assert_eq!(again, (400, fixture("google_token_error")));
    let discovery = stage.look("/google/.well-known/openid-configuration").await;
    assert_eq!(discovery["issuer"], claims["iss"]);
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        assert!(fixture("google_discovery")[name].is_string() && discovery[name].is_string(), "{name}");
    }
}

#[tokio::test]
async fn google_refuses_whatever_does_not_fit_the_code() {
    let stage = stage().await;
    for (name, wrong, status, error) in [
        ("client_id", "outro", 401, "invalid_client"),
        ("client_secret", "errado", 401, "invalid_client"),
        ("grant_type", "password", 400, "unsupported_grant_type"),
        ("redirect_uri", "http://127.0.0.1:9/callback", 400, "redirect_uri_mismatch"),
        ("code_verifier", "errado", 400, "invalid_grant"),
        ("code_verifier", "", 400, "invalid_grant"),
        ("code", "4/0Aoutro", 400, "invalid_grant"),
        ("code", "", 400, "invalid_request"),
    ] {
        let code = google_code(&stage).await;
        let mut form = google_form(&code);
        form.iter_mut().find(|(known, _)| *known == name).unwrap().1 = wrong;
        let (answered, body) = post(&stage, "/google/token", &form).await;
        assert_eq!((answered, body["error"].as_str().unwrap()), (status, error), "{name}");
    }
    stage.control("settings", json!({ "identity": { "code_ms": 0 } })).await;
    let code = google_code(&stage).await;
    assert_eq!(post(&stage, "/google/token", &google_form(&code)).await.1["error"], "invalid_grant");
    for more in [("client_id", "outro"), ("redirect_uri", "javascript:alert(1)"), ("scope", "email")] {
        let address = google_dialog(&stage, &[]).replace(&format!("{}=", more.0), "x=");
        assert_eq!(visit(&format!("{address}&{}={}", more.0, more.1), "pt").await.status(), 400, "{more:?}");
    }
}

#[tokio::test]
async fn settings_log_in_without_asking_and_bend_the_token() {
    let stage = stage().await;
    let identity = json!({
        "continue_as": { "google": "beto@example.com" },
        "id_token_claims": { "nonce": "another", "email": null, "hd": "example.com" },
    });
    stage.control("settings", json!({ "identity": identity })).await;
    let (_, pairs) = sent_back(&visit(&google_dialog(&stage, &[]), "pt").await);
    let (_, answer) = post(&stage, "/google/token", &google_form(&value(&pairs, "code"))).await;
    let claims = verified(&stage, answer["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!((&claims["name"], &claims["nonce"]), (&json!("Beto Exemplo"), &json!("another")));
    assert_eq!((&claims["hd"], claims.get("email")), (&json!("example.com"), None));
    assert_eq!(claims["email_verified"], false);
    let plain = json!({ "continue_as": { "google": null }, "id_token_claims": null });
    stage.control("settings", json!({ "identity": plain })).await;
    assert_eq!(visit(&google_dialog(&stage, &[]), "pt").await.status(), 200);
}

#[tokio::test]
async fn keys_rotate_and_outlive_a_reset() {
    let stage = stage().await;
    let token = async || {
        let code = google_code(&stage).await;
        post(&stage, "/google/token", &google_form(&code)).await.1["id_token"].as_str().unwrap().to_owned()
    };
    let first = token().await;
    stage.control("reset", json!({})).await;
    assert!(verified(&stage, &first).await.is_some());
    let kid = stage.control("identity/google/rotate", json!({})).await["kid"].clone();
    let second = token().await;
    assert!(verified(&stage, &first).await.is_some() && verified(&stage, &second).await.is_some());
    assert_eq!(stage.look("/google/certs").await["keys"][1]["kid"], kid);
    stage.control("identity/google/rotate?keep=false", json!({})).await;
    assert!(verified(&stage, &second).await.is_none());
    assert!(verified(&stage, &token().await).await.is_some());
}

#[tokio::test]
async fn scripted_errors_come_back_in_each_providers_words() {
    let stage = stage().await;
    let script = async |target: &str, rule: Value| {
        stage.control("script", json!({ "target": target, "rules": [rule] })).await;
    };
    let once = |error: &str| json!({ "times": 1, "oauth_error": error });
    script("google.auth", once("access_denied")).await;
    let (_, pairs) = sent_back(&visit(&google_dialog(&stage, &[("login_hint", ANA)]), "pt").await);
    assert_eq!(pairs, [("error".into(), "access_denied".into()), ("state".into(), "s-1".into())]);

    script("facebook.dialog", once("access_denied")).await;
    let (url, pairs) = sent_back(&visit(&facebook_dialog(&stage, &[]), "pt").await);
    assert_eq!(value(&pairs, "error_reason"), "user_denied");
    assert_eq!(url.fragment(), Some("_=_"));

    let code = google_code(&stage).await;
    script("google.token", once("invalid_grant")).await;
    let refused = post(&stage, "/google/token", &google_form(&code)).await;
    assert_eq!(refused, (400, fixture("google_token_error")));
    script("google.token", json!({ "times": 1, "status": 500 })).await;
    assert_eq!(post(&stage, "/google/token", &google_form(&code)).await.0, 500);
    assert_eq!(post(&stage, "/google/token", &google_form(&code)).await.0, 200);

    script("facebook.token", once("invalid_grant")).await;
    let (status, error) = post(&stage, "/facebook/oauth/access_token", &[]).await;
    assert_eq!((status, shape(&error)), (400, shape(&fixture("facebook_error"))));
    script("facebook.me", json!({ "times": 1, "status": 500 })).await;
    let me = stage.http.get(format!("{}/facebook/me", stage.url)).send().await.unwrap();
    assert_eq!(me.status(), 500);
    let log = stage.look("/_sandbox/log").await;
    assert_eq!(log["counts"]["google.token"]["received"], 3);
}

fn proof(token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(FACEBOOK.1.as_bytes()).unwrap();
    mac.update(token.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn facebook_gives_a_token_for_a_code_and_a_profile_for_a_proof() {
    let stage = stage().await;
    let account = json!({
        "provider": "facebook", "subject": "10000000000000001", "email": "ana@example.com", "name": "Ana Exemplo",
    });
    stage.control("identity/accounts", account).await;
    let page = visit(&facebook_dialog(&stage, &[]), "en").await.text().await.unwrap();
    assert!(page.contains("Sign in with Facebook") && page.contains("Continue as Ana Exemplo"));
    let dialog = facebook_dialog(&stage, &[("login_hint", "ana@example.com")]);
    let (url, pairs) = sent_back(&visit(&dialog, "pt").await);
    assert_eq!((url.fragment(), value(&pairs, "state").as_str()), (Some("_=_"), "s-1"));
    let code = value(&pairs, "code");
    let form =
        [("client_id", FACEBOOK.0), ("client_secret", FACEBOOK.1), ("redirect_uri", BACK), ("code", &code)];
    let (status, answer) = post(&stage, "/facebook/v23.0/oauth/access_token", &form).await;
    assert_eq!((status, shape(&answer)), (200, shape(&fixture("facebook_token_response"))));
    let (status, error) = post(&stage, "/facebook/v23.0/oauth/access_token", &form).await;
    assert_eq!((status, &error["error"]["error_subcode"]), (400, &json!(36009)));

    let token = answer["access_token"].as_str().unwrap();
    let me = async |proof: &str| {
        let request = stage.http.get(format!("{}/facebook/v23.0/me", stage.url)).bearer_auth(token);
        let request = request.query(&[("fields", "id,name,email"), ("appsecret_proof", proof)]);
        request.send().await.unwrap()
    };
    let mut expected = fixture("facebook_me_response");
    expected.as_object_mut().unwrap().remove("picture");
    assert_eq!(me(&proof(token)).await.json::<Value>().await.unwrap(), expected);
    for wrong in ["", "00"] {
        assert_eq!(me(wrong).await.json::<Value>().await.unwrap()["error"]["code"], 100);
    }
    let stranger =
        stage.http.get(format!("{}/facebook/me?access_token=EAAoutro", stage.url)).send().await.unwrap();
    assert_eq!(stranger.json::<Value>().await.unwrap()["error"]["code"], 190);
}

#[tokio::test]
async fn facebook_refuses_whatever_does_not_fit_the_code() {
    let stage = stage().await;
    stage
        .control("settings", json!({ "identity": { "continue_as": { "facebook": "10000000000000002" } } }))
        .await;
    for (name, wrong, code, subcode) in [
        ("client_id", "outro", 101, Value::Null),
        ("client_secret", "errado", 1, Value::Null),
        ("redirect_uri", "http://127.0.0.1:9/", 100, json!(36008)),
        ("code", "AQDoutro", 100, Value::Null),
    ] {
        let (_, pairs) = sent_back(&visit(&facebook_dialog(&stage, &[]), "pt").await);
        let issued = value(&pairs, "code");
        let mut form = vec![
            ("client_id", FACEBOOK.0),
            ("client_secret", FACEBOOK.1),
            ("redirect_uri", BACK),
            ("code", &issued),
        ];
        form.iter_mut().find(|(known, _)| *known == name).unwrap().1 = wrong;
        let (status, body) = post(&stage, "/facebook/oauth/access_token", &form).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!(code)), "{name}");
        assert_eq!(body["error"]["error_subcode"], subcode, "{name}");
    }
    // Beto has no address, and of Google's code nothing comes here.
    let google = google_code(&stage).await;
    let form =
        [("client_id", FACEBOOK.0), ("client_secret", FACEBOOK.1), ("redirect_uri", BACK), ("code", &google)];
    assert_eq!(post(&stage, "/facebook/oauth/access_token", &form).await.0, 400);
}
