//! `/leads`: business that may come. Here what they are · [`moves`] where they stand, and what happened to them.

pub mod moves;

use app::App;
use app::leads::{Change, NewLead};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, Utc};
use db::leads::{Filter, Lead};
use domain::board::StageKind;
use domain::user::Permission;
use domain::{BoardId, ContactId, LeadId, StageId, UserId};
use runtime::http::body::Day;
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::contacts::ContactSummary;
use crate::group::{Group, routes};
use crate::words;

/// What cursors are of.
const LIST: &str = "leads";

/// The routes of this group.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(find, change, delete)).merge(moves::router())
}

/// A lead.
#[derive(Serialize, ToSchema)]
pub struct LeadBody {
    #[schema(value_type = Uuid)]
    id: LeadId,
    #[schema(value_type = Uuid)]
    board_id: BoardId,
    #[schema(value_type = Uuid)]
    stage_id: StageId,
    /// What it means to stand in its stage.
    #[schema(value_type = words::StageKind)]
    status: StageKind,
    title: String,
    /// What it is worth, in minor units of the currency (centavos).
    value: Option<i64>,
    /// ISO 4217.
    #[schema(example = "BRL")]
    currency: Option<String>,
    /// The member who works on it.
    #[schema(value_type = Option<Uuid>)]
    owner_id: Option<UserId>,
    #[schema(value_type = Option<Uuid>)]
    contact_id: Option<ContactId>,
    /// The customer; nobody once they are erased.
    contact: Option<ContactSummary>,
    /// When it is hoped to be won.
    expected_close_on: Option<NaiveDate>,
    notes: Option<String>,
    tags: Vec<String>,
    /// Since when it is won or lost.
    closed_at: Option<DateTime<Utc>>,
    lost_reason: Option<String>,
    /// Grows with every change.
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Lead> for LeadBody {
    fn from(lead: Lead) -> Self {
        let name = lead.contact_name.unwrap_or_default();
        let (phone, username) = (lead.contact_phone, lead.contact_username);
        Self {
            id: lead.id,
            board_id: lead.board_id,
            stage_id: lead.stage_id,
            status: lead.status,
            title: lead.title,
            value: lead.value,
            currency: lead.currency,
            owner_id: lead.owner_id,
            contact_id: lead.contact_id,
            contact: lead.contact_id.map(|id| ContactSummary { id, name, phone, username }),
            expected_close_on: lead.expected_close_on,
            notes: lead.notes,
            tags: lead.tags,
            closed_at: lead.closed_at,
            lost_reason: lead.lost_reason,
            version: lead.version,
            created_at: lead.created_at,
            updated_at: lead.updated_at,
        }
    }
}

/// Which leads to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LeadQuery {
    /// On one board.
    #[param(value_type = Option<Uuid>)]
    board_id: Option<BoardId>,
    /// In one stage: then they come in its order.
    #[param(value_type = Option<Uuid>)]
    stage_id: Option<StageId>,
    /// Of one member.
    #[param(value_type = Option<Uuid>)]
    owner_id: Option<UserId>,
    /// Of one customer.
    #[param(value_type = Option<Uuid>)]
    contact_id: Option<ContactId>,
    /// With these letters in the title, whatever their case and accents.
    q: Option<String>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A new lead.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLead {
    /// Its board; that of its stage by default.
    #[schema(value_type = Option<Uuid>)]
    board_id: Option<BoardId>,
    /// Its stage, in which it is last; the board's first one that is open by default.
    #[schema(value_type = Option<Uuid>)]
    stage_id: Option<StageId>,
    /// 1 to 200 characters.
    #[schema(example = "Plano anual, 12 licenças")]
    title: String,
    /// What it is worth, in minor units of the currency: 0 to 999,999,999,999.
    #[schema(example = 1_250_000)]
    value: Option<i64>,
    /// ISO 4217; `BRL` by default when there is a value.
    #[schema(example = "BRL")]
    currency: Option<String>,
    /// An active member.
    #[schema(value_type = Option<Uuid>)]
    owner_id: Option<UserId>,
    /// The customer.
    #[schema(value_type = Option<Uuid>)]
    contact_id: Option<ContactId>,
    /// When it is hoped to be won.
    #[schema(value_type = Option<NaiveDate>)]
    expected_close_on: Option<Day>,
    /// Up to 10,000 characters.
    notes: Option<String>,
    /// Up to 50, of up to 100 characters each.
    #[serde(default)]
    tags: Vec<String>,
}

impl From<CreateLead> for NewLead {
    fn from(new: CreateLead) -> Self {
        Self {
            board_id: new.board_id,
            stage_id: new.stage_id,
            title: new.title,
            value: new.value,
            currency: new.currency,
            owner_id: new.owner_id,
            contact_id: new.contact_id,
            expected_close_on: new.expected_close_on.map(|Day(day)| day),
            notes: new.notes,
            tags: new.tags,
        }
    }
}

/// What shall change of a lead. Where it stands is changed by `leads/{id}/move`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeLead {
    /// 1 to 200 characters.
    title: Option<String>,
    /// In minor units of the currency; `null`: none, and no currency.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<i64>)]
    value: Option<Option<i64>>,
    /// ISO 4217; goes with a value.
    currency: Option<String>,
    /// An active member; `null`: nobody.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<Uuid>)]
    owner_id: Option<Option<UserId>>,
    /// The customer; `null`: nobody.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<Uuid>)]
    contact_id: Option<Option<ContactId>>,
    /// When it is hoped to be won; `null`: nobody knows.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<NaiveDate>)]
    expected_close_on: Option<Option<Day>>,
    /// Up to 10,000 characters; `null`: none.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    notes: Option<Option<String>>,
    /// In place of those that it has.
    tags: Option<Vec<String>>,
    /// Why it is lost, up to 500 characters; `null`: nobody knows.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    lost_reason: Option<Option<String>>,
}

impl From<ChangeLead> for Change {
    fn from(change: ChangeLead) -> Self {
        Self {
            title: change.title,
            value: change.value,
            currency: change.currency,
            owner_id: change.owner_id,
            contact_id: change.contact_id,
            expected_close_on: change.expected_close_on.map(|day| day.map(|Day(day)| day)),
            notes: change.notes,
            tags: change.tags,
            lost_reason: change.lost_reason,
        }
    }
}

/// Lists leads: those of a stage in its order, others newest first.
#[utoipa::path(get, path = "/leads", tag = "boards", params(LeadQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<LeadBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<LeadQuery>,
) -> Result<Json<PageBody<LeadBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let LeadQuery { board_id, owner_id, contact_id, q: title, .. } = query;
    let filter = Filter { board_id, owner_id, contact_id, title };
    let (scope, limit) = (caller.scope(), page.limit()?);
    let Some(stage_id) = query.stage_id else {
        let leads = app::leads::list(&app, scope, filter, page.position(LIST)?, limit).await?;
        return Ok(Json(PageBody::from_page(LIST, leads, LeadBody::from)));
    };
    let list = format!("{LIST}?stage_id={stage_id}");
    let position = page.position(&list)?;
    let leads = app::leads::list_in_stage(&app, scope, stage_id, filter, position, limit).await?;
    Ok(Json(PageBody::from_page(&list, leads, LeadBody::from)))
}

/// Makes a lead, last in its stage.
#[utoipa::path(post, path = "/leads", tag = "boards", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = CreateLead, responses(
    (status = 201, body = LeadBody),
    (status = 409, description = "`stage_of_another_board`, `board_without_stages`, `contact_merged`, `contact_erased`, \
        `idempotency_key_reused`",
        body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<CreateLead>,
) -> Result<(StatusCode, Json<LeadBody>), ApiError> {
    caller.require(Permission::WriteInbox)?;
    let lead = app::leads::create(&app, caller.identity(), new.into(), key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(lead.into())))
}

/// One lead.
#[utoipa::path(get, path = "/leads/{id}", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = LeadBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<LeadId>,
) -> Result<Json<LeadBody>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    Ok(Json(app::leads::find(&app, caller.scope(), id).await?.into()))
}

/// Changes a lead.
#[utoipa::path(patch, path = "/leads/{id}", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeLead, responses(
    (status = 200, body = LeadBody),
    (status = 404, body = Problem),
    (status = 409, description = "`lead_not_lost`, `contact_merged`, `contact_erased`", body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<LeadId>,
    ValidJson(change): ValidJson<ChangeLead>,
) -> Result<Json<LeadBody>, ApiError> {
    caller.require(Permission::WriteInbox)?;
    Ok(Json(app::leads::change(&app, caller.identity(), id, change.into()).await?.into()))
}

/// Removes a lead with its history.
#[utoipa::path(delete, path = "/leads/{id}", tag = "boards", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<LeadId>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::WriteInbox)?;
    app::leads::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
