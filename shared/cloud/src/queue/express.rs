//! `SendMessageBatch` without the SDK's orchestration, because every webhook call waits for one.
//!
//! It is the good case only, over the SDK's own connections, credentials and signer. Whatever is not a plain success
//! is left to the SDK, which knows about retries, clocks that differ and kinds of errors; sending again is safe, as it
//! is there. The wire form is SQS's JSON protocol,
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

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
pub(crate) struct Express {
    connector: SharedHttpConnector,
    credentials: SharedCredentialsProvider,
    time: SharedTimeSource,
    region: String,
    /// Where all requests go; the host of the queue's URL unless a stand-in is configured.
    endpoint: Option<String>,
    signer: Mutex<Option<Arc<Signer>>>,
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
            signer: Mutex::default(),
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
        let endpoint = self.endpoint.as_deref().or_else(|| origin(queue_url)).ok_or("no endpoint")?;
        let now = DateTime::<Utc>::from(self.time.now());
        let signature = self.signer(now).await?.sign(now, host(endpoint), &body);

        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST")?;
        request.set_uri(endpoint)?;
        let headers = request.headers_mut();
        headers.insert("content-type", CONTENT_TYPE);
        headers.insert("x-amz-target", TARGET);
        headers.insert("x-amz-date", signature.date);
        headers.insert("authorization", signature.authorization);
        if let Some(token) = signature.session_token {
            headers.insert("x-amz-security-token", token);
        }
        let mut answer = self.connector.call(request).await?;
        if !answer.status().is_success() {
            // Perhaps the credentials are no longer valid.
            *self.signer.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Err(format!("status {}", answer.status().as_u16()).into());
        }
        let body = ByteStream::new(answer.take_body()).collect().await?.into_bytes();
        Ok(serde_json::from_slice::<Answer<'_>>(&body)?.outcomes(indices.len()))
    }

    async fn signer(&self, now: DateTime<Utc>) -> Result<Arc<Signer>, Failure> {
        let known = self.signer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(signer) = known.filter(|signer| signer.is_valid(now)) {
            return Ok(signer);
        }
        let credentials = self.credentials.provide_credentials().await?;
        let signer = Arc::new(Signer::new(credentials, &self.region, now));
        *self.signer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&signer));
        Ok(signer)
    }
}

/// Without credentials and keys.
impl fmt::Debug for Express {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Express").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Signs requests of one day: Signature Version 4,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
struct Signer {
    credentials: Credentials,
    day: NaiveDate,
    /// `<day>/<region>/sqs/aws4_request`.
    scope: String,
    key: Vec<u8>,
}

/// What a signed request carries.
struct Signature {
    date: String,
    authorization: String,
    session_token: Option<String>,
}

impl Signer {
    fn new(credentials: Credentials, region: &str, now: DateTime<Utc>) -> Self {
        let key = generate_signing_key(credentials.secret_access_key(), now.into(), region, SERVICE);
        let scope = format!("{}/{region}/{SERVICE}/aws4_request", now.format("%Y%m%d"));
        Self { day: now.date_naive(), scope, key: key.as_ref().to_vec(), credentials }
    }

    fn is_valid(&self, now: DateTime<Utc>) -> bool {
        let lasts = |end: SystemTime| end > SystemTime::from(now) + CREDENTIALS_MARGIN;
        self.day == now.date_naive() && self.credentials.expiry().is_none_or(lasts)
    }

    /// The signature of a POST of `body` to the root of `host`.
    fn sign(&self, now: DateTime<Utc>, host: &str, body: &[u8]) -> Signature {
        let date = now.format("%Y%m%dT%H%M%SZ").to_string();
        let session_token = self.credentials.session_token();
        let (token_line, token_name) = match session_token {
            Some(token) => (format!("x-amz-security-token:{token}\n"), "x-amz-security-token;"),
            None => (String::new(), ""),
        };
        let signed = format!("content-type;host;x-amz-date;{token_name}x-amz-target");
        let canonical = format!(
            "POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{date}\n{token_line}x-amz-target:{TARGET}\n\n\
             {signed}\n{}",
            hex::encode(Sha256::digest(body)),
        );
        let scope = &self.scope;
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let signature = calculate_signature(&self.key, text.as_bytes());
        let key_id = self.credentials.access_key_id();
        Signature {
            authorization: format!(
                "AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
            ),
            date,
            session_token: session_token.map(str::to_owned),
        }
    }
}

/// Scheme and host of a URL.
fn origin(url: &str) -> Option<&str> {
    let host = url.find("://")? + "://".len();
    let end = url[host..].find('/').map_or(url.len(), |path| host + path);
    Some(&url[..end])
}

/// Host and port of a URL without a path.
fn host(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    host.trim_end_matches('/')
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
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use aws_smithy_runtime_api::client::identity::Identity;

    use super::*;

    #[test]
    fn requests_are_signed_as_the_sdk_signs_them() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).expect("a time");
        let body = br#"{"QueueUrl":"q","Entries":[]}"#;
        for token in [None, Some("token".to_owned())] {
            let credentials = Credentials::new("AKIDEXAMPLE", "secret", token, None, "test");
            let ours = Signer::new(credentials.clone(), "sa-east-1", now).sign(now, "127.0.0.1:9702", body);

            let identity = Identity::from(credentials);
            let params = SigningParams::builder()
                .identity(&identity)
                .region("sa-east-1")
                .name(SERVICE)
                .time(now.into())
                .settings(SigningSettings::default())
                .build()
                .expect("complete")
                .into();
            let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
            let url = "http://127.0.0.1:9702/";
            let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body));
            let (theirs, _) = sign(request.expect("a request"), &params).expect("signed").into_parts();
            for (name, value) in theirs.headers() {
                let own = match name {
                    "x-amz-date" => Some(&ours.date),
                    "authorization" => Some(&ours.authorization),
                    "x-amz-security-token" => ours.session_token.as_ref(),
                    other => panic!("{other} is not sent"),
                };
                assert_eq!(own.map(String::as_str), Some(value), "{name}");
            }
        }
    }

    #[test]
    fn requests_go_to_the_host_of_the_queue() {
        let url = "https://sqs.sa-east-1.amazonaws.com/123456789012/inbound.fifo";
        assert_eq!(origin(url), Some("https://sqs.sa-east-1.amazonaws.com"));
        assert_eq!(origin("http://127.0.0.1:9702"), Some("http://127.0.0.1:9702"));
        assert_eq!(origin("inbound.fifo"), None);
        assert_eq!(host("http://127.0.0.1:9702/"), "127.0.0.1:9702");
        assert_eq!(host("https://sqs.sa-east-1.amazonaws.com"), "sqs.sa-east-1.amazonaws.com");
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
