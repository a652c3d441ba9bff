//! Chat answers ordered in advance: `POST /_sandbox/openai/script`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One answer: a string, or an object that says more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    Text(String),
    Full(FullReply),
}

/// What an answer can say besides its text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FullReply {
    #[serde(default)]
    pub(crate) content: Option<String>,
    /// `[{name, arguments}]`; arguments as an object, or as a string sent as it is.
    #[serde(default)]
    pub(crate) tool_calls: Vec<ToolCall>,
    #[serde(default)]
    pub(crate) refusal: Option<String>,
    #[serde(default)]
    pub(crate) finish_reason: Option<String>,
    /// Only for a conversation whose last user message contains this.
    #[serde(default)]
    pub(crate) contains: Option<String>,
    /// Milliseconds waited first.
    #[serde(default)]
    pub(crate) latency_ms: u64,
    /// Stays for further requests instead of being used up.
    #[serde(default)]
    pub(crate) repeat: bool,
}

/// A function the model wants called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

impl From<Reply> for FullReply {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Full(full) => full,
            Reply::Text(text) => Self { content: Some(text), ..Self::default() },
        }
    }
}

/// The answers still to give.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Replies(VecDeque<FullReply>);

impl Replies {
    pub(crate) fn add(&mut self, replies: Vec<Reply>) {
        self.0.extend(replies.into_iter().map(FullReply::from));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first answer meant for this user message.
    pub(crate) fn take(&mut self, question: &str) -> Option<FullReply> {
        let position = self
            .0
            .iter()
            .position(|reply| reply.contains.as_ref().is_none_or(|needle| question.contains(needle)))?;
        if self.0[position].repeat {
            return self.0.get(position).cloned();
        }
        self.0.remove(position)
    }
}
