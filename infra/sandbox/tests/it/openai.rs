//! Chat completions and embeddings.

use serde_json::{Value, json};

use crate::harness::{fixture, shape, stage};

fn question(text: &str) -> Value {
    json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": text }] })
}

#[tokio::test]
async fn an_answer_has_the_documented_shape_and_takes_up_the_question() {
    let stage = stage().await;
    let (status, answer) = stage.openai("chat/completions", question("Oi, vocês entregam em Goiânia?")).await;
    assert_eq!(status, 200);
    assert_eq!(without_lists(&answer), without_lists(&fixture("openai_chat_completion")));
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(said.starts_with("Oi! Sim, entregamos em Goiânia"), "{said}");
}

/// The shape, but for `annotations`, which is an empty list here and there.
fn without_lists(answer: &Value) -> Value {
    let mut shape = shape(answer);
    shape["choices"][0]["message"]["annotations"] = Value::Null;
    shape
}

#[tokio::test]
async fn answers_can_be_ordered_also_calls_and_for_certain_questions() {
    let stage = stage().await;
    let replies = json!({ "replies": [
        "primeira",
        { "tool_calls": [{ "name": "agendar", "arguments": { "dia": "2026-01-12" } }] },
        { "content": "só sobre preço", "contains": "preço", "repeat": true },
    ] });
    stage.control("openai/script", replies).await;
    let ask = |text| stage.openai("chat/completions", question(text));
    let message = |answer: Value| answer["choices"][0]["message"].clone();
    assert_eq!(message(ask("a").await.1)["content"], "primeira");
    let called = ask("b").await.1;
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");
    let function = &called["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(function["arguments"], "{\"dia\":\"2026-01-12\"}");
    assert_ne!(message(ask("c").await.1)["content"], "só sobre preço");
    assert_eq!(message(ask("qual o preço?").await.1)["content"], "só sobre preço");
    assert_eq!(message(ask("e o preço?").await.1)["content"], "só sobre preço");
}

#[tokio::test]
async fn a_stream_ends_with_its_reason_usage_and_done() {
    let stage = stage().await;
    let mut request = question("Oi");
    request["stream"] = json!(true);
    request["stream_options"] = json!({ "include_usage": true });
    let address = format!("{}/openai/v1/chat/completions", stage.url);
    let sent = stage.http.post(address).bearer_auth("sk-sandbox-0000").json(&request).send().await;
    let text = sent.unwrap().text().await.unwrap();
    let events: Vec<&str> = text.split("\n\n").filter(|event| !event.is_empty()).collect();
    assert_eq!(*events.last().unwrap(), "data: [DONE]");
    let parse =
        |event: &str| -> Value { serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap() };
    let said: String = events[..events.len() - 1]
        .iter()
        .filter_map(|event| parse(event)["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, "Oi! Como posso te ajudar?");
    assert!(parse(events[events.len() - 2])["usage"]["total_tokens"].is_number());
    assert_eq!(parse(events[events.len() - 3])["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_wrong_key_and_unknown_models_are_refused_and_headers_are_there() {
    let stage = stage().await;
    let address = format!("{}/openai/v1/chat/completions", stage.url);
    let request = stage.http.post(address).bearer_auth("sk-exemplo-0000").json(&question("Oi"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 401);
    for name in ["x-request-id", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests"] {
        assert!(response.headers().contains_key(name), "{name}");
    }
    let error: Value = response.json().await.unwrap();
    assert_eq!(error, fixture("openai_error_401"));
    let other = json!({ "model": "llama", "messages": [{ "role": "user", "content": "Oi" }] });
    let (status, error) = stage.openai("chat/completions", other).await;
    assert_eq!((status, error["error"]["code"].as_str()), (404, Some("model_not_found")));
}

#[tokio::test]
async fn embeddings_are_unit_vectors_in_both_encodings() {
    use base64::Engine as _;
    let stage = stage().await;
    let mut request = json!({ "model": "text-embedding-3-small", "input": ["oi", "entrega em Goiânia"] });
    let (_, floats) = stage.openai("embeddings", request.clone()).await;
    request["encoding_format"] = json!("base64");
    let (_, encoded) = stage.openai("embeddings", request.clone()).await;
    for index in 0..2 {
        let list = floats["data"][index]["embedding"].as_array().unwrap();
        assert_eq!(list.len(), 1536);
        let length: f64 = list.iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
        assert!((length - 1.0).abs() < 1e-4);
        let text = encoded["data"][index]["embedding"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        let first = f64::from(f32::from_le_bytes(bytes[..4].try_into().unwrap()));
        assert!((first - list[0].as_f64().unwrap()).abs() < 1e-6);
        assert_eq!(bytes.len(), 1536 * 4);
    }
    request["input"] = json!("");
    assert_eq!(stage.openai("embeddings", request).await.0, 400);
}
