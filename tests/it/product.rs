//! The product by its public edge, wherever it runs: in the test's own process, or as it is deployed.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;
use sqlx::PgPool;
use testkit::{Answer, Cloud, Flow, PATIENCE, Sandbox, Stack, Tenant, TenantOptions, eventually};

/// One company, and what can be done with it from outside.
pub(crate) trait Product {
    fn stack(&self) -> &Stack;
    fn sandbox(&self) -> &Sandbox;
    fn tenant(&self) -> &Tenant;
    /// PostgreSQL as the superuser.
    fn admin(&self) -> &PgPool;
    /// What its webhook addresses begin with.
    fn webhook_origin(&self) -> String;
    /// Its time.
    fn now(&self) -> DateTime<Utc>;
    /// A call of the HTTP API with the company's key.
    async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Answer;
    /// A call of a webhook below [`Self::webhook_origin`]; the HTTP status.
    async fn call_webhook(&self, path: &str, headers: &[(&str, &str)], body: String) -> u16;
    /// Waits until `probe` gives something.
    async fn until<T>(&self, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T;
}

impl Product for Flow {
    fn stack(&self) -> &Stack {
        &self.stack
    }

    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn admin(&self) -> &PgPool {
        &self.admin
    }

    fn webhook_origin(&self) -> String {
        self.stack.webhook_urls.meta.clone()
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.pass(TimeDelta::zero())
    }

    async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        Flow::api(self, method, path, body).await
    }

    async fn call_webhook(&self, path: &str, headers: &[(&str, &str)], body: String) -> u16 {
        Flow::call_webhook(self, path, headers, body).await.status
    }

    async fn until<T>(&self, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
        Flow::until(self, what, probe).await
    }
}

/// A company of the deployed product.
pub(crate) struct Deployed {
    stack: Stack,
    sandbox: Sandbox,
    tenant: Tenant,
    admin: PgPool,
}

impl Deployed {
    pub(crate) async fn start(options: TenantOptions) -> Self {
        let stack = Stack::load();
        let tenant = Tenant::seed_with(&stack, &Cloud::of(&stack).await, options).await;
        let (sandbox, admin) = (Sandbox::of(&stack), stack.admin());
        Self { stack, sandbox, tenant, admin }
    }
}

impl Product for Deployed {
    fn stack(&self) -> &Stack {
        &self.stack
    }

    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn admin(&self) -> &PgPool {
        &self.admin
    }

    fn webhook_origin(&self) -> String {
        self.stack.origin()
    }

    fn now(&self) -> DateTime<Utc> {
        app::Clock::now(&runtime::clock::SystemClock)
    }

    async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.tenant.api.send(method, path, body.map(Value::to_string), &[]).await
    }

    async fn call_webhook(&self, path: &str, headers: &[(&str, &str)], body: String) -> u16 {
        let mut request = testkit::http_client().post(format!("{}{path}", self.webhook_origin())).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    }

    async fn until<T>(&self, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
        eventually(what, PATIENCE, probe).await
    }
}
