//! Connections: a company's accounts with messaging providers. What opens them comes in and never goes out again.
//!
//! A row is the truth. What follows from it elsewhere, the routes of webhooks and the provider's own settings, is brought
//! about by a job of the same transaction, which reads the row as it stands then: whoever dies in between is followed by
//! somebody who does the same again.
//!
//! Rooms: here what people do · [`account`] what each kind of account is made of · [`signup`] numbers that come by Meta's
//! Embedded Signup · [`health`] how it fares · [`set_up`] what follows elsewhere · `onboarding` what Meta has to be asked
//! before a number works.

pub mod account;
pub mod health;
mod onboarding;
pub mod set_up;
pub mod signup;

use db::TenantTx;
use db::connections::{Connection, NewConnection};
use domain::connection::{ConnectionKind, Onboarding};
use domain::event::Event;
use domain::health::{Finding, Obstacle};
use domain::job::Job;
use domain::user::Permission;
use domain::{CompanyScope, ConnectionId, PersonaId};
use providers::channel::{Channel, LinkCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::{Identity, new_secret};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::sealed::{self, Place};
use crate::{App, Page, Position, channels, text};
use account::Given;

pub(crate) use health::note;
pub(crate) use onboarding::{history_comes, history_refused};

/// The longest name, in characters.
const NAME_CHARS: usize = 100;

/// Letters and digits of a slug: nobody guesses one.
const SLUG_CHARS: usize = 32;

/// A connection to make.
#[derive(Clone, Debug)]
pub struct New {
    /// What it is to.
    pub kind: ConnectionKind,
    /// What people call it.
    pub name: String,
    /// Who answers for it.
    pub persona_id: Option<PersonaId>,
    /// The account.
    pub given: Given,
}

/// What shall be true of a connection; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What people call it.
    pub name: Option<String>,
    /// Who answers for it, or nobody.
    pub persona_id: Option<Option<PersonaId>>,
    /// What is new of the account.
    pub given: Given,
}

/// A page of connections, newest first.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    kind: Option<ConnectionKind>,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Connection>> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let rows = db::connections::list(&mut tx, kind, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |connection| (connection.created_at, connection.id.0)))
}

/// One connection.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: ConnectionId) -> Result<Connection> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    found(&mut tx, id).await
}

async fn found(tx: &mut TenantTx, id: ConnectionId) -> Result<Connection> {
    db::connections::find(tx, id).await?.ok_or(Error::NotFound("connection"))
}

/// Where a connection's webhooks are received, for whoever sets the provider up.
pub fn webhook_url(app: &App, connection: &Connection) -> Option<String> {
    channels::webhook_url(app, connection.kind, &connection.slug)
}

/// Makes one; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for a field that is missing, wrong, or none of this kind's; `NotFound` for the persona; `Conflict` for an
/// account that is connected already; `Rule` (`idempotency_key_reused`).
pub async fn create(
    app: &App,
    identity: &Identity,
    new: New,
    key: Option<&IdempotencyKey>,
) -> Result<Connection> {
    identity.require(Permission::ManageConnections)?;
    let name = text::line("name", &new.name, NAME_CHARS)?;
    let account = account::checked(app, new.kind, &new.given)?;
    let id = ConnectionId(app.clock.new_id());
    let sealed = Sealed::of(app, identity, id, &account).await?;
    let row = NewConnection { persona_id: new.persona_id, ..sealed.row(id, new.kind, &name, &account) };
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let asked = json!([new.kind, name, new.persona_id, account.id, account.settings, account.secrets_hash()]);
    if let Some(known) = idempotency::claim(&mut tx, key, "connection", &asked, id.0).await? {
        return found(&mut tx, ConnectionId(known)).await;
    }
    require_persona(&mut tx, new.persona_id).await?;
    db::connections::insert(&mut tx, &row, now).await?;
    if new.kind == ConnectionKind::WhatsappCloud {
        db::connection_onboardings::begin(&mut tx, id, Onboarding::Token, now).await?;
    }
    let detail = json!({ "kind": new.kind, "name": name });
    let object = ("connection", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "connection.created", object, detail).await?;
    store(app, identity, tx, id, Outgoing::default()).await
}

/// Changes one. Secrets that are not given stay.
///
/// # Errors
/// As [`create`], and `NotFound`.
pub async fn change(app: &App, identity: &Identity, id: ConnectionId, change: Change) -> Result<Connection> {
    identity.require(Permission::ManageConnections)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let known = found(&mut tx, id).await?;
    tx.commit().await?;
    let account = account::changed(app, &known, &change.given)?;
    // A process may have to ask Secrets Manager: no transaction is open meanwhile.
    let sealed = Sealed::changed(app, identity, &known, &account).await?;

    let mut tx = app.db().await?.begin(identity.scope).await?;
    let mut row =
        db::connections::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("connection"))?;
    if row.version != known.version && !change.given.is_empty() {
        return Err(Error::Conflict("somebody changed it meanwhile: read it again"));
    }
    if let Some(name) = &change.name {
        row.name = text::line("name", name, NAME_CHARS)?;
    }
    if let Some(persona_id) = change.persona_id {
        require_persona(&mut tx, persona_id).await?;
        row.persona_id = persona_id;
    }
    if !change.given.is_empty() {
        row.provider_account.clone_from(&account.id);
        row.waba_id.clone_from(&account.waba_id);
        row.settings = account.settings.clone();
        row.access_token = sealed.access_token;
        row.app_secret = sealed.app_secret;
        row.verify_token = sealed.verify_token;
    }
    db::connections::update(&mut tx, &row, app.clock.now()).await?;
    let mut outgoing = Outgoing::default();
    if account.access_token.is_some() {
        health::token_replaced(app, &mut tx, id, &mut outgoing).await?;
    }
    if !change.given.is_empty() && row.kind == ConnectionKind::WhatsappCloud {
        onboarding::begin_again(app, &mut tx, id, &change.given).await?;
    }
    let detail = json!({
        "name": change.name, "persona_id": change.persona_id, "account": !change.given.is_empty(),
    });
    let object = ("connection", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "connection.changed", object, detail).await?;
    store(app, identity, tx, id, outgoing).await
}

/// Commits with what follows from the row as it stands now.
async fn store(
    app: &App,
    identity: &Identity,
    mut tx: TenantTx,
    id: ConnectionId,
    mut outgoing: Outgoing,
) -> Result<Connection> {
    let connection = found(&mut tx, id).await?;
    outgoing.job(identity.scope, Job::SetUpConnection { connection_id: id })?;
    let version = connection.version;
    outgoing.event(identity.scope, Event::ConnectionChanged { connection_id: id, version })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(connection)
}

/// Removes one: nothing is sent or received by it any more, and its secrets are gone. What was said over it stays.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, identity: &Identity, id: ConnectionId) -> Result<()> {
    identity.require(Permission::ManageConnections)?;
    let nothing = Sealed::nothing(app, identity, id).await?;
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let known = db::connections::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("connection"))?;
    let columns = [nothing.access_token.as_str(), &nothing.app_secret, &nothing.verify_token];
    let heir = db::connection_onboardings::end(&mut tx, id).await?;
    db::connections::delete(&mut tx, id, columns, now).await?;
    let detail = json!({ "kind": known.kind, "name": known.name });
    let object = ("connection", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "connection.deleted", object, detail).await?;
    let mut outgoing = Outgoing::default();
    outgoing.job(identity.scope, Job::SetUpConnection { connection_id: id })?;
    if let Some(heir) = heir {
        outgoing.job(identity.scope, Job::SetUpConnection { connection_id: heir })?;
    }
    let version = known.version + 1;
    outgoing.event(identity.scope, Event::ConnectionChanged { connection_id: id, version })?;
    outbox::commit(app, tx, outgoing).await
}

/// The connection's channel; or why there is none, which only a person can mend.
async fn open(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
) -> Result<std::result::Result<Channel, Finding>> {
    match channels::open(app, scope, connection, app.http()).await {
        Ok(channel) => Ok(Ok(channel)),
        Err(error) if error.retryable() => Err(error),
        Err(error) => {
            tracing::error!(connection.id = %connection.id, error = error.chain(), "connection unusable");
            Ok(Err(Finding::bare(Obstacle::CredentialsUnreadable)))
        }
    }
}

/// What links a connection's phone: a picture to scan, or letters to type.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission; `Conflict` for one that is linked with no phone; `Provider` when the
/// gateway does not answer with a code.
pub async fn link_code(app: &App, identity: &Identity, id: ConnectionId) -> Result<LinkCode> {
    identity.require(Permission::ManageConnections)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let connection = found(&mut tx, id).await?;
    tx.commit().await?;
    let unusable = |_| Error::Conflict("the credentials of this connection cannot be read: connect it again");
    let channel = open(app, identity.scope, &connection).await?.map_err(unusable)?;
    match channel.link_code().await {
        Ok(Some(code)) => Ok(code),
        Ok(None) => Err(Error::Conflict("this connection is linked with no phone")),
        Err(error) => {
            let retryable = error.may_pass();
            if !retryable {
                let finding = health::of_refusal(&channel, &error);
                health::raise(app, identity.scope, id, &finding).await?;
            }
            Err(Error::Provider { provider: "the gateway", retryable, source: error.into() })
        }
    }
}

async fn require_persona(tx: &mut TenantTx, id: Option<PersonaId>) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    db::personas::find(tx, id).await?.ok_or(Error::NotFound("persona"))?;
    Ok(())
}

/// The sealed columns of a connection.
struct Sealed {
    access_token: String,
    app_secret: String,
    verify_token: String,
}

impl Sealed {
    async fn of(
        app: &App,
        identity: &Identity,
        id: ConnectionId,
        account: &account::Account,
    ) -> Result<Self> {
        let nothing = SecretString::default();
        let seal = async |column, secret: &Option<SecretString>| {
            let place = Place::connection(identity.scope.company_id(), id, column);
            let sealed = sealed::seal(app, secret.as_ref().unwrap_or(&nothing), &place).await?;
            Ok::<_, Error>(String::from(sealed))
        };
        Ok(Self {
            access_token: seal("access_token", &account.access_token).await?,
            app_secret: seal("app_secret", &account.app_secret).await?,
            verify_token: seal("verify_token", &account.verify_token).await?,
        })
    }

    /// The row of a new connection, with a slug of its own.
    fn row(
        self,
        id: ConnectionId,
        kind: ConnectionKind,
        name: &str,
        account: &account::Account,
    ) -> NewConnection {
        NewConnection {
            id,
            kind,
            name: name.to_owned(),
            slug: new_secret("").expose_secret().chars().take(SLUG_CHARS).collect(),
            provider_account: account.id.clone(),
            waba_id: account.waba_id.clone(),
            settings: account.settings.clone(),
            access_token: self.access_token,
            app_secret: self.app_secret,
            verify_token: self.verify_token,
            persona_id: None,
        }
    }

    /// Nothing, sealed: what a removed connection keeps.
    async fn nothing(app: &App, identity: &Identity, id: ConnectionId) -> Result<Self> {
        Self::of(app, identity, id, &account::Account::default()).await
    }

    /// What is new of the account, and the rest as it is.
    async fn changed(
        app: &App,
        identity: &Identity,
        known: &Connection,
        account: &account::Account,
    ) -> Result<Self> {
        let new = Self::of(app, identity, known.id, account).await?;
        let kept = |given: &Option<SecretString>, new: String, known: &str| {
            if given.is_some() { new } else { known.to_owned() }
        };
        Ok(Self {
            access_token: kept(&account.access_token, new.access_token, &known.access_token),
            app_secret: kept(&account.app_secret, new.app_secret, &known.app_secret),
            verify_token: kept(&account.verify_token, new.verify_token, &known.verify_token),
        })
    }
}
