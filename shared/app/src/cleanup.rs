//! What has had its time goes: sessions that ended, mailed links that ran out, keys of repeated requests, tokens of sign-ups that
//! were not repeated.

use chrono::{DateTime, TimeDelta, Utc};

use crate::App;
use crate::error::Result;

/// A session that ended is kept for so long: a refresh token of it that is shown again is still known as stolen.
const SESSIONS_FOR: TimeDelta = TimeDelta::days(30);

/// A link that ran out is kept for so long.
const TOKENS_FOR: TimeDelta = TimeDelta::days(1);

/// The key of a request is kept for so long: nobody repeats a request after a week.
const IDEMPOTENCY_KEYS_FOR: TimeDelta = TimeDelta::days(7);

/// The token that a code of Embedded Signup was exchanged for is kept for so long: until then what failed may be repeated.
pub(crate) const SIGNUPS_FOR: TimeDelta = TimeDelta::hours(1);

/// Rows that one transaction deletes at most.
const BATCH: i64 = 1_000;

/// How much of its time the clean-up leaves unused: the next run goes on.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// How many rows went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Sessions of people, with their refresh tokens.
    pub login_sessions: u64,
    /// Links that were mailed.
    pub account_tokens: u64,
    /// Keys of requests.
    pub idempotency_keys: u64,
    /// Tokens of Embedded Signup that nobody came back for, or that connections have.
    pub embedded_signups: u64,
}

/// Deletes what has had its time, until all is gone or `deadline` is near.
///
/// # Errors
/// Database errors; what was deleted stays deleted.
pub async fn run(app: &App, deadline: DateTime<Utc>) -> Result<Cleaned> {
    let now = app.clock.now();
    let db = app.system_db().await?;
    let mut cleaned = Cleaned::default();
    while app.clock.now() + MARGIN < deadline {
        let mut tx = db.begin_system().await?;
        let sessions = db::login_sessions::delete_over(&mut tx, now - SESSIONS_FOR, BATCH).await?;
        let tokens = db::account_tokens::delete_expired(&mut tx, now - TOKENS_FOR, BATCH).await?;
        let keys = db::idempotency::delete_older(&mut tx, now - IDEMPOTENCY_KEYS_FOR, BATCH).await?;
        let signups = db::embedded_signups::delete_older(&mut tx, now - SIGNUPS_FOR, BATCH).await?;
        tx.commit().await?;
        cleaned.login_sessions += sessions;
        cleaned.account_tokens += tokens;
        cleaned.idempotency_keys += keys;
        cleaned.embedded_signups += signups;
        if sessions + tokens + keys + signups == 0 {
            break;
        }
    }
    Ok(cleaned)
}
