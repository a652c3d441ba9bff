//! Contacts through the deployed functions, each in its own rights: out of a file, and into one.

use serde_json::json;
use testkit::{PATIENCE, Socket};

use crate::flows::media::put;
use crate::inbox::Inbox;

#[tokio::test]
async fn contacts_come_out_of_a_file_and_go_into_one() {
    let inbox = Inbox::open(false).await;
    let api = &inbox.tenant.api;
    let socket = Socket::open(&inbox.stack, &inbox.tenant.api_key).await;
    let rows = "Nome;Fone\nJoão;62999990001\nErrado;123\n";
    let new =
        json!({ "purpose": "import", "file_name": "a.csv", "mime_type": "text/csv", "size": rows.len() });
    let media = api.post("media", &new).await.expect_status(201).body;
    assert_eq!(put(&media, rows.as_bytes()).await, 200);
    let complete = format!("media/{}/complete", media["id"].as_str().unwrap());
    let _ready = api.post(&complete, &json!({})).await.expect_status(200);
    let preview = json!({ "media_id": media["id"] });
    let preview = api.post("contacts/imports/preview", &preview).await.expect_status(200).body;
    let body = json!({ "media_id": media["id"], "mapping": preview["suggested_mapping"] });
    let import = api.post("contacts/imports", &body).await.expect_status(202).body;
    let id = import["id"].as_str().unwrap();
    socket
        .wait_for("the import to be done", PATIENCE, |event| {
            event["type"] == "import.progress" && event["import_id"] == id && event["state"] == "done"
        })
        .await;
    let done = api.get(&format!("contacts/imports/{id}")).await.expect_status(200).body;
    assert_eq!(done["counts"], json!({ "rows": 2, "created": 1, "updated": 0, "unchanged": 0, "failed": 1 }));
    let errors = api.get(&format!("contacts/imports/{id}/errors")).await.expect_status(200);
    let text = errors.body.as_str().unwrap();
    assert!(text.starts_with("row,field,code,reason,Nome,Fone\r\n3,phone,"), "{text:?}");
    // The mark by which Excel knows UTF-8 came along; the client takes it off.
    assert_eq!(errors.headers["content-length"], (text.len() + 3).to_string());

    let export = api.post("contacts/exports", &json!({})).await.expect_status(202).body;
    let id = export["id"].as_str().unwrap();
    socket
        .wait_for("the export to be done", PATIENCE, |event| {
            event["type"] == "export.progress" && event["export_id"] == id && event["state"] == "done"
        })
        .await;
    let export = api.get(&format!("contacts/exports/{id}")).await.expect_status(200).body;
    let answer = reqwest::get(export["url"].as_str().unwrap()).await.unwrap().error_for_status().unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains(",João,+5562999990001,"), "{text}");
}
