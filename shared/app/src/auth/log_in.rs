//! Sessions, from log-in to log-out: one a device, kept alive by refresh tokens that are good once.
//!
//! A refresh token that is shown a second time was stolen, from us or from the person: the whole session ends.

use chrono::{DateTime, TimeDelta, Utc};
use db::login_sessions::LoginSession;
use db::users::{Membership, User};
use db::{IdentityTx, Principal};
use domain::event::Event;
use domain::{CompanyId, CompanyScope, LoginSessionId, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use super::gate::{self, Attempt};
use super::registration::address;
use super::tokens::{Bearer, Signer};
use super::{Actor, Client, Identity, hash_secret, new_secret, passwords, session_key, tokens};
use crate::App;
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};

/// How long a session lives at most; then the password is asked for again.
pub const SESSION_LIFE: TimeDelta = TimeDelta::days(30);

/// Sessions that an event names at most, far below what the bus takes.
const IDS_OF_AN_EVENT: usize = 1_000;

/// What every refresh token begins with.
const REFRESH_PREFIX: &str = "mir_";

/// The longest name of a program that is kept.
const USER_AGENT_CHARS: usize = 300;

/// A person with their companies.
#[derive(Clone, Debug)]
pub struct Account {
    /// The person.
    pub user: User,
    /// Where they belong, oldest first.
    pub memberships: Vec<Membership>,
}

/// Tokens that were just made.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who it is.
    pub account: Account,
    /// The company that the token speaks for.
    pub company_id: CompanyId,
    /// The token for requests.
    pub token: SecretString,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// The token for the next token.
    pub refresh_token: SecretString,
    /// Until when that is good.
    pub session_expires_at: DateTime<Utc>,
}

/// Checks a password and begins a session that speaks for the person's first company.
///
/// # Errors
/// `Invalid` for what is no address; `RetryLater` after five failures; `Unauthenticated` for an unknown address as for a wrong password, after the same
/// work; `Rule` `email_not_verified`, to who knows the password only.
pub async fn log_in(app: &App, client: &Client, email: &str, password: SecretString) -> Result<LoggedIn> {
    let email = address(email)?;
    let passed = gate::pass(app, Attempt::LogIn, client, Some(&email)).await?;
    let mut tx = app.db().await?.begin_identity(&Principal::Email(email.clone())).await?;
    let user = db::users::find_by_email(&mut tx, &email).await?;
    drop(tx);
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    if !passwords::verify(hash, password).await? {
        return Err(Error::Unauthenticated);
    }
    let user = user.ok_or(Error::Unauthenticated)?;
    if user.email_verified_at.is_none() {
        passed.forgive(app).await;
        return Err(Error::Rule {
            code: "email_not_verified",
            message: "confirm your email address first; the link was sent to it".to_owned(),
        });
    }
    let logged_in = begin(app, client, user).await?;
    passed.forgive(app).await;
    Ok(logged_in)
}

/// Begins a session of a person who proved who they are.
///
/// # Errors
/// `Forbidden` when they belong to no company.
pub async fn begin(app: &App, client: &Client, user: User) -> Result<LoggedIn> {
    let now = app.clock.now();
    let signer = tokens::signer(app).await?;
    let mut tx = app.db().await?.begin_identity(&Principal::User(user.id)).await?;
    let memberships = db::users::list_memberships(&mut tx, user.id).await?;
    let company_id = memberships.first().ok_or(Error::Forbidden("use a company"))?.company_id;
    let session = LoginSession {
        id: LoginSessionId(app.clock.new_id()),
        user_id: user.id,
        active_company_id: company_id,
        ip: client.ip.clone(),
        user_agent: client.user_agent.chars().take(USER_AGENT_CHARS).collect(),
        created_at: now,
        refreshed_at: now,
        expires_at: now + SESSION_LIFE,
    };
    db::login_sessions::insert(&mut tx, &session).await?;
    let refresh_token = add_refresh_token(app, &mut tx, &session).await?;
    tx.commit().await?;
    hand_out(app, &signer, Account { user, memberships }, &session, refresh_token)
}

/// Renews a session's tokens; the refresh token is used up.
///
/// # Errors
/// `Unauthenticated` for a token that is none, whose session has ended, or that was used before: then its session ends
/// now.
pub async fn refresh(app: &App, refresh_token: &SecretString) -> Result<LoggedIn> {
    let now = app.clock.now();
    let token_hash = hash_secret(refresh_token.expose_secret());
    // The token is used up for another one: first what that needs.
    let signer = tokens::signer(app).await?;
    let mut tx = app.db().await?.begin_identity(&Principal::KeyHash(token_hash.clone())).await?;
    let shown = db::login_sessions::find_shown_token(&mut tx, &token_hash).await?;
    let shown = shown.ok_or(Error::Unauthenticated)?;
    tx.act_as(shown.user_id).await?;
    if !db::login_sessions::use_token(&mut tx, &token_hash, now).await? {
        let (user_id, session_id) = (shown.user_id, shown.session_id);
        end_one(app, tx, user_id, session_id, "refresh_replayed").await?;
        tracing::warn!(session.id = %session_id, user.id = %user_id, "a used refresh token was shown: session ended");
        return Err(Error::Unauthenticated);
    }
    let session = db::login_sessions::refresh(&mut tx, shown.session_id, now).await?;
    let mut session = session.ok_or(Error::Unauthenticated)?;
    let user = db::users::find(&mut tx, shown.user_id).await?.ok_or(Error::Unauthenticated)?;
    let memberships = db::users::list_memberships(&mut tx, shown.user_id).await?;
    // Who was shut out of the session's company goes on in another, if there is one.
    let active = memberships.iter().find(|member| member.company_id == session.active_company_id);
    let company_id = active.or(memberships.first()).ok_or(Error::Unauthenticated)?.company_id;
    if company_id != session.active_company_id {
        db::login_sessions::switch_company(&mut tx, session.id, company_id).await?;
        session.active_company_id = company_id;
    }
    let refresh_token = add_refresh_token(app, &mut tx, &session).await?;
    tx.commit().await?;
    hand_out(app, &signer, Account { user, memberships }, &session, refresh_token)
}

/// Makes the caller's session speak for another company of theirs, with a new token; the refresh token stays.
///
/// # Errors
/// `NotFound` when the person does not belong to that company.
pub async fn switch_company(
    app: &App,
    identity: &Identity,
    company_id: CompanyId,
) -> Result<(Account, SecretString, DateTime<Utc>)> {
    let (user_id, session_id) = person(identity)?;
    let signer = tokens::signer(app).await?;
    let mut tx = app.db().await?.begin_identity(&Principal::User(user_id)).await?;
    let user = db::users::find(&mut tx, user_id).await?.ok_or(Error::Unauthenticated)?;
    let memberships = db::users::list_memberships(&mut tx, user_id).await?;
    let target = memberships.iter().find(|member| member.company_id == company_id);
    let role = target.ok_or(Error::NotFound("company"))?.role;
    if !db::login_sessions::switch_company(&mut tx, session_id, company_id).await? {
        return Err(Error::Unauthenticated);
    }
    tx.commit().await?;
    let (token, expires_at) = signer.issue(app, Bearer { user_id, session_id, company_id, role })?;
    Ok((Account { user, memberships }, token, expires_at))
}

/// Ends the session of a refresh token; a token that is none changes nothing.
///
/// # Errors
/// Database errors only.
pub async fn log_out(
    app: &App,
    refresh_token: Option<&SecretString>,
    identity: Option<&Identity>,
) -> Result<()> {
    if let Some(Identity { actor: Actor::Person { user_id, session_id, .. }, scope, .. }) = identity {
        let tx = app.db().await?.begin_identity(&Principal::User(*user_id)).await?;
        end_one(app, tx, *user_id, *session_id, "logged_out").await?;
        app.sessions.forget(&session_key(*session_id, scope.company_id()));
    }
    let Some(refresh_token) = refresh_token else { return Ok(()) };
    let token_hash = hash_secret(refresh_token.expose_secret());
    let mut tx = app.db().await?.begin_identity(&Principal::KeyHash(token_hash.clone())).await?;
    if let Some(shown) = db::login_sessions::find_shown_token(&mut tx, &token_hash).await? {
        tx.act_as(shown.user_id).await?;
        end_one(app, tx, shown.user_id, shown.session_id, "logged_out").await?;
    }
    Ok(())
}

/// The caller's open sessions, newest first.
///
/// # Errors
/// `Forbidden` for an API key.
pub async fn list_sessions(app: &App, identity: &Identity) -> Result<Vec<LoginSession>> {
    let (user_id, _) = person(identity)?;
    let mut tx = app.db().await?.begin_identity(&Principal::User(user_id)).await?;
    Ok(db::login_sessions::list_open(&mut tx, user_id, app.clock.now()).await?)
}

/// Ends one of the caller's sessions.
///
/// # Errors
/// `NotFound` when there is no such open session of theirs; `Forbidden` for an API key.
pub async fn end_session(app: &App, identity: &Identity, id: LoginSessionId) -> Result<()> {
    let (user_id, _) = person(identity)?;
    let tx = app.db().await?.begin_identity(&Principal::User(user_id)).await?;
    if !end_one(app, tx, user_id, id, "revoked").await? {
        return Err(Error::NotFound("session"));
    }
    app.sessions.forget(&session_key(id, identity.scope.company_id()));
    Ok(())
}

/// The person behind a caller, with their companies.
///
/// # Errors
/// `Forbidden` for an API key, `Unauthenticated` when the person is gone.
pub async fn me(app: &App, identity: &Identity) -> Result<Account> {
    let (user_id, _) = person(identity)?;
    let mut tx = app.db().await?.begin_identity(&Principal::User(user_id)).await?;
    let user = db::users::find(&mut tx, user_id).await?.ok_or(Error::Unauthenticated)?;
    let memberships = db::users::list_memberships(&mut tx, user_id).await?;
    Ok(Account { user, memberships })
}

/// Ends a session of a person; whether it was open.
async fn end_one(
    app: &App,
    mut tx: IdentityTx,
    user_id: UserId,
    session_id: LoginSessionId,
    reason: &str,
) -> Result<bool> {
    if !db::login_sessions::end(&mut tx, user_id, session_id, reason, app.clock.now()).await? {
        return Ok(false);
    }
    commit_end(app, tx, user_id, &[session_id]).await?;
    Ok(true)
}

/// Commits the end of sessions of a person, and has their sockets cut, in whichever company of the person they were
/// opened: a token of the company that a session spoke for before is good for some minutes more.
pub(super) async fn commit_end(
    app: &App,
    mut tx: IdentityTx,
    user_id: UserId,
    ended: &[LoginSessionId],
) -> Result<()> {
    let memberships = db::users::list_memberships(&mut tx, user_id).await?;
    let scopes: Vec<_> =
        memberships.iter().map(|member| CompanyScope::assert_verified(member.company_id)).collect();
    // Who was shut out everywhere has no sockets.
    let Some(first) = scopes.first() else { return Ok(tx.commit().await?) };
    // A row of the outbox belongs to the company that the transaction is in; whose event it is stands in the event.
    let mut outgoing = Outgoing::default();
    for scope in &scopes {
        for session_ids in ended.chunks(IDS_OF_AN_EVENT) {
            outgoing.event(*scope, Event::LoginSessionsEnded { session_ids: session_ids.to_vec() })?;
        }
    }
    outbox::commit(app, tx.enter(*first).await?, outgoing).await
}

fn person(identity: &Identity) -> Result<(UserId, LoginSessionId)> {
    match identity.actor {
        Actor::Person { user_id, session_id, .. } => Ok((user_id, session_id)),
        Actor::Key { .. } => Err(Error::Forbidden("use a person's account with an API key")),
    }
}

async fn add_refresh_token(app: &App, tx: &mut IdentityTx, session: &LoginSession) -> Result<SecretString> {
    let token = new_secret(REFRESH_PREFIX);
    let token_hash = hash_secret(token.expose_secret());
    db::login_sessions::insert_token(tx, session, &token_hash, app.clock.now()).await?;
    Ok(token)
}

fn hand_out(
    app: &App,
    signer: &Signer,
    account: Account,
    session: &LoginSession,
    refresh_token: SecretString,
) -> Result<LoggedIn> {
    let company_id = session.active_company_id;
    let membership = account.memberships.iter().find(|member| member.company_id == company_id);
    let role = membership.ok_or(Error::Unauthenticated)?.role;
    let bearer = Bearer { user_id: account.user.id, session_id: session.id, company_id, role };
    let (token, expires_at) = signer.issue(app, bearer)?;
    let session_expires_at = session.expires_at;
    Ok(LoggedIn { account, company_id, token, expires_at, refresh_token, session_expires_at })
}
