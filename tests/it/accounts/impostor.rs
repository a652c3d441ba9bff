//! Somebody registers an address that is not theirs, and waits for its owner to prove it.

use serde_json::{Value, json};

use super::oauth::{Account, location, me, through};
use super::person::{Person, verify};

/// Whose mailbox it is; Ana is who registered it.
fn owner_of(impostor: &Person) -> Person {
    let anonymous = impostor.anonymous.elsewhere();
    Person { email: impostor.email.clone(), anonymous, ..Person::new() }
}

/// The token of the first mail that came.
async fn first_token(person: &Person) -> String {
    person.mails.nth(&person.email, 1).await.token()
}

async fn is_out(person: &Person) {
    let login = person.anonymous.post("auth/login", &person.credentials()).await;
    let _problem = login.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_link_that_was_followed_by_mistake_opens_nothing() {
    let impostor = Person::new();
    let _answer = impostor.register().await;
    let bia = owner_of(&impostor);
    let token = first_token(&bia).await;
    for proof in [json!({ "token": token }), json!({ "token": token, "password": bia.password })] {
        let followed = bia.anonymous.post("auth/verify-email", &proof).await;
        let _problem = followed.expect_problem(409, "registration_unproved");
    }
    let login = impostor.anonymous.post("auth/login", &impostor.credentials()).await;
    let _problem = login.expect_problem(409, "email_not_verified");
    // A password that the mailbox's owner chooses is the only one from then on.
    let address = json!({ "email": bia.email });
    let _answer = bia.anonymous.post("auth/forgot-password", &address).await.expect_status(202);
    let reset = json!({ "token": bia.mails.nth(&bia.email, 2).await.token(), "password": bia.password });
    let _answer = bia.anonymous.post("auth/reset-password", &reset).await.expect_status(204);
    is_out(&impostor).await;
    assert_eq!(bia.log_in().await["user"]["email"], json!(bia.email));
}

#[tokio::test]
async fn registering_over_somebody_proves_nothing() {
    let bia = Person::new();
    let registered = bia.register().await;
    let first = first_token(&bia).await;
    let impostor = owner_of(&bia);
    let overwritten = impostor.register().await;
    let second = bia.mails.nth(&bia.email, 2).await.token();
    // Her link is void, and the one of the other registration is not hers to use, nor theirs to see.
    let stale = verify(&bia.anonymous, &json!({ "token": first }), &registered).await;
    let _problem = stale.expect_problem(409, "token_invalid");
    let foreign = verify(&bia.anonymous, &json!({ "token": second }), &registered).await;
    let _problem = foreign.expect_problem(409, "registration_unproved");
    // Registering once more makes it hers.
    let registered = bia.register().await;
    let proof = json!({ "token": bia.mails.nth(&bia.email, 3).await.token() });
    let theirs = verify(&impostor.anonymous, &proof, &overwritten).await;
    let _problem = theirs.expect_problem(409, "registration_unproved");
    let _answer = verify(&bia.anonymous, &proof, &registered).await.expect_status(204);
    is_out(&impostor).await;
    let body = bia.log_in().await;
    assert_eq!(body["companies"].as_array().unwrap().len(), 1, "{body}");
}

#[tokio::test]
async fn an_invitation_makes_the_account_its_receivers() {
    let owner = Person::registered().await;
    let impostor = Person::new();
    let account = Account::make(&impostor, "facebook", json!({ "email": impostor.email })).await;
    let _mail_sent = through(&impostor.anonymous, &account, "", &[]).await;
    let _mail = first_token(&impostor).await;
    let _answer = impostor.register().await;
    let bia = owner_of(&impostor);
    let _mail = bia.mails.nth(&bia.email, 2).await;
    let invitation = json!({ "email": bia.email, "role": "agent" });
    let _answer = owner.api().await.post("invitations", &invitation).await.expect_status(201);
    let token = bia.mails.nth(&bia.email, 3).await.token();
    let nameless = bia.anonymous.post("invitations/accept", &json!({ "token": token })).await;
    assert_eq!(nameless.expect_problem(422, "invalid")["errors"][0]["field"], "name");
    let acceptance = json!({ "token": token, "name": "Bia", "password": bia.password });
    let _answer = bia.anonymous.post("invitations/accept", &acceptance).await.expect_status(204);
    is_out(&impostor).await;
    let refused = through(&impostor.anonymous, &account, "", &[]).await;
    assert!(location(&refused).ends_with("/login?notice=verify_email"), "{}", location(&refused));
    assert!(
        !refused.headers.get_all("set-cookie").iter().any(|it| it.to_str().unwrap().contains("session="))
    );
    let body = bia.log_in().await;
    assert_eq!(body["user"]["name"], "Bia");
    let roles: Vec<&Value> = body["companies"].as_array().unwrap().iter().map(|c| &c["role"]).collect();
    assert_eq!(roles, [&json!("agent")], "the impostor's company is none of hers");
    // Which the company's own log says, though nobody is left to read it.
    let told: Vec<Value> = sqlx::query_scalar(
        "SELECT a.detail FROM audit_log a JOIN memberships m ON m.company_id = a.company_id AND m.user_id = a.object_id
         WHERE m.user_id = $1 AND m.deactivated_at IS NOT NULL AND a.action = 'member.deactivated'",
    )
    .bind(body["user"]["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap())
    .fetch_all(&owner.stack.admin())
    .await
    .unwrap();
    assert_eq!(told, [json!({ "reason": "account_claimed" })]);
}

#[tokio::test]
async fn who_runs_the_mailbox_gives_the_account_to_its_owner() {
    let impostor = Person::new();
    let _answer = impostor.register().await;
    let bia = owner_of(&impostor);
    let about = json!({ "email": bia.email, "email_verified": true, "hosted_domain": "example.com" });
    let account = Account::make(&bia, "google", about).await;
    let entered = through(&bia.anonymous, &account, "", &[]).await;
    let body = me(&bia.anonymous, &entered).await;
    assert_eq!((&body["user"]["email"], &body["user"]["name"]), (&json!(bia.email), &json!("Ana Souza")));
    is_out(&impostor).await;
    // The link that the impostor caused is void.
    let proof = json!({ "token": first_token(&bia).await, "password": impostor.password });
    let followed = bia.anonymous.post("auth/verify-email", &proof).await;
    let _problem = followed.expect_problem(409, "token_invalid");
    let _again = through(&bia.anonymous, &account, "", &[]).await;
    assert_eq!(bia.mails.all(&bia.email).await.len(), 1);
}
