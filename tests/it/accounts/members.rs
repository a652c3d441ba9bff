//! Who belongs to a company, and may do what.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Api, Cloud, PATIENCE, Socket, eventually, new_word};

use super::colleague::invite;
use super::person::Person;

async fn change(api: &Api, id: &str, change: &Value) -> testkit::Answer {
    api.send(Method::PATCH, &format!("members/{id}"), Some(change.to_string()), &[]).await
}

#[tokio::test]
async fn an_invitation_makes_a_member_once() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let body = json!({ "email": format!("{}@example.com", new_word("bia-")), "role": "agent" });
    let _answer = api.post("invitations", &body).await.expect_status(201);
    let _problem = api.post("invitations", &body).await.expect_problem(409, "conflict");
    let token = owner.mails.nth(body["email"].as_str().unwrap(), 1).await.token();
    let stranger = owner.anonymous.elsewhere();
    let nameless = stranger.post("invitations/accept", &json!({ "token": token })).await;
    assert_eq!(nameless.expect_problem(422, "invalid")["errors"][0]["field"], "name");
    let acceptance = json!({ "token": token, "name": "Bia", "password": "uma senha da Bia" });
    let _answer = stranger.post("invitations/accept", &acceptance).await.expect_status(204);
    let _problem =
        stranger.post("invitations/accept", &acceptance).await.expect_problem(409, "token_invalid");
    let members = api.get("members").await.expect_status(200).body;
    let names: Vec<_> = members["items"].as_array().unwrap().iter().map(|m| m["name"].clone()).collect();
    assert_eq!(names, ["Ana", "Bia"]);
    assert!(api.get("invitations").await.body["items"].as_array().unwrap().is_empty());
    let _problem = api.post("invitations", &body).await.expect_problem(409, "conflict");
}

#[tokio::test]
async fn an_invitations_language_is_the_accounts() {
    let owner = Person::registered().await;
    let email = format!("{}@example.com", new_word("ann-"));
    let invitation = json!({ "email": email, "role": "agent", "locale": "en" });
    let _answer = owner.api().await.post("invitations", &invitation).await.expect_status(201);
    let token = owner.mails.nth(&email, 1).await.token();
    let anonymous = owner.anonymous.elsewhere();
    let acceptance = json!({ "token": token, "name": "Ann", "password": "a password of hers" });
    let _answer = anonymous.post("invitations/accept", &acceptance).await.expect_status(204);
    let credentials = json!({ "email": email, "password": "a password of hers" });
    let body = anonymous.post("auth/login", &credentials).await.expect_status(200).body;
    assert_eq!(body["user"]["locale"], "en");
}

#[tokio::test]
async fn who_was_shut_out_may_be_invited_again() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let agent = invite(&owner, &api, "agent").await;
    let invitation = json!({ "email": agent.email, "role": "viewer" });
    let _problem = api.post("invitations", &invitation).await.expect_problem(409, "conflict");
    let _answer = change(&api, &agent.id, &json!({ "active": false })).await.expect_status(200);
    let _answer = api.post("invitations", &invitation).await.expect_status(201);
    let token = owner.mails.nth(&agent.email, 2).await.token();
    let anonymous = owner.anonymous.elsewhere();
    let _answer = anonymous.post("invitations/accept", &json!({ "token": token })).await.expect_status(204);
    let credentials = json!({ "email": agent.email, "password": agent.password });
    let back = anonymous.post("auth/login", &credentials).await.expect_status(200).body;
    assert_eq!(back["companies"][0]["role"], "viewer", "{back}");
    let members = api.get("members").await.expect_status(200).body;
    let member = members["items"].as_array().unwrap().iter().find(|member| member["id"] == agent.id.as_str());
    assert_eq!(member.unwrap()["active"], true, "{members}");
    let _problem = api.post("invitations", &invitation).await.expect_problem(409, "conflict");
}

/// Somebody whose only company shut them out keeps an account: they register another company, by their mailbox alone.
#[tokio::test]
async fn who_was_shut_out_may_have_a_company_of_their_own() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let agent = invite(&owner, &api, "agent").await;
    let _answer = change(&api, &agent.id, &json!({ "active": false })).await.expect_status(200);
    let anonymous = owner.anonymous.elsewhere();
    let credentials = json!({ "email": agent.email, "password": agent.password });
    let _problem = anonymous.post("auth/login", &credentials).await.expect_problem(403, "forbidden");
    let registration = json!({
        "company_name": "Loja da Bia", "name": "Outra", "email": agent.email, "password": "outra senha qualquer",
    });
    let _answer = anonymous.post("auth/register", &registration).await.expect_status(202);
    let letter = owner.mails.nth(&agent.email, 2).await;
    assert_eq!(letter.subject, "Confirme a sua nova empresa");
    assert!(!letter.text.contains("Bia") && !letter.text.contains("Outra"), "{}", letter.text);
    // Nothing is made before the link is followed.
    let _problem = anonymous.post("auth/login", &credentials).await.expect_problem(403, "forbidden");
    let proof = json!({ "token": letter.token() });
    let _answer = anonymous.elsewhere().post("auth/verify-email", &proof).await.expect_status(204);
    let _problem = anonymous.post("auth/verify-email", &proof).await.expect_problem(409, "token_invalid");
    // The account is as it was, but for the company.
    let body = anonymous.post("auth/login", &credentials).await.expect_status(200).body;
    assert_eq!(body["user"]["name"], "Colega agent");
    let companies = body["companies"].as_array().unwrap();
    assert_eq!(
        (companies.len(), &companies[0]["name"], &companies[0]["role"]),
        (1, &json!("Loja da Bia"), &json!("owner"))
    );
    let chosen = json!({ "email": agent.email, "password": "outra senha qualquer" });
    let _problem = anonymous.post("auth/login", &chosen).await.expect_problem(401, "unauthenticated");
    let _answer =
        anonymous.post("auth/forgot-password", &json!({ "email": agent.email })).await.expect_status(202);
    assert_eq!(owner.mails.nth(&agent.email, 3).await.subject, "Crie uma nova senha");
    // From now on the address has an account with a company.
    let _answer = anonymous.post("auth/register", &registration).await.expect_status(202);
    assert_eq!(owner.mails.nth(&agent.email, 4).await.subject, "Você já tem uma conta");
}

#[tokio::test]
async fn a_narrow_key_gives_no_more_than_it_holds() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let key = async |permissions: &[&str]| {
        let new = json!({ "name": "Integração", "permissions": permissions });
        let made = api.post("api-keys", &new).await.expect_status(201).body;
        api.with(made["key"].as_str().unwrap())
    };
    let narrow = key(&["manage_members"]).await;
    let reader = key(&["manage_members", "read_inbox", "read_company"]).await;
    let invite_by = async |key: &Api, role: &str| {
        let email = format!("{}@example.com", new_word("convidado-"));
        key.post("invitations", &json!({ "email": email, "role": role })).await.status
    };
    for role in ["owner", "admin", "supervisor", "agent", "viewer"] {
        assert_eq!(invite_by(&narrow, role).await, 403, "{role}");
        assert_eq!(invite_by(&reader, role).await, if role == "viewer" { 201 } else { 403 }, "{role}");
    }
    let agent = invite(&owner, &api, "agent").await;
    let viewer = invite(&owner, &api, "viewer").await;
    for (who, wanted) in [
        (&agent, json!({ "role": "admin" })),
        (&agent, json!({ "role": "viewer" })),
        (&agent, json!({ "active": false })),
        (&viewer, json!({ "role": "admin" })),
    ] {
        let _problem = change(&reader, &who.id, &wanted).await.expect_problem(403, "forbidden");
        let _problem = change(&narrow, &who.id, &wanted).await.expect_problem(403, "forbidden");
    }
    let transfer = json!({ "user_id": agent.id });
    let _problem =
        reader.post("company/transfer-ownership", &transfer).await.expect_problem(403, "forbidden");
    let _answer = change(&reader, &viewer.id, &json!({ "active": false })).await.expect_status(200);
}

#[tokio::test]
async fn an_address_is_not_invited_without_end() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let body = json!({ "email": format!("{}@example.com", new_word("bia-")), "role": "agent" });
    for _ in 0..5 {
        let made = api.post("invitations", &body).await.expect_status(201).body;
        let path = format!("invitations/{}", made["id"].as_str().unwrap());
        let _answer = api.send(Method::DELETE, &path, None, &[]).await.expect_status(204);
    }
    // Another company is not better off.
    let other = Person::registered().await.api().await;
    for api in [&api, &other] {
        let sixth = api.post("invitations", &body).await;
        let after: u64 = sixth.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&after), "{after}");
        let _problem = sixth.expect_problem(429, "rate_limited");
    }
    let somebody_else = json!({ "email": format!("{}@example.com", new_word("eva-")), "role": "agent" });
    let _answer = api.post("invitations", &somebody_else).await.expect_status(201);
}

#[tokio::test]
async fn one_person_in_two_companies_switches_between_them() {
    let (first, second) = (Person::registered().await, Person::registered().await);
    let invitation = json!({ "email": second.email, "role": "viewer" });
    let _answer = first.api().await.post("invitations", &invitation).await.expect_status(201);
    let token = first.mails.nth(&second.email, 2).await.token();
    let _answer =
        second.anonymous.post("invitations/accept", &json!({ "token": token })).await.expect_status(204);
    let body = second.log_in().await;
    let companies = body["companies"].as_array().unwrap();
    assert_eq!(companies.len(), 2);
    assert_eq!((&companies[0]["role"], &companies[1]["role"]), (&json!("owner"), &json!("viewer")));
    assert_eq!(body["company_id"], companies[0]["id"]);
    let api = second.anonymous.with(body["token"].as_str().unwrap());
    let target = json!({ "company_id": companies[1]["id"] });
    let switched = api.post("auth/switch-company", &target).await.expect_status(200).body;
    assert_eq!(switched["permissions"], json!(["read_inbox", "read_company"]));
    let api = second.anonymous.with(switched["token"].as_str().unwrap());
    assert_eq!(api.get("company").await.expect_status(200).body["id"], companies[1]["id"]);
    let renewed = json!({ "refresh_token": body["refresh_token"] });
    let renewed = api.post("auth/refresh", &renewed).await.expect_status(200).body;
    assert_eq!(renewed["company_id"], companies[1]["id"], "the session stays where it is");
    let nowhere = json!({ "company_id": testkit::new_id() });
    let _problem = api.post("auth/switch-company", &nowhere).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn who_is_shut_out_is_out_within_a_minute() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let agent = invite(&owner, &api, "agent").await;
    let _answer = agent.api.get("conversations").await.expect_status(200);
    let cloud = Cloud::of(&owner.stack).await;
    let company = api.get("company").await.body["id"].as_str().unwrap().parse().unwrap();
    let _socket = Socket::open(&owner.stack, agent.api.credential().unwrap()).await;
    assert_eq!(cloud.open_sockets(company).await, 1);
    let shut_out = change(&api, &agent.id, &json!({ "active": false })).await.expect_status(200);
    assert_eq!(shut_out.body["active"], false);
    eventually("nobody to listen", PATIENCE, async || (cloud.open_sockets(company).await == 0).then_some(()))
        .await;
    eventually("a member to be out", PATIENCE, async || {
        (agent.api.get("conversations").await.status == 401).then_some(())
    })
    .await;
    let credentials = json!({ "email": agent.email, "password": agent.password });
    let login = owner.anonymous.elsewhere().post("auth/login", &credentials).await;
    let _problem = login.expect_problem(403, "forbidden");
    let _answer = change(&api, &agent.id, &json!({ "active": true })).await.expect_status(200);
    let login = owner.anonymous.elsewhere().post("auth/login", &credentials).await;
    assert_eq!(login.status, 200);
}

#[tokio::test]
async fn nobody_reaches_above_their_own_role() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let (admin, agent) = (invite(&owner, &api, "admin").await, invite(&owner, &api, "agent").await);
    let owner_id = api.get("auth/me").await.body["user"]["id"].as_str().unwrap().to_owned();
    for (who, id, body) in [
        (&admin.api, &owner_id, json!({ "role": "agent" })),
        (&admin.api, &owner_id, json!({ "active": false })),
        (&admin.api, &agent.id, json!({ "role": "owner" })),
        (&admin.api, &admin.id, json!({ "active": false })),
        (&agent.api, &admin.id, json!({ "role": "viewer" })),
        (&api, &owner_id, json!({ "role": "viewer" })),
    ] {
        let _problem = change(who, id, &body).await.expect_problem(403, "forbidden");
    }
    let invitation = json!({ "email": "dono@example.com", "role": "owner" });
    let _problem = admin.api.post("invitations", &invitation).await.expect_problem(403, "forbidden");
    let transfer = json!({ "user_id": admin.id });
    let _problem =
        admin.api.post("company/transfer-ownership", &transfer).await.expect_problem(403, "forbidden");
    let _answer = api.post("company/transfer-ownership", &transfer).await.expect_status(204);
    let members = api.get("members").await.expect_status(200).body;
    let role = |id: &str| {
        let members = members["items"].as_array().unwrap();
        members.iter().find(|member| member["id"] == id).unwrap()["role"].clone()
    };
    assert_eq!((role(&admin.id), role(&owner_id)), (json!("owner"), json!("admin")));
}

#[tokio::test]
async fn departments_have_members_and_the_log_knows_who_did_it() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let agent = invite(&owner, &api, "agent").await;
    let new = json!({ "name": "Vendas", "member_ids": [agent.id] });
    let made = api.post("departments", &new).await.expect_status(201).body;
    assert_eq!(made["member_ids"], json!([agent.id]));
    let _problem = api.post("departments", &new).await.expect_problem(409, "conflict");
    let stranger = json!({ "name": "Pós-venda", "member_ids": [testkit::new_id()] });
    let problem = api.post("departments", &stranger).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "member_ids");
    let path = format!("departments/{}", made["id"].as_str().unwrap());
    let patch = json!({ "name": "Comercial", "member_ids": [] }).to_string();
    let changed = api.send(Method::PATCH, &path, Some(patch), &[]).await.expect_status(200).body;
    assert_eq!((&changed["name"], &changed["member_ids"]), (&json!("Comercial"), &json!([])));
    let _problem = agent.api.send(Method::DELETE, &path, None, &[]).await.expect_problem(403, "forbidden");
    let _answer = api.send(Method::DELETE, &path, None, &[]).await.expect_status(204);
    let _problem = api.get(&path).await.expect_problem(404, "not_found");

    let log = api.all("audit-log", 3).await;
    let actions: Vec<_> = log.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "department.deleted",
            "department.changed",
            "department.created",
            "member.joined",
            "invitation.created",
            "person.email_verified",
            "company.registered"
        ]
    );
    for (query, expected) in [
        (format!("actor_id={}", agent.id), vec!["member.joined"]),
        ("action=department.changed".to_owned(), vec!["department.changed"]),
        ("object_kind=person".to_owned(), vec!["person.email_verified"]),
        (
            format!("object_id={}", made["id"].as_str().unwrap()),
            vec!["department.deleted", "department.changed", "department.created"],
        ),
        ("action=department.deleted&object_kind=member".to_owned(), vec![]),
        ("to=2020-01-01T00:00:00Z".to_owned(), vec![]),
        ("from=2020-01-01T00:00:00Z&action=company.registered".to_owned(), vec!["company.registered"]),
    ] {
        let found = api.get(&format!("audit-log?{query}")).await.expect_status(200).body;
        let found: Vec<_> = found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["action"].as_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    for (query, field) in [
        ("action=changed", "action"),
        ("object_kind=a%20b", "object_kind"),
        ("object_id=1", "object_id"),
        ("from=ontem", "from"),
        ("to=-4800-01-01T00:00:00Z", "to"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
    ] {
        let problem = api.get(&format!("audit-log?{query}")).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    assert!(log.iter().all(|entry| entry["ip"].as_str().unwrap().starts_with("127.")), "{log:?}");
    let _problem = agent.api.get("audit-log").await.expect_problem(403, "forbidden");
}

/// What a person does to their own account is told to every company in which they are active, and to no other.
#[tokio::test]
async fn the_log_tells_what_happens_to_members_accounts() {
    let owner = Person::registered().await;
    let api = owner.api().await;
    let agent = invite(&owner, &api, "agent").await;
    let other = Person::registered().await;
    let invitation = json!({ "email": agent.email, "role": "viewer" });
    let _answer = other.api().await.post("invitations", &invitation).await.expect_status(201);
    let token = owner.mails.nth(&agent.email, 2).await.token();
    let anonymous = owner.anonymous.elsewhere();
    let _answer = anonymous.post("invitations/accept", &json!({ "token": token })).await.expect_status(204);

    let credentials = json!({ "email": agent.email, "password": agent.password });
    let log_in = async || anonymous.post("auth/login", &credentials).await.expect_status(200).body;
    let first = log_in().await;
    let me = anonymous.with(first["token"].as_str().unwrap());
    let open = me.get("auth/sessions").await.expect_status(200).body;
    let current: Vec<_> =
        open["items"].as_array().unwrap().iter().map(|one| one["current"].clone()).collect();
    assert_eq!(current, [true, false]);
    let one = format!("auth/sessions/{}", open["items"][1]["id"].as_str().unwrap());
    let _answer = me.send(Method::DELETE, &one, None, &[]).await.expect_status(204);
    let _answer = me.post("auth/logout", &json!({})).await.expect_status(204);
    let stolen = json!({ "refresh_token": log_in().await["refresh_token"] });
    let _answer = anonymous.post("auth/refresh", &stolen).await.expect_status(200);
    let _problem = anonymous.post("auth/refresh", &stolen).await.expect_problem(401, "unauthenticated");
    let address = json!({ "email": agent.email });
    let _answer = anonymous.post("auth/forgot-password", &address).await.expect_status(202);
    let reset =
        json!({ "token": owner.mails.nth(&agent.email, 3).await.token(), "password": agent.password });
    let _answer = anonymous.post("auth/reset-password", &reset).await.expect_status(204);

    let path = format!("audit-log?object_kind=person&object_id={}", agent.id);
    for api in [&api, &other.api().await] {
        let log = api.get(&path).await.expect_status(200).body;
        let lines = log["items"].as_array().unwrap();
        let actions: Vec<_> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
        let expected = [
            "person.password_reset",
            "person.refresh_replayed",
            "person.logged_out",
            "person.session_revoked",
        ];
        assert_eq!(actions, expected);
        let kinds: Vec<_> = lines.iter().map(|line| line["actor_kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["person", "system", "person", "person"], "nobody knows who showed a used token");
        assert!(lines.iter().all(|line| line["ip"].as_str().unwrap().starts_with("127.")), "{lines:?}");
        assert!(!log.to_string().contains(&agent.email), "{log}");
    }
    let stranger = Person::registered().await.api().await;
    assert!(stranger.get(&path).await.expect_status(200).body["items"].as_array().unwrap().is_empty());
}
