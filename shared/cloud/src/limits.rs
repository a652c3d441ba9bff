//! Rate limits that many processes share, each decided by one conditional write in DynamoDB.
//!
//! Table: partition key `bucket` (string), TTL attribute `expires_at`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, TimeDelta, Utc};

use crate::aws::Aws;
use crate::error::AwsError;
use crate::table::{Item, TableError, epoch_seconds, refused, string};

/// Attempts in any [`ATTEMPT_WINDOW`].
pub const ATTEMPTS: usize = 5;

/// The length of a window of attempts; it slides.
pub const ATTEMPT_WINDOW: TimeDelta = TimeDelta::minutes(15);

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// How long an item is kept after what it counts is over.
const KEPT: TimeDelta = TimeDelta::minutes(5);

/// The times of the last attempts, oldest first, milliseconds since 1970.
const SLOTS: [&str; ATTEMPTS] = ["a0", "a1", "a2", "a3", "a4"];

/// The table of limits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RateLimits {
    aws: Aws,
    table: Arc<str>,
}

/// What a limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allowed,
    /// Not before so long.
    Wait(Duration),
}

impl RateLimits {
    /// Connects at the first request.
    pub fn new(aws: Aws, table: impl Into<Arc<str>>) -> Self {
        Self { aws, table: table.into() }
    }

    /// Counts an attempt, unless [`ATTEMPTS`] of the last [`ATTEMPT_WINDOW`] are counted already. However many come at
    /// once, no more than that pass: the write that shifts the slots is also the one that checks the oldest.
    ///
    /// # Errors
    /// When the table cannot be written: then nothing is known, and the attempt must not pass.
    pub async fn attempt(&self, bucket: &str, now: DateTime<Utc>) -> Result<Verdict, TableError> {
        let cutoff = (now - ATTEMPT_WINDOW).timestamp_millis();
        let [a0, a1, a2, a3, a4] = SLOTS;
        let shift = format!(
            "SET {a0} = if_not_exists({a1}, :none), {a1} = if_not_exists({a2}, :none), \
             {a2} = if_not_exists({a3}, :none), {a3} = if_not_exists({a4}, :none), {a4} = :now, expires_at = :expires"
        );
        let request = self.aws.dynamodb().await.update_item().table_name(&*self.table);
        let answer = request
            .key("bucket", string(bucket))
            .update_expression(shift)
            .condition_expression(format!("attribute_not_exists({a0}) OR {a0} <= :cutoff"))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":now", number(now.timestamp_millis()))
            .expression_attribute_values(":cutoff", number(cutoff))
            .expression_attribute_values(":expires", epoch_seconds(now + ATTEMPT_WINDOW))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Verdict::Allowed),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Verdict::Wait(wait(refused.item(), now)))
                }
                _ => Err(AwsError::from_sdk("dynamodb.UpdateItem", error).into()),
            },
        }
    }

    /// Gives the newest attempt back: it succeeded, and only failures shall count.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn forgive(&self, bucket: &str) -> Result<(), TableError> {
        let [a0, a1, a2, a3, a4] = SLOTS;
        let request = self.aws.dynamodb().await.update_item().table_name(&*self.table);
        let answer = request
            .key("bucket", string(bucket))
            .update_expression(format!(
                "SET {a4} = {a3}, {a3} = {a2}, {a2} = {a1}, {a1} = {a0}, {a0} = :none"
            ))
            .condition_expression(format!("attribute_exists({a4})"))
            .expression_attribute_values(":none", number(0))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if refused(&error) => Ok(()),
            Err(error) => Err(AwsError::from_sdk("dynamodb.UpdateItem", error).into()),
        }
    }

    /// Takes all attempts of a bucket back; how many of them counted still.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn clear(&self, bucket: &str, now: DateTime<Utc>) -> Result<usize, TableError> {
        let cutoff = (now - ATTEMPT_WINDOW).timestamp_millis();
        let request = self.aws.dynamodb().await.update_item().table_name(&*self.table);
        let answer = request
            .key("bucket", string(bucket))
            .update_expression(format!("REMOVE {}", SLOTS.join(", ")))
            .condition_expression(format!("attribute_exists({})", SLOTS[ATTEMPTS - 1]))
            .return_values(ReturnValue::AllOld)
            .send()
            .await;
        match answer {
            Ok(old) => Ok(old.attributes().map_or(0, |item| counted(item, cutoff))),
            Err(error) if refused(&error) => Ok(0),
            Err(error) => Err(AwsError::from_sdk("dynamodb.UpdateItem", error).into()),
        }
    }

    /// Takes `amount` of what a bucket has for the current minute.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn take(
        &self,
        bucket: &str,
        amount: u32,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Verdict, TableError> {
        self.take_of(MINUTE, bucket, amount, limit, now).await
    }

    /// Takes one of what a bucket has for the current day, in UTC.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn take_today(
        &self,
        bucket: &str,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Verdict, TableError> {
        self.take_of(DAY, bucket, 1, limit, now).await
    }

    /// Periods of so many seconds, which all begin at a multiple of their length.
    async fn take_of(
        &self,
        period: i64,
        bucket: &str,
        amount: u32,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Verdict, TableError> {
        let second = now.timestamp();
        let begin = second - second.rem_euclid(period);
        let request = self.aws.dynamodb().await.update_item().table_name(&*self.table);
        let answer = request
            .key("bucket", string(format!("{bucket}#{begin}")))
            .update_expression("ADD used :amount SET expires_at = :expires")
            .condition_expression("attribute_not_exists(used) OR used <= :room")
            .expression_attribute_values(":amount", number(i64::from(amount)))
            .expression_attribute_values(":room", number(i64::from(limit.saturating_sub(amount))))
            .expression_attribute_values(":expires", epoch_seconds(now + TimeDelta::seconds(period) + KEPT))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Verdict::Allowed),
            Err(error) if refused(&error) => {
                let left = u64::try_from(begin + period - second).unwrap_or_default();
                Ok(Verdict::Wait(Duration::from_secs(left)))
            }
            Err(error) => Err(AwsError::from_sdk("dynamodb.UpdateItem", error).into()),
        }
    }
}

/// How many attempts were made after `cutoff`.
fn counted(item: &Item, cutoff: i64) -> usize {
    let made = |slot: &&str| item.get(*slot).and_then(|value| value.as_n().ok()?.parse::<i64>().ok());
    SLOTS.iter().filter(|slot| made(slot).is_some_and(|at| at > cutoff)).count()
}

/// How long until the oldest attempt has left the window.
fn wait(item: Option<&HashMap<String, AttributeValue>>, now: DateTime<Utc>) -> Duration {
    let oldest = item.and_then(|item: &Item| item.get(SLOTS[0])?.as_n().ok()?.parse::<i64>().ok());
    let oldest = oldest.and_then(DateTime::from_timestamp_millis).unwrap_or(now);
    (oldest + ATTEMPT_WINDOW - now).to_std().unwrap_or_default().max(Duration::from_secs(1))
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_waits_for_the_oldest_attempt_to_leave() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).expect("a time");
        let oldest = now - TimeDelta::minutes(10);
        let item = Item::from([(SLOTS[0].to_owned(), number(oldest.timestamp_millis()))]);
        assert_eq!(wait(Some(&item), now), Duration::from_secs(300));
        assert_eq!(wait(None, now), Duration::from_secs(900));
    }

    #[test]
    fn attempts_that_are_over_count_no_more() {
        let item =
            Item::from([("a2", 0), ("a3", 100), ("a4", 200)].map(|(slot, at)| (slot.to_owned(), number(at))));
        assert_eq!([counted(&item, 50), counted(&item, 100), counted(&Item::new(), 0)], [2, 1, 0]);
    }
}
