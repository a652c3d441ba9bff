//! Which webhook address belongs to which company and connection. A webhook function reads this instead of PostgreSQL,
//! so that it works while PostgreSQL does not.
//!
//! Table: partition key `route_key` (string), e.g. `meta#<slug>`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CompanyId, ConnectionId};

use crate::aws::Aws;
use crate::cache::{Cache, Policy};
use crate::error::AwsError;
use crate::seal::Sealed;
use crate::table::{Item, TableError, read, read_text, refused, string, time};

const POLICY: Policy = Policy {
    fresh: Duration::from_secs(60),
    absent: Duration::from_secs(5),
    stale: Duration::from_secs(15 * 60),
    pause: Duration::from_secs(5),
    capacity: 10_000,
};

/// What a webhook needs to know to verify and file a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRoute {
    /// Provider and slug: `meta#<slug>`.
    pub route_key: String,
    /// Whose webhook it is.
    pub company_id: CompanyId,
    /// The connection that its events belong to.
    pub connection_id: ConnectionId,
    /// The provider's own id of the number or account (`phone_number_id`): an event for another one is not ours.
    pub provider_account: Option<String>,
    /// The key of the provider's signature.
    pub app_secret: Sealed,
    /// What the provider says when it asks whether the address is ours.
    pub verify_token: Sealed,
    /// When the connection was last changed.
    pub updated_at: DateTime<Utc>,
}

impl WebhookRoute {
    fn to_item(&self) -> Item {
        let mut item = Item::from([
            ("route_key".to_owned(), string(&self.route_key)),
            ("company_id".to_owned(), string(self.company_id)),
            ("connection_id".to_owned(), string(self.connection_id)),
            ("app_secret".to_owned(), string(self.app_secret.as_str())),
            ("verify_token".to_owned(), string(self.verify_token.as_str())),
            ("updated_at".to_owned(), time(self.updated_at)),
        ]);
        if let Some(account) = &self.provider_account {
            item.insert("provider_account".to_owned(), string(account));
        }
        item
    }

    fn from_item(item: &Item) -> Result<Self, TableError> {
        let has_account = item.contains_key("provider_account");
        Ok(Self {
            route_key: read(item, "route_key")?,
            company_id: read(item, "company_id")?,
            connection_id: read(item, "connection_id")?,
            provider_account: has_account.then(|| read(item, "provider_account")).transpose()?,
            app_secret: read(item, "app_secret")?,
            verify_token: read(item, "verify_token")?,
            updated_at: DateTime::parse_from_rfc3339(read_text(item, "updated_at")?)
                .map_err(|_| TableError::Malformed("updated_at"))?
                .to_utc(),
        })
    }
}

/// Some of a table's routes.
#[derive(Clone, Debug)]
pub struct RoutePage {
    /// The routes, in no order.
    pub routes: Vec<WebhookRoute>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// The table of routes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WebhookRoutes {
    aws: Aws,
}

impl WebhookRoutes {
    /// Connects at the first request.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// The route of this key, as of up to a second ago (the read is eventually consistent).
    ///
    /// # Errors
    /// When the table cannot be read, or the item is not what [`put`](Self::put) writes.
    pub async fn find(&self, table: &str, route_key: &str) -> Result<Option<WebhookRoute>, TableError> {
        self.read(table, route_key, false).await
    }

    /// The route of this key, as of now.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn find_now(&self, table: &str, route_key: &str) -> Result<Option<WebhookRoute>, TableError> {
        self.read(table, route_key, true).await
    }

    async fn read(&self, table: &str, key: &str, now: bool) -> Result<Option<WebhookRoute>, TableError> {
        let request = self.aws.dynamodb().await.get_item().table_name(table).key("route_key", string(key));
        let answer = request.consistent_read(now).send().await;
        let answer = answer.map_err(|error| AwsError::from_sdk("dynamodb.GetItem", error))?;
        answer.item().map(WebhookRoute::from_item).transpose()
    }

    /// Writes a route over whatever was there.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn put(&self, table: &str, route: &WebhookRoute) -> Result<(), TableError> {
        let request = self.aws.dynamodb().await.put_item().table_name(table);
        let answer = request.set_item(Some(route.to_item())).send().await;
        answer.map_err(|error| AwsError::from_sdk("dynamodb.PutItem", error))?;
        Ok(())
    }

    /// Some routes of the table, from behind the last page's `next`.
    ///
    /// # Errors
    /// When the table cannot be read, or an item is not what [`put`](Self::put) writes.
    pub async fn list(&self, table: &str, after: Option<String>) -> Result<RoutePage, TableError> {
        let mut request = self.aws.dynamodb().await.scan().table_name(table).consistent_read(true);
        if let Some(after) = after {
            request = request.exclusive_start_key("route_key", string(after));
        }
        let answer = request.send().await.map_err(|error| AwsError::from_sdk("dynamodb.Scan", error))?;
        let next = answer.last_evaluated_key().map(|key| read_text(key, "route_key").map(str::to_owned));
        let routes = answer.items().iter().map(WebhookRoute::from_item).collect::<Result<_, _>>()?;
        Ok(RoutePage { routes, next: next.transpose()? })
    }

    /// Writes the secrets of `new` where those of `old` stand still; `false` when somebody changed them meanwhile.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn replace_sealed(
        &self,
        table: &str,
        old: &WebhookRoute,
        new: &WebhookRoute,
    ) -> Result<bool, TableError> {
        let request = self.aws.dynamodb().await.update_item().table_name(table);
        let answer = request
            .key("route_key", string(&old.route_key))
            .update_expression("SET app_secret = :new_secret, verify_token = :new_token")
            .condition_expression("app_secret = :old_secret AND verify_token = :old_token")
            .expression_attribute_values(":new_secret", string(new.app_secret.as_str()))
            .expression_attribute_values(":new_token", string(new.verify_token.as_str()))
            .expression_attribute_values(":old_secret", string(old.app_secret.as_str()))
            .expression_attribute_values(":old_token", string(old.verify_token.as_str()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if refused(&error) => Ok(false),
            Err(error) => Err(AwsError::from_sdk("dynamodb.UpdateItem", error).into()),
        }
    }

    /// Removes a route; one that is not there is no error.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn delete(&self, table: &str, route_key: &str) -> Result<(), TableError> {
        let request = self.aws.dynamodb().await.delete_item().table_name(table);
        let answer = request.key("route_key", string(route_key)).send().await;
        answer.map_err(|error| AwsError::from_sdk("dynamodb.DeleteItem", error))?;
        Ok(())
    }
}

/// The routes with a memory: a minute for what is there, five seconds for what is not, and up to fifteen minutes for
/// what was there while DynamoDB fails. Clones share the memory, which holds at most 10,000 routes.
#[derive(Clone)]
pub struct CachedRoutes {
    routes: WebhookRoutes,
    table: Arc<str>,
    cache: Arc<Cache<Arc<WebhookRoute>, TableError>>,
}

impl CachedRoutes {
    /// An empty memory over a table.
    pub fn new(routes: WebhookRoutes, table: impl Into<Arc<str>>) -> Self {
        Self { routes, table: table.into(), cache: Arc::new(Cache::new("webhook-routes", POLICY)) }
    }

    /// The route of this key.
    ///
    /// # Errors
    /// As [`WebhookRoutes::find`], when nothing is remembered either.
    pub async fn find(&self, route_key: &str) -> Result<Option<Arc<WebhookRoute>>, TableError> {
        let load = async || Ok(self.routes.find(&self.table, route_key).await?.map(Arc::new));
        self.cache.get(route_key, load).await
    }

    /// The route of this key as the table has it now, which is remembered.
    ///
    /// # Errors
    /// As [`WebhookRoutes::find`].
    pub async fn find_now(&self, route_key: &str) -> Result<Option<Arc<WebhookRoute>>, TableError> {
        let load = async || Ok(self.routes.find_now(&self.table, route_key).await?.map(Arc::new));
        self.cache.reload(route_key, load).await
    }

    /// Writes a route, and forgets what was remembered of it.
    ///
    /// # Errors
    /// As [`WebhookRoutes::put`].
    pub async fn put(&self, route: &WebhookRoute) -> Result<(), TableError> {
        self.routes.put(&self.table, route).await?;
        self.forget(&route.route_key);
        Ok(())
    }

    /// Some routes of the table itself: see [`WebhookRoutes::list`].
    ///
    /// # Errors
    /// As [`WebhookRoutes::list`].
    pub async fn list(&self, after: Option<String>) -> Result<RoutePage, TableError> {
        self.routes.list(&self.table, after).await
    }

    /// Writes secrets that were sealed anew: see [`WebhookRoutes::replace_sealed`].
    ///
    /// # Errors
    /// As [`WebhookRoutes::replace_sealed`].
    pub async fn replace_sealed(&self, old: &WebhookRoute, new: &WebhookRoute) -> Result<bool, TableError> {
        self.routes.replace_sealed(&self.table, old, new).await
    }

    /// Removes a route, and forgets what was remembered of it.
    ///
    /// # Errors
    /// As [`WebhookRoutes::delete`].
    pub async fn delete(&self, route_key: &str) -> Result<(), TableError> {
        self.routes.delete(&self.table, route_key).await?;
        self.forget(route_key);
        Ok(())
    }

    /// Forgets one key: the next [`find`](Self::find) asks the table, for instance after a signature that did not match.
    pub fn forget(&self, route_key: &str) {
        self.cache.forget(route_key);
    }
}

impl fmt::Debug for CachedRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedRoutes").field("table", &self.table).finish_non_exhaustive()
    }
}
