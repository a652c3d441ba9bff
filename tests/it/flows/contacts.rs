//! Contacts through the API: made, found by any spelling and any part, changed, tagged, noted on, opted out and in.

use axum::http::Method;
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Answer, Flow, Stack, Tenant, TenantOptions, new_id, new_word};

use crate::inbox::redacted;

/// A company without third parties.
pub(super) async fn company() -> Flow {
    Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await
}

pub(super) async fn get(flow: &Flow, path: &str) -> Value {
    flow.api(Method::GET, path, None).await.expect_status(200).body
}

pub(super) async fn post(flow: &Flow, path: &str, body: Value) -> Answer {
    flow.api(Method::POST, path, Some(&body)).await
}

pub(super) async fn made(flow: &Flow, path: &str, body: Value) -> Value {
    post(flow, path, body).await.expect_status(201).body
}

async fn patch(flow: &Flow, path: &str, body: Value) -> Answer {
    flow.api(Method::PATCH, path, Some(&body)).await
}

async fn delete(flow: &Flow, path: &str) -> Answer {
    flow.api(Method::DELETE, path, None).await
}

pub(super) fn path_of(thing: &Value, list: &str) -> String {
    format!("{list}/{}", thing["id"].as_str().unwrap())
}

/// The field that a 422 names.
#[track_caller]
pub(super) fn wrong_field(answer: Answer) -> String {
    let problem = answer.expect_problem(422, "invalid");
    problem["errors"][0]["field"].as_str().unwrap().to_owned()
}

/// The names of a list, in its order.
pub(super) async fn names(flow: &Flow, query: &str) -> Vec<String> {
    let list = get(flow, &format!("contacts?{query}")).await;
    let items = list["items"].as_array().unwrap().iter();
    items.map(|contact| contact["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_contact_is_made_changed_and_deleted() {
    let flow = company().await;
    let _field =
        made(&flow, "contact-fields", json!({ "key": "vip", "label": "VIP", "type": "boolean" })).await;
    let new = json!({
        "name": " Ana Souza ", "phone": "(62) 8888-0001", "email": "Ana@Exemplo.com.br", "external_id": "C-1",
        "custom": { "vip": true }, "tags": ["quente", "quente", "sp"], "bypass_bots": true,
    });
    let contact = made(&flow, "contacts", new).await;
    insta::assert_json_snapshot!("contact_made", redacted(&contact));
    let path = path_of(&contact, "contacts");
    assert_eq!(get(&flow, &path).await, contact, "the answer is what is stored");

    let change = json!({ "name": "Ana Lima", "phone": "+351 912 345 678", "email": null, "custom": { "vip": null },
                         "tags": [], "bypass_bots": false, "source": "evento" });
    let changed = patch(&flow, &path, change).await.expect_status(200).body;
    insta::assert_json_snapshot!("contact_changed", redacted(&changed));
    assert_eq!(
        patch(&flow, &path, json!({})).await.expect_status(200).body,
        changed,
        "what is left out stays"
    );
    let _problem =
        flow.api(Method::GET, "contacts/by-phone/62988880001", None).await.expect_problem(404, "not_found");

    let _answer = delete(&flow, &path).await.expect_status(204);
    let _problem = flow.api(Method::GET, &path, None).await.expect_problem(404, "not_found");
    let _problem = delete(&flow, &path).await.expect_problem(404, "not_found");
    let _problem = patch(&flow, &path, json!({})).await.expect_problem(404, "not_found");
    // Its addresses are free again.
    let again = made(&flow, "contacts", json!({ "external_id": "C-1" })).await;
    assert_eq!((&again["name"], &again["source"]), (&json!(""), &json!("api")));
    let log = get(&flow, "audit-log?action=contact.deleted").await;
    assert_eq!(log["items"][0]["object_id"], contact["id"]);
    let told: Vec<_> = flow.events().await.iter().map(|event| event["type"].clone()).collect();
    for event in ["contact.created", "contact.changed", "contact.deleted"] {
        assert!(told.contains(&json!(event)), "{event}: {told:?}");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_wrong_contact_is_refused_by_its_field() {
    let flow = company().await;
    let contact = made(&flow, "contacts", json!({ "name": "Ana" })).await;
    let path = path_of(&contact, "contacts");
    for (field, body) in [
        ("name", json!({ "name": "a".repeat(201) })),
        ("name", json!({ "name": "a\nb" })),
        ("phone", json!({ "phone": "ana" })),
        ("phone", json!({ "phone": "+55 62 1" })),
        ("email", json!({ "email": "ana@" })),
        ("source", json!({ "source": "a".repeat(61) })),
        ("external_id", json!({ "external_id": "a".repeat(201) })),
        ("custom.vip", json!({ "custom": { "vip": true } })),
        ("custom", json!({ "custom": [] })),
        ("tags", json!({ "tags": [""] })),
        ("tags", json!({ "tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>() })),
        ("opted_out_at", json!({ "opted_out_at": null })),
    ] {
        let mut new = body.clone();
        new["external_id"] = body.get("external_id").cloned().unwrap_or_else(|| json!("outro"));
        assert_eq!(wrong_field(post(&flow, "contacts", new).await), field, "{body}");
        assert_eq!(wrong_field(patch(&flow, &path, body.clone()).await), field, "{body}");
    }
    let nothing = post(&flow, "contacts", json!({ "name": " ", "phone": "" })).await;
    insta::assert_json_snapshot!("contact_of_nothing", nothing.body);
    assert_eq!(wrong_field(nothing), "name");
    assert_eq!(get(&flow, &path).await, contact);
    flow.end().await;
}

#[tokio::test]
async fn an_address_belongs_to_one_contact() {
    let flow = company().await;
    let ana =
        json!({ "name": "Ana", "phone": "62988880002", "email": "ana@exemplo.com", "external_id": "A" });
    let ana = made(&flow, "contacts", ana).await;
    let bia = made(&flow, "contacts", json!({ "name": "Bia" })).await;
    let path = path_of(&bia, "contacts");
    for taken in [
        json!({ "phone": "+55 62 8888-0002" }),
        json!({ "phone": "556288880002" }),
        json!({ "email": "ANA@exemplo.com" }),
        json!({ "external_id": "A" }),
    ] {
        for answer in [post(&flow, "contacts", taken.clone()).await, patch(&flow, &path, taken.clone()).await]
        {
            let problem = answer.expect_problem(409, "address_taken");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(ana["id"].as_str().unwrap()), "{detail}");
        }
    }
    // What is one's own already is no obstacle.
    let own = json!({ "phone": "62 8888 0002", "email": "ana@exemplo.com" });
    let same = patch(&flow, &path_of(&ana, "contacts"), own).await.expect_status(200).body;
    assert_eq!(same, ana);
    // Of many at once, one gets it.
    let answers =
        join_all((0..8).map(|_| post(&flow, "contacts", json!({ "phone": "62988880003", "name": "Caio" }))))
            .await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    flow.end().await;
}

#[tokio::test]
async fn a_number_leads_to_its_contact_in_any_spelling() {
    let flow = company().await;
    let ana = made(&flow, "contacts", json!({ "name": "Ana", "phone": "+5531988880004" })).await;
    let eva = made(&flow, "contacts", json!({ "name": "Eva", "phone": "+16505550104" })).await;
    // As WhatsApp writes it, and only WhatsApp.
    let caio = made(&flow, "contacts", json!({ "name": "Caio" })).await;
    sqlx::query(
        "INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
         VALUES ($1, 'wa_id', '553188880005', $2::uuid, now())",
    )
    .bind(flow.tenant.company_id)
    .bind(caio["id"].as_str().unwrap())
    .execute(&flow.admin)
    .await
    .unwrap();
    for (spelling, contact) in [
        ("+5531988880004", &ana),
        ("%2B5531988880004", &ana),
        ("5531988880004", &ana),
        ("553188880004", &ana),
        ("31988880004", &ana),
        ("3188880004", &ana),
        ("(31)%208888-0004", &ana),
        ("031%2098888-0004", &ana),
        ("+16505550104", &eva),
        ("+1%20(650)%20555-0104", &eva),
        ("31988880005", &caio),
        ("3188880005", &caio),
    ] {
        let found = get(&flow, &format!("contacts/by-phone/{spelling}")).await;
        assert_eq!(found["id"], contact["id"], "{spelling}");
        let listed = get(&flow, &format!("contacts?phone={}", spelling.replace('+', "%2B"))).await;
        assert_eq!(listed["items"][0]["id"], contact["id"], "{spelling}");
    }
    assert_eq!(wrong_field(flow.api(Method::GET, "contacts/by-phone/ana", None).await), "phone");
    let unknown = flow.api(Method::GET, "contacts/by-phone/31988880009", None).await;
    insta::assert_json_snapshot!("contact_by_unknown_phone", unknown.body);
    let _problem = unknown.expect_problem(404, "not_found");
    flow.end().await;
}

#[tokio::test]
async fn contacts_are_found_by_any_part() {
    let flow = company().await;
    for (name, phone, email) in [
        ("Conceição Araújo", "+5562988880006", "con@exemplo.com"),
        ("José Andrade", "+5562988880007", "jose_100%@exemplo.com"),
        ("Joana Dark", "+5511977770008", "dark@outro.com.br"),
    ] {
        flow.clock.pass(TimeDelta::seconds(1));
        let _contact = made(&flow, "contacts", json!({ "name": name, "phone": phone, "email": email })).await;
    }
    let (conceicao, jose, joana) = ("Conceição Araújo", "José Andrade", "Joana Dark");
    for (q, found) in [
        ("conceicao", vec![conceicao]),
        ("CONCEIÇÃO", vec![conceicao]),
        ("araujo con", vec![conceicao]),
        ("con jose", vec![]),
        ("jo", vec![joana, jose]),
        ("an", vec![jose]),
        ("and", vec![jose]),
        ("oan", vec![joana]),
        ("exemplo.com", vec![jose, conceicao]),
        ("jose_100%25", vec![jose]),
        ("e_100", vec![jose]),
        ("o%25e", vec![]),
        ("0008", vec![joana]),
        ("(62) 8888-0007", vec![jose]),
        ("62 98888 0006", vec![conceicao]),
        ("%2B55 11", vec![joana]),
        ("j a d", vec![]),
        ("j d", vec![joana]),
        ("", vec![joana, jose, conceicao]),
    ] {
        let q = q.replace(' ', "%20");
        assert_eq!(names(&flow, &format!("q={q}")).await, found, "{q}");
    }
    // Page by page: each once, in the same order.
    let first = get(&flow, "contacts?q=exemplo&limit=1").await;
    let cursor = first["next_cursor"].as_str().expect("another page");
    let second = get(&flow, &format!("contacts?q=exemplo&limit=1&cursor={cursor}")).await;
    assert_eq!([&first["items"][0]["name"], &second["items"][0]["name"]], [jose, conceicao]);
    assert_eq!(second["next_cursor"], Value::Null);
    flow.end().await;
}

#[tokio::test]
async fn contacts_are_filtered() {
    let flow = company().await;
    let mut times = Vec::new();
    for (name, extra) in [
        ("Ana", json!({ "source": "evento", "tags": ["quente"], "email": "ana@exemplo.com" })),
        ("Bia", json!({ "source": "site", "tags": ["quente", "sp"], "external_id": "B-2" })),
        ("Caio", json!({ "source": "site" })),
    ] {
        flow.clock.pass(TimeDelta::seconds(1));
        let mut new = extra;
        new["name"] = json!(name);
        let contact = made(&flow, "contacts", new).await;
        times.push(contact["created_at"].as_str().unwrap().to_owned());
        if name == "Caio" {
            let path = format!("{}/opt-out", path_of(&contact, "contacts"));
            let _answer = post(&flow, &path, json!({})).await.expect_status(200);
        }
    }
    for (query, found) in [
        ("tag=quente".to_owned(), vec!["Bia", "Ana"]),
        ("tag=quente&q=bi".to_owned(), vec!["Bia"]),
        ("tag=nada".to_owned(), vec![]),
        ("source=site".to_owned(), vec!["Caio", "Bia"]),
        ("source=site&tag=sp".to_owned(), vec!["Bia"]),
        ("email=ANA@exemplo.com".to_owned(), vec!["Ana"]),
        ("external_id=B-2".to_owned(), vec!["Bia"]),
        ("external_id=B-2&email=ana@exemplo.com".to_owned(), vec![]),
        ("opted_out=true".to_owned(), vec!["Caio"]),
        ("opted_out=false".to_owned(), vec!["Bia", "Ana"]),
        ("opted_out=false&tag=sp".to_owned(), vec!["Bia"]),
        (format!("created_from={}", times[1]), vec!["Caio", "Bia"]),
        (format!("created_to={}", times[1]), vec!["Ana"]),
        (format!("created_from={}&created_to={}&tag=quente", times[0], times[1]), vec!["Ana"]),
    ] {
        assert_eq!(names(&flow, &query).await, found, "{query}");
    }
    flow.end().await;
}

#[tokio::test]
async fn fields_are_defined_and_checked() {
    let flow = company().await;
    let field =
        json!({ "key": "tamanho", "label": "Tamanho", "type": "choice", "options": ["P", " G ", "P"] });
    let size = made(&flow, "contact-fields", field.clone()).await;
    insta::assert_json_snapshot!("contact_field", redacted(&size));
    let path = path_of(&size, "contact-fields");
    assert_eq!(get(&flow, &path).await, size);
    let taken = post(&flow, "contact-fields", field).await;
    insta::assert_json_snapshot!("contact_field_taken", taken.body);
    let _problem = taken.expect_problem(409, "conflict");
    for (field, body) in [
        ("key", json!({ "key": "Não", "label": "a", "type": "text" })),
        ("label", json!({ "key": "a", "label": "", "type": "text" })),
        ("type", json!({ "key": "a", "label": "a", "type": "list" })),
        ("options", json!({ "key": "a", "label": "a", "type": "text", "options": ["b"] })),
        ("options", json!({ "key": "a", "label": "a", "type": "choice" })),
        ("options", json!({ "key": "a", "label": "a", "type": "choice", "options": [""] })),
    ] {
        assert_eq!(wrong_field(post(&flow, "contact-fields", body.clone()).await), field, "{body}");
    }
    for (key, label, kind) in
        [("apelido", "Apelido", "text"), ("pontos", "Pontos", "number"), ("nascimento", "Nascimento", "date")]
    {
        let _field = made(&flow, "contact-fields", json!({ "key": key, "label": label, "type": kind })).await;
    }
    let listed = get(&flow, "contact-fields").await;
    let labels: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|field| field["label"].clone()).collect();
    assert_eq!(labels, ["Apelido", "Nascimento", "Pontos", "Tamanho"]);
    let first = get(&flow, "contact-fields?limit=3").await;
    let next = get(&flow, &format!("contact-fields?cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(next["items"][0]["label"], "Tamanho");

    let good = json!({ "tamanho": "G", "apelido": "Aninha", "pontos": 1.5, "nascimento": "1990-02-28" });
    let contact = made(&flow, "contacts", json!({ "name": "Ana", "custom": good })).await;
    assert_eq!(contact["custom"], good);
    let contact_path = path_of(&contact, "contacts");
    for (field, value) in [
        ("tamanho", json!("M")),
        ("apelido", json!(1)),
        ("pontos", json!("1")),
        ("nascimento", json!("1990-02-30")),
        ("nada", json!(1)),
    ] {
        let answer = patch(&flow, &contact_path, json!({ "custom": { field: value } })).await;
        assert_eq!(wrong_field(answer), format!("custom.{field}"));
    }
    // What a field loses, its contacts keep.
    let change = json!({ "label": "Camiseta", "options": ["M"] });
    let changed = patch(&flow, &path, change).await.expect_status(200).body;
    assert_eq!((&changed["label"], &changed["options"]), (&json!("Camiseta"), &json!(["M"])));
    assert_eq!(get(&flow, &contact_path).await["custom"]["tamanho"], "G");
    let _answer = delete(&flow, &path).await.expect_status(204);
    for gone in [
        delete(&flow, &path).await,
        flow.api(Method::GET, &path, None).await,
        patch(&flow, &path, json!({})).await,
    ] {
        let _problem = gone.expect_problem(404, "not_found");
    }
    assert_eq!(get(&flow, &contact_path).await["custom"].get("tamanho"), None, "hidden");
    let _contact = patch(&flow, &contact_path, json!({ "custom": { "pontos": 2 } })).await.expect_status(200);
    let anew = json!({ "key": "tamanho", "label": "Tamanho", "type": "text" });
    let _field = made(&flow, "contact-fields", anew).await;
    assert_eq!(get(&flow, &contact_path).await["custom"]["tamanho"], "G", "seen again");
    flow.end().await;
}

#[tokio::test]
async fn tabulations_are_put_on_contacts() {
    let flow = company().await;
    let vip = made(&flow, "tabulations", json!({ "name": "VIP", "color": "#1E90FF" })).await;
    insta::assert_json_snapshot!("tabulation", redacted(&vip));
    let hot = made(&flow, "tabulations", json!({ "name": "Quente" })).await;
    let taken = post(&flow, "tabulations", json!({ "name": "vip" })).await;
    insta::assert_json_snapshot!("tabulation_taken", taken.body);
    let _problem = taken.expect_problem(409, "conflict");
    let path = path_of(&vip, "tabulations");
    let _problem = patch(&flow, &path, json!({ "name": "QUENTE" })).await.expect_problem(409, "conflict");
    for (field, body) in [("name", json!({ "name": "" })), ("color", json!({ "name": "a", "color": "azul" }))]
    {
        assert_eq!(wrong_field(post(&flow, "tabulations", body.clone()).await), field);
        assert_eq!(wrong_field(patch(&flow, &path, body).await), field);
    }
    let listed = get(&flow, "tabulations").await;
    assert_eq!((&listed["items"][0], &listed["items"][1]), (&hot, &vip));

    let contact = made(&flow, "contacts", json!({ "name": "Ana", "tags": ["livre"] })).await;
    let tags = format!("{}/tabulations", path_of(&contact, "contacts"));
    let both = json!({ "tabulation_ids": [vip["id"], hot["id"], vip["id"]] });
    let tagged = post(&flow, &tags, both.clone()).await.expect_status(200).body;
    assert_eq!(tagged["tags"].as_array().unwrap().len(), 3, "{}", tagged["tags"]);
    assert_eq!(post(&flow, &tags, both).await.expect_status(200).body, tagged, "those that are there stay");
    let unknown = json!({ "tabulation_ids": [vip["id"], new_id()] });
    assert_eq!(wrong_field(post(&flow, &tags, unknown).await), "tabulation_ids");
    let nobody = format!("contacts/{}/tabulations", new_id());
    let _problem =
        post(&flow, &nobody, json!({ "tabulation_ids": [] })).await.expect_problem(404, "not_found");

    // Another name goes to whoever bears it; a name that is withdrawn stays.
    let renamed = patch(&flow, &path, json!({ "name": "Ouro", "color": null })).await.expect_status(200).body;
    assert_eq!((&renamed["name"], &renamed["color"]), (&json!("Ouro"), &Value::Null));
    assert_eq!(names(&flow, "tag=Ouro").await, ["Ana"]);
    assert_eq!(names(&flow, "tag=VIP").await.len(), 0);
    let gone = json!({ "tabulation_ids": [hot["id"]] });
    let left = flow.api(Method::DELETE, &tags, Some(&gone)).await.expect_status(200).body;
    assert!(!left["tags"].as_array().unwrap().contains(&json!("Quente")), "{left}");
    let _answer = delete(&flow, &path).await.expect_status(204);
    let _problem = delete(&flow, &path).await.expect_problem(404, "not_found");
    assert_eq!(names(&flow, "tag=Ouro").await, ["Ana"]);
    flow.end().await;
}

#[tokio::test]
async fn notes_stand_below_their_contact() {
    let flow = company().await;
    let contact = made(&flow, "contacts", json!({ "name": "Ana" })).await;
    let other = made(&flow, "contacts", json!({ "name": "Bia" })).await;
    let notes = format!("{}/notes", path_of(&contact, "contacts"));
    let mut all = Vec::new();
    for text in ["Ligou", "Prefere a manhã\ne o sábado", "Mudou-se"] {
        flow.clock.pass(TimeDelta::seconds(1));
        all.insert(0, made(&flow, &notes, json!({ "text": text })).await);
    }
    insta::assert_json_snapshot!("contact_note", redacted(&all[0]));
    assert_eq!(get(&flow, &notes).await["items"], json!(all));
    let first = get(&flow, &format!("{notes}?limit=2")).await;
    let next =
        get(&flow, &format!("{notes}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(next["items"], json!([all[2]]));

    let path = path_of(&all[1], &notes);
    let elsewhere = path_of(&all[1], &format!("{}/notes", path_of(&other, "contacts")));
    let text = json!({ "text": "Prefere a tarde" });
    let _problem = patch(&flow, &elsewhere, text.clone()).await.expect_problem(404, "not_found");
    let _problem = delete(&flow, &elsewhere).await.expect_problem(404, "not_found");
    assert_eq!(patch(&flow, &path, text).await.expect_status(200).body["text"], "Prefere a tarde");
    for text in ["", &"a".repeat(4_097)] {
        assert_eq!(wrong_field(post(&flow, &notes, json!({ "text": text })).await), "text");
        assert_eq!(wrong_field(patch(&flow, &path, json!({ "text": text })).await), "text");
    }
    let _answer = delete(&flow, &path).await.expect_status(204);
    let _problem = delete(&flow, &path).await.expect_problem(404, "not_found");
    assert_eq!(get(&flow, &notes).await["items"].as_array().unwrap().len(), 2);
    let nobody = format!("contacts/{}/notes", new_id());
    let _problem = flow.api(Method::GET, &nobody, None).await.expect_problem(404, "not_found");
    let _problem = post(&flow, &nobody, json!({ "text": "a" })).await.expect_problem(404, "not_found");
    // Notes are no history: they go with a contact that was made by mistake.
    let _answer = delete(&flow, &path_of(&contact, "contacts")).await.expect_status(204);
    flow.end().await;
}

/// Over the deployed template, too.
#[tokio::test]
async fn what_is_asked_twice_is_made_once() {
    let stack = Stack::load();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let api = Tenant::seed(&stack, options).await.api;
    let contact = json!({ "name": "Ana", "phone": "62988880020" });
    let key = new_word("chave-");
    let made = api.post_once("contacts", &key, &contact).await.expect_status(201).body;
    assert_eq!(api.post_once("contacts", &key, &contact).await.expect_status(201).body, made);
    let other = api.post_once("contacts", &key, &json!({ "name": "Bia" })).await;
    let _problem = other.expect_problem(409, "idempotency_key_reused");
    let path = path_of(&made, "contacts");
    for (path, status, body) in [
        (format!("{path}/notes"), 201, json!({ "text": "Ligou" })),
        (format!("{path}/opt-out"), 200, json!({ "proof": "Pediu" })),
        (format!("{path}/opt-in"), 200, json!({ "proof": "Pediu" })),
        ("contact-fields".to_owned(), 201, json!({ "key": "cpf", "label": "CPF", "type": "text" })),
        ("tabulations".to_owned(), 201, json!({ "name": "VIP" })),
    ] {
        let key = new_word("chave-");
        let made = api.post_once(&path, &key, &body).await.expect_status(status).body;
        let again = api.post_once(&path, &key, &body).await.expect_status(status).body;
        assert_eq!(again, made, "{path}");
    }
    let timeline = api.get(&format!("{path}/timeline")).await.expect_status(200).body;
    let kinds: Vec<_> = timeline["items"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["opt_in", "opt_out", "note", "contact_created"]);
    assert_eq!(
        api.get("contacts?q=ana").await.expect_status(200).body["items"],
        json!([api.get(&path).await.body])
    );
}

#[tokio::test]
async fn there_is_an_end_to_fields_and_to_renaming() {
    let flow = company().await;
    sqlx::query(
        "INSERT INTO contact_fields (company_id, id, key, label, type, created_at, updated_at)
         SELECT $1, gen_random_uuid(), 'f' || n, 'F', 'text', now(), now() FROM generate_series(1, 200) AS n",
    )
    .bind(flow.tenant.company_id)
    .execute(&flow.admin)
    .await
    .unwrap();
    let answer = post(&flow, "contact-fields", json!({ "key": "a", "label": "A", "type": "text" })).await;
    insta::assert_json_snapshot!("too_many_fields", answer.body);
    let _problem = answer.expect_problem(409, "too_many_fields");

    let vip = made(&flow, "tabulations", json!({ "name": "VIP" })).await;
    sqlx::query(
        "INSERT INTO contacts (company_id, id, name, source, tags, created_at, updated_at)
         SELECT $1, gen_random_uuid(), 'Ana', 'x', '{VIP}', now(), now() FROM generate_series(1, 10001)",
    )
    .bind(flow.tenant.company_id)
    .execute(&flow.admin)
    .await
    .unwrap();
    let path = path_of(&vip, "tabulations");
    let answer = patch(&flow, &path, json!({ "name": "Ouro" })).await;
    insta::assert_json_snapshot!("tabulation_in_use", answer.body);
    let _problem = answer.expect_problem(409, "tabulation_in_use");
    assert_eq!(get(&flow, &path).await["name"], "VIP");
    let _answer = patch(&flow, &path, json!({ "color": "#000000" })).await.expect_status(200);
    let one = get(&flow, "contacts?tag=VIP&limit=1").await["items"][0].clone();
    let _answer = patch(&flow, &path_of(&one, "contacts"), json!({ "tags": [] })).await.expect_status(200);
    let _answer = patch(&flow, &path, json!({ "name": "Ouro" })).await.expect_status(200);
    assert_eq!(names(&flow, "tag=VIP").await.len(), 0);
    assert_eq!(names(&flow, "tag=Ouro&q=ana").await.len(), 50);
    flow.end().await;
}
