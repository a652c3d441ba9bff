//! Messages: reading them, and writing to a customer.

use chrono::TimeDelta;
use db::TenantTx;
use db::conversations::Recipient;
use db::messages::write::Written;
use db::messages::{Filter, Message, Within, delivery};
use db::sessions::Wanted;
use domain::connection::ConnectionKind;
use domain::event::Event;
use domain::job::Job;
use domain::media::Attachment;
use domain::message::{Author, Direction, MessageStatus, MessageType};
use domain::session::{SessionStatus, StartedBy};
use domain::{CompanyScope, ConnectionId, ContactId, ConversationId, MediaId, MessageId, SessionId};
use providers::channel::content::MediaSource;
use serde_json::{Value, json};

use crate::auth::Identity;
use crate::conversations::{life, search};
use crate::error::{Error, Result, internal};
use crate::idempotency::{self, IdempotencyKey};
use crate::inbound::changed_event;
use crate::media::sending;
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position, channels, contacts, outbound, templates};

/// How long after a customer's message the business may write freely (WhatsApp's customer service window).
pub const SERVICE_WINDOW: TimeDelta = TimeDelta::hours(24);

/// Where a message goes.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Into a conversation.
    Conversation(ConversationId),
    /// To a contact over a connection; the conversation is opened if there is none.
    Contact(ContactId, ConnectionId),
}

/// A message to write.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Where it goes.
    pub target: Target,
    /// What it holds.
    pub message_type: MessageType,
    /// The text.
    pub text: Option<String>,
    /// The type's own fields.
    pub content: Option<Value>,
    /// The file of a message that is one.
    pub file: Option<NewFile>,
    /// Who wrote it; by default the agent who calls, or the other platform when an API key calls.
    pub author: Option<Author>,
    /// What it answers.
    pub reply_to_id: Option<MessageId>,
    /// Really send it, or only record it.
    pub send_external: bool,
    /// A person takes over: the AI falls silent.
    pub pause_session: bool,
    /// The client's key for this request.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A file to send.
#[derive(Clone, Copy, Debug)]
pub struct NewFile {
    /// The file, which is there.
    pub media_id: MediaId,
    /// Show an audio as a voice note.
    pub voice: bool,
}

/// Lists messages, newest first.
///
/// # Errors
/// `NotFound` for a conversation or session that is not the company's.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    within: Within,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Message>> {
    let mut tx = app.db().await?.begin(scope).await?;
    match within {
        Within::Conversation(id) => {
            db::conversations::find_recipient(&mut tx, id).await?.ok_or(Error::NotFound("conversation"))?;
        }
        Within::Session(id) => {
            db::sessions::find(&mut tx, id).await?.ok_or(Error::NotFound("session"))?;
        }
    }
    let rows = db::messages::list(&mut tx, within, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |message| (message.occurred_at, message.id.0)))
}

/// What to list of a company's messages.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Of one conversation.
    pub conversation_id: Option<ConversationId>,
    /// With one contact.
    pub contact_id: Option<ContactId>,
    /// With all of these words, or others of the same stems.
    pub q: Option<String>,
}

/// Lists the company's messages that somebody wishes for, newest first.
///
/// # Errors
/// `Invalid` for a question that is too long.
pub async fn list_wished(
    app: &App,
    scope: CompanyScope,
    wish: &Wish,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Message>> {
    let q = search::asked(wish.q.as_deref())?;
    let mut tx = app.db().await?.begin_list(scope).await?;
    let Wish { conversation_id, contact_id, .. } = *wish;
    let mut filter = Filter { conversation_id, contact_id, ..Filter::default() };
    if let Some(q) = q {
        let Some((words, conversations)) = search::narrow_messages(&mut tx, q).await? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        (filter.words, filter.conversations) = (words, conversations);
    }
    let rows = db::messages::list_filtered(&mut tx, &filter, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |message| (message.occurred_at, message.id.0)))
}

/// Finds a message.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: MessageId) -> Result<Message> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::messages::find(&mut tx, id).await?.ok_or(Error::NotFound("message"))
}

/// Writes a message and queues it. With an idempotency key that was used before, the message that it made then.
///
/// # Errors
/// `NotFound` for a target that is not the company's, `Invalid` for content over a limit or that does not fit into its
/// template, `WindowClosed`, `Rule` (`idempotency_key_reused`, `contact_erased`, `contact_opted_out`, and those of a template that
/// may not be sent).
pub async fn write(app: &App, caller: &Identity, new: NewMessage) -> Result<Message> {
    check_file(&new)?;
    if new.file.is_none() {
        check_content(&new, None)?;
    }
    let scope = caller.scope;
    let now = app.clock.now();
    let id = MessageId(app.clock.new_id());
    let mut tx = app.db().await?.begin(scope).await?;
    let key = new.idempotency_key.as_ref();
    if let Some(known) = idempotency::claim(&mut tx, key, "message", &asked(&new), id.0).await? {
        return db::messages::find(&mut tx, MessageId(known)).await?.ok_or(Error::NotFound("message"));
    }

    let attachment = match new.file {
        Some(NewFile { media_id, voice }) => {
            let attachment = sending::attach(&mut tx, media_id, new.message_type, voice).await?;
            check_content(&new, Some(&attachment))?;
            Some(serde_json::to_value(attachment).map_err(internal)?)
        }
        None => None,
    };
    let (conversation_id, recipient) = resolve_target(app, &mut tx, new.target).await?;
    check_somebody(&recipient)?;
    check_channel(&new, recipient.channel)?;
    if let Some(file) = new.file {
        db::media::note_sent(&mut tx, file.media_id, recipient.contact_id).await?;
    }
    if new.send_external {
        check_sending(app, &mut tx, new.message_type, new.content.as_ref(), &recipient).await?;
    }
    let mut outgoing = Outgoing::default();
    let author = new.author.unwrap_or(caller.author());
    // The conversation before the session, as everywhere: two writers must not wait for each other crosswise.
    db::conversations::record_outbound(&mut tx, conversation_id, id, now).await?;
    let session_id =
        join_session(app, &mut tx, conversation_id, recipient.contact_id, author, &new, &mut outgoing)
            .await?;
    if let Some(reply_to) = new.reply_to_id {
        let replied = db::messages::find(&mut tx, reply_to).await?;
        if replied.is_none_or(|message| message.conversation_id != conversation_id) {
            return Err(Error::NotFound("message to reply to"));
        }
    }
    let content = match new.message_type {
        MessageType::Reaction => Some(reaction_content(&mut tx, conversation_id, &new).await?),
        MessageType::Text => beside_text(&new, recipient.channel),
        _ => new.content.clone(),
    };
    let message = Written {
        id,
        conversation_id,
        session_id,
        connection_id: recipient.connection_id,
        contact_id: recipient.contact_id,
        author,
        message_type: new.message_type,
        text: new.text.clone(),
        content,
        media: attachment,
        reply_to_id: new.reply_to_id,
        status: if new.send_external { MessageStatus::Queued } else { MessageStatus::Sent },
        turn: None,
        author_user_id: caller.user_id(),
    };
    db::messages::write::insert_written(&mut tx, &message, now).await?;
    if new.send_external {
        outgoing.job(scope, Job::SendMessage { message_id: id, conversation_id })?;
    }
    let direction = Direction::Outbound;
    let session_id = Some(session_id);
    outgoing
        .event(scope, Event::MessageCreated { message_id: id, conversation_id, session_id, direction })?;
    let message = db::messages::find(&mut tx, id).await?.ok_or(Error::NotFound("message"))?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(message)
}

/// Queues a message again that failed, or whose outcome a person decided to ignore.
///
/// # Errors
/// `NotFound`; `Conflict` when the message is on its way or arrived; `WindowClosed`, `Rule` (`contact_erased`,
/// `contact_opted_out`, and those of a template that may not be sent any more).
pub async fn retry(app: &App, scope: CompanyScope, id: MessageId) -> Result<Message> {
    let mut tx = app.db().await?.begin(scope).await?;
    let message = db::messages::find(&mut tx, id).await?.ok_or(Error::NotFound("message"))?;
    let Some(changed) = delivery::requeue(&mut tx, id).await? else {
        return Err(Error::Conflict("only a failed or unresolved message can be sent again"));
    };
    let recipient = db::conversations::find_recipient(&mut tx, message.conversation_id)
        .await?
        .ok_or(Error::NotFound("conversation"))?;
    check_somebody(&recipient)?;
    check_sending(app, &mut tx, message.message_type, message.content.as_ref(), &recipient).await?;
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SendMessage { message_id: id, conversation_id: message.conversation_id })?;
    outgoing.event(scope, changed_event(changed))?;
    let message = db::messages::find(&mut tx, id).await?.ok_or(Error::NotFound("message"))?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(message)
}

/// A message of a file has one, and no other message has.
fn check_file(new: &NewMessage) -> Result<()> {
    match (sending::is_file(new.message_type), new.file) {
        (true, None) => Err(Error::invalid("media_id", "a message of this type needs a file")),
        (false, Some(_)) => Err(Error::invalid("media_id", "a message of this type has no file")),
        _ => Ok(()),
    }?;
    let has_caption =
        matches!(new.message_type, MessageType::Image | MessageType::Video | MessageType::Document);
    if new.file.is_some() && new.text.is_some() && !has_caption {
        return Err(Error::invalid("text", "a file of this type has no caption"));
    }
    Ok(())
}

fn check_content(new: &NewMessage, attachment: Option<&Attachment>) -> Result<()> {
    if new.message_type == MessageType::Text && new.text.as_deref().is_none_or(|text| text.trim().is_empty())
    {
        return Err(Error::invalid("text", "a text message needs a text"));
    }
    if new.text.as_deref().is_some_and(|text| text.contains('\0')) {
        return Err(Error::invalid("text", "a text has no NUL character"));
    }
    if new.message_type == MessageType::Reaction {
        return Ok(());
    }
    // What the provider will call the file nobody knows yet, and nothing depends on it.
    let file = attachment.map(|attachment| (attachment, MediaSource::Id("file".to_owned())));
    let content = outbound::content_of(new.message_type, new.text.as_deref(), new.content.as_ref(), file);
    let Some(content) = content else {
        return Err(Error::invalid("type", "this type of message cannot be sent, or its content is missing"));
    };
    providers::whatsapp_cloud::limits::check(&content).map_err(|error| {
        let message =
            format!("{} {} {}, but there are {}", error.bound, error.limit, error.unit, error.actual);
        // Ours is `text`; the other types are written in Meta's words as they are.
        let is_text = error.field == "text.body" || error.field.ends_with(".caption");
        let field = if is_text { "text".to_owned() } else { error.field };
        Error::invalid(field, message)
    })
}

/// What the channel alone refuses; [`check_content`] has seen the rest.
fn check_channel(new: &NewMessage, channel: ConnectionKind) -> Result<()> {
    // What is only recorded went another way.
    if !new.send_external {
        return Ok(());
    }
    if !channels::sends(channel, new.message_type) {
        return Err(Error::invalid("type", "this channel does not send this type of message"));
    }
    let longest = channels::longest_text(channel);
    if new.text.as_deref().is_some_and(|text| text.chars().count() > longest) {
        return Err(Error::invalid("text", format!("up to {longest} characters")));
    }
    Ok(())
}

/// What was asked to stand beside a text, and what the channel says of it.
fn beside_text(new: &NewMessage, channel: ConnectionKind) -> Option<Value> {
    let told = channels::text_content(channel, new.text.as_deref().unwrap_or_default());
    match (new.content.clone(), told) {
        (Some(Value::Object(mut content)), Some(Value::Object(told))) => {
            content.extend(told);
            Some(Value::Object(content))
        }
        (content, told) => told.or(content),
    }
}

/// What a repetition of the request must have in common with it.
fn asked(new: &NewMessage) -> Value {
    let (conversation, contact) = match new.target {
        Target::Conversation(id) => (Some(id), None),
        Target::Contact(contact, connection) => (None, Some((contact, connection))),
    };
    json!([
        conversation,
        contact,
        new.message_type,
        new.text,
        new.content,
        new.file.map(|file| (file.media_id, file.voice)),
        new.author,
        new.reply_to_id,
        new.send_external,
        new.pause_session
    ])
}

async fn resolve_target(app: &App, tx: &mut TenantTx, target: Target) -> Result<(ConversationId, Recipient)> {
    let id = match target {
        Target::Conversation(id) => id,
        Target::Contact(contact_id, connection_id) => {
            let new_id = ConversationId(app.clock.new_id());
            life::find_or_open(app, tx, new_id, contact_id, connection_id).await?
        }
    };
    let recipient =
        db::conversations::find_recipient(tx, id).await?.ok_or(Error::NotFound("conversation"))?;
    Ok((id, recipient))
}

/// Nobody writes to whom everything was taken of.
fn check_somebody(recipient: &Recipient) -> Result<()> {
    if recipient.contact_erased && !recipient.is_group {
        return Err(contacts::erased());
    }
    Ok(())
}

/// What is really sent may be sent now: where messages may go, and by a template that may be sent.
async fn check_sending(
    app: &App,
    tx: &mut TenantTx,
    message_type: MessageType,
    content: Option<&Value>,
    recipient: &Recipient,
) -> Result<()> {
    check_window(app, tx, message_type, recipient).await?;
    if recipient.opted_out && recipient.channel.obeys_opt_outs() {
        return Err(Error::Rule {
            code: "contact_opted_out",
            message: "this customer wants no more SMS".to_owned(),
        });
    }
    match (message_type, content) {
        (MessageType::Template, Some(content)) => templates::sending::check(tx, recipient, content).await,
        _ => Ok(()),
    }
}

/// To a person, and freely only for a while after they wrote.
async fn check_window(
    app: &App,
    tx: &mut TenantTx,
    message_type: MessageType,
    recipient: &Recipient,
) -> Result<()> {
    if recipient.is_group {
        return Err(Error::Rule {
            code: "group_send_unsupported",
            message: "this channel cannot send to groups".to_owned(),
        });
    }
    if !recipient.channel.has_service_window() {
        return Ok(());
    }
    let open = recipient.last_inbound_at.is_some_and(|at| app.clock.now() < at + SERVICE_WINDOW);
    if open || message_type == MessageType::Template {
        return Ok(());
    }
    Err(Error::WindowClosed { templates: templates::sending::offers(tx, recipient.connection_id).await? })
}

/// Finds or begins the session that the message belongs to, and moves it on.
async fn join_session(
    app: &App,
    tx: &mut TenantTx,
    conversation_id: ConversationId,
    contact_id: ContactId,
    author: Author,
    new: &NewMessage,
    outgoing: &mut Outgoing,
) -> Result<SessionId> {
    let now = app.clock.now();
    let scope = CompanyScope::assert_verified(tx.company_id());
    let wanted = Wanted {
        new_id: SessionId(app.clock.new_id()),
        conversation_id,
        contact_id,
        started_by: match author {
            Author::Agent | Author::AgentPlatform => StartedBy::Agent,
            Author::Customer | Author::Ai | Author::Business | Author::System => StartedBy::Business,
        },
        status: SessionStatus::Active,
    };
    let new_id = wanted.new_id;
    let session = db::sessions::ensure_open(tx, &[wanted], false, now)
        .await?
        .pop()
        .ok_or(Error::NotFound("session"))?;
    let moved = if new.pause_session {
        let from = [SessionStatus::Queued, SessionStatus::Active];
        db::sessions::set_status(tx, session.id, &from, SessionStatus::Paused, "person_took_over", now)
            .await?
    } else {
        let from = [SessionStatus::Queued];
        db::sessions::set_status(tx, session.id, &from, SessionStatus::Active, "answered", now).await?
    };
    if moved || session.id == new_id {
        outgoing.event(scope, Event::SessionChanged { session_id: session.id, conversation_id })?;
    }
    Ok(session.id)
}

/// A reaction names the message that it is about by the provider's id.
async fn reaction_content(
    tx: &mut TenantTx,
    conversation_id: ConversationId,
    new: &NewMessage,
) -> Result<Value> {
    let content = new.content.as_ref();
    let about = content
        .and_then(|content| content["message_id"].as_str())
        .and_then(|id| id.parse::<MessageId>().ok())
        .ok_or_else(|| Error::invalid("reaction.message_id", "the id of the message to react to"))?;
    let message = db::messages::find(tx, about)
        .await?
        .filter(|message| message.conversation_id == conversation_id)
        .ok_or(Error::NotFound("message to react to"))?;
    let provider_id = message
        .provider_message_id
        .ok_or(Error::Conflict("the message to react to has not reached the provider"))?;
    let emoji = content.and_then(|content| content["emoji"].as_str()).unwrap_or_default();
    let mut content = json!({ "message_id": provider_id, "emoji": emoji });
    if message.direction == Direction::Outbound {
        content["of_ours"] = true.into();
    }
    Ok(content)
}
