//! One company before another's things: what belongs to another company does not exist, wherever its id is put.

use std::collections::{BTreeMap, BTreeSet};

use futures::join;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Api, PATIENCE, Socket, new_word};

use super::document::{Operation, fill, guarded};
use crate::inbox::Inbox;

/// What an id in a path names, by what stands before it.
const IN_PATHS: &[(&str, &str)] = &[
    ("api-keys", "api_key"),
    ("auth/sessions", "login_session"),
    ("connections", "connection"),
    ("contact-fields", "contact_field"),
    ("contacts", "contact"),
    ("contacts/by-phone", "phone"),
    ("contacts/exports", "export"),
    ("contacts/imports", "import"),
    ("contacts/notes", "note"),
    ("conversations", "conversation"),
    ("departments", "department"),
    ("invitations", "invitation"),
    ("kanbans", "board"),
    ("kanbans/stages", "stage"),
    ("leads", "lead"),
    ("media", "media"),
    ("lists", "list"),
    ("members", "member"),
    ("messages", "message"),
    ("quick-replies", "quick_reply"),
    ("segments", "segment"),
    ("sessions", "session"),
    ("sessions/by-contact", "contact"),
    ("tabulations", "tabulation"),
    ("templates", "template"),
];

/// Ids in query strings: route, parameter, what it names.
const IN_QUERIES: &[(&str, &str, &str)] = &[
    ("DELETE /api/v1/kanbans/{id}/stages/{stage_id}", "move_to", "stage"),
    ("GET /api/v1/audit-log", "actor_id", "member"),
    ("GET /api/v1/audit-log", "object_id", "department"),
    ("GET /api/v1/conversations", "assignee_id", "member"),
    ("GET /api/v1/conversations", "connection_id", "connection"),
    ("GET /api/v1/conversations", "contact_id", "contact"),
    ("GET /api/v1/conversations", "department_id", "department"),
    ("GET /api/v1/leads", "board_id", "board"),
    ("GET /api/v1/leads", "contact_id", "contact"),
    ("GET /api/v1/leads", "owner_id", "member"),
    ("GET /api/v1/leads", "stage_id", "stage"),
    ("GET /api/v1/messages", "contact_id", "contact"),
    ("GET /api/v1/messages", "conversation_id", "conversation"),
    ("GET /api/v1/templates", "connection_id", "connection"),
    ("GET /api/v1/sessions", "agent_id", "member"),
    ("GET /api/v1/sessions", "contact_id", "contact"),
    ("GET /api/v1/sessions", "department_id", "department"),
];

/// Ids in bodies: route, property, how another company's is answered, and a body that is right with one's own.
const IN_BODIES: &[(&str, &str, u16, &str)] = &[
    (
        "DELETE /api/v1/contacts/{id}/tabulations",
        "tabulation_ids",
        422,
        r#"{ "tabulation_ids": ["$tabulation"] }"#,
    ),
    ("PATCH /api/v1/conversations/{id}", "assignee_id", 422, r#"{ "assignee_id": "$member" }"#),
    ("PATCH /api/v1/conversations/{id}", "department_id", 422, r#"{ "department_id": "$department" }"#),
    ("DELETE /api/v1/lists/{id}/contacts", "contact_ids", 422, r#"{ "contact_ids": ["$contact"] }"#),
    (
        "PATCH /api/v1/departments/{id}",
        "member_ids",
        422,
        r#"{ "name": "Comercial", "member_ids": ["$member"] }"#,
    ),
    ("POST /api/v1/auth/switch-company", "company_id", 404, r#"{ "company_id": "$company" }"#),
    (
        "POST /api/v1/contacts/{id}/opt-in",
        "message_id",
        422,
        r#"{ "proof": "Sim, quero", "message_id": "$message" }"#,
    ),
    ("POST /api/v1/contacts/{id}/opt-out", "message_id", 422, r#"{ "message_id": "$message" }"#),
    (
        "POST /api/v1/contacts/{id}/tabulations",
        "tabulation_ids",
        422,
        r#"{ "tabulation_ids": ["$tabulation"] }"#,
    ),
    ("POST /api/v1/company/transfer-ownership", "user_id", 404, r#"{ "user_id": "$member" }"#),
    (
        "POST /api/v1/conversations",
        "connection_id",
        404,
        r#"{ "contact_id": "$contact", "connection_id": "$connection" }"#,
    ),
    (
        "POST /api/v1/conversations",
        "contact_id",
        404,
        r#"{ "contact_id": "$contact", "connection_id": "$connection" }"#,
    ),
    ("POST /api/v1/conversations/{id}/assign", "agent_id", 422, r#"{ "agent_id": "$member" }"#),
    ("POST /api/v1/conversations/{id}/assign", "department_id", 422, r#"{ "department_id": "$department" }"#),
    ("PATCH /api/v1/connections/{id}", "persona_id", 404, r#"{ "persona_id": "$persona" }"#),
    (
        "POST /api/v1/connections",
        "persona_id",
        404,
        r#"{ "kind": "evolution", "name": "Loja", "persona_id": "$persona", "base_url": "https://evolution.example.com",
             "instance": "loja", "api_key": "chave" }"#,
    ),
    ("POST /api/v1/contacts/{id}/merge", "into", 422, r#"{ "into": "$contact" }"#),
    ("POST /api/v1/contacts/exports", "filter.list_id", 404, r#"{ "filter": { "list_id": "$list" } }"#),
    (
        "POST /api/v1/contacts/imports",
        "list_id",
        404,
        r#"{ "media_id": "$import_file", "mapping": { "Fone": "phone" }, "list_id": "$list" }"#,
    ),
    (
        "POST /api/v1/contacts/imports",
        "media_id",
        404,
        r#"{ "media_id": "$import_file", "mapping": { "Fone": "phone" } }"#,
    ),
    ("POST /api/v1/contacts/imports/preview", "media_id", 404, r#"{ "media_id": "$import_file" }"#),
    ("POST /api/v1/departments", "member_ids", 422, r#"{ "name": "Compras", "member_ids": ["$member"] }"#),
    ("PATCH /api/v1/leads/{id}", "contact_id", 422, r#"{ "contact_id": "$contact" }"#),
    ("PATCH /api/v1/leads/{id}", "owner_id", 422, r#"{ "owner_id": "$member" }"#),
    ("POST /api/v1/leads", "board_id", 422, LEAD),
    ("POST /api/v1/leads", "contact_id", 422, LEAD),
    ("POST /api/v1/leads", "owner_id", 422, LEAD),
    ("POST /api/v1/leads", "stage_id", 422, LEAD),
    (
        "POST /api/v1/leads/{id}/move",
        "after_lead_id",
        422,
        r#"{ "stage_id": "$stage", "after_lead_id": "$other_lead" }"#,
    ),
    ("POST /api/v1/leads/{id}/move", "stage_id", 422, r#"{ "stage_id": "$stage" }"#),
    ("POST /api/v1/lists/{id}/contacts", "contact_ids", 422, r#"{ "contact_ids": ["$contact"] }"#),
    (
        "POST /api/v1/messages",
        "connection_id",
        404,
        r#"{ "contact_id": "$contact", "connection_id": "$connection", "type": "text", "text": "Oi" }"#,
    ),
    (
        "POST /api/v1/messages",
        "contact_id",
        404,
        r#"{ "contact_id": "$contact", "connection_id": "$connection", "type": "text", "text": "Oi" }"#,
    ),
    (
        "POST /api/v1/messages",
        "conversation_id",
        404,
        r#"{ "conversation_id": "$conversation", "type": "text", "text": "Oi" }"#,
    ),
    (
        "POST /api/v1/messages",
        "media_id",
        404,
        r#"{ "conversation_id": "$conversation", "type": "image", "media_id": "$media" }"#,
    ),
    (
        "POST /api/v1/messages",
        "reply_to_id",
        404,
        r#"{ "conversation_id": "$conversation", "reply_to_id": "$message", "type": "text", "text": "Oi" }"#,
    ),
    (
        "POST /api/v1/messages",
        REACTION,
        404,
        r#"{ "conversation_id": "$conversation", "type": "reaction",
             "reaction": { "message_id": "$message", "emoji": "👍" } }"#,
    ),
    (
        "POST /api/v1/quick-replies/{id}/render",
        "conversation_id",
        404,
        r#"{ "conversation_id": "$conversation" }"#,
    ),
    ("POST /api/v1/sessions/{id}/assign", "agent_id", 422, r#"{ "agent_id": "$member" }"#),
    ("POST /api/v1/sessions/{id}/assign", "customer_id", 422, r#"{ "customer_id": "$contact" }"#),
    ("POST /api/v1/sessions/{id}/assign", "department_id", 422, r#"{ "department_id": "$department" }"#),
    ("POST /api/v1/templates", "connection_id", 404, TEMPLATE),
    ("POST /api/v1/templates/sync", "connection_id", 404, r#"{ "connection_id": "$connection" }"#),
];

/// A template that Meta would take.
const TEMPLATE: &str = r#"{ "connection_id": "$connection", "name": "pedido_novo", "language": "pt_BR", "category": "UTILITY",
                            "components": [{ "type": "BODY", "text": "Oi" }] }"#;

/// A lead that names everything that one may name.
const LEAD: &str = r#"{ "board_id": "$board", "stage_id": "$stage", "title": "Plano anual", "owner_id": "$member",
                        "contact_id": "$contact" }"#;

/// An id within what the document shows as an object of any shape.
const REACTION: &str = "reaction.message_id";

/// A company that has one of everything, and its owner.
struct Company {
    inbox: Inbox,
    owner: Api,
    ids: BTreeMap<&'static str, String>,
}

impl Company {
    async fn open() -> Self {
        let inbox = Inbox::open(false).await;
        let message = inbox.messages().await.remove(0);
        let anonymous = Api::anonymous(&inbox.stack).elsewhere();
        let credentials = json!({ "email": inbox.tenant.email, "password": inbox.tenant.password });
        let on_phone = anonymous.post("auth/login", &credentials).await.expect_status(200).body;
        let phone = anonymous.with(on_phone["token"].as_str().unwrap());
        let open = phone.get("auth/sessions").await.expect_status(200).body;
        let on_laptop = anonymous.post("auth/login", &credentials).await.expect_status(200).body;
        let owner = anonymous.with(on_laptop["token"].as_str().unwrap());
        let make = async |path: &str, body: Value| owner.post(path, &body).await.expect_status(201).body;
        let department = make("departments", json!({ "name": "Vendas" })).await;
        let email = format!("{}@example.com", new_word("convite-"));
        let invitation = make("invitations", json!({ "email": email, "role": "agent" })).await;
        let list = make("lists", json!({ "name": "Clientes" })).await;
        let segment = make("segments", json!({ "name": "Todos", "filter": { "all": [] } })).await;
        let key = make("api-keys", json!({ "name": "ERP", "permissions": ["read_inbox"] })).await;
        let field = make("contact-fields", json!({ "key": "cpf", "label": "CPF", "type": "text" })).await;
        let tabulation = make("tabulations", json!({ "name": "VIP" })).await;
        let notes = format!("contacts/{}/notes", inbox.contact_id);
        let note = make(&notes, json!({ "text": "Prefere a manhã" })).await;
        let contact = owner.get(&format!("contacts/{}", inbox.contact_id)).await.expect_status(200).body;
        let stages = json!([{ "name": "Novo" }]);
        let board = make("kanbans", json!({ "name": "Vendas", "stages": stages })).await;
        let lead = make("leads", json!({ "board_id": board["id"], "title": "Plano anual" })).await;
        let other_lead = make("leads", json!({ "board_id": board["id"], "title": "Plano mensal" })).await;
        let quick_reply = make("quick-replies", json!({ "shortcut": "oi", "text": "Oi!" })).await;
        let template = json!({
            "connection_id": inbox.tenant.connection_id, "name": "pedido", "language": "pt_BR", "category": "UTILITY",
            "components": [{ "type": "BODY", "text": "Oi" }],
        });
        let template = make("templates", template).await;
        let picture = json!({ "file_name": "foto.jpg", "mime_type": "image/jpeg", "size": 1000 });
        let media = make("media", picture).await;
        let file = import_file(&owner).await;
        let import = json!({ "media_id": file["id"], "mapping": { "Fone": "phone" }, "list_id": list["id"] });
        let import = owner.post("contacts/imports", &import).await.expect_status(202).body;
        let export = owner.post("contacts/exports", &json!({})).await.expect_status(202).body;
        let persona: uuid::Uuid = sqlx::query_scalar("SELECT id FROM personas WHERE company_id = $1")
            .bind(inbox.tenant.company_id)
            .fetch_one(&inbox.stack.admin())
            .await
            .unwrap();
        let id = |of: &Value| of.as_str().unwrap().to_owned();
        let ids = BTreeMap::from([
            ("api_key", id(&key["id"])),
            ("board", id(&board["id"])),
            ("company", inbox.tenant.company_id.to_string()),
            ("connection", inbox.tenant.connection_id.to_string()),
            ("contact", inbox.contact_id.clone()),
            ("contact_field", id(&field["id"])),
            ("conversation", inbox.conversation_id.clone()),
            ("department", id(&department["id"])),
            ("export", id(&export["id"])),
            ("import", id(&import["id"])),
            ("import_file", id(&file["id"])),
            ("invitation", id(&invitation["id"])),
            ("lead", id(&lead["id"])),
            ("list", id(&list["id"])),
            ("login_session", id(&open["items"][0]["id"])),
            ("media", id(&media["id"])),
            ("member", id(&on_laptop["user"]["id"])),
            ("message", id(&message["id"])),
            ("note", id(&note["id"])),
            ("persona", persona.to_string()),
            ("phone", id(&contact["phone"])),
            ("other_lead", id(&other_lead["id"])),
            ("quick_reply", id(&quick_reply["id"])),
            ("segment", id(&segment["id"])),
            ("session", id(&message["session_id"])),
            ("tabulation", id(&tabulation["id"])),
            ("template", id(&template["id"])),
            ("stage", id(&board["stages"][0]["id"])),
        ]);
        Self { inbox, owner, ids }
    }

    async fn two() -> (Self, Self) {
        join!(Self::open(), Self::open())
    }

    /// What would show that somebody changed something: the log, the messages, who the owner is.
    async fn state(&self) -> Value {
        let me = self.owner.get("auth/me").await.expect_status(200).body;
        let audit_log = self.owner.all("audit-log", 100).await;
        json!([audit_log, self.inbox.messages().await, me])
    }

    /// The path of an operation with this company's things in it.
    fn path(&self, operation: &Operation) -> String {
        self.path_below(self, operation)
    }

    /// The path of an operation with the last thing of this company, below things of `other`.
    fn path_below(&self, other: &Self, operation: &Operation) -> String {
        let prefixes = operation.prefixes();
        let things = prefixes.iter().map(|prefix| {
            let known = IN_PATHS.iter().find(|(before, _)| before == prefix);
            known.unwrap_or_else(|| panic!("{}: what is the id behind {prefix} of?", operation.route)).1
        });
        let last = prefixes.len().saturating_sub(1);
        let ids = things.enumerate().map(|(place, thing)| {
            if place == last { self.ids[thing].as_str() } else { other.ids[thing].as_str() }
        });
        operation.path(&ids.collect::<Vec<_>>())
    }
}

/// A file of one contact, which is there.
async fn import_file(owner: &Api) -> Value {
    let rows = "Fone\n62999990001\n";
    let file =
        json!({ "purpose": "import", "file_name": "a.csv", "mime_type": "text/csv", "size": rows.len() });
    let file = owner.post("media", &file).await.expect_status(201).body;
    assert_eq!(crate::flows::media::put(&file, rows.as_bytes()).await, 200);
    let path = format!("media/{}/complete", file["id"].as_str().unwrap());
    owner.post(&path, &json!({})).await.expect_status(200).body
}

/// Bodies of routes with an id in their path, where `{}` is none of theirs.
const BODIES: &[(&str, &str)] = &[
    ("DELETE /api/v1/contacts/{id}/tabulations", r#"{ "tabulation_ids": ["$tabulation"] }"#),
    ("DELETE /api/v1/sessions/{id}/tags", r#"{ "tags": ["venda"] }"#),
    ("PATCH /api/v1/sessions/{id}/status", r#"{ "status": "PAUSED" }"#),
    ("POST /api/v1/contacts/{id}/notes", r#"{ "text": "Prefere a tarde" }"#),
    ("POST /api/v1/contacts/{id}/opt-in", r#"{ "proof": "Sim, quero" }"#),
    ("POST /api/v1/contacts/{id}/tabulations", r#"{ "tabulation_ids": ["$tabulation"] }"#),
    ("POST /api/v1/kanbans/{id}/stages", r#"{ "name": "Proposta" }"#),
    ("POST /api/v1/leads/{id}/move", r#"{ "stage_id": "$stage" }"#),
    ("POST /api/v1/conversations/{id}/assign", r#"{ "agent_id": "$member" }"#),
    ("POST /api/v1/conversations/{id}/notes", r#"{ "text": "Anotado" }"#),
    ("POST /api/v1/quick-replies/{id}/render", r#"{ "conversation_id": "$conversation" }"#),
    ("DELETE /api/v1/lists/{id}/contacts", r#"{ "contact_ids": ["$contact"] }"#),
    ("POST /api/v1/contacts/{id}/merge", r#"{ "into": "$contact" }"#),
    ("POST /api/v1/lists/{id}/contacts", r#"{ "contact_ids": ["$contact"] }"#),
    ("POST /api/v1/sessions/{id}/assign", r#"{ "agent_id": "$member" }"#),
    ("POST /api/v1/sessions/{id}/block-ai", r#"{ "minutes": 1 }"#),
    ("POST /api/v1/sessions/{id}/tags", r#"{ "tags": ["venda"] }"#),
];

/// A body of the right shape, with things of the company that calls.
fn body_of(operation: &Operation, caller: &Company) -> Option<Value> {
    let known = BODIES.iter().find(|(route, _)| *route == operation.route);
    let body = known.map_or_else(|| json!({}), |(_, body)| serde_json::from_str(body).unwrap());
    operation.has_body.then(|| fill(&body, &caller.ids))
}

#[test]
fn every_id_that_a_route_takes_is_known_here() {
    let mut in_queries = BTreeSet::new();
    let mut in_bodies = BTreeSet::from([("POST /api/v1/messages".to_owned(), REACTION.to_owned())]);
    for operation in super::document::operations() {
        let route = &operation.route;
        in_queries.extend(operation.query_ids.into_iter().map(|name| (route.clone(), name)));
        in_bodies.extend(operation.body_ids.into_iter().map(|name| (route.clone(), name)));
    }
    let owned = |(route, name): (&str, &str)| (route.to_owned(), name.to_owned());
    let known: BTreeSet<_> = IN_QUERIES.iter().map(|(route, name, _)| owned((route, name))).collect();
    assert_eq!(in_queries, known);
    let known: BTreeSet<_> = IN_BODIES.iter().map(|(route, name, ..)| owned((route, name))).collect();
    assert_eq!(in_bodies, known);
}

#[tokio::test]
async fn another_companys_things_are_404() {
    let (ours, theirs) = Company::two().await;
    let before = ours.state().await;
    // Deletions last, for below the owner takes the same way; what is within a thing before the thing, and at the very end
    // what takes the notes on a person along.
    let erases = |operation: &Operation| operation.route == "POST /api/v1/contacts/{id}/erase";
    let (mut last, first): (Vec<_>, Vec<_>) =
        guarded().into_iter().partition(|operation| operation.method == Method::DELETE || erases(operation));
    // A board takes its leads along.
    let is_board = |operation: &Operation| operation.route == "DELETE /api/v1/kanbans/{id}";
    last.sort_by_key(|operation| {
        (erases(operation), is_board(operation), std::cmp::Reverse(operation.route.len()))
    });
    let with_an_id: Vec<_> =
        first.into_iter().chain(last).filter(|operation| !operation.prefixes().is_empty()).collect();
    assert!(with_an_id.len() >= 17, "only {} routes with an id", with_an_id.len());
    for operation in &with_an_id {
        // Below another company's thing, and below one's own.
        for path in BTreeSet::from([ours.path(operation), ours.path_below(&theirs, operation)]) {
            let answer = operation.ask(&theirs.owner, &path, body_of(operation, &theirs).as_ref()).await;
            assert_eq!(answer.status, 404, "{}: {}", operation.route, answer.body);
            let _problem = answer.expect_problem(404, "not_found");
        }
    }
    assert_eq!(ours.state().await, before, "strangers changed something");
    // That it was the company which made the difference: with the same words its own owner finds everything.
    for operation in &with_an_id {
        let path = ours.path(operation);
        let answer = operation.ask(&ours.owner, &path, body_of(operation, &ours).as_ref()).await;
        assert!(matches!(answer.status, 200..=299 | 403 | 409), "{}: {}", operation.route, answer.status);
    }
}

#[tokio::test]
async fn another_companys_ids_in_a_body_are_refused() {
    let (ours, theirs) = Company::two().await;
    let before = (ours.state().await, theirs.state().await);
    let operations = guarded();
    let find = |route: &str| operations.iter().find(|operation| operation.route == route).unwrap();
    for &(route, property, refusal, body) in IN_BODIES {
        let template: Value = serde_json::from_str(body).unwrap();
        let pointer = format!("/{}", property.replace('.', "/"));
        let mut body = fill(&template, &theirs.ids);
        *body.pointer_mut(&pointer).unwrap() = fill(template.pointer(&pointer).unwrap(), &ours.ids);
        let operation = find(route);
        let path = theirs.path(operation);
        let answer = operation.ask(&theirs.owner, &path, Some(&body)).await;
        assert_eq!(answer.status, refusal, "{route} {property}: {}", answer.body);
        if refusal == 422 {
            assert_eq!(answer.body["errors"][0]["field"], property, "{route}");
        } else {
            let _problem = answer.expect_problem(404, "not_found");
        }
    }
    assert_eq!((ours.state().await, theirs.state().await), before, "something was written");
    // The same bodies with one's own ids are right, or fail for another reason: who owns a company cannot inherit it.
    for &(route, property, _, body) in IN_BODIES {
        let operation = find(route);
        let path = theirs.path(operation);
        let body = fill(&serde_json::from_str(body).unwrap(), &theirs.ids);
        let answer = operation.ask(&theirs.owner, &path, Some(&body)).await;
        assert!(
            matches!(answer.status, 200..=299 | 409),
            "{route} {property}: {} {}",
            answer.status,
            answer.body
        );
    }
}

#[tokio::test]
async fn lists_hold_nothing_of_another_company() {
    let (ours, theirs) = Company::two().await;
    let mut seen_by_owner = String::new();
    for operation in guarded() {
        if operation.method != Method::GET {
            continue;
        }
        if !operation.prefixes().is_empty() {
            // What belongs to a thing is listed below it.
            let below = ours.owner.get(&ours.path(&operation)).await;
            // A file that has not come yet has no address.
            assert!(matches!(below.status, 200 | 409), "{}: {}", operation.route, below.body);
            if below.body["items"].is_array() {
                seen_by_owner += &below.body.to_string();
            }
            continue;
        }
        let path = operation.path(&[]);
        let body = theirs.owner.get(&path).await.expect_status(200).body.to_string();
        for (thing, id) in &ours.ids {
            assert!(!body.contains(id), "{}: shows another company's {thing}", operation.route);
        }
        seen_by_owner += &ours.owner.get(&path).await.expect_status(200).body.to_string();
    }
    // An upload that is not there yet stands in no list, neither do exports, and of personas there is none.
    let in_no_list = ["export", "media", "persona"];
    for (thing, id) in ours.ids.iter().filter(|(thing, _)| !in_no_list.contains(thing)) {
        assert!(seen_by_owner.contains(id), "the owner sees the company's {thing} in no list");
    }
    for &(route, name, thing) in IN_QUERIES {
        let Some(path) = route.strip_prefix("GET ") else { continue };
        let body =
            theirs.owner.get(&format!("{path}?{name}={}", ours.ids[thing])).await.expect_status(200).body;
        assert_eq!(body["items"], json!([]), "{route}?{name}");
    }
}

#[tokio::test]
async fn a_socket_hears_its_own_company_only() {
    let (ours, theirs) = join!(Inbox::open(false), Inbox::open(false));
    let our_socket = Socket::open(&ours.stack, &ours.tenant.api_key).await;
    let their_socket = Socket::open(&theirs.stack, &theirs.tenant.api_key).await;
    // What happens at the second company comes after what happened at the first, and by the same way.
    let _id = ours.send("Olá").await;
    let id = theirs.send("Olá").await;
    for (inbox, socket) in [(&ours, &our_socket), (&theirs, &their_socket)] {
        let company = json!(inbox.tenant.company_id);
        socket.wait_for("an event of one's own", PATIENCE, |event| event["company_id"] == company).await;
    }
    let done = ["sent", "delivered", "read"];
    let _message = theirs.reaches(&id, &done).await;
    for (inbox, socket) in [(&ours, &our_socket), (&theirs, &their_socket)] {
        let company = json!(inbox.tenant.company_id);
        let foreign = socket.events().into_iter().find(|event| event["company_id"] != company);
        assert_eq!(foreign, None, "a socket is told about its own company only");
    }
}
