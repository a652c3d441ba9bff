//! Boards: here what they are called and what stands on them in sum · [`stages`] their columns. Whoever changes the order
//! of anything on a board holds the board's lock meanwhile.

pub mod stages;

use std::collections::HashMap;

use db::TenantTx;
use db::board_stages::Stage;
use db::boards::{Board, Sum};
use domain::event::Event;
use domain::{BoardId, CompanyScope, StageId};
use serde::Serialize;
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position, text};
use stages::NewStage;

/// The longest name of a board or stage, as the tables have it.
const NAME_CHARS: usize = 100;

/// The longest description.
const DESCRIPTION_CHARS: usize = 2_000;

/// Stages of one board at most.
const STAGES: usize = 50;

/// A board with its stages in their order.
#[derive(Clone, Debug)]
pub struct StagedBoard {
    /// The board.
    pub board: Board,
    /// Its stages.
    pub stages: Vec<Stage>,
}

/// What a new board shall be.
#[derive(Clone, Debug, Serialize)]
pub struct NewBoard {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its stages in their order.
    pub stages: Vec<NewStage>,
}

/// What shall be true of a board; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What it is called.
    pub name: Option<String>,
    /// What it is for; `Some(None)` says nothing of it.
    pub description: Option<Option<String>>,
}

/// The boards by name.
///
/// # Errors
/// Database errors only.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<StagedBoard, String>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let rows = db::boards::list(&mut tx, after, limit + 1).await?;
    let page = Page::cut(rows, limit, |board| (board.name.clone(), board.id.0));
    let items = with_stages(&mut tx, page.items).await?;
    Ok(Page { items, next: page.next })
}

/// One board.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: BoardId) -> Result<StagedBoard> {
    let mut tx = app.db().await?.begin(scope).await?;
    find_staged(&mut tx, id).await
}

/// What stands on a board, in the order of its stages: at least one row a stage.
///
/// # Errors
/// `NotFound`.
pub async fn summary(app: &App, scope: CompanyScope, id: BoardId) -> Result<Vec<(StageId, Sum)>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let sums = db::boards::sum_up(&mut tx, id).await?;
    if sums.is_empty() {
        return Err(Error::NotFound("kanban"));
    }
    Ok(sums.into_iter().filter_map(|sum| Some((sum.stage_id?, sum))).collect())
}

/// Makes one; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for a name, a description or a stage.
pub async fn create(
    app: &App,
    caller: &Identity,
    new: NewBoard,
    key: Option<&IdempotencyKey>,
) -> Result<StagedBoard> {
    let id = BoardId(app.clock.new_id());
    let name = text::line("name", &new.name, NAME_CHARS)?;
    let description = description(new.description.as_deref())?;
    if new.stages.len() > STAGES {
        return Err(Error::invalid("stages", format!("a kanban has at most {STAGES}")));
    }
    let stages = new.stages.iter().enumerate().map(|(index, stage)| {
        stage.checked(app).map_err(|error| match error {
            Error::Invalid { field, message } => Error::invalid(format!("stages[{index}].{field}"), message),
            other => other,
        })
    });
    let stages = stages.collect::<Result<Vec<_>>>()?;
    let mut tx = app.db().await?.begin(caller.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "board", &new, id.0).await? {
        return find_staged(&mut tx, BoardId(known)).await;
    }
    let now = app.clock.now();
    db::boards::insert(&mut tx, id, &name, description.as_deref(), now).await?;
    db::board_stages::insert_many(&mut tx, id, 0, &stages, now).await?;
    let object = ("board", Some(id.0));
    let detail = json!({ "name": name, "stages": stages.len() });
    audit::record(app, &mut tx, By::Caller(caller), "board.created", object, detail).await?;
    let board = find_staged(&mut tx, id).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::BoardChanged { board_id: id, version: board.board.version })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(board)
}

/// Changes one.
///
/// # Errors
/// As [`create`], and `NotFound`.
pub async fn change(app: &App, caller: &Identity, id: BoardId, change: Change) -> Result<StagedBoard> {
    let name = change.name.map(|name| text::line("name", &name, NAME_CHARS)).transpose()?;
    let new_description = change.description.map(|text| description(text.as_deref())).transpose()?;
    let mut tx = app.db().await?.begin(caller.scope).await?;
    lock(&mut tx, id).await?;
    let was = db::boards::find(&mut tx, id).await?.ok_or(Error::NotFound("kanban"))?;
    let name = name.unwrap_or_else(|| was.name.clone());
    let description = new_description.unwrap_or_else(|| was.description.clone());
    if name == was.name && description == was.description {
        return find_staged(&mut tx, id).await;
    }
    db::boards::describe(&mut tx, id, &name, description.as_deref()).await?;
    let object = ("board", Some(id.0));
    let detail = json!({ "from": was.name, "name": name });
    audit::record(app, &mut tx, By::Caller(caller), "board.changed", object, detail).await?;
    let outgoing = touch(app, caller, &mut tx, id).await?;
    let board = find_staged(&mut tx, id).await?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(board)
}

/// Removes one, with its stages and with every lead on it.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, caller: &Identity, id: BoardId) -> Result<()> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    lock(&mut tx, id).await?;
    let StagedBoard { board, stages } = find_staged(&mut tx, id).await?;
    let leads = db::leads::delete_of_board(&mut tx, id).await?;
    db::boards::delete(&mut tx, id).await?;
    let object = ("board", Some(id.0));
    let detail = json!({ "name": board.name, "stages": stages.len(), "leads": leads });
    audit::record(app, &mut tx, By::Caller(caller), "board.deleted", object, detail).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::BoardDeleted { board_id: id })?;
    outbox::commit(app, tx, outgoing).await
}

/// Waits for whoever else changes an order on the board.
pub(crate) async fn lock(tx: &mut TenantTx, id: BoardId) -> Result<()> {
    if db::boards::lock(tx, id).await? { Ok(()) } else { Err(Error::NotFound("kanban")) }
}

/// Notes that a board changed, and tells it.
async fn touch(app: &App, caller: &Identity, tx: &mut TenantTx, board_id: BoardId) -> Result<Outgoing> {
    let version = db::boards::touch(tx, board_id, app.clock.now()).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(caller.scope, Event::BoardChanged { board_id, version })?;
    Ok(outgoing)
}

async fn find_staged(tx: &mut TenantTx, id: BoardId) -> Result<StagedBoard> {
    let board = db::boards::find(tx, id).await?.ok_or(Error::NotFound("kanban"))?;
    let stages = db::board_stages::list(tx, &[id]).await?;
    Ok(StagedBoard { board, stages })
}

async fn with_stages(tx: &mut TenantTx, boards: Vec<Board>) -> Result<Vec<StagedBoard>> {
    let ids: Vec<_> = boards.iter().map(|board| board.id).collect();
    let mut by_board: HashMap<BoardId, Vec<Stage>> = HashMap::new();
    for stage in db::board_stages::list(tx, &ids).await? {
        by_board.entry(stage.board_id).or_default().push(stage);
    }
    let staged = boards.into_iter().map(|board| {
        let stages = by_board.remove(&board.id).unwrap_or_default();
        StagedBoard { board, stages }
    });
    Ok(staged.collect())
}

/// An empty description is none.
fn description(text: Option<&str>) -> Result<Option<String>> {
    let given = text.filter(|text| !text.trim().is_empty());
    given.map(|text| text::lines("description", text, DESCRIPTION_CHARS)).transpose()
}
