//! Faults that a test orders in advance: `POST /_sandbox/script`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::graph::error::GraphError;
use crate::identity::{self, fault::Fault};
use crate::openai::error::OpenAiError;
use crate::server::hang_up;
use crate::world::Sandbox;

/// What a rule applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Target {
    /// `POST /{PNID}/messages`.
    #[serde(rename = "graph.messages")]
    GraphMessages,
    /// Upload, look-up, download and deletion of media; `contains` is looked for in `upload PNID`, `look_up MEDIA_ID`,
    /// `download MEDIA_ID` and `delete MEDIA_ID`.
    #[serde(rename = "graph.media")]
    GraphMedia,
    /// Templates of an account; `contains` is looked for in the body of what makes or changes one, in `list NAME` and in
    /// `delete NAME`.
    #[serde(rename = "graph.templates")]
    GraphTemplates,
    /// An accepted message: a `graph_code` here makes it fail after the 200, by webhook.
    #[serde(rename = "graph.status")]
    GraphStatus,
    /// Embedded Signup and what follows it; `contains` is looked for in `exchange CODE`, `debug_token WABA`,
    /// `phone_numbers WABA`, `subscribe WABA`, `register PNID`, `smb_app_state_sync PNID` and `history PNID`.
    #[serde(rename = "graph.signup")]
    GraphSignup,
    /// `POST /chat/completions`.
    #[serde(rename = "openai.chat")]
    OpenAiChat,
    /// `POST /embeddings`.
    #[serde(rename = "openai.embeddings")]
    OpenAiEmbeddings,
    /// The page of Google that asks who logs in.
    #[serde(rename = "google.auth")]
    GoogleAuth,
    /// `POST /google/token`.
    #[serde(rename = "google.token")]
    GoogleToken,
    /// `GET /google/certs`.
    #[serde(rename = "google.certs")]
    GoogleCerts,
    /// The page of Facebook that asks who logs in.
    #[serde(rename = "facebook.dialog")]
    FacebookDialog,
    /// `/facebook/oauth/access_token`.
    #[serde(rename = "facebook.token")]
    FacebookToken,
    /// `GET /facebook/me`.
    #[serde(rename = "facebook.me")]
    FacebookMe,
    /// A call of Twilio's API; `contains` is looked for in the form.
    #[serde(rename = "twilio")]
    Twilio,
    /// A call of Evolution API; `contains` is looked for in the path and the body.
    #[serde(rename = "evolution")]
    Evolution,
    /// A call of UAZapi; `contains` is looked for in the path and the body.
    #[serde(rename = "uazapi")]
    Uazapi,
    /// A webhook on its way to the product.
    #[serde(rename = "webhook")]
    Webhook,
}

impl Target {
    /// The name used in scripts and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GraphMessages => "graph.messages",
            Self::GraphMedia => "graph.media",
            Self::GraphTemplates => "graph.templates",
            Self::GraphStatus => "graph.status",
            Self::GraphSignup => "graph.signup",
            Self::OpenAiChat => "openai.chat",
            Self::OpenAiEmbeddings => "openai.embeddings",
            Self::GoogleAuth => "google.auth",
            Self::GoogleToken => "google.token",
            Self::GoogleCerts => "google.certs",
            Self::FacebookDialog => "facebook.dialog",
            Self::FacebookToken => "facebook.token",
            Self::FacebookMe => "facebook.me",
            Self::Twilio => "twilio",
            Self::Evolution => "evolution",
            Self::Uazapi => "uazapi",
            Self::Webhook => "webhook",
        }
    }
}

/// Longer than callers of these APIs wait.
const TOO_LATE: Duration = Duration::from_secs(60);

/// How an answer gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DropAt {
    /// Nothing happens; the caller sees a closed connection.
    Before,
    /// Everything happens; the caller sees a closed connection all the same.
    After,
    /// Everything happens; the answer comes when no caller waits for it any more.
    Late,
}

/// One fault.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// How often it applies; without it, until the script is deleted.
    #[serde(default)]
    pub(crate) times: Option<u32>,
    /// Chance that it applies to a request it is asked about, 0 to 1; default 1.
    #[serde(default)]
    pub(crate) probability: Option<f64>,
    /// Only requests whose body contains this.
    #[serde(default)]
    pub(crate) contains: Option<String>,
    /// HTTP status to answer; the body is the provider's own unless `body` is given.
    #[serde(default)]
    pub(crate) status: Option<u16>,
    /// Body to answer: a JSON value, or a string sent as it is.
    #[serde(default)]
    pub(crate) body: Option<Value>,
    /// Extra response headers, for instance `retry-after`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Meta's error code; gives status and body.
    #[serde(default)]
    pub(crate) graph_code: Option<u32>,
    /// OAuth's error (`access_denied`, `invalid_grant`, …): at a page the person is sent back with it.
    #[serde(default)]
    pub(crate) oauth_error: Option<String>,
    /// Milliseconds waited first.
    #[serde(default)]
    pub(crate) latency_ms: u64,
    /// Close the connection.
    #[serde(default)]
    pub(crate) drop: Option<DropAt>,
}

impl Rule {
    fn answers(&self) -> bool {
        self.status.is_some()
            || self.body.is_some()
            || self.graph_code.is_some()
            || self.oauth_error.is_some()
    }
}

/// The rules in force, per target, first match first.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Script(BTreeMap<Target, Vec<Rule>>);

impl Script {
    /// Adds rules behind those already there.
    pub(crate) fn add(&mut self, target: Target, rules: Vec<Rule>) {
        self.0.entry(target).or_default().extend(rules);
    }

    /// Forgets the rules of one target, or of all.
    pub(crate) fn clear(&mut self, target: Option<Target>) {
        match target {
            Some(target) => {
                self.0.remove(&target);
            }
            None => self.0.clear(),
        }
    }

    /// The rule for this request, if any; one use of it is spent.
    pub(crate) fn take(&mut self, target: Target, body: &[u8]) -> Option<Rule> {
        let rules = self.0.get_mut(&target)?;
        let position = rules.iter().position(|rule| applies(rule, body))?;
        let rule = rules[position].clone();
        match rule.times {
            Some(0 | 1) => {
                rules.remove(position);
            }
            Some(left) => rules[position].times = Some(left - 1),
            None => {}
        }
        Some(rule)
    }
}

fn applies(rule: &Rule, body: &[u8]) -> bool {
    let contained = rule.contains.as_ref().is_none_or(|needle| {
        !needle.is_empty() && body.windows(needle.len()).any(|window| window == needle.as_bytes())
    });
    rule.times != Some(0) && contained && rule.probability.is_none_or(|chance| rand::random::<f64>() < chance)
}

/// Runs a request under the script: waits, refuses or hangs up as ordered, and logs what was
/// received and answered, also when nothing was answered.
pub(crate) async fn run(
    sandbox: &Arc<Sandbox>,
    target: Target,
    body: &[u8],
    process: impl Future<Output = Response>,
) -> Response {
    let rule = {
        let mut world = sandbox.world();
        world.log.receive(target.name());
        world.script.take(target, body).unwrap_or_default()
    };
    if rule.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(rule.latency_ms)).await;
    }
    let response = match rule.drop {
        Some(DropAt::Before) => hang_up(),
        Some(DropAt::After) => {
            drop(process.await);
            hang_up()
        }
        Some(DropAt::Late) => {
            let answer = process.await;
            tokio::time::sleep(TOO_LATE).await;
            answer
        }
        None if rule.answers() => scripted(target, &rule, body),
        None => process.await,
    };
    let dropped = rule.drop.is_some();
    let status = if dropped { 0 } else { response.status().as_u16() };
    sandbox.world().log.answer(target.name(), status);
    response
}

fn scripted(target: Target, rule: &Rule, request: &[u8]) -> Response {
    let status = rule.status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = match (&rule.body, rule.graph_code, &rule.oauth_error) {
        (Some(Value::String(text)), ..) => text.clone().into_response(),
        (Some(body), ..) => axum::Json(body).into_response(),
        (None, Some(code), _) => GraphError::of_code(code).into_response(),
        (None, None, Some(error)) => identity::scripted(target, error, request),
        (None, None, None) => match target {
            Target::OpenAiChat | Target::OpenAiEmbeddings => {
                OpenAiError::of_status(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).into_response()
            }
            Target::GoogleAuth | Target::GoogleToken | Target::GoogleCerts => {
                Fault::of_status(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).into_response()
            }
            Target::Twilio | Target::Evolution | Target::Uazapi => {
                let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, axum::Json(serde_json::json!({ "error": "scripted" }))).into_response()
            }
            Target::GraphMessages
            | Target::GraphMedia
            | Target::GraphTemplates
            | Target::GraphStatus
            | Target::GraphSignup
            | Target::FacebookDialog
            | Target::FacebookToken
            | Target::FacebookMe
            | Target::Webhook => {
                GraphError::of_status(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).into_response()
            }
        },
    };
    if let Some(status) = status {
        *response.status_mut() = status;
    }
    for (name, value) in &rule.headers {
        if let (Ok(name), Ok(value)) =
            (header::HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_spent_after_its_times_and_the_next_takes_over() {
        let mut script = Script::default();
        let rule = |status, times| Rule { status: Some(status), times, ..Rule::default() };
        script.add(Target::OpenAiChat, vec![rule(500, Some(2)), rule(429, None)]);
        let statuses: Vec<_> =
            (0..4).map(|_| script.take(Target::OpenAiChat, b"").and_then(|r| r.status)).collect();
        assert_eq!(statuses, [Some(500), Some(500), Some(429), Some(429)]);
        assert!(script.take(Target::GraphMessages, b"").is_none());
    }

    #[test]
    fn a_rule_can_be_for_certain_bodies_only() {
        let mut script = Script::default();
        let rule = Rule { contains: Some("+5511".into()), ..Rule::default() };
        script.add(Target::GraphMessages, vec![rule]);
        assert!(script.take(Target::GraphMessages, b"{}").is_none());
        assert!(script.take(Target::GraphMessages, b"{\"to\":\"+5511\"}").is_some());
    }
}
