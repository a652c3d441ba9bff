//! The deployed stack's queues, tables and secrets, found by the template's outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use app::{App, Settings};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use cloud::queue::QueueAttributes;
use db::Db;

use crate::Stack;

/// Every dead-letter queue, by the name of its output.
pub const DEAD_LETTER_QUEUES: &[&str] = &[
    "InboundDeadQueueUrl",
    "OutboundDeadQueueUrl",
    "TurnsDeadQueueUrl",
    "AiReplyDeadQueueUrl",
    "ErasuresDeadQueueUrl",
    "ConnectionsDeadQueueUrl",
    "MailDeadQueueUrl",
    "MediaDeadQueueUrl",
    "ImportsDeadQueueUrl",
    "PushDeadQueueUrl",
];

/// Every other queue but that of files, by the name of its output: a file that its provider does not give is waited for on
/// its queue for a week.
pub const QUEUES: &[&str] = &[
    "InboundQueueUrl",
    "OutboundQueueUrl",
    "TurnsQueueUrl",
    "AiReplyQueueUrl",
    "ErasuresQueueUrl",
    "ConnectionsQueueUrl",
    "MailQueueUrl",
    "ImportsQueueUrl",
    "PushQueueUrl",
];

/// The AWS side of a stack.
#[derive(Clone)]
pub struct Cloud {
    aws: cloud::Aws,
    outputs: Arc<BTreeMap<String, String>>,
}

impl Cloud {
    /// That of a stack; connects to nothing yet.
    ///
    /// # Panics
    /// When its address is not one of this machine.
    pub async fn of(stack: &Stack) -> Self {
        let local = ["http://127.0.0.1:", "http://localhost:"];
        assert!(
            local.iter().any(|prefix| stack.aws_endpoint_url.starts_with(prefix)),
            "tests only talk to an emulator on this machine, not to {}",
            stack.aws_endpoint_url
        );
        // The emulator's root, known to everybody.
        let root = Credentials::new("test", "test", None, None, "emulator");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(&stack.aws_endpoint_url)
            .region(Region::new("us-east-1"))
            .credentials_provider(root)
            .load()
            .await;
        Self { aws: cloud::Aws::with_config(config), outputs: Arc::new(stack.outputs.clone()) }
    }

    /// Its clients.
    pub fn aws(&self) -> &cloud::Aws {
        &self.aws
    }

    /// An output of the deployed stack.
    ///
    /// # Panics
    /// When it has none of this name.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("the stack has no output {name}"))
    }

    /// The current text of a secret.
    ///
    /// # Panics
    /// When the emulator does not tell.
    pub async fn secret(&self, name: &str) -> String {
        let secrets = aws_sdk_secretsmanager::Client::new(self.aws.config().await);
        let answer = secrets.get_secret_value().secret_id(name).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        answer.secret_string.unwrap_or_else(|| panic!("{name} has no text"))
    }

    /// Gives a secret another text, as a rotation does; makes it when there is none.
    ///
    /// # Panics
    /// When the emulator refuses.
    pub async fn set_secret(&self, name: &str, text: &str) {
        let secrets = aws_sdk_secretsmanager::Client::new(self.aws.config().await);
        if secrets.put_secret_value().secret_id(name).secret_string(text).send().await.is_ok() {
            return;
        }
        let created = secrets.create_secret().name(name).secret_string(text).send().await;
        created.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }

    /// Runs a schedule's function now, as EventBridge Scheduler does, and waits for its end.
    ///
    /// # Panics
    /// When the function fails.
    pub async fn run_schedule(&self, name: &str) {
        let endpoint = self.aws.config().await.endpoint_url().expect("the emulator's address").to_owned();
        let url = format!("{endpoint}/2015-03-31/functions/master-ia-local-{name}/invocations");
        // The emulator looks at whose key it is, and does not check the signature.
        let root = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, \
                    SignedHeaders=host, Signature=0";
        let request = crate::http_client().post(url).header("authorization", root).body("{}");
        let answer = request.send().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let failed = answer.headers().contains_key("x-amz-function-error") || !answer.status().is_success();
        let said = answer.text().await.unwrap_or_default();
        assert!(!failed, "{name}: {said}");
    }

    /// How many WebSockets of a company are open.
    ///
    /// # Panics
    /// When the emulator does not say.
    pub async fn open_sockets(&self, company_id: uuid::Uuid) -> usize {
        let sockets = cloud::sockets::Sockets::new(self.aws.clone(), self.output("SocketsTableName"));
        let company_id = domain::CompanyId(company_id);
        sockets.list_for_company(company_id).await.unwrap_or_else(|error| panic!("{error}")).len()
    }

    /// How full a queue is; `output` names it.
    ///
    /// # Panics
    /// When the emulator does not say.
    pub async fn queue(&self, output: &str) -> QueueAttributes {
        let queues = cloud::queue::Queues::new(self.aws.clone());
        queues.attributes(self.output(output)).await.unwrap_or_else(|error| panic!("{output}: {error}"))
    }

    /// How many messages lie in each dead-letter queue, without the empty ones.
    pub async fn dead_letters(&self) -> BTreeMap<&'static str, u64> {
        let mut dead = BTreeMap::new();
        for name in DEAD_LETTER_QUEUES {
            let queue = self.queue(name).await;
            let count = queue.waiting + queue.in_flight + queue.delayed;
            if count > 0 {
                dead.insert(*name, count);
            }
        }
        dead
    }

    /// How many messages are on [`QUEUES`] together.
    pub async fn queued(&self) -> u64 {
        let mut count = 0;
        for name in QUEUES {
            let queue = self.queue(name).await;
            count += queue.waiting + queue.in_flight + queue.delayed;
        }
        count
    }

    /// The use cases, as a program outside the functions may run them: for seeding.
    ///
    /// # Panics
    /// When a database address is none.
    pub fn app(&self, stack: &Stack) -> App {
        let settings = Settings {
            master_key_secret: self.output("MasterKeySecretArn").to_owned(),
            webhook_routes_table: self.output("WebhookRoutesTableName").to_owned(),
            environment: "local".to_owned(),
            ..Settings::default()
        };
        let db = |url: &str| Db::lazy(url, 2).expect("a PostgreSQL URL");
        App::new(Arc::new(runtime::clock::SystemClock), settings, &self.aws)
            .with_databases(db(&stack.database_url), db(&stack.admin_database_url))
    }
}
