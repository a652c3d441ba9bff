//! Bodies that are too large for a queue, in S3; a pointer travels in their place.

use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use bytes::Bytes;
use std::sync::Arc;

use crate::aws::Aws;
use crate::error::AwsError;

/// Why a body was not stored or found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OverflowError {
    /// The request failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// There is no such object: its time in the bucket is over, or it never was.
    #[error("the overflow object does not exist")]
    NotFound,
    /// The connection broke while the body was read.
    #[error("the overflow object could not be read to its end")]
    Broken(#[source] Arc<ByteStreamError>),
}

impl OverflowError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Aws(error) => error.retryable(),
            Self::NotFound => false,
            Self::Broken(_) => true,
        }
    }
}

/// The overflow bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Overflow {
    aws: Aws,
}

impl Overflow {
    /// Connects at the first request.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// Stores a body, over whatever was there under this key. `Ok` means that it is durable.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> Result<(), OverflowError> {
        let request = self.aws.s3().await.put_object().bucket(bucket).key(key);
        let request = request.content_type("application/octet-stream").body(ByteStream::from(body.into()));
        // Apart: few bodies come here, and every webhook would carry the room.
        let answer = Box::pin(request.send()).await;
        answer.map_err(|error| AwsError::from_sdk("s3.PutObject", error))?;
        Ok(())
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`OverflowError::NotFound`] when there is none; else when the request fails.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Bytes, OverflowError> {
        let answer = self.aws.s3().await.get_object().bucket(bucket).key(key).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
                return Err(OverflowError::NotFound);
            }
            Err(error) => return Err(AwsError::from_sdk("s3.GetObject", error).into()),
        };
        let body = answer.body.collect().await.map_err(|error| OverflowError::Broken(Arc::new(error)))?;
        Ok(body.into_bytes())
    }
}
