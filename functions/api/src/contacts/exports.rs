//! `/contacts/exports`: contacts into CSV files.

use app::App;
use app::exports::{self, Exported, NewExport};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::transfer::{ExportFilter, TransferState};
use domain::{ExportId, ListId, MediaId};
use runtime::http::{ApiError, Caller, Idempotency, IdempotencyHeader, PathId, Problem, ValidJson};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::{Group, routes};
use crate::words;

/// The routes of this room.
pub fn router() -> Group {
    Group::new().routes(routes!(create_export)).routes(routes!(find_export))
}

/// Which contacts; what is left out does not limit them.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportFilterBody {
    /// Those that have this tag.
    tag: Option<String>,
    /// Those that came from there.
    source: Option<String>,
    /// Those in this list.
    #[schema(value_type = Option<Uuid>)]
    list_id: Option<ListId>,
    /// Those that opted out, or those that did not.
    opted_out: Option<bool>,
    /// Those that were made then or later.
    created_from: Option<DateTime<Utc>>,
    /// Those that were made before then.
    created_to: Option<DateTime<Utc>>,
}

/// An export to begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExportBody {
    #[serde(default, deserialize_with = "runtime::http::body::object")]
    filter: ExportFilterBody,
    /// As Excel wants it in Brazil: semicolons, and a mark of UTF-8 at the beginning.
    #[serde(default)]
    excel: bool,
}

/// An export.
#[derive(Serialize, ToSchema)]
pub struct ExportBody {
    #[schema(value_type = Uuid)]
    id: ExportId,
    #[schema(value_type = words::TransferState)]
    state: TransferState,
    /// Why it failed.
    reason: Option<String>,
    /// Contacts in the file so far.
    contacts: i64,
    filter: ExportFilterBody,
    excel: bool,
    /// The file.
    #[schema(value_type = Uuid)]
    media_id: MediaId,
    /// Bytes of the file, when it is there.
    size: Option<i64>,
    /// Where the file can be fetched, when it is there.
    url: Option<String>,
    /// Until when.
    url_expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<Exported> for ExportBody {
    fn from(Exported { export, file }: Exported) -> Self {
        let filter = export.filter.0;
        let (signed, url_expires_at) = file.unzip();
        Self {
            id: export.id,
            state: export.state,
            reason: export.reason,
            contacts: export.contacts,
            filter: ExportFilterBody {
                tag: filter.tag,
                source: filter.source,
                list_id: filter.list_id,
                opted_out: filter.opted_out,
                created_from: filter.created_from,
                created_to: filter.created_to,
            },
            excel: export.excel,
            media_id: export.media_id,
            size: signed.is_some().then_some(export.size),
            url: signed.map(|signed| signed.url),
            url_expires_at,
            created_at: export.created_at,
            started_at: export.started_at,
            finished_at: export.finished_at,
        }
    }
}

/// Writes the contacts that there are now into a CSV file, oldest first, with the company's own fields. No cell of it is a
/// formula to a spreadsheet program. Kept for 30 days.
#[utoipa::path(post, path = "/contacts/exports", tag = "contacts", params(IdempotencyHeader),
    security(("bearer" = [])), request_body = NewExportBody, responses(
    (status = 202, body = ExportBody),
    (status = 404, body = Problem),
    (status = 409, description = "`idempotency_key_reused`", body = Problem),
))]
async fn create_export(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(body): ValidJson<NewExportBody>,
) -> Result<(StatusCode, Json<ExportBody>), ApiError> {
    let ExportFilterBody { tag, source, list_id, opted_out, created_from, created_to } = body.filter;
    let filter = ExportFilter { tag, source, list_id, opted_out, created_from, created_to };
    let new = NewExport { filter, excel: body.excel };
    let export = exports::create(&app, caller.identity(), key.as_ref(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(export.into())))
}

/// One export: how far it got, and a link to its file.
#[utoipa::path(get, path = "/contacts/exports/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ExportBody),
    (status = 404, body = Problem),
))]
async fn find_export(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ExportId>,
) -> Result<Json<ExportBody>, ApiError> {
    Ok(Json(exports::find(&app, caller.identity(), id).await?.into()))
}
