//! A complete turn is answered: persona and latest messages go to the model, its words go to the customer.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use db::messages::write::Written;
use db::messages::{Message, Within};
use db::turns::Turn;
use domain::event::Event;
use domain::job::Job;
use domain::message::{Author, Direction, MessageStatus, MessageType};
use domain::persona::Persona;
use domain::session::SessionStatus;
use domain::turn::TurnState;
use domain::{CompanyScope, MessageId, TurnId};
use providers::openai::{self, ChatError, ChatMessage, ChatRequest, Role};

use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::{App, channels, turns};

/// How many of the latest messages the model sees.
const HISTORY: i64 = 30;

/// What the model is shown of one message, and of all, in characters: of a budget of 16,000 tokens, which models of today
/// all have, a third remains for instructions and answer. Portuguese has about four characters a token.
const SHOWN_OF_ONE: usize = 8_000;
const SHOWN_OF_ALL: usize = 40_000;

/// How long to wait before a configuration that refuses us is tried again.
const CONFIGURATION_PAUSE: Duration = Duration::from_secs(60);

/// How long the model's provider may take, from when the customer had finished; then a person has to answer.
const PATIENCE: TimeDelta = TimeDelta::minutes(3);

/// Answers a turn. Safe to run twice: a turn has one answer. What the model's provider does not answer in time, or cannot
/// until somebody pays or mends the configuration, is given to a person: a customer waits.
///
/// # Errors
/// `RetryLater` while the model's provider asks for patience, `Provider` once the turn was given to a person. What is ours
/// to mend is tried again for as long as it takes.
pub async fn answer(app: &App, scope: CompanyScope, turn_id: TurnId) -> Result<()> {
    match try_answer(app, scope, turn_id).await {
        Err(Failure::Model { error, due_at }) => {
            let after = match &error {
                ChatError::Retry { after, .. } => Some(after.unwrap_or_default()),
                ChatError::Quota { .. } | ChatError::Configuration { .. } => Some(CONFIGURATION_PAUSE),
                ChatError::Rejected { .. } => None,
            };
            if let Some(after) = after.filter(|after| app.clock.now() + *after < due_at + PATIENCE) {
                return Err(Error::RetryLater { after, source: error.into() });
            }
            turns::give_up(app, scope, turn_id, &error.to_string()).await?;
            Err(Error::Provider { provider: "openai", retryable: false, source: error.into() })
        }
        Err(Failure::Ours(error)) => {
            if !error.retryable() {
                turns::give_up(app, scope, turn_id, &error.chain()).await?;
            }
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

/// Who failed.
enum Failure {
    /// The model's provider, with a turn that was due then.
    Model {
        error: ChatError,
        due_at: DateTime<Utc>,
    },
    Ours(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

struct Question {
    turn: Turn,
    recipient: db::conversations::Recipient,
    persona: Persona,
    history: Vec<Message>,
}

async fn try_answer(app: &App, scope: CompanyScope, turn_id: TurnId) -> Result<(), Failure> {
    let Some(question) = load(app, scope, turn_id).await? else { return Ok(()) };
    let key = app.secrets.get(&app.settings.openai_key_secret).await.map_err(crate::error::internal)?;
    let client = openai::Client::new(&app.settings.openai_base_url, app.http().clone());
    let request = ChatRequest {
        model: question.persona.model.clone(),
        messages: prompt(&question.persona, &question.history),
        temperature: question.persona.temperature,
        max_completion_tokens: question
            .persona
            .max_completion_tokens
            .and_then(|tokens| tokens.try_into().ok()),
    };
    let due_at = question.turn.due_at;
    let answer = client.chat(&key, request).await.map_err(|error| Failure::Model { error, due_at })?;
    tracing::info!(
        ai.model = question.persona.model,
        ai.prompt_tokens = answer.prompt_tokens,
        ai.completion_tokens = answer.completion_tokens,
        "turn answered"
    );
    Ok(store(app, scope, question, &answer.text).await?)
}

/// What the answer needs; `None` when there is nothing to answer any more.
async fn load(app: &App, scope: CompanyScope, turn_id: TurnId) -> Result<Option<Question>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(turn) = db::turns::find(&mut tx, turn_id).await? else { return Ok(None) };
    if turn.state != TurnState::Ready {
        return Ok(None);
    }
    if let Some(reason) = moot(app, &mut tx, &turn).await? {
        db::turns::end(&mut tx, turn_id, TurnState::Skipped, Some(reason), app.clock.now()).await?;
        tx.commit().await?;
        return Ok(None);
    }
    let recipient = db::conversations::find_recipient(&mut tx, turn.conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    let connection = db::connections::find(&mut tx, recipient.connection_id)
        .await?
        .ok_or(Error::NotFound("connection"))?;
    let persona_id = connection.persona_id.ok_or(Error::NotFound("persona"))?;
    let persona = db::personas::find(&mut tx, persona_id).await?.ok_or(Error::NotFound("persona"))?;
    let within = Within::Conversation(turn.conversation_id);
    let mut history = db::messages::list(&mut tx, within, None, HISTORY).await?;
    history.reverse();
    Ok(Some(Question { turn, recipient, persona, history }))
}

/// Why a turn wants no answer any more: a person took over, or a later turn, whose answer sees these words too, is on
/// its way.
async fn moot(app: &App, tx: &mut TenantTx, turn: &Turn) -> Result<Option<&'static str>> {
    if let Some(reason) = turns::ai_silence(app, tx, turn.session_id).await? {
        return Ok(Some(reason));
    }
    Ok(db::turns::is_superseded(tx, turn.session_id, turn.id).await?.then_some("superseded"))
}

fn prompt(persona: &Persona, history: &[Message]) -> Vec<ChatMessage> {
    let system = ChatMessage { role: Role::System, content: persona.instructions.clone() };
    let said = history.iter().filter_map(|message| {
        let role = match message.direction {
            Direction::Inbound => Role::User,
            Direction::Outbound => Role::Assistant,
        };
        let content = match (&message.text, message.message_type) {
            (Some(text), MessageType::Text) => text.clone(),
            // The model cannot see a file; it should know that there is one.
            (text, kind) if kind.asks_for_answer() => {
                let kind = serde_json::to_value(kind).ok()?;
                format!("[{}] {}", kind.as_str()?, text.as_deref().unwrap_or_default()).trim_end().to_owned()
            }
            _ => return None,
        };
        Some(ChatMessage { role, content })
    });
    std::iter::once(system).chain(within_budget(said.collect())).collect()
}

/// The latest messages that fit, each cut to what is shown of one.
fn within_budget(said: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut left = SHOWN_OF_ALL;
    let mut shown: Vec<_> = said
        .into_iter()
        .rev()
        .map(|mut message| {
            if let Some((end, _)) = message.content.char_indices().nth(SHOWN_OF_ONE) {
                message.content.truncate(end);
                message.content.push('…');
            }
            message
        })
        .take_while(|message| {
            let length = message.content.chars().count();
            let fits = length <= left;
            left = left.saturating_sub(length);
            fits
        })
        .collect();
    shown.reverse();
    shown
}

async fn store(app: &App, scope: CompanyScope, question: Question, text: &str) -> Result<()> {
    let now = app.clock.now();
    let turn = question.turn;
    let conversation_id = turn.conversation_id;
    let mut tx = app.db().await?.begin(scope).await?;
    // The model took its time: somebody may have taken over meanwhile, or is about to; whoever has the conversation first.
    db::conversations::lock(&mut tx, conversation_id).await?;
    if let Some(reason) = moot(app, &mut tx, &turn).await? {
        db::turns::end(&mut tx, turn.id, TurnState::Skipped, Some(reason), now).await?;
        return Ok(tx.commit().await?);
    }
    if !db::turns::end(&mut tx, turn.id, TurnState::Answered, None, now).await? {
        return Ok(());
    }
    let mut outgoing = Outgoing::default();
    let channel = question.recipient.channel;
    for (part, text) in (0..).zip(split(text, channels::longest_text(channel))) {
        let message_id = MessageId(app.clock.new_id());
        let message = Written {
            id: message_id,
            conversation_id,
            session_id: turn.session_id,
            connection_id: question.recipient.connection_id,
            contact_id: question.recipient.contact_id,
            author: Author::Ai,
            message_type: MessageType::Text,
            content: channels::text_content(channel, &text),
            text: Some(text),
            media: None,
            reply_to_id: None,
            status: MessageStatus::Queued,
            turn: Some((turn.id, part)),
            author_user_id: None,
        };
        db::messages::write::insert_written(&mut tx, &message, now).await?;
        db::conversations::record_outbound(&mut tx, conversation_id, message_id, now).await?;
        outgoing.job(scope, Job::SendMessage { message_id, conversation_id })?;
        let session_id = Some(turn.session_id);
        let direction = Direction::Outbound;
        outgoing
            .event(scope, Event::MessageCreated { message_id, conversation_id, session_id, direction })?;
    }
    let queued = [SessionStatus::Queued];
    let session_id = turn.session_id;
    if db::sessions::set_status(&mut tx, session_id, &queued, SessionStatus::Active, "ai_answered", now)
        .await?
    {
        outgoing.event(scope, Event::SessionChanged { session_id, conversation_id })?;
    }
    outbox::commit(app, tx, outgoing).await
}

/// Cuts a text into parts of at most `longest` characters: between paragraphs where it can, else between sentences,
/// words, and at last anywhere.
fn split(text: &str, longest: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while let Some((limit, _)) = rest.char_indices().nth(longest) {
        let window = &rest[..limit];
        let cut = ["\n\n", "\n", ". ", " "]
            .iter()
            .find_map(|boundary| window.rfind(boundary).map(|at| at + boundary.trim_end().len()))
            .filter(|&at| at > 0)
            .unwrap_or(limit);
        parts.push(rest[..cut].trim_end().to_owned());
        rest = rest[cut..].trim_start();
    }
    if !rest.is_empty() {
        parts.push(rest.to_owned());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{SHOWN_OF_ALL, SHOWN_OF_ONE, split, within_budget};
    use proptest::prelude::*;
    use providers::openai::{ChatMessage, Role};

    #[test]
    fn a_long_answer_is_cut_between_sentences() {
        assert_eq!(split("Um dois. Três quatro.", 12), ["Um dois.", "Três quatro."]);
        assert_eq!(split("Um parágrafo.\n\nOutro.", 18), ["Um parágrafo.", "Outro."]);
        assert_eq!(split("  ", 5), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn the_model_is_shown_the_latest_words_and_not_too_many(lengths in prop::collection::vec(0usize..20_000, 1..30)) {
            let said: Vec<_> =
                lengths.iter().map(|length| ChatMessage { role: Role::User, content: "á".repeat(*length) }).collect();
            let shown = within_budget(said);
            let count = |message: &ChatMessage| message.content.chars().count();
            prop_assert!(shown.iter().map(count).sum::<usize>() <= SHOWN_OF_ALL);
            let cut = |length: &usize| if *length > SHOWN_OF_ONE { SHOWN_OF_ONE + 1 } else { *length };
            let expected: Vec<_> = lengths[lengths.len() - shown.len()..].iter().map(cut).collect();
            prop_assert_eq!(shown.iter().map(count).collect::<Vec<_>>(), expected, "the latest, in order");
            prop_assert!(!shown.is_empty(), "the question itself always");
        }

        #[test]
        fn no_part_is_too_long_and_no_word_is_lost(text in "[a-zá ]{0,80}", longest in 1usize..20) {
            let parts = split(&text, longest);
            prop_assert!(parts.iter().all(|part| !part.is_empty() && part.chars().count() <= longest));
            let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&parts.concat()), letters(&text));
        }
    }
}
