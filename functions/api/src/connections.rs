//! `/connections`: accounts with messaging providers. What opens them comes in, and never goes out again.
//!
//! Rooms: here the accounts · `signup` numbers that come by Meta's own window · `health` how they fare.
//! [`crate::templates`] are of this group, too.

mod health;
mod signup;

use app::App;
use app::connections::account::Given;
use app::connections::{self, Change, New};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::connections::Connection;
use domain::connection::{ConnectionKind, ConnectionState};
use domain::health::Obstacle;
use domain::user::Permission;
use domain::{ConnectionId, PersonaId};
use providers::channel::LinkCode;
use runtime::http::{
    ApiError, Caller, Idempotency, IdempotencyHeader, PageBody, PageQuery, PathId, Problem, ValidJson,
    ValidQuery,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::group::{Group, routes};
use crate::words;

/// What cursors are of.
const LIST: &str = "connections";

/// The routes of this function.
pub fn router() -> Group {
    Group::new()
        .routes(routes!(list, create))
        .routes(routes!(find, change, delete))
        .routes(routes!(qr))
        .merge(health::router())
        .merge(crate::templates::router())
        .merge(signup::router())
}

/// A connection. Its secrets are never shown.
#[derive(Serialize, ToSchema)]
pub struct ConnectionBody {
    #[schema(value_type = Uuid)]
    id: ConnectionId,
    #[schema(value_type = words::ConnectionKind)]
    kind: ConnectionKind,
    name: String,
    /// Who answers for it.
    #[schema(value_type = Option<Uuid>)]
    persona_id: Option<PersonaId>,
    /// WhatsApp Cloud API: Meta's id of the number.
    phone_number_id: Option<String>,
    /// WhatsApp Cloud API: the WhatsApp Business Account.
    waba_id: Option<String>,
    /// Gateways: the server.
    base_url: Option<String>,
    /// Evolution API: the instance.
    instance: Option<String>,
    /// Twilio: the account.
    account_sid: Option<String>,
    /// Twilio: the number or the messaging service.
    sender: Option<String>,
    #[schema(value_type = words::ConnectionState)]
    state: ConnectionState,
    /// The gravest of what stands in its way; `health` says all of it.
    #[schema(value_type = Option<words::Obstacle>)]
    state_reason: Option<Obstacle>,
    state_since: Option<DateTime<Utc>>,
    /// Where the provider posts what happens. Gateways are told by us, and Meta of numbers that came by
    /// its own window; of others a person sets it at Meta, and at Twilio, with
    /// `/messages#rc=5&rp=5xx,ct,rt` behind it: so that it repeats what was not taken. `null` where this installation does
    /// not know.
    webhook_url: Option<String>,
    /// Grows with every change.
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl ConnectionBody {
    fn of(app: &App, connection: Connection) -> Self {
        let webhook_url = connections::webhook_url(app, &connection);
        let setting = |name: &str| connection.settings[name].as_str().map(str::to_owned);
        let account_of = |kind| (connection.kind == kind).then(|| connection.provider_account.clone());
        Self {
            phone_number_id: account_of(ConnectionKind::WhatsappCloud),
            instance: account_of(ConnectionKind::Evolution),
            sender: account_of(ConnectionKind::TwilioSms),
            base_url: setting("base_url"),
            account_sid: setting("account_sid"),
            id: connection.id,
            kind: connection.kind,
            name: connection.name,
            persona_id: connection.persona_id,
            waba_id: connection.waba_id,
            state: connection.state,
            state_reason: connection.state_reason,
            state_since: connection.state_since,
            webhook_url,
            version: connection.version,
            created_at: connection.created_at,
            updated_at: connection.updated_at,
        }
    }
}

/// What links a phone with a connection.
#[derive(Serialize, ToSchema)]
pub struct LinkCodeBody {
    /// `connecting` while there is a code; `connected` when none is needed any more.
    #[schema(value_type = words::ConnectionState)]
    state: ConnectionState,
    /// A picture to scan, as a `data:` address. It holds for less than a minute.
    image: Option<String>,
    /// What the picture says.
    code: Option<String>,
    /// Eight characters to type instead.
    pairing_code: Option<String>,
}

impl From<LinkCode> for LinkCodeBody {
    fn from(code: LinkCode) -> Self {
        Self { state: code.state, image: code.image, code: code.text, pairing_code: code.pairing_code }
    }
}

/// Which connections to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionQuery {
    /// Of one kind.
    #[param(value_type = Option<words::ConnectionKind>)]
    kind: Option<ConnectionKind>,
    /// Rows of a page, 1 to 100; 50 by default.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What is said of a connection and of its account: fields of its own, and those of every kind of account, which it has in
/// common with the other one. (`serde` cannot refuse unknown fields of what is flattened.)
macro_rules! with_account {
    ($(#[$meta:meta])* $name:ident => $wish:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* $field: $kind,)*
            /// `whatsapp_cloud`: Meta's id of the number, which cannot become another one.
            phone_number_id: Option<String>,
            /// `whatsapp_cloud`: the WhatsApp Business Account.
            waba_id: Option<String>,
            /// `whatsapp_cloud`: a system user's or business token.
            #[schema(value_type = Option<String>, write_only)]
            access_token: Option<SecretString>,
            /// `whatsapp_cloud`: the key of webhook signatures.
            #[schema(value_type = Option<String>, write_only)]
            app_secret: Option<SecretString>,
            /// `whatsapp_cloud`: what Meta repeats when it asks whether the webhook is ours.
            #[schema(value_type = Option<String>, write_only)]
            verify_token: Option<SecretString>,
            /// `evolution`, `uazapi`: the server's address, with `https`.
            #[schema(example = "https://evolution.example.com")]
            base_url: Option<String>,
            /// `evolution`: the instance's name.
            instance: Option<String>,
            /// `evolution`: the instance's token, or the server's key.
            #[schema(value_type = Option<String>, write_only)]
            api_key: Option<SecretString>,
            /// `uazapi`: the instance's token.
            #[schema(value_type = Option<String>, write_only)]
            token: Option<SecretString>,
            /// `twilio_sms`: the account, `AC…`.
            account_sid: Option<String>,
            /// `twilio_sms`: the account's token.
            #[schema(value_type = Option<String>, write_only)]
            auth_token: Option<SecretString>,
            /// `twilio_sms`: a number in E.164, or a messaging service, `MG…`.
            sender: Option<String>,
        }

        impl From<$name> for $wish {
            fn from(body: $name) -> Self {
                Self {
                    $($field: body.$field,)*
                    given: Given {
                        phone_number_id: body.phone_number_id,
                        waba_id: body.waba_id,
                        access_token: body.access_token,
                        app_secret: body.app_secret,
                        verify_token: body.verify_token,
                        base_url: body.base_url,
                        instance: body.instance,
                        api_key: body.api_key,
                        token: body.token,
                        account_sid: body.account_sid,
                        auth_token: body.auth_token,
                        sender: body.sender,
                    },
                }
            }
        }
    };
}

with_account! {
    /// A new connection: each kind has fields of its own, and needs all of them.
    CreateConnection => New {
        #[schema(value_type = words::ConnectionKind)]
        kind: ConnectionKind,
        /// 1 to 100 characters.
        #[schema(example = "WhatsApp da loja")]
        name: String,
        /// Who answers for it; nobody when it is left out.
        #[schema(value_type = Option<Uuid>)]
        persona_id: Option<PersonaId>,
    }
}

with_account! {
    /// What shall change of a connection. What is left out stays.
    ChangeConnection => Change {
        /// 1 to 100 characters.
        name: Option<String>,
        /// Who answers for it; `null`: nobody.
        #[serde(default, deserialize_with = "runtime::http::body::nullable")]
        #[schema(value_type = Option<Uuid>)]
        persona_id: Option<Option<PersonaId>>,
    }
}

/// The company's connections, newest first.
#[utoipa::path(get, path = "/connections", tag = "connections", params(ConnectionQuery), security(("bearer" = [])),
    responses(
    (status = 200, body = PageBody<ConnectionBody>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ConnectionQuery>,
) -> Result<Json<PageBody<ConnectionBody>>, ApiError> {
    caller.require(Permission::ReadInbox)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (position, limit) = (page.position(LIST)?, page.limit()?);
    let found = connections::list(&app, caller.identity(), query.kind, position, limit).await?;
    Ok(Json(PageBody::from_page(LIST, found, |connection| ConnectionBody::of(&app, connection))))
}

/// Makes a connection. The provider is told of it right afterwards; `state` says what it answered, and `connection.health`
/// when it did.
#[utoipa::path(post, path = "/connections", tag = "connections", params(IdempotencyHeader),
    security(("bearer" = [])), request_body = CreateConnection, responses(
    (status = 201, body = ConnectionBody),
    (status = 404, description = "There is no such persona", body = Problem),
    (status = 409, description = "The account is connected already, or `idempotency_key_reused`", body = Problem),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Idempotency(key): Idempotency,
    ValidJson(new): ValidJson<CreateConnection>,
) -> Result<(StatusCode, Json<ConnectionBody>), ApiError> {
    let made = connections::create(&app, caller.identity(), new.into(), key.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(ConnectionBody::of(&app, made))))
}

/// One connection.
#[utoipa::path(get, path = "/connections/{id}", tag = "connections", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = ConnectionBody),
    (status = 404, body = Problem),
))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<ConnectionBody>, ApiError> {
    let found = connections::find(&app, caller.identity(), id).await?;
    Ok(Json(ConnectionBody::of(&app, found)))
}

/// Changes a connection.
#[utoipa::path(patch, path = "/connections/{id}", tag = "connections", params(("id" = Uuid, Path)),
    security(("bearer" = [])), request_body = ChangeConnection, responses(
    (status = 200, body = ConnectionBody),
    (status = 404, body = Problem),
    (status = 409, description = "The account is connected already, or somebody changed it meanwhile", body = Problem),
))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConnectionId>,
    ValidJson(change): ValidJson<ChangeConnection>,
) -> Result<Json<ConnectionBody>, ApiError> {
    let changed = connections::change(&app, caller.identity(), id, change.into()).await?;
    Ok(Json(ConnectionBody::of(&app, changed)))
}

/// Removes a connection: nothing comes or goes by it any more, and its secrets are gone. Its conversations stay.
#[utoipa::path(delete, path = "/connections/{id}", tag = "connections", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = Problem),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConnectionId>,
) -> Result<StatusCode, ApiError> {
    connections::delete(&app, caller.identity(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What links a phone with a gateway: a picture to scan, or letters to type. `connection.code` says when there is another.
#[utoipa::path(get, path = "/connections/{id}/qr", tag = "connections", params(("id" = Uuid, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = LinkCodeBody),
    (status = 404, body = Problem),
    (status = 409, description = "It is linked with no phone, or its credentials cannot be read", body = Problem),
    (status = 502, description = "The gateway does not answer with a code", body = Problem),
))]
async fn qr(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<LinkCodeBody>, ApiError> {
    Ok(Json(connections::link_code(&app, caller.identity(), id).await?.into()))
}
