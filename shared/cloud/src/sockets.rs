//! The open browser connections of each company.
//!
//! Table: partition key `connection_id` (string), index `by-company` on `company_id` (string) that projects all
//! attributes, TTL attribute `expires_at`.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ApiKeyId, CompanyId, ConversationId, LoginSessionId, UserId};

use crate::aws::Aws;
use crate::error::AwsError;
use crate::table::{
    Item, TableError, epoch_seconds, read, read_epoch_seconds, read_text, refused, string, time,
};

/// API Gateway closes every WebSocket after two hours.
pub const SOCKET_LIFE: TimeDelta = TimeDelta::hours(2);

/// The index that [`Sockets::list_for_company`] reads.
const BY_COMPANY: &str = "by-company";

/// Who listens on a connection, and by what they were let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A person, by a log-in session; the release before this one did not note which.
    Person(UserId, Option<LoginSessionId>),
    /// A program, by an API key; the release before this one did not note which.
    Key(Option<ApiKeyId>),
}

/// One open browser connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// API Gateway's id of the connection (not one of a channel).
    pub connection_id: String,
    /// Whose events it hears.
    pub company_id: CompanyId,
    /// Who listens.
    pub listener: Listener,
    /// When it was opened; milliseconds.
    pub connected_at: DateTime<Utc>,
    /// When it is gone for certain; whole seconds.
    pub expires_at: DateTime<Utc>,
    /// The conversations that it hears of; `None` for all of the company's.
    pub watches: Option<BTreeSet<ConversationId>>,
}

impl Socket {
    /// A connection that was opened at `connected_at` and lives for [`SOCKET_LIFE`], or as long as what was shown for it.
    pub fn opened(
        connection_id: impl Into<String>,
        company_id: CompanyId,
        listener: Listener,
        connected_at: DateTime<Utc>,
        credential_ends: Option<DateTime<Utc>>,
    ) -> Self {
        let life = connected_at + SOCKET_LIFE;
        let expires_at = credential_ends.map_or(life, |end| end.min(life));
        let connection_id = connection_id.into();
        Self { connection_id, company_id, listener, connected_at, expires_at, watches: None }
    }

    fn to_item(&self) -> Item {
        let mut item = Item::from([
            ("connection_id".to_owned(), string(&self.connection_id)),
            ("company_id".to_owned(), string(self.company_id)),
            ("connected_at".to_owned(), time(self.connected_at)),
            ("expires_at".to_owned(), epoch_seconds(self.expires_at)),
        ]);
        let ids = match self.listener {
            Listener::Person(user_id, session_id) => {
                vec![("user_id", Some(user_id.0)), ("login_session_id", session_id.map(|id| id.0))]
            }
            Listener::Key(key_id) => vec![("api_key_id", key_id.map(|id| id.0))],
        };
        item.extend(ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), string(id?)))));
        item
    }

    fn from_item(item: &Item) -> Result<Self, TableError> {
        let listener = match read_if_there(item, "user_id")? {
            Some(user_id) => Listener::Person(user_id, read_if_there(item, "login_session_id")?),
            None => Listener::Key(read_if_there(item, "api_key_id")?),
        };
        Ok(Self {
            connection_id: read(item, "connection_id")?,
            company_id: read(item, "company_id")?,
            listener,
            connected_at: DateTime::parse_from_rfc3339(read_text(item, "connected_at")?)
                .map_err(|_| TableError::Malformed("connected_at"))?
                .to_utc(),
            expires_at: read_epoch_seconds(item, "expires_at")?,
            watches: item.get(WATCHES).map(read_watches).transpose()?,
        })
    }
}

/// The attribute of [`Socket::watches`]: a list, since a set of DynamoDB cannot be empty.
const WATCHES: &str = "watches";

fn read_watches(value: &AttributeValue) -> Result<BTreeSet<ConversationId>, TableError> {
    let malformed = || TableError::Malformed(WATCHES);
    let ids = value.as_l().map_err(|_| malformed())?.iter();
    ids.map(|id| id.as_s().ok().and_then(|id| id.parse().ok()).ok_or_else(malformed)).collect()
}

fn read_if_there<T: std::str::FromStr>(item: &Item, name: &'static str) -> Result<Option<T>, TableError> {
    item.contains_key(name).then(|| read(item, name)).transpose()
}

/// The table of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sockets {
    aws: Aws,
    table: Arc<str>,
}

impl Sockets {
    /// Connects at the first request.
    pub fn new(aws: Aws, table: impl Into<Arc<str>>) -> Self {
        Self { aws, table: table.into() }
    }

    /// Remembers a connection.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn put(&self, socket: &Socket) -> Result<(), TableError> {
        let request = self.aws.dynamodb().await.put_item().table_name(&*self.table);
        let answer = request.set_item(Some(socket.to_item())).send().await;
        answer.map_err(|error| AwsError::from_sdk("dynamodb.PutItem", error))?;
        Ok(())
    }

    /// Says which conversations a connection hears of; whether there is such a connection.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn set_watches(
        &self,
        connection_id: &str,
        watches: Option<&BTreeSet<ConversationId>>,
    ) -> Result<bool, TableError> {
        let request = self.aws.dynamodb().await.update_item().table_name(&*self.table);
        let request = request
            .key("connection_id", string(connection_id))
            // One that was forgotten meanwhile does not come back.
            .condition_expression("attribute_exists(connection_id)");
        let request = match watches {
            Some(ids) => request
                .update_expression(format!("SET {WATCHES} = :watches"))
                .expression_attribute_values(":watches", AttributeValue::L(ids.iter().map(string).collect())),
            None => request.update_expression(format!("REMOVE {WATCHES}")),
        };
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if refused(&error) => Ok(false),
            Err(error) => Err(AwsError::from_sdk("dynamodb.UpdateItem", error).into()),
        }
    }

    /// One connection, as of now.
    ///
    /// # Errors
    /// When the table cannot be read, or the item is not what [`put`](Self::put) writes.
    pub async fn find(&self, connection_id: &str) -> Result<Option<Socket>, TableError> {
        let request = self.aws.dynamodb().await.get_item().table_name(&*self.table);
        let answer = request.key("connection_id", string(connection_id)).consistent_read(true).send().await;
        let answer = answer.map_err(|error| AwsError::from_sdk("dynamodb.GetItem", error))?;
        answer.item().map(Socket::from_item).transpose()
    }

    /// Forgets a connection; one that is not there is no error.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn delete(&self, connection_id: &str) -> Result<(), TableError> {
        let request = self.aws.dynamodb().await.delete_item().table_name(&*self.table);
        let answer = request.key("connection_id", string(connection_id)).send().await;
        answer.map_err(|error| AwsError::from_sdk("dynamodb.DeleteItem", error))?;
        Ok(())
    }

    /// Every connection of a company, over all pages. Some may be gone already: DynamoDB takes its time to expire
    /// items, and a push to such a one says so.
    ///
    /// # Errors
    /// When the index cannot be read, or an item is not what [`put`](Self::put) writes.
    pub async fn list_for_company(&self, company_id: CompanyId) -> Result<Vec<Socket>, TableError> {
        let request = self.aws.dynamodb().await.query().table_name(&*self.table).index_name(BY_COMPANY);
        let mut pages = request
            .key_condition_expression("company_id = :company_id")
            .expression_attribute_values(":company_id", AttributeValue::S(company_id.to_string()))
            .into_paginator()
            .send();
        let mut sockets = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::from_sdk("dynamodb.Query", error))?;
            for item in page.items() {
                sockets.push(Socket::from_item(item)?);
            }
        }
        Ok(sockets)
    }
}
