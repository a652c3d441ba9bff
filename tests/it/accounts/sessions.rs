//! What keeps people in, and what throws them out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::sockets::{Listener, Sockets};
use domain::{CompanyId, LoginSessionId};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Api, Cloud, PATIENCE, Socket, eventually};
use tower::ServiceExt as _;

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

/// What a client's token says.
fn claims_of(api: &Api) -> Value {
    let claims = api.credential().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn session_of(api: &Api) -> LoginSessionId {
    LoginSessionId(claims_of(api)["sid"].as_str().unwrap().parse().unwrap())
}

/// Who listens to the company of a client, in no order, once they are so many.
async fn left(person: &Person, api: &Api, expected: usize) -> Vec<Listener> {
    let company = claims_of(api)["company"].as_str().unwrap().parse().unwrap();
    let cloud = Cloud::of(&person.stack).await;
    let sockets = Sockets::new(cloud.aws().clone(), cloud.output("SocketsTableName"));
    eventually(&format!("{expected} to listen"), PATIENCE, async || {
        let sockets = sockets.list_for_company(CompanyId(company)).await.unwrap();
        (sockets.len() == expected).then(|| sockets.into_iter().map(|socket| socket.listener).collect())
    })
    .await
}

fn is_of(listener: &Listener, session: LoginSessionId) -> bool {
    matches!(listener, Listener::Person(_, Some(id)) if *id == session)
}

#[tokio::test]
async fn what_ends_takes_its_sockets_along_and_no_others() {
    let person = Person::registered().await;
    let (laptop, phone) = (person.api().await, person.api().await);
    let key = json!({ "name": "Painel", "permissions": ["read_inbox"] });
    let key = laptop.post("api-keys", &key).await.expect_status(201).body;
    let open = async |credential: &str| Socket::open(&person.stack, credential).await;
    let _sockets = (
        open(laptop.credential().unwrap()).await,
        open(phone.credential().unwrap()).await,
        open(key["key"].as_str().unwrap()).await,
    );
    let (on_laptop, on_phone) = (session_of(&laptop), session_of(&phone));
    assert_eq!(left(&person, &laptop, 3).await.len(), 3);

    let path = format!("auth/sessions/{}", on_phone.0);
    let _answer = laptop.send(Method::DELETE, &path, None, &[]).await.expect_status(204);
    // No process has to forget it first.
    let query = format!("?token={}", phone.credential().unwrap());
    assert!(Socket::refusal(&person.stack, &query).await.is_some());
    let listening = left(&person, &laptop, 2).await;
    assert!(!listening.iter().any(|listener| is_of(listener, on_phone)), "{listening:?}");

    let path = format!("api-keys/{}", key["id"].as_str().unwrap());
    let _answer = laptop.send(Method::DELETE, &path, None, &[]).await.expect_status(204);
    let listening = left(&person, &laptop, 1).await;
    assert!(is_of(&listening[0], on_laptop), "{listening:?}");

    let _answer = laptop.post("auth/logout", &json!({})).await.expect_status(204);
    assert!(left(&person, &laptop, 0).await.is_empty());
}

#[tokio::test]
async fn a_replay_and_a_new_password_cut_sockets_too() {
    let person = Person::registered().await;
    let stolen = person.log_in().await;
    let _socket = Socket::open(&person.stack, stolen["token"].as_str().unwrap()).await;
    let api = person.api().await;
    let _other = Socket::open(&person.stack, api.credential().unwrap()).await;
    assert_eq!(left(&person, &api, 2).await.len(), 2);
    let renew = refresh_body(&stolen);
    let _answer = person.anonymous.post("auth/refresh", &renew).await.expect_status(200);
    let _problem = person.anonymous.post("auth/refresh", &renew).await.expect_problem(401, "unauthenticated");
    let listening = left(&person, &api, 1).await;
    assert!(is_of(&listening[0], session_of(&api)), "{listening:?}");

    let address = json!({ "email": person.email });
    let _answer = person.anonymous.post("auth/forgot-password", &address).await.expect_status(202);
    let reset =
        json!({ "token": person.mails.nth(&person.email, 2).await.token(), "password": person.password });
    let _answer = person.anonymous.post("auth/reset-password", &reset).await.expect_status(204);
    assert!(left(&person, &api, 0).await.is_empty());
}

#[tokio::test]
async fn who_cannot_be_asked_about_is_not_logged_out() {
    let person = Person::registered().await;
    let api = person.api().await;
    let cloud = Cloud::of(&person.stack).await;
    let now = chrono::DateTime::from_timestamp(testkit::now_seconds(), 0).unwrap();
    // It knows the token's key and no database.
    let app = super::tokens::app_at(&cloud, "local", cloud.output("TokenKeySecretArn"), now);
    let router = runtime::http::finish(api::serve(api::auth::router()), app);
    let request = axum::extract::Request::post("/api/v1/auth/logout")
        .header("authorization", format!("Bearer {}", api.credential().unwrap()))
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 500);
    let _answer = api.get("auth/me").await.expect_status(200);
}

#[tokio::test]
async fn a_refresh_token_outlives_what_makes_the_next_impossible() {
    let person = Person::registered().await;
    let first = person.log_in().await;
    let cloud = Cloud::of(&person.stack).await;
    // It knows the database and no key to sign with.
    let app = cloud.app(&person.stack);
    let token = first["refresh_token"].as_str().unwrap().into();
    assert!(app::auth::log_in::refresh(&app, &app::auth::Client::default(), &token).await.is_err());
    let _answer = person.anonymous.post("auth/refresh", &refresh_body(&first)).await.expect_status(200);
}

#[tokio::test]
async fn another_sites_page_logs_nobody_in() {
    let person = Person::registered().await;
    let credentials = person.credentials().to_string();
    let log_in = async |headers: &[(&str, &str)]| {
        person.anonymous.send(Method::POST, "auth/login", Some(credentials.clone()), headers).await
    };
    // What a form can send, with words that are JSON.
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json"] {
        let form = log_in(&[("content-type", media_type)]).await;
        let problem = form.expect_problem(415, "unsupported_media_type");
        assert!(problem["detail"].as_str().unwrap().contains("Content-Type: application/json"), "{problem}");
    }
    for foreign in [("origin", "https://mal.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let _problem = log_in(&[foreign]).await.expect_problem(403, "forbidden");
        for path in [
            "auth/register",
            "auth/verify-email",
            "auth/refresh",
            "auth/logout",
            "auth/reset-password",
            "invitations/accept",
        ] {
            let body = Some("{}".to_owned());
            let answer = person.anonymous.send(Method::POST, path, body, &[foreign]).await;
            assert_eq!(answer.status, 403, "{path} {foreign:?}: {}", answer.body);
        }
    }
    let ours = person.stack.origin();
    for own in [("origin", ours.as_str()), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")] {
        let _answer = log_in(&[own]).await.expect_status(200);
    }
    let _answer = log_in(&[("content-type", "application/json; charset=utf-8")]).await.expect_status(200);
    // Nothing to say of nothing.
    let _answer = person.anonymous.send(Method::POST, "auth/logout", None, &[]).await.expect_status(204);
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
