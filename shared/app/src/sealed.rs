//! Secrets of connections: where sealed ones stand, and how they are sealed anew after the master key was rotated.

use chrono::{DateTime, TimeDelta, Utc};
use cloud::keys::KeysError;
use cloud::routes::WebhookRoute;
use cloud::seal::{SealError, Sealed};
use db::connections::SealedColumns;
use domain::{CompanyId, ConnectionId};
use secrecy::SecretString;

use crate::App;
use crate::error::{Error, Result, internal};

/// How many connections are read at a time.
const BATCH: i64 = 100;

/// How much of its time the renewal leaves unused: the next run goes on.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// The column of the PIN by which a number is registered.
pub(crate) const REGISTRATION_PIN: &str = "registration_pin";

/// Where a sealed value stands: it opens nowhere else.
#[derive(Clone, Debug)]
pub struct Place {
    company: String,
    table: &'static str,
    column: &'static str,
    row: String,
}

impl Place {
    /// A column of a connection's row.
    pub fn connection(company_id: CompanyId, id: ConnectionId, column: &'static str) -> Self {
        Self { company: company_id.to_string(), table: "connections", column, row: id.to_string() }
    }

    /// An attribute of a webhook route.
    pub fn route(company_id: CompanyId, route_key: &str, column: &'static str) -> Self {
        Self { company: company_id.to_string(), table: "webhook-routes", column, row: route_key.to_owned() }
    }

    /// The token of a code of Embedded Signup.
    pub fn signup(company_id: CompanyId, code_hash: &str) -> Self {
        Self {
            company: company_id.to_string(),
            table: "embedded_signups",
            column: "access_token",
            row: code_hash.to_owned(),
        }
    }

    fn parts(&self) -> [&str; 4] {
        [&self.company, self.table, self.column, &self.row]
    }
}

/// Seals a secret for a place.
///
/// # Errors
/// When the key cannot be read.
pub async fn seal(app: &App, secret: &SecretString, place: &Place) -> Result<Sealed> {
    app.sealing.seal(secret, &place.parts()).await.map_err(internal)
}

/// Opens what was sealed for a place.
///
/// # Errors
/// `Poison` when key, place or value is another; retryable when the key cannot be read.
pub async fn open(app: &App, sealed: &Sealed, place: &Place) -> Result<SecretString> {
    app.sealing.open(sealed, &place.parts()).await.map_err(unopened)
}

/// Opens the text of a column that was sealed for a place.
///
/// # Errors
/// As [`open`], and when the text is no sealed value.
pub async fn open_text(app: &App, sealed: &str, place: &Place) -> Result<SecretString> {
    let sealed = sealed.parse().map_err(|error: SealError| unopened(error.into()))?;
    open(app, &sealed, place).await
}

/// A value that no key of ours opens never will; a secret that cannot be read now may be read later.
fn unopened(error: KeysError) -> Error {
    match error {
        KeysError::Seal(error) if !error.retryable() => Error::Poison(error.into()),
        error => internal(error),
    }
}

/// What a run of [`renew`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Rows that are sealed by the current key since this run.
    pub renewed: usize,
    /// Rows that no key of ours opens. They stay as they are; their connections have to be authorised again.
    pub lost: usize,
    /// Whether every row was looked at before the time was up.
    pub complete: bool,
}

/// Seals with the current key what another one sealed, until all is or `deadline` is near. Safe to run twice, and to be
/// killed: each row is written at once, if nobody changed it meanwhile. A run that was `complete` with nothing `renewed`
/// means that the key before is not needed any more.
///
/// # Errors
/// When database, table or key cannot be read.
pub async fn renew(app: &App, deadline: DateTime<Utc>) -> Result<Renewed> {
    app.sealing.forget();
    let mut done = Renewed::default();
    let until = deadline - MARGIN;
    done.complete =
        renew_connections(app, until, &mut done).await? && renew_routes(app, until, &mut done).await?;
    Ok(done)
}

async fn renew_connections(app: &App, until: DateTime<Utc>, done: &mut Renewed) -> Result<bool> {
    let mut after = None;
    while app.clock.now() < until {
        let key = app.sealing.current().await.map_err(internal)?;
        let mut tx = app.system_db().await?.begin_system().await?;
        let rows = db::connections::list_sealed_otherwise(&mut tx, key.key_id(), after, BATCH).await?;
        // Not open while Secrets Manager is asked for the key before.
        tx.commit().await?;
        let Some(last) = rows.last() else { return Ok(true) };
        after = Some((last.company_id, last.id));
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let renewed = note(renew_connection(app, row).await, row.id, done)?;
            changes.extend(renewed.map(|renewed| (row, renewed)));
        }
        let mut tx = app.system_db().await?.begin_system().await?;
        for (row, renewed) in changes {
            done.renewed += usize::from(db::connections::replace_sealed(&mut tx, row, &renewed).await?);
        }
        tx.commit().await?;
    }
    Ok(false)
}

async fn renew_connection(app: &App, row: &SealedColumns) -> Result<SealedColumns, KeysError> {
    let renewed = async |value: &str, column| {
        let place = Place::connection(row.company_id, row.id, column);
        let renewed = app.sealing.renew(&value.parse()?, &place.parts()).await?;
        Ok::<_, KeysError>(renewed.map_or_else(|| value.to_owned(), String::from))
    };
    Ok(SealedColumns {
        company_id: row.company_id,
        id: row.id,
        access_token: renewed(&row.access_token, "access_token").await?,
        app_secret: renewed(&row.app_secret, "app_secret").await?,
        verify_token: renewed(&row.verify_token, "verify_token").await?,
        registration_pin: match &row.registration_pin {
            Some(pin) => Some(renewed(pin, REGISTRATION_PIN).await?),
            None => None,
        },
    })
}

async fn renew_routes(app: &App, until: DateTime<Utc>, done: &mut Renewed) -> Result<bool> {
    let mut after = None;
    while app.clock.now() < until {
        let page = app.routes.list(after).await.map_err(internal)?;
        for route in page.routes {
            if let Some(Some(renewed)) = note(renew_route(app, &route).await, &route.route_key, done)? {
                done.renewed +=
                    usize::from(app.routes.replace_sealed(&route, &renewed).await.map_err(internal)?);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(true),
        }
    }
    Ok(false)
}

async fn renew_route(app: &App, route: &WebhookRoute) -> Result<Option<WebhookRoute>, KeysError> {
    let renewed = async |value: &Sealed, column| {
        let place = Place::route(route.company_id, &route.route_key, column);
        app.sealing.renew(value, &place.parts()).await
    };
    let app_secret = renewed(&route.app_secret, "app_secret").await?;
    let verify_token = renewed(&route.verify_token, "verify_token").await?;
    if app_secret.is_none() && verify_token.is_none() {
        return Ok(None);
    }
    Ok(Some(WebhookRoute {
        app_secret: app_secret.unwrap_or_else(|| route.app_secret.clone()),
        verify_token: verify_token.unwrap_or_else(|| route.verify_token.clone()),
        ..route.clone()
    }))
}

/// One value that does not open shall not keep the others from being renewed.
fn note<T>(
    outcome: Result<T, KeysError>,
    row: impl std::fmt::Display,
    done: &mut Renewed,
) -> Result<Option<T>> {
    match outcome {
        Ok(renewed) => Ok(Some(renewed)),
        Err(KeysError::Seal(error)) if error != SealError::NoRandomness => {
            tracing::error!(sealed.row = %row, %error, "a sealed value does not open");
            done.lost += 1;
            Ok(None)
        }
        Err(error) => Err(internal(error)),
    }
}
