//! Somebody who registers, at an address of their own: limits that count addresses count them alone.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Api, Mailbox, Stack, new_word};

pub(crate) struct Person {
    pub(crate) stack: Stack,
    pub(crate) mails: Mailbox,
    pub(crate) anonymous: Api,
    pub(crate) email: String,
    pub(crate) password: String,
}

impl Person {
    /// Nobody knows them yet.
    pub(crate) fn new() -> Self {
        let stack = Stack::load();
        Self {
            mails: Mailbox::of(&stack),
            anonymous: Api::anonymous(&stack).elsewhere(),
            email: format!("{}@example.com", new_word("pessoa-")),
            password: new_word("uma senha "),
            stack,
        }
    }

    /// Registered, and their address proved.
    pub(crate) async fn registered() -> Self {
        let person = Self::new();
        let _answer = person.register().await;
        let token = person.mails.nth(&person.email, 1).await.token();
        let proof = json!({ "token": token, "password": person.password });
        let _answer = person.anonymous.post("auth/verify-email", &proof).await.expect_status(204);
        person
    }

    /// Answers as to anybody; the browser's cookie is in the headers.
    pub(crate) async fn register(&self) -> Answer {
        let body = json!({
            "company_name": "Loja da Ana", "name": "Ana", "email": self.email, "password": self.password,
        });
        let answer = self.anonymous.post("auth/register", &body).await.expect_status(202);
        assert_eq!(answer.body, Value::Null);
        answer
    }

    pub(crate) fn credentials(&self) -> Value {
        json!({ "email": self.email, "password": self.password })
    }

    /// The answer to a log-in that succeeds.
    pub(crate) async fn log_in(&self) -> Value {
        self.anonymous.post("auth/login", &self.credentials()).await.expect_status(200).body
    }

    /// A client that is logged in.
    pub(crate) async fn api(&self) -> Api {
        let body = self.log_in().await;
        self.anonymous.with(body["token"].as_str().unwrap())
    }
}

/// A cookie that an answer sets, as `name=value`.
pub(super) fn cookie(answer: &Answer, name: &str) -> String {
    let cookies = answer.headers.get_all("set-cookie");
    let found =
        cookies.iter().filter_map(|value| value.to_str().ok()).find(|cookie| cookie.starts_with(name));
    found.unwrap_or_else(|| panic!("no cookie {name}")).split(';').next().unwrap().to_owned()
}

/// Proves an address in the browser that got `registered`, the answer to a registration.
pub(super) async fn verify(api: &Api, proof: &Value, registered: &Answer) -> Answer {
    let browser = cookie(registered, "__Secure-registration");
    api.send(Method::POST, "auth/verify-email", Some(proof.to_string()), &[("cookie", &browser)]).await
}
