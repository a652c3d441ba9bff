//! Credentials that are forged, foreign or over: all the same to us.

use app::App;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use testkit::{Api, Cloud, PATIENCE, Stack, Tenant, TenantOptions, eventually};

use super::person::Person;

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn read(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn refused(stack: &Stack, credential: &str, why: &str) {
    let answer = Api::anonymous(stack).with(credential).get("conversations").await;
    assert_eq!((answer.status, &answer.body["code"]), (401, &json!("unauthenticated")), "{why}");
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let person = Person::registered().await;
    let token = person.log_in().await["token"].as_str().unwrap().to_owned();
    let stack = &person.stack;
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = (read(parts[0]), read(parts[1]));
    assert_eq!(header["alg"], "EdDSA");

    let unsigned = part(&json!({ "alg": "none", "typ": "JWT", "kid": header["kid"] }));
    refused(stack, &format!("{unsigned}.{}.", parts[1]), "alg none").await;
    refused(stack, &format!("{unsigned}.{}.{}", parts[1], parts[2]), "alg none, signed").await;
    let symmetric = part(&json!({ "alg": "HS256", "typ": "JWT", "kid": header["kid"] }));
    refused(stack, &format!("{symmetric}.{}.{}", parts[1], parts[2]), "another algorithm").await;
    let mut other_key = header.clone();
    other_key["kid"] = json!("0000000000000000");
    refused(stack, &format!("{}.{}.{}", part(&other_key), parts[1], parts[2]), "an unknown key").await;
    for (name, value) in [
        ("role", json!("admin")),
        ("company", json!(testkit::new_id())),
        ("exp", json!(4_000_000_000_u64)),
        ("sub", json!(testkit::new_id())),
    ] {
        let mut forged = claims.clone();
        forged[name] = value;
        refused(stack, &format!("{}.{}.{}", parts[0], part(&forged), parts[2]), name).await;
    }
    refused(stack, "mia_0000", "an API key that is none").await;
    refused(stack, "", "nothing").await;
    let fine = Api::anonymous(stack).with(&token).get("conversations").await;
    assert_eq!(fine.status, 200);
}

/// The use cases in this process, at a time and with a token key of the test's choice.
pub(super) fn app_at(cloud: &Cloud, environment: &str, token_key_secret: &str, at: DateTime<Utc>) -> App {
    struct At(DateTime<Utc>);
    impl app::Clock for At {
        fn now(&self) -> DateTime<Utc> {
            self.0
        }
        fn new_id(&self) -> uuid::Uuid {
            testkit::new_id()
        }
    }
    let settings = app::Settings {
        token_key_secret: token_key_secret.to_owned(),
        environment: environment.to_owned(),
        ..app::Settings::default()
    };
    App::new(std::sync::Arc::new(At(at)), settings, cloud.aws())
}

async fn issue_by(app: &App, claims: &Value) -> String {
    let id = |name: &str| serde_json::from_value(claims[name].clone()).unwrap();
    let (user, session, company) =
        (domain::UserId(id("sub")), domain::LoginSessionId(id("sid")), domain::CompanyId(id("company")));
    let bearer = app::auth::tokens::Bearer {
        user_id: user,
        session_id: session,
        company_id: company,
        role: domain::user::Role::Owner,
    };
    let issued = app::auth::tokens::signer(app).await.unwrap().issue(app, bearer).unwrap();
    secrecy::ExposeSecret::expose_secret(&issued.0).to_owned()
}

/// A token of our own making, signed with the installation's key.
async fn issue(stack: &Stack, environment: &str, at: DateTime<Utc>, claims: &Value) -> String {
    let cloud = Cloud::of(stack).await;
    issue_by(&app_at(&cloud, environment, cloud.output("TokenKeySecretArn"), at), claims).await
}

#[tokio::test]
async fn genuine_tokens_of_another_time_or_place_are_refused() {
    let person = Person::registered().await;
    let token = person.log_in().await["token"].as_str().unwrap().to_owned();
    let claims = read(token.split('.').nth(1).unwrap());
    let now = DateTime::from_timestamp(testkit::now_seconds(), 0).unwrap();
    let stack = &person.stack;
    let again = issue(stack, "local", now, &claims).await;
    assert_eq!(Api::anonymous(stack).with(&again).get("conversations").await.status, 200, "ours is accepted");
    refused(stack, &issue(stack, "staging", now, &claims).await, "another environment").await;
    let old = issue(stack, "local", now - TimeDelta::minutes(16), &claims).await;
    refused(stack, &old, "sixteen minutes old").await;
    let mut no_session = claims.clone();
    no_session["sid"] = json!(testkit::new_id());
    refused(stack, &issue(stack, "local", now, &no_session).await, "a session that never was").await;
    let mut elsewhere = claims.clone();
    elsewhere["company"] = json!(stack.demo.company_id);
    refused(stack, &issue(stack, "local", now, &elsewhere).await, "a company of others").await;
}

#[tokio::test]
async fn a_rotated_key_opens_what_the_one_before_signed() {
    let cloud = Cloud::of(&Stack::load()).await;
    let name = testkit::new_word("token-key-");
    let now = DateTime::from_timestamp(testkit::now_seconds(), 0).unwrap();
    let fresh = || app_at(&cloud, "test", &name, now);
    let claims = json!({ "sub": testkit::new_id(), "sid": testkit::new_id(), "company": testkit::new_id() });
    let verify = async |app: &App, token: &str| app::auth::tokens::verify(app, token).await.is_ok();

    let key = |word: &str| format!("{word} chave, de trinta e dois bytes ou mais");
    cloud.set_secret(&name, &key("a primeira")).await;
    let long_running = fresh();
    let first = issue_by(&long_running, &claims).await;
    cloud.set_secret(&name, &key("a segunda")).await;
    let second = issue_by(&fresh(), &claims).await;
    assert!(verify(&fresh(), &first).await, "the key before the rotation");
    assert!(verify(&long_running, &second).await, "a process that knew the key before only");
    assert!(verify(&long_running, &first).await);
    cloud.set_secret(&name, &key("a terceira")).await;
    assert!(!verify(&fresh(), &first).await, "two rotations are too many");
    assert!(verify(&fresh(), &second).await);
}

#[tokio::test]
async fn api_keys_do_what_they_were_made_for_until_they_are_revoked() {
    let person = Person::registered().await;
    let owner = person.api().await;
    let new = json!({ "name": "Integração", "permissions": ["read_inbox"] });
    let created = owner.post("api-keys", &new).await.expect_status(201).body;
    let key = created["key"].as_str().unwrap();
    assert!(key.starts_with("mia_") && key.len() == 68);
    assert_eq!(created["hint"], format!("••••{}", &key[64..]));
    let api = Api::anonymous(&person.stack).with(key);
    let _answer = api.get("conversations").await.expect_status(200);
    let _problem = api.get("members").await.expect_problem(403, "forbidden");
    let _problem = api.post("api-keys", &new).await.expect_problem(403, "forbidden");
    let listed = owner.get("api-keys").await.expect_status(200).body;
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(key), "the key is shown once");

    for (field, wrong) in [
        ("permissions", json!([])),
        ("permissions", json!(["transfer_ownership"])),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
    ] {
        let mut body = new.clone();
        body[field] = wrong;
        let problem = owner.post("api-keys", &body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let path = format!("api-keys/{}", created["id"].as_str().unwrap());
    let _answer = owner.send(reqwest::Method::DELETE, &path, None, &[]).await.expect_status(204);
    // Whoever let it in remembers it for half a minute.
    eventually("the revoked key to be refused", PATIENCE, async || {
        let answer = api.get("conversations").await;
        (answer.status == 401 && answer.body["code"] == "unauthenticated").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_too_short_signs_nothing() {
    let cloud = Cloud::of(&Stack::load()).await;
    let name = testkit::new_word("token-key-");
    cloud.set_secret(&name, "curta").await;
    let now = DateTime::from_timestamp(testkit::now_seconds(), 0).unwrap();
    assert!(app::auth::tokens::signer(&app_at(&cloud, "test", &name, now)).await.is_err());
}

#[tokio::test]
async fn a_key_of_another_company_opens_nothing_of_ours() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let company = tenant.api.get("company").await.expect_status(200).body;
    assert_eq!(company["id"], json!(tenant.company_id));
    let demo = Api::anonymous(&stack).with(&stack.demo.api_key).get("company").await.body;
    assert_ne!(company["id"], demo["id"]);
}
