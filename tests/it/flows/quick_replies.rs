//! Quick replies: the company's and one's own, found, filled in.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Api, new_id, new_word};

use crate::inbox::{Inbox, redacted};

fn shape(answer: &Answer) -> Value {
    json!({ "status": answer.status, "body": redacted(&answer.body) })
}

async fn change(api: &Api, id: &str, body: Value) -> Answer {
    api.send(Method::PATCH, &format!("quick-replies/{id}"), Some(body.to_string()), &[]).await
}

async fn shortcuts(api: &Api, query: &str) -> Vec<String> {
    let replies = api.all(&format!("quick-replies{query}"), 2).await;
    replies.iter().map(|reply| reply["shortcut"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn quick_replies_are_made_found_changed_and_removed() {
    let inbox = Inbox::open(false).await;
    let person = Api::log_in(&inbox.stack, &inbox.tenant.email, &inbox.tenant.password).await;
    let program = &inbox.tenant.api;
    let frete = json!({
        "shortcut": "/Frete", "text": "Olá, {{contact.first_name|cliente}}! O frete é grátis.", "tags": ["entrega"]
    });
    let key = new_word("chave-");
    let made = person.post_once("quick-replies", &key, &frete).await.expect_status(201);
    insta::assert_json_snapshot!("quick_reply", shape(&made));
    let again = person.post_once("quick-replies", &key, &frete).await.expect_status(201);
    assert_eq!(again.body, made.body);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let own = json!({ "shortcut": "frete", "text": "Só meu", "personal": true });
    let own = person.post("quick-replies", &own).await.expect_status(201).body;
    assert!(own["owner_id"].is_string());
    let own_id = own["id"].as_str().unwrap();
    for shortcut in ["bomdia", "adeus"] {
        let new = json!({ "shortcut": shortcut, "text": "Olá! Até amanhã." });
        let _made = person.post("quick-replies", &new).await.expect_status(201);
    }

    assert_eq!(shortcuts(&person, "").await, ["adeus", "bomdia", "frete", "frete"]);
    assert_eq!(shortcuts(program, "").await, ["adeus", "bomdia", "frete"], "one's own are nobody else's");
    assert_eq!(shortcuts(&person, "?q=GRATIS").await, ["frete"]);
    assert_eq!(shortcuts(&person, "?q=amanha").await, ["adeus", "bomdia"]);
    assert_eq!(shortcuts(&person, "?tag=entrega").await, ["frete"]);
    assert_eq!(shortcuts(&person, "?q=nada").await, Vec::<String>::new());
    for (method, path, body) in [
        (Method::GET, format!("quick-replies/{own_id}"), None),
        (Method::PATCH, format!("quick-replies/{own_id}"), Some("{}".to_owned())),
        (Method::DELETE, format!("quick-replies/{own_id}"), None),
        (Method::GET, format!("quick-replies/{}", new_id()), None),
    ] {
        let _problem = program.send(method, &path, body, &[]).await.expect_problem(404, "not_found");
    }

    let taken = person.post("quick-replies", &frete).await;
    insta::assert_json_snapshot!("quick_reply_taken", shape(&taken));
    let _problem = taken.expect_problem(409, "conflict");
    let _problem = change(&person, &id, json!({ "shortcut": "adeus" })).await.expect_problem(409, "conflict");
    let changed =
        change(&person, &id, json!({ "text": "Frete: R$ 10", "tags": [] })).await.expect_status(200).body;
    assert_eq!((&changed["text"], &changed["tags"]), (&json!("Frete: R$ 10"), &json!([])));
    assert_eq!(changed["shortcut"], "frete");
    let found = program.get(&format!("quick-replies/{id}")).await.expect_status(200).body;
    assert_eq!(found, changed);
    let gone = person.send(Method::DELETE, &format!("quick-replies/{id}"), None, &[]).await;
    assert_eq!(gone.status, 204);
    let _problem = person.get(&format!("quick-replies/{id}")).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_quick_reply_is_filled_in_for_a_conversation() {
    let inbox = Inbox::open(false).await;
    let person = Api::log_in(&inbox.stack, &inbox.tenant.email, &inbox.tenant.password).await;
    let text = "{{contact.first_name}}, aqui é {{agent.name|a loja}} da {{company.name}}: \
                pedido {{contact.custom.pedido|novo}}, {{contact.email|sem e-mail}}. {{contact.name}}";
    let new = json!({ "shortcut": "pedido", "text": text });
    let id =
        person.post("quick-replies", &new).await.expect_status(201).body["id"].as_str().unwrap().to_owned();
    sqlx::query("UPDATE contacts SET custom = '{\"pedido\": 17}' WHERE company_id = $1")
        .bind(inbox.tenant.company_id)
        .execute(&inbox.stack.admin())
        .await
        .unwrap();
    let path = format!("quick-replies/{id}/render");
    let wanted = json!({ "conversation_id": inbox.conversation_id });
    let by_program = inbox.tenant.api.post(&path, &wanted).await.expect_status(200).body;
    let company = format!("Empresa {}", inbox.tenant.slug);
    assert_eq!(
        by_program["text"],
        format!("Ana, aqui é a loja da {company}: pedido 17, sem e-mail. Ana Exemplo")
    );
    let me = person.get("auth/me").await.expect_status(200).body;
    let by_person = person.post(&path, &wanted).await.expect_status(200).body;
    let name = me["user"]["name"].as_str().unwrap();
    assert!(by_person["text"].as_str().unwrap().contains(&format!("aqui é {name} da")), "{by_person}");
    for (path, body) in [
        (path.clone(), json!({ "conversation_id": new_id() })),
        (format!("quick-replies/{}/render", new_id()), wanted),
    ] {
        let _problem = person.post(&path, &body).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_wrong_quick_reply_is_refused_by_its_field() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let with = |fields: Value| {
        let mut body = json!({ "shortcut": "oi", "text": "Oi!" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    for (field, body) in [
        ("shortcut", with(json!({ "shortcut": "" }))),
        ("shortcut", with(json!({ "shortcut": "/" }))),
        ("shortcut", with(json!({ "shortcut": "bom dia" }))),
        ("shortcut", with(json!({ "shortcut": "a".repeat(51) }))),
        ("text", with(json!({ "text": " " }))),
        ("text", with(json!({ "text": "a".repeat(4_097) }))),
        ("tags", with(json!({ "tags": [""] }))),
        ("personal", with(json!({ "personal": true }))),
        ("owner_id", with(json!({ "owner_id": new_id() }))),
    ] {
        let problem = api.post("quick-replies", &body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let unknown = api.post("quick-replies", &with(json!({ "text": "Oi, {{contact.nome}}" }))).await;
    insta::assert_json_snapshot!("quick_reply_unknown_variable", shape(&unknown));
    let _problem = unknown.expect_problem(422, "invalid");
    let problem = api.get(&format!("quick-replies?q={}", "a".repeat(201))).await;
    let problem = problem.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "q");
}
