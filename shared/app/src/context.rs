//! What every use case is handed: the database, the clouds, the providers, the clock. Nothing is built or connected
//! before its first use, so that a function starts fast and pays only for what it needs.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::Db;
use providers::guard::Guard;
use providers::oauth;
use providers::oauth::facebook::AppCredentials;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::error::{Result, internal};

/// Time and new ids, handed in so that tests decide them.
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> DateTime<Utc>;
    /// A new UUIDv7.
    fn new_id(&self) -> Uuid;
}

/// Names and addresses of what a function works with. One that a function does not use may be empty.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Secret with the application role's database URL.
    pub database_secret: String,
    /// Secret with the system role's database URL.
    pub system_database_secret: String,
    /// Secret that the sealing key is derived from.
    pub master_key_secret: String,
    /// Secret that the token key is derived from.
    pub token_key_secret: String,
    /// Secret with the AI provider's key.
    pub openai_key_secret: String,
    /// Queue of provider events.
    pub inbound_queue_url: String,
    /// Queue of sends.
    pub outbound_queue_url: String,
    /// Queue of turns that may be complete.
    pub turns_queue_url: String,
    /// Queue of turns that want an answer.
    pub ai_reply_queue_url: String,
    /// Queue of mails to people.
    pub mail_queue_url: String,
    /// Queue of files to fetch.
    pub media_queue_url: String,
    /// Queue of people to forget.
    pub erasures_queue_url: String,
    /// Queue of imports and exports.
    pub imports_queue_url: String,
    /// Queue of what is to be asked of accounts at providers.
    pub connections_queue_url: String,
    /// Where this consumer's hopeless messages go.
    pub dead_letter_queue_url: String,
    /// Event bus.
    pub event_bus: String,
    /// Table of webhook addresses.
    pub webhook_routes_table: String,
    /// Table of open WebSockets.
    pub sockets_table: String,
    /// Table of rate limits.
    pub rate_limits_table: String,
    /// Bucket of bodies that are too large for a queue.
    pub overflow_bucket: String,
    /// Where files lie.
    pub media: cloud::media::Location,
    /// Where messages to WebSockets are posted.
    pub websocket_endpoint: String,
    /// WhatsApp Cloud API.
    pub graph_base_url: String,
    /// Twilio.
    pub twilio_base_url: String,
    /// Where webhooks of the WhatsApp Cloud API are received, to be followed by a slug.
    pub meta_webhook_url: String,
    /// Where webhooks of Twilio are. Of the function itself: what the world calls it by, if that is not its own address.
    pub twilio_webhook_url: String,
    /// Where webhooks of gateways are, to be followed by the provider and a slug.
    pub gateway_webhook_url: String,
    /// OpenAI-compatible API, with its `/v1`.
    pub openai_base_url: String,
    /// Our applications at identity providers.
    pub google: Application,
    /// Facebook's.
    pub facebook: Application,
    /// Where Facebook's log-in page is; Graph has an address of its own, for this.
    pub facebook_graph_base_url: String,
    /// Our application at Meta, by which numbers come (Embedded Signup); empty for none.
    pub meta_app_id: String,
    /// Secret with its app secret.
    pub meta_app_secret: String,
    /// Which installation this is; part of every token.
    pub environment: String,
    /// Origin under which people reach panel and API, without a slash at its end.
    pub public_url: String,
    /// Other origins whose pages may call the API with a person's cookies.
    pub allowed_origins: Vec<String>,
    /// Who writes the mails to people.
    pub mail_from: String,
}

/// An application of ours at an identity provider; without an id there is none.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Its public id.
    pub client_id: String,
    /// Secret with its client secret.
    pub client_secret: String,
    /// Where the provider is; empty for the real one.
    pub base_url: String,
}

/// Everything that use cases work with. Cheap to clone: every request does it several times.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of an [`App`].
#[derive(Clone)]
pub struct Parts {
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// Names and addresses.
    pub settings: Arc<Settings>,
    /// Queues.
    pub queues: cloud::queue::Queues,
    /// Event bus.
    pub bus: cloud::bus::Bus,
    /// Large bodies.
    pub overflow: cloud::overflow::Overflow,
    /// Files.
    pub media: cloud::media::MediaStore,
    /// Webhook addresses.
    pub routes: cloud::routes::CachedRoutes,
    /// Open WebSockets.
    pub sockets: cloud::sockets::Sockets,
    /// Posts to WebSockets.
    pub push: cloud::push::Push,
    /// Secrets.
    pub secrets: cloud::secrets::Secrets,
    /// What seals single values at rest.
    pub sealing: cloud::keys::SealingKeys,
    /// What seals values that a browser keeps for us.
    pub browser_sealing: cloud::keys::SealingKeys,
    /// Rate limits.
    pub limits: cloud::limits::RateLimits,
    /// Mails.
    pub mailer: cloud::mail::Mailer,
    pub(crate) sessions: Arc<crate::auth::SessionCache>,
    /// What API keys may do.
    pub(crate) keys: Arc<crate::auth::KeyCache>,
    /// What companies decided.
    pub(crate) company_settings: Arc<crate::company::SettingsCache>,
    pub(crate) token_keys: Arc<crate::auth::tokens::TokenKeys>,
    pub(crate) readiness: Arc<crate::health::Readiness>,
    pub(crate) leases: Arc<crate::auth::throttle::Leases>,
    lazy: Arc<Lazy>,
}

#[derive(Default)]
struct Lazy {
    db: OnceCell<Db>,
    system_db: OnceCell<Db>,
    google: OnceCell<oauth::Client>,
    facebook: OnceCell<oauth::Client>,
    http: std::sync::OnceLock<reqwest::Client>,
    guarded_http: std::sync::OnceLock<reqwest::Client>,
}

/// The purpose of the key that seals what browsers keep for us. It lives as long as the one that signs tokens, and comes
/// from the same secret: the master key opens credentials of connections, and is not for functions that face anybody.
const IN_BROWSERS: &str = "master-ia/browser/v1";

/// One event at a time, and a hand-over beside it.
const CONNECTIONS: u32 = 2;

impl App {
    /// Puts the parts together; connects to nothing.
    pub fn new(clock: Arc<dyn Clock>, settings: Settings, aws: &cloud::Aws) -> Self {
        let routes_table = settings.webhook_routes_table.clone();
        let sockets_table = settings.sockets_table.clone();
        let limits_table = settings.rate_limits_table.clone();
        let secrets = cloud::secrets::Secrets::new(aws.clone());
        let master_key_secret = settings.master_key_secret.clone();
        let token_key_secret = settings.token_key_secret.clone();
        Self(Arc::new(Parts {
            clock,
            queues: cloud::queue::Queues::new(aws.clone()),
            bus: cloud::bus::Bus::new(aws.clone()),
            overflow: cloud::overflow::Overflow::new(aws.clone()),
            media: cloud::media::MediaStore::new(aws.clone(), secrets.clone(), settings.media.clone()),
            routes: cloud::routes::CachedRoutes::new(
                cloud::routes::WebhookRoutes::new(aws.clone()),
                routes_table,
            ),
            sockets: cloud::sockets::Sockets::new(aws.clone(), sockets_table),
            push: cloud::push::Push::new(aws.clone()),
            sealing: cloud::keys::SealingKeys::new(secrets.clone(), master_key_secret),
            browser_sealing: cloud::keys::SealingKeys::for_purpose(
                secrets.clone(),
                token_key_secret,
                IN_BROWSERS,
            ),
            secrets,
            limits: cloud::limits::RateLimits::new(aws.clone(), limits_table),
            mailer: cloud::mail::Mailer::new(aws.clone()),
            sessions: Arc::new(crate::auth::session_cache()),
            keys: Arc::new(crate::auth::key_cache()),
            company_settings: Arc::new(crate::company::settings_cache()),
            token_keys: Arc::default(),
            readiness: Arc::new(crate::health::readiness()),
            leases: Arc::default(),
            settings: Arc::new(settings),
            lazy: Arc::default(),
        }))
    }

    /// Uses these databases instead of the ones that the secrets name.
    #[must_use]
    pub fn with_databases(self, db: Db, system_db: Db) -> Self {
        let lazy = Lazy {
            db: OnceCell::new_with(Some(db)),
            system_db: OnceCell::new_with(Some(system_db)),
            ..Lazy::default()
        };
        Self(Arc::new(Parts { lazy: Arc::new(lazy), ..Arc::unwrap_or_clone(self.0) }))
    }

    /// The database, as the application role.
    ///
    /// # Errors
    /// When the secret cannot be read or is not a URL.
    pub async fn db(&self) -> Result<&Db> {
        self.lazy.db.get_or_try_init(|| self.open_database(&self.settings.database_secret)).await
    }

    /// The database, as the role of schedules and the relay.
    ///
    /// # Errors
    /// As [`Self::db`].
    pub async fn system_db(&self) -> Result<&Db> {
        self.lazy
            .system_db
            .get_or_try_init(|| self.open_database(&self.settings.system_database_secret))
            .await
    }

    async fn open_database(&self, secret_id: &str) -> Result<Db> {
        #[derive(serde::Deserialize)]
        struct DatabaseSecret {
            url: SecretString,
        }
        let secret = self.secrets.get(secret_id).await.map_err(internal)?;
        let secret: DatabaseSecret = serde_json::from_str(secret.expose_secret()).map_err(internal)?;
        Db::lazy(secret.url.expose_secret(), CONNECTIONS).map_err(internal)
    }

    /// An identity provider; `None` when this installation has no application there.
    ///
    /// # Errors
    /// When the application's secret cannot be read, or an address is none.
    pub async fn identity_provider(&self, provider: oauth::Provider) -> Result<Option<&oauth::Client>> {
        let (application, cell) = match provider {
            oauth::Provider::Google => (&self.settings.google, &self.lazy.google),
            oauth::Provider::Facebook => (&self.settings.facebook, &self.lazy.facebook),
        };
        if application.client_id.is_empty() {
            return Ok(None);
        }
        cell.get_or_try_init(|| self.open_identity_provider(provider, application)).await.map(Some)
    }

    async fn open_identity_provider(
        &self,
        provider: oauth::Provider,
        application: &Application,
    ) -> Result<oauth::Client> {
        let registration = oauth::Registration {
            client_id: application.client_id.clone(),
            client_secret: self.secrets.get(&application.client_secret).await.map_err(internal)?,
            redirect_uri: format!("{}/api/v1/auth/oauth/{provider}/callback", self.settings.public_url),
        };
        let http = self.http().clone();
        let base = application.base_url.as_str();
        Ok(match provider {
            oauth::Provider::Google if base.is_empty() => {
                oauth::Client::google(registration, oauth::google::Endpoints::of_google(), http)
            }
            oauth::Provider::Google => {
                let endpoints = oauth::google::Endpoints::below(base).map_err(internal)?;
                oauth::Client::google(registration, endpoints, http)
            }
            oauth::Provider::Facebook => {
                let graph = &self.settings.facebook_graph_base_url;
                let endpoints = oauth::facebook::Endpoints::below(base, graph).map_err(internal)?;
                oauth::Client::facebook(registration, endpoints, http)
            }
        })
    }

    /// Our application at Meta; `None` when this installation has none.
    ///
    /// # Errors
    /// When its secret cannot be read.
    pub async fn meta_app(&self) -> Result<Option<AppCredentials>> {
        if self.settings.meta_app_id.is_empty() {
            return Ok(None);
        }
        let secret = self.secrets.get(&self.settings.meta_app_secret).await.map_err(internal)?;
        Ok(Some(AppCredentials { id: self.settings.meta_app_id.clone(), secret }))
    }

    /// The HTTP client of all providers: connections are reused, redirects are not followed.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes the client")]
    pub fn http(&self) -> &reqwest::Client {
        self.lazy.http.get_or_init(|| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                // Well below the providers' own timeouts: a call that never connected was never sent.
                .connect_timeout(Duration::from_secs(3))
                .build()
                .expect("the platform's TLS roots load")
        })
    }

    /// The rule for addresses that customers give: the public internet alone, and a stand-in for Graph where that is on this
    /// machine.
    ///
    /// # Errors
    /// When Graph's own address is none.
    pub fn guard(&self) -> Result<Guard> {
        let stand_in = Url::parse(&self.settings.graph_base_url).map_err(internal)?;
        let guard = Guard::default();
        // Of what is elsewhere nothing is excepted.
        Ok(guard.clone().allowing(&[stand_in]).unwrap_or(guard))
    }

    /// The HTTP client for addresses that come out of answers and webhooks: it reaches the public internet alone, and a
    /// stand-in for Graph where that is on this machine.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn guarded_http(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.lazy.guarded_http.get() {
            return Ok(client);
        }
        let client = self.guard()?.client().map_err(internal)?;
        Ok(self.lazy.guarded_http.get_or_init(|| client))
    }
}
