//! What keeps people in, and what throws them out.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Api, PATIENCE, eventually};

use super::person::Person;

fn refresh_body(logged_in: &Value) -> Value {
    json!({ "refresh_token": logged_in["refresh_token"] })
}

async fn is_out(api: &Api) {
    eventually("a session to be over", PATIENCE, async || {
        let answer = api.get("auth/me").await;
        (answer.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_replay_ends_the_session() {
    let person = Person::registered().await;
    let api = &person.anonymous;
    let first = person.log_in().await;
    let second = api.post("auth/refresh", &refresh_body(&first)).await.expect_status(200).body;
    let third = api.post("auth/refresh", &refresh_body(&second)).await.expect_status(200).body;
    let me = api.with(third["token"].as_str().unwrap());
    let _answer = me.get("auth/me").await.expect_status(200);

    let replayed = api.post("auth/refresh", &refresh_body(&first)).await;
    let _problem = replayed.expect_problem(401, "unauthenticated");
    let newest = api.post("auth/refresh", &refresh_body(&third)).await;
    let _problem = newest.expect_problem(401, "unauthenticated");
    is_out(&me).await;
    // Another device is not concerned.
    let _body = person.log_in().await;
}

#[tokio::test]
async fn of_many_at_once_one_refresh_passes() {
    let person = Person::registered().await;
    let body = refresh_body(&person.log_in().await);
    let tries = (0..8).map(|_| person.anonymous.post("auth/refresh", &body));
    let passed = futures::future::join_all(tries).await.into_iter().filter(|answer| answer.status == 200);
    assert_eq!(passed.count(), 1);
}

#[tokio::test]
async fn one_sees_and_ends_ones_sessions() {
    let person = Person::registered().await;
    let laptop = person.api().await;
    let phone = person.api().await;
    let sessions = laptop.get("auth/sessions").await.expect_status(200).body;
    let sessions = sessions["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    assert!(sessions.iter().all(|session| session["ip"].as_str().unwrap().starts_with("127.")));
    let id = sessions[0]["id"].as_str().unwrap();
    let path = format!("auth/sessions/{id}");
    let _answer = laptop.send(Method::DELETE, &path, None, &[]).await.expect_status(204);
    let _problem = laptop.send(Method::DELETE, &path, None, &[]).await.expect_problem(404, "not_found");
    is_out(&phone).await;
    let _answer = laptop.get("auth/me").await.expect_status(200);

    let stranger = Person::registered().await;
    let theirs = laptop.get("auth/sessions").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("auth/sessions/{theirs}");
    let denied = stranger.api().await.send(Method::DELETE, &path, None, &[]).await;
    let _problem = denied.expect_problem(404, "not_found");
}

#[tokio::test]
async fn cookies_work_from_our_own_pages_only() {
    let person = Person::registered().await;
    let body = person.log_in().await;
    let session = format!("__Host-session={}", body["token"].as_str().unwrap());
    let refresh = format!("__Secure-refresh={}", body["refresh_token"].as_str().unwrap());
    let ours = person.stack.origin();
    let rename = json!({ "name": "Loja Nova" }).to_string();
    let patch = async |headers: &[(&str, &str)]| {
        person.anonymous.send(Method::PATCH, "company", Some(rename.clone()), headers).await
    };
    let _problem = patch(&[("cookie", &session)]).await.expect_problem(403, "forbidden");
    let foreign = patch(&[("cookie", &session), ("origin", "https://mal.example")]).await;
    let _problem = foreign.expect_problem(403, "forbidden");
    let _answer = patch(&[("cookie", &session), ("origin", &ours)]).await.expect_status(200);
    let _answer = patch(&[("cookie", &session), ("sec-fetch-site", "same-origin")]).await.expect_status(200);
    let reads = person.anonymous.send(Method::GET, "company", None, &[("cookie", &session)]).await;
    assert_eq!(reads.expect_status(200).body["name"], "Loja Nova");

    let renew = async |headers: &[(&str, &str)]| {
        person.anonymous.send(Method::POST, "auth/refresh", None, headers).await
    };
    let foreign = renew(&[("cookie", &refresh), ("origin", "https://mal.example")]).await;
    let _problem = foreign.expect_problem(403, "forbidden");
    let renewed = renew(&[("cookie", &refresh), ("origin", &ours)]).await.expect_status(200);
    let cookies: Vec<_> = renewed.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap()).collect();
    assert!(cookies.iter().any(|cookie| cookie.starts_with("__Host-session=") && cookie.contains("Path=/;")));
    assert!(
        cookies.iter().any(|cookie| cookie.starts_with("__Secure-refresh=") && cookie.contains("HttpOnly"))
    );
}
