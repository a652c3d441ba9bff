//! One person is forgotten: names, numbers, addresses, words and files go; counts, money and statuses stay.
//!
//! What makes the contact a person goes at once, in the transaction that asks for it: so nothing more is filed under it,
//! and whoever writes from the same number is somebody new. The messages, which may be many, go batch by batch in a job.

use db::erasures::Erasure;
use domain::event::Event;
use domain::job::Job;
use domain::user::Permission;
use domain::{CompanyScope, ContactId, ErasureId, MessageId};
use serde_json::json;

use crate::App;
use crate::audit::{self, By};
use crate::auth::Identity;
use crate::contacts;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::media;
use crate::merges::{lock, retried};
use crate::outbox::{self, Outgoing};

/// Messages of one transaction.
const BATCH: i64 = 500;

/// Batches of one job, which is asked for anew when more is left: it shall end long before its function's time does.
const BATCHES: usize = 20;

/// Asks for the erasure of a person, or tells of the one that was asked for.
///
/// # Errors
/// `NotFound`; `Rule` `contact_merged` for one that is another contact now.
pub async fn request(
    app: &App,
    caller: &Identity,
    contact_id: ContactId,
    key: Option<&IdempotencyKey>,
) -> Result<Erasure> {
    caller.require(Permission::ManageContacts)?;
    retried(|| try_request(app, caller, contact_id, key)).await
}

async fn try_request(
    app: &App,
    caller: &Identity,
    contact_id: ContactId,
    key: Option<&IdempotencyKey>,
) -> Result<Erasure> {
    let id = ErasureId(app.clock.new_id());
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let locked = lock(&mut tx, &[contact_id]).await?.pop().ok_or(Error::NotFound("contact"))?;
    if let Some(into) = locked.merged_into_id {
        return Err(contacts::merged_into(into));
    }
    // The key stands for the contact: it has one erasure, whoever asks for it.
    let known = db::erasures::find_of_contact(&mut tx, contact_id).await?;
    let meant = known.as_ref().map_or(id, |erasure| erasure.id);
    idempotency::claim(&mut tx, key, "erasure", &contact_id, meant.0).await?;
    if let Some(erasure) = known {
        tx.commit().await?;
        return Ok(erasure);
    }
    let sides = db::merges::list_sides(&mut tx, contact_id).await?;
    let mut mentioned = db::erasures::delete_addresses(&mut tx, contact_id).await?;
    mentioned.extend(db::erasures::erase_conversations(&mut tx, contact_id, now).await?);
    mentioned.extend([locked.facts.phone, locked.facts.email].into_iter().flatten());
    db::erasures::erase_sessions(&mut tx, contact_id, now).await?;
    db::erasures::erase_contacts(&mut tx, &sides, now).await?;
    db::merges::delete_lists(&mut tx, contact_id).await?;
    db::erasures::delete_notes(&mut tx, contact_id).await?;
    db::contacts::history::delete(&mut tx, &sides).await?;
    db::erasures::erase_consents(&mut tx, contact_id).await?;
    db::erasures::erase_leads(&mut tx, contact_id, now).await?;
    db::erasures::erase_other_events(&mut tx, &mentioned).await?;
    db::erasures::delete_import_errors(&mut tx, &mentioned).await?;
    db::erasures::insert(&mut tx, id, contact_id, now).await?;
    let object = ("contact", Some(contact_id.0));
    let detail = json!({ "erasure_id": id });
    audit::record(app, &mut tx, By::Caller(caller), "contact.erasure_requested", object, detail).await?;
    let erasure = db::erasures::find_of_contact(&mut tx, contact_id).await?;
    let erasure = erasure.ok_or(Error::NotFound("erasure"))?;
    let mut outgoing = Outgoing::default();
    outgoing.job(caller.scope, Job::EraseContact { erasure_id: id })?;
    outgoing.event(caller.scope, Event::ContactErased { contact_id })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(erasure)
}

/// How far the erasure of a person got; `None` when nobody asked for it.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, identity: &Identity, contact_id: ContactId) -> Result<Option<Erasure>> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::contacts::find(&mut tx, contact_id).await?.ok_or(Error::NotFound("contact"))?;
    Ok(db::erasures::find_of_contact(&mut tx, contact_id).await?)
}

/// Goes on with an erasure, to its end or for a while. Safe to run twice, and at once.
///
/// # Errors
/// Database errors only.
pub async fn run(app: &App, scope: CompanyScope, id: ErasureId) -> Result<()> {
    for batch in 1..=BATCHES {
        if !erase_batch(app, scope, id, batch == BATCHES).await? {
            break;
        }
    }
    Ok(())
}

/// Erases some messages; whether there is more to do. The last batch of a job asks for the next job.
async fn erase_batch(app: &App, scope: CompanyScope, id: ErasureId, last: bool) -> Result<bool> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let found = db::erasures::find_for_update(&mut tx, id).await?;
    let Some(mut erasure) = found.filter(|erasure| erasure.finished_at.is_none()) else { return Ok(false) };
    let contact_id = erasure.contact_id;
    let messages = db::erasures::list_erasable(&mut tx, contact_id, erasure.after, BATCH).await?;
    let mut outgoing = Outgoing::default();
    match messages.last() {
        Some(newest) => {
            erasure.after = Some((newest.occurred_at, newest.id));
            erasure.messages += i64::try_from(messages.len()).unwrap_or(i64::MAX);
            let ids: Vec<_> = messages.iter().map(|message| MessageId(message.id)).collect();
            media::erase_of_messages(&mut tx, scope, &ids, &mut outgoing).await?;
            db::erasures::erase_messages(&mut tx, &messages, now).await?;
        }
        // What was on its way when it began may stand before where it is by now.
        None if erasure.after.is_some()
            && !db::erasures::list_erasable(&mut tx, contact_id, None, 1).await?.is_empty() =>
        {
            erasure.after = None;
        }
        None => {
            "done".clone_into(&mut erasure.state);
            erasure.finished_at = Some(now);
            let object = ("contact", Some(contact_id.0));
            let detail = json!({ "erasure_id": id, "messages": erasure.messages });
            audit::record(app, &mut tx, By::System, "contact.erased", object, detail).await?;
        }
    }
    let more = erasure.finished_at.is_none();
    if more && last {
        outgoing.job(scope, Job::EraseContact { erasure_id: id })?;
    }
    db::erasures::update(&mut tx, &erasure).await?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(more)
}
