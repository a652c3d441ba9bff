//! What people were written: the mails that the emulator's SES took.

use serde_json::Value;

use crate::{PATIENCE, Stack, eventually};

/// The mails of a stack.
#[derive(Clone, Debug)]
pub struct Mailbox {
    http: reqwest::Client,
    url: String,
}

/// One mail.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

impl Mailbox {
    /// That of a stack.
    pub fn of(stack: &Stack) -> Self {
        let url = format!("{}/_ministack/ses/messages", stack.aws_endpoint_url);
        Self { http: crate::http_client(), url }
    }

    /// Every mail to an address, oldest first.
    ///
    /// # Panics
    /// When the emulator does not tell.
    pub async fn all(&self, to: &str) -> Vec<Letter> {
        let answer = self.http.get(&self.url).send().await.expect("the emulator answers");
        let body: Value = answer.json().await.expect("JSON");
        let accounts = body["messages"].as_object().expect("mails by account");
        let mails = accounts.values().filter_map(Value::as_array).flatten();
        mails
            .filter(|mail| mail["To"].as_array().is_some_and(|to_all| to_all.iter().any(|one| one == to)))
            .map(|mail| Letter {
                subject: mail["Subject"].as_str().unwrap_or_default().to_owned(),
                text: mail["BodyText"].as_str().unwrap_or_default().to_owned(),
                html: mail["BodyHtml"].as_str().unwrap_or_default().to_owned(),
            })
            .collect()
    }

    /// The newest mail to an address, once there are as many.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn nth(&self, to: &str, count: usize) -> Letter {
        eventually(&format!("mail {count} to {to}"), PATIENCE, async || {
            let mut letters = self.all(to).await;
            (letters.len() >= count).then(|| letters.remove(count - 1))
        })
        .await
    }
}

impl Letter {
    /// The token of its link.
    ///
    /// # Panics
    /// When it has none.
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("#token=").expect("a link with a token");
        rest.split_whitespace().next().expect("a token").to_owned()
    }
}
