//! Names to addresses, without those that must not be reached. The connection is made to what comes out here and to
//! nothing else, so that a name cannot be public when it is checked and private when it is called.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Guard, Refused, address, is_private_name};

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Asks for a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// The machine's own resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }))
}

/// A resolver that forgets forbidden addresses.
pub(super) struct Resolver {
    guard: Guard,
    lookup: Lookup,
}

impl Resolver {
    pub(super) fn new(guard: Guard, lookup: Lookup) -> Self {
        Self { guard, lookup }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let excepted = self.guard.excepts_name(&name);
        if !excepted && is_private_name(&name) {
            return Box::pin(async { Err(Refused::Name.into()) });
        }
        let found = (self.lookup)(name);
        Box::pin(async move {
            let mut found = found.await?;
            let some = !found.is_empty();
            found.retain(
                |found| if excepted { found.ip().is_loopback() } else { address::is_public(found.ip()) },
            );
            if some && found.is_empty() {
                return Err(Refused::Address.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::guard::refusal;

    /// A resolver that gives each name these addresses.
    fn always(addresses: &[&str]) -> Lookup {
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Arc::new(move |_| {
            let addresses = addresses.clone();
            Box::pin(async move { Ok(addresses) })
        })
    }

    async fn resolved(guard: Guard, name: &str, addresses: &[&str]) -> Result<Vec<String>, Refused> {
        let resolver = Resolver::new(guard, always(addresses));
        match resolver.resolve(name.parse().unwrap()).await {
            Ok(found) => Ok(found.map(|found| found.ip().to_string()).collect()),
            Err(error) => Err(*error.downcast_ref().unwrap()),
        }
    }

    #[tokio::test]
    async fn forbidden_addresses_of_a_name_are_left_out() {
        let guard = Guard::default;
        let mixed = ["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111", "::ffff:169.254.169.254"];
        assert_eq!(resolved(guard(), "a.example", &mixed).await.unwrap(), ["8.8.8.8", "2606:4700::1111"]);
        for ip in ["127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"] {
            assert_eq!(resolved(guard(), "a.example", &[ip]).await, Err(Refused::Address), "{ip}");
        }
        assert_eq!(resolved(guard(), "metadata.google.internal", &["8.8.8.8"]).await, Err(Refused::Name));
        assert!(resolved(guard(), "a.example", &[]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_excepted_name_leads_to_this_machine_alone() {
        let guard = Guard::default().allowing(&["http://localhost:8701".parse().unwrap()]).unwrap();
        let found = resolved(guard, "localhost", &["127.0.0.1", "10.0.0.1", "8.8.8.8"]).await;
        assert_eq!(found.unwrap(), ["127.0.0.1"]);
    }

    #[tokio::test]
    async fn a_name_that_turned_private_since_it_was_checked_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://rebound.example:{}/", listener.local_addr().unwrap().port());
        let guard = Guard::default().allowing_http();
        assert_eq!(guard.check(&url.parse().unwrap()), Ok(()));
        let error = guard.client_with(always(&["127.0.0.1"])).unwrap().get(url).send().await.unwrap_err();
        assert_eq!(refusal(&error), Some(Refused::Address), "{error:?}");
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
