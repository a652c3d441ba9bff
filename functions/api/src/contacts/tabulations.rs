//! `/tabulations`: the tags that a company's people choose from.

use app::App;
use app::tabulations::{self, Change};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::tabulations::Tabulation;
use domain::TabulationId;
use domain::user::Permission;
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};

/// What cursors are of.
const LIST: &str = "tabulations";

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(list, create)).routes(routes!(find, change, delete))
}

/// A tabulation.
#[derive(Serialize, ToSchema)]
pub struct TabulationBody {
    #[schema(value_type = Uuid)]
    id: TabulationId,
    name: String,
    /// `#rrggbb`.
    color: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Tabulation> for TabulationBody {
    fn from(tabulation: Tabulation) -> Self {
        Self {
            id: tabulation.id,
            name: tabulation.name,
            color: tabulation.color,
            created_at: tabulation.created_at,
            updated_at: tabulation.updated_at,
        }
    }
}

/// A new tabulation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTabulation {
    /// 1 to 100 characters; unique in the company, whatever the case.
    name: String,
    /// `#rrggbb`.
    #[schema(example = "#1e90ff")]
    color: Option<String>,
}

/// What shall change of a tabulation. What is left out stays; `null` takes the colour away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTabulation {
    /// 1 to 100 characters; the contacts that bear it bear the new one.
    name: Option<String>,
    /// `#rrggbb`.
    #[serde(default, deserialize_with = "runtime::http::body::nullable")]
    #[schema(value_type = Option<String>)]
    color: Option<Option<String>>,
}

/// The tabulations by name.
#[utoipa::path(get, path = "/tabulations", tag = "contacts", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = PageBody<TabulationBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<TabulationBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let page = tabulations::list(&app, caller.identity(), position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, page, TabulationBody::from)))
}

/// Makes a tabulation.
#[utoipa::path(post, path = "/tabulations", tag = "contacts", params(IdempotencyHeader), security(("bearer" = [])),
    request_body = NewTabulation, responses(
    (status = 201, body = TabulationBody),
    (status = 409, body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<NewTabulation>,
) -> Result<(StatusCode, Json<TabulationBody>), ApiError> {
    let NewTabulation { name, color } = new;
    let made = tabulations::create(&app, caller.identity(), &name, color.as_deref(), key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// One tabulation.
#[utoipa::path(get, path = "/tabulations/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = TabulationBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<TabulationId>,
) -> Result<Json<TabulationBody>, ApiError> {
    Ok(Json(tabulations::find(&app, caller.identity(), id).await?.into()))
}

/// Changes a tabulation's name or colour. Contacts that bear the name bear the new one, unless there are over 10,000
/// (`tabulation_in_use`); sessions and conversations keep the old one.
#[utoipa::path(patch, path = "/tabulations/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeTabulation, responses(
    (status = 200, body = TabulationBody),
    (status = 404, body = Problem),
    (status = 409, body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<TabulationId>,
    ValidJson(change): ValidJson<ChangeTabulation>,
) -> Result<Json<TabulationBody>, ApiError> {
    let change = Change { name: change.name, color: change.color };
    Ok(Json(tabulations::change(&app, caller.identity(), id, change).await?.into()))
}

/// Deletes a tabulation. What bears its name keeps it.
#[utoipa::path(delete, path = "/tabulations/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<TabulationId>,
) -> Result<StatusCode, ApiError> {
    tabulations::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
