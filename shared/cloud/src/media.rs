//! Files in a bucket: of S3, or of anything that speaks its language, as Google Cloud Storage does.
//!
//! Browsers bring and fetch bytes by links that we sign, which are good for minutes and for one object each; our own
//! functions read and write in streams. [`parts`] writes what nobody knows the length of beforehand.

mod parts;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use bytes::{Bytes, BytesMut};
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;

use crate::aws::Aws;
use crate::error::AwsError;
use crate::secrets::{Secrets, SecretsError};

/// A request that carries a file takes longer than one to a table.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(90);

/// Where files lie. Without `endpoint` it is the account's own S3.
#[derive(Clone, Debug, Default)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// Address of a store that speaks S3's language; empty for S3.
    pub endpoint: String,
    /// The store's word for its region; empty for the function's own.
    pub region: String,
    /// Secret `{"access_key_id", "secret_access_key"}` of that store; empty for the function's own rights.
    pub credentials_secret: String,
}

/// Why a file was not stored or found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MediaError {
    /// The request failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The store's credentials cannot be had.
    #[error("no credentials for the store of files")]
    Credentials(#[source] SecretsError),
    /// There is no such object.
    #[error("the file does not exist")]
    NotFound,
    /// It has more bytes than were asked for.
    #[error("the file is larger than expected")]
    TooLarge,
    /// It is another one than a moment ago.
    #[error("the file was changed meanwhile")]
    Changed,
    /// The connection broke while it was read.
    #[error("the file could not be read to its end")]
    Broken(#[source] Arc<ByteStreamError>),
}

impl MediaError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Aws(error) => error.retryable(),
            Self::Credentials(error) => error.retryable(),
            Self::NotFound | Self::TooLarge => false,
            Self::Changed | Self::Broken(_) => true,
        }
    }
}

/// A request that somebody else may make in our name, until it runs out.
#[derive(Clone, Debug)]
pub struct Signed {
    /// `PUT` or `GET`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers that it must carry, exactly so, besides `Host`.
    pub headers: Vec<(String, String)>,
}

/// What the store says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes.
    pub size: i64,
    /// The type that it was stored with.
    pub content_type: Option<String>,
    /// The store's word for exactly these bytes.
    pub etag: Option<String>,
}

/// How a browser shall take a file.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// The type to answer with.
    pub content_type: &'a str,
    /// Show it where it stands, or save it.
    pub inline: bool,
    /// The name to save it under.
    pub file_name: &'a str,
}

/// An object's bytes as they come.
#[derive(Debug)]
pub struct Download {
    /// Bytes of the whole object, or of the part of it that was asked for.
    pub size: i64,
    /// The store's word for exactly these bytes of the whole object.
    pub etag: Option<String>,
    body: ByteStream,
}

impl Download {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`MediaError::Broken`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, MediaError> {
        self.body.try_next().await.map_err(|error| MediaError::Broken(Arc::new(error)))
    }

    /// The bytes for what reads and buffers.
    pub fn into_reader(self) -> impl tokio::io::AsyncBufRead + Send + Unpin {
        Box::pin(self.body.into_async_read())
    }
}

/// The store of files. Cheap to clone; connects at the first request.
#[derive(Clone)]
pub struct MediaStore {
    aws: Aws,
    secrets: Secrets,
    location: Arc<Location>,
    client: Arc<OnceCell<Client>>,
}

impl MediaStore {
    /// Connects at the first request.
    pub fn new(aws: Aws, secrets: Secrets, location: Location) -> Self {
        Self { aws, secrets, location: Arc::new(location), client: Arc::default() }
    }

    /// Signs an upload of exactly `size` bytes of one type. Whoever holds it can put nothing else there; and what they put
    /// must be looked at all the same, for bytes can be of any type.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn sign_put(
        &self,
        key: &str,
        content_type: &str,
        size: i64,
        life: Duration,
    ) -> Result<Signed, MediaError> {
        let request = self.client().await?.put_object().bucket(&self.location.bucket).key(key);
        let request = request.content_type(content_type).content_length(size);
        let signed = request.presigned(for_so_long(life)?).await;
        Ok(signed.map_err(|error| AwsError::from_sdk("s3.PutObject", error))?.into())
    }

    /// Signs a download.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn sign_get(
        &self,
        key: &str,
        served: Served<'_>,
        life: Duration,
    ) -> Result<Signed, MediaError> {
        let request = self.client().await?.get_object().bucket(&self.location.bucket).key(key);
        let request = request
            .response_content_type(served.content_type)
            .response_content_disposition(disposition(served.inline, served.file_name));
        let signed = request.presigned(for_so_long(life)?).await;
        Ok(signed.map_err(|error| AwsError::from_sdk("s3.GetObject", error))?.into())
    }

    /// Asks about an object; `None` when there is none.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, MediaError> {
        let answer = self.client().await?.head_object().bucket(&self.location.bucket).key(key).send().await;
        match answer {
            Ok(answer) => Ok(Some(Head {
                size: answer.content_length.unwrap_or_default(),
                content_type: answer.content_type,
                etag: answer.e_tag,
            })),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
            Err(error) => Err(AwsError::from_sdk("s3.HeadObject", error).into()),
        }
    }

    /// Reads an object as a stream.
    ///
    /// # Errors
    /// [`MediaError::NotFound`] when there is none; else when the request fails.
    pub async fn get(&self, key: &str) -> Result<Download, MediaError> {
        self.get_with(key, None).await
    }

    /// Reads a part of an object as a stream: its bytes from `range.start` to before `range.end`, or to its own end.
    ///
    /// # Errors
    /// As [`Self::get`]; also when the object ends before `range.start`.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Download, MediaError> {
        let last = range.end.saturating_sub(1);
        self.get_with(key, Some(format!("bytes={}-{last}", range.start))).await
    }

    async fn get_with(&self, key: &str, range: Option<String>) -> Result<Download, MediaError> {
        let request = self.client().await?.get_object().bucket(&self.location.bucket).key(key);
        match request.set_range(range).send().await {
            Ok(answer) => Ok(Download {
                size: answer.content_length.unwrap_or_default(),
                etag: answer.e_tag,
                body: answer.body,
            }),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
                Err(MediaError::NotFound)
            }
            Err(error) => Err(AwsError::from_sdk("s3.GetObject", error).into()),
        }
    }

    /// Reads an object of at most `largest` bytes into memory.
    ///
    /// # Errors
    /// As [`Self::get`]; [`MediaError::TooLarge`].
    pub async fn read(&self, key: &str, largest: usize) -> Result<Bytes, MediaError> {
        let mut download = self.get(key).await?;
        let expected = usize::try_from(download.size).unwrap_or_default();
        if expected > largest {
            return Err(MediaError::TooLarge);
        }
        let mut bytes = BytesMut::with_capacity(expected);
        while let Some(part) = download.next().await? {
            if bytes.len() + part.len() > largest {
                return Err(MediaError::TooLarge);
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }

    /// Stores an object, over whatever was there under this key. `Ok` means that it is durable.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<(), MediaError> {
        let request = self.client().await?.put_object().bucket(&self.location.bucket).key(key);
        let answer = request.content_type(content_type).body(ByteStream::from(body)).send().await;
        answer.map_err(|error| AwsError::from_sdk("s3.PutObject", error))?;
        Ok(())
    }

    /// Copies an object within the bucket, over whatever was there, if it still is the one of this `etag`. Up to 5 GiB.
    ///
    /// # Errors
    /// [`MediaError::Changed`] when it is not; [`MediaError::NotFound`] when there is none; else when the request fails.
    pub async fn copy(&self, from: &str, to: &str, etag: Option<&str>) -> Result<(), MediaError> {
        let bucket = &self.location.bucket;
        let request = self.client().await?.copy_object().bucket(bucket).key(to);
        let request = request.copy_source(format!("{bucket}/{from}"));
        match request.set_copy_source_if_match(etag.map(str::to_owned)).send().await {
            Ok(_) => Ok(()),
            Err(error) => match AwsError::from_sdk("s3.CopyObject", error) {
                error if error.status() == Some(404) => Err(MediaError::NotFound),
                error if error.status() == Some(412) => Err(MediaError::Changed),
                error => Err(error.into()),
            },
        }
    }

    /// Deletes an object. One that there is not is deleted too.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn delete(&self, key: &str) -> Result<(), MediaError> {
        let answer = self.client().await?.delete_object().bucket(&self.location.bucket).key(key).send().await;
        answer.map_err(|error| AwsError::from_sdk("s3.DeleteObject", error))?;
        Ok(())
    }

    async fn client(&self) -> Result<&Client, MediaError> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, MediaError> {
        let config = self.aws.config().await;
        let Location { endpoint, region, credentials_secret, .. } = &*self.location;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut builder = aws_sdk_s3::config::Builder::from(config)
            .timeout_config(timeouts)
            // Other stores know none of S3's newer checksums; and in a signed upload they would be those of no bytes.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // A server that stands in for S3 rarely answers for a host name per bucket.
            .force_path_style(config.endpoint_url().is_some() || !endpoint.is_empty());
        if !endpoint.is_empty() {
            builder = builder.endpoint_url(endpoint);
        }
        if !region.is_empty() {
            builder = builder.region(Region::new(region.clone()));
        }
        if !credentials_secret.is_empty() {
            let field = async |name| {
                self.secrets.get_field(credentials_secret, name).await.map_err(MediaError::Credentials)
            };
            let (id, key) = (field("access_key_id").await?, field("secret_access_key").await?);
            let keys = Credentials::new(id.expose_secret(), key.expose_secret(), None, None, "media store");
            builder = builder.credentials_provider(keys);
        }
        Ok(Client::from_conf(builder.build()))
    }
}

impl std::fmt::Debug for MediaStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaStore").field("location", &self.location).finish_non_exhaustive()
    }
}

impl From<PresignedRequest> for Signed {
    fn from(request: PresignedRequest) -> Self {
        Self {
            method: request.method().to_owned(),
            url: request.uri().to_owned(),
            headers: request
                .headers()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
        }
    }
}

fn for_so_long(life: Duration) -> Result<PresigningConfig, AwsError> {
    PresigningConfig::expires_in(life).map_err(|error| AwsError::unbuilt("s3.sign", error))
}

/// `Content-Disposition` with the name in both of its spellings (RFC 6266): that of RFC 8187 for every name, and one of
/// ASCII for what is too old for it.
fn disposition(inline: bool, file_name: &str) -> String {
    let plain: String =
        file_name
            .chars()
            .map(|c| {
                if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | ';') || c == ' ' { c } else { '_' }
            })
            .collect();
    let mut encoded = String::new();
    for byte in file_name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    let kind = if inline { "inline" } else { "attachment" };
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_both_spellings_and_breaks_out_of_neither() {
        assert_eq!(
            disposition(true, "orçamento 1.pdf"),
            "inline; filename=\"or_amento 1.pdf\"; filename*=UTF-8''or%C3%A7amento%201.pdf"
        );
        let nasty = disposition(false, "a\"; filename=\"b.exe\r\nX: y");
        assert_eq!(nasty.matches('"').count(), 2, "{nasty}");
        assert!(!nasty.contains(['\r', '\n']), "{nasty}");
    }
}
