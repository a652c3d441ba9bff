//! The real clock.

use app::Clock;
use chrono::{DateTime, SubsecRound as _, Utc};
use uuid::Uuid;

/// The machine's time in microseconds, which is what the database keeps, and random UUIDv7.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
