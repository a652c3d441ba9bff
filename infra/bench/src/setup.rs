//! What stands around the functions: the programs, the AWS stand-in with its secrets, the database with the demo
//! company and the messages that are there already.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use app::demo::{Demo, DemoConnection};
use app::{App, Clock as _, Settings};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use domain::persona::Persona;
use domain::{ApiKeyId, CompanyId, ConnectionId, PersonaId, UserId};
use runtime::clock::SystemClock;
use secrecy::SecretString;

use crate::aws_stand_in::AwsStandIn;
use crate::database::BenchDatabase;
use crate::payloads::{ACCOUNT_ID, Home, PHONE_NUMBER_ID, SLUG};
use crate::worker::Worker;

/// Secrets of nobody, of the lengths that real ones have.
const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
const MASTER_KEY: &str = "bench-master-key-bench-master-key-bench-master-key";

/// The demo company's owner.
pub(crate) const EMAIL: &str = "bench@example.com";
/// Their password.
pub(crate) const PASSWORD: &str = "bench-password";
/// Its API key.
pub(crate) const API_KEY: &str = "mia_bench";

/// Everything that measurements run in.
pub(crate) struct Setup {
    /// AWS.
    pub(crate) aws: AwsStandIn,
    /// The database of this run.
    pub(crate) database: BenchDatabase,
    /// The company that events are for.
    pub(crate) home: Home,
    /// What webhooks are signed with.
    pub(crate) app_secret: SecretString,
    programs: PathBuf,
    logs: PathBuf,
}

impl Setup {
    /// Starts the stand-in, makes the database and in it the demo company.
    ///
    /// # Errors
    /// When a part does not start.
    pub(crate) async fn new(database: BenchDatabase) -> anyhow::Result<Self> {
        let aws = AwsStandIn::start().await?;
        let address = |url: &str| serde_json::json!({ "url": url }).to_string();
        aws.set_secret("database", address(&database.application_url));
        aws.set_secret("system-database", address(&database.system_url));
        aws.set_secret("master-key", MASTER_KEY);
        aws.set_secret("token-key", MASTER_KEY);
        aws.set_secret("openai-key", "sk-bench");
        let home = Home {
            company_id: CompanyId(SystemClock.new_id()),
            connection_id: ConnectionId(SystemClock.new_id()),
        };
        app::demo::seed(&app(&aws), &demo(home)).await.map_err(|error| anyhow::anyhow!(error.chain()))?;
        let programs = std::env::current_exe()?.parent().context("this program has no folder")?.to_owned();
        let logs = checkout().join(".local/bench/logs");
        std::fs::create_dir_all(&logs).context("cannot make the folder of the logs")?;
        Ok(Self { aws, database, home, app_secret: APP_SECRET.into(), programs, logs })
    }

    /// The use cases, in this process.
    pub(crate) fn app(&self) -> App {
        app(&self.aws)
    }

    /// Starts a function.
    ///
    /// # Errors
    /// When it was not built, or does not come up.
    pub(crate) async fn start(&self, name: &str) -> anyhow::Result<Worker> {
        let program = self.programs.join(name);
        ensure!(program.is_file(), "{name} is not built: `make bench` builds it, or `cargo build --release`");
        Worker::start(&program, &self.environment(), &self.logs.join(format!("{name}.log"))).await
    }

    /// How large a function's program is, in bytes.
    ///
    /// # Errors
    /// When it was not built.
    pub(crate) fn size(&self, name: &str) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(self.programs.join(name)).with_context(|| format!("{name} is not built"))?.len())
    }

    /// What every function finds in its environment; each reads what it uses.
    fn environment(&self) -> Vec<(String, String)> {
        let queue = |name: &str| format!("{}/000000000000/{name}", self.aws.url());
        [
            ("AWS_ENDPOINT_URL", self.aws.url()),
            ("AWS_ACCESS_KEY_ID", "AKIABENCHBENCHBENCH1".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "bench".to_owned()),
            ("AWS_SESSION_TOKEN", "bench".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("DATABASE_SECRET", "database".to_owned()),
            ("SYSTEM_DATABASE_SECRET", "system-database".to_owned()),
            ("MASTER_KEY_SECRET", "master-key".to_owned()),
            ("TOKEN_KEY_SECRET", "token-key".to_owned()),
            ("OPENAI_KEY_SECRET", "openai-key".to_owned()),
            ("INBOUND_QUEUE_URL", queue("inbound.fifo")),
            ("OUTBOUND_QUEUE_URL", queue("outbound.fifo")),
            ("TURNS_QUEUE_URL", queue("turns")),
            ("AI_REPLY_QUEUE_URL", queue("ai-reply")),
            ("DEAD_LETTER_QUEUE_URL", queue("dead.fifo")),
            ("EVENT_BUS", "domain-events".to_owned()),
            ("WEBHOOK_ROUTES_TABLE", ROUTES_TABLE.to_owned()),
            ("MAIL_QUEUE_URL", queue("mail")),
            ("MEDIA_QUEUE_URL", queue("media")),
            ("IMPORTS_QUEUE_URL", queue("imports.fifo")),
            ("MEDIA_BUCKET", "media".to_owned()),
            ("ERASURES_QUEUE_URL", queue("erasures")),
            ("CONNECTIONS_QUEUE_URL", queue("connections")),
            ("RATE_LIMITS_TABLE", "rate-limits".to_owned()),
            ("SOCKETS_TABLE", "sockets".to_owned()),
            ("OVERFLOW_BUCKET", "overflow".to_owned()),
            ("WEBSOCKET_ENDPOINT", self.aws.url()),
            ("PUBLIC_URL", self.aws.url()),
            ("ENVIRONMENT", "bench".to_owned()),
            ("RUST_LOG", "info".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

const ROUTES_TABLE: &str = "webhook-routes";

/// The folder of `template.yaml`.
pub(crate) fn checkout() -> &'static Path {
    let infra = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    infra.and_then(Path::parent).expect("this package is two folders deep")
}

/// The names of all functions: a main in `functions/*/src/bin` each, ascending.
///
/// # Errors
/// When the checkout cannot be read.
pub(crate) fn functions() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for kind in std::fs::read_dir(checkout().join("functions"))? {
        let mains = kind?.path().join("src/bin");
        if !mains.is_dir() {
            continue;
        }
        for main in std::fs::read_dir(mains)? {
            let main = main?.path();
            if main.extension().is_some_and(|extension| extension == "rs") {
                names.extend(main.file_stem().map(|name| name.to_string_lossy().into_owned()));
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn app(aws: &AwsStandIn) -> App {
    let credentials = Credentials::new("bench", "bench", None, None, "bench");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(aws.url())
        .build();
    let settings = Settings {
        database_secret: "database".to_owned(),
        master_key_secret: "master-key".to_owned(),
        token_key_secret: "token-key".to_owned(),
        rate_limits_table: "rate-limits".to_owned(),
        environment: "bench".to_owned(),
        webhook_routes_table: ROUTES_TABLE.to_owned(),
        ..Settings::default()
    };
    App::new(Arc::new(SystemClock), settings, &cloud::Aws::with_config(config))
}

fn demo(home: Home) -> Demo {
    Demo {
        company_id: home.company_id,
        company_name: "Loja da medição".to_owned(),
        user_id: UserId(SystemClock.new_id()),
        email: EMAIL.to_owned(),
        password: PASSWORD.into(),
        api_key: API_KEY.into(),
        api_key_id: ApiKeyId(SystemClock.new_id()),
        persona: Persona {
            id: PersonaId(SystemClock.new_id()),
            name: "Bia".to_owned(),
            model: "gpt-4o-mini".to_owned(),
            instructions: "Responda com gentileza.".to_owned(),
            temperature: None,
            max_completion_tokens: None,
        },
        connection: DemoConnection {
            id: home.connection_id,
            name: "WhatsApp".to_owned(),
            slug: SLUG.to_owned(),
            phone_number_id: PHONE_NUMBER_ID.to_owned(),
            waba_id: ACCOUNT_ID.to_owned(),
            app_secret: APP_SECRET.into(),
            verify_token: "bench-verify".into(),
            access_token: "bench-access".into(),
        },
    }
}
