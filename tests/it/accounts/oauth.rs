//! Log-in by Google and Facebook, through the real redirects of stand-ins.

use cloud::seal::{MasterKey, Sealed};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::{Answer, Api, Cloud, Sandbox, new_word};

use super::person::{Person, cookie, verify};

/// An account at a provider.
pub(super) struct Account {
    provider: &'static str,
    subject: String,
}

impl Account {
    pub(super) async fn make(person: &Person, provider: &'static str, about: Value) -> Self {
        let subject = testkit::new_id().as_u128().to_string();
        let mut account = json!({ "provider": provider, "subject": subject, "name": "Ana Souza" });
        account.as_object_mut().unwrap().extend(about.as_object().unwrap().clone());
        Sandbox::of(&person.stack).post("identity/accounts", &account).await;
        Self { provider, subject }
    }
}

pub(super) fn location(answer: &Answer) -> String {
    answer.headers["location"].to_str().unwrap().to_owned()
}

/// Goes to the provider, says yes, and comes back as far as the callback's address; with the cookie of the flow.
async fn to_callback(
    api: &Api,
    account: &Account,
    query: &str,
    cookies: &[(&str, &str)],
) -> (String, String) {
    let start = format!("auth/oauth/{}/start{query}", account.provider);
    let answer = api.send(Method::GET, &start, None, cookies).await.expect_status(303);
    let flow = cookie(&answer, "__Secure-oauth");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = format!("{}&login_hint={}", location(&answer), account.subject);
    let back = http.get(page).send().await.unwrap();
    assert!(back.status().is_redirection(), "{}", back.text().await.unwrap());
    let back = back.headers()["location"].to_str().unwrap().to_owned();
    let (_, path) = back.split_once("/api/v1/").expect("back to us");
    (path.to_owned(), flow)
}

pub(super) async fn through(api: &Api, account: &Account, query: &str, cookies: &[(&str, &str)]) -> Answer {
    let (path, flow) = to_callback(api, account, query, cookies).await;
    api.send(Method::GET, &path, None, &[("cookie", &flow)]).await.expect_status(303)
}

pub(super) async fn me(api: &Api, answer: &Answer) -> Value {
    let session = cookie(answer, "__Host-session");
    api.send(Method::GET, "auth/me", None, &[("cookie", &session)]).await.expect_status(200).body
}

#[tokio::test]
async fn googles_word_makes_an_account_and_opens_it_again() {
    let person = Person::new();
    let about = json!({ "email": person.email, "email_verified": true });
    let account = Account::make(&person, "google", about).await;
    let api = &person.anonymous;
    let first = through(api, &account, "", &[]).await;
    assert_eq!(location(&first), format!("{}/", person.stack.origin()));
    let body = me(api, &first).await;
    assert_eq!((&body["user"]["email"], &body["user"]["name"]), (&json!(person.email), &json!("Ana Souza")));
    assert_eq!(body["companies"][0]["role"], "owner");
    let second = through(api, &account, "", &[]).await;
    assert_eq!(me(api, &second).await["user"]["id"], body["user"]["id"]);
    assert!(person.mails.all(&person.email).await.is_empty(), "nothing to prove");
    // There is no password to guess.
    let _problem = api.post("auth/login", &person.credentials()).await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn facebooks_addresses_are_proved_first() {
    let person = Person::new();
    let account = Account::make(&person, "facebook", json!({ "email": person.email })).await;
    let api = &person.anonymous;
    let first = through(api, &account, "", &[]).await;
    assert_eq!(location(&first), format!("{}/login?notice=verify_email", person.stack.origin()));
    let proof = json!({ "token": person.mails.nth(&person.email, 1).await.token() });
    let elsewhere = api.post("auth/verify-email", &proof).await;
    let _problem = elsewhere.expect_problem(409, "registration_unproved");
    let _answer = verify(api, &proof, &first).await.expect_status(204);
    let second = through(api, &account, "", &[]).await;
    assert_eq!(me(api, &second).await["user"]["email"], json!(person.email));

    let nameless = Account::make(&person, "facebook", json!({})).await;
    let answer = through(api, &nameless, "", &[]).await;
    assert_eq!(location(&answer), format!("{}/login?error=email_needed", person.stack.origin()));
    // An address whose letters are another's to the database is none that we know.
    let odd = Account::make(&person, "facebook", json!({ "email": "vİtoria@example.com" })).await;
    let answer = through(api, &odd, "", &[]).await;
    assert_eq!(location(&answer), format!("{}/login?error=email_needed", person.stack.origin()));
}

#[tokio::test]
async fn a_provider_has_nobody_written_to_without_end() {
    for person in [Person::new(), Person::registered().await] {
        let account = Account::make(&person, "facebook", json!({ "email": person.email })).await;
        let answers: Vec<String> = {
            let mut answers = Vec::new();
            for _ in 0..6 {
                let elsewhere = person.anonymous.elsewhere();
                answers.push(location(&through(&elsewhere, &account, "", &[]).await));
            }
            answers
        };
        let (mailed, waits) = answers.split_at(5);
        assert!(mailed.iter().all(|to| to.ends_with("?notice=verify_email")), "{answers:?}");
        assert!(waits[0].ends_with("?error=rate_limited"), "{answers:?}");
    }
}

#[tokio::test]
async fn an_address_alone_opens_no_account_of_others() {
    let person = Person::registered().await;
    let api = &person.anonymous;
    // As to an address that nobody has; its owner is told by mail.
    let answered = format!("{}/login?notice=verify_email", person.stack.origin());
    for (provider, about) in [
        ("facebook", json!({ "email": person.email })),
        ("google", json!({ "email": person.email, "email_verified": false })),
        // Google saw it once, but does not run that mailbox.
        ("google", json!({ "email": person.email, "email_verified": true })),
    ] {
        let account = Account::make(&person, provider, about).await;
        let answer = through(api, &account, "", &[]).await;
        assert_eq!(location(&answer), answered, "{provider}");
        let proof = cookie(&answer, "__Secure-registration");
        assert_eq!(proof.len(), "__Secure-registration=".len() + 64, "{provider}");
    }
    for number in 2..=4 {
        let letter = person.mails.nth(&person.email, number).await;
        assert_eq!(letter.subject, "Você já tem uma conta");
        assert!(letter.text.contains("vínculo") && !letter.text.contains("Ana"), "{}", letter.text);
    }
    // Its owner links one, and is let in by it.
    let about = json!({ "email": format!("{}@example.com", new_word("outra-")), "email_verified": true });
    let account = Account::make(&person, "google", about).await;
    let body = person.log_in().await;
    let session = format!("__Host-session={}", body["token"].as_str().unwrap());
    let nobody = api.send(Method::GET, "auth/oauth/google/start?link=true", None, &[]).await;
    let _problem = nobody.expect_problem(401, "unauthenticated");
    let foreign = [("cookie", session.as_str()), ("sec-fetch-site", "cross-site")];
    let foreign = api.send(Method::GET, "auth/oauth/google/start?link=true", None, &foreign).await;
    let _problem = foreign.expect_problem(403, "forbidden");
    let linked = through(api, &account, "?link=true", &[("cookie", &session)]).await;
    assert_eq!(location(&linked), format!("{}/account?linked=google", person.stack.origin()));
    let entered = through(api, &account, "", &[]).await;
    assert_eq!(me(api, &entered).await["user"]["id"], body["user"]["id"]);
    // It is not anybody else's to link.
    let other = Person::registered().await;
    let session = format!("__Host-session={}", other.log_in().await["token"].as_str().unwrap());
    let taken = through(&other.anonymous, &account, "?link=true", &[("cookie", &session)]).await;
    assert_eq!(location(&taken), format!("{}/login?error=conflict", person.stack.origin()));
}

#[tokio::test]
async fn a_mailbox_that_google_runs_opens_its_account() {
    let person = Person::registered().await;
    let about = json!({ "email": person.email, "email_verified": true, "hosted_domain": "example.com" });
    let account = Account::make(&person, "google", about).await;
    let entered = through(&person.anonymous, &account, "", &[]).await;
    assert_eq!(me(&person.anonymous, &entered).await["user"]["email"], json!(person.email));
}

/// The function that anybody may call seals what browsers keep, by a key that opens nothing else.
#[tokio::test]
async fn what_a_browser_keeps_is_sealed_by_a_key_of_its_own() {
    let person = Person::new();
    let answer = person.anonymous.get("auth/oauth/google/start").await.expect_status(303);
    let flow = cookie(&answer, "__Secure-oauth");
    let sealed: Sealed = flow.split_once('=').unwrap().1.parse().unwrap();
    let cloud = Cloud::of(&person.stack).await;
    let secret = SecretString::from(cloud.secret(cloud.output("TokenKeySecretArn")).await);
    let own = MasterKey::derive_for(&secret, "master-ia/browser/v1").unwrap();
    assert_eq!(sealed.key_id(), own.key_id());
    for unknown in ["auth/oauth/google/start?lnik=true", "auth/oauth/google/start?link=perhaps"] {
        let problem = person.anonymous.get(unknown).await.expect_problem(422, "invalid");
        assert!(["lnik", "link"].contains(&problem["errors"][0]["field"].as_str().unwrap()), "{problem}");
    }
}

#[tokio::test]
async fn a_callback_belongs_to_the_browser_that_began() {
    let person = Person::new();
    let about = json!({ "email": person.email, "email_verified": true });
    let account = Account::make(&person, "google", about).await;
    let api = &person.anonymous;
    let expired = format!("{}/login?error=flow_expired", person.stack.origin());
    let (path, _) = to_callback(api, &account, "", &[]).await;
    let bare = api.send(Method::GET, &path, None, &[]).await.expect_status(303);
    assert_eq!(location(&bare), expired, "without the cookie");
    let (_, other_flow) = to_callback(api, &account, "", &[]).await;
    let crossed = api.send(Method::GET, &path, None, &[("cookie", &other_flow)]).await.expect_status(303);
    assert_eq!(location(&crossed), expired, "with another flow's");
    let (path, flow) = to_callback(api, &account, "", &[]).await;
    let elsewhere = path.replace("google", "facebook");
    let crossed = api.send(Method::GET, &elsewhere, None, &[("cookie", &flow)]).await.expect_status(303);
    assert_eq!(location(&crossed), expired, "at another provider");
    let used = api.send(Method::GET, &path, None, &[("cookie", &flow)]).await.expect_status(303);
    assert_eq!(location(&used), format!("{}/", person.stack.origin()));
    let again = api.send(Method::GET, &path, None, &[("cookie", &flow)]).await.expect_status(303);
    assert_eq!(location(&again), expired, "a code is good once");
    let no = path.split('?').next().unwrap().to_owned() + "?error=access_denied";
    let _answer = api.send(Method::GET, &no, None, &[("cookie", &flow)]).await.expect_status(303);
    let unknown = api.get("auth/oauth/myspace/start").await;
    let _problem = unknown.expect_problem(404, "not_found");
}
