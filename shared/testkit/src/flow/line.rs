//! The way to PostgreSQL, which leads through the test's own runtime.
//!
//! On the straight way an answer may be there before the work that sent the question has paused, and goes on with it: a
//! place to die at is lost now and then. Here no answer comes while the work runs. And when a process dies its
//! connections are cut, as they would be.

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The connections of one process; dropping it cuts them.
pub(super) struct Line {
    url: String,
    served: JoinHandle<()>,
}

impl Line {
    pub(super) async fn to(database_url: &str) -> Self {
        let mut url = reqwest::Url::parse(database_url).expect("a PostgreSQL URL");
        let host = url.host_str().expect("the URL names a host").to_owned();
        let port = url.port().unwrap_or(5432);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let own = listener.local_addr().expect("a listener has an address");
        url.set_host(Some("127.0.0.1")).expect("a URL with a host takes another");
        url.set_port(Some(own.port())).expect("a URL with a host takes a port");
        let served = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.expect("the listener stays open");
                let mut server = TcpStream::connect((host.as_str(), port)).await.expect("PostgreSQL listens");
                for end in [&client, &server] {
                    end.set_nodelay(true).expect("a connection takes the option");
                }
                open.spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
            }
        });
        Self { url: url.into(), served }
    }

    /// The database's address on this way.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.served.abort();
    }
}
