//! The product in the test's own process: real handlers over the PostgreSQL and the emulator of a running stack, step by
//! step, so that a test decides what time it is, in which order things happen and where a process dies.
//!
//! Queues and bus are the flow's own, so that the deployed functions do not compete for what is on them; tables, buckets,
//! secrets, the database and the stand-in for third parties are the stack's. The stand-in posts its webhooks to an
//! address that the flow serves.
//!
//! Rooms: [`clock`] time · [`queues`] what stands between the functions · [`line`] the way to PostgreSQL · [`death`] of a
//! process.

mod clock;
mod death;
mod line;
mod queues;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::{App, Settings};
use aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use chrono::TimeDelta;
use db::Db;
use domain::job::Queue;
use lambda_http::request::RequestContext;
use serde_json::Value;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::{Answer, Cloud, PATIENCE, Sandbox, Stack, Tenant, TenantOptions};
pub use clock::FlowClock;
pub use death::at_answer;
use line::Line;
use queues::Queues;
pub use queues::Withheld;

/// The secret that the launcher makes beside the template.
const OPENAI_KEY_SECRET: &str = "master-ia-local/openai-key";

/// Our application at the sandbox's Meta, and the secret of it that the launcher makes.
const META_APP: (&str, &str) = ("100000000000099", "master-ia-local/facebook");

/// As many connections as a function has.
const CONNECTIONS: u32 = 2;

/// Longer than the claim on a row of the outbox.
const CLAIM_RUNS_OUT: TimeDelta = TimeDelta::minutes(1);

/// The functions of one company in this process.
pub struct Flow {
    /// The stack, with the flow's own webhook address.
    pub stack: Stack,
    /// Third parties.
    pub sandbox: Sandbox,
    /// The company.
    pub tenant: Tenant,
    /// The time of every handler.
    pub clock: Arc<FlowClock>,
    /// PostgreSQL as the superuser.
    pub admin: PgPool,
    aws: cloud::Aws,
    settings: Settings,
    queues: Queues,
    process: Mutex<Process>,
    server: JoinHandle<()>,
}

/// A function's process.
struct Process {
    app: App,
    _line: Line,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The queue was empty.
    Nothing,
    /// The consumer came to its end, and the queue heard what it said.
    Done,
    /// The consumer died; the batch comes again.
    Died,
}

impl Flow {
    /// A company of its own on the stack that runs, with queues of its own.
    ///
    /// # Panics
    /// When there is no stack, or it refuses.
    pub async fn start(options: TenantOptions) -> Self {
        let mut stack = Stack::load();
        let cloud = Cloud::of(&stack).await;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        stack.webhook_urls.meta = format!("http://{address}");
        stack.webhook_urls.twilio = format!("http://{address}/twilio");
        stack.webhook_urls.gateway = format!("http://{address}/gateway");
        let tenant = Tenant::seed_with(&stack, &cloud, options).await;
        let queues = Queues::make(&cloud).await;
        let clock = Arc::new(FlowClock::ahead());
        let (settings, aws) = (settings(&stack, &cloud, &queues), cloud.aws().clone());
        let process = Process::start(&stack, &tenant, clock.clone(), settings.clone(), &aws).await;
        let router = runtime::http::finish(all_webhooks(), process.app.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the listener stays open");
        });
        let (sandbox, admin, process) = (Sandbox::of(&stack), stack.admin(), Mutex::new(process));
        Self { stack, sandbox, tenant, clock, admin, aws, settings, queues, process, server }
    }

    /// The same installation without an application at Meta.
    #[must_use]
    pub async fn without_meta_app(mut self) -> Self {
        self.settings.meta_app_id.clear();
        self.replace_process().await;
        self
    }

    fn app(&self) -> App {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).app.clone()
    }

    /// Whoever goes on after a death is another process: no connection and nothing remembered is left.
    async fn replace_process(&self) {
        let (clock, settings) = (self.clock.clone(), self.settings.clone());
        let process = Process::start(&self.stack, &self.tenant, clock, settings, &self.aws).await;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
    }

    /// Does `work` of this flow unless its process dies: `dies` is asked whenever an answer is there that `work` waits
    /// for, before it hears it. `None` when it died. In a runtime of one thread, no answer is missed.
    pub async fn unless<T>(
        &self,
        work: impl Future<Output = T>,
        dies: impl AsyncFnMut() -> bool,
    ) -> Option<T> {
        let outcome = death::unless(work, dies).await;
        if outcome.is_none() {
            self.replace_process().await;
        }
        outcome
    }

    /// A call of the company's webhook.
    ///
    /// # Panics
    /// When the signature fits into no header.
    pub async fn webhook(&self, body: impl Into<Vec<u8>>, signature: Option<&str>) -> Answer {
        let mut request =
            Request::post(format!("/{}", self.tenant.slug)).header(CONTENT_TYPE, "application/json");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let request = request.body(Body::from(body.into())).expect("a request");
        self.call(webhooks::meta::router(), request).await
    }

    /// A call of the company's webhook with the right signature.
    pub async fn deliver(&self, body: &str) -> Answer {
        let signature = crate::webhook::sign(&self.tenant.app_secret, body.as_bytes());
        self.webhook(body, Some(&signature)).await
    }

    /// A call of any webhook: `/<slug>…` of Meta's, `/twilio/<slug>…`, `/gateway/<provider>/<slug>`.
    ///
    /// # Panics
    /// When a header fits into no request.
    pub async fn call_webhook(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.into())).expect("a request");
        self.call(all_webhooks(), request).await
    }

    /// A call of the HTTP API with the company's key; `path` below `/api/v1/`.
    ///
    /// # Panics
    /// When there is no such path.
    pub async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.api_with(method, path, body, None).await
    }

    /// As [`Self::api`], with an `Idempotency-Key`.
    pub async fn api_once(&self, method: Method, path: &str, key: &str, body: &Value) -> Answer {
        self.api_with(method, path, Some(body), Some(key)).await
    }

    async fn api_with(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> Answer {
        let none = api::group::Group::new();
        let groups = api::groups().into_iter().fold(none, |all, (_, group)| all.merge(group));
        let mut request = Request::builder();
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request
            .method(method)
            .uri(format!("{}/{path}", api::PREFIX))
            .header(AUTHORIZATION, format!("Bearer {}", self.tenant.api_key))
            .header(CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .expect("a request");
        self.call(api::serve(groups), request).await
    }

    /// Each call comes from an address of its own: limits that count addresses count it alone.
    async fn call(&self, router: Router<App>, mut request: Request) -> Answer {
        let mut context = ApiGatewayV2httpRequestContext::default();
        context.http.source_ip = Some(crate::new_word("flow-"));
        request.extensions_mut().insert(RequestContext::ApiGatewayV2(context));
        let router = runtime::http::finish(router, self.app());
        let Ok(response) = router.oneshot(request).await;
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("an answer has a whole body");
        Answer::new(head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// Hands a batch to its consumer. What that reports as failed comes again, without its pause.
    pub async fn step(&self, queue: Queue) -> Step {
        self.step_unless(queue, async || false).await
    }

    /// As [`Self::step`], but the consumer dies when `dies` says so; see [`Self::unless`].
    pub async fn step_unless(&self, queue: Queue, dies: impl AsyncFnMut() -> bool) -> Step {
        let Some(delivery) = self.queues.receive(queue).await else { return Step::Nothing };
        match self.unless(handle(self.app(), queue, delivery.event()), dies).await {
            Some(response) => {
                self.queues.settle(&delivery, &response).await;
                Step::Done
            }
            None => {
                self.queues.give_back(&delivery).await;
                Step::Died
            }
        }
    }

    /// Steps until the job of a queue comes through: its consumer dies at the first answer, then at the second, and so on;
    /// at how many it died.
    ///
    /// # Panics
    /// When the job is lost.
    pub async fn die_at_every_answer(&self, queue: Queue) -> usize {
        let mut deaths = 0;
        loop {
            match self.step_unless(queue, at_answer(deaths + 1)).await {
                Step::Died => deaths += 1,
                Step::Done => return deaths,
                Step::Nothing => panic!("the job on {queue:?} is lost after {deaths} deaths"),
            }
        }
    }

    /// As [`Self::step`], but the consumer dies when it has done everything and the queue has not heard of it.
    pub async fn step_unheard(&self, queue: Queue) -> Step {
        let Some(delivery) = self.queues.receive(queue).await else { return Step::Nothing };
        handle(self.app(), queue, delivery.event()).await;
        self.replace_process().await;
        self.queues.give_back(&delivery).await;
        Step::Died
    }

    /// Steps until every queue is empty.
    pub async fn pump(&self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for queue in queues::ALL {
                while self.step(queue).await != Step::Nothing {
                    quiet = false;
                }
            }
        }
    }

    /// Lets the claims of dead processes run out, and hands over what these left in the outbox; how many rows went.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn relay(&self) -> usize {
        let deadline = self.clock.pass(CLAIM_RUNS_OUT) + TimeDelta::hours(1);
        app::outbox::relay(&self.app(), deadline).await.expect("the outbox is relayed")
    }

    /// What the schedule does for turns whose job is lost; how many, of every company of the stack.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn rescue_turns(&self) -> usize {
        let deadline = self.clock.pass(TimeDelta::zero()) + TimeDelta::hours(1);
        app::turns::rescue(&self.app(), deadline).await.expect("turns are asked for again")
    }

    /// What the schedule of sessions does, for every company of the stack; how many silences ended.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn lift_silences(&self) -> usize {
        let deadline = self.clock.pass(TimeDelta::zero()) + TimeDelta::hours(1);
        app::sessions::silences::lift(&self.app(), deadline).await.expect("silences are lifted")
    }

    /// What the schedule of connections does; how much it asked for of this company. What it asked for of others, whose
    /// tests run at the same time, is let go.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn ask_for_upkeep(&self) -> usize {
        let deadline = self.clock.pass(TimeDelta::zero()) + TimeDelta::hours(1);
        let _asked =
            app::templates::upkeep::request_due(&self.app(), deadline).await.expect("syncs are asked for");
        let _asked =
            app::connections::health::request_due(&self.app(), deadline).await.expect("checks are asked for");
        let company_id = self.tenant.company_id.to_string();
        let mut own = self.withhold(Queue::Connections).await;
        own.retain(|job| job.is_of(&company_id));
        let count = own.len();
        self.hand_over(Queue::Connections, own).await;
        count
    }

    /// Everything that comes after a death: what was delivered comes again, and the relay runs, until nothing is left.
    pub async fn recover(&self) {
        self.pump().await;
        while self.relay().await > 0 {
            self.pump().await;
        }
    }

    /// Steps until `probe` gives something: for what third parties take their time for.
    ///
    /// # Panics
    /// When it gives nothing within [`PATIENCE`]; `what` says what was waited for.
    pub async fn until<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            self.pump().await;
            if let Some(found) = probe().await {
                return found;
            }
            assert!(Instant::now() < end, "waited {}s for {what}", PATIENCE.as_secs());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Takes what waits off a queue, as if its hand-over had failed, until [`Self::hand_over`].
    pub async fn withhold(&self, queue: Queue) -> Vec<Withheld> {
        self.queues.withhold(queue).await
    }

    /// Brings what was withheld.
    pub async fn hand_over(&self, queue: Queue, withheld: Vec<Withheld>) {
        self.queues.hand_over(queue, withheld).await;
    }

    /// As [`Self::hand_over`], each of them twice, as queues may do.
    pub async fn hand_over_twice(&self, queue: Queue, withheld: Vec<Withheld>) {
        let again = withheld.clone();
        self.queues.hand_over(queue, withheld).await;
        self.queues.hand_over(queue, again).await;
    }

    /// How many messages are on a queue, delivered ones included.
    ///
    /// # Panics
    /// When the emulator does not say.
    pub async fn queued(&self, queue: Queue) -> u64 {
        self.count(self.queues.url(queue)).await
    }

    async fn count(&self, queue_url: &str) -> u64 {
        let queue = self.app().queues.attributes(queue_url).await.expect("the queue answers");
        queue.waiting + queue.in_flight + queue.delayed
    }

    /// Every event that was told so far, in no order; one that was told twice stands there twice.
    pub async fn events(&self) -> Vec<Value> {
        self.queues.told().await
    }

    /// Deletes the queues. A test that fails before this leaves them, to be looked at.
    ///
    /// # Panics
    /// When a job is left anywhere.
    pub async fn end(self) {
        for queue in queues::ALL {
            assert_eq!(self.queued(queue).await, 0, "jobs are left on {queue:?}");
        }
        assert_eq!(self.count(&self.queues.dead_letters).await, 0, "dead letters");
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE company_id = $1")
            .bind(self.tenant.company_id)
            .fetch_one(&self.admin)
            .await
            .expect("the database answers");
        assert_eq!(left, 0, "rows are left in the outbox");
        self.server.abort();
        self.queues.remove().await;
    }
}

/// The webhooks of all functions, each below the path by which the flow's address has it.
fn all_webhooks() -> Router<App> {
    webhooks::meta::router()
        .nest("/twilio", webhooks::twilio::router())
        .nest("/gateway", webhooks::gateway::router())
}

/// Boxed: the AWS SDK's futures nest deeper than the compiler lays out in one go.
async fn handle(app: App, queue: Queue, event: SqsEvent) -> SqsBatchResponse {
    match queue {
        Queue::Inbound => Box::pin(consumers::inbound::handle(&app, event)).await,
        Queue::Turns => Box::pin(consumers::turns::handle(&app, event)).await,
        Queue::AiReply => Box::pin(consumers::ai_reply::handle(&app, event)).await,
        Queue::Outbound => Box::pin(consumers::outbound::handle(&app, event)).await,
        Queue::Mail => Box::pin(consumers::mail::handle(&app, event)).await,
        Queue::Media => Box::pin(consumers::media::handle(&app, event)).await,
        Queue::Erasures => Box::pin(consumers::erasures::handle(&app, event)).await,
        Queue::Imports => Box::pin(consumers::imports::handle(&app, event)).await,
        Queue::Connections => Box::pin(consumers::connections::handle(&app, event)).await,
    }
}

fn settings(stack: &Stack, cloud: &Cloud, queues: &Queues) -> Settings {
    let sandbox = stack.sandbox_url.trim_end_matches('/');
    let output = |name: &str| cloud.output(name).to_owned();
    Settings {
        master_key_secret: output("MasterKeySecretArn"),
        token_key_secret: output("TokenKeySecretArn"),
        openai_key_secret: OPENAI_KEY_SECRET.to_owned(),
        inbound_queue_url: queues.url(Queue::Inbound).to_owned(),
        outbound_queue_url: queues.url(Queue::Outbound).to_owned(),
        turns_queue_url: queues.url(Queue::Turns).to_owned(),
        ai_reply_queue_url: queues.url(Queue::AiReply).to_owned(),
        mail_queue_url: queues.url(Queue::Mail).to_owned(),
        media_queue_url: queues.url(Queue::Media).to_owned(),
        erasures_queue_url: queues.url(Queue::Erasures).to_owned(),
        imports_queue_url: queues.url(Queue::Imports).to_owned(),
        connections_queue_url: queues.url(Queue::Connections).to_owned(),
        dead_letter_queue_url: queues.dead_letters.clone(),
        event_bus: queues.bus.clone(),
        webhook_routes_table: output("WebhookRoutesTableName"),
        sockets_table: output("SocketsTableName"),
        rate_limits_table: output("RateLimitsTableName"),
        overflow_bucket: output("OverflowBucketName"),
        media: cloud::media::Location { bucket: output("MediaBucketName"), ..Default::default() },
        graph_base_url: format!("{sandbox}/graph"),
        twilio_base_url: format!("{sandbox}/twilio"),
        meta_webhook_url: stack.webhook_urls.meta.clone(),
        twilio_webhook_url: stack.webhook_urls.twilio.clone(),
        gateway_webhook_url: stack.webhook_urls.gateway.clone(),
        openai_base_url: format!("{sandbox}/openai/v1"),
        meta_app_id: META_APP.0.to_owned(),
        meta_app_secret: META_APP.1.to_owned(),
        environment: "local".to_owned(),
        ..Settings::default()
    }
}

impl Process {
    async fn start(
        stack: &Stack,
        tenant: &Tenant,
        clock: Arc<FlowClock>,
        settings: Settings,
        aws: &cloud::Aws,
    ) -> Self {
        let line = Line::to(&stack.database_url).await;
        let db = |url: &str| Db::lazy(url, CONNECTIONS).expect("a PostgreSQL URL");
        let (db, system_db) = (db(line.url()), db(&as_company(line.url(), tenant.company_id)));
        // While a client logs in it pauses hundreds of times, and none of these is a place to die at.
        let (one, other) = futures::join!(db.ping(), db.ping());
        one.and(other).expect("the database answers");
        Self { app: App::new(clock, settings, aws).with_databases(db, system_db), _line: line }
    }
}

/// The system's role sees the outbox of every company, so a relay of ours would take the rows of other tests. The
/// application's role sees those of the company that its connection was opened for.
fn as_company(database_url: &str, company_id: Uuid) -> String {
    let mut url = reqwest::Url::parse(database_url).expect("a PostgreSQL URL");
    url.query_pairs_mut().append_pair("options[app.company_id]", &company_id.to_string());
    url.into()
}
