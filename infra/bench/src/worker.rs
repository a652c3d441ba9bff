//! One function as a process behind a Runtime API of its own, and what it costs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::process::{Child, Command};

use crate::runtime_api::RuntimeApi;

/// `USER_HZ`, the unit of `/proc/<pid>/stat`: part of the kernel's interface, 100 on every processor that Lambda has.
const TICKS_PER_SECOND: u32 = 100;

/// Keeps a process's first thread, or with `None` this one, on one processor.
///
/// # Errors
/// When the system forbids it.
pub(crate) fn pin(process: Option<Pid>, processor: usize) -> anyhow::Result<()> {
    let mut processors = CpuSet::new();
    processors.set(processor);
    Ok(sched_setaffinity(process, &processors)?)
}

/// A running function; killed when this is dropped.
pub(crate) struct Worker {
    /// Where its events go in.
    pub(crate) api: RuntimeApi,
    /// From before its `exec` to its first poll.
    pub(crate) start: Duration,
    child: Child,
}

impl Worker {
    /// Starts `program` with `environment` and nothing else, and waits until it asks for its first event. Its log
    /// goes to `log`, over what was there.
    ///
    /// # Errors
    /// When it does not run, or never asks.
    pub(crate) async fn start(
        program: &Path,
        environment: &[(String, String)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start().await?;
        let name = program.file_name().unwrap_or_default();
        let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log)
            .kill_on_drop(true);
        let before = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let polled = api.first_poll().await.with_context(|| program.display().to_string())?;
        Ok(Self { api, start: polled - before, child })
    }

    /// Keeps the process, which has one busy thread, on this processor.
    ///
    /// # Errors
    /// When the system forbids it.
    pub(crate) fn pin(&self, processor: usize) -> anyhow::Result<()> {
        let id = self.child.id().context("the worker has ended")?;
        pin(Pid::from_raw(id.try_into()?), processor)
    }

    /// Processor time so far, user and system, to a hundredth of a second.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(self.proc("stat")?)?;
        // The second field is the name in parentheses, which may hold spaces; utime and stime are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(')').context("an unknown /proc/<pid>/stat")?;
        let ticks: Vec<u32> =
            fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(Duration::from_secs(1) * ticks.iter().sum() / TICKS_PER_SECOND)
    }

    /// The most memory that was resident at once so far, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024)
    }

    /// Ends the process and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    fn proc(&self, file: &str) -> anyhow::Result<PathBuf> {
        let id = self.child.id().context("the worker has ended")?;
        Ok(format!("/proc/{id}/{file}").into())
    }
}
