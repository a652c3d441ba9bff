//! Quick replies: texts that people send often, the company's and one's own, with variables.

use db::quick_replies::{QuickReply, Values};
use domain::variables::{self, Variable};
use domain::{ConversationId, QuickReplyId, UserId};

use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::{App, Page, Position, text};

/// The longest shortcut and text, in characters, as the table has them.
const SHORTCUT_CHARS: usize = 50;
const TEXT_CHARS: usize = 4_096;

/// Tags of one at most, and characters of one.
const TAGS: usize = 20;
const TAG_CHARS: usize = 100;

/// The longest question, in characters.
const QUESTION_CHARS: usize = 200;

/// A quick reply to make.
#[derive(Clone, Debug)]
pub struct NewQuickReply {
    /// What is typed for it.
    pub shortcut: String,
    /// What is sent.
    pub text: String,
    /// What it is found by.
    pub tags: Vec<String>,
    /// For the caller alone.
    pub personal: bool,
}

/// What shall be true of a quick reply; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What is typed for it.
    pub shortcut: Option<String>,
    /// What is sent.
    pub text: Option<String>,
    /// Its tags, in place of those that were.
    pub tags: Option<Vec<String>>,
}

/// A page of the company's quick replies and the caller's own, by shortcut.
///
/// # Errors
/// `Invalid` for a question that is too long.
pub async fn list(
    app: &App,
    caller: &Identity,
    q: Option<&str>,
    tag: Option<&str>,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<QuickReply, String>> {
    let q = q.map(str::trim).filter(|q| !q.is_empty());
    if q.is_some_and(|q| q.chars().count() > QUESTION_CHARS) {
        return Err(Error::invalid("q", format!("up to {QUESTION_CHARS} characters")));
    }
    let mut tx = app.db().await?.begin_list(caller.scope).await?;
    let rows = db::quick_replies::list(&mut tx, caller.user_id(), q, tag, after, limit + 1).await?;
    Ok(Page::cut(rows, limit, |reply| (reply.shortcut.clone(), reply.id.0)))
}

/// One of the company's or of the caller's own.
///
/// # Errors
/// `NotFound`, also for another person's.
pub async fn find(app: &App, caller: &Identity, id: QuickReplyId) -> Result<QuickReply> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    found(db::quick_replies::find(&mut tx, caller.user_id(), id).await?)
}

/// Makes one; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for the shortcut, the text, one of its variables or the tags, and for a personal one of an API key; `Conflict`
/// for a shortcut that is taken; `Rule` (`idempotency_key_reused`).
pub async fn create(
    app: &App,
    caller: &Identity,
    new: NewQuickReply,
    key: Option<&IdempotencyKey>,
) -> Result<QuickReply> {
    let owner_id = owner(caller, new.personal)?;
    let now = app.clock.now();
    let reply = QuickReply {
        id: QuickReplyId(app.clock.new_id()),
        owner_id,
        shortcut: checked_shortcut(&new.shortcut)?,
        text: checked_text(&new.text)?,
        tags: checked_tags(&new.tags)?,
        created_at: now,
        updated_at: now,
    };
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let asked = (&reply.owner_id, &reply.shortcut, &reply.text, &reply.tags);
    if let Some(known) = idempotency::claim(&mut tx, key, "quick_reply", &asked, reply.id.0).await? {
        return found(db::quick_replies::find(&mut tx, caller.user_id(), QuickReplyId(known)).await?);
    }
    db::quick_replies::insert(&mut tx, &reply).await?;
    tx.commit().await?;
    Ok(reply)
}

/// Changes one.
///
/// # Errors
/// As [`create`], and `NotFound`.
pub async fn change(app: &App, caller: &Identity, id: QuickReplyId, change: Change) -> Result<QuickReply> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let mut reply = found(db::quick_replies::find(&mut tx, caller.user_id(), id).await?)?;
    if let Some(shortcut) = &change.shortcut {
        reply.shortcut = checked_shortcut(shortcut)?;
    }
    if let Some(text) = &change.text {
        reply.text = checked_text(text)?;
    }
    if let Some(tags) = &change.tags {
        reply.tags = checked_tags(tags)?;
    }
    reply.updated_at = app.clock.now();
    db::quick_replies::update(&mut tx, &reply).await?;
    tx.commit().await?;
    Ok(reply)
}

/// Removes one.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, caller: &Identity, id: QuickReplyId) -> Result<()> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    if !db::quick_replies::delete(&mut tx, caller.user_id(), id).await? {
        return Err(Error::NotFound("quick reply"));
    }
    Ok(tx.commit().await?)
}

/// The text of one, filled in for a conversation.
///
/// # Errors
/// `NotFound` for either.
pub async fn render(
    app: &App,
    caller: &Identity,
    id: QuickReplyId,
    conversation_id: ConversationId,
) -> Result<String> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let reply = found(db::quick_replies::find(&mut tx, caller.user_id(), id).await?)?;
    let values = db::quick_replies::find_values(&mut tx, conversation_id).await?;
    let values = values.ok_or(Error::NotFound("conversation"))?;
    let agent = match caller.user_id() {
        Some(user_id) => db::members::find(&mut tx, user_id).await?.map(|member| member.name),
        None => None,
    };
    Ok(variables::render(&reply.text, |variable| value(&values, agent.as_deref(), variable)))
}

fn value(values: &Values, agent: Option<&str>, variable: Variable<'_>) -> Option<String> {
    match variable {
        Variable::ContactName => Some(values.contact_name.clone()),
        Variable::ContactFirstName => values.contact_name.split_whitespace().next().map(str::to_owned),
        Variable::ContactPhone => values.contact_phone.clone(),
        Variable::ContactEmail => values.contact_email.clone(),
        Variable::ContactCustom(key) => match values.contact_custom.get(key)? {
            serde_json::Value::String(text) => Some(text.clone()),
            value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => Some(value.to_string()),
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        },
        Variable::AgentName => agent.map(str::to_owned),
        Variable::CompanyName => Some(values.company_name.clone()),
    }
}

fn found(reply: Option<QuickReply>) -> Result<QuickReply> {
    reply.ok_or(Error::NotFound("quick reply"))
}

fn owner(caller: &Identity, personal: bool) -> Result<Option<UserId>> {
    match (personal, caller.user_id()) {
        (false, _) => Ok(None),
        (true, Some(user_id)) => Ok(Some(user_id)),
        (true, None) => Err(Error::invalid("personal", "an API key has no quick replies of its own")),
    }
}

/// People type it behind a slash, in one go.
fn checked_shortcut(shortcut: &str) -> Result<String> {
    let shortcut = text::line("shortcut", shortcut.trim().trim_start_matches('/'), SHORTCUT_CHARS)?;
    if shortcut.contains(char::is_whitespace) {
        return Err(Error::invalid("shortcut", "one word"));
    }
    // Lower case may be longer.
    text::line("shortcut", &shortcut.to_lowercase(), SHORTCUT_CHARS)
}

fn checked_text(text: &str) -> Result<String> {
    let text = text::lines("text", text, TEXT_CHARS)?;
    variables::check(&text).map_err(|error| Error::invalid("text", error.to_string()))?;
    Ok(text)
}

fn checked_tags(tags: &[String]) -> Result<Vec<String>> {
    let mut checked: Vec<String> = Vec::new();
    for tag in tags {
        let tag = text::line("tags", tag, TAG_CHARS)?;
        if !checked.contains(&tag) {
            checked.push(tag);
        }
    }
    if checked.len() > TAGS {
        return Err(Error::invalid("tags", format!("a quick reply has at most {TAGS}")));
    }
    Ok(checked)
}
