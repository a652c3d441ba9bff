//! Numbers that come by Meta's Embedded Signup: a person agrees at Meta, in a window over our page, and the browser brings a
//! code. What else it brings is a hint: Meta says which account the code's token is for, and which numbers that has.
//!
//! A code lives 30 seconds and works once. What it was exchanged for is kept, sealed, before anything else is asked: whoever
//! repeats the request, for an answer was lost or another number was meant, goes on with it.

use std::time::Duration;

use db::connections::Connection;
use domain::ConnectionId;
use domain::connection::{ConnectionKind, Onboarding};
use domain::user::Permission;
use providers::channel::error::SendError;
use providers::oauth::facebook::{AppCredentials, business_token};
use providers::oauth::{OAuthClass, OAuthError};
use providers::whatsapp_cloud::WhatsAppCloud;
use providers::whatsapp_cloud::signup::{AccountNumber, CLOUD_API};
use rand::Rng as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::account::Account;
use super::{NAME_CHARS, Sealed, found, health, store};
use crate::App;
use crate::audit::{self, By};
use crate::auth::{Identity, hash_secret, new_secret};
use crate::cleanup::SIGNUPS_FOR;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::Outgoing;
use crate::sealed::{self, Place, REGISTRATION_PIN};

/// The longest code, in characters: Meta's have some hundred.
const CODE_CHARS: usize = 2_048;

/// The longest id of Meta's, in digits.
const ID_DIGITS: usize = 32;

/// Digits of the PIN of a number.
const PIN_DIGITS: usize = 6;

/// For so long each of two questions waits for its answer: with the exchange, less than a request to us may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// Who fails when Meta does.
const META: &str = "Meta";

/// What a browser brings from Meta's window.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// What we exchange.
    pub code: SecretString,
    /// The WhatsApp Business Account that the person chose.
    pub waba_id: String,
    /// Meta's id of the number; none where the window named none (coexistence, or an account alone).
    pub phone_number_id: Option<String>,
    /// The PIN of the number's two-step verification, where it has one.
    pub pin: Option<SecretString>,
}

/// A connection that a person signed up, and whether it was made now.
#[derive(Debug)]
pub struct SignedUp {
    /// As it stands.
    pub connection: Connection,
    /// It is new; otherwise it was known, and has another token.
    pub made: bool,
}

/// Connects the number that a person chose in Meta's window. Subscription and registration follow by a job.
///
/// # Errors
/// `Forbidden` without the permission; `Invalid` for a field; `Rule` for what Meta does not confirm
/// (`embedded_signup_unavailable`, `signup_code_invalid`, `account_not_granted`, `number_not_in_account`, `no_number`,
/// `several_numbers`), and `idempotency_key_reused`; `Provider` when Meta does not answer: the same request may be repeated.
pub async fn sign_up(
    app: &App,
    identity: &Identity,
    asked: SignUp,
    key: Option<&IdempotencyKey>,
) -> Result<SignedUp> {
    identity.require(Permission::ManageConnections)?;
    check(&asked)?;
    let code_hash = hash_secret(asked.code.expose_secret());
    // Of a PIN a hash would say all.
    let request =
        Request { hash: json!([code_hash, asked.waba_id, asked.phone_number_id, asked.pin.is_some()]), key };
    if let Some(known) = request.known(app, identity).await? {
        return Ok(known);
    }
    let meta = app.meta_app().await?.ok_or_else(|| Error::Rule {
        code: "embedded_signup_unavailable",
        message: "numbers cannot be connected by Meta's window here".to_owned(),
    })?;
    let token = token_of(app, identity, &meta, &asked.code, &code_hash).await?;
    let number = number_of(app, &meta, &token, &asked).await?;
    connect(app, identity, &meta, token, number, asked, &request).await
}

fn check(asked: &SignUp) -> Result<()> {
    let code = asked.code.expose_secret();
    if code.is_empty() || code.len() > CODE_CHARS || !code.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid("code", format!("1 to {CODE_CHARS} visible ASCII characters")));
    }
    // They become parts of addresses.
    let is_id =
        |id: &str| (1..=ID_DIGITS).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id(&asked.waba_id) {
        return Err(Error::invalid("waba_id", "digits"));
    }
    if asked.phone_number_id.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(Error::invalid("phone_number_id", "digits"));
    }
    let is_pin = |pin: &SecretString| {
        let pin = pin.expose_secret();
        pin.len() == PIN_DIGITS && pin.bytes().all(|byte| byte.is_ascii_digit())
    };
    if asked.pin.as_ref().is_some_and(|pin| !is_pin(pin)) {
        return Err(Error::invalid("pin", "six digits"));
    }
    Ok(())
}

/// What a repetition has in common with the request before.
struct Request<'a> {
    hash: serde_json::Value,
    key: Option<&'a IdempotencyKey>,
}

impl Request<'_> {
    /// The connection that the key stands for, if it was used before.
    async fn known(&self, app: &App, identity: &Identity) -> Result<Option<SignedUp>> {
        if self.key.is_none() {
            return Ok(None);
        }
        // Taken for nothing: the transaction ends without a commit.
        let mut tx = app.db().await?.begin(identity.scope).await?;
        let nothing = app.clock.new_id();
        match idempotency::claim(&mut tx, self.key, KIND, &self.hash, nothing).await? {
            Some(known) => {
                let connection = found(&mut tx, ConnectionId(known)).await?;
                Ok(Some(SignedUp { connection, made: false }))
            }
            None => Ok(None),
        }
    }
}

/// What a key of such a request stands for.
const KIND: &str = "embedded_signup";

/// The token of a code: of its first exchange, which nobody can repeat.
async fn token_of(
    app: &App,
    identity: &Identity,
    meta: &AppCredentials,
    code: &SecretString,
    code_hash: &str,
) -> Result<SecretString> {
    if let Some(token) = kept(app, identity, code_hash).await? {
        return Ok(token);
    }
    let base = &app.settings.graph_base_url;
    let token = match business_token(app.http(), base, meta, code).await {
        Ok(token) => token,
        Err(error) => {
            // Somebody with the same code may have been quicker.
            if error.class() == OAuthClass::CodeInvalid
                && let Some(token) = kept(app, identity, code_hash).await?
            {
                return Ok(token);
            }
            return Err(unexchanged(error));
        }
    };
    let place = Place::signup(identity.scope.company_id(), code_hash);
    let sealed = String::from(sealed::seal(app, &token, &place).await?);
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::embedded_signups::keep(&mut tx, code_hash, &sealed, app.clock.now()).await?;
    tx.commit().await?;
    Ok(token)
}

async fn kept(app: &App, identity: &Identity, code_hash: &str) -> Result<Option<SecretString>> {
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let since = app.clock.now() - SIGNUPS_FOR;
    let sealed = db::embedded_signups::find_token(&mut tx, code_hash, since).await?;
    tx.commit().await?;
    let Some(sealed) = sealed else { return Ok(None) };
    let place = Place::signup(identity.scope.company_id(), code_hash);
    Ok(Some(sealed::open_text(app, &sealed, &place).await?))
}

fn unexchanged(error: OAuthError) -> Error {
    match error.class() {
        OAuthClass::CodeInvalid => {
            tracing::warn!(%error, "a code of Embedded Signup is not exchanged");
            Error::Rule {
                code: "signup_code_invalid",
                message: "the code has expired or was used: go through Meta's window again".to_owned(),
            }
        }
        OAuthClass::Unavailable => Error::Provider { provider: META, retryable: true, source: error.into() },
        // App id, secret or the kind of the log-in: nothing that a caller can mend.
        OAuthClass::Configuration | OAuthClass::Refused | OAuthClass::TokenRejected => {
            Error::Provider { provider: META, retryable: false, source: error.into() }
        }
    }
}

/// The number that is meant, as Meta knows it.
async fn number_of(
    app: &App,
    meta: &AppCredentials,
    token: &SecretString,
    asked: &SignUp,
) -> Result<AccountNumber> {
    let client = WhatsAppCloud::new(&app.settings.graph_base_url, app.http().clone()).with_timeout(PATIENCE);
    let inspected = client.inspect_token(token, &meta.token(), app.clock.now()).await.map_err(unanswered)?;
    if !inspected.covers(&meta.id, &asked.waba_id) {
        return Err(not_granted());
    }
    let refused = |error: SendError| if error.may_pass() { unanswered(error) } else { not_granted() };
    let numbers = client.account_numbers(token, &asked.waba_id).await.map_err(refused)?;
    match &asked.phone_number_id {
        Some(id) => numbers.into_iter().find(|number| number.id == *id).ok_or_else(|| Error::Rule {
            code: "number_not_in_account",
            message: "this account has no such number".to_owned(),
        }),
        None => only(numbers),
    }
}

/// The one number that is meant where none was named: the one that the phone's app shares, or the only one there is.
fn only(numbers: Vec<AccountNumber>) -> Result<AccountNumber> {
    let is_shared = |number: &AccountNumber| number.is_on_biz_app && is_registered(number);
    let shared: Vec<_> = numbers.iter().filter(|number| is_shared(number)).cloned().collect();
    let mut meant = if shared.is_empty() { numbers } else { shared };
    match (meant.len(), meant.pop()) {
        (1, Some(number)) => Ok(number),
        (_, None) => Err(Error::Rule {
            code: "no_number",
            message: "this account has no number: add one in Meta's window".to_owned(),
        }),
        (_, Some(last)) => {
            meant.push(last);
            let named = meant.iter().map(|number| match &number.display_phone_number {
                Some(display) => format!("{} ({display})", number.id),
                None => number.id.clone(),
            });
            let named = named.collect::<Vec<_>>().join(", ");
            Err(Error::Rule {
                code: "several_numbers",
                message: format!("this account has several numbers, say which as phone_number_id: {named}"),
            })
        }
    }
}

fn is_registered(number: &AccountNumber) -> bool {
    number.platform_type.as_deref() == Some(CLOUD_API)
}

fn not_granted() -> Error {
    Error::Rule {
        code: "account_not_granted",
        message: "the person did not give this app rights to this account".to_owned(),
    }
}

fn unanswered(error: SendError) -> Error {
    let retryable = error.may_pass();
    Error::Provider { provider: META, retryable, source: error.into() }
}

/// Makes the connection, or gives the one that is known its new token.
async fn connect(
    app: &App,
    identity: &Identity,
    meta: &AppCredentials,
    token: SecretString,
    number: AccountNumber,
    asked: SignUp,
    request: &Request<'_>,
) -> Result<SignedUp> {
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let known = db::connections::find_number(&mut tx, &number.id).await?;
    tx.commit().await?;
    // A process may have to ask Secrets Manager: no transaction is open meanwhile.
    let id = known.unwrap_or_else(|| ConnectionId(app.clock.new_id()));
    let account = Account {
        id: number.id.clone(),
        waba_id: Some(asked.waba_id),
        settings: json!({}),
        access_token: Some(token),
        app_secret: Some(meta.secret.clone()),
        verify_token: Some(new_secret("")),
    };
    let sealed = Sealed::of(app, identity, id, &account).await?;
    let place = Place::connection(identity.scope.company_id(), id, REGISTRATION_PIN);
    let pin = sealed::seal(app, asked.pin.as_ref().unwrap_or(&new_pin()), &place).await?;

    let now = app.clock.now();
    let mut tx = app.db().await?.begin(identity.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, request.key, KIND, &request.hash, id.0).await? {
        return Ok(SignedUp { connection: found(&mut tx, ConnectionId(known)).await?, made: false });
    }
    let object = ("connection", Some(id.0));
    match known {
        Some(_) => {
            // What was sealed opens in this row alone.
            let row = db::connections::find_for_update(&mut tx, id).await?;
            let mut row = row.ok_or(Error::Conflict("somebody changed it meanwhile: read it again"))?;
            row.waba_id.clone_from(&account.waba_id);
            row.access_token = sealed.access_token;
            row.app_secret = sealed.app_secret;
            row.verify_token = sealed.verify_token;
            db::connections::update(&mut tx, &row, now).await?;
            let detail = json!({ "account": true, "embedded_signup": true });
            audit::record(app, &mut tx, By::Caller(identity), "connection.changed", object, detail).await?;
        }
        None => {
            let name = name_of(&number);
            let kind = ConnectionKind::WhatsappCloud;
            db::connections::insert(&mut tx, &sealed.row(id, kind, &name, &account), now).await?;
            let detail = json!({ "kind": kind, "name": name, "embedded_signup": true });
            audit::record(app, &mut tx, By::Caller(identity), "connection.created", object, detail).await?;
        }
    }
    let (pin, given) = (String::from(pin), asked.pin.is_some());
    db::connections::set_app_and_pin(&mut tx, id, Some(&meta.id), Some(&pin), given).await?;
    let way = if number.is_on_biz_app { Onboarding::Coexistence } else { Onboarding::Registration };
    db::connection_onboardings::begin(&mut tx, id, way, now).await?;
    let mut outgoing = Outgoing::default();
    health::setting_up(app, &mut tx, id).await?;
    health::token_replaced(app, &mut tx, id, &mut outgoing).await?;
    let connection = store(app, identity, tx, id, outgoing).await?;
    Ok(SignedUp { connection, made: known.is_none() })
}

/// What people call it until they say otherwise.
fn name_of(number: &AccountNumber) -> String {
    let names = [&number.verified_name, &number.display_phone_number];
    let name = names.into_iter().flatten().map(|name| name.trim()).find(|name| !name.is_empty());
    name.unwrap_or("WhatsApp").chars().filter(|sign| !sign.is_control()).take(NAME_CHARS).collect()
}

/// Six digits that nobody guesses in the ten attempts there are.
fn new_pin() -> SecretString {
    SecretString::from(format!("{:06}", rand::rng().random_range(0..1_000_000)))
}
