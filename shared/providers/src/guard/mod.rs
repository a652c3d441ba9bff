//! Calling addresses that customers give us (webhook endpoints, links to media) without calling ourselves.
//!
//! A customer's URL must not reach this machine, its network, or the credentials that clouds hand out at link-local
//! addresses. [`Guard::check`] refuses by the URL alone, when it is stored and again when it is used; the client of
//! [`Guard::client`] refuses once more where it connects, because a name may resolve to anything by then, and before
//! every redirect. `address` holds the ranges, `resolver` the names.

mod address;
mod resolver;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use url::{Host, Origin, Url};

use crate::redact;
use resolver::{Lookup, Resolver};

/// Redirects that are followed.
pub const REDIRECTS: usize = 3;

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for a whole answer, redirects included, unless the request says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Endings of names that are not of the public internet: RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of
/// `internal`, below which clouds keep their metadata services.
const PRIVATE_NAMES: [&str; 7] =
    ["localhost", "localdomain", "local", "internal", "home.arpa", "invalid", "onion"];

/// Why an address is not called. Final: another try ends the same way, until somebody changes the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// Neither `https` nor, where allowed, `http`.
    #[error("the address is not https")]
    Scheme,
    /// A user name or a password before the host.
    #[error("the address holds a user name or a password")]
    Credentials,
    /// There is no host in it.
    #[error("the address names no host")]
    NoHost,
    /// `localhost`, `….local`, `….internal` and the like, or a name without a dot.
    #[error("the address names a host that is not on the public internet")]
    Name,
    /// An IP address, given or found by name, of a private, local or reserved range.
    #[error("the address leads to a network that is not public")]
    Address,
    /// More than [`REDIRECTS`] redirects.
    #[error("the address redirects too often")]
    Redirects,
}

/// An exception must be on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only origins on the loopback interface, such as http://127.0.0.1:8701, can be let through")]
pub struct NotLoopback;

/// The body of an answer could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is larger than allowed.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// The connection broke, or the time was over. Another try may succeed.
    #[error("the body broke off: {0}")]
    Interrupted(String),
}

/// The rule. The default lets through `https` to public addresses alone.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow_http: bool,
    exceptions: Arc<[Origin]>,
}

impl Guard {
    /// Also lets `http` through, still to public addresses alone.
    #[must_use]
    pub fn allowing_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Also lets these origins (scheme, host and port) through, for stand-ins on a developer's machine.
    ///
    /// # Errors
    /// [`NotLoopback`] if one of them is elsewhere: nothing in a network is excepted by a slip in a configuration.
    pub fn allowing(mut self, origins: &[Url]) -> Result<Self, NotLoopback> {
        let is_loopback = |url: &Url| match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if !origins.iter().all(is_loopback) {
            return Err(NotLoopback);
        }
        self.exceptions = origins.iter().map(Url::origin).collect();
        Ok(self)
    }

    /// Whether the address may be called, as far as it can be told without asking for names.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        if self.exceptions.contains(&url.origin()) {
            return Ok(());
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(Refused::Scheme),
        }
        let public = match url.host() {
            None => return Err(Refused::NoHost),
            Some(Host::Domain(name)) if is_private_name(name) => return Err(Refused::Name),
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => address::is_public(address.into()),
            Some(Host::Ipv6(address)) => address::is_public(address.into()),
        };
        if public { Ok(()) } else { Err(Refused::Address) }
    }

    /// A client that reaches nothing else, whatever it is asked for: it has a resolver that leaves forbidden addresses
    /// out, checks every redirect, and uses no proxy of the environment. Make one for the life of the process; ask
    /// [`refusal`] what its errors mean.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        self.client_with(resolver::system())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "customers' addresses need a resolver of their own, and its pool"
    )]
    fn client_with(&self, lookup: Lookup) -> Result<reqwest::Client, reqwest::Error> {
        let (redirected, connected) = (self.clone(), self.clone());
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error(Refused::Redirects);
            }
            match redirected.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(refused) => attempt.error(refused),
            }
        });
        // IP literals are connected to without asking the resolver. The choice of a proxy sees them: what must not be
        // reached is sent to one whose name the resolver refuses.
        let nowhere = reqwest::Proxy::custom(move |url| {
            connected.check(url).is_err().then_some("http://refused.invalid")
        });
        reqwest::Client::builder()
            .no_proxy()
            .proxy(nowhere)
            .dns_resolver(Resolver::new(self.clone(), lookup))
            .redirect(redirects)
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
    }

    /// Whether a port of this name is excepted.
    fn excepts_name(&self, name: &str) -> bool {
        self.exceptions.iter().any(|origin| match origin {
            Origin::Tuple(_, Host::Domain(excepted), _) => excepted == name,
            Origin::Tuple(..) | Origin::Opaque(_) => false,
        })
    }
}

/// The refusal behind an error of [`Guard::client`]'s client, if it is one. Of an IP literal that was asked for without
/// [`Guard::check`] it says [`Refused::Name`].
pub fn refusal(error: &reqwest::Error) -> Option<Refused> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref() {
            return Some(*refused);
        }
        cause = inner.source();
    }
    None
}

/// The body, if it has at most `largest` bytes. No more than that is kept, whatever length is declared.
///
/// # Errors
/// [`ReadError`].
pub async fn read_limited(mut response: reqwest::Response, largest: usize) -> Result<Bytes, ReadError> {
    if response.content_length().is_some_and(|length| length > largest as u64) {
        return Err(ReadError::TooLarge);
    }
    let interrupted = |error| ReadError::Interrupted(redact::transport(error));
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(interrupted)? {
        if bytes.len() + chunk.len() > largest {
            return Err(ReadError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// A trailing dot means the same name, said in full.
fn is_private_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_below =
        |ending: &str| name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    // An empty label is none of the public internet's, and what a resolver makes of `localhost..` is its own affair.
    name.split('.').any(str::is_empty) || !name.contains('.') || PRIVATE_NAMES.into_iter().any(is_below)
}
