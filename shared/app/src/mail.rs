//! Mails to people: what they say, and the links in them.
//!
//! A link's token is made when its mail leaves, so that no queue and no table ever holds it: a mail that is sent again
//! carries a new one, and the last one is void.
//!
//! Anybody can have a mail sent to any address, and may have chosen the name that its account goes by: no mail greets by
//! name. The names in a mail are that of a company that invites, and that of a connection of one's own company.

mod letters;

use chrono::TimeDelta;
use db::Principal;
use db::account_tokens::{NewToken, Purpose};
use db::users::User;
use domain::job::Mail;
use domain::{CompanyScope, ConnectionId, InvitationId, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::App;
use crate::auth::{hash_secret, new_secret};
use crate::connections::health;
use crate::error::{Error, Result};
use letters::Letter;

/// How long a link that proves an address is good for, or makes a company.
const VERIFY_LIFE: TimeDelta = TimeDelta::hours(24);
/// How long a link to a new password is good for.
const RESET_LIFE: TimeDelta = TimeDelta::hours(1);

/// Writes and sends a mail; one that has become pointless is left.
///
/// # Errors
/// `Provider` when SES fails, else database errors.
pub async fn send(app: &App, scope: CompanyScope, mail: &Mail) -> Result<()> {
    match mail {
        Mail::VerifyEmail { user_id } => verify_email(app, *user_id).await,
        Mail::AlreadyRegistered { user_id } => already_registered(app, *user_id).await,
        Mail::LinkRequired { user_id } => link_required(app, *user_id).await,
        Mail::NewCompany { user_id, company_name } => new_company(app, *user_id, company_name).await,
        Mail::ResetPassword { user_id } => reset_password(app, *user_id).await,
        Mail::Invitation { invitation_id } => invitation(app, scope, *invitation_id).await,
        Mail::TokenEnding { user_id, connection_id } => {
            token_ending(app, scope, *user_id, *connection_id).await
        }
    }
}

async fn verify_email(app: &App, user_id: UserId) -> Result<()> {
    let user = find(app, user_id).await?;
    let Some(user) = user.filter(|user| user.email_verified_at.is_none()) else { return Ok(()) };
    let token = new_token(app, user_id, Purpose::VerifyEmail, None, VERIFY_LIFE).await?;
    let link = link(app, "verify-email", &token);
    post(app, &user.email, &letters::verify_email(user.locale, &link)).await
}

async fn already_registered(app: &App, user_id: UserId) -> Result<()> {
    let Some(user) = find(app, user_id).await? else { return Ok(()) };
    let public_url = &app.settings.public_url;
    let link = format!("{public_url}/login");
    post(app, &user.email, &letters::already_registered(user.locale, &link)).await
}

async fn link_required(app: &App, user_id: UserId) -> Result<()> {
    let Some(user) = find(app, user_id).await? else { return Ok(()) };
    let link = format!("{}/login", app.settings.public_url);
    post(app, &user.email, &letters::link_required(user.locale, &link)).await
}

async fn new_company(app: &App, user_id: UserId, company_name: &str) -> Result<()> {
    let Some(user) = find(app, user_id).await? else { return Ok(()) };
    let token = new_token(app, user_id, Purpose::NewCompany, Some(company_name), VERIFY_LIFE).await?;
    let link = link(app, "verify-email", &token);
    post(app, &user.email, &letters::new_company(user.locale, &link)).await
}

async fn reset_password(app: &App, user_id: UserId) -> Result<()> {
    let Some(user) = find(app, user_id).await? else { return Ok(()) };
    let token = new_token(app, user_id, Purpose::ResetPassword, None, RESET_LIFE).await?;
    let link = link(app, "reset-password", &token);
    post(app, &user.email, &letters::reset_password(user.locale, &link)).await
}

async fn invitation(app: &App, scope: CompanyScope, id: InvitationId) -> Result<()> {
    let token = new_secret("");
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(invitation) = db::invitations::find_open(&mut tx, id).await? else { return Ok(()) };
    let company = db::companies::find(&mut tx).await?.ok_or(Error::NotFound("company"))?;
    db::invitations::set_token(&mut tx, id, &hash_secret(token.expose_secret())).await?;
    tx.commit().await?;
    let link = link(app, "accept-invitation", &token);
    post(app, &invitation.email, &letters::invitation(invitation.locale, &company.name, &link)).await
}

async fn token_ending(app: &App, scope: CompanyScope, user_id: UserId, id: ConnectionId) -> Result<()> {
    // Somebody may have connected it again meanwhile.
    let Some(ending) = health::ending(app, scope, id).await? else { return Ok(()) };
    let Some(user) = find(app, user_id).await? else { return Ok(()) };
    let link = format!("{}/connections/{id}", app.settings.public_url);
    let expires_at = ending.expires_at.filter(|_| !ending.is_over);
    post(app, &user.email, &letters::token_ending(user.locale, &ending.name, expires_at, &link)).await
}

async fn find(app: &App, user_id: UserId) -> Result<Option<User>> {
    let mut tx = app.db().await?.begin_identity(&Principal::User(user_id)).await?;
    Ok(db::users::find(&mut tx, user_id).await?)
}

async fn new_token(
    app: &App,
    user_id: UserId,
    purpose: Purpose,
    company_name: Option<&str>,
    life: TimeDelta,
) -> Result<SecretString> {
    let token = new_secret("");
    let created_at = app.clock.now();
    let mut tx = app.db().await?.begin_identity(&Principal::User(user_id)).await?;
    let token_hash = &hash_secret(token.expose_secret());
    let expires_at = created_at + life;
    let new = NewToken { user_id, purpose, token_hash, company_name, created_at, expires_at };
    db::account_tokens::replace(&mut tx, new).await?;
    tx.commit().await?;
    Ok(token)
}

/// A page of the panel with a token. Behind the `#`, so that no server on the way and no log ever sees it.
fn link(app: &App, page: &str, token: &SecretString) -> String {
    format!("{}/{page}#token={}", app.settings.public_url, token.expose_secret())
}

async fn post(app: &App, to: &str, letter: &Letter) -> Result<()> {
    let mail = cloud::mail::Mail {
        from: app.settings.mail_from.clone(),
        to: to.to_owned(),
        subject: letter.subject.clone(),
        text: letter.text(),
        html: letter.html(),
    };
    let sent = app.mailer.send(mail).await.map_err(|error| {
        // A sender that is not verified, or a right that is missing, is mended without the mail.
        let retryable = error.code() != Some("BadRequestException");
        Error::Provider { provider: "ses", retryable, source: error.into() }
    })?;
    tracing::info!(mail.id = sent, "mail sent");
    Ok(())
}
