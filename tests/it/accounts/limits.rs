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
