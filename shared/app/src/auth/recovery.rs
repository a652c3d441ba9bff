//! A forgotten password: a link by mail, good once and for an hour, allows a new one. All sessions end with the old one.

use db::Principal;
use db::account_tokens::Purpose;
use domain::job::Mail;
use secrecy::{ExposeSecret as _, SecretString};

use super::gate::{self, Attempt};
use super::log_in::commit_end;
use super::registration::{address, send_to_address, token_invalid};
use super::{Client, hash_secret, passwords};
use crate::App;
use crate::error::Result;

/// Sends a link to an address that is registered; to any other one nothing, with the same answer.
///
/// # Errors
/// `Invalid` for what is no address, `RetryLater` for too many.
pub async fn forgot(app: &App, client: &Client, email: &str) -> Result<()> {
    let email = address(email)?;
    gate::pass(app, Attempt::Mail, client, Some(&email)).await?;
    send_to_address(app, &email, |user_id| Mail::ResetPassword { user_id }).await
}

/// Sets a new password by such a link. The link also proves the address: of an account whose address was not proved, this
/// password is the only way in from now on. Log-ins that failed before count no more.
///
/// # Errors
/// `Invalid` for the password, `Rule` `token_invalid` for a token that is not good.
pub async fn reset(app: &App, client: &Client, token: &SecretString, password: SecretString) -> Result<()> {
    passwords::check(&password)?;
    let passed = gate::pass(app, Attempt::Token, client, None).await?;
    let email = passed.forgive_if(app, set(app, token, password)).await?;
    gate::forgive_log_ins(app, client, &email).await;
    Ok(())
}

/// Sets it; the address of whose it is.
async fn set(app: &App, token: &SecretString, password: SecretString) -> Result<String> {
    let now = app.clock.now();
    let password_hash = passwords::hash(password).await?;
    let token_hash = hash_secret(token.expose_secret());
    let mut tx = app.db().await?.begin_identity(&Principal::KeyHash(token_hash.clone())).await?;
    let user_id = db::account_tokens::find_shown(&mut tx, Purpose::ResetPassword, &token_hash, now).await?;
    let user_id = user_id.ok_or_else(token_invalid)?;
    tx.act_as(user_id).await?;
    if !db::account_tokens::delete(&mut tx, &token_hash).await? {
        return Err(token_invalid());
    }
    let user = db::users::find(&mut tx, user_id).await?.ok_or_else(token_invalid)?;
    if !db::users::claim(&mut tx, user_id, &user.name, Some(&password_hash), now).await? {
        db::users::set_password(&mut tx, user_id, &password_hash).await?;
    }
    let ended = db::login_sessions::end_all(&mut tx, user_id, "password_reset", now).await?;
    commit_end(app, tx, user_id, &ended).await?;
    Ok(user.email)
}
