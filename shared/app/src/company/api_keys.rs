//! API keys: made once, shown once, kept as a hash.

use chrono::{DateTime, Utc};
use db::api_keys::ApiKey;
use domain::ApiKeyId;
use domain::event::Event;
use domain::user::Permission;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::App;
use crate::audit::{self, By};
use crate::auth::registration::name;
use crate::auth::{API_KEY_PREFIX, Identity, hash_secret, new_secret};
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};

/// What a new key shall be.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Until when it is good; for ever without one.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The keys, newest first, the revoked ones too.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(app: &App, identity: &Identity) -> Result<Vec<ApiKey>> {
    identity.require(Permission::ManageApiKeys)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    Ok(db::api_keys::list(&mut tx).await?)
}

/// Makes a key. It may do no more than who makes it.
///
/// # Errors
/// `Invalid` for a field, `Forbidden` for a permission that the caller lacks.
pub async fn create(app: &App, identity: &Identity, new: NewApiKey) -> Result<(ApiKey, SecretString)> {
    identity.require(Permission::ManageApiKeys)?;
    let now = app.clock.now();
    if new.permissions.is_empty() {
        return Err(Error::invalid("permissions", "at least one"));
    }
    if let Some(personal) = new.permissions.iter().find(|permission| !permission.is_for_keys()) {
        return Err(Error::invalid("permissions", format!("{} is a person's", personal.as_str())));
    }
    for permission in &new.permissions {
        identity.require(*permission)?;
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::invalid("expires_at", "this is over already"));
    }
    let secret = new_secret(API_KEY_PREFIX);
    let text = secret.expose_secret();
    let mut permissions: Vec<_> = new.permissions.iter().map(|p| p.as_str().to_owned()).collect();
    permissions.sort_unstable();
    permissions.dedup();
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
    db::api_keys::insert(&mut tx, &key, &hash_secret(text)).await?;
    let object = ("api_key", Some(key.id.0));
    let detail = json!({ "name": key.name, "permissions": key.permissions });
    audit::record(app, &mut tx, By::Caller(identity), "api_key.created", object, detail).await?;
    tx.commit().await?;
    Ok((key, secret))
}

/// Refuses a key from now on, and has the sockets cut that it opened.
///
/// # Errors
/// `NotFound` for a key that there is not, or that was revoked.
pub async fn revoke(app: &App, identity: &Identity, id: ApiKeyId) -> Result<()> {
    identity.require(Permission::ManageApiKeys)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    if !db::api_keys::revoke(&mut tx, id, app.clock.now()).await? {
        return Err(Error::NotFound("API key"));
    }
    let object = ("api_key", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "api_key.revoked", object, json!({})).await?;
    let mut outgoing = Outgoing::default();
    outgoing.event(identity.scope, Event::ApiKeyRevoked { api_key_id: id })?;
    outbox::commit(app, tx, outgoing).await
}
