//! Typed access to AWS: what the rest of the product knows of the cloud.
//!
//! Rooms: [`aws`] the shared configuration and its lazily built clients · [`queue`] SQS · [`bus`] EventBridge ·
//! [`overflow`] bodies too large for a queue, in S3 · [`media`] files, in S3 or what speaks its language · [`routes`] which webhook belongs to whom, in DynamoDB ·
//! [`sockets`] open browser connections, in DynamoDB · [`push`] a message down one browser connection ·
//! [`secrets`] Secrets Manager · [`seal`] encryption of single values at rest ·
//! [`keys`] the keys for it · [`limits`] rate limits, in DynamoDB ·
//! [`mail`] SES · [`cache`] memory with single flight and stale on error · [`error`] what AWS answered.
//! Private: `batch` (chunks, order and retries of batched sends), `table` (items of DynamoDB).
//!
//! Never in here: business rules, SQL, providers, and the environment. URLs, table names and secret ids are handed
//! in; only the SDK's own provider chain looks at `AWS_*`.
//!
//! Nothing is loaded or connected before its first use: a function pays at cold start only for what it touches.

pub mod aws;
mod batch;
pub mod bus;
pub mod cache;
pub mod error;
pub mod keys;
pub mod limits;
pub mod mail;
pub mod media;
pub mod overflow;
pub mod push;
pub mod queue;
pub mod routes;
pub mod seal;
pub mod secrets;
pub mod sockets;
mod table;

pub use aws::Aws;
pub use error::AwsError;
pub use table::TableError;
