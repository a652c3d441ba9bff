//! Log-in by Google and Facebook.
//!
//! What names an account is the provider's id of the person, never their address. An address opens an existing account
//! only when the provider runs that mailbox; otherwise its owner links the two while logged in. Whether an address has an
//! account shows in its mail only, as it does of a registration.

use chrono::{DateTime, TimeDelta, Utc};
use cloud::keys::KeysError;
use cloud::seal::Sealed;
use db::Principal;
use db::users::User;
use domain::job::Mail;
use domain::user::{Locale, Role};
use domain::{CompanyId, CompanyScope, UserId};
use providers::oauth::{
    Callback, Client as Provider, Exchange, OAuthClass, Profile, Provider as Name, Secrets,
};
use rand::RngCore as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::gate::{self, Attempt};
use super::log_in::{LoggedIn, begin};
use super::registration::{self, NAME_CHARS, address, send_to, send_to_address};
use super::{Client, Identity, hash_secret, new_secret};
use crate::App;
use crate::audit::{self, By};
use crate::error::{Error, Result, internal};
use crate::outbox::{self, Outgoing};

/// How long a person may take at the provider.
pub const FLOW_LIFE: TimeDelta = TimeDelta::minutes(10);

/// What the sealed state of a flow is bound to.
const FLOW: [&str; 2] = ["oauth-flow", "state"];

/// A flow that was begun: where to send the browser, and what it must bring back in a cookie.
pub struct Started {
    /// The provider's page.
    pub url: String,
    /// Sealed; for a cookie of the browser that started.
    pub flow: String,
}

/// What became of a flow.
#[derive(Debug)]
pub enum Outcome {
    /// A session began.
    LoggedIn(Box<LoggedIn>),
    /// The account is linked to the person who was logged in.
    Linked,
    /// What comes next stands in a mail: an account was made, and its address has to be proved first, in the browser that
    /// keeps this; or the address has one.
    MailSent(SecretString),
}

/// What is remembered between start and callback, sealed in the browser.
#[derive(Serialize, Deserialize)]
struct Flow {
    provider: Name,
    state: String,
    nonce: String,
    code_verifier: String,
    /// Who links, if somebody does.
    user_id: Option<UserId>,
    expires_at: DateTime<Utc>,
}

/// Begins a flow; with `linking` the account will be linked to that caller.
///
/// # Errors
/// `NotFound` for a provider that this installation has no application at, `Forbidden` for an API key.
pub async fn start(app: &App, name: Name, linking: Option<&Identity>) -> Result<Started> {
    let provider = app.identity_provider(name).await?.ok_or(Error::NotFound("identity provider"))?;
    let user_id = match linking {
        Some(identity) => Some(identity.user_id().ok_or(Error::Forbidden("link an account to an API key"))?),
        None => None,
    };
    let started = provider.start(&secrets());
    let flow = Flow {
        provider: name,
        state: started.state,
        nonce: started.nonce,
        code_verifier: started.code_verifier.expose_secret().to_owned(),
        user_id,
        expires_at: app.clock.now() + FLOW_LIFE,
    };
    let text = SecretString::from(serde_json::to_string(&flow).map_err(internal)?);
    let sealed = app.browser_sealing.seal(&text, &FLOW).await.map_err(internal)?;
    Ok(Started { url: started.url.into(), flow: sealed.as_str().to_owned() })
}

/// Ends a flow with what the browser brought back.
///
/// # Errors
/// `Rule` with a code for the page that the browser is sent to: `flow_expired` for a callback that this browser did not
/// begin, `refused` when the person said no, `email_needed` for a person without an address that we can write to;
/// `RetryLater` for too many mails to one address; `Provider` when the provider fails.
pub async fn callback(
    app: &App,
    client: &Client,
    name: Name,
    callback: &Callback,
    flow: Option<&str>,
) -> Result<Outcome> {
    let provider = app.identity_provider(name).await?.ok_or(Error::NotFound("identity provider"))?;
    let flow = open(app, name, callback, flow).await?;
    let profile = exchange(app, provider, callback, &flow).await?;
    let subject = &profile.subject;
    let db = app.db().await?;
    let mut tx = db.begin_identity(&db::identities::principal(name.as_str(), subject)).await?;
    let known = db::identities::find_shown(&mut tx, name.as_str(), subject).await?;
    match (flow.user_id, known) {
        (Some(user_id), Some(owner)) if owner == user_id => Ok(Outcome::Linked),
        (Some(_), Some(_)) => Err(Error::Conflict("this account is linked to somebody already")),
        (Some(user_id), None) => {
            tx.act_as(user_id).await?;
            let now = app.clock.now();
            db::identities::insert(&mut tx, &identity(name, &profile, user_id, now)).await?;
            tx.commit().await?;
            Ok(Outcome::Linked)
        }
        (None, Some(user_id)) => {
            tx.act_as(user_id).await?;
            let user = db::users::find(&mut tx, user_id).await?.ok_or(Error::Unauthenticated)?;
            drop(tx);
            enter(app, client, user).await
        }
        (None, None) => {
            drop(tx);
            first_log_in(app, client, name, profile).await
        }
    }
}

/// Somebody whom the provider vouches for the first time.
async fn first_log_in(app: &App, client: &Client, name: Name, profile: Profile) -> Result<Outcome> {
    let email = profile.email.clone().ok_or_else(email_needed)?;
    let now = app.clock.now();
    let db = app.db().await?;
    let mut tx = db.begin_identity(&Principal::Email(email.clone())).await?;
    if let Some(mut user) = db::users::find_by_email(&mut tx, &email).await? {
        // Whoever has the mailbox has the account, and nobody else.
        if !profile.email_authoritative {
            drop(tx);
            may_write(app, client, &email).await?;
            send_to_address(app, &email, |user_id| Mail::LinkRequired { user_id }).await?;
            return Ok(Outcome::MailSent(new_secret("")));
        }
        tx.act_as(user.id).await?;
        if user.email_verified_at.is_none() {
            // Somebody else may have registered it, with a password that they know.
            db::users::claim(&mut tx, user.id, &shown_name(&profile, &email), None, now).await?;
            user = db::users::find(&mut tx, user.id).await?.ok_or(Error::Unauthenticated)?;
        }
        db::identities::insert(&mut tx, &identity(name, &profile, user.id, now)).await?;
        tx.commit().await?;
        return enter(app, client, user).await;
    }
    drop(tx);
    let user = create(app, client, name, &profile, email).await?;
    enter(app, client, user).await
}

/// Lets a person in whose address is proved; anybody else gets a mail first.
async fn enter(app: &App, client: &Client, user: User) -> Result<Outcome> {
    if user.email_verified_at.is_none() {
        may_write(app, client, &user.email).await?;
        let proof = new_secret("");
        let mut tx = app.db().await?.begin_identity(&Principal::User(user.id)).await?;
        db::users::set_registration_hash(&mut tx, user.id, &hash_secret(proof.expose_secret())).await?;
        tx.commit().await?;
        send_to(app, user.id, Mail::VerifyEmail { user_id: user.id }).await?;
        return Ok(Outcome::MailSent(proof));
    }
    Ok(Outcome::LoggedIn(Box::new(begin(app, client, user).await?)))
}

/// Anybody can tell a provider anybody's address.
async fn may_write(app: &App, client: &Client, email: &str) -> Result<()> {
    gate::pass(app, Attempt::Mail, client, Some(email)).await.map(drop)
}

/// A new account with a company of its own, to be renamed.
async fn create(app: &App, client: &Client, name: Name, profile: &Profile, email: String) -> Result<User> {
    let now = app.clock.now();
    let user = User {
        id: UserId(app.clock.new_id()),
        name: shown_name(profile, &email),
        email,
        password_hash: None,
        email_verified_at: profile.email_verified.then_some(now),
        registration_hash: None,
        locale: Locale::default(),
    };
    let scope = CompanyScope::assert_verified(CompanyId(app.clock.new_id()));
    let mut tx = app.db().await?.begin(scope).await?;
    tx.act_as(user.id).await?;
    db::users::insert(&mut tx, &user).await?;
    db::companies::insert(&mut tx, &user.name).await?;
    db::members::insert(&mut tx, user.id, Role::Owner).await?;
    db::identities::insert(&mut tx, &identity(name, profile, user.id, now)).await?;
    let company = ("company", Some(scope.company_id().0));
    let detail = serde_json::json!({ "provider": name });
    audit::record(app, &mut tx, By::Person(user.id, client), "company.registered", company, detail).await?;
    outbox::commit(app, tx, Outgoing::default()).await?;
    Ok(user)
}

fn shown_name(profile: &Profile, email: &str) -> String {
    let cut = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect() };
    let shown =
        [&profile.name, email].into_iter().find_map(|text| registration::name("name", &cut(text)).ok());
    shown.unwrap_or_else(|| "—".to_owned())
}

fn identity(
    name: Name,
    profile: &Profile,
    user_id: UserId,
    created_at: DateTime<Utc>,
) -> db::identities::Identity<'_> {
    let Profile { subject, email, .. } = profile;
    db::identities::Identity {
        provider: name.as_str(),
        subject,
        user_id,
        email: email.as_deref(),
        created_at,
    }
}

async fn open(app: &App, name: Name, callback: &Callback, flow: Option<&str>) -> Result<Flow> {
    let sealed: Sealed = flow.and_then(|flow| flow.parse().ok()).ok_or_else(flow_expired)?;
    let text = app.browser_sealing.open(&sealed, &FLOW).await.map_err(|error| match error {
        // Whoever invents keys may as well begin again.
        KeysError::Seal(_) | KeysError::NotAskedAgain => flow_expired(),
        KeysError::Secrets(error) => internal(error),
    })?;
    let flow: Flow = serde_json::from_str(text.expose_secret()).map_err(|_| flow_expired())?;
    let same = callback
        .state
        .as_deref()
        .is_some_and(|state| subtle::ConstantTimeEq::ct_eq(state.as_bytes(), flow.state.as_bytes()).into());
    if same && flow.provider == name && flow.expires_at > app.clock.now() {
        Ok(flow)
    } else {
        Err(flow_expired())
    }
}

async fn exchange(app: &App, provider: &Provider, callback: &Callback, flow: &Flow) -> Result<Profile> {
    let name = flow.provider.as_str();
    let refused = |error: providers::oauth::OAuthError| match error.class() {
        OAuthClass::Refused => rule("refused", "the log-in was cancelled"),
        OAuthClass::CodeInvalid => flow_expired(),
        OAuthClass::Unavailable => Error::Provider { provider: name, retryable: true, source: error.into() },
        OAuthClass::TokenRejected | OAuthClass::Configuration => {
            Error::Provider { provider: name, retryable: false, source: error.into() }
        }
    };
    let code = callback.code().map_err(refused)?;
    let code_verifier = SecretString::from(flow.code_verifier.clone());
    let exchange = Exchange { code, code_verifier: &code_verifier, nonce: &flow.nonce };
    let profile = provider.exchange(exchange, app.clock.now()).await.map_err(refused)?;
    if !is_subject(&profile.subject) {
        let source = anyhow::anyhow!("the provider's id of the person is none");
        return Err(Error::Provider { provider: name, retryable: false, source });
    }
    // An address that we cannot write to is none, and the others have one form.
    let email = profile.email.as_deref().and_then(|email| address(email).ok());
    Ok(Profile { email, ..profile })
}

/// Google's are 255 ASCII characters at most, Facebook's digits.
fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic())
}

fn secrets() -> Secrets {
    let random = || {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    };
    Secrets { state: random(), nonce: random(), code_verifier: random() }
}

fn rule(code: &'static str, message: &str) -> Error {
    Error::Rule { code, message: message.to_owned() }
}

fn flow_expired() -> Error {
    rule("flow_expired", "this log-in was not begun in this browser, or took too long; begin again")
}

fn email_needed() -> Error {
    rule("email_needed", "the provider tells no email address that we can write to; register with one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_what_a_database_can_hold() {
        assert!(is_subject("1234567890") && is_subject(&"a".repeat(255)));
        for bad in ["", "a\0b", "a b", "á", &"a".repeat(256)] {
            assert!(!is_subject(bad), "{bad:?}");
        }
    }
}
