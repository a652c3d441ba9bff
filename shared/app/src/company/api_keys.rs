//! API keys: made once, shown once, kept as a hash.

use chrono::{DateTime, Utc};
use db::api_keys::ApiKey;
use domain::ApiKeyId;
use domain::event::Event;
use domain::user::Permission;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::json;

use crate::audit::{self, By};
use crate::auth::registration::name;
use crate::auth::{API_KEY_PREFIX, Identity, hash_secret, new_secret};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position};

/// What a new key shall be.
#[derive(Clone, Debug, Serialize)]
pub struct NewApiKey {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Until when it is good; for ever without one.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What shall be true of a key; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What people call it.
    pub name: Option<String>,
    /// What it may do.
    pub permissions: Option<Vec<Permission>>,
    /// Until when it is good; `Some(None)` for ever.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// The keys, newest first, the revoked ones too.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<ApiKey>> {
    identity.require(Permission::ManageApiKeys)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let rows = db::api_keys::list(&mut tx, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |key| (key.created_at, key.id.0)))
}

/// One key, which may be revoked.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: ApiKeyId) -> Result<ApiKey> {
    identity.require(Permission::ManageApiKeys)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::api_keys::find(&mut tx, id).await?.ok_or(Error::NotFound("API key"))
}

/// Makes a key. It may do no more than who makes it.
///
/// # Errors
/// `Invalid` for a field, `Forbidden` for a permission that the caller lacks, `Rule` `shown_once` for a request that made
/// its key before.
pub async fn create(
    app: &App,
    identity: &Identity,
    new: NewApiKey,
    idempotency_key: Option<&IdempotencyKey>,
) -> Result<(ApiKey, SecretString)> {
    identity.require(Permission::ManageApiKeys)?;
    let now = app.clock.now();
    let permissions = givable(identity, &new.permissions)?;
    check_end(new.expires_at, now)?;
    let secret = new_secret(API_KEY_PREFIX);
    let text = secret.expose_secret();
    let key = ApiKey {
        id: ApiKeyId(app.clock.new_id()),
        name: name("name", &new.name)?,
        hint: text[text.len() - 4..].to_owned(),
        permissions,
        created_by: identity.user_id(),
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let mut tx = app.db().await?.begin(identity.scope).await?;
    if idempotency::claim(&mut tx, idempotency_key, "api_key", &new, key.id.0).await?.is_some() {
        return Err(Error::Rule {
            code: "shown_once",
            message: "this request made its key, which is shown once: revoke that one and make another"
                .to_owned(),
        });
    }
    db::api_keys::insert(&mut tx, &key, &hash_secret(text)).await?;
    let object = ("api_key", Some(key.id.0));
    let detail = json!({ "name": key.name, "permissions": key.permissions });
    audit::record(app, &mut tx, By::Caller(identity), "api_key.created", object, detail).await?;
    tx.commit().await?;
    Ok((key, secret))
}

/// Changes a key, whose holders notice within half a minute. It may do no more than who changes it.
///
/// # Errors
/// As [`create`]; `NotFound` for a key that there is not, or that was revoked.
pub async fn change(app: &App, identity: &Identity, id: ApiKeyId, change: Change) -> Result<ApiKey> {
    identity.require(Permission::ManageApiKeys)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let was = db::api_keys::find_for_update(&mut tx, id).await?.filter(|key| key.revoked_at.is_none());
    let mut key = was.ok_or(Error::NotFound("API key"))?;
    // Whoever changes a key could use it afterwards: it must not reach further than they do.
    for permission in key.permissions.iter().filter_map(|name| Permission::parse(name)) {
        identity.require(permission)?;
    }
    if let Some(text) = &change.name {
        key.name = name("name", text)?;
    }
    if let Some(permissions) = &change.permissions {
        key.permissions = givable(identity, permissions)?;
    }
    if let Some(end) = change.expires_at {
        check_end(end, app.clock.now())?;
        key.expires_at = end;
    }
    let key_hash = db::api_keys::update(&mut tx, &key).await?;
    let detail = json!({ "name": key.name, "permissions": key.permissions, "expires_at": key.expires_at });
    let object = ("api_key", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "api_key.changed", object, detail).await?;
    tx.commit().await?;
    app.keys.forget(&key_hash);
    Ok(key)
}

/// The names of permissions that the caller may give to a key, once each.
fn givable(identity: &Identity, permissions: &[Permission]) -> Result<Vec<String>> {
    if permissions.is_empty() {
        return Err(Error::invalid("permissions", "at least one"));
    }
    if let Some(personal) = permissions.iter().find(|permission| !permission.is_for_keys()) {
        return Err(Error::invalid("permissions", format!("{} is a person's", personal.as_str())));
    }
    for permission in permissions {
        identity.require(*permission)?;
    }
    let mut names: Vec<_> = permissions.iter().map(|permission| permission.as_str().to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn check_end(end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
    if end.is_some_and(|end| end <= now) {
        return Err(Error::invalid("expires_at", "this is over already"));
    }
    Ok(())
}

/// Refuses a key, whose holders notice within half a minute, and has the sockets cut that it opened.
///
/// # Errors
/// `NotFound` for a key that there is not, or that was revoked.
pub async fn revoke(app: &App, identity: &Identity, id: ApiKeyId) -> Result<()> {
    identity.require(Permission::ManageApiKeys)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let revoked = db::api_keys::revoke(&mut tx, id, app.clock.now()).await?;
    let key_hash = revoked.ok_or(Error::NotFound("API key"))?;
    let object = ("api_key", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "api_key.revoked", object, json!({})).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(identity.scope, Event::ApiKeyRevoked { api_key_id: id })?;
    outbox::commit(app, tx, outgoing).await?;
    app.keys.forget(&key_hash);
    Ok(())
}
