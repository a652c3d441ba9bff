//! What tests of a running stack share.
//!
//! Rooms: [`stack`] where the parts of a running stack are · [`api`] a client that keeps problems · [`tenant`] a company
//! of the test's own, with a WhatsApp connection of its own, so that tests do not see each other · [`webhook`] signed
//! webhook bodies · [`sandbox`] the stand-in for third parties · [`socket`] a browser's WebSocket · [`aws`] queues of
//! the stack · [`mailbox`] what people were written · [`flow`] the product's handlers in the test's own process.
//!
//! Everything here panics instead of returning an error: a test that cannot go on should say where.
//!
//! Never in here: what a test expects.

pub mod api;
pub mod aws;
pub mod flow;
pub mod mailbox;
pub mod sandbox;
pub mod socket;
pub mod stack;
pub mod tenant;
pub mod webhook;

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub use api::{Answer, Api};
pub use aws::Cloud;
pub use flow::{Flow, Step, at_answer};
pub use mailbox::Mailbox;
pub use sandbox::Sandbox;
pub use socket::Socket;
pub use stack::Stack;
pub use tenant::{Tenant, TenantOptions};

/// How long something that takes a few hops may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `probe` several times a second until it gives something.
///
/// # Panics
/// When `limit` passes without; `what` says what was waited for.
#[track_caller]
pub fn eventually<T, P>(what: &str, limit: Duration, probe: P) -> impl Future<Output = T>
where
    P: AsyncFnMut() -> Option<T>,
{
    let place = std::panic::Location::caller();
    wait_until(what.to_owned(), limit, probe, place)
}

async fn wait_until<T, P>(
    what: String,
    limit: Duration,
    mut probe: P,
    place: &'static std::panic::Location<'static>,
) -> T
where
    P: AsyncFnMut() -> Option<T>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {}s for {what}, at {place}", limit.as_secs());
        sleep(Duration::from_millis(250)).await;
    }
}

/// A new id, time-ordered as all ids of the product.
pub fn new_id() -> Uuid {
    app::Clock::new_id(&runtime::clock::SystemClock)
}

/// Unix seconds.
pub fn now_seconds() -> i64 {
    app::Clock::now(&runtime::clock::SystemClock).timestamp()
}

/// The digits of a number that no other test writes from: a mobile number of Goiânia, with the ninth digit.
pub fn new_phone() -> String {
    format!("55629{}", 10_000_000 + new_id().as_u128() % 89_999_999)
}

/// A word that no other test uses.
pub fn new_word(prefix: &str) -> String {
    let id = new_id().simple().to_string();
    format!("{prefix}{}", &id[20..])
}

/// An HTTP client that follows no redirect and gives up on an answer after a minute.
///
/// # Panics
/// When the platform has no TLS roots.
pub fn http_client() -> reqwest::Client {
    http_client_at(None)
}

fn http_client_at(local_address: Option<std::net::IpAddr>) -> reqwest::Client {
    reqwest::Client::builder()
        .local_address(local_address)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("the platform's TLS roots load")
}
