//! `SendMessageBatch` without the SDK's orchestration, because every webhook call waits for one.
//!
//! It is the good case only, over the SDK's own connections, credentials and signer. Whatever is not a plain success
//! is left to the SDK, which knows about retries, clocks that differ and kinds of errors; sending again is safe, as it
//! is there. The wire form is SQS's JSON protocol,
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde::{Deserialize, Serialize};

use super::{ATTRIBUTE_TYPE, MAX_ENTRIES, QueueMessage, fault, is_fifo, legal_body, legal_id, whole_seconds};
use crate::batch::EntryFault;

/// With the SDK's own [`OPERATION_TIMEOUT`](crate::aws) behind it, still within a provider's ten seconds.
const TIMEOUT: Duration = Duration::from_millis(1_500);

/// Credentials that end sooner than this are asked for anew.
const CREDENTIALS_MARGIN: Duration = Duration::from_secs(300);

const SERVICE: &str = "sqs";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET: &str = "AmazonSQS.SendMessageBatch";

/// The names of the entries of one request.
const IDS: [&str; MAX_ENTRIES] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What a request needs, once a process.
#[derive(Debug)]
pub(crate) struct Express {
    connector: SharedHttpConnector,
    credentials: SharedCredentialsProvider,
    time: SharedTimeSource,
    region: String,
    /// Where all requests go; the host of the queue's URL unless a stand-in is configured.
    endpoint: Option<String>,
    identity: Mutex<Option<Identity>>,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Express {
    /// `None` when the configuration lacks what the SDK would complain about better.
    pub(crate) fn new(config: &SdkConfig, connector: SharedHttpConnector) -> Option<Self> {
        Some(Self {
            connector,
            credentials: config.credentials_provider()?,
            time: config.time_source()?,
            region: config.region()?.to_string(),
            endpoint: config.endpoint_url().map(str::to_owned),
            identity: Mutex::default(),
        })
    }

    /// Sends the messages at `indices`, ten at most, and answers for each of them in their order. `None`: nothing is
    /// known about any of them, ask the SDK.
    pub(crate) async fn send(
        &self,
        queue_url: &str,
        messages: &[&QueueMessage],
        indices: &[usize],
    ) -> Option<Vec<Result<(), EntryFault>>> {
        match tokio::time::timeout(TIMEOUT, self.request(queue_url, messages, indices)).await {
            Ok(Ok(outcomes)) => Some(outcomes),
            Ok(Err(error)) => {
                tracing::debug!(error, "express send failed");
                None
            }
            Err(_) => None,
        }
    }

    async fn request(
        &self,
        queue_url: &str,
        messages: &[&QueueMessage],
        indices: &[usize],
    ) -> Result<Vec<Result<(), EntryFault>>, Failure> {
        let fifo = is_fifo(queue_url);
        let entries =
            IDS.iter().zip(indices).map(|(id, &index)| Entry::new(id, messages[index], fifo)).collect();
        let body = serde_json::to_vec(&Batch { queue_url, entries })?;
        let request = self.signed(queue_url, body).await?;
        let mut answer = self.connector.call(request).await?;
        if !answer.status().is_success() {
            // Perhaps they are no longer valid.
            self.forget_identity();
            return Err(format!("status {}", answer.status().as_u16()).into());
        }
        let body = ByteStream::new(answer.take_body()).collect().await?.into_bytes();
        Ok(serde_json::from_slice::<Answer<'_>>(&body)?.outcomes(indices.len()))
    }

    async fn signed(&self, queue_url: &str, body: Vec<u8>) -> Result<HttpRequest, Failure> {
        let endpoint = self.endpoint.as_deref().or_else(|| origin(queue_url)).ok_or("no endpoint")?;
        let now = self.time.now();
        let identity = self.identity(now).await?;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
        let signable =
            SignableRequest::new("POST", endpoint, headers.into_iter(), SignableBody::Bytes(&body))?;
        let (signature, _) = sign(signable, &params)?.into_parts();

        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST")?;
        request.set_uri(endpoint)?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value);
        }
        for (name, value) in signature.headers() {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }

    async fn identity(&self, now: SystemTime) -> Result<Identity, Failure> {
        let known = self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lasts =
            |identity: &Identity| identity.expiration().is_none_or(|end| end > now + CREDENTIALS_MARGIN);
        if let Some(identity) = known.filter(lasts) {
            return Ok(identity);
        }
        let identity = Identity::from(self.credentials.provide_credentials().await?);
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity.clone());
        Ok(identity)
    }

    fn forget_identity(&self) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Scheme and host of a URL.
fn origin(url: &str) -> Option<&str> {
    let host = url.find("://")? + "://".len();
    let end = url[host..].find('/').map_or(url.len(), |path| host + path);
    Some(&url[..end])
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'a> {
    queue_url: &'a str,
    entries: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    id: &'static str,
    message_body: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_seconds: Option<i32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute<'a> {
    data_type: &'static str,
    string_value: &'a str,
}

impl<'a> Entry<'a> {
    fn new(id: &'static str, message: &'a QueueMessage, fifo: bool) -> Self {
        let attributes = message.attributes.iter().filter(|(_, value)| !value.is_empty());
        Self {
            id,
            message_body: legal_body(&message.body),
            message_group_id: message.group.as_deref().map(legal_id),
            message_deduplication_id: message.deduplication.as_deref().filter(|_| fifo).map(legal_id),
            delay_seconds: (!message.delay.is_zero()).then(|| whole_seconds(message.delay)),
            message_attributes: attributes
                .map(|(name, value)| {
                    (name.as_str(), Attribute { data_type: ATTRIBUTE_TYPE, string_value: value })
                })
                .collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow, default)]
    successful: Vec<Confirmed<'a>>,
    #[serde(borrow, default)]
    failed: Vec<Refused<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Confirmed<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refused<'a> {
    id: &'a str,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    sender_fault: bool,
}

impl Answer<'_> {
    fn outcomes(&self, sent: usize) -> Vec<Result<(), EntryFault>> {
        let confirmed = self.successful.iter().map(|entry| (entry.id, Ok(())));
        let refused = self.failed.iter().map(|entry| {
            let message = entry.message.as_deref().unwrap_or_default();
            (entry.id, Err(fault(&entry.code, message, entry.sender_fault)))
        });
        super::outcomes(sent, confirmed.chain(refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_to_the_host_of_the_queue() {
        let url = "https://sqs.sa-east-1.amazonaws.com/123456789012/inbound.fifo";
        assert_eq!(origin(url), Some("https://sqs.sa-east-1.amazonaws.com"));
        assert_eq!(origin("http://127.0.0.1:9702"), Some("http://127.0.0.1:9702"));
        assert_eq!(origin("inbound.fifo"), None);
    }

    #[test]
    fn an_entry_has_what_its_queue_takes() {
        let message = QueueMessage::new("{}")
            .group("g")
            .deduplication("d")
            .attribute("reason", "r")
            .attribute("empty", "");
        let wire = serde_json::to_string(&Entry::new("0", &message, true)).expect("serialises");
        assert_eq!(
            wire,
            r#"{"Id":"0","MessageBody":"{}","MessageGroupId":"g","MessageDeduplicationId":"d","MessageAttributes":{"reason":{"DataType":"String","StringValue":"r"}}}"#
        );
        let message = QueueMessage::new("{}").deduplication("d").delay(Duration::from_secs(5));
        let wire = serde_json::to_string(&Entry::new("9", &message, false)).expect("serialises");
        assert_eq!(wire, r#"{"Id":"9","MessageBody":"{}","DelaySeconds":5}"#);
    }

    #[test]
    fn only_what_is_confirmed_counts_as_sent() {
        let answer = r#"{"Successful":[{"Id":"1","MessageId":"m","MD5OfMessageBody":"x"}],
            "Failed":[{"Id":"0","Code":"InternalError","SenderFault":false}]}"#;
        let answer: Answer<'_> = serde_json::from_str(answer).expect("as SQS answers");
        let outcomes = answer.outcomes(3);
        assert_eq!(outcomes[0].as_ref().map_err(|fault| fault.code.as_str()), Err("InternalError"));
        assert!(outcomes[1].is_ok());
        assert_eq!(outcomes[2].as_ref().map_err(|fault| fault.code.as_str()), Err("Unmentioned"));
    }
}
