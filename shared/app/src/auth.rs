//! Who is calling, and what may they do.
//!
//! Rooms: here the caller of a request · [`tokens`] what a browser shows · [`passwords`] hashing · [`log_in`] sessions,
//! from log-in to log-out · [`registration`] a company and its owner · [`recovery`] a forgotten password · [`gate`] how
//! often one may try to get in · [`oauth`] Google and Facebook · [`throttle`] how much one may ask once inside.

pub mod gate;
pub mod log_in;
pub mod oauth;
pub mod passwords;
pub mod recovery;
pub mod registration;
pub mod throttle;
pub mod tokens;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cloud::cache::{Cache, Policy};
use db::api_keys::ShownKey;
use db::{Db, Principal};
use domain::message::Author;
use domain::user::{Permission, Role};
use domain::{ApiKeyId, CompanyScope, LoginSessionId, UserId};
use rand::RngCore as _;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::error::{Error, Result, internal};

/// What every API key begins with.
pub const API_KEY_PREFIX: &str = "mia_";

/// A key's last use is noted once in so long.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Whoever is shut out is out after half a minute; a request that comes with a known session or key costs no query until
/// then.
const CALLERS: Policy = Policy {
    fresh: Duration::from_secs(30),
    absent: Duration::from_secs(30),
    stale: Duration::ZERO,
    pause: Duration::ZERO,
    capacity: 10_000,
};

/// What is remembered of sessions: the role that each has in the company of its token.
pub(crate) type SessionCache = Cache<Role, Arc<Error>>;

/// What is remembered of API keys, by their hash.
pub(crate) type KeyCache = Cache<Arc<ShownKey>, Arc<Error>>;

/// An empty memory.
pub(crate) fn session_cache() -> SessionCache {
    Cache::new("login-sessions", CALLERS)
}

/// An empty memory.
pub(crate) fn key_cache() -> KeyCache {
    Cache::new("api-keys", CALLERS)
}

/// Where a request comes from, as the gateway saw it.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The address; empty when there is none to know.
    pub ip: String,
    /// The program, in its own words.
    pub user_agent: String,
}

/// A caller that was let in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The company that the caller speaks for.
    pub scope: CompanyScope,
    /// Who it is.
    pub actor: Actor,
    /// Where from.
    pub client: Client,
    /// When what they showed is over; `None` for never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Who acts.
#[derive(Clone, Debug)]
pub enum Actor {
    /// A person with a session.
    Person {
        /// The person.
        user_id: UserId,
        /// The session.
        session_id: LoginSessionId,
        /// Their role in the company.
        role: Role,
    },
    /// A program with an API key.
    Key {
        /// The key.
        id: ApiKeyId,
        /// What it may do.
        permissions: Vec<Permission>,
    },
}

impl Identity {
    /// Whether the caller holds `permission`.
    pub fn allows(&self, permission: Permission) -> bool {
        match &self.actor {
            Actor::Person { role, .. } => role.allows(permission),
            Actor::Key { permissions, .. } => permissions.contains(&permission),
        }
    }

    /// Refuses a caller who lacks `permission`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.allows(permission) { Ok(()) } else { Err(Error::Forbidden(permission.act())) }
    }

    /// The person; `None` for an API key.
    pub fn user_id(&self) -> Option<UserId> {
        match &self.actor {
            Actor::Person { user_id, .. } => Some(*user_id),
            Actor::Key { .. } => None,
        }
    }

    /// Whose words they are that the caller writes: an agent's, or another platform's with an API key.
    pub fn author(&self) -> Author {
        match &self.actor {
            Actor::Person { .. } => Author::Agent,
            Actor::Key { .. } => Author::AgentPlatform,
        }
    }

    /// The session that a person calls with; `None` for an API key.
    pub fn session_id(&self) -> Option<LoginSessionId> {
        match &self.actor {
            Actor::Person { session_id, .. } => Some(*session_id),
            Actor::Key { .. } => None,
        }
    }

    /// The role that limits what the caller may give to others; a key gives no roles.
    pub fn role(&self) -> Option<Role> {
        match &self.actor {
            Actor::Person { role, .. } => Some(*role),
            Actor::Key { .. } => None,
        }
    }
}

/// Finds out who shows `credential`: a token or an API key.
///
/// # Errors
/// `Unauthenticated` for anything else, for a session that has ended and for a person who was shut out.
pub async fn identify(app: &App, credential: &str, client: Client) -> Result<Identity> {
    identify_by(app, credential, client, Memory::Used).await
}

/// As [`identify`], but by what the database says now.
///
/// # Errors
/// As [`identify`].
pub async fn identify_anew(app: &App, credential: &str, client: Client) -> Result<Identity> {
    identify_by(app, credential, client, Memory::Unused).await
}

/// Whether what this process remembers of a caller will do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Used,
    Unused,
}

async fn identify_by(app: &App, credential: &str, client: Client, memory: Memory) -> Result<Identity> {
    if credential.starts_with(API_KEY_PREFIX) {
        identify_key(app, credential, client, memory).await
    } else {
        identify_token(app, credential, client, memory).await
    }
}

async fn identify_key(app: &App, key: &str, client: Client, memory: Memory) -> Result<Identity> {
    let key_hash = hash_secret(key);
    if memory == Memory::Unused {
        app.keys.forget(&key_hash);
    }
    let load = async || shown_key(app, &key_hash).await.map_err(Arc::new);
    let key = app.keys.get(&key_hash, load).await.map_err(internal)?.ok_or(Error::Unauthenticated)?;
    if key.expires_at.is_some_and(|end| end <= app.clock.now()) {
        return Err(Error::Unauthenticated);
    }
    let scope = CompanyScope::assert_verified(key.company_id);
    let permissions = key.permissions.iter().filter_map(|name| Permission::parse(name)).collect();
    Ok(Identity { scope, actor: Actor::Key { id: key.id, permissions }, client, expires_at: key.expires_at })
}

/// What the database says of a key, which is used now.
async fn shown_key(app: &App, key_hash: &str) -> Result<Option<Arc<ShownKey>>> {
    let db: &Db = app.db().await?;
    let now = app.clock.now();
    let mut tx = db.begin_identity(&Principal::KeyHash(key_hash.to_owned())).await?;
    let Some(key) = db::api_keys::find_shown(&mut tx, key_hash).await? else { return Ok(None) };
    // Read only: nothing to commit, and the connection is needed again.
    drop(tx);
    let is_over = key.expires_at.is_some_and(|end| end <= now);
    if !is_over && key.last_used_at.is_none_or(|last| last + TOUCH_EVERY <= now) {
        let mut tx = db.begin(CompanyScope::assert_verified(key.company_id)).await?;
        db::api_keys::touch(&mut tx, key.id, now).await?;
        tx.commit().await?;
    }
    Ok(Some(Arc::new(key)))
}

async fn identify_token(app: &App, token: &str, client: Client, memory: Memory) -> Result<Identity> {
    let claims = tokens::verify(app, token).await?;
    let key = session_key(claims.session, claims.company);
    if memory == Memory::Unused {
        app.sessions.forget(&key);
    }
    let load = async || current_role(app, &claims).await.map_err(Arc::new);
    let role = app.sessions.get(&key, load).await.map_err(internal)?.ok_or(Error::Unauthenticated)?;
    Ok(Identity {
        scope: CompanyScope::assert_verified(claims.company),
        actor: Actor::Person { user_id: claims.sub, session_id: claims.session, role },
        client,
        expires_at: DateTime::from_timestamp(claims.exp, 0),
    })
}

async fn current_role(app: &App, claims: &tokens::Claims) -> Result<Option<Role>> {
    let db: &Db = app.db().await?;
    let mut tx = db.begin_identity(&Principal::User(claims.sub)).await?;
    Ok(db::login_sessions::find_role(&mut tx, claims.session, claims.company, app.clock.now()).await?)
}

/// The key of a session's role in this process's memory.
pub(crate) fn session_key(session_id: LoginSessionId, company_id: domain::CompanyId) -> String {
    format!("{session_id}/{company_id}")
}

/// A new secret to hand out: 32 random bytes, hexadecimal, behind `prefix`.
pub(crate) fn new_secret(prefix: &str) -> SecretString {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    SecretString::from(format!("{prefix}{}", hex::encode(bytes)))
}

/// The hash under which a secret of [`new_secret`] is kept: it is random and long, so that one round of SHA-256 does.
pub fn hash_secret(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
