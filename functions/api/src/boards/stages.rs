//! `/kanbans/{id}/stages`.

use app::App;
use app::boards::stages::{self, Change, NewStage};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use db::board_stages::Stage;
use domain::board::StageKind;
use domain::user::Permission;
use domain::{BoardId, StageId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PathId, Problem, ValidJson, ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::group::{Group, routes};
use crate::words;

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(add_stage)).routes(routes!(change_stage, remove_stage))
}

/// A stage of a board.
#[derive(Serialize, ToSchema)]
pub struct StageBody {
    #[schema(value_type = Uuid)]
    id: StageId,
    name: String,
    /// `#rrggbb`.
    colour: String,
    #[schema(value_type = words::StageKind)]
    kind: StageKind,
    /// Its place on the board, from 0.
    position: i32,
}

impl From<Stage> for StageBody {
    fn from(stage: Stage) -> Self {
        Self {
            id: stage.id,
            name: stage.name,
            colour: stage.colour,
            kind: stage.kind,
            position: stage.position,
        }
    }
}

/// A stage of a new board.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStageBody {
    /// 1 to 100 characters.
    #[schema(example = "Proposta")]
    name: String,
    /// `#rrggbb`; that of its kind by default.
    #[schema(example = "#2563eb")]
    colour: Option<String>,
    /// `open` by default.
    #[serde(default)]
    #[schema(value_type = Option<words::StageKind>)]
    kind: StageKind,
}

impl From<NewStageBody> for NewStage {
    fn from(new: NewStageBody) -> Self {
        Self { name: new.name, colour: new.colour, kind: new.kind }
    }
}

/// A new stage of a board that there is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddStage {
    /// 1 to 100 characters.
    #[schema(example = "Proposta")]
    name: String,
    /// `#rrggbb`; that of its kind by default.
    #[schema(example = "#2563eb")]
    colour: Option<String>,
    /// `open` by default.
    #[serde(default)]
    #[schema(value_type = Option<words::StageKind>)]
    kind: StageKind,
    /// Its place on the board, from 0; last by default.
    position: Option<u16>,
}

/// What shall change of a stage.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeStage {
    /// 1 to 100 characters.
    name: Option<String>,
    /// `#rrggbb`.
    colour: Option<String>,
    /// What it means to stand in it. Its leads are won, lost or open again with it.
    #[schema(value_type = Option<words::StageKind>)]
    kind: Option<StageKind>,
    /// Its place on the board, from 0; a number behind the last is the last.
    position: Option<u16>,
}

/// Where the leads of a stage go that is removed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveStageQuery {
    /// Another stage of the board, behind whose leads they stand then. Needed when there are any.
    #[param(value_type = Option<Uuid>)]
    move_to: Option<StageId>,
}

/// Adds a stage to a board.
#[utoipa::path(post, path = "/kanbans/{id}/stages", tag = "boards", params(("id" = Uuid, Path), IdempotencyHeader),
    security(("bearer" = [])), request_body = AddStage, responses(
    (status = 201, body = StageBody),
    (status = 404, body = Problem),
    (status = 409, description = "`too_many_stages`, `idempotency_key_reused`", body = Problem),
))]
async fn add_stage(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<BoardId>,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<AddStage>,
) -> Result<(StatusCode, Json<StageBody>), ApiError> {
    caller.require(Permission::ManageBoards)?;
    let position = new.position.map(usize::from);
    let new = NewStage { name: new.name, colour: new.colour, kind: new.kind };
    let stage = stages::create(&app, caller.identity(), id, new, position, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(stage.into())))
}

/// Changes a stage, or puts it to another place on its board.
#[utoipa::path(patch, path = "/kanbans/{id}/stages/{stage_id}", tag = "boards",
    params(("id" = Uuid, Path), ("stage_id" = Uuid, Path)), security(("bearer" = [])),
    request_body = ChangeStage, responses(
    (status = 200, body = StageBody),
    (status = 404, body = Problem),
))]
async fn change_stage(
    State(app): State<App>,
    caller: Caller,
    PathId((id, stage_id)): PathId<(BoardId, StageId)>,
    ValidJson(change): ValidJson<ChangeStage>,
) -> Result<Json<StageBody>, ApiError> {
    caller.require(Permission::ManageBoards)?;
    let ChangeStage { name, colour, kind, position } = change;
    let change = Change { name, colour, kind, position: position.map(usize::from) };
    Ok(Json(stages::change(&app, caller.identity(), id, stage_id, change).await?.into()))
}

/// Removes a stage; leads in it go to another one.
#[utoipa::path(delete, path = "/kanbans/{id}/stages/{stage_id}", tag = "boards",
    params(("id" = Uuid, Path), ("stage_id" = Uuid, Path), RemoveStageQuery), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
    (status = 409, description = "`stage_not_empty` without `move_to`, `stage_of_another_board`", body = Problem),
))]
async fn remove_stage(
    State(app): State<App>,
    caller: Caller,
    PathId((id, stage_id)): PathId<(BoardId, StageId)>,
    ValidQuery(query): ValidQuery<RemoveStageQuery>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::ManageBoards)?;
    stages::delete(&app, caller.identity(), id, stage_id, query.move_to).await?;
    Ok(StatusCode::NO_CONTENT)
}
