//! How much a caller may ask of the API: so many requests a minute a key or session, and a company.
//!
//! The count is shared by all processes. A process takes a few requests' worth at a time, so that most requests cost no
//! write; what it does not use is lost with the minute.

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

/// Requests that a process takes at a time.
const LEASE: u32 = 20;

/// Buckets that a process remembers; more are forgotten, and taken anew.
const CAPACITY: usize = 10_000;

/// What this process holds: by bucket, the minute and how many are left.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<String, (i64, u32)>>);

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
    if app.leases.use_one(&bucket, minute) {
        return Verdict::Allowed;
    }
    match app.limits.take(&bucket, LEASE, limit, now).await {
        Ok(Verdict::Allowed) => {
            app.leases.hold(bucket, minute, LEASE - 1);
            Verdict::Allowed
        }
        Ok(Verdict::Wait(after)) => Verdict::Wait(after.max(Duration::from_secs(1))),
        Err(error) => {
            // Not knowing how much was asked is no reason to answer nobody.
            tracing::warn!(%error, "requests not counted");
            Verdict::Allowed
        }
    }
}

impl Leases {
    fn use_one(&self, bucket: &str, minute: i64) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(bucket) {
            Some((of, left)) if *of == minute && *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn hold(&self, bucket: String, minute: i64, left: u32) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= CAPACITY {
            held.retain(|_, (of, _)| *of == minute);
        }
        if held.len() >= CAPACITY {
            held.clear();
        }
        held.insert(bucket, (minute, left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_used_up_and_ends_with_its_minute() {
        let leases = Leases::default();
        assert!(!leases.use_one("a", 7));
        leases.hold("a".to_owned(), 7, 2);
        assert!(leases.use_one("a", 7) && leases.use_one("a", 7));
        assert!(!leases.use_one("a", 7));
        leases.hold("a".to_owned(), 7, 2);
        assert!(!leases.use_one("a", 8));
    }
}
