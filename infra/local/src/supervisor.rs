//! Keeps the processes of one stack, and the record of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use rustix::process::Signal;
use tokio::sync::{mpsc, watch};

use crate::layout::Layout;
use crate::process::{Identity, Specification, descendants};
use crate::progress::tail;
use crate::record::{GRACE, Record};

/// A process that ended, and how.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub name: &'static str,
    /// Which one of that name.
    pub identity: Identity,
    /// The exit status in words.
    pub how: String,
}

#[derive(Debug)]
struct Service {
    specification: Specification,
    identity: Identity,
    ended: watch::Receiver<bool>,
}

/// Every process that was started and not stopped.
#[derive(Debug)]
pub struct Supervisor {
    layout: Layout,
    services: Mutex<BTreeMap<&'static str, Service>>,
    record: Mutex<Record>,
    ends: mpsc::UnboundedSender<Ended>,
}

impl Supervisor {
    /// One with nothing started. What ends later, expected or not, comes out of the receiver.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn new(
        layout: &Layout,
        front_door: Option<u16>,
    ) -> anyhow::Result<(Arc<Self>, mpsc::UnboundedReceiver<Ended>)> {
        let record = Record { launcher: Some(Identity::own()?), front_door, processes: BTreeMap::new() };
        record.save(layout)?;
        let (ends, receiver) = mpsc::unbounded_channel();
        let supervisor =
            Self { layout: layout.clone(), services: Mutex::default(), record: Mutex::new(record), ends };
        Ok((Arc::new(supervisor), receiver))
    }

    /// Starts a process and records it.
    ///
    /// # Errors
    /// When it cannot be started, or one of its name runs.
    pub fn start(&self, specification: &Specification) -> anyhow::Result<Identity> {
        let name = specification.name;
        if self.identity(name).is_some_and(Identity::is_alive) {
            bail!("{name} runs already");
        }
        let (mut child, identity) = specification.spawn()?;
        let (sender, ended) = watch::channel(false);
        self.services().insert(name, Service { specification: specification.clone(), identity, ended });
        self.write()?;
        let ends = self.ends.clone();
        tokio::spawn(async move {
            let how = match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            sender.send_replace(true);
            // The receiver is gone only when the whole stack is being stopped.
            ends.send(Ended { name, identity, how }).ok();
        });
        Ok(identity)
    }

    /// Waits until `ready` says yes.
    ///
    /// # Errors
    /// When the process ends or `limit` passes before; with the end of its log.
    pub async fn wait_until<F: Future<Output = bool>>(
        &self,
        name: &'static str,
        limit: Duration,
        ready: impl Fn() -> F,
    ) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if ready().await {
                return Ok(());
            }
            let log = self.layout.log(name);
            if !self.identity(name).is_some_and(Identity::is_alive) {
                bail!("{name} ended before it was ready; {}", tail(&log, 15));
            }
            if tokio::time::Instant::now() >= deadline {
                bail!("{name} was not ready after {} s; {}", limit.as_secs(), tail(&log, 15));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The process of that name, if it was started and not stopped.
    pub fn identity(&self, name: &str) -> Option<Identity> {
        self.services().get(name).map(|service| service.identity)
    }

    /// Whether this end is news: one that was stopped on purpose is no longer listed.
    pub fn is_unexpected(&self, ended: &Ended) -> bool {
        self.identity(ended.name) == Some(ended.identity)
    }

    /// Names and pids of what runs.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        self.services().iter().map(|(name, service)| ((*name).to_owned(), service.identity.pid)).collect()
    }

    /// Asks a process to end, and after a while makes it. Nothing happens when none of that name runs.
    ///
    /// # Errors
    /// When it survives, or the record cannot be written.
    pub async fn stop(&self, name: &str) -> anyhow::Result<()> {
        let signal = self.services().get(name).map(|service| service.specification.stop);
        match signal {
            Some(signal) => self.end(name, signal).await,
            None => Ok(()),
        }
    }

    /// Ends a process and everything it started without a chance to clean up.
    ///
    /// # Errors
    /// When it survives, or the record cannot be written.
    pub async fn kill(&self, name: &str) -> anyhow::Result<()> {
        self.end(name, Signal::KILL).await
    }

    async fn end(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let Some(mut service) = self.services().remove(name) else { return Ok(()) };
        // Those that it started are taken down by it, unless it gets no chance to. They need not be in its group:
        // PostgreSQL's backends are not.
        if signal == Signal::KILL {
            let family = descendants(service.identity.pid);
            service.identity.signal_group(signal);
            family.into_iter().for_each(|process| process.signal(signal));
        } else {
            service.identity.signal(signal);
        }
        if tokio::time::timeout(GRACE, service.ended.wait_for(|ended| *ended)).await.is_err() {
            service.identity.signal_group(Signal::KILL);
            if tokio::time::timeout(GRACE, service.ended.wait_for(|ended| *ended)).await.is_err() {
                bail!("{name} (pid {}) does not end", service.identity.pid);
            }
        }
        self.write()
    }

    /// Stops everything: those that use the database before it.
    ///
    /// # Errors
    /// The first error; the others are stopped all the same.
    pub async fn stop_all(&self) -> anyhow::Result<()> {
        let names: Vec<&'static str> = self.services().keys().copied().collect();
        let others = names.iter().filter(|name| **name != "postgres").map(|name| self.stop(name));
        let results = futures::future::join_all(others).await;
        let postgres = self.stop("postgres").await;
        results.into_iter().chain([postgres]).collect()
    }

    fn write(&self) -> anyhow::Result<()> {
        let processes =
            self.services().iter().map(|(name, service)| ((*name).to_owned(), service.identity)).collect();
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.processes = processes;
        record.save(&self.layout)
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<&'static str, Service>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(name: &str) -> Layout {
        let state = std::env::temp_dir().join(format!("supervisor {name} {}", std::process::id()));
        std::fs::create_dir_all(state.join("logs")).expect("writable");
        Layout { checkout: state.clone(), state }
    }

    fn shell(layout: &Layout, script: &str) -> Specification {
        Specification {
            name: "shell",
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
            directory: layout.state.clone(),
            log: layout.log("shell"),
            stop: Signal::TERM,
            orphaned: Some(Signal::KILL),
            user: None,
        }
    }

    #[tokio::test]
    async fn what_was_stopped_is_gone_and_forgotten() {
        let layout = layout("stop");
        let (supervisor, mut ends) = Supervisor::new(&layout, None).expect("writable");
        let identity = supervisor.start(&shell(&layout, "exec sleep 60")).expect("starts");
        assert!(supervisor.start(&shell(&layout, "true")).is_err(), "two of one name");
        assert_eq!(Record::load(&layout).processes["shell"], identity);
        supervisor.stop("shell").await.expect("stops");
        assert!(!identity.is_alive());
        assert!(Record::load(&layout).processes.is_empty());
        let ended = ends.recv().await.expect("reported");
        assert!(!supervisor.is_unexpected(&ended));
        std::fs::remove_dir_all(&layout.state).expect("removable");
    }

    #[tokio::test]
    async fn an_end_on_its_own_is_news_and_shows_the_log() {
        let layout = layout("end");
        let (supervisor, mut ends) = Supervisor::new(&layout, None).expect("writable");
        supervisor.start(&shell(&layout, "echo the reason; exit 3")).expect("starts");
        let ended = ends.recv().await.expect("reported");
        assert!(supervisor.is_unexpected(&ended));
        assert!(ended.how.contains('3'), "{}", ended.how);
        let wait = supervisor.wait_until("shell", Duration::from_secs(5), async || false).await;
        let error = wait.expect_err("never ready").to_string();
        assert!(error.contains("the reason"), "{error}");
        std::fs::remove_dir_all(&layout.state).expect("removable");
    }

    #[tokio::test]
    async fn a_stale_process_is_found_by_the_record() {
        let layout = layout("stale");
        let (mut child, identity) = shell(&layout, "exec sleep 60").spawn().expect("starts");
        let record =
            Record { processes: BTreeMap::from([("shell".to_owned(), identity)]), ..Record::default() };
        record.save(&layout).expect("writable");
        let stop = async { Record::load(&layout).stop_processes().await };
        let (stopped, status) = tokio::join!(stop, child.wait());
        assert_eq!(stopped, ["shell"]);
        assert!(!status.expect("reaped").success());
        assert!(Record::load(&layout).stop_processes().await.is_empty());
        std::fs::remove_dir_all(&layout.state).expect("removable");
    }
}
