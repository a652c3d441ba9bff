//! The lists of a company's people and keys, one by one and page by page.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Api, PATIENCE, eventually, new_word};

use super::colleague::invite;
use super::person::Person;

async fn remove(api: &Api, path: &str) -> Answer {
    api.send(Method::DELETE, path, None, &[]).await
}

async fn change(api: &Api, path: &str, change: &Value) -> Answer {
    api.send(Method::PATCH, path, Some(change.to_string()), &[]).await
}

#[tokio::test]
async fn a_page_holds_what_comes_behind_the_one_before() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let names = ["Ágora", "arquivo", "Compras", "compras internas", "Vendas"];
    for name in names {
        let _made = api.post("departments", &json!({ "name": name })).await.expect_status(201);
    }
    for number in 0..3 {
        let key = json!({ "name": format!("Chave {number}"), "permissions": ["read_inbox"] });
        let _made = api.post("api-keys", &key).await.expect_status(201);
        let email = format!("{}@example.com", new_word("convite-"));
        let _made =
            api.post("invitations", &json!({ "email": email, "role": "agent" })).await.expect_status(201);
    }
    for list in ["departments", "api-keys", "invitations", "members"] {
        let whole = api.get(list).await.expect_status(200).body;
        assert_eq!(whole["next_cursor"], Value::Null, "{list}");
        assert_eq!(json!(api.all(list, 1).await), whole["items"], "{list}");
        let problem = api.get(&format!("{list}?cursor=nada")).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "cursor");
    }
    let first = api.get("departments?limit=2").await.expect_status(200).body;
    let other = format!("members?cursor={}", first["next_cursor"].as_str().unwrap());
    let _problem = api.get(&other).await.expect_problem(422, "invalid");
}

#[tokio::test]
async fn the_same_key_makes_the_same_thing_once() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let email = format!("{}@example.com", new_word("convite-"));
    for (path, body, other) in [
        ("departments", json!({ "name": "Vendas" }), json!({ "name": "Compras" })),
        (
            "invitations",
            json!({ "email": email, "role": "agent" }),
            json!({ "email": email, "role": "viewer" }),
        ),
    ] {
        let key = new_word("chave-");
        let first = api.post_once(path, &key, &body).await.expect_status(201).body;
        let again = api.post_once(path, &key, &body).await.expect_status(201).body;
        assert_eq!(again["id"], first["id"]);
        let _problem = api.post_once(path, &key, &other).await.expect_problem(409, "idempotency_key_reused");
        assert_eq!(api.get(path).await.body["items"].as_array().unwrap().len(), 1, "{path}");
    }
    let key = new_word("chave-");
    let body = json!({ "name": "ERP", "permissions": ["read_inbox"] });
    let _made = api.post_once("api-keys", &key, &body).await.expect_status(201);
    let _problem = api.post_once("api-keys", &key, &body).await.expect_problem(409, "shown_once");
    assert_eq!(api.get("api-keys").await.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_invitation_is_found_while_it_is_open() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let body = json!({ "email": format!("{}@example.com", new_word("bia-")), "role": "agent" });
    let made = api.post("invitations", &body).await.expect_status(201).body;
    let path = format!("invitations/{}", made["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await.expect_status(200).body, made);
    let _answer = remove(&api, &path).await.expect_status(204);
    let _problem = api.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_key_is_changed_by_who_holds_what_it_holds() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let new = json!({ "name": "ERP", "permissions": ["read_inbox", "manage_company"] });
    let made = api.post("api-keys", &new).await.expect_status(201).body;
    let path = format!("api-keys/{}", made["id"].as_str().unwrap());
    let found = api.get(&path).await.expect_status(200).body;
    assert_eq!((&found["name"], &found["hint"]), (&json!("ERP"), &made["hint"]));
    assert_eq!(found.get("key"), None, "it is shown once");
    let patch = json!({
        "name": "Loja", "permissions": ["read_company"], "expires_at": "2100-01-01T00:00:00Z",
    });
    let changed = change(&api, &path, &patch).await.expect_status(200).body;
    assert_eq!(changed["name"], "Loja");
    assert_eq!(changed["permissions"], json!(["read_company"]));
    assert_eq!(changed["expires_at"], "2100-01-01T00:00:00Z");
    let key = owner.anonymous.with(made["key"].as_str().unwrap());
    eventually("the key to hold what it was given", PATIENCE, async || {
        let may = key.get("company").await.status == 200 && key.get("contacts").await.status == 403;
        may.then_some(())
    })
    .await;
    let forever = change(&api, &path, &json!({ "expires_at": null })).await.expect_status(200).body;
    assert_eq!((&forever["expires_at"], &forever["name"]), (&Value::Null, &json!("Loja")));
    for (patch, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "permissions": [] }), "permissions"),
        (json!({ "permissions": ["transfer_ownership"] }), "permissions"),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), "expires_at"),
    ] {
        let problem = change(&api, &path, &patch).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    // One that manages keys and holds nothing else reaches neither this one nor further itself.
    let narrow = json!({ "name": "Chaveiro", "permissions": ["manage_api_keys"] });
    let narrow = api.post("api-keys", &narrow).await.expect_status(201).body;
    let keeper = owner.anonymous.with(narrow["key"].as_str().unwrap());
    let _problem =
        change(&keeper, &path, &json!({ "expires_at": null })).await.expect_problem(403, "forbidden");
    let own = format!("api-keys/{}", narrow["id"].as_str().unwrap());
    let wider = json!({ "permissions": ["manage_api_keys", "read_inbox"] });
    let _problem = change(&keeper, &own, &wider).await.expect_problem(403, "forbidden");
    let _answer = remove(&api, &path).await.expect_status(204);
    assert_ne!(api.get(&path).await.expect_status(200).body["revoked_at"], Value::Null);
    let _problem = change(&api, &path, &patch).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn who_is_taken_out_leaves_what_they_did() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let agent = invite(&owner, &api, "agent").await;
    let path = format!("members/{}", agent.id);
    let found = api.get(&path).await.expect_status(200).body;
    assert_eq!((&found["role"], &found["email"]), (&json!("agent"), &json!(agent.email)));
    let department = json!({ "name": "Vendas", "member_ids": [agent.id] });
    let department = api.post("departments", &department).await.expect_status(201).body;
    let _problem = remove(&agent.api, &path).await.expect_problem(403, "forbidden");
    let _answer = remove(&api, &path).await.expect_status(204);
    let _problem = api.get(&path).await.expect_problem(404, "not_found");
    let _problem = remove(&api, &path).await.expect_problem(404, "not_found");
    let department = format!("departments/{}", department["id"].as_str().unwrap());
    assert_eq!(api.get(&department).await.expect_status(200).body["member_ids"], json!([]));
    eventually("the token of who is gone to end", PATIENCE, async || {
        (agent.api.get("company").await.status == 401).then_some(())
    })
    .await;
    let log = api.get(&format!("audit-log?object_id={}", agent.id)).await.expect_status(200).body;
    assert_eq!(log["items"][0]["action"], "member.removed");
    assert_eq!(log["items"][0]["detail"]["email"], agent.email);
    let me = api.get("auth/me").await.expect_status(200).body;
    let own = format!("members/{}", me["user"]["id"].as_str().unwrap());
    let _problem = remove(&api, &own).await.expect_problem(403, "forbidden");
    // And may come back.
    let again = json!({ "email": agent.email, "role": "viewer" });
    let _answer = api.post("invitations", &again).await.expect_status(201);
    let token = owner.mails.nth(&agent.email, 2).await.token();
    let anonymous = owner.anonymous.elsewhere();
    let _answer = anonymous.post("invitations/accept", &json!({ "token": token })).await.expect_status(204);
    assert_eq!(api.get(&path).await.expect_status(200).body["role"], "viewer");
}
