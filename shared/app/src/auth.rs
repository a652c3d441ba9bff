//! Who is calling: passwords, tokens, API keys.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, PasswordHash};
use chrono::{DateTime, TimeDelta, Utc};
use db::users::{Membership, User};
use db::{Db, Principal};
use domain::user::{Permission, Role};
use domain::{CompanyId, CompanyScope, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::error::{Error, Result, internal};

/// How long a token is good for.
pub const TOKEN_LIFE: TimeDelta = TimeDelta::minutes(15);

/// What every API key begins with.
pub const API_KEY_PREFIX: &str = "mia_";

/// A caller that was let in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The company that the caller speaks for.
    pub scope: CompanyScope,
    /// The person; `None` for an API key.
    pub user_id: Option<UserId>,
    /// What the caller may do.
    pub role: Role,
}

impl Identity {
    /// Refuses a caller whose role lacks `permission`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.role.allows(permission) { Ok(()) } else { Err(Error::Forbidden(permission.act())) }
    }
}

/// A person with their companies.
#[derive(Clone, Debug)]
pub struct Account {
    /// The person.
    pub user: User,
    /// Where they belong, oldest first.
    pub memberships: Vec<Membership>,
}

/// A log-in that succeeded.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who it is.
    pub account: Account,
    /// The company that the token speaks for.
    pub company_id: CompanyId,
    /// The token (JWT, EdDSA).
    pub token: SecretString,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: UserId,
    company: CompanyId,
    role: Role,
    iat: i64,
    exp: i64,
}

/// Checks a password and makes a token for the person's first company.
///
/// # Errors
/// `Unauthenticated` for an unknown address as for a wrong password, after the same work.
pub async fn log_in(app: &App, email: &str, password: SecretString) -> Result<LoggedIn> {
    let db = app.db().await?;
    let user = db::users::find_by_email(db, email.trim()).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    if !verify_password(hash, password).await? {
        return Err(Error::Unauthenticated);
    }
    let user = user.ok_or(Error::Unauthenticated)?;
    let account = load_account(db, user.id).await?.ok_or(Error::Unauthenticated)?;
    let membership = account.memberships.first().ok_or(Error::Forbidden("use a company"))?;
    let (company_id, role) = (membership.company_id, membership.role);
    let now = app.clock.now();
    let expires_at = now + TOKEN_LIFE;
    let claims = Claims {
        iss: issuer(app),
        sub: user.id,
        company: company_id,
        role,
        iat: now.timestamp(),
        exp: expires_at.timestamp(),
    };
    let token = sign(app, &claims).await?;
    Ok(LoggedIn { account, company_id, token, expires_at })
}

/// The person behind a caller, with their companies.
///
/// # Errors
/// `Unauthenticated` when the caller is an API key, or the person is gone.
pub async fn me(app: &App, identity: &Identity) -> Result<Account> {
    let user_id = identity.user_id.ok_or(Error::Forbidden("read a person's account with an API key"))?;
    load_account(app.db().await?, user_id).await?.ok_or(Error::Unauthenticated)
}

/// Finds out who shows `credential`: a token or an API key.
///
/// # Errors
/// `Unauthenticated` for anything else.
pub async fn identify(app: &App, credential: &str) -> Result<Identity> {
    if credential.starts_with(API_KEY_PREFIX) {
        identify_key(app, credential).await
    } else {
        identify_token(app, credential).await
    }
}

async fn identify_key(app: &App, key: &str) -> Result<Identity> {
    let hash = hash_api_key(key);
    let mut tx = app.db().await?.begin_identity(&Principal::KeyHash(hash.clone())).await?;
    let key = db::users::find_api_key(&mut tx, &hash).await?.ok_or(Error::Unauthenticated)?;
    Ok(Identity { scope: CompanyScope::assert_verified(key.company_id), user_id: None, role: key.role })
}

async fn identify_token(app: &App, token: &str) -> Result<Identity> {
    let keys = token_keys(app).await?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[issuer(app)]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.leeway = 0;
    // Time is the clock's, so that tests decide it.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &keys.1, &validation)
        .map_err(|_| Error::Unauthenticated)?
        .claims;
    if claims.exp <= app.clock.now().timestamp() {
        return Err(Error::Unauthenticated);
    }
    Ok(Identity {
        scope: CompanyScope::assert_verified(claims.company),
        user_id: Some(claims.sub),
        role: claims.role,
    })
}

/// The hash under which an API key is kept: it is random and long, so that one round of SHA-256 is enough.
pub fn hash_api_key(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

/// Hashes a password (Argon2id, the parameters that OWASP recommends: 19 MiB, 2 passes), off the async threads.
///
/// # Errors
/// `Internal` only.
pub async fn hash_password(password: SecretString) -> Result<String> {
    tokio::task::spawn_blocking(move || {
        let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|error| internal(anyhow::anyhow!("{error}")))
    })
    .await
    .map_err(internal)?
}

/// Compared with when there is nobody: an unknown address costs as much as a known one.
static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| {
    Argon2::default().hash_password(b"nobody").expect("Argon2 hashes six bytes").to_string()
});

async fn verify_password(hash: Option<String>, password: SecretString) -> Result<bool> {
    tokio::task::spawn_blocking(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS_HASH.clone());
        let parsed = PasswordHash::new(&hash).map_err(|error| internal(anyhow::anyhow!("{error}")))?;
        let matches = Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok();
        Ok(known && matches)
    })
    .await
    .map_err(internal)?
}

async fn load_account(db: &Db, user_id: UserId) -> Result<Option<Account>> {
    let mut tx = db.begin_identity(&Principal::User(user_id)).await?;
    let Some(user) = db::users::find(&mut tx, user_id).await? else { return Ok(None) };
    let memberships = db::users::list_memberships(&mut tx, user_id).await?;
    Ok(Some(Account { user, memberships }))
}

/// A token of one installation is worth nothing at another.
fn issuer(app: &App) -> String {
    format!("master-ia/{}", app.settings.environment)
}

async fn sign(app: &App, claims: &Claims) -> Result<SecretString> {
    let keys = token_keys(app).await?;
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &keys.0)
        .map(SecretString::from)
        .map_err(internal)
}

/// The key pair (Ed25519), derived from the installation's secret.
async fn token_keys(app: &App) -> Result<(EncodingKey, DecodingKey)> {
    let secret = app.secrets.get(&app.settings.token_key_secret).await.map_err(internal)?;
    key_pair(&secret)
}

fn key_pair(secret: &SecretString) -> Result<(EncodingKey, DecodingKey)> {
    let mut seed = Sha256::new();
    seed.update(b"master-ia/token/v1");
    seed.update(secret.expose_secret().as_bytes());
    let signing = ed25519_dalek::SigningKey::from_bytes(&seed.finalize().into());
    // PKCS #8 (RFC 8410): a fixed head, then the seed.
    let mut pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    pkcs8.extend_from_slice(signing.as_bytes());
    let public = signing.verifying_key().to_bytes();
    Ok((EncodingKey::from_ed_der(&pkcs8), DecodingKey::from_ed_der(&public)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hash = hash_password(SecretString::from("correta")).await.expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "OWASP's parameters: {hash}");
        assert!(verify_password(Some(hash.clone()), SecretString::from("correta")).await.expect("checks"));
        assert!(!verify_password(Some(hash), SecretString::from("errada")).await.expect("checks"));
        assert!(!verify_password(None, SecretString::from("correta")).await.expect("checks"));
    }

    #[test]
    fn keys_come_from_the_secret() {
        let claims = Claims {
            iss: "master-ia/test".to_owned(),
            sub: UserId(uuid::Uuid::nil()),
            company: CompanyId(uuid::Uuid::nil()),
            role: Role::Owner,
            iat: 0,
            exp: 4_000_000_000,
        };
        let (encoding, decoding) = key_pair(&SecretString::from("um segredo")).expect("derives");
        let (_, other) = key_pair(&SecretString::from("outro segredo")).expect("derives");
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &encoding).expect("signs");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&["master-ia/test"]);
        assert!(jsonwebtoken::decode::<Claims>(&token, &decoding, &validation).is_ok());
        assert!(jsonwebtoken::decode::<Claims>(&token, &other, &validation).is_err());
    }
}
