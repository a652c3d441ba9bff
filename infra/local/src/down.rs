//! Stopping a stack from another terminal, or what is left of one.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;

use crate::layout::Layout;
use crate::record::{Lock, Record};

/// How long a launcher may take to stop what it started.
const LAUNCHER: Duration = Duration::from_secs(40);

/// Asks the launcher to stop; then ends whatever it left.
///
/// # Errors
/// When something survives.
pub async fn run(layout: &Layout) -> anyhow::Result<()> {
    let record = Record::load(layout);
    let mut stopped = Vec::new();
    if let Some(launcher) = record.launcher.filter(|launcher| launcher.is_alive()) {
        launcher.signal(Signal::TERM);
        stopped.push("local".to_owned());
        if !launcher.ended_within(LAUNCHER).await {
            launcher.signal(Signal::KILL);
            ensure!(launcher.ended_within(LAUNCHER).await, "pid {} does not end", launcher.pid);
        }
    }
    let _lock = Lock::take(layout)?;
    stopped.extend(Record::load(layout).stop_processes().await);
    forget(layout)?;
    match stopped.as_slice() {
        [] => eprintln!("nothing runs on {}", layout.state.display()),
        names => eprintln!("stopped {}", names.join(", ")),
    }
    Ok(())
}

/// Removes what only describes a running stack.
///
/// # Errors
/// When the state folder is not writable.
pub fn forget(layout: &Layout) -> anyhow::Result<()> {
    for path in [layout.stack(), layout.record()] {
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
