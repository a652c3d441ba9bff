//! The same key makes the same message, once.

use futures::future::join_all;
use testkit::new_word;

use crate::inbox::Inbox;

#[tokio::test]
async fn sixteen_at_once_make_one_message() {
    let inbox = Inbox::open(false).await;
    let key = new_word("chave-");
    let body = inbox.text("Uma vez só");
    let answers = join_all((0..16).map(|_| inbox.tenant.api.post_once("messages", &key, &body))).await;
    let ids: std::collections::BTreeSet<String> = answers
        .into_iter()
        .map(|answer| answer.expect_status(202).body["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let id = ids.first().unwrap();
    inbox.reaches(id, &["read"]).await;
    assert_eq!(inbox.sandbox.accepted(id).await, 1);
    assert_eq!(inbox.messages().await.len(), 2, "the customer's and ours");
    let later = inbox.tenant.api.post_once("messages", &key, &body).await.expect_status(202);
    assert_eq!(later.body["id"], id.as_str(), "long after, too");
    assert_eq!(later.body["status"], "read", "as it is now");
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let inbox = Inbox::open(false).await;
    let key = new_word("chave-");
    let _first = inbox.tenant.api.post_once("messages", &key, &inbox.text("Um")).await.expect_status(202);
    let answer = inbox.tenant.api.post_once("messages", &key, &inbox.text("Dois")).await;
    insta::assert_json_snapshot!("idempotency_key_reused", answer.body);
    let _problem = answer.expect_problem(409, "idempotency_key_reused");
    let too_long = "k".repeat(256);
    let problem = inbox.tenant.api.post_once("messages", &too_long, &inbox.text("Três")).await;
    let problem = problem.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "Idempotency-Key");
    assert_eq!(inbox.messages().await.len(), 2);
}
