//! Somebody who joins a company by an invitation.

use serde_json::json;
use testkit::{Api, new_word};

use super::person::Person;

pub(crate) struct Colleague {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) password: String,
    /// A client that is logged in.
    pub(crate) api: Api,
}

/// Invites somebody to `owner`'s company; they accept and log in.
pub(crate) async fn invite(owner: &Person, owner_api: &Api, role: &str) -> Colleague {
    let email = format!("{}@example.com", new_word("colega-"));
    let body = json!({ "email": email, "role": role });
    let invitation = owner_api.post("invitations", &body).await.expect_status(201).body;
    assert_eq!(invitation["role"], role);
    let letter = owner.mails.nth(&email, 1).await;
    assert_eq!(letter.subject, "Convite: Loja da Ana na Master IA");
    let password = new_word("minha senha ");
    let acceptance =
        json!({ "token": letter.token(), "name": format!("Colega {role}"), "password": password });
    let anonymous = owner.anonymous.elsewhere();
    let _answer = anonymous.post("invitations/accept", &acceptance).await.expect_status(204);
    let credentials = json!({ "email": email, "password": password });
    let body = anonymous.post("auth/login", &credentials).await.expect_status(200).body;
    let api = anonymous.with(body["token"].as_str().unwrap());
    Colleague { id: body["user"]["id"].as_str().unwrap().to_owned(), email, password, api }
}
