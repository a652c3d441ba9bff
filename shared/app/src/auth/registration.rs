//! Registration: a company and its owner, whose address has to be proved before anybody gets in.
//!
//! No answer tells whether an address is registered: its owner is told, by mail.

use db::Principal;
use db::account_tokens::Purpose;
use db::users::User;
use domain::job::{Job, Mail};
use domain::user::{Locale, Role, is_email};
use domain::{CompanyId, CompanyScope, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use super::gate::{self, Attempt};
use super::{Client, hash_secret, passwords};
use crate::App;
use crate::audit::{self, By};
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};

/// The longest name of a person or a company.
const NAME_CHARS: usize = 200;

/// Who registers.
#[derive(Debug)]
pub struct Registration {
    /// The company's name.
    pub company_name: String,
    /// The owner's name.
    pub name: String,
    /// The owner's address.
    pub email: String,
    /// The owner's password.
    pub password: SecretString,
    /// The language of the mails.
    pub locale: Locale,
}

/// Registers a company and its owner, and sends the owner a link that proves the address. Somebody whose address is
/// registered and proved gets a mail that says so instead; one whose address is not proved yet gets a new link, and the
/// new password.
///
/// # Errors
/// `Invalid` for a field, `RetryLater` for too many.
pub async fn register(app: &App, client: &Client, new: Registration) -> Result<()> {
    let company_name = name("company_name", &new.company_name)?;
    let person_name = name("name", &new.name)?;
    let email = address(&new.email)?;
    passwords::check(&new.password)?;
    gate::pass(app, Attempt::Register, client, Some(&email)).await?;
    let password_hash = passwords::hash(new.password).await?;

    let mut tx = app.db().await?.begin_identity(&Principal::Email(email.clone())).await?;
    let known = db::users::find_by_email(&mut tx, &email).await?;
    let Some(known) = known else {
        drop(tx);
        let user = User {
            id: UserId(app.clock.new_id()),
            email,
            name: person_name,
            password_hash: Some(password_hash),
            email_verified_at: None,
            locale: new.locale,
        };
        return create(app, client, &user, &company_name).await;
    };
    let mail = if known.email_verified_at.is_some() {
        Mail::AlreadyRegistered { user_id: known.id }
    } else {
        // Nobody has been let in with the last one, and only the owner of the address will be with this one.
        tx.act_as(known.id).await?;
        db::users::set_password(&mut tx, known.id, &password_hash).await?;
        Mail::VerifyEmail { user_id: known.id }
    };
    tx.commit().await?;
    send_to(app, known.id, mail).await
}

async fn create(app: &App, client: &Client, user: &User, company_name: &str) -> Result<()> {
    let scope = CompanyScope::assert_verified(CompanyId(app.clock.new_id()));
    let mut tx = app.db().await?.begin(scope).await?;
    tx.act_as(user.id).await?;
    match db::users::insert(&mut tx, user).await {
        // Somebody registered the same address a moment ago: that one's mail says so.
        Err(db::Error::Conflict(_)) => return Ok(()),
        inserted => inserted?,
    }
    db::companies::insert(&mut tx, company_name).await?;
    db::members::insert(&mut tx, user.id, Role::Owner).await?;
    let by = By::Person(user.id, client);
    let company = ("company", Some(scope.company_id().0));
    audit::record(app, &mut tx, by, "company.registered", company, serde_json::json!({})).await?;
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SendMail { mail: Mail::VerifyEmail { user_id: user.id } })?;
    outbox::commit(app, tx, outgoing).await
}

/// Proves the address that a token was sent to.
///
/// # Errors
/// `Rule` `token_invalid` for one that is unknown, used, replaced or older than a day.
pub async fn verify_email(app: &App, client: &Client, token: &SecretString) -> Result<()> {
    gate::pass(app, Attempt::Token, client, None).await?.forgive_if(app, verify(app, token)).await
}

async fn verify(app: &App, token: &SecretString) -> Result<()> {
    let now = app.clock.now();
    let token_hash = hash_secret(token.expose_secret());
    let mut tx = app.db().await?.begin_identity(&Principal::KeyHash(token_hash.clone())).await?;
    let user_id = db::account_tokens::find_shown(&mut tx, Purpose::VerifyEmail, &token_hash, now).await?;
    let user_id = user_id.ok_or_else(token_invalid)?;
    tx.act_as(user_id).await?;
    if !db::account_tokens::delete(&mut tx, &token_hash).await? {
        return Err(token_invalid());
    }
    db::users::set_email_verified(&mut tx, user_id, now).await?;
    Ok(tx.commit().await?)
}

/// Sends a new link to an address that is registered and not proved; to any other one nothing.
///
/// # Errors
/// `Invalid` for what is no address, `RetryLater` for too many.
pub async fn resend_verification(app: &App, client: &Client, email: &str) -> Result<()> {
    let email = address(email)?;
    gate::pass(app, Attempt::Mail, client, Some(&email)).await?;
    let mut tx = app.db().await?.begin_identity(&Principal::Email(email.clone())).await?;
    let user = db::users::find_by_email(&mut tx, &email).await?;
    drop(tx);
    match user.filter(|user| user.email_verified_at.is_none()) {
        Some(user) => send_to(app, user.id, Mail::VerifyEmail { user_id: user.id }).await,
        None => Ok(()),
    }
}

/// Has a mail sent to a person. A job belongs to a company: the person's first.
pub(super) async fn send_to(app: &App, user_id: UserId, mail: Mail) -> Result<()> {
    let db = app.db().await?;
    let mut tx = db.begin_identity(&Principal::User(user_id)).await?;
    let memberships = db::users::list_memberships(&mut tx, user_id).await?;
    drop(tx);
    let Some(membership) = memberships.first() else { return Ok(()) };
    let scope = CompanyScope::assert_verified(membership.company_id);
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SendMail { mail })?;
    outbox::commit(app, db.begin(scope).await?, outgoing).await
}

/// A name that can be shown.
pub(crate) fn name(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    let fits = (1..=NAME_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid(field, format!("1 to {NAME_CHARS} characters")))
    }
}

/// An address that a mail can be sent to.
pub(crate) fn address(text: &str) -> Result<String> {
    let text = text.trim();
    if is_email(text) {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid("email", "this is no email address"))
    }
}

/// What a token that was sent by mail and is no longer good is answered with.
pub(crate) fn token_invalid() -> Error {
    Error::Rule {
        code: "token_invalid",
        message: "this link was used, replaced or has expired; ask for a new one".to_owned(),
    }
}
