//! `POST /chat/completions`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use http::header;
use serde_json::{Value, json};

use super::error::OpenAiError;
use super::scripted::{FullReply, ToolCall};
use super::words::count_tokens;
use super::{answer, schema};
use crate::clock;
use crate::world::Sandbox;

/// Answers a completion, at once or as a stream.
pub(crate) async fn complete(sandbox: &Arc<Sandbox>, body: &[u8]) -> Response {
    let request = match check(body) {
        Ok(request) => request,
        Err(error) => return error.into_response(),
    };
    let question = last_question(&request);
    let (scripted, latency_ms) = {
        let mut world = sandbox.world();
        let scripted = world.replies.take(&question);
        (scripted, world.settings.openai_latency_ms)
    };
    let reply = scripted.unwrap_or_else(|| own_reply(&request, &question));
    tokio::time::sleep(Duration::from_millis(latency_ms + reply.latency_ms)).await;
    let completion = Completion::new(&request, reply);
    if request["stream"] == true {
        completion.stream(request["stream_options"]["include_usage"] == true)
    } else {
        axum::Json(completion.whole()).into_response()
    }
}

fn check(body: &[u8]) -> Result<Value, OpenAiError> {
    let request: Value = serde_json::from_slice(body)
        .map_err(|_| OpenAiError::invalid("We could not parse the JSON body of your request.", None))?;
    let model = request["model"]
        .as_str()
        .ok_or_else(|| OpenAiError::invalid("you must provide a model parameter", None))?;
    let known = ["gpt-", "chatgpt-", "o1", "o3", "o4", "ft:"];
    if !known.iter().any(|prefix| model.starts_with(prefix)) {
        return Err(OpenAiError::no_model(model));
    }
    let reasons = ["o1", "o3", "o4", "gpt-5"].iter().any(|p| model.starts_with(p));
    if reasons && !request["max_tokens"].is_null() {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                       'max_completion_tokens' instead.";
        return Err(OpenAiError::invalid(message, Some("max_tokens")).with_code("unsupported_parameter"));
    }
    let messages =
        request["messages"].as_array().filter(|messages| !messages.is_empty()).ok_or_else(|| {
            OpenAiError::invalid("Missing required parameter: 'messages'.", Some("messages"))
                .with_code("missing_required_parameter")
        })?;
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !["developer", "system", "user", "assistant", "tool"].contains(&role) {
            let param = format!("messages[{index}].role");
            let message = format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', \
                 'function', 'tool', and 'developer'."
            );
            return Err(OpenAiError::invalid(message, Some(&param)).with_code("invalid_value"));
        }
    }
    let text: String = messages.iter().map(text_of).collect();
    let tokens = count_tokens(&text);
    if tokens > 128_000 {
        let message = format!(
            "This model's maximum context length is 128000 tokens. However, your messages \
             resulted in {tokens} tokens. Please reduce the length of the messages."
        );
        return Err(OpenAiError::invalid(message, Some("messages")).with_code("context_length_exceeded"));
    }
    Ok(request)
}

/// The text of a message, whether it is a string or a list of parts.
fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn of_role<'r>(request: &'r Value, roles: &'r [&str]) -> impl Iterator<Item = &'r Value> {
    let messages = request["messages"].as_array().into_iter().flatten();
    messages.filter(|message| roles.contains(&message["role"].as_str().unwrap_or_default()))
}

/// What the user wrote since the assistant last spoke.
fn last_question(request: &Value) -> String {
    let messages = request["messages"].as_array();
    let turn = messages
        .into_iter()
        .flatten()
        .rev()
        .take_while(|message| message["role"] != "assistant")
        .filter(|message| message["role"] == "user");
    let mut texts: Vec<String> = turn.map(text_of).collect();
    texts.reverse();
    texts.join("\n")
}

fn own_reply(request: &Value, question: &str) -> FullReply {
    let instructions: Vec<String> = of_role(request, &["system", "developer"]).map(text_of).collect();
    let spoken_before = of_role(request, &["assistant"]).next().is_some();
    let has_image = of_role(request, &["user"]).last().is_some_and(|message| {
        let parts = message["content"].as_array().into_iter().flatten();
        parts.clone().any(|part| part["type"] == "image_url")
    });
    let text = answer::compose(&answer::Question {
        instructions: &instructions.join("\n"),
        text: question,
        spoken_before,
        has_image,
    });
    if let Some(call) = forced_call(request, &text) {
        return FullReply { tool_calls: vec![call], ..FullReply::default() };
    }
    let format = &request["response_format"];
    let content = match format["type"].as_str() {
        Some("json_schema") => schema::example(&format["json_schema"]["schema"], &text).to_string(),
        Some("json_object") => json!({ "answer": text }).to_string(),
        _ => text,
    };
    FullReply { content: Some(content), ..FullReply::default() }
}

/// The call that `tool_choice` insists on, with arguments that fit its schema.
fn forced_call(request: &Value, text: &str) -> Option<ToolCall> {
    let tools = request["tools"].as_array()?;
    let choice = &request["tool_choice"];
    let wanted = choice["function"]["name"].as_str();
    if wanted.is_none() && choice != "required" {
        return None;
    }
    let function = tools
        .iter()
        .map(|tool| &tool["function"])
        .find(|function| wanted.is_none_or(|name| function["name"] == name))?;
    Some(ToolCall {
        name: function["name"].as_str()?.to_owned(),
        arguments: schema::example(&function["parameters"], text),
    })
}

/// An answer with everything around it.
struct Completion {
    id: String,
    created: i64,
    model: Value,
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Vec<Value>,
    finish_reason: String,
    usage: Value,
}

impl Completion {
    fn new(request: &Value, reply: FullReply) -> Self {
        let limit = request["max_completion_tokens"].as_u64().or_else(|| request["max_tokens"].as_u64());
        let mut content = reply.content;
        let mut cut = false;
        if let (Some(text), Some(limit)) = (&mut content, limit) {
            cut = shorten(text, usize::try_from(limit).unwrap_or(usize::MAX));
        }
        let tool_calls: Vec<Value> = reply.tool_calls.into_iter().map(call).collect();
        let prompt: String = of_role(request, &["developer", "system", "user", "assistant", "tool"])
            .map(|message| text_of(message) + "\n\n")
            .collect();
        let prompt_tokens = count_tokens(&prompt);
        let said = content.clone().unwrap_or_default()
            + &tool_calls.iter().map(Value::to_string).collect::<String>();
        let completion_tokens = count_tokens(&said);
        let default_reason = match (cut, tool_calls.is_empty()) {
            (true, _) => "length",
            (false, false) => "tool_calls",
            (false, true) => "stop",
        };
        Self {
            id: format!("chatcmpl-{}", hex::encode(rand::random::<[u8; 14]>())),
            created: clock::now_s(),
            model: request["model"].clone(),
            content,
            refusal: reply.refusal,
            tool_calls,
            finish_reason: reply.finish_reason.unwrap_or_else(|| default_reason.into()),
            usage: json!({
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
                "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
                "completion_tokens_details": {
                    "reasoning_tokens": 0, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
                },
            }),
        }
    }

    fn whole(&self) -> Value {
        let mut message = json!({
            "role": "assistant", "content": self.content, "refusal": self.refusal,
            "annotations": [],
        });
        if !self.tool_calls.is_empty() {
            message["tool_calls"] = json!(self.tool_calls);
        }
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0, "message": message, "logprobs": null,
                "finish_reason": self.finish_reason,
            }],
            "usage": self.usage,
            "service_tier": "default",
            "system_fingerprint": "fp_sandbox",
        })
    }

    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": self.model, "service_tier": "default", "system_fingerprint": "fp_sandbox",
            "choices": choices,
        })
    }

    fn delta(&self, delta: Value, finish_reason: Option<&str>) -> Value {
        self.chunk(json!([{
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason,
        }]))
    }

    /// Server-sent events: the role, a word or so each, the reason, usage on request, `[DONE]`.
    fn stream(&self, with_usage: bool) -> Response {
        let mut chunks =
            vec![self.delta(json!({ "role": "assistant", "content": "", "refusal": null }), None)];
        for word in self.content.iter().flat_map(|text| text.split_inclusive(' ')) {
            chunks.push(self.delta(json!({ "content": word }), None));
        }
        for (index, call) in self.tool_calls.iter().enumerate() {
            let mut call = call.clone();
            call["index"] = json!(index);
            chunks.push(self.delta(json!({ "tool_calls": [call] }), None));
        }
        chunks.push(self.delta(json!({}), Some(&self.finish_reason)));
        if with_usage {
            let mut last = self.chunk(json!([]));
            last["usage"] = self.usage.clone();
            chunks.push(last);
        }
        let events: Vec<String> = chunks.iter().map(Value::to_string).chain(["[DONE]".to_owned()]).collect();
        let events = futures::stream::iter(events).then(|event| async move {
            tokio::time::sleep(Duration::from_millis(4)).await;
            Ok::<_, Infallible>(Bytes::from(format!("data: {event}\n\n")))
        });
        let content_type = (header::CONTENT_TYPE, "text/event-stream; charset=utf-8");
        ([content_type], Body::from_stream(events)).into_response()
    }
}

fn call(call: ToolCall) -> Value {
    let arguments = match call.arguments {
        Value::String(text) => text,
        other => other.to_string(),
    };
    json!({
        "id": format!("call_{}", hex::encode(rand::random::<[u8; 12]>())),
        "type": "function",
        "function": { "name": call.name, "arguments": arguments },
    })
}

/// Cuts a text to so many tokens; says whether it had to.
fn shorten(text: &mut String, limit: usize) -> bool {
    if count_tokens(text) <= limit {
        return false;
    }
    let mut kept = String::new();
    for word in text.split_inclusive(' ') {
        if count_tokens(&format!("{kept}{word}")) > limit {
            break;
        }
        kept.push_str(word);
    }
    *text = kept.trim_end().to_owned();
    true
}
