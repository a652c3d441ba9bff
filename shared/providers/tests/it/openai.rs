//! Answers, embeddings and errors of OpenAI.

use std::time::Duration;

use providers::openai::{ChatAnswer, ChatClass, ChatError, ChatMessage, ChatRequest, Client, Role};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn server(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("authorization", "Bearer sk-exemplo"))
        .respond_with(response)
        .mount(&server)
        .await;
    server
}

fn client(server: &MockServer) -> Client {
    Client::new(&format!("{}/v1/", server.uri()), crate::http())
}

fn key() -> SecretString {
    SecretString::from("sk-exemplo")
}

fn request() -> ChatRequest {
    ChatRequest {
        model: "gpt-4o-mini".to_owned(),
        messages: vec![
            ChatMessage { role: Role::System, content: "Você é a Mia.".to_owned() },
            ChatMessage { role: Role::User, content: "Oi".to_owned() },
        ],
        temperature: Some(0.7),
        max_completion_tokens: None,
    }
}

async fn chat(response: ResponseTemplate) -> Result<ChatAnswer, ChatError> {
    client(&server(response).await).chat(&key(), request()).await
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn fixture(status: u16, name: &str) -> ResponseTemplate {
    let body = crate::fixture(&format!("openai/{name}.json"));
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

#[tokio::test]
async fn a_question_is_answered() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .respond_with(fixture(200, "chat_completion_response").insert_header("x-request-id", "req_1"))
        .mount(&server)
        .await;
    let answer = client(&server).chat(&key(), request()).await.unwrap();
    assert_eq!(
        answer,
        ChatAnswer {
            text: "Olá! Como posso ajudar?".to_owned(),
            finish_reason: "stop".to_owned(),
            prompt_tokens: 19,
            completion_tokens: 10,
            request_id: Some("req_1".to_owned()),
        }
    );
    let wire: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(wire["messages"][0], json!({ "role": "system", "content": "Você é a Mia." }));
    assert!((wire["temperature"].as_f64().unwrap() - 0.7).abs() < 1e-6);
    assert_eq!(wire.get("max_completion_tokens"), None);
}

#[tokio::test]
async fn an_answer_without_words_is_no_answer() {
    let choice = |message: Value, reason: &str| {
        ok(json!({ "choices": [{ "message": message, "finish_reason": reason }] }))
    };
    for response in [
        fixture(200, "chat_completion_tool_calls_response"),
        choice(json!({ "content": null, "refusal": "I cannot" }), "stop"),
        choice(json!({ "content": "  \n" }), "stop"),
        choice(json!({ "content": null }), "length"),
        choice(json!({ "content": "half" }), "content_filter"),
        choice(json!({}), "stop"),
    ] {
        assert_eq!(chat(response).await.unwrap_err().class(), ChatClass::Rejected);
    }
    assert_eq!(chat(choice(json!({ "content": "cut" }), "length")).await.unwrap().finish_reason, "length");
}

#[tokio::test]
async fn every_error_has_its_class() {
    let error = |status, code: &str| {
        let body = json!({ "error": { "message": "m", "type": "t", "code": code, "param": null } });
        ResponseTemplate::new(status).set_body_json(body)
    };
    for (response, class) in [
        (fixture(429, "error_429_rate_limit"), ChatClass::Retry),
        (fixture(429, "error_429_insufficient_quota"), ChatClass::Quota),
        (fixture(401, "error_401_invalid_key"), ChatClass::Configuration),
        (error(403, "unsupported_country_region_territory"), ChatClass::Configuration),
        (error(404, "model_not_found"), ChatClass::Configuration),
        (error(400, "context_length_exceeded"), ChatClass::Rejected),
        (error(400, "content_policy_violation"), ChatClass::Rejected),
        (error(408, ""), ChatClass::Retry),
        (error(409, ""), ChatClass::Retry),
        (ResponseTemplate::new(503).set_body_string("<html>"), ChatClass::Retry),
        (ResponseTemplate::new(200).set_body_string("<html>"), ChatClass::Retry),
        (ok(json!({ "choices": [] })), ChatClass::Retry),
    ] {
        let error = chat(response).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains("sk-exemplo"));
    }
}

#[tokio::test]
async fn the_wait_is_the_one_asked_for() {
    let limited = || fixture(429, "error_429_rate_limit");
    for (response, expected) in [
        (limited().insert_header("retry-after", "2"), Some(Duration::from_secs(2))),
        (
            limited().insert_header("retry-after", "2").insert_header("retry-after-ms", "120"),
            Some(Duration::from_millis(120)),
        ),
        (limited().insert_header("retry-after", "-1"), None),
        (limited().insert_header("retry-after", "1e30"), None),
        (limited().insert_header("retry-after", "999999"), Some(Duration::from_secs(3600))),
        (limited(), None),
    ] {
        let ChatError::Retry { after, .. } = chat(response).await.unwrap_err() else { panic!("no retry") };
        assert_eq!(after, expected);
    }
}

#[tokio::test]
async fn silence_and_no_connection_may_be_tried_again() {
    let slow = server(ok(json!({})).set_delay(Duration::from_secs(20))).await;
    let impatient = client(&slow).with_timeout(Duration::from_millis(200));
    assert_eq!(impatient.chat(&key(), request()).await.unwrap_err().class(), ChatClass::Retry);
    let nobody = Client::new("http://127.0.0.1:9/v1", crate::http());
    assert_eq!(nobody.chat(&key(), request()).await.unwrap_err().class(), ChatClass::Retry);
    let wrong = Client::new("nonsense", crate::http());
    assert_eq!(wrong.chat(&key(), request()).await.unwrap_err().class(), ChatClass::Configuration);
}

#[tokio::test]
async fn texts_become_vectors_in_their_order() {
    let texts = |count: usize| vec!["texto".to_owned(); count];
    let one = server(fixture(200, "embeddings_response")).await;
    let answer = client(&one).embeddings(&key(), "text-embedding-3-small", &texts(1), None).await.unwrap();
    assert_eq!((answer.vectors[0].len(), answer.prompt_tokens), (3, 8));

    let two = server(ok(json!({ "data": [
        { "index": 1, "embedding": [2.0] }, { "index": 0, "embedding": [1.0] }
    ], "usage": { "prompt_tokens": 2 } })))
    .await;
    let answer = client(&two).embeddings(&key(), "m", &texts(2), Some(1)).await.unwrap();
    assert_eq!(answer.vectors, [[1.0], [2.0]]);
    let error = client(&two).embeddings(&key(), "m", &texts(3), None).await.unwrap_err();
    assert_eq!(error.class(), ChatClass::Retry);
}
