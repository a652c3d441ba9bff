//! The whole life of an account, with its mails read.

use axum::http::Method;
use domain::job::Queue;
use serde_json::json;
use testkit::{Api, Flow, Step, TenantOptions, new_word};

use super::person::{Person, verify};

#[tokio::test]
async fn from_registration_to_log_out() {
    let person = Person::new();
    let (api, mails, email) = (&person.anonymous, &person.mails, &person.email);
    let registered = person.register().await;

    let letter = mails.nth(email, 1).await;
    assert_eq!(letter.subject, "Confirme seu e-mail");
    assert!(letter.text.contains("Olá!") && letter.html.contains("lang=\"pt-BR\""), "{}", letter.text);
    // Nobody has proved that the name is not a stranger's word to whom the address belongs.
    assert!(!letter.text.contains("Ana") && !letter.html.contains("Ana"), "{}", letter.text);
    assert!(
        letter.text.contains(&format!("{}/verify-email#token=", person.stack.origin())),
        "{}",
        letter.text
    );
    let too_early = api.post("auth/login", &person.credentials()).await;
    let _problem = too_early.expect_problem(409, "email_not_verified");

    // A new link voids the last one.
    let _answer = api.post("auth/resend-verification", &json!({ "email": email })).await.expect_status(202);
    let newer = mails.nth(email, 2).await.token();
    let stale = verify(api, &json!({ "token": letter.token() }), &registered).await;
    let _problem = stale.expect_problem(409, "token_invalid");
    let proof = json!({ "token": newer });
    let _answer = verify(api, &proof, &registered).await.expect_status(204);
    let again = verify(api, &proof, &registered).await;
    let _problem = again.expect_problem(409, "token_invalid");

    let body = person.log_in().await;
    assert_eq!(body["user"]["email"], email.as_str());
    assert_eq!(body["companies"][0]["name"], "Loja da Ana");
    assert_eq!(body["companies"][0]["role"], "owner");
    let me = api.with(body["token"].as_str().unwrap());
    assert!(me.get("conversations").await.expect_status(200).body["items"].as_array().unwrap().is_empty());

    // A forgotten password.
    let _answer = api.post("auth/forgot-password", &json!({ "email": email })).await.expect_status(202);
    let letter = mails.nth(email, 3).await;
    assert_eq!(letter.subject, "Crie uma nova senha");
    assert!(!letter.text.contains("Ana"), "{}", letter.text);
    let new_password = new_word("outra senha ");
    let reset = json!({ "token": letter.token(), "password": new_password });
    let _answer = api.post("auth/reset-password", &reset).await.expect_status(204);
    let _problem = api.post("auth/reset-password", &reset).await.expect_problem(409, "token_invalid");
    let _problem = api.post("auth/login", &person.credentials()).await.expect_problem(401, "unauthenticated");
    let refresh = json!({ "refresh_token": body["refresh_token"] });
    let _problem = api.post("auth/refresh", &refresh).await.expect_problem(401, "unauthenticated");

    let credentials = json!({ "email": email, "password": new_password });
    let body = api.post("auth/login", &credentials).await.expect_status(200).body;
    let me = api.with(body["token"].as_str().unwrap());
    let log_out = json!({ "refresh_token": body["refresh_token"] });
    let _answer = me.post("auth/logout", &log_out).await.expect_status(204);
    let refresh = api.post("auth/refresh", &log_out).await;
    let _problem = refresh.expect_problem(401, "unauthenticated");
    assert_eq!(person.mails.all(email).await.len(), 3, "no mail came twice");
}

#[tokio::test]
async fn no_answer_tells_whether_an_address_is_registered() {
    let person = Person::registered().await;
    let strangers = Api::anonymous(&person.stack).elsewhere();
    let nobody = format!("{}@example.com", new_word("ninguem-"));
    let register = |email: &str| json!({ "company_name": "Outra", "name": "Eva", "email": email, "password": "uma senha qualquer" });
    for (path, known, unknown) in [
        ("auth/register", register(&person.email), register(&nobody)),
        ("auth/resend-verification", json!({ "email": person.email }), json!({ "email": "x@example.com" })),
        ("auth/forgot-password", json!({ "email": person.email }), json!({ "email": "y@example.com" })),
        (
            "auth/login",
            json!({ "email": person.email, "password": "errada errada" }),
            json!({ "email": "z@example.com", "password": "errada errada" }),
        ),
    ] {
        let known = strangers.post(path, &known).await;
        let unknown = strangers.post(path, &unknown).await;
        assert_eq!((known.status, known.body), (unknown.status, unknown.body), "{path}");
    }
    // Its owner is told, and nothing has changed for them.
    let letter = person.mails.nth(&person.email, 2).await;
    assert_eq!(letter.subject, "Você já tem uma conta");
    assert!(!letter.text.contains("Ana") && !letter.text.contains("Eva"), "{}", letter.text);
    assert_eq!(person.log_in().await["companies"].as_array().unwrap().len(), 1);
}

/// The answer comes after the same work: whether there is somebody to write to is found out by the mail's consumer.
#[tokio::test]
async fn a_mail_to_nobody_is_a_job_too() {
    let flow = Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    for path in ["auth/forgot-password", "auth/resend-verification"] {
        let nobody = json!({ "email": format!("{}@example.com", new_word("ninguem-")) });
        let _answer = flow.api(Method::POST, path, Some(&nobody)).await.expect_status(202);
        assert_eq!(flow.queued(Queue::Mail).await, 1, "{path}");
        assert_eq!(flow.step(Queue::Mail).await, Step::Done, "{path}");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_text_that_postgresql_cannot_hold_is_nobodys() {
    let person = Person::registered().await;
    for email in ["ana\0@example.com", "\0", "'; SELECT 1; --", "\\' OR 1=1", "ü@example.com"] {
        let credentials = json!({ "email": email, "password": "uma senha qualquer" });
        let problem = person.anonymous.elsewhere().post("auth/login", &credentials).await;
        assert_eq!(problem.expect_problem(422, "invalid")["errors"][0]["field"], "email", "{email:?}");
    }
    let _body = person.log_in().await;
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused_by_field() {
    let person = Person::new();
    let good = json!({
        "company_name": "Loja", "name": "Ana", "email": person.email, "password": person.password,
    });
    for (field, wrong) in [
        ("company_name", json!("  ")),
        ("name", json!("x".repeat(201))),
        ("name", json!("Ganhe em https://mal.example")),
        ("name", json!("Ana, veja mal.example/premio")),
        ("company_name", json!("WWW.mal.example")),
        ("email", json!("ana@loja.com/premio")),
        ("email", json!("ana@loja")),
        ("password", json!("curta")),
    ] {
        let mut body = good.clone();
        body[field] = wrong;
        let problem = person.anonymous.post("auth/register", &body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    assert!(person.mails.all(&person.email).await.is_empty());
}

#[tokio::test]
async fn mails_come_in_the_language_that_was_asked_for() {
    let person = Person::new();
    let body = json!({
        "company_name": "Shop", "name": "Ann", "email": person.email, "password": person.password, "locale": "en",
    });
    let _answer = person.anonymous.post("auth/register", &body).await.expect_status(202);
    let letter = person.mails.nth(&person.email, 1).await;
    assert_eq!(letter.subject, "Confirm your email address");
    assert!(letter.text.contains("Hello!"), "{}", letter.text);
}
