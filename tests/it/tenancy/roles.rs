//! Who may do what: every route before every role, and before an API key of every single permission.
//!
//! Nothing here changes anything: ids are of nothing, and values such that who is let in is told 404 or 422.

use std::collections::BTreeMap;

use domain::user::Permission::{self, *};
use domain::user::Role;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::Api;

use super::document::{Operation, fill, guarded};
use crate::accounts::colleague::invite;
use crate::accounts::person::Person;

/// What a route asks of who calls it.
#[derive(Clone, Copy)]
enum Asks {
    /// To be a person, of any role.
    Person,
    /// To hold a permission.
    For(Permission),
}
use Asks::For;

/// Every guarded route: what it asks, and a body of the right shape for those that take one.
const ROUTES: &[(&str, Asks, &str)] = &[
    ("DELETE /api/v1/api-keys/{id}", For(ManageApiKeys), ""),
    ("DELETE /api/v1/auth/sessions/{id}", Asks::Person, ""),
    ("DELETE /api/v1/connections/{id}", For(ManageConnections), ""),
    ("DELETE /api/v1/contact-fields/{id}", For(ManageContacts), ""),
    ("DELETE /api/v1/contacts/{id}", For(ManageContacts), ""),
    ("DELETE /api/v1/contacts/{id}/notes/{note_id}", For(WriteInbox), ""),
    ("DELETE /api/v1/contacts/{id}/tabulations", For(WriteInbox), r#"{ "tabulation_ids": [] }"#),
    ("DELETE /api/v1/departments/{id}", For(ManageDepartments), ""),
    ("DELETE /api/v1/invitations/{id}", For(ManageMembers), ""),
    ("DELETE /api/v1/kanbans/{id}", For(ManageBoards), ""),
    ("DELETE /api/v1/kanbans/{id}/stages/{stage_id}", For(ManageBoards), ""),
    ("DELETE /api/v1/leads/{id}", For(WriteInbox), ""),
    ("DELETE /api/v1/lists/{id}", For(ManageContacts), ""),
    ("DELETE /api/v1/lists/{id}/contacts", For(ManageContacts), r#"{ "contact_ids": [] }"#),
    ("DELETE /api/v1/members/{id}", For(ManageMembers), ""),
    ("DELETE /api/v1/quick-replies/{id}", For(WriteInbox), ""),
    ("DELETE /api/v1/segments/{id}", For(ManageContacts), ""),
    ("DELETE /api/v1/sessions/{id}/tags", For(WriteInbox), r#"{ "tags": [] }"#),
    ("DELETE /api/v1/tabulations/{id}", For(ManageContacts), ""),
    ("DELETE /api/v1/templates/{id}", For(ManageTemplates), ""),
    ("GET /api/v1/api-keys", For(ManageApiKeys), ""),
    ("GET /api/v1/api-keys/{id}", For(ManageApiKeys), ""),
    ("GET /api/v1/audit-log", For(ReadAuditLog), ""),
    ("GET /api/v1/auth/me", Asks::Person, ""),
    ("GET /api/v1/auth/sessions", Asks::Person, ""),
    ("GET /api/v1/company", For(ReadCompany), ""),
    ("GET /api/v1/connections", For(ReadInbox), ""),
    ("GET /api/v1/connections/{id}", For(ReadInbox), ""),
    ("GET /api/v1/connections/{id}/health", For(ReadInbox), ""),
    ("GET /api/v1/connections/{id}/qr", For(ManageConnections), ""),
    ("GET /api/v1/contact-fields", For(ReadInbox), ""),
    ("GET /api/v1/contact-fields/{id}", For(ReadInbox), ""),
    ("GET /api/v1/contacts", For(ReadInbox), ""),
    ("GET /api/v1/contacts/by-phone/{phone}", For(ReadInbox), ""),
    ("GET /api/v1/contacts/exports/{id}", For(ManageContacts), ""),
    ("GET /api/v1/contacts/imports", For(ManageContacts), ""),
    ("GET /api/v1/contacts/imports/{id}", For(ManageContacts), ""),
    ("GET /api/v1/contacts/imports/{id}/errors", For(ManageContacts), ""),
    ("GET /api/v1/contacts/{id}", For(ReadInbox), ""),
    ("GET /api/v1/contacts/{id}/erase", For(ManageContacts), ""),
    ("GET /api/v1/contacts/{id}/export", For(ManageContacts), ""),
    ("GET /api/v1/contacts/{id}/merge-candidates", For(ReadInbox), ""),
    ("GET /api/v1/contacts/{id}/notes", For(ReadInbox), ""),
    ("GET /api/v1/contacts/{id}/timeline", For(ReadInbox), ""),
    ("GET /api/v1/conversations", For(ReadInbox), ""),
    ("GET /api/v1/conversations/{id}", For(ReadInbox), ""),
    ("GET /api/v1/conversations/{id}/messages", For(ReadInbox), ""),
    ("GET /api/v1/conversations/{id}/notes", For(ReadInbox), ""),
    ("GET /api/v1/departments", For(ReadCompany), ""),
    ("GET /api/v1/departments/{id}", For(ReadCompany), ""),
    ("GET /api/v1/invitations", For(ManageMembers), ""),
    ("GET /api/v1/invitations/{id}", For(ManageMembers), ""),
    ("GET /api/v1/kanbans", For(ReadInbox), ""),
    ("GET /api/v1/kanbans/{id}", For(ReadInbox), ""),
    ("GET /api/v1/kanbans/{id}/summary", For(ReadInbox), ""),
    ("GET /api/v1/leads", For(ReadInbox), ""),
    ("GET /api/v1/leads/{id}", For(ReadInbox), ""),
    ("GET /api/v1/leads/{id}/history", For(ReadInbox), ""),
    ("GET /api/v1/media/{id}", For(ReadInbox), ""),
    ("GET /api/v1/media/{id}/file", For(ReadInbox), ""),
    ("GET /api/v1/media/{id}/thumbnail", For(ReadInbox), ""),
    ("GET /api/v1/lists", For(ReadInbox), ""),
    ("GET /api/v1/lists/{id}", For(ReadInbox), ""),
    ("GET /api/v1/lists/{id}/contacts", For(ReadInbox), ""),
    ("GET /api/v1/members", For(ReadCompany), ""),
    ("GET /api/v1/members/{id}", For(ReadCompany), ""),
    ("GET /api/v1/messages", For(ReadInbox), ""),
    ("GET /api/v1/messages/{id}", For(ReadInbox), ""),
    ("GET /api/v1/quick-replies", For(ReadInbox), ""),
    ("GET /api/v1/quick-replies/{id}", For(ReadInbox), ""),
    ("GET /api/v1/segments", For(ReadInbox), ""),
    ("GET /api/v1/segments/{id}", For(ReadInbox), ""),
    ("GET /api/v1/sessions", For(ReadInbox), ""),
    ("GET /api/v1/sessions/by-contact/{contact_id}", For(ReadInbox), ""),
    ("GET /api/v1/sessions/{id}", For(ReadInbox), ""),
    ("GET /api/v1/sessions/{id}/ai-status", For(ReadInbox), ""),
    ("GET /api/v1/sessions/{id}/messages", For(ReadInbox), ""),
    ("GET /api/v1/tabulations", For(ReadInbox), ""),
    ("GET /api/v1/tabulations/{id}", For(ReadInbox), ""),
    ("GET /api/v1/templates", For(ReadInbox), ""),
    ("GET /api/v1/templates/{id}", For(ReadInbox), ""),
    ("PATCH /api/v1/api-keys/{id}", For(ManageApiKeys), "{}"),
    ("PATCH /api/v1/company", For(ManageCompany), r#"{ "name": "" }"#),
    ("PATCH /api/v1/connections/{id}", For(ManageConnections), "{}"),
    ("PATCH /api/v1/contact-fields/{id}", For(ManageContacts), "{}"),
    ("PATCH /api/v1/contacts/{id}", For(WriteInbox), "{}"),
    ("PATCH /api/v1/contacts/{id}/notes/{note_id}", For(WriteInbox), "{}"),
    ("PATCH /api/v1/conversations/{id}", For(WriteInbox), "{}"),
    ("PATCH /api/v1/departments/{id}", For(ManageDepartments), "{}"),
    ("PATCH /api/v1/kanbans/{id}", For(ManageBoards), "{}"),
    ("PATCH /api/v1/kanbans/{id}/stages/{stage_id}", For(ManageBoards), "{}"),
    ("PATCH /api/v1/leads/{id}", For(WriteInbox), "{}"),
    ("PATCH /api/v1/lists/{id}", For(ManageContacts), "{}"),
    ("PATCH /api/v1/members/{id}", For(ManageMembers), "{}"),
    ("PATCH /api/v1/quick-replies/{id}", For(WriteInbox), "{}"),
    ("PATCH /api/v1/segments/{id}", For(ManageContacts), "{}"),
    ("PATCH /api/v1/sessions/{id}/status", For(WriteInbox), r#"{ "status": "PAUSED" }"#),
    ("PATCH /api/v1/tabulations/{id}", For(ManageContacts), "{}"),
    ("PATCH /api/v1/templates/{id}", For(ManageTemplates), "{}"),
    ("POST /api/v1/api-keys", For(ManageApiKeys), r#"{ "name": "", "permissions": [] }"#),
    ("POST /api/v1/auth/switch-company", Asks::Person, r#"{ "company_id": "$nothing" }"#),
    ("POST /api/v1/company/transfer-ownership", For(TransferOwnership), r#"{ "user_id": "$nothing" }"#),
    ("POST /api/v1/connections", For(ManageConnections), r#"{ "kind": "evolution", "name": "" }"#),
    (
        "POST /api/v1/connections/whatsapp-cloud/embedded-signup",
        For(ManageConnections),
        r#"{ "code": "", "waba_id": "" }"#,
    ),
    ("POST /api/v1/connections/{id}/check", For(ManageConnections), ""),
    ("POST /api/v1/contact-fields", For(ManageContacts), r#"{ "key": "", "label": "", "type": "text" }"#),
    ("POST /api/v1/contacts", For(WriteInbox), "{}"),
    ("POST /api/v1/contacts/{id}/erase", For(ManageContacts), ""),
    ("POST /api/v1/contacts/{id}/merge", For(ManageContacts), r#"{ "into": "$nothing" }"#),
    ("POST /api/v1/contacts/{id}/notes", For(WriteInbox), r#"{ "text": "" }"#),
    ("POST /api/v1/contacts/{id}/opt-in", For(WriteInbox), r#"{ "proof": "" }"#),
    ("POST /api/v1/contacts/{id}/opt-out", For(WriteInbox), "{}"),
    ("POST /api/v1/contacts/{id}/tabulations", For(WriteInbox), r#"{ "tabulation_ids": [] }"#),
    (
        "POST /api/v1/conversations",
        For(WriteInbox),
        r#"{ "contact_id": "$nothing", "connection_id": "$nothing" }"#,
    ),
    ("POST /api/v1/conversations/{id}/assign", For(WriteInbox), r#"{ "agent_id": "$nothing" }"#),
    ("POST /api/v1/conversations/{id}/notes", For(WriteInbox), r#"{ "text": "" }"#),
    ("POST /api/v1/contacts/{id}/unmerge", For(ManageContacts), ""),
    ("POST /api/v1/contacts/exports", For(ManageContacts), r#"{ "filter": { "tag": " " } }"#),
    ("POST /api/v1/contacts/imports", For(ManageContacts), r#"{ "media_id": "$nothing", "mapping": {} }"#),
    ("POST /api/v1/contacts/imports/preview", For(ManageContacts), r#"{ "media_id": "$nothing" }"#),
    ("POST /api/v1/contacts/imports/{id}/cancel", For(ManageContacts), ""),
    ("POST /api/v1/conversations/{id}/read", For(WriteInbox), ""),
    ("POST /api/v1/conversations/{id}/unread", For(WriteInbox), ""),
    ("POST /api/v1/departments", For(ManageDepartments), r#"{ "name": "" }"#),
    ("POST /api/v1/invitations", For(ManageMembers), r#"{ "email": "", "role": "viewer" }"#),
    ("POST /api/v1/kanbans", For(ManageBoards), r#"{ "name": "" }"#),
    ("POST /api/v1/kanbans/{id}/stages", For(ManageBoards), r#"{ "name": "Novo" }"#),
    ("POST /api/v1/leads", For(WriteInbox), r#"{ "title": "" }"#),
    ("POST /api/v1/leads/{id}/move", For(WriteInbox), r#"{ "stage_id": "$nothing" }"#),
    ("POST /api/v1/lists", For(ManageContacts), r#"{ "name": "" }"#),
    ("POST /api/v1/lists/{id}/contacts", For(ManageContacts), r#"{ "contact_ids": [] }"#),
    (
        "POST /api/v1/media",
        For(WriteInbox),
        r#"{ "file_name": "foto.jpg", "mime_type": "image/jpeg", "size": 0 }"#,
    ),
    ("POST /api/v1/media/{id}/complete", For(WriteInbox), ""),
    (
        "POST /api/v1/messages",
        For(WriteInbox),
        r#"{ "conversation_id": "$nothing", "type": "text", "text": "Oi" }"#,
    ),
    ("POST /api/v1/messages/{id}/retry", For(WriteInbox), ""),
    ("POST /api/v1/quick-replies", For(WriteInbox), r#"{ "shortcut": "", "text": "" }"#),
    ("POST /api/v1/quick-replies/{id}/render", For(ReadInbox), r#"{ "conversation_id": "$nothing" }"#),
    ("POST /api/v1/segments", For(ManageContacts), r#"{ "name": "", "filter": {} }"#),
    ("POST /api/v1/segments/preview", For(ReadInbox), r#"{ "filter": {} }"#),
    ("POST /api/v1/segments/{id}/preview", For(ReadInbox), ""),
    ("POST /api/v1/sessions/{id}/assign", For(WriteInbox), r#"{ "agent_id": "$nothing" }"#),
    ("POST /api/v1/sessions/{id}/block-ai", For(WriteInbox), r#"{ "minutes": 1 }"#),
    ("POST /api/v1/sessions/{id}/close", For(WriteInbox), "{}"),
    ("POST /api/v1/sessions/{id}/pause", For(WriteInbox), "{}"),
    ("POST /api/v1/sessions/{id}/reopen", For(WriteInbox), "{}"),
    ("POST /api/v1/sessions/{id}/resume", For(WriteInbox), "{}"),
    ("POST /api/v1/sessions/{id}/tags", For(WriteInbox), r#"{ "tags": [] }"#),
    ("POST /api/v1/sessions/{id}/unblock-ai", For(WriteInbox), ""),
    ("POST /api/v1/tabulations", For(ManageContacts), r#"{ "name": "" }"#),
    (
        "POST /api/v1/templates",
        For(ManageTemplates),
        r#"{ "connection_id": "$nothing", "name": "", "language": "pt_BR", "category": "UTILITY", "components": [] }"#,
    ),
    ("POST /api/v1/templates/sync", For(ManageTemplates), r#"{ "connection_id": "$nothing" }"#),
    ("POST /api/v1/templates/{id}/preview", For(ReadInbox), "{}"),
    ("POST /api/v1/templates/{id}/submit", For(ManageTemplates), ""),
];

/// Asks every route of `api`: 403 exactly where `lets_in` says no.
async fn ask_all(who: &str, api: &Api, lets_in: impl Fn(Asks) -> bool) {
    let nothing = BTreeMap::from([("nothing", testkit::new_id().to_string())]);
    let operations = guarded();
    for &(route, asks, body) in ROUTES {
        let operation = operations.iter().find(|operation| operation.route == route).unwrap();
        let body = (!body.is_empty()).then(|| fill(&serde_json::from_str(body).unwrap(), &nothing));
        let answer = operation.ask(api, &path(operation, &nothing["nothing"]), body.as_ref()).await;
        let status = answer.status;
        if lets_in(asks) {
            assert!(matches!(status, 200 | 404 | 422), "{who}: {route}: {status} {}", answer.body);
        } else {
            assert_eq!(status, 403, "{who}: {route}: {}", answer.body);
            let _problem = answer.expect_problem(403, "forbidden");
        }
    }
}

/// With a page of no rows where there are pages: a permission is asked before that is noticed.
fn path(operation: &Operation, id: &str) -> String {
    let page = if operation.query.contains("limit") { "?limit=0" } else { "" };
    let ids = vec![id; operation.prefixes().len()];
    format!("{}{page}", operation.path(&ids))
}

#[test]
fn every_guarded_route_is_known_here() {
    let documented: Vec<_> = guarded().into_iter().map(|o| (o.route, o.has_body)).collect();
    let mut known: Vec<_> =
        ROUTES.iter().map(|(route, _, body)| ((*route).to_owned(), !body.is_empty())).collect();
    known.sort();
    assert_eq!(documented, known);
}

#[tokio::test]
async fn every_role_is_refused_what_it_has_no_permission_for() {
    let owner = Person::registered().await;
    let owner_api = owner.api().await;
    let others = [Role::Admin, Role::Supervisor, Role::Agent, Role::Viewer];
    let colleagues = join_all(others.map(|role| invite(&owner, &owner_api, role.as_str()))).await;
    let mut people = vec![(Role::Owner, owner_api.clone())];
    people.extend(others.into_iter().zip(colleagues.into_iter().map(|colleague| colleague.api)));
    assert_eq!(people.iter().map(|(role, _)| *role).collect::<Vec<_>>(), Role::ALL);

    let before = owner_api.all("audit-log", 100).await;
    join_all(people.iter().map(|(role, api)| {
        ask_all(role.as_str(), api, |asks| match asks {
            Asks::Person => true,
            For(permission) => role.allows(permission),
        })
    }))
    .await;
    assert_eq!(owner_api.all("audit-log", 100).await, before, "something was changed");
}

#[tokio::test]
async fn a_key_is_refused_what_it_was_not_made_for() {
    // All of them at once would be more than one company may ask in a minute.
    let permissions: Vec<_> = Permission::all().filter(|permission| permission.is_for_keys()).collect();
    for permissions in permissions.chunks(permissions.len().div_ceil(3)) {
        keys_are_refused_what_they_were_not_made_for(permissions).await;
    }
}

async fn keys_are_refused_what_they_were_not_made_for(permissions: &[Permission]) {
    let owner = Person::registered().await;
    let owner_api = owner.api().await;
    let mut keys = Vec::new();
    for &permission in permissions {
        let new = json!({ "name": permission.as_str(), "permissions": [permission] });
        let created: Value = owner_api.post("api-keys", &new).await.expect_status(201).body;
        keys.push((permission, owner.anonymous.with(created["key"].as_str().unwrap())));
    }
    let before = owner_api.all("audit-log", 100).await;
    join_all(keys.iter().map(|(permission, api)| {
        ask_all(permission.as_str(), api, |asks| match asks {
            // A key is no person.
            Asks::Person => false,
            For(wanted) => wanted == *permission,
        })
    }))
    .await;
    assert_eq!(owner_api.all("audit-log", 100).await, before, "something was changed");
}
