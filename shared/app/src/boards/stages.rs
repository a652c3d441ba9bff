//! The stages of a board: made, put into another order, changed, and removed when no lead is left in them.

use db::TenantTx;
use db::board_stages::{NewStage as CheckedStage, Stage};
use domain::board::{self, StageKind};
use domain::{BoardId, StageId};
use serde::Serialize;
use serde_json::json;

use super::{NAME_CHARS, STAGES, lock, touch};
use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::leads::moves;
use crate::outbox;
use crate::{App, text};

/// What a new stage shall be.
#[derive(Clone, Debug, Serialize)]
pub struct NewStage {
    /// What it is called.
    pub name: String,
    /// `#rrggbb`; that of its kind when nobody says.
    pub colour: Option<String>,
    /// What it means to stand in it.
    pub kind: StageKind,
}

/// What shall be true of a stage; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What it is called.
    pub name: Option<String>,
    /// `#rrggbb`.
    pub colour: Option<String>,
    /// What it means to stand in it, for the leads that do so already too.
    pub kind: Option<StageKind>,
    /// Its place on the board, from 0; behind the last is last.
    pub position: Option<usize>,
}

impl NewStage {
    pub(super) fn checked(&self, app: &App) -> Result<CheckedStage> {
        let colour = match &self.colour {
            Some(text) => colour(text)?,
            None => self.kind.colour().to_owned(),
        };
        let name = text::line("name", &self.name, NAME_CHARS)?;
        Ok(CheckedStage { id: StageId(app.clock.new_id()), name, colour, kind: self.kind })
    }
}

/// Makes one at `position`, last when that is `None`; with a key that was used before, the one that it made then.
///
/// # Errors
/// `NotFound` for the board; `Invalid` for a name or colour; `Rule` (`too_many_stages`).
pub async fn create(
    app: &App,
    caller: &Identity,
    board_id: BoardId,
    new: NewStage,
    position: Option<usize>,
    key: Option<&IdempotencyKey>,
) -> Result<Stage> {
    let checked = new.checked(app)?;
    let id = checked.id;
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let asked = (board_id, &new, position);
    if let Some(known) = idempotency::claim(&mut tx, key, "board_stage", &asked, id.0).await? {
        return find(&mut tx, board_id, StageId(known)).await;
    }
    lock(&mut tx, board_id).await?;
    let mut order = order(&mut tx, board_id).await?;
    if order.len() >= STAGES {
        let message = format!("a kanban has at most {STAGES} stages");
        return Err(Error::Rule { code: "too_many_stages", message });
    }
    // At most 50.
    let end = i32::try_from(order.len()).unwrap_or(i32::MAX);
    let detail = json!({ "board_id": board_id, "name": checked.name, "kind": checked.kind });
    db::board_stages::insert_many(&mut tx, board_id, end, &[checked], app.clock.now()).await?;
    order.insert(position.unwrap_or(order.len()).min(order.len()), id);
    db::board_stages::set_order(&mut tx, board_id, &order).await?;
    let object = ("stage", Some(id.0));
    audit::record(app, &mut tx, By::Caller(caller), "stage.created", object, detail).await?;
    let outgoing = touch(app, caller, &mut tx, board_id).await?;
    let stage = find(&mut tx, board_id, id).await?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(stage)
}

/// Changes one. When it means something else from now on, so do its leads: they are won, lost or open again.
///
/// # Errors
/// `NotFound`; `Invalid` for a name or colour.
pub async fn change(
    app: &App,
    caller: &Identity,
    board_id: BoardId,
    id: StageId,
    change: Change,
) -> Result<Stage> {
    let name = change.name.map(|name| text::line("name", &name, NAME_CHARS)).transpose()?;
    let new_colour = change.colour.map(|text| colour(&text)).transpose()?;
    let mut tx = app.db().await?.begin(caller.scope).await?;
    lock(&mut tx, board_id).await?;
    let was = find(&mut tx, board_id, id).await?;
    let stage = Stage {
        name: name.unwrap_or_else(|| was.name.clone()),
        colour: new_colour.unwrap_or_else(|| was.colour.clone()),
        kind: change.kind.unwrap_or(was.kind),
        ..was.clone()
    };
    db::board_stages::describe(&mut tx, &stage).await?;
    if stage.kind != was.kind {
        moves::take_along(app, caller, &mut tx, &was, &stage).await?;
    }
    if let Some(position) = change.position {
        let mut order = order(&mut tx, board_id).await?;
        order.retain(|other| *other != id);
        order.insert(position.min(order.len()), id);
        db::board_stages::set_order(&mut tx, board_id, &order).await?;
    }
    let stage = find(&mut tx, board_id, id).await?;
    let shown = |stage: &Stage| json!([stage.name, stage.colour, stage.kind, stage.position]);
    if shown(&stage) == shown(&was) {
        return Ok(stage);
    }
    let detail = json!({ "board_id": board_id, "from": shown(&was), "to": shown(&stage) });
    let object = ("stage", Some(id.0));
    audit::record(app, &mut tx, By::Caller(caller), "stage.changed", object, detail).await?;
    let outgoing = touch(app, caller, &mut tx, board_id).await?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(stage)
}

/// Removes one. Its leads go to `move_to`, behind those that are there.
///
/// # Errors
/// `NotFound`; `Rule` (`stage_not_empty`) for one with leads and nowhere to go, (`stage_of_another_board`) for a place on
/// another board; `Invalid` for a place that there is not.
pub async fn delete(
    app: &App,
    caller: &Identity,
    board_id: BoardId,
    id: StageId,
    move_to: Option<StageId>,
) -> Result<()> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    lock(&mut tx, board_id).await?;
    let stage = find(&mut tx, board_id, id).await?;
    let moved = match move_to {
        Some(to) if to == id => return Err(Error::invalid("move_to", "another stage of the kanban")),
        Some(to) => {
            let to = moves::stage_of(&mut tx, "move_to", board_id, to).await?;
            moves::move_all(app, caller, &mut tx, &stage, &to).await?
        }
        None if db::leads::places::find_last(&mut tx, id).await?.is_some() => {
            let message = "leads stand in this stage: say by move_to where they go".to_owned();
            return Err(Error::Rule { code: "stage_not_empty", message });
        }
        None => 0,
    };
    db::board_stages::delete(&mut tx, id).await?;
    let order = order(&mut tx, board_id).await?;
    db::board_stages::set_order(&mut tx, board_id, &order).await?;
    let detail = json!({ "board_id": board_id, "name": stage.name, "leads": moved, "move_to": move_to });
    let object = ("stage", Some(id.0));
    audit::record(app, &mut tx, By::Caller(caller), "stage.deleted", object, detail).await?;
    let outgoing = touch(app, caller, &mut tx, board_id).await?;
    outbox::commit(app, tx, outgoing).await
}

async fn find(tx: &mut TenantTx, board_id: BoardId, id: StageId) -> Result<Stage> {
    let stage = db::board_stages::find(tx, id).await?;
    stage.filter(|stage| stage.board_id == board_id).ok_or(Error::NotFound("stage"))
}

async fn order(tx: &mut TenantTx, board_id: BoardId) -> Result<Vec<StageId>> {
    let stages = db::board_stages::list(tx, &[board_id]).await?;
    Ok(stages.into_iter().map(|stage| stage.id).collect())
}

fn colour(text: &str) -> Result<String> {
    board::colour(text).ok_or_else(|| Error::invalid("colour", "as in #1a2b3c"))
}
