//! Logging in by Google and Facebook: OAuth 2 with an authorisation code, exchanged on the server.
//!
//! [`Client::start`] builds the address that the browser is sent to · [`Callback`] is what it comes back with ·
//! [`Client::exchange`] turns the code into a [`Profile`]. Below: [`google`] OpenID Connect with PKCE · [`id_token`] is
//! the token Google's, and for us · [`jwks`] Google's keys · [`facebook`] Graph · `error` what went wrong.
//!
//! Written out rather than taken from the crate `openidconnect`: two requests and one signature do not pay for eleven
//! more crates, among them `rsa` with an open advisory (RUSTSEC-2023-0071), and Facebook would stay ours anyway.

pub mod facebook;
pub mod google;

mod error;
pub mod id_token;
pub mod jwks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

pub use error::{OAuthClass, OAuthError, TokenFault};
use jwks::Jwks;

/// Longest wait for one answer; a log-in takes two.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Who vouches for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// A Google account.
    Google,
    /// A Facebook account.
    Facebook,
}

impl Provider {
    /// As it stands in paths and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Facebook => "facebook",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Our application as the provider knows it. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Google's client id, Facebook's app id.
    pub client_id: String,
    /// Google's client secret, Facebook's app secret.
    pub client_secret: SecretString,
    /// Where the browser comes back to, byte for byte as it is registered.
    pub redirect_uri: String,
}

/// Random bytes of one attempt to log in, from a cryptographic source.
#[derive(Clone)]
pub struct Secrets {
    /// Ties the callback to the browser that started.
    pub state: [u8; 32],
    /// Ties the identity token to the attempt.
    pub nonce: [u8; 32],
    /// Ties the code to us (PKCE).
    pub code_verifier: [u8; 32],
}

/// One attempt to log in. Keep all but `url` for some minutes, for one use, and `state` also in a cookie of the browser:
/// a callback whose state is not that of its own browser is somebody else's log-in.
#[derive(Clone, Debug)]
pub struct Start {
    /// Where to send the browser.
    pub url: Url,
    /// 43 characters; the callback repeats it.
    pub state: String,
    /// 43 characters; Google's token repeats it. Facebook's log-in has none.
    pub nonce: String,
    /// 43 characters, for the exchange. Facebook's log-in has none.
    pub code_verifier: SecretString,
}

/// The query with which the browser comes back. Look its `state` up before anything else: anybody can write the rest.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Callback {
    /// Names the attempt.
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    code: Option<SecretString>,
    #[serde(default)]
    error: Option<String>,
    /// Facebook alone, at times in place of `error`. Not documented: seen when a person cancelled (4201) and while an
    /// application is not live.
    #[serde(default)]
    error_code: Option<String>,
}

/// What is exchanged for a profile.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// From [`Callback::code`].
    pub code: &'a SecretString,
    /// Kept since [`Start`].
    pub code_verifier: &'a SecretString,
    /// Kept since [`Start`].
    pub nonce: &'a str,
}

/// A person, as the provider vouches for them.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// The provider's id of the person: with [`Provider`] the only thing that names an account. Facebook's is another
    /// for every app.
    pub subject: String,
    /// May be absent, and may change.
    pub email: Option<String>,
    /// The provider saw the person read that address, once. Always false for Facebook, which says nothing of it.
    pub email_verified: bool,
    /// The provider runs that mailbox, so that nobody else can have it by now: Gmail, or a Google Workspace domain.
    /// Without it Google itself asks for another proof before an existing account is taken over by its address
    /// (developers.google.com/identity/gsi/web/guides/verify-google-id-token).
    pub email_authoritative: bool,
    /// For display; may be empty.
    pub name: String,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and addresses stay out of logs.
        f.debug_struct("Profile")
            .field("subject", &self.subject)
            .field("has_email", &self.email.is_some())
            .field("email_verified", &self.email_verified)
            .field("email_authoritative", &self.email_authoritative)
            .finish_non_exhaustive()
    }
}

impl Callback {
    /// The code, or why there is none.
    ///
    /// # Errors
    /// [`OAuthError::Refused`] if the person said no; otherwise whose fault it is, by RFC 6749, section 4.1.2.1.
    pub fn code(&self) -> Result<&SecretString, OAuthError> {
        let detail = |error: &str| format!("the callback says {}", error::word(error));
        match (&self.error, &self.error_code, &self.code) {
            (Some(error), _, _) => Err(match error.as_str() {
                "access_denied" => OAuthError::Refused,
                "server_error" | "temporarily_unavailable" => OAuthError::unreadable(detail(error)),
                _ => OAuthError::configuration(detail(error)),
            }),
            (None, Some(code), _) if code == "4201" => Err(OAuthError::Refused),
            (None, Some(code), _) => Err(OAuthError::configuration(detail(code))),
            (None, None, Some(code)) if !code.expose_secret().is_empty() => Ok(code),
            (None, None, _) => Err(OAuthError::code_invalid("the callback brings none")),
        }
    }
}

/// One identity provider, for any number of people.
#[derive(Clone)]
pub struct Client {
    registration: Registration,
    flow: Flow,
    http: reqwest::Client,
    timeout: Duration,
}

#[derive(Clone)]
enum Flow {
    Google { endpoints: google::Endpoints, keys: Arc<Jwks> },
    Facebook(facebook::Endpoints),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("provider", &self.provider())
            .field("registration", &self.registration)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Log-in by Google. Clones share the keys that were fetched: make one for the life of the process.
    pub fn google(registration: Registration, endpoints: google::Endpoints, http: reqwest::Client) -> Self {
        let keys = Arc::new(Jwks::new(endpoints.keys.clone()));
        Self { registration, flow: Flow::Google { endpoints, keys }, http, timeout: TIMEOUT }
    }

    /// Log-in by Facebook.
    pub fn facebook(
        registration: Registration,
        endpoints: facebook::Endpoints,
        http: reqwest::Client,
    ) -> Self {
        Self { registration, flow: Flow::Facebook(endpoints), http, timeout: TIMEOUT }
    }

    /// Waits `timeout` for each answer instead of [`TIMEOUT`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whose log-in this is.
    pub fn provider(&self) -> Provider {
        match self.flow {
            Flow::Google { .. } => Provider::Google,
            Flow::Facebook(_) => Provider::Facebook,
        }
    }

    /// Begins an attempt. Calls nobody.
    pub fn start(&self, secrets: &Secrets) -> Start {
        let state = URL_SAFE_NO_PAD.encode(secrets.state);
        let nonce = URL_SAFE_NO_PAD.encode(secrets.nonce);
        let code_verifier = URL_SAFE_NO_PAD.encode(secrets.code_verifier);
        let url = match &self.flow {
            Flow::Google { endpoints, .. } => {
                google::authorise(endpoints, &self.registration, &state, &nonce, &challenge(&code_verifier))
            }
            Flow::Facebook(endpoints) => facebook::dialog(endpoints, &self.registration, &state),
        };
        Start { url, state, nonce, code_verifier: code_verifier.into() }
    }

    /// Turns the code of a callback into the person's profile. A code works once, within minutes.
    ///
    /// # Errors
    /// [`OAuthError`]; its class says whether to try again, start over or look into it.
    pub async fn exchange(&self, exchange: Exchange<'_>, now: DateTime<Utc>) -> Result<Profile, OAuthError> {
        match &self.flow {
            Flow::Google { endpoints, keys } => google::exchange(self, endpoints, keys, exchange, now).await,
            Flow::Facebook(endpoints) => facebook::exchange(self, endpoints, exchange.code).await,
        }
    }
}

/// `code_challenge` of the method S256 (RFC 7636, section 4.2).
fn challenge(code_verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_the_one_of_the_specification() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
