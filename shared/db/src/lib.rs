//! PostgreSQL: the only place with SQL.
//!
//! Rooms: [`tx`] pools and transactions, each of which sees one company, one principal, or the relay's outbox · one
//! file of queries a resource: of customers [`contacts`], [`contact_fields`], [`tabulations`], [`lists`], [`segments`],
//! [`merges`], [`erasures`], [`imports`], [`exports`]; of the inbox [`conversations`], [`quick_replies`], [`messages`],
//! [`media`], [`sessions`], [`turns`], [`connections`], [`connection_onboardings`], [`embedded_signups`], [`templates`],
//! [`personas`]; of boards [`boards`], [`board_stages`], [`leads`], [`lead_history`]; of accounts [`users`], [`companies`], [`members`], [`departments`], [`invitations`],
//! [`api_keys`], [`identities`], [`login_sessions`], [`account_tokens`] · [`audit`] who did what · [`journal`] what
//! providers told us · [`outbox`] what has to leave · [`idempotency`] repeated POSTs · [`error`] what can go wrong.
//!
//! A function here is one query with a verb for a name. Tenant queries take `&mut TenantTx` first and name `company_id`
//! although row-level security does too: the planner needs it, and so does a reader.
//!
//! Never in here: rules of the product, HTTP, queues, provider formats, the clock.

pub mod account_tokens;
pub mod api_keys;
pub mod audit;
pub mod board_stages;
pub mod boards;
pub mod companies;
pub mod connection_onboardings;
pub mod connections;
pub mod contact_fields;
pub mod contacts;
pub mod conversations;
pub mod departments;
pub mod embedded_signups;
pub mod erasures;
pub mod error;
pub mod exports;
pub mod idempotency;
pub mod identities;
pub mod imports;
pub mod invitations;
pub mod journal;
pub mod lead_history;
pub mod leads;
pub mod lists;
pub mod login_sessions;
pub mod media;
pub mod members;
pub mod merges;
pub mod messages;
pub mod outbox;
pub mod personas;
pub mod quick_replies;
pub mod segments;
pub mod sessions;
pub mod tabulations;
pub mod templates;
pub mod turns;
pub mod tx;
pub mod users;

pub use error::{Error, Result};
pub use tx::{Db, IdentityTx, PersonTx, Principal, SystemTx, TenantTx};

/// The schema's history. Run it as the owner role; see [`migrate`].
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Brings the schema of `owner_url`'s database up to date. Safe to run twice, and from two places at once.
///
/// # Errors
/// When the server cannot be reached, or a migration fails; nothing of a failed migration stays.
pub async fn migrate(owner_url: &str) -> anyhow::Result<()> {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(owner_url).await?;
    MIGRATOR.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
