//! `/contacts/imports`: contacts out of CSV files.

use std::collections::BTreeMap;

use app::App;
use app::imports::{self, Hints, NewImport, Preview};
use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use chrono::{DateTime, Utc};
use db::imports::Import;
use domain::csv::{Delimiter, Encoding};
use domain::transfer::TransferState;
use domain::{ImportId, ListId, MediaId};
use runtime::http::language::said_to;
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::group::{Group, routes};
use crate::{PREFIX, words};

/// What cursors are of.
const LIST: &str = "contacts/imports";

/// The routes of this room.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list_imports, create_import))
        .routes(routes!(preview_import))
        .routes(routes!(find_import))
        .routes(routes!(list_import_errors))
        .routes(routes!(cancel_import))
}

/// How a file is to be read. What is left out is found out.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatHints {
    /// What stands between two cells.
    #[schema(value_type = Option<words::Delimiter>)]
    delimiter: Option<Delimiter>,
    /// How letters are written. A byte order mark says it better.
    #[schema(value_type = Option<words::Encoding>)]
    encoding: Option<Encoding>,
    /// The first row holds the columns' names.
    header: Option<bool>,
}

impl From<FormatHints> for Hints {
    fn from(hints: FormatHints) -> Self {
        Self { delimiter: hints.delimiter, encoding: hints.encoding, header: hints.header }
    }
}

/// A file to look at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreview {
    /// An upload for the purpose `import`, which is there.
    #[schema(value_type = Uuid)]
    media_id: MediaId,
    #[serde(default, deserialize_with = "runtime::http::body::object")]
    format: FormatHints,
}

/// An import to begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImportBody {
    /// An upload for the purpose `import`, which is there.
    #[schema(value_type = Uuid)]
    media_id: MediaId,
    /// What the columns say, by their names in the preview: `name`, `phone`, `email`, `external_id`, `tags` or
    /// `custom.<key>`. One of phone, email and external_id is needed. A column that is not named is left out.
    #[serde(deserialize_with = "runtime::http::body::object")]
    mapping: BTreeMap<String, String>,
    /// Puts the contacts into this list.
    #[schema(value_type = Option<Uuid>)]
    list_id: Option<ListId>,
    /// The country of numbers without one, ISO 3166; `BR` by default.
    #[schema(example = "BR")]
    default_country: Option<String>,
    /// Changes nothing, and tells what it would do.
    #[serde(default)]
    dry_run: bool,
    #[serde(default, deserialize_with = "runtime::http::body::object")]
    format: FormatHints,
}

/// How a file is read.
#[derive(Serialize, ToSchema)]
pub struct FormatBody {
    #[schema(value_type = words::Delimiter)]
    delimiter: Delimiter,
    #[schema(value_type = words::Encoding)]
    encoding: Encoding,
    /// The first row holds the columns' names.
    header: bool,
}

/// A column of a file.
#[derive(Serialize, ToSchema)]
pub struct ColumnBody {
    /// Its name in a mapping: that of the header, or `column_1`.
    name: String,
    /// What it probably says, in a mapping's words.
    suggested: Option<String>,
}

/// A file before it is read in.
#[derive(Serialize, ToSchema)]
pub struct PreviewBody {
    format: FormatBody,
    columns: Vec<ColumnBody>,
    /// The first rows, without the header.
    rows: Vec<Vec<String>>,
    /// A mapping of what the columns probably say.
    suggested_mapping: BTreeMap<String, String>,
}

impl From<Preview> for PreviewBody {
    fn from(preview: Preview) -> Self {
        let columns: Vec<ColumnBody> = preview
            .columns
            .into_iter()
            .map(|(name, field)| ColumnBody { name, suggested: field.map(|field| field.to_string()) })
            .collect();
        let suggested =
            columns.iter().filter_map(|column| Some((column.name.clone(), column.suggested.clone()?)));
        Self {
            format: FormatBody {
                delimiter: preview.format.delimiter,
                encoding: preview.format.encoding,
                header: preview.format.header,
            },
            suggested_mapping: suggested.collect(),
            columns,
            rows: preview.rows,
        }
    }
}

/// How many rows did what.
#[derive(Serialize, ToSchema)]
pub struct ImportCounts {
    /// Rows so far, without header and empty ones.
    rows: i64,
    /// Rows that made a contact.
    created: i64,
    /// Rows that changed a contact.
    updated: i64,
    /// Rows that said what was known.
    unchanged: i64,
    /// Rows that are no contact; see `errors`.
    failed: i64,
}

/// An import.
#[derive(Serialize, ToSchema)]
pub struct ImportBody {
    #[schema(value_type = Uuid)]
    id: ImportId,
    #[schema(value_type = Uuid)]
    media_id: MediaId,
    #[schema(value_type = Option<Uuid>)]
    list_id: Option<ListId>,
    #[schema(value_type = words::TransferState)]
    state: TransferState,
    /// Why it failed: `file_gone`, `row_too_long`, `internal`.
    reason: Option<String>,
    /// Percent of the file that are done.
    progress: i32,
    counts: ImportCounts,
    format: FormatBody,
    mapping: BTreeMap<String, String>,
    default_country: String,
    dry_run: bool,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<Import> for ImportBody {
    fn from(import: Import) -> Self {
        Self {
            id: import.id,
            media_id: import.media_id,
            list_id: import.list_id,
            state: import.state,
            progress: imports::percent(&import),
            counts: ImportCounts {
                rows: imports::rows(&import),
                created: import.created,
                updated: import.updated,
                unchanged: import.unchanged,
                failed: import.failed,
            },
            reason: import.reason,
            format: FormatBody {
                delimiter: import.delimiter,
                encoding: import.encoding,
                header: import.header,
            },
            mapping: import
                .columns
                .into_iter()
                .zip(import.fields)
                .filter(|(_, field)| !field.is_empty())
                .collect(),
            default_country: import.default_country,
            dry_run: import.dry_run,
            created_at: import.created_at,
            started_at: import.started_at,
            finished_at: import.finished_at,
        }
    }
}

/// Which wrong rows to tell.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ErrorsQuery {
    /// Those behind this row.
    after: Option<i64>,
}

/// Looks at an uploaded file: separator, encoding, header, the first rows, and what its columns probably say.
#[utoipa::path(post, path = "/contacts/imports/preview", tag = "contacts", security(("bearer" = [])),
    request_body = NewPreview, responses(
    (status = 200, body = PreviewBody),
    (status = 404, body = Problem),
    (status = 409, description = "`media_not_ready`", body = Problem),
))]
async fn preview_import(
    State(app): State<App>,
    caller: Caller,
    ValidJson(body): ValidJson<NewPreview>,
) -> Result<Json<PreviewBody>, ApiError> {
    let preview = imports::preview(&app, caller.identity(), body.media_id, body.format.into()).await?;
    Ok(Json(preview.into()))
}

/// Reads contacts out of an uploaded CSV file. Each row is the contact that its external id, phone or email leads to, or a
/// new one; empty cells change nothing; of rows about one contact the last has the last word. The same file again changes
/// nothing.
#[utoipa::path(post, path = "/contacts/imports", tag = "contacts", params(IdempotencyHeader),
    security(("bearer" = [])), request_body = NewImportBody, responses(
    (status = 202, body = ImportBody),
    (status = 404, body = Problem),
    (status = 409, description = "`media_not_ready`, `idempotency_key_reused`", body = Problem),
))]
async fn create_import(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(body): ValidJson<NewImportBody>,
) -> Result<(StatusCode, Json<ImportBody>), ApiError> {
    let new = NewImport {
        media_id: body.media_id,
        mapping: body.mapping,
        list_id: body.list_id,
        default_country: body.default_country,
        dry_run: body.dry_run,
        hints: body.format.into(),
    };
    let import = imports::create(&app, caller.identity(), key.as_ref(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(import.into())))
}

/// The imports, newest first.
#[utoipa::path(get, path = "/contacts/imports", tag = "contacts", params(PageQuery), security(("bearer" = [])),
    responses(
    (status = 200, body = PageBody<ImportBody>),
))]
async fn list_imports(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
) -> Result<Json<PageBody<ImportBody>>, ApiError> {
    caller.require(domain::user::Permission::ManageContacts)?;
    let imports = imports::list(&app, caller.identity(), page.position(LIST)?, page.limit()?).await?;
    Ok(Json(PageBody::from_page(LIST, imports, ImportBody::from)))
}

/// One import: how far it got.
#[utoipa::path(get, path = "/contacts/imports/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ImportBody),
    (status = 404, body = Problem),
))]
async fn find_import(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ImportId>,
) -> Result<Json<ImportBody>, ApiError> {
    Ok(Json(imports::find(&app, caller.identity(), id).await?.into()))
}

/// The rows that are no contact, as CSV in UTF-8: row, field, code, reason (in English or
/// Portuguese, as `Accept-Language` asks) and the row's own cells. Up to 5,000 lines; where
/// there are more, `Link` says where. Kept for 30 days, up to 100,000 rows.
#[utoipa::path(get, path = "/contacts/imports/{id}/errors", tag = "contacts",
    params(("id" = Uuid, Path), ErrorsQuery), security(("bearer" = [])), responses(
    (status = 200, body = String, content_type = "text/csv", headers(
        ("Link" = String, description = "`<…>; rel=\"next\"` when there are more"),
    )),
    (status = 404, body = Problem),
))]
async fn list_import_errors(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ImportId>,
    ValidQuery(query): ValidQuery<ErrorsQuery>,
    asked: HeaderMap,
) -> Result<(HeaderMap, Vec<u8>), ApiError> {
    let say = |reason: &str| said_to(&asked, reason);
    let after = query.after.unwrap_or_default();
    let file = imports::errors(&app, caller.identity(), id, after, say).await?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    // The Lambda runtime decodes what is text, and the mark by which Excel knows UTF-8 is lost on the way; what says how it
    // is encoded leaves as the bytes that it is.
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"errors.csv\""));
    if let Some(after) = file.more_after {
        let next = format!("<{PREFIX}/contacts/imports/{id}/errors?after={after}>; rel=\"next\"");
        // Digits and letters only.
        headers.insert(LINK, HeaderValue::try_from(next).unwrap_or_else(|_| HeaderValue::from_static("")));
    }
    Ok((headers, file.csv))
}

/// Stops an import: what it did stays.
#[utoipa::path(post, path = "/contacts/imports/{id}/cancel", tag = "contacts", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ImportBody),
    (status = 404, body = Problem),
    (status = 409, description = "`import_over`", body = Problem),
))]
async fn cancel_import(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ImportId>,
) -> Result<Json<ImportBody>, ApiError> {
    Ok(Json(imports::cancel(&app, caller.identity(), id).await?.into()))
}
