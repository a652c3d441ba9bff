//! A small cache over something slower: one load at a time for a key, and the last good answer while loading fails.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long answers live.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// A value is served without asking.
    pub fresh: Duration,
    /// "There is none" is served without asking.
    pub absent: Duration,
    /// A value, counted from its load, is still served when loading fails.
    pub stale: Duration,
    /// After a failed load a stale value is served without asking, so that nobody waits for a time-out each time.
    pub pause: Duration,
    /// Keys held at most.
    pub capacity: usize,
}

/// Answers by key. `V` is cheap to clone.
pub struct Cache<V, E> {
    policy: Policy,
    name: &'static str,
    slots: Mutex<HashMap<String, Arc<Slot<V, E>>>>,
    clock: AtomicU64,
}

struct Slot<V, E> {
    state: Mutex<State<V, E>>,
    /// Held while loading; the others wait here and then find the answer.
    flight: tokio::sync::Mutex<()>,
    /// When it was last asked for, in ticks of the cache's clock.
    touched: AtomicU64,
}

struct State<V, E> {
    known: Option<Known<V>>,
    /// How the last load failed, if it did.
    failure: Option<E>,
    /// Loads that have ended, either way.
    loads: u64,
}

struct Known<V> {
    value: Option<V>,
    loaded: Instant,
    fresh_until: Instant,
}

impl<V: Clone, E: Clone + Display> Cache<V, E> {
    /// An empty one; `name` is for logs.
    pub fn new(name: &'static str, policy: Policy) -> Self {
        Self { policy, name, slots: Mutex::default(), clock: AtomicU64::new(0) }
    }

    /// The answer for `key`, from memory or by `load`.
    ///
    /// Who waits for another's load shares its outcome, failures included. A load that is dropped half-way counts as
    /// never begun.
    pub async fn get<Load, Answer>(&self, key: &str, load: Load) -> Result<Option<V>, E>
    where
        Load: FnOnce() -> Answer,
        Answer: Future<Output = Result<Option<V>, E>>,
    {
        let slot = self.slot(key);
        let loads_before = {
            let state = lock(&slot.state);
            if let Some(value) = state.fresh() {
                return Ok(value);
            }
            state.loads
        };
        let _flight = slot.flight.lock().await;
        {
            let state = lock(&slot.state);
            if let Some(value) = state.fresh() {
                return Ok(value);
            }
            if let Some(error) = state.failure.clone().filter(|_| state.loads != loads_before) {
                return Err(error);
            }
        }
        // Apart: what is remembered shall not carry the room that a request of the SDK takes.
        let answer = Box::pin(load()).await;
        lock(&slot.state).settle(answer, self.name, &self.policy)
    }

    /// Loads `key` anew, fresh or not. What is known stays until the new answer is there, and when there is none.
    pub async fn reload<Load, Answer>(&self, key: &str, load: Load) -> Result<Option<V>, E>
    where
        Load: FnOnce() -> Answer,
        Answer: Future<Output = Result<Option<V>, E>>,
    {
        let slot = self.slot(key);
        let _flight = slot.flight.lock().await;
        let answer = Box::pin(load()).await;
        let mut state = lock(&slot.state);
        match answer {
            Err(error) if state.has_value() => Err(error),
            answer => state.settle(answer, self.name, &self.policy),
        }
    }

    /// Forgets `key`; the next call loads.
    pub fn forget(&self, key: &str) {
        lock(&self.slots).remove(key);
    }

    fn slot(&self, key: &str) -> Arc<Slot<V, E>> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(key) {
            slot.touched.store(now, Ordering::Relaxed);
            return slot.clone();
        }
        if slots.len() >= self.policy.capacity {
            make_room(&mut slots);
        }
        let state = State { known: None, failure: None, loads: 0 };
        let slot = Arc::new(Slot {
            state: Mutex::new(state),
            flight: tokio::sync::Mutex::default(),
            touched: AtomicU64::new(now),
        });
        slots.insert(key.to_owned(), slot.clone());
        slot
    }
}

/// Drops a tenth: what holds no value first (whoever guesses keys must not push out the real ones), then what was not
/// asked for longest. A tenth at once, so that a full cache does not sort itself for every new key.
fn make_room<V, E>(slots: &mut HashMap<String, Arc<Slot<V, E>>>) {
    let mut ranked: Vec<_> = slots
        .iter()
        .map(|(key, slot)| (lock(&slot.state).has_value(), slot.touched.load(Ordering::Relaxed), key.clone()))
        .collect();
    ranked.sort_unstable();
    let count = ranked.len().div_ceil(10);
    for (_, _, key) in ranked.into_iter().take(count) {
        slots.remove(&key);
    }
}

impl<V, E> State<V, E> {
    fn has_value(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.value.is_some())
    }
}

impl<V: Clone, E: Clone + Display> State<V, E> {
    fn fresh(&self) -> Option<Option<V>> {
        let known = self.known.as_ref().filter(|known| Instant::now() < known.fresh_until)?;
        Some(known.value.clone())
    }

    fn settle(
        &mut self,
        answer: Result<Option<V>, E>,
        name: &'static str,
        policy: &Policy,
    ) -> Result<Option<V>, E> {
        let now = Instant::now();
        self.loads += 1;
        match answer {
            Ok(value) => {
                let life = if value.is_some() { policy.fresh } else { policy.absent };
                self.failure = None;
                self.known = Some(Known { value: value.clone(), loaded: now, fresh_until: now + life });
                Ok(value)
            }
            Err(error) => {
                // Only a value is served stale: "there was none" proves little by now.
                let usable =
                    self.known.as_mut().filter(|k| k.value.is_some() && now < k.loaded + policy.stale);
                if let Some(known) = usable {
                    tracing::warn!(cache.name = name, error = %error, "load failed, serving a stale value");
                    known.fresh_until = now + policy.pause;
                    return Ok(known.value.clone());
                }
                self.failure = Some(error.clone());
                Err(error)
            }
        }
    }
}

/// A panic elsewhere does not spoil plain data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const POLICY: Policy = Policy {
        fresh: Duration::from_secs(60),
        absent: Duration::from_secs(5),
        stale: Duration::from_secs(900),
        pause: Duration::from_secs(5),
        capacity: 20,
    };

    /// A cache over a source whose answer can be changed and whose calls are counted.
    struct Bench {
        cache: Cache<u32, String>,
        answer: Cell<Result<Option<u32>, &'static str>>,
        loads: Cell<u32>,
    }

    impl Bench {
        fn new(answer: Result<Option<u32>, &'static str>) -> Self {
            Self { cache: Cache::new("bench", POLICY), answer: Cell::new(answer), loads: Cell::new(0) }
        }

        async fn get(&self, key: &str) -> Result<Option<u32>, String> {
            let load = async || {
                self.loads.set(self.loads.get() + 1);
                tokio::time::sleep(Duration::from_millis(10)).await;
                self.answer.get().map_err(str::to_owned)
            };
            self.cache.get(key, load).await
        }
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_lives_a_minute_and_its_absence_five_seconds() {
        let bench = Bench::new(Ok(None));
        assert_eq!(bench.get("a").await, Ok(None));
        bench.answer.set(Ok(Some(1)));
        pass(4).await;
        assert_eq!(bench.get("a").await, Ok(None));
        pass(1).await;
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        bench.answer.set(Ok(Some(2)));
        pass(59).await;
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        pass(1).await;
        assert_eq!(bench.get("a").await, Ok(Some(2)));
        assert_eq!(bench.loads.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_make_one_load() {
        for answer in [Ok(Some(1)), Err("down")] {
            let bench = Bench::new(answer);
            let answers = futures::future::join_all((0..50).map(|_| bench.get("a"))).await;
            assert!(answers.iter().all(|got| *got == answer.map_err(str::to_owned)));
            assert_eq!(bench.loads.get(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_serves_the_last_value_for_a_while_and_asks_now_and_then() {
        let bench = Bench::new(Ok(Some(1)));
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        bench.answer.set(Err("down"));
        pass(61).await;
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        assert_eq!(bench.loads.get(), 2);
        pass(5).await;
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        assert_eq!(bench.loads.get(), 3);
        pass(900).await;
        assert_eq!(bench.get("a").await, Err("down".to_owned()));
        bench.answer.set(Ok(Some(2)));
        assert_eq!(bench.get("a").await, Ok(Some(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_that_fails_takes_nothing_away() {
        let bench = Bench::new(Ok(Some(1)));
        let reload =
            async || bench.cache.reload("a", async || bench.answer.get().map_err(str::to_owned)).await;
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        bench.answer.set(Err("down"));
        assert_eq!(reload().await, Err("down".to_owned()));
        assert_eq!(bench.get("a").await, Ok(Some(1)), "still fresh");
        pass(61).await;
        assert_eq!(bench.get("a").await, Ok(Some(1)), "and stale, as long as it may be");
        bench.answer.set(Ok(Some(2)));
        assert_eq!(reload().await, Ok(Some(2)));
        bench.answer.set(Ok(Some(3)));
        assert_eq!(bench.get("a").await, Ok(Some(2)), "fresh again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_load_leaves_no_trace() {
        let bench = Bench::new(Ok(Some(1)));
        let early = tokio::time::timeout(Duration::from_millis(5), bench.get("a")).await;
        assert!(early.is_err());
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        bench.cache.forget("a");
        assert_eq!(bench.get("a").await, Ok(Some(1)));
        assert_eq!(bench.loads.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn guessed_keys_do_not_push_out_real_ones() {
        let bench = Bench::new(Ok(Some(1)));
        for key in 0..10 {
            bench.get(&format!("real-{key}")).await.expect("loads");
        }
        bench.answer.set(Ok(None));
        for key in 0..100 {
            bench.get(&format!("guess-{key}")).await.expect("loads");
            assert!(lock(&bench.cache.slots).len() <= POLICY.capacity);
        }
        let loads = bench.loads.get();
        for key in 0..10 {
            assert_eq!(bench.get(&format!("real-{key}")).await, Ok(Some(1)));
        }
        assert_eq!(bench.loads.get(), loads);
    }
}
