//! A message down one browser connection, through the WebSocket API's `@connections`.

use aws_sdk_apigatewaymanagement::primitives::Blob;

use crate::aws::Aws;
use crate::error::AwsError;

/// The largest message that API Gateway passes on.
pub const MAX_PUSH_BYTES: usize = 128 * 1024;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// API Gateway has passed it on.
    Delivered,
    /// The browser is gone; the connection should be forgotten.
    Gone,
}

/// Why a message was not passed on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// The request failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Over [`MAX_PUSH_BYTES`].
    #[error("the message weighs {bytes} bytes, over the limit of a WebSocket")]
    TooLarge {
        /// What it weighs.
        bytes: usize,
    },
}

impl PushError {
    /// Whether the same message may be passed on later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Aws(error) => error.retryable(),
            Self::TooLarge { .. } => false,
        }
    }
}

/// Messages to browsers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Push {
    aws: Aws,
}

impl Push {
    /// Connects at the first message.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// Sends text to one connection of the stage at `endpoint` (`https://…/stage`, without `@connections`).
    ///
    /// # Errors
    /// When the request fails; that the browser is gone is no error.
    pub async fn send(&self, endpoint: &str, connection_id: &str, body: &str) -> Result<Delivery, PushError> {
        if body.len() > MAX_PUSH_BYTES {
            return Err(PushError::TooLarge { bytes: body.len() });
        }
        let client = self.aws.push(endpoint).await;
        let request = client.post_to_connection().connection_id(connection_id).data(Blob::new(body));
        let Err(error) = request.send().await else { return Ok(Delivery::Delivered) };
        let error = AwsError::from_sdk("apigateway.PostToConnection", error);
        match error.status() {
            Some(410) => Ok(Delivery::Gone),
            _ => Err(error.into()),
        }
    }
}
