//! Pools and transactions. A pool is private; a query needs a transaction, and a transaction has a scope.

use std::fmt;
use std::time::Duration;

use domain::{CompanyId, CompanyScope, UserId};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, PgTransaction};

use crate::Result;

/// How long to wait for a connection before a request is answered with an error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A database that is connected to on first use.
#[derive(Clone, Debug)]
pub struct Db {
    pool: PgPool,
}

/// Who is being authenticated, before any company is known. `Debug` prints no address and no hash.
#[derive(Clone)]
pub enum Principal {
    /// A person whose password or token was checked.
    User(UserId),
    /// Whoever gives this address.
    Email(String),
    /// The hex SHA-256 of an API key, or of a token that we handed out.
    KeyHash(String),
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user_id) => write!(f, "User({user_id})"),
            Self::Email(_) => f.write_str("Email(…)"),
            Self::KeyHash(_) => f.write_str("KeyHash(…)"),
        }
    }
}

/// A transaction that sees one company only.
#[derive(Debug)]
pub struct TenantTx {
    tx: PgTransaction<'static>,
    scope: CompanyScope,
}

/// A transaction that sees what one principal needs to be let in: own memberships, own companies, own key.
#[derive(Debug)]
pub struct IdentityTx {
    tx: PgTransaction<'static>,
}

/// A transaction that can act as a person: one of a principal, or of a company that the person joins.
pub trait PersonTx: sealed::Connected {}

impl PersonTx for IdentityTx {}
impl PersonTx for TenantTx {}

pub(crate) mod sealed {
    /// Keeps the connection inside this crate.
    pub trait Connected {
        fn connection(&mut self) -> &mut sqlx::PgConnection;
    }
}

impl sealed::Connected for IdentityTx {
    fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl sealed::Connected for TenantTx {
    fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

/// A transaction of a role that sees every company's rows in the tables that its policies name.
#[derive(Debug)]
pub struct SystemTx {
    tx: PgTransaction<'static>,
}

impl Db {
    /// Describes the database at `url` without connecting to it.
    ///
    /// A Lambda handles one event at a time, so `max_connections` is small: 2 lets a relay run beside a request.
    ///
    /// # Errors
    /// When `url` is not a PostgreSQL URL.
    pub fn lazy(url: &str, max_connections: u32) -> Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A frozen Lambda may thaw with dead connections: test one that was idle, not one just used.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for < Duration::from_secs(1) {
                        return Ok(true);
                    }
                    Ok(sqlx::Connection::ping(connection).await.is_ok())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Starts a transaction that sees `scope`'s company. Dropping it rolls back.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin(&self, scope: CompanyScope) -> Result<TenantTx> {
        self.begin_as(scope, "").await
    }

    /// As [`Self::begin`], but the commit does not wait for the disk. Only for work that is repeated when it is lost.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_relaxed(&self, scope: CompanyScope) -> Result<TenantTx> {
        self.begin_as(scope, "SET LOCAL synchronous_commit = off").await
    }

    /// As [`Self::begin`], for lists with filters that may be left out: each is planned for the filters that it has, by the
    /// index that is made for them.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_list(&self, scope: CompanyScope) -> Result<TenantTx> {
        self.begin_as(scope, "SET LOCAL plan_cache_mode = force_custom_plan").await
    }

    /// As [`Self::begin_list`], for lists in which parts of texts are looked for: what was meant for an index never reads
    /// the whole table instead, whatever the planner guesses of parts that it knows nothing about.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_search(&self, scope: CompanyScope) -> Result<TenantTx> {
        self.begin_as(scope, "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off")
            .await
    }

    /// As [`Self::begin`], for statements about a few keys that come as arrays: each is planned once for a connection. Of an
    /// array that it has not seen the planner expects ten, finds that dearer than the few that come, and would plan anew
    /// each time, which takes several times as long as the work.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_keyed(&self, scope: CompanyScope) -> Result<TenantTx> {
        self.begin_as(scope, "SET LOCAL plan_cache_mode = force_generic_plan").await
    }

    async fn begin_as(&self, scope: CompanyScope, settings: &'static str) -> Result<TenantTx> {
        let company_id = scope.company_id();
        let tx = self.begin_with(&format!("SET LOCAL app.company_id = '{company_id}'; {settings}")).await?;
        Ok(TenantTx { tx, scope })
    }

    /// Starts a transaction that sees what `principal` needs to be let in.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_identity(&self, principal: &Principal) -> Result<IdentityTx> {
        let user_id;
        let (name, text) = match principal {
            Principal::User(id) => {
                user_id = id.to_string();
                ("app.user_id", user_id.as_str())
            }
            Principal::Email(email) => ("app.email", email.as_str()),
            Principal::KeyHash(hash) => ("app.key_hash", hash.as_str()),
        };
        // PostgreSQL's texts hold no NUL: with one in it, nobody is meant.
        let text = if text.contains('\0') { String::new() } else { hex::encode(text) };
        let set = format!("SELECT set_config('{name}', convert_from(decode('{text}', 'hex'), 'UTF8'), true)");
        Ok(IdentityTx { tx: self.begin_with(&set).await? })
    }

    /// Starts a transaction with what it may see, in one round trip. `set` is made of our own words, UUIDs and
    /// hexadecimal digits, which need no quoting; and it never fails: a connection that fails to begin is lost.
    async fn begin_with(&self, set: &str) -> Result<PgTransaction<'static>> {
        Ok(self.pool.begin_with(AssertSqlSafe(format!("BEGIN; {set}"))).await?)
    }

    /// Starts a transaction with no scope of its own, for the roles whose policies give one.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_system(&self) -> Result<SystemTx> {
        Ok(SystemTx { tx: self.pool.begin().await? })
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// When it gives none.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query!("SELECT 1 AS alive").fetch_one(&self.pool).await?;
        Ok(())
    }
}

impl TenantTx {
    /// The company that this transaction sees.
    pub fn company_id(&self) -> CompanyId {
        self.scope.company_id()
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// From here on this transaction also sees and writes what is this person's alone.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn act_as(&mut self, user_id: UserId) -> Result<()> {
        act_as(&mut self.tx, user_id).await
    }

    /// From here on this transaction sees another company, and no longer the one before: what belongs to two of them
    /// happens at once or not at all.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn turn_to(&mut self, scope: CompanyScope) -> Result<()> {
        speak_for(&mut self.tx, scope).await?;
        self.scope = scope;
        Ok(())
    }

    /// Makes everything durable, at once or not at all.
    ///
    /// # Errors
    /// When the commit failed; after a broken connection it may have happened all the same.
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    /// Lets [`Self::commit`] return before the disk has it. Only for work that is repeated when it is lost.
    pub(crate) async fn relax_durability(&mut self) -> Result<()> {
        sqlx::query!("SELECT set_config('synchronous_commit', 'off', true) AS setting")
            .fetch_one(self.connection())
            .await?;
        Ok(())
    }
}

impl IdentityTx {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// From here on this transaction sees and writes what is this person's alone: they proved who they are.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn act_as(&mut self, user_id: UserId) -> Result<()> {
        act_as(&mut self.tx, user_id).await
    }

    /// Goes on for one of the person's companies too, in the same transaction: for what leaves through its outbox.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn enter(mut self, scope: CompanyScope) -> Result<TenantTx> {
        speak_for(&mut self.tx, scope).await?;
        Ok(TenantTx { tx: self.tx, scope })
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`TenantTx::commit`].
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}

async fn speak_for(connection: &mut PgConnection, scope: CompanyScope) -> Result<()> {
    let company_id = scope.company_id().to_string();
    sqlx::query!("SELECT set_config('app.company_id', $1, true) AS company_id", company_id)
        .fetch_one(connection)
        .await?;
    Ok(())
}

async fn act_as(connection: &mut PgConnection, user_id: UserId) -> Result<()> {
    sqlx::query!("SELECT set_config('app.user_id', $1, true) AS user_id", user_id.to_string())
        .fetch_one(connection)
        .await?;
    Ok(())
}

impl SystemTx {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`TenantTx::commit`].
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}
