//! How much a caller may ask of the API: so many requests a minute a key or session, and a company.
//!
//! The count is shared by all processes. A process takes a few requests' worth at a time, so that most requests cost no
//! write; what it does not use is lost with the minute. Whoever uses up what it took takes twice as much.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloud::limits::Verdict;

use super::{Actor, Identity};
use crate::App;
use crate::error::{Error, Result};

/// Requests a minute of one key or session.
pub const CALLER_LIMIT: u32 = 1_200;

/// Requests a minute of one company.
pub const COMPANY_LIMIT: u32 = 6_000;

/// Requests that a process takes at first.
const LEASE: u32 = 20;

/// Requests that it takes at a time at most.
const LARGEST_LEASE: u32 = 60;

/// Buckets that a process remembers; more are forgotten, and taken anew.
const CAPACITY: usize = 10_000;

/// What this process holds, by bucket.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<String, Lease>>);

/// What was taken of a bucket.
#[derive(Clone, Copy, Debug)]
struct Lease {
    minute: i64,
    taken: u32,
    left: u32,
}

/// Counts a request of a caller.
///
/// # Errors
/// `RetryLater` when the minute is used up.
pub async fn pass(app: &App, identity: &Identity) -> Result<()> {
    let caller = match &identity.actor {
        Actor::Person { session_id, .. } => format!("api/session/{session_id}"),
        Actor::Key { id, .. } => format!("api/key/{id}"),
    };
    let company = format!("api/company/{}", identity.scope.company_id());
    let taken = futures::join!(take(app, caller, CALLER_LIMIT), take(app, company, COMPANY_LIMIT));
    for verdict in [taken.0, taken.1] {
        if let Verdict::Wait(after) = verdict {
            return Err(Error::RetryLater { after, source: anyhow::anyhow!("too many requests") });
        }
    }
    Ok(())
}

async fn take(app: &App, bucket: String, limit: u32) -> Verdict {
    let now = app.clock.now();
    let minute = now.timestamp().div_euclid(60);
    let Err(UsedUp { taken }) = app.leases.use_one(&bucket, minute) else { return Verdict::Allowed };
    let mut amount = (2 * taken).clamp(LEASE, LARGEST_LEASE);
    loop {
        match app.limits.take(&bucket, amount, limit, now).await {
            Ok(Verdict::Allowed) => {
                app.leases.hold(bucket, Lease { minute, taken: amount, left: amount - 1 });
                return Verdict::Allowed;
            }
            // So much is not left, but perhaps less; and whoever asks next asks for less at once.
            Ok(Verdict::Wait(_)) if amount > LEASE => {
                amount = LEASE;
                app.leases.hold(bucket.clone(), Lease { minute, taken: 0, left: 0 });
            }
            Ok(Verdict::Wait(after)) => return Verdict::Wait(after.max(Duration::from_secs(1))),
            Err(error) => {
                // Not knowing how much was asked is no reason to answer nobody.
                tracing::warn!(%error, "requests not counted");
                return Verdict::Allowed;
            }
        }
    }
}

/// Nothing is held of a bucket for this minute.
#[derive(Debug, PartialEq, Eq)]
struct UsedUp {
    /// How many were taken last.
    taken: u32,
}

impl Leases {
    /// Uses one of what is held.
    fn use_one(&self, bucket: &str, minute: i64) -> std::result::Result<(), UsedUp> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(bucket).filter(|lease| lease.minute == minute) {
            Some(lease) if lease.left > 0 => {
                lease.left -= 1;
                Ok(())
            }
            lease => Err(UsedUp { taken: lease.map_or(0, |lease| lease.taken) }),
        }
    }

    /// Holds a lease, beside what another request has taken of the same minute.
    fn hold(&self, bucket: String, mut lease: Lease) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= CAPACITY {
            held.retain(|_, other| other.minute == lease.minute);
        }
        if held.len() >= CAPACITY {
            held.clear();
        }
        if let Some(other) = held.get(&bucket).filter(|other| other.minute == lease.minute) {
            lease.left += other.left;
        }
        held.insert(bucket, lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_used_up_and_ends_with_its_minute() {
        let leases = Leases::default();
        let lease = Lease { minute: 7, taken: 3, left: 2 };
        let used_up = |taken| Err(UsedUp { taken });
        assert_eq!(leases.use_one("a", 7), used_up(0));
        leases.hold("a".to_owned(), lease);
        assert_eq!([7, 7, 7].map(|minute| leases.use_one("a", minute)), [Ok(()), Ok(()), used_up(3)]);
        leases.hold("a".to_owned(), lease);
        leases.hold("a".to_owned(), Lease { minute: 7, taken: 1, left: 0 });
        assert_eq!([7, 7, 7].map(|minute| leases.use_one("a", minute)), [Ok(()), Ok(()), used_up(1)]);
        leases.hold("a".to_owned(), lease);
        assert_eq!(leases.use_one("a", 8), used_up(0));
    }
}
