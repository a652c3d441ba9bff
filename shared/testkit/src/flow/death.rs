//! Work whose process dies.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::Notify;

/// Dies at the `nth` answer; 1 is the first.
pub fn at_answer(nth: usize) -> impl AsyncFnMut() -> bool {
    let mut heard = 0;
    async move || {
        heard += 1;
        heard == nth
    }
}

#[derive(Default)]
struct Alarm(Notify);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Does `work`, unless `dies` says stop: it is asked each time before `work` goes on, that is, when the answer that it
/// waits for is there and it does not know it yet. `None` when it died.
pub(super) async fn unless<T>(
    work: impl Future<Output = T>,
    mut dies: impl AsyncFnMut() -> bool,
) -> Option<T> {
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(alarm.clone());
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        alarm.0.notified().await;
        // Whoever has done too much in one go is only woken when the runtime had its turn.
        tokio::task::yield_now().await;
        if dies().await {
            return None;
        }
    }
}
