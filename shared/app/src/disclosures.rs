//! What is known of one person, for that person: everything, in one form.

use chrono::{DateTime, Utc};
use db::contacts::Contact;
use db::contacts::consents::Said;
use db::contacts::history::Entry;
use db::contacts::notes::Note;
use db::conversations::Conversation;
use db::conversations::inbox::{self, Filter, Narrowed};
use db::leads::{self, Lead};
use db::messages::Message;
use db::sessions::Session;
use domain::user::Permission;
use domain::{ContactId, ListId};
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::contacts::{self, AddressedContact};
use crate::error::{Error, Result};
use crate::{App, Page, Position};

/// Messages of a page at most.
pub const MESSAGES: i64 = 1_000;

/// Everything about one person, with one stretch of the messages.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// Who.
    pub contact: AddressedContact,
    /// Who was found to be the same person.
    pub merged: Vec<Contact>,
    /// Lists that the person is in, and since when.
    pub lists: Vec<(ListId, String, DateTime<Utc>)>,
    /// Notes on the person, newest first.
    pub notes: Vec<Note>,
    /// What the person said about being written to, oldest first.
    pub consents: Vec<Said>,
    /// What was changed of the person, their conversations and sessions, oldest first.
    pub changes: Vec<Entry>,
    /// Every conversation, groups too.
    pub conversations: Vec<Conversation>,
    /// Every session, oldest first.
    pub sessions: Vec<Session>,
    /// What the person was to buy, newest first.
    pub leads: Vec<Lead>,
    /// Messages, oldest first.
    pub messages: Page<Message>,
}

/// Tells everything about one person. Whoever asks for the first page stands in the log.
///
/// # Errors
/// `NotFound`; `Rule` `contact_merged` for one that is another contact now.
pub async fn tell(
    app: &App,
    caller: &Identity,
    id: ContactId,
    after: Option<Position>,
    limit: i64,
) -> Result<Disclosure> {
    caller.require(Permission::ManageContacts)?;
    if !(1..=MESSAGES).contains(&limit) {
        return Err(Error::invalid("limit", format!("1 to {MESSAGES}")));
    }
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let mut contact = contacts::read(&mut tx, id).await?;
    // Also fields that the company has no more.
    if let Some(whole) = db::contacts::find(&mut tx, id).await? {
        contact.contact.custom = whole.custom;
    }
    if let Some(into) = contact.contact.merged_into_id {
        return Err(contacts::merged_into(into));
    }
    let merged = db::contacts::list_merged(&mut tx, id).await?;
    let lists = db::lists::list_of_contact(&mut tx, id).await?;
    let notes = db::contacts::notes::list(&mut tx, id, None, i64::MAX).await?;
    let consents = db::contacts::consents::list(&mut tx, id).await?;
    let changes = db::contacts::history::list(&mut tx, id).await?;
    let filter = Filter { contact_id: Some(id), include_groups: true, ..Filter::default() };
    let conversations = inbox::list(&mut tx, &filter, &Narrowed::default(), None, i64::MAX).await?;
    let sessions = db::sessions::list_for_contact(&mut tx, id).await?;
    let of_contact = leads::Filter { contact_id: Some(id), ..leads::Filter::default() };
    let leads = leads::list(&mut tx, &of_contact, None, i64::MAX).await?;
    let rows = db::messages::list_for_contact(&mut tx, id, after, limit + 1).await?;
    if after.is_none() {
        let object = ("contact", Some(id.0));
        audit::record(app, &mut tx, By::Caller(caller), "contact.exported", object, json!({})).await?;
    }
    tx.commit().await?;
    let messages = Page::cut(rows, limit, |message| (message.occurred_at, message.id.0));
    Ok(Disclosure {
        contact,
        merged,
        lists,
        notes,
        consents,
        changes,
        conversations,
        sessions,
        leads,
        messages,
    })
}
