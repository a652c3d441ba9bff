//! Files for imports, and answers about work on them.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::Flow;

use crate::inbox::redacted;

/// Brings a file for a purpose; its id.
pub(super) async fn bring(
    flow: &Flow,
    purpose: &str,
    file_name: &str,
    mime_type: &str,
    bytes: &[u8],
) -> String {
    let body =
        json!({ "purpose": purpose, "file_name": file_name, "mime_type": mime_type, "size": bytes.len() });
    let media = flow.api(Method::POST, "media", Some(&body)).await.expect_status(201).body;
    assert_eq!(super::media::put(&media, bytes).await, 200);
    let path = format!("media/{}/complete", media["id"].as_str().unwrap());
    let media = flow.api(Method::POST, &path, None).await.expect_status(200).body;
    assert_eq!(media["state"], "ready", "{media}");
    media["id"].as_str().unwrap().to_owned()
}

/// An answer about work that takes its time, without ids and times.
pub(super) fn comparable(answer: &Value) -> Value {
    let mut answer = redacted(answer);
    for name in ["started_at", "finished_at", "url_expires_at"] {
        if answer[name].is_string() {
            answer[name] = json!("[time]");
        }
    }
    answer
}
