//! `/connections/{id}/health` and `/connections/{id}/check`: how a connection fares.

use app::App;
use app::connection_health;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::connection_health::{ConnectionHealth, Standing};
use domain::ConnectionId;
use domain::health::{Health, Obstacle};
use domain::user::Permission;
use runtime::http::{ApiError, Caller, Idempotency, IdempotencyHeader, PathId, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

/// The routes of this part.
pub(super) fn router() -> Group {
    Group::new().routes(routes!(health)).routes(routes!(check))
}

/// How a connection fares.
#[derive(Serialize, ToSchema)]
pub struct HealthBody {
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    #[schema(value_type = words::ConnectionState)]
    state: Health,
    /// The gravest of `obstacles`.
    reason: Option<String>,
    /// Since when the state is what it is; null when nobody has asked yet.
    since: Option<DateTime<Utc>>,
    /// Everything that stands in its way, the oldest first.
    obstacles: Vec<ObstacleBody>,
    /// When the provider was last asked.
    checked_at: Option<DateTime<Utc>>,
    /// The number, as the provider describes it.
    number: NumberBody,
    token: TokenBody,
    /// Grows with every change of state or reason.
    version: i32,
}

/// One thing that stands in a connection's way.
#[derive(Serialize, ToSchema)]
pub struct ObstacleBody {
    #[schema(value_type = words::Obstacle)]
    kind: Obstacle,
    since: DateTime<Utc>,
    /// In the provider's words.
    detail: Option<String>,
}

/// A number in the provider's words; what it has not said is null.
#[derive(Serialize, ToSchema)]
pub struct NumberBody {
    verified_name: Option<String>,
    display_phone_number: Option<String>,
    /// GREEN, YELLOW, RED, NA or UNKNOWN.
    quality: Option<String>,
    /// `TIER_…`: how many customers may be written to first in 24 hours.
    messaging_limit: Option<String>,
    /// STANDARD or HIGH.
    throughput: Option<String>,
    name_status: Option<String>,
}

/// The token that a connection sends by.
#[derive(Serialize, ToSchema)]
pub struct TokenBody {
    /// When its time is over; null when never, or when nobody knows.
    expires_at: Option<DateTime<Utc>>,
}

impl HealthBody {
    fn of(connection_id: ConnectionId, health: Option<ConnectionHealth>, standing: Vec<Standing>) -> Self {
        let obstacles = standing
            .into_iter()
            .map(|Standing { kind, since, detail, .. }| ObstacleBody { kind, since, detail })
            .collect();
        let known = health.as_ref();
        let text = |of: fn(&ConnectionHealth) -> &Option<String>| known.and_then(|it| of(it).clone());
        Self {
            connection_id,
            state: known.map_or(Health::Connected, |it| it.state),
            reason: text(|it| &it.reason),
            since: known.map(|it| it.since),
            obstacles,
            checked_at: known.and_then(|it| it.checked_at),
            number: NumberBody {
                verified_name: text(|it| &it.verified_name),
                display_phone_number: text(|it| &it.display_phone_number),
                quality: text(|it| &it.quality),
                messaging_limit: text(|it| &it.messaging_limit),
                throughput: text(|it| &it.throughput),
                name_status: text(|it| &it.name_status),
            },
            token: TokenBody { expires_at: known.and_then(|it| it.token_expires_at) },
            version: known.map_or(0, |it| it.version),
        }
    }
}

/// How a connection fares: what it can do, since when, and why not more.
#[utoipa::path(get, path = "/connections/{id}/health", tag = "connections", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = HealthBody),
    (status = 404, body = Problem),
))]
async fn health(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<HealthBody>, ApiError> {
    caller.require(Permission::ReadCompany)?;
    let (health, obstacles) = connection_health::find(&app, caller.scope(), id).await?;
    Ok(Json(HealthBody::of(id, health, obstacles)))
}

/// Asks the provider about number and token, soon. It is done every day without being asked, and harmless to repeat.
#[utoipa::path(post, path = "/connections/{id}/check", tag = "connections", params(("id" = Uuid, Path), IdempotencyHeader),
    security(("bearer" = [])), responses(
    (status = 202),
    (status = 404, body = Problem),
    (status = 409, description = "`check_unsupported`", body = Problem),
))]
async fn check(
    State(app): State<App>,
    caller: Caller,
    Idempotency(_key): Idempotency,
    PathId(id): PathId<ConnectionId>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::ManageConnections)?;
    connection_health::request_check(&app, caller.scope(), id).await?;
    Ok(StatusCode::ACCEPTED)
}
