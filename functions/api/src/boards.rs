//! `/kanbans`: boards. Here what they are called and what stands on them in sum · [`stages`] their columns. Leads, which
//! stand on them, are [`crate::leads`].

pub mod stages;

use app::App;
use app::boards::{Change, NewBoard, StagedBoard};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::boards::Sum;
use domain::user::Permission;
use domain::{BoardId, StageId};
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use stages::{NewStageBody, StageBody};

/// What cursors are of.
const LIST: &str = "kanbans";

/// The routes of this group.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list, create))
        .routes(routes!(find, change, delete))
        .routes(routes!(summary))
        .merge(stages::router())
        .merge(crate::leads::router())
}

/// A board.
#[derive(Serialize, ToSchema)]
pub struct KanbanBody {
    #[schema(value_type = Uuid)]
    id: BoardId,
    name: String,
    description: Option<String>,
    /// In their order.
    stages: Vec<StageBody>,
    /// Grows with every change of the board or of its stages.
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<StagedBoard> for KanbanBody {
    fn from(StagedBoard { board, stages }: StagedBoard) -> Self {
        Self {
            id: board.id,
            name: board.name,
            description: board.description,
            stages: stages.into_iter().map(StageBody::from).collect(),
            version: board.version,
            created_at: board.created_at,
            updated_at: board.updated_at,
        }
    }
}

/// A new board.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKanban {
    /// 1 to 100 characters.
    #[schema(example = "Vendas")]
    name: String,
    /// Up to 2,000 characters.
    description: Option<String>,
    /// Its stages in their order, up to 50.
    #[serde(default)]
    stages: Vec<NewStageBody>,
}

/// What shall change of a board.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeKanban {
    /// 1 to 100 characters.
    name: Option<String>,
    /// Up to 2,000 characters; `null`: none.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
}

/// What stands on a board in sum.
#[derive(Serialize, ToSchema)]
pub struct KanbanSummary {
    #[schema(value_type = Uuid)]
    board_id: BoardId,
    /// In their order.
    stages: Vec<StageSummary>,
}

/// What stands in a stage in sum.
#[derive(Serialize, ToSchema)]
pub struct StageSummary {
    #[schema(value_type = Uuid)]
    stage_id: StageId,
    /// All leads, those without a value too.
    count: i64,
    /// What they are worth, by currency.
    values: Vec<CurrencySum>,
}

/// The leads of a stage whose value is in one currency.
#[derive(Serialize, ToSchema)]
pub struct CurrencySum {
    /// ISO 4217.
    #[schema(example = "BRL")]
    currency: String,
    /// How many leads.
    count: i64,
    /// Their values together, in minor units.
    sum: i64,
}

impl KanbanSummary {
    fn new(board_id: BoardId, sums: Vec<(StageId, Sum)>) -> Self {
        let mut stages: Vec<StageSummary> = Vec::new();
        for (stage_id, sum) in sums {
            if stages.last().is_none_or(|last| last.stage_id != stage_id) {
                stages.push(StageSummary { stage_id, count: 0, values: Vec::new() });
            }
            let Some(stage) = stages.last_mut() else { continue };
            stage.count += sum.count;
            if let Some(currency) = sum.currency {
                stage.values.push(CurrencySum { currency, count: sum.count, sum: sum.value });
            }
        }
        Self { board_id, stages }
    }
}

/// The boards by name, with their stages.
#[utoipa::path(get, path = "/kanbans", tag = "boards", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<KanbanBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<KanbanBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let boards = app::boards::list(&app, caller.scope(), page.position(LIST)?, page.limit()?).await?;
    Ok(Json(PageBody::from_page(LIST, boards, KanbanBody::from)))
}

/// Makes a board.
#[utoipa::path(post, path = "/kanbans", tag = "boards", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewKanban, responses(
    (status = 201, body = KanbanBody),
    (status = 409, description = "`idempotency_key_reused`", body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<NewKanban>,
) -> Result<(StatusCode, Json<KanbanBody>), ApiError> {
    caller.require(Permission::ManageBoards)?;
    let stages = new.stages.into_iter().map(Into::into).collect();
    let new = NewBoard { name: new.name, description: new.description, stages };
    let board = app::boards::create(&app, caller.identity(), new, key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(board.into())))
}

/// One board with its stages.
#[utoipa::path(get, path = "/kanbans/{id}", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = KanbanBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<BoardId>,
) -> Result<Json<KanbanBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::boards::find(&app, caller.scope(), id).await?.into()))
}

/// Changes what a board is called and what it is for.
#[utoipa::path(patch, path = "/kanbans/{id}", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeKanban, responses(
    (status = 200, body = KanbanBody),
    (status = 404, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<BoardId>,
    ValidJson(change): ValidJson<ChangeKanban>,
) -> Result<Json<KanbanBody>, ApiError> {
    caller.require(Permission::ManageBoards)?;
    let change = Change { name: change.name, description: change.description };
    Ok(Json(app::boards::change(&app, caller.identity(), id, change).await?.into()))
}

/// Removes a board, with its stages and with every lead on it.
#[utoipa::path(delete, path = "/kanbans/{id}", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<BoardId>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::ManageBoards)?;
    app::boards::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many leads stand in each stage of a board, and what they are worth by currency.
#[utoipa::path(get, path = "/kanbans/{id}/summary", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = KanbanSummary),
    (status = 404, body = Problem),
))]
async fn summary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<BoardId>,
) -> Result<Json<KanbanSummary>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let sums = app::boards::summary(&app, caller.scope(), id).await?;
    Ok(Json(KanbanSummary::new(id, sums)))
}
