//! Answers of every group of routes, good and bad, as snapshots: programs of others depend on each word.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Api, Stack};

use crate::inbox::{Inbox, redacted};

/// What must stay the same about an answer. `detail` is for people, and may change.
fn shape(answer: &Answer) -> Value {
    json!({ "status": answer.status, "content_type": answer.content_type, "body": redacted(&answer.body) })
}

#[tokio::test]
async fn what_a_log_in_answers() {
    let stack = Stack::load();
    // Log-ins that fail count against their address, from which other tests log in.
    let anonymous = Api::anonymous(&stack).elsewhere();
    let demo = &stack.demo;
    let good = json!({ "email": demo.email, "password": demo.password });
    let answer = anonymous.post("auth/login", &good).await.expect_status(200);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["__Host-session=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=900"] {
        assert!(
            cookie.contains(part),
            "{part} in {}",
            cookie.replace(answer.body["token"].as_str().unwrap(), "…")
        );
    }
    let me = anonymous.with(answer.body["token"].as_str().unwrap()).get("auth/me").await.expect_status(200);
    insta::assert_json_snapshot!("auth_me", shape(&me));
    let mut body = answer.body.clone();
    assert!(body["token"].take().as_str().unwrap().split('.').count() == 3, "a JWT");
    assert!(body["refresh_token"].take().as_str().unwrap().starts_with("mir_"));
    insta::assert_json_snapshot!("auth_login", redacted(&body));

    let wrong = json!({ "email": demo.email, "password": "errada" });
    let unknown = json!({ "email": "ninguem@example.com", "password": "errada" });
    let (wrong, unknown) =
        (anonymous.post("auth/login", &wrong).await, anonymous.post("auth/login", &unknown).await);
    insta::assert_json_snapshot!("auth_login_wrong", shape(&wrong));
    assert_eq!(shape(&wrong), shape(&unknown), "nobody learns which addresses exist");
    let missing = anonymous.post("auth/login", &json!({ "email": demo.email })).await;
    insta::assert_json_snapshot!("auth_login_missing_field", shape(&missing));
    let no_json = anonymous.send(Method::POST, "auth/login", Some("{".to_owned()), &[]).await;
    insta::assert_json_snapshot!("auth_login_no_json", shape(&no_json));
    let out = anonymous.post("auth/logout", &json!({})).await.expect_status(204);
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let key = anonymous.with(&demo.api_key).get("auth/me").await;
    insta::assert_json_snapshot!("auth_me_with_api_key", shape(&key));
}

#[tokio::test]
async fn a_browsers_cookie_is_a_credential() {
    let stack = Stack::load();
    let api = Api::log_in(&stack, &stack.demo.email, &stack.demo.password).await;
    let cookie = format!("a=b; __Host-session={}", api.credential().unwrap());
    let answer = Api::anonymous(&stack).send(Method::GET, "auth/me", None, &[("cookie", &cookie)]).await;
    assert_eq!(answer.expect_status(200).body["user"]["email"], stack.demo.email.as_str());
}

#[tokio::test]
async fn what_the_inbox_answers() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let message = inbox.messages().await.remove(0);
    let session_id = message["session_id"].as_str().unwrap();
    let message_id = message["id"].as_str().unwrap();
    let found = [
        ("contact", format!("contacts/{}", inbox.contact_id)),
        ("conversation", format!("conversations/{}", inbox.conversation_id)),
        ("message", format!("messages/{message_id}")),
        ("session", format!("sessions/{session_id}")),
        ("session_ai_status", format!("sessions/{session_id}/ai-status")),
        ("session_by_contact", format!("sessions/by-contact/{}", inbox.contact_id)),
        ("contacts", "contacts".to_owned()),
        ("conversations", "conversations".to_owned()),
        ("messages", "messages".to_owned()),
        ("sessions", "sessions".to_owned()),
        ("conversation_messages", format!("conversations/{}/messages", inbox.conversation_id)),
        ("session_messages", format!("sessions/{session_id}/messages")),
    ];
    for (name, path) in found {
        let answer = api.get(&path).await.expect_status(200);
        insta::assert_json_snapshot!(name, plain(&inbox, &message, &answer));
    }
    let read = api
        .post(&format!("conversations/{}/read", inbox.conversation_id), &json!({}))
        .await
        .expect_status(200);
    assert_eq!(read.body["unread_count"], 0);
}

/// An answer without what differs from customer to customer.
fn plain(inbox: &Inbox, message: &Value, answer: &Answer) -> Value {
    let phone = domain::phone::canonical_from_wa_id(&inbox.wa_id).unwrap();
    let text = redacted(&answer.body).to_string();
    let mut text = text.replace(&phone, "[phone]").replace(&inbox.wa_id, "[wa_id]");
    for name in ["text", "provider_message_id", "occurred_at"] {
        text = text.replace(message[name].as_str().unwrap(), &format!("[{name}]"));
    }
    let mut body: Value = serde_json::from_str(&text).unwrap();
    hide_windows(&mut body);
    body
}

fn hide_windows(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if ["last_inbound_at", "window_expires_at"].contains(&name.as_str()) && value.is_string() {
                    *value = json!("[time]");
                }
                hide_windows(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_windows),
        _ => {}
    }
}

#[tokio::test]
async fn what_cannot_be_found_is_404() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let unknown = testkit::new_id();
    let paths = [
        format!("contacts/{unknown}"),
        format!("conversations/{unknown}"),
        format!("conversations/{unknown}/messages"),
        format!("messages/{unknown}"),
        format!("sessions/{unknown}"),
        format!("sessions/{unknown}/messages"),
        format!("sessions/{unknown}/ai-status"),
        format!("sessions/by-contact/{unknown}"),
        "contacts/nao-e-um-id".to_owned(),
    ];
    for path in paths {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        let _problem = answer.expect_problem(404, "not_found");
    }
    let problem = api.get(&format!("contacts/{unknown}")).await;
    insta::assert_json_snapshot!("not_found", shape(&problem));
    for path in [format!("messages/{unknown}/retry"), format!("conversations/{unknown}/read")] {
        let _problem = api.post(&path, &json!({})).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_problem_is_told_in_the_language_that_is_asked_for() {
    let inbox = Inbox::open(false).await;
    let asks = async |path: &str, languages: &str| {
        inbox.tenant.api.send(Method::GET, path, None, &[("accept-language", languages)]).await
    };
    for (path, status) in
        [(format!("contacts/{}", testkit::new_id()), 404), ("contacts?limit=0".to_owned(), 422)]
    {
        let english = asks(&path, "en-US, pt;q=0.5").await;
        let portuguese = asks(&path, "pt-BR, en;q=0.5").await;
        assert_eq!((english.status, portuguese.status), (status, status));
        assert_eq!(english.headers["content-language"], "en");
        assert_eq!(portuguese.headers["content-language"], "pt-BR");
        assert_eq!(portuguese.headers["content-type"], "application/problem+json");
        assert_eq!(english.body["code"], portuguese.body["code"], "programs go by the code");
        insta::assert_json_snapshot!(format!("in_portuguese_{status}"), portuguese.body);
    }
    let unknown = inbox.tenant.api.send(Method::GET, "nada", None, &[("accept-language", "pt")]).await;
    assert_eq!(unknown.body["detail"], "rota inexistente");
}

#[tokio::test]
async fn another_method_is_told_which_there_are() {
    let stack = Stack::load();
    let api = Api::anonymous(&stack);
    for (method, path, allow) in [
        (Method::PUT, "contacts".to_owned(), "GET,HEAD,POST"),
        (Method::DELETE, "messages".to_owned(), "GET,HEAD,POST"),
        (Method::GET, format!("messages/{}/retry", testkit::new_id()), "POST"),
        (Method::PUT, format!("departments/{}", testkit::new_id()), "GET,HEAD,PATCH,DELETE"),
        (Method::GET, "auth/login".to_owned(), "POST"),
        (Method::POST, "health".to_owned(), "GET,HEAD"),
    ] {
        let answer = api.send(method.clone(), &path, None, &[]).await;
        assert_eq!(
            answer.headers.get("allow").map(|it| it.to_str().unwrap()),
            Some(allow),
            "{method} {path}"
        );
        let _problem = answer.expect_problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn what_is_no_object_is_no_body() {
    let stack = Stack::load();
    let api = Api::anonymous(&stack).elsewhere();
    let in_order = json!([stack.demo.email, stack.demo.password]);
    let problem = api.post("auth/login", &in_order).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0], json!({ "field": "body", "message": "must be an object" }));
    let extra = json!({ "email": stack.demo.email, "password": stack.demo.password, "otp": "1" });
    let problem = api.post("auth/login", &extra).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "otp");
}

#[tokio::test]
async fn an_unknown_route_is_a_problem_too() {
    let stack = Stack::load();
    let api = Api::anonymous(&stack);
    for path in ["nothing", "messages/1/2/3", "/nothing-here", "/api/v2/contacts"] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        let _problem = answer.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let into = |fields: Value| {
        let mut body = json!({ "conversation_id": inbox.conversation_id, "type": "text", "text": "Oi" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let wrong = [
        ("text", into(json!({ "text": "" }))),
        ("text", into(json!({ "text": "a".repeat(4_097) }))),
        ("text", into(json!({ "text": "com\u{0}nulo" }))),
        ("author", into(json!({ "author": "CUSTOMER" }))),
        ("type", into(json!({ "type": "hologram" }))),
        ("type", into(json!({ "type": "order" }))),
        ("media_id", into(json!({ "type": "sticker" }))),
        ("conversation_id", json!({ "type": "text", "text": "Oi" })),
        ("conversation_id", into(json!({ "conversation_id": "x" }))),
        (
            "conversation_id",
            into(json!({ "contact_id": inbox.contact_id, "connection_id": inbox.tenant.connection_id })),
        ),
        ("reaction.message_id", into(json!({ "type": "reaction", "reaction": { "emoji": "👍" } }))),
    ];
    for (field, body) in wrong {
        let problem = api.post("messages", &body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let longest = api.post("messages", &into(json!({ "text": "á".repeat(4_096) }))).await;
    assert_eq!(longest.status, 202, "4,096 characters are allowed: {}", longest.body);
    let answer = api.post("messages", &into(json!({ "text": "" }))).await;
    insta::assert_json_snapshot!("invalid_text", shape(&answer));
    for (path, field) in
        [("contacts?limit=0", "limit"), ("contacts?limit=101", "limit"), ("contacts?cursor=x", "cursor")]
    {
        let problem = api.get(path).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{path}");
    }
    // A list's cursor is good nowhere else.
    let text = into(json!({ "text": "Segunda" }));
    let _answer = api.post("messages", &text).await.expect_status(202);
    let page = api.get("messages?limit=1").await.expect_status(200).body;
    let cursor = page["next_cursor"].as_str().expect("another page");
    let _answer = api.get(&format!("messages?cursor={cursor}")).await.expect_status(200);
    for list in [
        "contacts".to_owned(),
        "sessions".to_owned(),
        format!("conversations/{}/messages", inbox.conversation_id),
    ] {
        let problem = api.get(&format!("{list}?cursor={cursor}")).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "cursor", "{list}");
    }
    // What is not known does nothing, and whoever asks for it would take everything for what was asked for.
    for (path, field) in [
        ("sessions?status=NEVER", "status"),
        ("conversations?status=never", "status"),
        ("conversations?assignee_id=1", "assignee_id"),
        ("conversations?contact_id=1", "contact_id"),
        ("contacts?query=Ana", "query"),
        ("contacts?q=-", "q"),
        ("contacts?phone=ana", "phone"),
        ("contacts?opted_out=maybe", "opted_out"),
        ("contacts?created_from=ontem", "created_from"),
        ("contacts?created_from=2026-02-01T00:00:00Z&created_to=2026-01-01T00:00:00Z", "created_to"),
        ("audit-log?actor_id=1", "actor_id"),
        ("contacts?limit=abc", "limit"),
        ("conversations?unread=maybe", "unread"),
        ("conversations?connection_id=1", "connection_id"),
        ("conversations?status=%00", "status"),
        ("sessions?tag=%00", "tag"),
    ] {
        let problem = api.get(path).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
    }
    for path in ["conversations?status=open&unread=true&include_groups=true", "conversations?status=closed"] {
        let _answer = api.get(path).await.expect_status(200);
    }
}
