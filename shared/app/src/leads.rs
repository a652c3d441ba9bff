//! Leads: business that may come. Here what they are · [`moves`] where they stand · [`history`] what happened to them.

pub mod history;
pub mod moves;

use chrono::NaiveDate;
use db::TenantTx;
use db::board_stages::Stage;
use db::leads::{Filter, Lead};
use domain::board::{LeadChange, StageKind};
use domain::event::Event;
use domain::money::{DEFAULT_CURRENCY, VALUE, is_currency};
use domain::{BoardId, CompanyScope, ContactId, LeadId, StageId, UserId, fractional_index};
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::changes::differences;
use crate::error::{Error, Result, internal};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position, boards, contacts, text};
use history::Happened;

/// The longest title, notes and words to look for, in characters.
const TITLE_CHARS: usize = 200;
const NOTES_CHARS: usize = 10_000;
const QUERY_CHARS: usize = 200;

/// The longest reason.
pub(crate) const REASON_CHARS: usize = 500;

/// Tags of one lead at most, and characters of one.
const TAGS: usize = 50;
const TAG_CHARS: usize = 100;

/// What a new lead shall be.
#[derive(Clone, Debug, Serialize)]
pub struct NewLead {
    /// Its board; that of the stage when nobody says.
    pub board_id: Option<BoardId>,
    /// Its stage; the board's first one that is open when nobody says.
    pub stage_id: Option<StageId>,
    /// What it is called.
    pub title: String,
    /// What it is worth, in minor units.
    pub value: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// The member who works on it.
    pub owner_id: Option<UserId>,
    /// The customer.
    pub contact_id: Option<ContactId>,
    /// When it is hoped to be won.
    pub expected_close_on: Option<NaiveDate>,
    /// Whatever else is to be known.
    pub notes: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
}

/// What shall be true of a lead; what is `None` stays, `Some(None)` is cleared.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What it is called.
    pub title: Option<String>,
    /// What it is worth, in minor units. Without a value there is no currency either.
    pub value: Option<Option<i64>>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// The member who works on it.
    pub owner_id: Option<Option<UserId>>,
    /// The customer.
    pub contact_id: Option<Option<ContactId>>,
    /// When it is hoped to be won.
    pub expected_close_on: Option<Option<NaiveDate>>,
    /// Whatever else is to be known.
    pub notes: Option<Option<String>>,
    /// Tags, in place of those that it had.
    pub tags: Option<Vec<String>>,
    /// Why it is lost.
    pub lost_reason: Option<Option<String>>,
}

/// Lists leads, newest first.
///
/// # Errors
/// `Invalid` for words to look for that are too many.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    filter: Filter,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Lead>> {
    let filter = checked(filter)?;
    let mut tx = app.db().await?.begin_list(scope).await?;
    let rows = db::leads::list(&mut tx, &filter, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |lead| (lead.created_at, lead.id.0)))
}

/// Lists the leads of a stage in their order.
///
/// # Errors
/// As [`list`].
pub async fn list_in_stage(
    app: &App,
    scope: CompanyScope,
    stage_id: StageId,
    filter: Filter,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<Lead, String>> {
    let filter = checked(filter)?;
    let after = after.map(|(place, _)| place);
    let mut tx = app.db().await?.begin_list(scope).await?;
    let rows = db::leads::list_in_stage(&mut tx, stage_id, &filter, after.as_deref(), limit + 1).await?;
    Ok(Page::cut(rows, limit, |lead| (lead.place.clone(), lead.id.0)))
}

fn checked(filter: Filter) -> Result<Filter> {
    let title = filter.title.map(|text| text::line("q", &text, QUERY_CHARS)).transpose()?;
    Ok(Filter { title, ..filter })
}

/// One lead.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: LeadId) -> Result<Lead> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::leads::find(&mut tx, id).await?.ok_or(Error::NotFound("lead"))
}

/// Makes one, last in its stage; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for a field, also for a board, stage, owner or contact that there is not; `Rule` (`stage_of_another_board`)
/// for a stage and a board that do not belong together, (`board_without_stages`) for a board with no stage to stand in,
/// (`contact_merged`, `contact_erased`) for a contact that is another one now, or nobody.
pub async fn create(
    app: &App,
    caller: &Identity,
    new: NewLead,
    key: Option<&IdempotencyKey>,
) -> Result<Lead> {
    let (id, now) = (LeadId(app.clock.new_id()), app.clock.now());
    let (value, currency) = money((None, None), Some(new.value), new.currency.as_deref())?;
    let title = text::line("title", &new.title, TITLE_CHARS)?;
    let (notes, tags) = (notes(new.notes.as_deref())?, tags(&new.tags)?);
    let mut tx = app.db().await?.begin(caller.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "lead", &new, id.0).await? {
        return db::leads::find(&mut tx, LeadId(known)).await?.ok_or(Error::NotFound("lead"));
    }
    let stage = entry(&mut tx, new.board_id, new.stage_id).await?;
    check_owner(&mut tx, new.owner_id).await?;
    stay_customer(&mut tx, new.contact_id).await?;
    let last = db::leads::places::find_last(&mut tx, stage.id).await?;
    let lead = Lead {
        id,
        board_id: stage.board_id,
        stage_id: stage.id,
        status: stage.kind,
        place: fractional_index::between(last.as_deref(), None).map_err(internal)?,
        title,
        value,
        currency,
        owner_id: new.owner_id,
        contact_id: new.contact_id,
        contact_name: None,
        contact_phone: None,
        contact_username: None,
        expected_close_on: new.expected_close_on,
        notes,
        tags,
        closed_at: (stage.kind != StageKind::Open).then_some(now),
        lost_reason: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    db::leads::insert(&mut tx, &lead).await?;
    let became = json!({
        "stage_id": stage.id, "stage": stage.name, "value": lead.value, "currency": lead.currency,
    });
    let happened = Happened { kind: LeadChange::Created, was: None, became: Some(became), reason: None };
    history::record(app, caller, &mut tx, &[id], happened).await?;
    let lead = db::leads::find(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?;
    let mut outgoing = Outgoing::default();
    let Lead { board_id, stage_id, version, .. } = lead;
    outgoing.event(caller.scope, Event::LeadCreated { lead_id: id, board_id, stage_id, version })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(lead)
}

/// Changes one. Where it stands is changed by [`moves`].
///
/// # Errors
/// `NotFound`; `Invalid` for a field, also for an owner or contact that there is not; `Rule` (`lead_not_lost`) for a
/// reason why one is lost that is not, (`contact_merged`, `contact_erased`) for a contact that is another one now, or nobody.
pub async fn change(app: &App, caller: &Identity, id: LeadId, change: Change) -> Result<Lead> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    // The contact before the lead, as whoever merges contacts locks them.
    let customer = stay_customer(&mut tx, change.contact_id.flatten()).await;
    let was = db::leads::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?;
    let lead = changed(&was, change)?;
    check_owner(&mut tx, lead.owner_id.filter(|_| lead.owner_id != was.owner_id)).await?;
    if lead.contact_id != was.contact_id {
        customer?;
    }
    let steps = [
        (LeadChange::ValueChanged, differences(amount(&was), amount(&lead))),
        (LeadChange::Changed, differences(particulars(&was), particulars(&lead))),
    ];
    let steps = steps.into_iter().filter_map(|(kind, difference)| Some((kind, difference?)));
    let steps: Vec<_> = steps.collect();
    if steps.is_empty() {
        return Ok(was);
    }
    db::leads::update(&mut tx, &lead, app.clock.now()).await?;
    for (kind, (was, became)) in steps {
        let happened = Happened { kind, was: Some(was), became: Some(became), reason: None };
        history::record(app, caller, &mut tx, &[id], happened).await?;
    }
    let lead = db::leads::find(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?;
    let mut outgoing = Outgoing::default();
    let Lead { board_id, version, .. } = lead;
    outgoing.event(caller.scope, Event::LeadChanged { lead_id: id, board_id, version })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(lead)
}

/// Removes one with its history.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, caller: &Identity, id: LeadId) -> Result<()> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let lead = db::leads::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?;
    db::leads::delete(&mut tx, id).await?;
    let Lead { board_id, stage_id, .. } = lead;
    let detail =
        json!({ "board_id": board_id, "stage_id": stage_id, "value": lead.value, "currency": lead.currency });
    audit::record(app, &mut tx, By::Caller(caller), "lead.deleted", ("lead", Some(id.0)), detail).await?;
    let mut outgoing = Outgoing::default();
    let version = lead.version + 1;
    outgoing.event(caller.scope, Event::LeadDeleted { lead_id: id, board_id, version })?;
    outbox::commit(app, tx, outgoing).await
}

/// The stage that a new lead goes to, whose board is locked.
async fn entry(tx: &mut TenantTx, board_id: Option<BoardId>, stage_id: Option<StageId>) -> Result<Stage> {
    let no_stage = || Error::invalid("stage_id", "no stage of the company");
    let board_id = match (board_id, stage_id) {
        (Some(board_id), _) => board_id,
        (None, Some(id)) => db::board_stages::find(tx, id).await?.ok_or_else(no_stage)?.board_id,
        (None, None) => return Err(Error::invalid("board_id", "name the kanban, or the stage")),
    };
    boards::lock(tx, board_id).await.map_err(|error| match error {
        Error::NotFound(_) => Error::invalid("board_id", "no kanban of the company"),
        other => other,
    })?;
    if let Some(stage_id) = stage_id {
        return moves::stage_of(tx, "stage_id", board_id, stage_id).await;
    }
    let mut stages = db::board_stages::list(tx, &[board_id]).await?;
    let first_open = stages.iter().position(|stage| stage.kind == StageKind::Open).unwrap_or_default();
    if stages.is_empty() {
        let message = "this kanban has no stage that a lead could stand in".to_owned();
        return Err(Error::Rule { code: "board_without_stages", message });
    }
    Ok(stages.swap_remove(first_open))
}

async fn check_owner(tx: &mut TenantTx, owner: Option<UserId>) -> Result<()> {
    if let Some(id) = owner {
        let member = db::members::find(tx, id).await?;
        if member.is_none_or(|member| member.deactivated_at.is_some()) {
            return Err(Error::invalid("owner_id", "no active member of the company"));
        }
    }
    Ok(())
}

/// The customer of a lead is somebody, and stays so until the end of the transaction.
async fn stay_customer(tx: &mut TenantTx, contact: Option<ContactId>) -> Result<()> {
    let Some(id) = contact else { return Ok(()) };
    contacts::stay_somebody(tx, id).await.map_err(|error| match error {
        Error::NotFound(_) => Error::invalid("contact_id", "no contact of the company"),
        other => other,
    })
}

/// What a lead is after a change.
fn changed(was: &Lead, change: Change) -> Result<Lead> {
    let mut lead = was.clone();
    (lead.value, lead.currency) =
        money((was.value, was.currency.clone()), change.value, change.currency.as_deref())?;
    if let Some(title) = change.title {
        lead.title = text::line("title", &title, TITLE_CHARS)?;
    }
    if let Some(owner_id) = change.owner_id {
        lead.owner_id = owner_id;
    }
    if let Some(contact_id) = change.contact_id {
        lead.contact_id = contact_id;
    }
    if let Some(day) = change.expected_close_on {
        lead.expected_close_on = day;
    }
    if let Some(text) = change.notes {
        lead.notes = notes(text.as_deref())?;
    }
    if let Some(new) = change.tags {
        lead.tags = tags(&new)?;
    }
    if let Some(reason) = change.lost_reason {
        if was.status != StageKind::Lost {
            let message = "only a lead that is lost has a reason for it".to_owned();
            return Err(Error::Rule { code: "lead_not_lost", message });
        }
        lead.lost_reason = optional("lost_reason", reason.as_deref(), REASON_CHARS)?;
    }
    Ok(lead)
}

/// A value with its currency.
type Money = (Option<i64>, Option<String>);

/// What a lead is worth after a change; `None` stays.
fn money((value, currency): Money, new: Option<Option<i64>>, named: Option<&str>) -> Result<Money> {
    if named.is_some_and(|code| !is_currency(code)) {
        return Err(Error::invalid("currency", "a code of ISO 4217, as in BRL"));
    }
    let Some(value) = new.unwrap_or(value) else {
        return match named {
            Some(_) => Err(Error::invalid("currency", "goes with a value")),
            None => Ok((None, None)),
        };
    };
    if !VALUE.contains(&value) {
        return Err(Error::invalid("value", format!("{} to {} minor units", VALUE.start(), VALUE.end())));
    }
    let named = named.map(str::to_owned).or(currency);
    Ok((Some(value), Some(named.unwrap_or_else(|| DEFAULT_CURRENCY.to_owned()))))
}

fn notes(text: Option<&str>) -> Result<Option<String>> {
    optional("notes", text, NOTES_CHARS)
}

/// An empty text is none.
pub(crate) fn optional(field: &'static str, text: Option<&str>, longest: usize) -> Result<Option<String>> {
    let given = text.filter(|text| !text.trim().is_empty());
    given.map(|text| text::lines(field, text, longest)).transpose()
}

/// Each tag once, in the order in which they were given.
fn tags(given: &[String]) -> Result<Vec<String>> {
    let mut tags = Vec::new();
    for tag in given {
        let tag = text::line("tags", tag, TAG_CHARS)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if tags.len() > TAGS {
        return Err(Error::invalid("tags", format!("a lead has at most {TAGS}")));
    }
    Ok(tags)
}

fn amount(lead: &Lead) -> Value {
    json!({ "value": lead.value, "currency": lead.currency })
}

/// What of a lead is no money.
fn particulars(lead: &Lead) -> Value {
    json!({
        "title": lead.title,
        "owner_id": lead.owner_id,
        "contact_id": lead.contact_id,
        "expected_close_on": lead.expected_close_on,
        "notes": lead.notes,
        "tags": lead.tags,
        "lost_reason": lead.lost_reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_a_currency_and_nothing_else_has_one() {
        let reais = |value| (Some(value), Some("BRL".to_owned()));
        let good = |was: Money, value, currency| money(was, value, currency).expect("good");
        assert_eq!(good((None, None), Some(None), None), (None, None));
        assert_eq!(good((None, None), Some(Some(100)), None), reais(100));
        assert_eq!(good((None, None), Some(Some(1)), Some("USD")), (Some(1), Some("USD".to_owned())));
        assert_eq!(good(reais(5), None, None), reais(5));
        assert_eq!(good(reais(5), None, Some("EUR")), (Some(5), Some("EUR".to_owned())));
        assert_eq!(
            good((Some(5), Some("EUR".to_owned())), Some(Some(7)), None),
            (Some(7), Some("EUR".to_owned()))
        );
        assert_eq!(good(reais(5), Some(None), None), (None, None));
        let wrong = |was: Money, value, currency| match money(was, value, currency) {
            Err(Error::Invalid { field, .. }) => field.into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong((None, None), Some(Some(-1)), None), "value");
        assert_eq!(wrong((None, None), Some(Some(VALUE.end() + 1)), None), "value");
        assert_eq!(wrong((None, None), Some(Some(1)), Some("real")), "currency");
        assert_eq!(wrong((None, None), None, Some("BRL")), "currency");
        assert_eq!(wrong(reais(5), Some(None), Some("BRL")), "currency");
    }
}
