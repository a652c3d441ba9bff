//! What a browser says on its socket, and what it is answered there: API Gateway passes no answer of a route on.

use std::collections::BTreeSet;

use app::{App, Error};
use domain::ConversationId;
use serde::{Deserialize, Serialize};

/// A browser's word.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Word {
    /// It is still there. API Gateway closes a socket on which nobody says anything for ten minutes.
    Ping,
    /// It wants to hear of these conversations alone; without a list, of all.
    Watch {
        #[serde(default)]
        conversation_ids: Option<BTreeSet<ConversationId>>,
    },
}

/// What it is answered.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer {
    Pong,
    Watching { conversation_ids: Option<BTreeSet<ConversationId>> },
    Problem { code: &'static str, detail: String },
}

/// Does what the browser asks for, and answers it on the socket; a wrong word, too.
pub(crate) async fn hear(app: &App, connection_id: &str, said: &str) -> app::Result<()> {
    let answer = match serde_json::from_str(said) {
        Ok(Word::Ping) => Answer::Pong,
        Ok(Word::Watch { conversation_ids }) => {
            match app::realtime::watch(app, connection_id, conversation_ids.as_ref()).await {
                Ok(()) => Answer::Watching { conversation_ids },
                Err(error) if error.retryable() => return Err(error),
                Err(error) => problem(&error),
            }
        }
        Err(error) => problem(&Error::Malformed(error.to_string())),
    };
    let body = serde_json::to_string(&answer).map_err(|error| Error::Internal(error.into()))?;
    app::realtime::reply(app, connection_id, &body).await
}

fn problem(error: &Error) -> Answer {
    Answer::Problem { code: error.code(), detail: error.to_string() }
}
