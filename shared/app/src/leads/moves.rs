//! Where leads stand, and in which order. Every change of an order locks the board first: those who move at once move one
//! after the other, all of them succeed, and no two leads ever have one place.

use db::TenantTx;
use db::board_stages::Stage;
use db::leads::{Lead, places};
use domain::board::LeadChange;
use domain::event::Event;
use domain::fractional_index::{self, LONGEST};
use domain::{BoardId, LeadId, StageId};
use serde_json::{Value, json};

use super::history::{self, Happened};
use super::{REASON_CHARS, optional};
use crate::auth::Identity;
use crate::error::{Error, Result, internal};
use crate::outbox::{self, Outgoing};
use crate::{App, boards};

/// Where a lead goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The stage.
    pub stage_id: StageId,
    /// Behind this lead of the stage; `None`: before all of them.
    pub after_lead_id: Option<LeadId>,
    /// Why. When it is lost by this, that is why.
    pub reason: Option<String>,
}

/// Puts a lead into a stage of its board, or to another place in its own. One that stands there already stays as it is.
///
/// # Errors
/// `NotFound`; `Invalid` for a stage that there is not, and for a lead to stand behind that there is not or that is the
/// same; `Rule` (`stage_of_another_board`), (`lead_moved`) when the lead to stand behind has left the stage meanwhile.
pub async fn put(app: &App, caller: &Identity, id: LeadId, to: Target) -> Result<Lead> {
    let reason = optional("reason", to.reason.as_deref(), REASON_CHARS)?;
    if to.after_lead_id == Some(id) {
        return Err(Error::invalid("after_lead_id", "no lead stands behind itself"));
    }
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let board_id = db::leads::find(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?.board_id;
    boards::lock(&mut tx, board_id).await.map_err(|error| match error {
        // It was removed with its leads.
        Error::NotFound(_) => Error::NotFound("lead"),
        other => other,
    })?;
    let stage = stage_of(&mut tx, "stage_id", board_id, to.stage_id).await?;
    let was = db::leads::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?;
    let Some(place) = free_place(&mut tx, &was, stage.id, to.after_lead_id).await? else {
        return Ok(was);
    };
    let from = db::board_stages::find(&mut tx, was.stage_id).await?.ok_or(Error::NotFound("stage"))?;
    let change = step(app, caller, &mut tx, &[id], (&from, &stage), reason.clone()).await?;
    let lost_because = reason.as_deref().filter(|_| change == LeadChange::Lost);
    let now = app.clock.now();
    places::put(&mut tx, &[id], &[place], (stage.id, stage.kind), lost_because, now).await?;
    let lead = db::leads::find(&mut tx, id).await?.ok_or(Error::NotFound("lead"))?;
    let mut outgoing = Outgoing::default();
    let (from_stage_id, stage_id, version) = (from.id, stage.id, lead.version);
    outgoing
        .event(caller.scope, Event::LeadMoved { lead_id: id, board_id, from_stage_id, stage_id, version })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(lead)
}

/// A stage of this board, by its id in `field`.
///
/// # Errors
/// `Invalid` for a stage that there is not; `Rule` (`stage_of_another_board`).
pub(crate) async fn stage_of(
    tx: &mut TenantTx,
    field: &'static str,
    board_id: BoardId,
    id: StageId,
) -> Result<Stage> {
    let stage = db::board_stages::find(tx, id).await?;
    let stage = stage.ok_or_else(|| Error::invalid(field, "no stage of the company"))?;
    if stage.board_id != board_id {
        let message = "this stage belongs to another kanban: leads stay on theirs".to_owned();
        return Err(Error::Rule { code: "stage_of_another_board", message });
    }
    Ok(stage)
}

/// A place in the stage behind `after`; `None` when the lead stands there already.
async fn free_place(
    tx: &mut TenantTx,
    lead: &Lead,
    stage_id: StageId,
    after: Option<LeadId>,
) -> Result<Option<String>> {
    let (before, behind) = neighbours(tx, lead.id, stage_id, after).await?;
    let stands_there = lead.stage_id == stage_id
        && before.as_ref().is_none_or(|before| *before < lead.place)
        && behind.as_ref().is_none_or(|behind| lead.place < *behind);
    if stands_there {
        return Ok(None);
    }
    let place = between(before.as_deref(), behind.as_deref())?;
    if place.len() <= LONGEST {
        return Ok(Some(place));
    }
    // So many came between the same two that the stage's places are spread anew; then there is room.
    let leads = places::list(tx, stage_id).await?;
    let spread = fractional_index::spread(None, leads.len()).map_err(internal)?;
    places::set(tx, &leads, &spread).await?;
    let (before, behind) = neighbours(tx, lead.id, stage_id, after).await?;
    between(before.as_deref(), behind.as_deref()).map(Some)
}

/// The places of the stage between which a lead is to stand.
async fn neighbours(
    tx: &mut TenantTx,
    id: LeadId,
    stage_id: StageId,
    after: Option<LeadId>,
) -> Result<(Option<String>, Option<String>)> {
    let before = match after {
        None => None,
        Some(after) => {
            let (stands_in, place) = places::find(tx, after)
                .await?
                .ok_or_else(|| Error::invalid("after_lead_id", "no lead of the company"))?;
            if stands_in != stage_id {
                let message = "the lead to stand behind is not in this stage any more".to_owned();
                return Err(Error::Rule { code: "lead_moved", message });
            }
            Some(place)
        }
    };
    let behind = places::find_next(tx, stage_id, before.as_deref(), id).await?;
    Ok((before, behind))
}

fn between(before: Option<&str>, behind: Option<&str>) -> Result<String> {
    fractional_index::between(before, behind).map_err(internal)
}

/// Puts all leads of a stage into another one, behind those that are there; how many.
///
/// # Errors
/// Database errors only.
pub(crate) async fn move_all(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    from: &Stage,
    to: &Stage,
) -> Result<usize> {
    let leads = places::list(tx, from.id).await?;
    let last = places::find_last(tx, to.id).await?;
    let new = fractional_index::spread(last.as_deref(), leads.len()).map_err(internal)?;
    step(app, caller, tx, &leads, (from, to), None).await?;
    places::put(tx, &leads, &new, (to.id, to.kind), None, app.clock.now()).await?;
    Ok(leads.len())
}

/// Lets the leads of a stage that means something else from now on go along.
///
/// # Errors
/// Database errors only.
pub(crate) async fn take_along(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    was: &Stage,
    stage: &Stage,
) -> Result<()> {
    let leads = places::list(tx, stage.id).await?;
    step(app, caller, tx, &leads, (was, stage), None).await?;
    Ok(places::mean(tx, stage.id, stage.kind, app.clock.now()).await?)
}

/// Notes that leads go from stage to stage; what that is to them.
async fn step(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    leads: &[LeadId],
    (from, to): (&Stage, &Stage),
    reason: Option<String>,
) -> Result<LeadChange> {
    let kind = from.kind.step_to(to.kind);
    let happened = Happened { kind, was: Some(shown(from)), became: Some(shown(to)), reason };
    history::record(app, caller, tx, leads, happened).await?;
    Ok(kind)
}

/// A stage as history tells of it: it may be removed one day.
fn shown(stage: &Stage) -> Value {
    json!({ "stage_id": stage.id, "stage": stage.name })
}
