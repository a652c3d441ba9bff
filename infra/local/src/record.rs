//! What runs, on disk: for `down`, and for a start after one that could not clean up.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::layout::{Layout, write_private};
use crate::process::Identity;

/// How long a process may take to end properly before it is made to.
pub const GRACE: Duration = Duration::from_secs(10);

/// The processes of one stack.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// The program that started them all.
    pub launcher: Option<Identity>,
    /// Where its front door listens.
    pub front_door: Option<u16>,
    /// What it started, by name.
    pub processes: BTreeMap<String, Identity>,
}

impl Record {
    /// Reads that of `layout`; an empty one when there is none, or none that can be understood.
    pub fn load(layout: &Layout) -> Self {
        let bytes = fs::read(layout.record()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the state folder is not writable.
    pub fn save(&self, layout: &Layout) -> anyhow::Result<()> {
        write_private(&layout.record(), &serde_json::to_vec_pretty(self)?)
    }

    /// Ends every recorded process that still runs, and says which these were.
    pub async fn stop_processes(&self) -> Vec<String> {
        let alive: Vec<(&String, Identity)> = self
            .processes
            .iter()
            .filter(|(_, process)| process.is_alive())
            .map(|(name, id)| (name, *id))
            .collect();
        for (name, process) in &alive {
            // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
            let signal = if name.as_str() == "postgres" { Signal::INT } else { Signal::TERM };
            process.signal_group(signal);
        }
        for (_, process) in &alive {
            if !process.ended_within(GRACE).await {
                process.signal_group(Signal::KILL);
                process.ended_within(GRACE).await;
            }
        }
        alive.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Makes sure that one launcher at a time uses a state. Gone with the process that holds it, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `layout`.
    ///
    /// # Errors
    /// When another launcher has it; names its pid.
    pub fn take(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.state.join("lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let launcher = Record::load(layout).launcher.filter(|launcher| launcher.is_alive());
                let who = launcher.map_or_else(|| "another start".to_owned(), |it| format!("pid {}", it.pid));
                bail!(
                    "{} is in use by {who}. Stop it first: Ctrl-C in its terminal, or `make down ARGS=\"--state '{}'\"`",
                    layout.state.display(),
                    layout.state.display()
                )
            }
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the state"),
        }
    }
}
