//! What breaks meanwhile: workers die by SIGKILL, PostgreSQL restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::Stack;
use tokio::task::JoinHandle;

const FUNCTIONS: [&str; 2] = ["consume-inbound", "consume-outbound"];

/// Breaks things until it has broken enough and is told to end.
pub(super) struct Breaker {
    ending: Arc<AtomicBool>,
    work: JoinHandle<(usize, usize)>,
}

impl Breaker {
    /// At least `kills` kills that hit a worker, and `restarts` restarts of PostgreSQL.
    pub(super) fn start(stack: Stack, kills: usize, restarts: usize) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ending);
        let work = tokio::spawn(async move {
            let (mut killed, mut restarted, mut rounds) = (0, 0, 0_usize);
            // An idle worker cannot be hit: after the load is through, a few more rounds must do.
            while !ended.load(Ordering::Relaxed)
                || (killed < kills && rounds < kills * 20)
                || restarted < restarts
            {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                rounds += 1;
                let hit = stack.kill_workers(FUNCTIONS[rounds % FUNCTIONS.len()]).await;
                killed += usize::from(hit > 0);
                if restarted < restarts && rounds % 5 == 0 {
                    stack.postgres("restart").await;
                    restarted += 1;
                }
            }
            assert!(killed >= kills, "only {killed} of {kills} kills hit a worker");
            (killed, restarted)
        });
        Self { ending, work }
    }

    /// Ends it; what it broke, in words.
    pub(super) async fn finish(self) -> String {
        self.ending.store(true, Ordering::Relaxed);
        let (killed, restarted) = self.work.await.unwrap();
        format!("{killed} times workers killed, PostgreSQL restarted {restarted} times")
    }
}
