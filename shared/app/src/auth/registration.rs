//! Registration: a company and its owner, whose address has to be proved before anybody gets in.
//!
//! No answer tells whether an address is registered: its owner is told, by mail.
//!
//! Anybody can register anybody's address. So the link in the mail is not enough: who follows it must also show that the
//! registration is theirs, by the browser that it was made in or by its password. Whoever proves the address in another
//! way (a new password, an invitation, a provider that runs the mailbox) claims the account, and nothing of the
//! registration's ways in is left.

use cloud::queue::QueueMessage;
use db::account_tokens::Purpose;
use db::users::User;
use db::{IdentityTx, Principal};
use domain::job::{ENVELOPE_VERSION, Job, JobEnvelope, Mail};
use domain::user::{Locale, Role, has_link, is_email};
use domain::{CompanyId, CompanyScope, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::gate::{self, Attempt};
use super::{Client, hash_secret, new_secret, passwords};
use crate::audit::{self, By, OfPerson};
use crate::error::{Error, Result, internal};
use crate::outbox::{self, Outgoing};
use crate::{App, text, trace};

/// The longest name of a person or a company.
pub(super) const NAME_CHARS: usize = 200;

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

/// What proves that an address is the registration's own to prove.
#[derive(Debug)]
pub struct Proof {
    /// The token of the mail.
    pub token: SecretString,
    /// What [`register`] gave to the browser.
    pub registration: Option<SecretString>,
    /// The password that was chosen.
    pub password: Option<SecretString>,
}

/// Registers a company and its owner, and sends the owner a link that proves the address. Somebody whose address is
/// registered and proved gets a mail that says so instead, and who belongs to no company any more a link that makes this
/// one; a registration whose address is not proved is replaced.
///
/// Returns what the browser keeps until the link is followed, whatever happened.
///
/// # Errors
/// `Invalid` for a field, `RetryLater` for too many.
pub async fn register(app: &App, client: &Client, new: Registration) -> Result<SecretString> {
    let company_name = name("company_name", &new.company_name)?;
    let person_name = name("name", &new.name)?;
    let email = address(&new.email)?;
    passwords::check(&new.password)?;
    gate::pass(app, Attempt::Register, client, Some(&email)).await?;
    let proof = new_secret("");
    let mut user = User {
        id: UserId(app.clock.new_id()),
        email,
        name: person_name,
        password_hash: Some(passwords::hash(new.password).await?),
        email_verified_at: None,
        registration_hash: Some(hash_secret(proof.expose_secret())),
        locale: new.locale,
    };
    let mut tx = app.db().await?.begin_identity(&Principal::Email(user.email.clone())).await?;
    let known = db::users::find_by_email(&mut tx, &user.email).await?;
    drop(tx);
    match known {
        None => create(app, client, &user, &company_name).await?,
        Some(known) => {
            user.id = known.id;
            if known.email_verified_at.is_some() || !replace(app, client, &user, &company_name).await? {
                tell(app, known.id, company_name).await?;
            }
        }
    }
    Ok(proof)
}

/// Tells the owner of an address that is proved that it was registered again. Nothing is kept of the registration but, in
/// the mail's link, the company's name: who followed it owns that company, and nobody else has a way in.
async fn tell(app: &App, user_id: UserId, company_name: String) -> Result<()> {
    if first_company(app, user_id).await?.is_some() {
        return send_to(app, user_id, Mail::AlreadyRegistered { user_id }).await;
    }
    queue(app, CompanyId(app.clock.new_id()), Mail::NewCompany { user_id, company_name }).await
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

/// Writes a registration over the last one of its address, whose link is void from here on. `false` when the address is
/// proved by now.
async fn replace(app: &App, client: &Client, user: &User, company_name: &str) -> Result<bool> {
    let Some(scope) = first_company(app, user.id).await? else { return Ok(false) };
    let mut tx = app.db().await?.begin(scope).await?;
    tx.act_as(user.id).await?;
    if !db::users::register_again(&mut tx, user).await? {
        return Ok(false);
    }
    db::users::forget_ways_in(&mut tx, user.id).await?;
    let was = db::companies::find_for_update(&mut tx).await?.ok_or(Error::NotFound("company"))?;
    if was.name != company_name {
        db::companies::rename(&mut tx, company_name).await?;
        let detail =
            serde_json::json!({ "from": was.name, "name": company_name, "reason": "registered_again" });
        let company = ("company", Some(was.id.0));
        audit::record(app, &mut tx, By::Person(user.id, client), "company.renamed", company, detail).await?;
    }
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SendMail { mail: Mail::VerifyEmail { user_id: user.id } })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(true)
}

/// Proves the address that a token was sent to, or makes the company that its owner registered anew.
///
/// # Errors
/// `Rule` `token_invalid` for one that is unknown, used, replaced or older than a day, `registration_unproved` when
/// nothing shows that the registration is the caller's: then the token stays good.
pub async fn verify_email(app: &App, client: &Client, proof: Proof) -> Result<()> {
    gate::pass(app, Attempt::Token, client, None).await?.forgive_if(app, verify(app, client, proof)).await
}

async fn verify(app: &App, client: &Client, proof: Proof) -> Result<()> {
    let now = app.clock.now();
    let token_hash = hash_secret(proof.token.expose_secret());
    let db = app.db().await?;
    let mut tx = db.begin_identity(&Principal::KeyHash(token_hash.clone())).await?;
    if let Some((user_id, name)) = db::account_tokens::find_new_company(&mut tx, &token_hash, now).await? {
        return found(app, client, tx, (user_id, &name), &token_hash).await;
    }
    let user_id = db::account_tokens::find_shown(&mut tx, Purpose::VerifyEmail, &token_hash, now).await?;
    let user_id = user_id.ok_or_else(token_invalid)?;
    tx.act_as(user_id).await?;
    let user = db::users::find(&mut tx, user_id).await?.ok_or_else(token_invalid)?;
    // Not open while a password is hashed.
    drop(tx);
    if !is_theirs(&user, proof).await? {
        return Err(registration_unproved());
    }
    let mut tx = db.begin_identity(&Principal::User(user_id)).await?;
    // Whatever was proved meanwhile, or registered over it: either the token is gone then, or the registration another.
    let used = db::account_tokens::delete(&mut tx, &token_hash).await?;
    let registration = user.registration_hash.as_deref();
    if !used || !db::users::set_email_verified(&mut tx, user_id, registration, now).await? {
        return Err(token_invalid());
    }
    let by = OfPerson::Themselves(client);
    audit::record_of_person(app, &mut tx, user_id, by, "person.email_verified", serde_json::json!({}))
        .await?;
    Ok(tx.commit().await?)
}

/// Makes the company of somebody who has an account already. Who holds the link reads the mailbox, and nobody else has a
/// way into the account by what was registered: no other proof is needed.
async fn found(
    app: &App,
    client: &Client,
    mut tx: IdentityTx,
    (user_id, company_name): (UserId, &str),
    token_hash: &str,
) -> Result<()> {
    tx.act_as(user_id).await?;
    if !db::account_tokens::delete(&mut tx, token_hash).await? {
        return Err(token_invalid());
    }
    let scope = CompanyScope::assert_verified(CompanyId(app.clock.new_id()));
    let mut tx = tx.enter(scope).await?;
    db::companies::insert(&mut tx, company_name).await?;
    db::members::insert(&mut tx, user_id, Role::Owner).await?;
    let company = ("company", Some(scope.company_id().0));
    let by = By::Person(user_id, client);
    audit::record(app, &mut tx, by, "company.registered", company, serde_json::json!({})).await?;
    Ok(tx.commit().await?)
}

async fn is_theirs(user: &User, proof: Proof) -> Result<bool> {
    let shown = proof.registration.map(|secret| hash_secret(secret.expose_secret()));
    if let (Some(shown), Some(kept)) = (shown, &user.registration_hash)
        && bool::from(shown.as_bytes().ct_eq(kept.as_bytes()))
    {
        return Ok(true);
    }
    match (proof.password, &user.password_hash) {
        (Some(password), Some(hash)) => passwords::verify(Some(hash.clone()), password).await,
        _ => Ok(false),
    }
}

/// Sends a new link to an address that is registered and not proved; to any other one nothing.
///
/// # Errors
/// `Invalid` for what is no address, `RetryLater` for too many.
pub async fn resend_verification(app: &App, client: &Client, email: &str) -> Result<()> {
    let email = address(email)?;
    gate::pass(app, Attempt::Mail, client, Some(&email)).await?;
    send_to_address(app, &email, |user_id| Mail::VerifyEmail { user_id }).await
}

/// Has a mail sent to whoever has an address, if anybody has. Nobody's is asked for in the same way and in the same time,
/// by an id that there is none of: whether there is somebody to write to is found out where the mail is written.
///
/// Nothing is changed here that the mail would have to leave with, and nobody has a company whose outbox would take it: it
/// goes to its queue at once.
pub(super) async fn send_to_address(app: &App, email: &str, mail: impl FnOnce(UserId) -> Mail) -> Result<()> {
    let mut tx = app.db().await?.begin_identity(&Principal::Email(email.to_owned())).await?;
    let known = db::users::find_by_email(&mut tx, email).await?;
    let user_id = known.map_or_else(|| UserId(app.clock.new_id()), |user| user.id);
    tx.act_as(user_id).await?;
    let memberships = db::users::list_memberships(&mut tx, user_id).await?;
    drop(tx);
    let company_id =
        memberships.first().map_or_else(|| CompanyId(app.clock.new_id()), |first| first.company_id);
    queue(app, company_id, mail(user_id)).await
}

/// Has a mail sent without an outbox.
async fn queue(app: &App, company_id: CompanyId, mail: Mail) -> Result<()> {
    let job = Job::SendMail { mail };
    let envelope = JobEnvelope { v: ENVELOPE_VERSION, company_id, trace: trace::current(), job };
    let message = QueueMessage::new(serde_json::to_string(&envelope).map_err(internal)?);
    app.queues.send_batch(&app.settings.mail_queue_url, vec![message]).await.map_err(internal)
}

/// Has a mail sent to a person. A job belongs to a company: the person's first.
pub(super) async fn send_to(app: &App, user_id: UserId, mail: Mail) -> Result<()> {
    let Some(scope) = first_company(app, user_id).await? else { return Ok(()) };
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SendMail { mail })?;
    outbox::commit(app, app.db().await?.begin(scope).await?, outgoing).await
}

async fn first_company(app: &App, user_id: UserId) -> Result<Option<CompanyScope>> {
    let mut tx = app.db().await?.begin_identity(&Principal::User(user_id)).await?;
    let memberships = db::users::list_memberships(&mut tx, user_id).await?;
    Ok(memberships.first().map(|first| CompanyScope::assert_verified(first.company_id)))
}

/// A name that can be shown.
pub(crate) fn name(field: &'static str, text: &str) -> Result<String> {
    let text = text::line(field, text, NAME_CHARS)?;
    if has_link(&text) {
        return Err(Error::invalid(field, "a name holds no link"));
    }
    Ok(text)
}

/// An address that a mail can be sent to, in the one form in which it is kept, counted and compared.
pub(crate) fn address(text: &str) -> Result<String> {
    let text = text.trim();
    if is_email(text) {
        Ok(text.to_ascii_lowercase())
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

fn registration_unproved() -> Error {
    Error::Rule {
        code: "registration_unproved",
        message: "open the link in the browser in which you registered, or give the password that you chose there; \
                  who did not register asks for a new password"
            .to_owned(),
    }
}
