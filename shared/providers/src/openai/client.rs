//! The calls themselves.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{ChatError, request_id};
use crate::redact;

/// Longest wait for an answer of a chat model.
pub const CHAT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for embeddings.
pub const EMBEDDINGS_TIMEOUT: Duration = Duration::from_secs(15);

/// A client of the API, for any key.
#[derive(Clone)]
pub struct Client {
    base_url: String,
    http: reqwest::Client,
    longest: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// What a model is asked. Which parameters a model takes changes often: leave `None` what is not configured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatRequest {
    /// Model name, `gpt-4o-mini`.
    pub model: String,
    /// The conversation so far, instructions first.
    pub messages: Vec<ChatMessage>,
    /// 0 to 2; reasoning models refuse it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Longest answer in tokens, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions; understood by every model.
    System,
    /// Instructions, in the words of newer models.
    Developer,
    /// The customer.
    User,
    /// The model.
    Assistant,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatAnswer {
    /// The answer, never empty.
    pub text: String,
    /// `stop`, or `length` if it was cut at the token limit.
    pub finish_reason: String,
    /// Tokens that were read.
    pub prompt_tokens: u32,
    /// Tokens that were written.
    pub completion_tokens: u32,
    /// OpenAI's id of the request.
    pub request_id: Option<String>,
}

/// Vectors, in the order of the texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// One vector of unit length for each text.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that were read.
    pub prompt_tokens: u32,
}

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    message: Answered,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Answered {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Default, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
}

#[derive(Deserialize)]
struct EmbeddingList {
    data: Vec<Embedding>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

impl Client {
    /// `base_url` includes the version, normally `https://api.openai.com/v1`.
    pub fn new(base_url: &str, http: reqwest::Client) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), http, longest: CHAT_TIMEOUT }
    }

    /// Waits at most this long for any answer, where [`CHAT_TIMEOUT`] and [`EMBEDDINGS_TIMEOUT`] are longer.
    #[must_use]
    pub fn with_timeout(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Asks a chat model for one answer.
    ///
    /// # Errors
    /// [`ChatError`]. A refusal, a filtered or an empty answer is `Rejected`: the same question gets the same.
    pub async fn chat(&self, key: &SecretString, request: ChatRequest) -> Result<ChatAnswer, ChatError> {
        let (completion, headers): (Completion, _) =
            self.post(key, "chat/completions", &request, CHAT_TIMEOUT).await?;
        let choice = completion
            .choices
            .into_iter()
            .next()
            .ok_or_else(|| ChatError::unreadable("the answer holds no choice"))?;
        let finish_reason = choice.finish_reason.unwrap_or_default();
        if finish_reason == "content_filter" {
            return Err(ChatError::rejected("the content filter withheld the answer"));
        }
        if choice.message.refusal.is_some_and(|refusal| !refusal.is_empty()) {
            return Err(ChatError::rejected("the model refused to answer"));
        }
        let text = choice.message.content.unwrap_or_default();
        if text.trim().is_empty() {
            return Err(ChatError::rejected(format!("the answer is empty (finish_reason {finish_reason})")));
        }
        Ok(ChatAnswer {
            text,
            finish_reason,
            prompt_tokens: completion.usage.prompt_tokens,
            completion_tokens: completion.usage.completion_tokens,
            request_id: request_id(&headers),
        })
    }

    /// Turns texts into vectors. At most 2048 texts of at most 8192 tokens, none of them empty. `dimensions`
    /// shortens the vectors, on models that can.
    ///
    /// # Errors
    /// [`ChatError`]; `Retry` also if OpenAI gave another number of vectors than asked for.
    pub async fn embeddings(
        &self,
        key: &SecretString,
        model: &str,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<Embeddings, ChatError> {
        #[derive(Serialize)]
        struct Request<'a> {
            model: &'a str,
            input: &'a [String],
            encoding_format: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            dimensions: Option<u32>,
        }
        let request = Request { model, input: texts, encoding_format: "float", dimensions };
        let (mut list, _): (EmbeddingList, _) =
            self.post(key, "embeddings", &request, EMBEDDINGS_TIMEOUT).await?;
        list.data.sort_by_key(|embedding| embedding.index);
        let complete = list.data.len() == texts.len()
            && list.data.iter().enumerate().all(|(index, embedding)| embedding.index == index);
        if !complete {
            return Err(ChatError::unreadable("there is not one vector for each text"));
        }
        Ok(Embeddings {
            vectors: list.data.into_iter().map(|embedding| embedding.embedding).collect(),
            prompt_tokens: list.usage.prompt_tokens,
        })
    }

    async fn post<A: DeserializeOwned>(
        &self,
        key: &SecretString,
        path: &str,
        request: &impl Serialize,
        timeout: Duration,
    ) -> Result<(A, HeaderMap), ChatError> {
        let response = self
            .http
            .post(format!("{}/{path}", self.base_url))
            .bearer_auth(key.expose_secret())
            .timeout(timeout.min(self.longest))
            .json(request)
            .send()
            .await
            .map_err(ChatError::transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await;
        if !status.is_success() {
            return Err(ChatError::response(status, &headers, &body.unwrap_or_default()));
        }
        let body = body.map_err(|error| ChatError::unreadable(redact::transport(error)))?;
        let answer = serde_json::from_slice(&body)
            .map_err(|error| ChatError::unreadable(format!("the answer cannot be read: {error}")))?;
        Ok((answer, headers))
    }
}
