//! Conversations: here as the inbox shows them · [`search`] how they are found · [`life`] what is done to them · [`notes`] what
//! the company writes to itself.

pub mod life;
pub mod notes;
pub(crate) mod search;

use std::collections::HashMap;

use db::conversations::Conversation;
use db::conversations::inbox::Filter;
use db::messages::Message;
use domain::event::Event;
use domain::job::Job;
use domain::{CompanyScope, ConversationId};

use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position};

/// A conversation with its newest message.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The conversation.
    pub conversation: Conversation,
    /// Its newest message.
    pub last_message: Option<Message>,
}

/// Lists conversations, latest activity first; with `q`, those with all of its words in their messages, with all of them as
/// beginnings in the contact's name, or with its digits in the contact's number.
///
/// # Errors
/// `Invalid` for a question that is too long.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    filter: &Filter,
    q: Option<&str>,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Listed>> {
    let mut tx = app.db().await?.begin_list(scope).await?;
    let Some(narrowed) = search::narrow(&mut tx, q, filter).await? else {
        return Ok(Page { items: Vec::new(), next: None });
    };
    let rows = db::conversations::inbox::list(&mut tx, filter, &narrowed, before, limit + 1).await?;
    let page = Page::cut(rows, limit, |conversation| (conversation.updated_at, conversation.id.0));
    let items = with_last_messages(&mut tx, page.items).await?;
    Ok(Page { items, next: page.next })
}

/// Finds a conversation.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: ConversationId) -> Result<Listed> {
    let mut tx = app.db().await?.begin(scope).await?;
    let conversation = db::conversations::find(&mut tx, id).await?.ok_or(Error::NotFound("conversation"))?;
    with_last_messages(&mut tx, vec![conversation]).await?.pop().ok_or(Error::NotFound("conversation"))
}

async fn with_last_messages(tx: &mut db::TenantTx, conversations: Vec<Conversation>) -> Result<Vec<Listed>> {
    let ids: Vec<_> = conversations.iter().filter_map(|conversation| conversation.last_message_id).collect();
    let mut messages: HashMap<_, _> =
        db::messages::find_many(tx, &ids).await?.into_iter().map(|message| (message.id, message)).collect();
    Ok(conversations
        .into_iter()
        .map(|conversation| Listed {
            last_message: conversation.last_message_id.and_then(|id| messages.remove(&id)),
            conversation,
        })
        .collect())
}

/// Marks a conversation as read, here and at the provider.
///
/// # Errors
/// `NotFound`.
pub async fn mark_read(app: &App, scope: CompanyScope, id: ConversationId) -> Result<Listed> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::conversations::find(&mut tx, id).await?.ok_or(Error::NotFound("conversation"))?;
    let mut outgoing = Outgoing::default();
    if let Some(message_id) = db::conversations::mark_read(&mut tx, id).await? {
        outgoing.job(scope, Job::MarkRead { message_id, conversation_id: id, typing: false })?;
        outgoing.event(scope, Event::ConversationRead { conversation_id: id })?;
    }
    outbox::commit(app, tx, outgoing).await?;
    find(app, scope, id).await
}
