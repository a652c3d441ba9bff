//! The shared configuration and its clients, each made at its first use.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::sync::OnceCell;

use crate::queue::express::Express;

/// A provider gives a webhook ten seconds: a request must have failed by then, so that we can still say so.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_ATTEMPTS: u32 = 3;

/// A frozen function wakes to connections that the other side closed long ago; dropping them ourselves is cheaper
/// than finding out.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// More WebSocket endpoints than this in one process means that somebody hands in changing ones.
const MAX_PUSH_ENDPOINTS: usize = 16;

/// AWS, as far as this process has needed it yet. A clone shares everything.
#[derive(Clone, Default)]
pub struct Aws(Arc<Inner>);

#[derive(Default)]
struct Inner {
    config: OnceCell<SdkConfig>,
    pool: OnePool,
    express: OnceCell<Option<Express>>,
    sqs: OnceCell<aws_sdk_sqs::Client>,
    eventbridge: OnceCell<aws_sdk_eventbridge::Client>,
    dynamodb: OnceCell<aws_sdk_dynamodb::Client>,
    s3: OnceCell<aws_sdk_s3::Client>,
    secretsmanager: OnceCell<aws_sdk_secretsmanager::Client>,
    sesv2: OnceCell<aws_sdk_sesv2::Client>,
    push: Mutex<HashMap<String, aws_sdk_apigatewaymanagement::Client>>,
}

impl Aws {
    /// Configuration from the SDK's provider chain, at first use.
    pub fn lazy() -> Self {
        Self::default()
    }

    /// A ready configuration, for tests and tools.
    pub fn with_config(config: SdkConfig) -> Self {
        let inner = Inner { config: OnceCell::new_with(Some(config)), ..Inner::default() };
        Self(Arc::new(inner))
    }

    /// The configuration, loaded at the first call. Fails never; what is missing fails the first request.
    pub async fn config(&self) -> &SdkConfig {
        self.0.config.get_or_init(|| Box::pin(load(&self.0.pool))).await
    }

    /// Sends to queues; `None` when it cannot be had, and the SDK has to do.
    pub(crate) async fn express(&self) -> Option<&Express> {
        let make = async || Express::new(self.config().await, self.0.pool.connector());
        self.0.express.get_or_init(make).await.as_ref()
    }

    pub(crate) async fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.0.sqs.get_or_init(async || aws_sdk_sqs::Client::new(self.config().await)).await
    }

    pub(crate) async fn eventbridge(&self) -> &aws_sdk_eventbridge::Client {
        self.0.eventbridge.get_or_init(async || aws_sdk_eventbridge::Client::new(self.config().await)).await
    }

    pub(crate) async fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        self.0.dynamodb.get_or_init(async || aws_sdk_dynamodb::Client::new(self.config().await)).await
    }

    pub(crate) async fn secretsmanager(&self) -> &aws_sdk_secretsmanager::Client {
        let make = async || aws_sdk_secretsmanager::Client::new(self.config().await);
        self.0.secretsmanager.get_or_init(make).await
    }

    pub(crate) async fn sesv2(&self) -> &aws_sdk_sesv2::Client {
        self.0.sesv2.get_or_init(async || aws_sdk_sesv2::Client::new(self.config().await)).await
    }

    pub(crate) async fn s3(&self) -> &aws_sdk_s3::Client {
        let make = async || {
            let config = self.config().await;
            // A server that stands in for S3 rarely answers for a host name per bucket.
            let path_style = config.endpoint_url().is_some();
            let config = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build();
            aws_sdk_s3::Client::from_conf(config)
        };
        self.0.s3.get_or_init(make).await
    }

    /// The client of one WebSocket API stage: unlike the others, its address is not the region's.
    pub(crate) async fn push(&self, endpoint: &str) -> aws_sdk_apigatewaymanagement::Client {
        let config = self.config().await;
        let mut clients = self.0.push.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(endpoint) {
            return client.clone();
        }
        if clients.len() >= MAX_PUSH_ENDPOINTS {
            clients.clear();
        }
        let config =
            aws_sdk_apigatewaymanagement::config::Builder::from(config).endpoint_url(endpoint).build();
        let client = aws_sdk_apigatewaymanagement::Client::from_conf(config);
        clients.insert(endpoint.to_owned(), client.clone());
        client
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("loaded", &self.0.config.initialized()).finish_non_exhaustive()
    }
}

async fn load(pool: &OnePool) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(pool.clone())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS));
    // In a function the credentials are in its environment: no need for the other six providers, their HTTP
    // clients and their files.
    let environment = EnvironmentVariableCredentialsProvider::new();
    match environment.provide_credentials().await {
        Ok(_) => loader.credentials_provider(environment).load().await,
        Err(_) => loader.load().await,
    }
}

/// One connection pool and one parsed root store for everything, made at the first request.
///
/// By default each SDK client makes its own, and makes it twice: once to validate itself, once to use it. Leaving
/// `validate_base_client_config` out is the point of this wrapper.
#[derive(Clone, Debug, Default)]
struct OnePool(Arc<OnceLock<SharedHttpConnector>>);

impl OnePool {
    fn connector(&self) -> SharedHttpConnector {
        let make = || {
            let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
            let connector = Connector::builder()
                .connector_settings(settings)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .build();
            SharedHttpConnector::new(connector)
        };
        self.0.get_or_init(make).clone()
    }
}

impl HttpClient for OnePool {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_loaded_before_it_is_needed() {
        let aws = Aws::lazy();
        assert!(!aws.0.config.initialized());
        let same = aws.clone();
        same.config().await;
        assert!(aws.0.config.initialized());
        assert!(!aws.0.sqs.initialized());
    }

    #[tokio::test]
    async fn a_stage_has_one_client() {
        let aws = Aws::with_config(SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build());
        for number in 0..100 {
            aws.push(&format!("https://example.org/{number}")).await;
            aws.push("https://example.org/same").await;
        }
        let clients = aws.0.push.lock().expect("no test panicked while holding it");
        assert!(clients.len() <= MAX_PUSH_ENDPOINTS);
    }
}
