//! Processes: who they are, how they are started, how they are stopped.
//!
//! A pid alone says nothing after its process has ended, for the system gives it to another. Pid and start time
//! together do.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

/// One process, also after it has ended and its pid belongs to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id; of what we start also the id of its process group.
    pub pid: u32,
    /// Clock ticks between the machine's start and the process's.
    pub started: u64,
}

/// The fields of `/proc/PID/stat` that matter here.
struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

impl Identity {
    /// Who runs under `pid` now.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: stat(pid)?.started })
    }

    /// This program.
    ///
    /// # Errors
    /// Without a `/proc`.
    pub fn own() -> anyhow::Result<Self> {
        Self::of(std::process::id()).context("cannot read /proc: the local stack needs Linux")
    }

    /// Whether this very process still runs. One that has ended and waits for its parent does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }

    /// Sends a signal to this process alone, if it still runs.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = self.alive_pid() {
            // It may end between the look and the signal, which is what the signal is for.
            kill_process(pid, signal).ok();
        }
    }

    /// Sends a signal to this process and everything it started in its own group.
    pub fn signal_group(self, signal: Signal) {
        if let Some(pid) = self.alive_pid() {
            kill_process_group(pid, signal).ok();
        }
    }

    fn alive_pid(self) -> Option<Pid> {
        self.is_alive().then(|| Pid::from_raw(i32::try_from(self.pid).ok()?)).flatten()
    }

    /// Waits until it has ended; false after `limit`.
    pub async fn ended_within(self, limit: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        while self.is_alive() {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        true
    }
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the program's name in brackets, and may itself hold spaces and brackets.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Every process that `ancestor` started, directly or not.
pub fn descendants(ancestor: u32) -> Vec<Identity> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let all: Vec<(Identity, u32)> = entries
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = stat(pid)?;
            Some((Identity { pid, started: stat.started }, stat.parent))
        })
        .collect();
    let mut family = vec![ancestor];
    let mut found = Vec::new();
    while let Some(parent) = family.pop() {
        for (identity, _) in all.iter().filter(|(_, of)| *of == parent) {
            family.push(identity.pid);
            found.push(*identity);
        }
    }
    found
}

/// The value of one variable in the environment that a process was started with.
pub fn environment_variable(process: Identity, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{}/environ", process.pid)).ok()?;
    let prefix = format!("{name}=");
    bytes
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .find_map(|pair| pair.strip_prefix(&prefix).map(str::to_owned))
}

/// The user as whom PostgreSQL runs when we are root, for it refuses to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprivileged {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Unprivileged {
    /// `nobody`, if this program is root.
    ///
    /// # Errors
    /// When the machine has no such user.
    pub fn if_root() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let nobody = find_user(&users, "nobody");
        nobody.map(Some).context("PostgreSQL cannot run as root, and this machine has no user `nobody`")
    }
}

fn find_user(passwd: &str, name: &str) -> Option<Unprivileged> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Unprivileged { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

/// A long-running process to be started.
#[derive(Clone, Debug)]
pub struct Specification {
    /// What messages and the record call it; also the name of its log.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, besides PATH and a locale: nothing is inherited.
    pub environment: Vec<(&'static str, OsString)>,
    /// The folder it starts in.
    pub directory: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// What asks it to end quickly and properly.
    pub stop: Signal,
    /// What the kernel sends it when we die without a word; nothing for one that watches us itself.
    pub orphaned: Option<Signal>,
    /// As whom it runs, if not as ourselves.
    pub user: Option<Unprivileged>,
}

impl Specification {
    /// Starts it in a process group of its own, so that the terminal's Ctrl-C reaches only us, and bound to us by
    /// [`Self::orphaned`].
    ///
    /// # Errors
    /// When program, log or folder is missing.
    pub fn spawn(&self) -> anyhow::Result<(Child, Identity)> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = Command::new("setpriv")
            .args(privileges(self.user))
            .args(["--pdeathsig", self.orphaned.map_or("clear", signal_name), "--"])
            .arg(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", crate::environment::path())
            .env("LANG", "C.UTF-8")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| {
                format!("cannot start {} by setpriv (package util-linux)", self.program.display())
            })?;
        let identity = child.id().and_then(Identity::of).context("it ended at once")?;
        Ok((child, identity))
    }
}

fn privileges(user: Option<Unprivileged>) -> Vec<String> {
    user.map_or_else(Vec::new, |user| {
        vec![format!("--reuid={}", user.uid), format!("--regid={}", user.gid), "--clear-groups".to_owned()]
    })
}

fn signal_name(signal: Signal) -> &'static str {
    if signal == Signal::INT {
        "INT"
    } else if signal == Signal::KILL {
        "KILL"
    } else {
        "TERM"
    }
}

/// Runs a program to its end, as `user`, and returns its standard output.
///
/// # Errors
/// When it cannot be started or fails; the error has the last lines of what it said.
pub async fn run(
    user: Option<Unprivileged>,
    directory: &Path,
    program: impl Into<OsString>,
    arguments: impl IntoIterator<Item = OsString>,
) -> anyhow::Result<String> {
    let program = program.into();
    let mut command = match user {
        None => Command::new(&program),
        Some(_) => {
            let mut command = Command::new("setpriv");
            command.args(privileges(user)).arg("--").arg(&program);
            command
        }
    };
    let output = command
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {}", program.display()))?;
    let standard_output = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = format!("{standard_output}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n    ");
        anyhow::bail!("{} failed ({}):\n    {last}", program.display(), output.status);
    }
    Ok(standard_output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = "7 (a) b (c)) S 3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let stat = parse_stat(text).expect("parsable");
        assert_eq!((stat.state, stat.parent, stat.started), ('S', 3, 4711));
    }

    #[test]
    fn we_are_alive_and_another_start_time_is_not_us() {
        let own = Identity::own().expect("Linux");
        assert!(own.is_alive());
        assert!(!Identity { started: own.started + 1, ..own }.is_alive());
    }

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd = "nobody2:x:5:6::/:/bin/sh\nnobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
        assert_eq!(find_user(passwd, "nobody"), Some(Unprivileged { uid: 65534, gid: 65533 }));
        assert_eq!(find_user(passwd, "nob"), None);
    }

    #[tokio::test]
    async fn descendants_and_their_environment_are_seen() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 30 & wait"])
            .env("MARK_OF_A_TEST", "yes")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("sh exists");
        let shell = Identity::of(child.id().expect("running")).expect("running");
        let mut below = Vec::new();
        for _ in 0..200 {
            below = descendants(shell.pid);
            if !below.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(environment_variable(below[0], "MARK_OF_A_TEST").as_deref(), Some("yes"));
        assert!(descendants(std::process::id()).contains(&below[0]));
        shell.signal_group(Signal::KILL);
        child.wait().await.expect("reaped");
        assert!(below[0].ended_within(Duration::from_secs(5)).await);
        assert!(!shell.is_alive());
    }
}
