//! What the rooms over DynamoDB share: their error, and reading an item's attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::error::AwsError;

/// An item as DynamoDB has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Why a table did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TableError {
    /// The request failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// An item is not what we write: another version's, or made by hand.
    #[error("an item's attribute {0} is missing or malformed")]
    Malformed(&'static str),
}

impl TableError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Aws(error) => error.retryable(),
            Self::Malformed(_) => false,
        }
    }
}

/// Whether an item was not what the write was for.
pub(crate) fn refused<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_)))
}

pub(crate) fn string(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(crate) fn time(value: DateTime<Utc>) -> AttributeValue {
    AttributeValue::S(value.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Seconds since 1970: the form that DynamoDB's TTL reads.
pub(crate) fn epoch_seconds(value: DateTime<Utc>) -> AttributeValue {
    AttributeValue::N(value.timestamp().to_string())
}

pub(crate) fn read_text<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, TableError> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or(TableError::Malformed(name))
}

/// Parses a text attribute into a typed id, a time, a sealed value …
pub(crate) fn read<T: std::str::FromStr>(item: &Item, name: &'static str) -> Result<T, TableError> {
    read_text(item, name)?.parse().map_err(|_| TableError::Malformed(name))
}

pub(crate) fn read_epoch_seconds(item: &Item, name: &'static str) -> Result<DateTime<Utc>, TableError> {
    let seconds = item.get(name).and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or(TableError::Malformed(name))
}
