//! Four ports in a row, all of them on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, bail};

/// The front door's port unless told otherwise.
pub const DEFAULT_BASE: u16 = 8700;

/// What listens where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The one origin that people and providers use.
    pub front_door: u16,
    /// The stand-in for third parties.
    pub sandbox: u16,
    /// The stand-in for AWS.
    pub emulator: u16,
    /// The database.
    pub postgres: u16,
}

impl Ports {
    /// The four ports that begin at `base`.
    pub fn from_base(base: u16) -> Self {
        Self { front_door: base, sandbox: base + 1, emulator: base + 2, postgres: base + 3 }
    }

    fn named(self) -> [(&'static str, u16); 4] {
        [
            ("the front door", self.front_door),
            ("the sandbox of providers", self.sandbox),
            ("the AWS emulator", self.emulator),
            ("PostgreSQL", self.postgres),
        ]
    }

    /// Makes sure that nobody listens on any of them.
    ///
    /// # Errors
    /// Names the first port that is in use, what it is for, and the way out.
    pub fn check(self) -> anyhow::Result<()> {
        for (purpose, port) in self.named() {
            check(port, purpose)?;
        }
        Ok(())
    }
}

/// Makes sure that nobody listens on `port` of the loopback address.
///
/// # Errors
/// When somebody does.
pub fn check(port: u16, purpose: &str) -> anyhow::Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port}, needed for {purpose}, is in use. Stop the program that listens there \
             (`ss -ltnp 'sport = :{port}'` names it), or choose others: `PORT_BASE=9700 make run` (--port-base 9700)"
        ),
        Err(error) => {
            Err(error).with_context(|| format!("port {port}, needed for {purpose}, cannot be used"))
        }
    }
}

/// A port that is free now.
///
/// # Errors
/// When the system has none.
pub fn any_free() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named_with_a_way_out() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let error = check(port, "the sandbox of providers").expect_err("busy").to_string();
        for part in [port.to_string().as_str(), "the sandbox of providers", "--port-base"] {
            assert!(error.contains(part), "{error}");
        }
        drop(listener);
        check(port, "nothing").expect("free again");
    }

    #[test]
    fn ports_follow_each_other() {
        let ports = Ports::from_base(8700);
        assert_eq!(ports.named().map(|(_, port)| port), [8700, 8701, 8702, 8703]);
    }
}
