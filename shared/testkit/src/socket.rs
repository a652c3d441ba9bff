//! A browser's WebSocket: keeps every event that it was told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::{Stack, eventually};

/// An open WebSocket. Dropping it closes it.
#[derive(Debug)]
pub struct Socket {
    events: Arc<Mutex<Vec<Value>>>,
    reader: tokio::task::JoinHandle<()>,
    writer: tokio::sync::mpsc::UnboundedSender<Message>,
}

impl Socket {
    /// Opens one with a token or an API key.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(stack: &Stack, credential: &str) -> Self {
        let url = format!("{}?token={credential}", stack.websocket_url);
        let (stream, _) = connect_async(&url).await.expect("the WebSocket is let in");
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let (mut write, mut read) = stream.split();
        let (writer, mut said) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Ends with the channel, and the socket with it.
            while let Some(message) = said.recv().await {
                if write.send(message).await.is_err() {
                    break;
                }
            }
        });
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = read.next().await {
                let Message::Text(text) = message else { continue };
                let event = serde_json::from_str(&text).unwrap_or(Value::String(text.to_string()));
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        });
        Self { events, reader, writer }
    }

    /// The HTTP status with which a WebSocket is refused; `None` when it is let in.
    ///
    /// # Panics
    /// When it fails without an HTTP answer.
    pub async fn refusal(stack: &Stack, query: &str) -> Option<u16> {
        match connect_async(&format!("{}{query}", stack.websocket_url)).await {
            Ok(_) => None,
            Err(Error::Http(answer)) => Some(answer.status().as_u16()),
            Err(error) => panic!("no HTTP answer: {error}"),
        }
    }

    /// Says something.
    ///
    /// # Panics
    /// When the socket is closed.
    pub fn say(&self, word: &Value) {
        self.writer.send(Message::text(word.to_string())).expect("the socket is open");
    }

    /// Every event so far.
    pub fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for an event.
    ///
    /// # Panics
    /// When `limit` passes without it.
    pub async fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, limit, async || self.events().into_iter().find(|event| wanted(event))).await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
