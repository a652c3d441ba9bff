//! A clock that a test moves on.

use std::sync::{Mutex, PoisonError};

use app::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use domain::turn::WINDOW_SECONDS;
use runtime::clock::SystemClock;
use uuid::Uuid;

/// How far ahead of the machine's time it begins: the deployed relay, which goes by the machine's time, must not take
/// rows of the outbox that a killed step left to the test.
const AHEAD: TimeDelta = TimeDelta::hours(2);

/// Time as a very slow worker sees it: from one reading to the next a turn's longest window passes. A job that has to
/// wait for the window is due when it is handed over, so its queue does not delay it.
#[derive(Debug)]
pub struct FlowClock(Mutex<DateTime<Utc>>);

impl FlowClock {
    pub(super) fn ahead() -> Self {
        Self(Mutex::new(SystemClock.now() + AHEAD))
    }

    /// Lets time pass; gives the time then.
    pub fn pass(&self, time: TimeDelta) -> DateTime<Utc> {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now += time;
        *now
    }
}

impl Clock for FlowClock {
    fn now(&self) -> DateTime<Utc> {
        self.pass(TimeDelta::seconds((*WINDOW_SECONDS.end()).into()))
    }

    fn new_id(&self) -> Uuid {
        SystemClock.new_id()
    }
}
