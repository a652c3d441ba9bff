//! Notes on contacts, for the company's own people.

use db::contacts::notes::Note;
use domain::{CompanyScope, ContactId, ContactNoteId};
use serde_json::json;

use super::edit::announce;
use super::stay_somebody;
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::{App, Page, Position, text};

/// The longest note, as the table has it.
const NOTE_CHARS: usize = 4_096;

/// Lists the notes on a contact, newest first.
///
/// # Errors
/// `NotFound` for the contact.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    contact_id: ContactId,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Note>> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::contacts::find(&mut tx, contact_id).await?.ok_or(Error::NotFound("contact"))?;
    let rows = db::contacts::notes::list(&mut tx, contact_id, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |note| (note.created_at, note.id.0)))
}

/// Writes a note; with a key that was used before, the one that it made then.
///
/// # Errors
/// `NotFound` for the contact, `Invalid` for the text; `Rule` (`contact_merged`, `contact_erased`).
pub async fn create(
    app: &App,
    caller: &Identity,
    contact_id: ContactId,
    text: &str,
    key: Option<&IdempotencyKey>,
) -> Result<Note> {
    let now = app.clock.now();
    let note = Note {
        id: ContactNoteId(app.clock.new_id()),
        contact_id,
        text: text::lines("text", text, NOTE_CHARS)?,
        author_user_id: caller.user_id(),
        created_at: now,
        updated_at: now,
    };
    let mut tx = app.db().await?.begin(caller.scope).await?;
    stay_somebody(&mut tx, contact_id).await?;
    let asked = json!([contact_id, note.text]);
    if let Some(known) = idempotency::claim(&mut tx, key, "contact_note", &asked, note.id.0).await? {
        let known = db::contacts::notes::find(&mut tx, contact_id, ContactNoteId(known)).await?;
        return known.ok_or(Error::NotFound("note"));
    }
    db::contacts::notes::insert(&mut tx, &note).await?;
    announce(app, caller, tx, contact_id).await?;
    Ok(note)
}

/// Writes another text in the place of a note's.
///
/// # Errors
/// `NotFound`, `Invalid` for the text.
pub async fn change(
    app: &App,
    caller: &Identity,
    contact_id: ContactId,
    id: ContactNoteId,
    text: Option<&str>,
) -> Result<Note> {
    let text = text.map(|text| text::lines("text", text, NOTE_CHARS)).transpose()?;
    let mut tx = app.db().await?.begin(caller.scope).await?;
    if let Some(text) = &text {
        db::contacts::notes::set_text(&mut tx, contact_id, id, text, app.clock.now()).await?;
    }
    let note = db::contacts::notes::find(&mut tx, contact_id, id).await?.ok_or(Error::NotFound("note"))?;
    if text.is_some() {
        announce(app, caller, tx, contact_id).await?;
    }
    Ok(note)
}

/// Deletes a note.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, caller: &Identity, contact_id: ContactId, id: ContactNoteId) -> Result<()> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    if !db::contacts::notes::delete(&mut tx, contact_id, id).await? {
        return Err(Error::NotFound("note"));
    }
    announce(app, caller, tx, contact_id).await
}
