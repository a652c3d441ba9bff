//! Providers that fail: each fault ends as its class says, and no message is sent twice. The sandbox counts what it took, and
//! how often it was asked: a rule that was ordered once more than it may apply must be left over.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::{Flow, TenantOptions, new_phone, new_word};

use super::line::{Line, message, reaches, send};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It goes after all, and arrives.
    Goes,
    /// It went, and nobody knows: it is not sent again.
    Unknown,
    /// It does not go.
    Fails,
}

/// A fault, and what follows.
struct Fault {
    name: &'static str,
    /// Without `times` and `contains`.
    rule: Value,
    /// How often the provider is asked while the fault lasts.
    asked: u64,
    end: End,
    /// The code that is shown, where it does not go.
    code: &'static str,
    /// How often the provider took it.
    taken: usize,
}

/// It passes: the message goes when it is over.
fn passes(name: &'static str, rule: Value) -> Fault {
    Fault { name, rule, asked: 3, end: End::Goes, code: "", taken: 1 }
}

/// It may have gone, and did not: nobody tells, and it is asked for once.
fn is_unknown(name: &'static str, rule: Value, code: &'static str) -> Fault {
    Fault { name, rule, asked: 1, end: End::Unknown, code, taken: 0 }
}

/// It is refused for good, once.
fn fails(name: &'static str, rule: Value, code: &'static str) -> Fault {
    Fault { name, rule, asked: 1, end: End::Fails, code, taken: 0 }
}

/// It was taken, and the answer is lost: a report tells, where the provider has one.
fn is_taken(name: &'static str, rule: Value, end: End, code: &'static str) -> Fault {
    Fault { name, rule, asked: 1, end, code, taken: 1 }
}

/// A conversation over one channel, at a provider whose faults can be ordered.
struct Chat {
    flow: Flow,
    target: &'static str,
    line: Option<Line>,
    conversation: Value,
}

impl Chat {
    async fn open(kind: &'static str, target: &'static str) -> Self {
        let flow = Flow::start(TenantOptions::default()).await;
        let line = if kind == "whatsapp_cloud" {
            let number = &flow.tenant.phone_number_id;
            flow.sandbox.customer_writes(number, &new_phone(), "Ana Exemplo", "Oi").await;
            None
        } else {
            let line = Line::open(&flow, kind).await;
            line.writes(&flow, &new_phone(), "Oi").await;
            Some(line)
        };
        let conversation = flow.until("the conversation", async || {
            let list = flow.api(Method::GET, "conversations", None).await.expect_status(200).body;
            list["items"].get(0).cloned()
        });
        let conversation = conversation.await;
        Self { flow, target, line, conversation }
    }

    /// How often the provider took a message with this word.
    async fn taken(&self, id: &Value, word: &str) -> usize {
        match &self.line {
            None => self.flow.sandbox.accepted(id.as_str().unwrap()).await,
            Some(line) => {
                let all = line.accepted(&self.flow).await;
                all.iter().filter(|it| it["body"].to_string().contains(word)).count()
            }
        }
    }

    /// How often a fault was not met that was ordered.
    async fn left(&self, word: &str) -> u64 {
        let script = self.flow.sandbox.get("script").await;
        let rules = script[self.target].as_array().cloned().unwrap_or_default();
        rules.iter().filter(|rule| rule["contains"] == word).map(|rule| rule["times"].as_u64().unwrap()).sum()
    }

    async fn suffers(&self, fault: Fault) {
        let Fault { name, mut rule, asked, end, code, taken } = fault;
        let word = new_word("pedido");
        rule["contains"] = word.clone().into();
        let lasts = if end == End::Goes && taken == 1 && asked > 1 { asked } else { asked + 1 };
        rule["times"] = lasts.into();
        self.flow.sandbox.script(self.target, json!([rule])).await;
        let sent = send(&self.flow, &self.conversation, &word).await.expect_status(202).body;
        let arrives = if self.target == "twilio" { "delivered" } else { "read" };
        let status = match end {
            End::Goes => arrives,
            End::Unknown => "unknown",
            End::Fails => "failed",
        };
        let ended = reaches(&self.flow, &sent["id"], status).await;
        // Whatever would come again comes now.
        self.flow.recover().await;
        let later = message(&self.flow, &sent["id"]).await;
        assert_eq!(later["status"], ended["status"], "{name}: it stays so");
        if end == End::Goes {
            assert_eq!(later["error"], Value::Null, "{name}");
        } else {
            assert_eq!(later["error"]["code"], code, "{name}: {later:#}");
        }
        assert_eq!(self.taken(&sent["id"], &word).await, taken, "{name}: taken");
        assert_eq!(self.left(&word).await, lasts - asked, "{name}: asked {asked} times");
    }

    async fn suffers_all(self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.suffers(fault).await;
        }
        self.flow.end().await;
    }
}

#[tokio::test]
async fn faults_of_the_cloud_api_end_as_their_class_says() {
    let chat = Chat::open("whatsapp_cloud", "graph.messages").await;
    chat.suffers_all([
        passes(
            "429 that says how long",
            json!({ "status": 429, "graph_code": 80007, "headers": { "retry-after": "2" } }),
        ),
        passes("429 that does not", json!({ "status": 429, "graph_code": 80007 })),
        passes("429 of something before Graph", json!({ "status": 429, "body": "slow down" })),
        passes("the number's limit", json!({ "graph_code": 130_429 })),
        passes("the pair's limit", json!({ "graph_code": 131_056 })),
        passes("500 that Graph says passes", json!({ "status": 500, "graph_code": 131_000 })),
        is_unknown("502 of something before Graph", json!({ "status": 502, "body": "bad gateway" }), "http"),
        is_unknown("a closed connection", json!({ "drop": "before" }), "connection_lost"),
        is_taken("a closed connection after it was taken", json!({ "drop": "after" }), End::Goes, ""),
        fails("a closed window", json!({ "graph_code": 131_047 }), "131047"),
        fails("nobody there", json!({ "graph_code": 131_026 }), "131026"),
        fails("a country that is barred", json!({ "graph_code": 130_497 }), "130497"),
        fails("a wrong parameter", json!({ "graph_code": 131_009 }), "131009"),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_twilio_end_as_their_class_says() {
    let refusal = |status: u16, code: i64| json!({ "status": status, "body": { "code": code, "message": "refused", "status": status } });
    let mut patient = refusal(429, 20429);
    patient["headers"] = json!({ "retry-after": "2" });
    let chat = Chat::open("twilio_sms", "twilio").await;
    chat.suffers_all([
        passes("429 that says how long", patient),
        passes("429 that does not", refusal(429, 20429)),
        passes("a full queue", refusal(400, 21611)),
        is_unknown("500", refusal(500, 20500), "20500"),
        is_unknown("503 without a word", json!({ "status": 503, "body": "" }), "http"),
        is_unknown("a closed connection", json!({ "drop": "before" }), "connection_lost"),
        is_taken("a closed connection after it was taken", json!({ "drop": "after" }), End::Goes, ""),
        fails("a wrong number", refusal(400, 21211), "21211"),
        fails("a landline", refusal(400, 21614), "21614"),
        fails("a suspended account", refusal(400, 30002), "30002"),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_gateways_end_as_their_class_says() {
    for kind in ["evolution", "uazapi"] {
        let chat = Chat::open(kind, kind).await;
        // Evolution API has no word of ours in its reports.
        let told = if kind == "uazapi" { End::Goes } else { End::Unknown };
        let bad = json!({ "status": 400, "body": { "response": { "message": ["bad"] }, "message": "bad" } });
        chat.suffers_all([
            passes("429 that says how long", json!({ "status": 429, "headers": { "retry-after": "2" } })),
            passes("429 that does not", json!({ "status": 429 })),
            is_unknown("500", json!({ "status": 500 }), "500"),
            is_unknown("502", json!({ "status": 502 }), "502"),
            is_unknown("a closed connection", json!({ "drop": "before" }), "connection_lost"),
            is_taken(
                "a closed connection after it was taken",
                json!({ "drop": "after" }),
                told,
                "connection_lost",
            ),
            fails("a bad request", bad, "400"),
            fails("no such instance", json!({ "status": 404 }), "404"),
        ])
        .await;
    }
}

/// Every client waits for its answer as long as it does in production: each has a test of its own.
async fn is_taken_and_the_answer_comes_too_late(kind: &'static str, target: &'static str, end: End) {
    let chat = Chat::open(kind, target).await;
    let late = is_taken("an answer that comes too late", json!({ "drop": "late" }), end, "timeout");
    chat.suffers_all([late]).await;
}

#[tokio::test]
async fn an_answer_of_the_cloud_api_that_comes_too_late_is_not_missed() {
    is_taken_and_the_answer_comes_too_late("whatsapp_cloud", "graph.messages", End::Goes).await;
}

#[tokio::test]
async fn an_answer_of_twilio_that_comes_too_late_is_not_missed() {
    is_taken_and_the_answer_comes_too_late("twilio_sms", "twilio", End::Goes).await;
}

#[tokio::test]
async fn an_answer_of_uazapi_that_comes_too_late_is_not_missed() {
    is_taken_and_the_answer_comes_too_late("uazapi", "uazapi", End::Goes).await;
}

#[tokio::test]
async fn after_an_answer_of_evolution_that_comes_too_late_nothing_is_sent_again() {
    is_taken_and_the_answer_comes_too_late("evolution", "evolution", End::Unknown).await;
}

/// The first message finds out, and the others are not tried; a check that finds the credentials well lets them go.
#[tokio::test]
async fn credentials_that_end_stop_sending_instead_of_burning_attempts() {
    for kind in ["twilio_sms", "evolution", "uazapi"] {
        let flow = Flow::start(TenantOptions::default()).await;
        let line = Line::open(&flow, kind).await;
        line.writes(&flow, &new_phone(), "Oi").await;
        flow.pump().await;
        let conversation = line.conversation(&flow).await;
        let known = line.change_secret(&flow, &new_word("outro")).await;
        let first = send(&flow, &conversation, "Seu pedido saiu").await.expect_status(202).body;
        let failed = reaches(&flow, &first["id"], "failed").await;
        assert_ne!(failed["error"]["code"], "token_invalid", "{kind}: the provider's own word");
        flow.recover().await;
        let shown = line.shown(&flow).await;
        assert_eq!(
            (&shown["state"], &shown["state_reason"]),
            (&json!("down"), &json!("token_invalid")),
            "{kind}"
        );
        let second = send(&flow, &conversation, "Chega hoje").await.expect_status(202).body;
        let stopped = reaches(&flow, &second["id"], "failed").await;
        assert_eq!(stopped["error"]["code"], "token_invalid", "{kind}: our word, for nobody was asked");

        line.change_secret(&flow, &known).await;
        let check = format!("connections/{}/check", line.id);
        let _well = flow.api(Method::POST, &check, None).await.expect_status(200);
        assert_eq!(line.shown(&flow).await["state"], "connected", "{kind}");
        let path = format!("messages/{}/retry", second["id"].as_str().unwrap());
        let _queued = flow.api(Method::POST, &path, Some(&json!({}))).await.expect_status(202);
        reaches(&flow, &second["id"], if kind == "twilio_sms" { "delivered" } else { "read" }).await;
        assert_eq!(line.accepted(&flow).await.len(), 1, "{kind}: once");
        flow.end().await;
    }
}
