//! `/connections/{id}/health` and `/connections/{id}/check`: how a connection fares.

use app::App;
use app::connections::health;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use db::connections::health::{Health, Standing};
use domain::ConnectionId;
use domain::connection::ConnectionState;
use domain::health::Obstacle;
use runtime::http::{ApiError, Caller, PathId, Problem};
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
pub(super) struct HealthBody {
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    #[schema(value_type = words::ConnectionState)]
    state: ConnectionState,
    /// The gravest of `obstacles`.
    #[schema(value_type = Option<words::Obstacle>)]
    reason: Option<Obstacle>,
    /// Since when the state is what it is; null when nobody has asked yet.
    since: Option<DateTime<Utc>>,
    /// Everything that stands in its way, the oldest first.
    obstacles: Vec<ObstacleBody>,
    /// When the provider was last asked.
    checked_at: Option<DateTime<Utc>>,
    /// The number, as the provider describes it.
    number: NumberBody,
    /// A number that is in the phone's app as well: how far its app says that it got with sharing its history, 0 to 100. Null
    /// where nothing of it has come.
    history_percent: Option<i16>,
    token: TokenBody,
    /// Of the connection.
    version: i32,
}

/// One thing that stands in a connection's way.
#[derive(Serialize, ToSchema)]
pub(super) struct ObstacleBody {
    #[schema(value_type = words::Obstacle)]
    kind: Obstacle,
    since: DateTime<Utc>,
    /// In the provider's words.
    detail: Option<String>,
}

/// A number in the provider's words; what it has not said is null.
#[derive(Serialize, ToSchema)]
pub(super) struct NumberBody {
    verified_name: Option<String>,
    display_phone_number: Option<String>,
    /// GREEN, YELLOW, RED, NA or UNKNOWN.
    quality: Option<String>,
    /// `TIER_…`: how many customers may be written to first in 24 hours.
    messaging_limit: Option<String>,
    /// STANDARD or HIGH.
    throughput: Option<String>,
    name_status: Option<String>,
    /// By which customers find it, besides the number.
    username: Option<String>,
}

/// The token that a connection sends by.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenBody {
    /// When its time is over; null when never, or when nobody knows.
    expires_at: Option<DateTime<Utc>>,
}

impl HealthBody {
    fn of(connection_id: ConnectionId, (health, standing): (Health, Vec<Standing>)) -> Self {
        let obstacles = standing
            .into_iter()
            .map(|Standing { kind, since, detail, .. }| ObstacleBody { kind, since, detail })
            .collect();
        Self {
            connection_id,
            state: health.state,
            reason: health.reason,
            since: health.since,
            obstacles,
            checked_at: health.checked_at,
            number: NumberBody {
                verified_name: health.number.verified_name,
                display_phone_number: health.number.display_phone_number,
                quality: health.number.quality,
                messaging_limit: health.number.messaging_limit,
                throughput: health.number.throughput,
                name_status: health.number.name_status,
                username: health.number.username,
            },
            history_percent: health.history_percent,
            token: TokenBody { expires_at: health.token_expires_at },
            version: health.version,
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
    Ok(Json(HealthBody::of(id, health::find(&app, caller.identity(), id).await?)))
}

/// Asks the provider how a connection fares. One that does not answer is an answer, too. It is done every day without being
/// asked. Where Meta refused a step on the way to a number that works, that step is gone for again.
#[utoipa::path(post, path = "/connections/{id}/check", tag = "connections", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = HealthBody),
    (status = 404, body = Problem),
))]
async fn check(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<HealthBody>, ApiError> {
    Ok(Json(HealthBody::of(id, health::check(&app, caller.identity(), id).await?)))
}
