//! The mails that were sent, on a page: the letter as its reader sees it, and what to do with the token of its link while
//! no panel is there to do it. Programs, which do not ask for HTML, get the emulator's JSON.

use axum::Json;
use axum::response::{Html, IntoResponse as _, Response};
use http::header::{self, HeaderMap};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::proxy::problem;

/// Letters on the page; older ones are for programs.
const SHOWN: usize = 100;

/// Nothing in a letter may run or call home.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Letter {
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    body_text: String,
    #[serde(default)]
    body_html: String,
}

/// Where the emulator tells the mails.
pub fn source(aws_endpoint_url: &str) -> String {
    format!("{aws_endpoint_url}/_ministack/ses/messages")
}

pub(super) async fn answer(client: &reqwest::Client, source: &str, headers: &HeaderMap) -> Response {
    let mails = match load(client, source).await {
        Ok(mails) => mails,
        Err(error) => return problem(StatusCode::BAD_GATEWAY, "emulator_failed", &format!("{error:#}")),
    };
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if !wants_page {
        return Json(mails).into_response();
    }
    let mut response = Html(page(&letters(&mails))).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

async fn load(client: &reqwest::Client, source: &str) -> anyhow::Result<Value> {
    Ok(client.get(source).send().await?.error_for_status()?.json().await?)
}

/// Newest first.
fn letters(mails: &Value) -> Vec<Letter> {
    let accounts = mails["messages"].as_object();
    let mails = accounts.into_iter().flat_map(|accounts| accounts.values()).filter_map(Value::as_array);
    let mut letters: Vec<Letter> =
        mails.flatten().filter_map(|mail| serde_json::from_value(mail.clone()).ok()).collect();
    letters.reverse();
    letters.truncate(SHOWN);
    letters
}

fn page(letters: &[Letter]) -> String {
    let shown: String = letters.iter().map(article).collect();
    let empty = if letters.is_empty() {
        "<p>No mail yet. <code>POST /api/v1/auth/register</code> sends one.</p>"
    } else {
        ""
    };
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\
         <meta http-equiv=refresh content=5><title>Mail</title><style>{STYLE}</style><h1>Mail</h1>{empty}{shown}</html>"
    )
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;\
background:#f4f4f1}article{background:#fff;border-radius:.5rem;padding:1rem;margin:1rem 0;box-shadow:0 1px 3px #0002}\
h2{font-size:1.1rem;margin:0}small{color:#666}iframe{width:100%;height:20rem;border:1px solid #ddd;margin-top:.75rem}\
pre{background:#222;color:#eee;padding:.75rem;border-radius:.25rem;white-space:pre-wrap;word-break:break-all}";

fn article(letter: &Letter) -> String {
    let body = match letter.body_html.as_str() {
        "" => format!("<pre>{}</pre>", escape(&letter.body_text)),
        html => format!("<iframe sandbox srcdoc=\"{}\"></iframe>", escape(html)),
    };
    let next =
        next_step(&letter.body_text).map(|step| format!("<pre>{}</pre>", escape(&step))).unwrap_or_default();
    format!(
        "<article><h2>{}</h2><small>{} · {}</small>{body}{next}</article>",
        escape(&letter.subject),
        escape(&letter.to.join(", ")),
        escape(&letter.timestamp)
    )
}

/// What the page behind a letter's link would call.
fn next_step(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("#token=")?;
    let token = rest.split_whitespace().next()?;
    let (route, more) = match before.rsplit('/').next()? {
        "verify-email" => ("auth/verify-email", ""),
        "reset-password" => ("auth/reset-password", ",\"password\":\"another long password\""),
        "accept-invitation" => ("invitations/accept", ",\"name\":\"Ana\",\"password\":\"a long password\""),
        _ => return None,
    };
    Some(format!(
        "curl -X POST $API/api/v1/{route} -H 'content-type: application/json' -d '{{\"token\":\"{token}\"{more}}}'"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_newest_letter_is_first_and_says_what_to_do_next() {
        let mail =
            |subject: &str, text: &str| json!({ "Subject": subject, "To": ["ana@x.com"], "BodyText": text });
        let text = "Confirme: http://127.0.0.1/verify-email#token=abc_1\n\nAté logo";
        let mails = json!({ "messages": { "0": [mail("first", ""), mail("<second>", text)] } });
        let page = page(&letters(&mails));
        assert!(page.find("&lt;second&gt;").unwrap() < page.find("first").unwrap(), "{page}");
        assert!(page.contains("auth/verify-email") && page.contains("abc_1"), "{page}");
    }

    #[test]
    fn nothing_of_a_letter_leaves_its_frame() {
        let letter = Letter {
            timestamp: String::new(),
            to: vec!["\"><script>".to_owned()],
            subject: "<b>".to_owned(),
            body_text: String::new(),
            body_html: "<p title=\"x\">\"></iframe><script>alert(1)</script>".to_owned(),
        };
        let shown = article(&letter);
        assert!(!shown.contains("<script") && !shown.contains("<b>") && shown.contains("sandbox"), "{shown}");
    }
}
