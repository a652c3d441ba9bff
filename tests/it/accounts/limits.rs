//! How often one may try to get in.

use futures::future::join_all;
use serde_json::json;
use testkit::{Api, new_word};

use super::person::Person;

fn wrong(email: &str) -> serde_json::Value {
    json!({ "email": email, "password": "errada errada" })
}

#[tokio::test]
async fn the_sixth_wrong_log_in_waits() {
    let person = Person::registered().await;
    for _ in 0..5 {
        let answer = person.anonymous.post("auth/login", &wrong(&person.email)).await;
        let _problem = answer.expect_problem(401, "unauthenticated");
    }
    let sixth = person.anonymous.post("auth/login", &wrong(&person.email)).await;
    let after: u64 = sixth.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((600..=900).contains(&after), "{after}");
    let _problem = sixth.expect_problem(429, "rate_limited");
    // From anywhere else the account is as closed, with the right password too: who guesses is not told.
    let elsewhere = Api::anonymous(&person.stack).elsewhere();
    let _problem =
        elsewhere.post("auth/login", &person.credentials()).await.expect_problem(429, "rate_limited");
    // And whoever sits at the first address gets in nowhere.
    let other = Person::registered().await;
    let answer = person.anonymous.post("auth/login", &other.credentials()).await;
    let _problem = answer.expect_problem(429, "rate_limited");
    let _body = other.log_in().await;
}

#[tokio::test]
async fn who_resets_the_password_logs_in_at_once() {
    let person = Person::registered().await;
    for _ in 0..5 {
        let _answer = person.anonymous.post("auth/login", &wrong(&person.email)).await;
    }
    let sixth = person.anonymous.post("auth/login", &person.credentials()).await;
    let _problem = sixth.expect_problem(429, "rate_limited");
    let address = json!({ "email": person.email });
    let _answer = person.anonymous.post("auth/forgot-password", &address).await.expect_status(202);
    let token = person.mails.nth(&person.email, 2).await.token();
    let reset = json!({ "token": token, "password": person.password });
    let _answer = person.anonymous.post("auth/reset-password", &reset).await.expect_status(204);
    let _body = person.log_in().await;
}

/// Else somebody could guess at others' passwords, reset their own, and go on.
#[tokio::test]
async fn a_reset_takes_back_no_guesses_at_other_accounts() {
    let person = Person::registered().await;
    for _ in 0..5 {
        let _answer =
            person.anonymous.post("auth/login", &wrong(&format!("{}@example.com", new_word("x-")))).await;
    }
    let address = json!({ "email": person.email });
    let _answer = person.anonymous.post("auth/forgot-password", &address).await.expect_status(202);
    let token = person.mails.nth(&person.email, 2).await.token();
    let reset = json!({ "token": token, "password": person.password });
    let _answer = person.anonymous.post("auth/reset-password", &reset).await.expect_status(204);
    let answer = person.anonymous.post("auth/login", &person.credentials()).await;
    let _problem = answer.expect_problem(429, "rate_limited");
    let elsewhere = person.anonymous.elsewhere();
    let _answer = elsewhere.post("auth/login", &person.credentials()).await.expect_status(200);
}

/// To the database `İ` is `i`: counted as they are written, each spelling would have five attempts of its own.
#[tokio::test]
async fn an_address_has_one_spelling() {
    let person = Person::registered().await;
    let odd = person.email.replacen("pessoa", "pEssoa", 1);
    let body = json!({ "email": format!(" {odd} "), "password": person.password });
    let _answer = person.anonymous.post("auth/login", &body).await.expect_status(200);
    let api = person.api().await;
    let anonymous = person.anonymous.elsewhere();
    for number in 0..6 {
        let email = format!("v\u{130}toria{number}@example.com");
        let registration =
            json!({ "company_name": "Loja", "name": "Ana", "email": email, "password": person.password });
        for (path, body) in [
            ("auth/login", wrong(&email)),
            ("auth/forgot-password", json!({ "email": email })),
            ("auth/resend-verification", json!({ "email": email })),
            ("auth/register", registration),
        ] {
            let problem = anonymous.post(path, &body).await.expect_problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], "email", "{path}");
        }
        let invitation = json!({ "email": email, "role": "agent" });
        let problem = api.post("invitations", &invitation).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "email");
    }
    // Nothing of that was counted; and however it is written, an account has five attempts.
    for number in 0..6 {
        let email = if number % 2 == 0 { person.email.clone() } else { person.email.to_uppercase() };
        let answer = anonymous.elsewhere().post("auth/login", &wrong(&email)).await;
        assert_eq!(answer.status, if number < 5 { 401 } else { 429 });
    }
}

#[tokio::test]
async fn of_fifty_at_once_five_pass() {
    let person = Person::new();
    let clients: Vec<_> = (0..50).map(|_| person.anonymous.elsewhere()).collect();
    let body = wrong(&person.email);
    let answers = join_all(clients.iter().map(|client| client.post("auth/login", &body))).await;
    let passed = answers.iter().filter(|answer| answer.status == 401).count();
    let waiting = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((passed, waiting), (5, 45), "one account, from fifty addresses");

    let one = person.anonymous.elsewhere();
    let bodies: Vec<_> = (0..50).map(|_| wrong(&format!("{}@example.com", new_word("x-")))).collect();
    let answers = join_all(bodies.iter().map(|body| one.post("auth/login", body))).await;
    let passed = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(passed, 5, "fifty accounts, from one address");
}

#[tokio::test]
async fn what_succeeds_does_not_count() {
    let person = Person::registered().await;
    for _ in 0..7 {
        let _body = person.log_in().await;
    }
}

#[tokio::test]
async fn an_address_in_a_header_changes_nothing() {
    let person = Person::new();
    for number in 0..6 {
        let email = format!("{}@example.com", new_word("x-"));
        let body = wrong(&email).to_string();
        let spoofed = format!("203.0.113.{number}");
        let headers = [("x-forwarded-for", spoofed.as_str())];
        let answer = person.anonymous.send(reqwest::Method::POST, "auth/login", Some(body), &headers).await;
        assert_eq!(answer.status, if number < 5 { 401 } else { 429 });
    }
}
