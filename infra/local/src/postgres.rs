//! The PostgreSQL server of a stack.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use sqlx::Connection as _;

use crate::arguments::PostgresAction;
use crate::layout::Layout;
use crate::process::{Identity, Specification, Unprivileged, run};
use crate::supervisor::Supervisor;
use crate::tools;

const NAME: &str = "postgres";

/// Recovery of a big write-ahead log takes its time.
const READY: Duration = Duration::from_secs(60);
/// After a SIGKILL the backends of the old server hold its shared memory for a moment.
const RETRY: Duration = Duration::from_secs(8);

/// A server that we start and stop ourselves.
#[derive(Clone, Debug)]
pub struct Postgres {
    layout: Layout,
    binaries: PathBuf,
    home: PathBuf,
    port: u16,
    password: String,
    fast_unsafe: bool,
    user: Option<Unprivileged>,
}

impl Postgres {
    /// Fetches the server if need be, and makes its data folder. `fresh` says that the passwords are new, so that no
    /// old data can be opened with them.
    ///
    /// # Errors
    /// When it cannot be fetched or initialised, and for data without its passwords.
    pub async fn prepare(
        layout: &Layout,
        port: u16,
        password: &str,
        fresh: bool,
        fast_unsafe: bool,
    ) -> anyhow::Result<Self> {
        let user = Unprivileged::if_root()?;
        let binaries = tools::postgres(layout, user).await?;
        let wanted = layout.state.join("postgres");
        let home = tools::reachable(&wanted, "postgres", user)?;
        let postgres = Self {
            layout: layout.clone(),
            binaries,
            home,
            port,
            password: password.to_owned(),
            fast_unsafe,
            user,
        };
        if fresh && postgres.data().exists() {
            // In a folder elsewhere it is what a deleted state left behind.
            if postgres.home == wanted {
                bail!(
                    "{} is gone, but not the data it opens: delete {} to start anew",
                    layout.credentials().display(),
                    wanted.display()
                );
            }
            fs::remove_dir_all(postgres.data())?;
        }
        if !postgres.data().exists() {
            postgres.initialise().await?;
        }
        Ok(postgres)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Makes the data folder, at once or not at all.
    async fn initialise(&self) -> anyhow::Result<()> {
        let new = self.home.join("data.new");
        let password_file = self.home.join("password");
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        fs::create_dir(&new)?;
        fs::write(&password_file, &self.password)?;
        for path in [&new, &password_file] {
            let mode = if path.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            if let Some(user) = self.user {
                chown(path, Some(user.uid), Some(user.gid))?;
            }
        }
        let mut arguments: Vec<OsString> = [
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username=postgres",
            "--auth=scram-sha-256",
            "--no-instructions",
        ]
        .map(OsString::from)
        .into();
        arguments.push(option("--pwfile=", &password_file));
        arguments.push(option("--pgdata=", &new));
        let made = run(self.user, Path::new("/"), self.binaries.join("bin/initdb"), arguments).await;
        fs::remove_file(&password_file)?;
        made?;
        fs::rename(&new, self.data()).context("cannot move the data folder to its place")
    }

    fn specification(&self) -> Specification {
        let mut settings = vec![
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            // Its path would be limited to 107 bytes.
            "unix_socket_directories=".to_owned(),
            // Every warm function keeps connections of its own.
            "max_connections=400".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            "log_line_prefix=%m [%p] %u@%d ".to_owned(),
        ];
        if self.fast_unsafe {
            settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        let mut arguments = vec![OsString::from("-D"), self.data().into()];
        for setting in settings {
            arguments.extend([OsString::from("-c"), setting.into()]);
        }
        Specification {
            name: NAME,
            program: self.binaries.join("bin/postgres"),
            arguments,
            environment: Vec::new(),
            directory: "/".into(),
            log: self.layout.log(NAME),
            stop: Signal::INT,
            orphaned: Some(Signal::INT),
            user: self.user,
        }
    }

    /// The superuser's URL of one of its databases.
    pub fn superuser_url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it runs already or does not come up; with the end of its log.
    pub async fn start(&self, supervisor: &Supervisor) -> anyhow::Result<()> {
        let url = self.superuser_url("postgres");
        let answers = async || sqlx::PgConnection::connect(&url).await.is_ok();
        let deadline = tokio::time::Instant::now() + RETRY;
        loop {
            supervisor.start(&self.specification())?;
            let result = supervisor.wait_until(NAME, READY, answers).await;
            if result.is_ok() || supervisor.identity(NAME).is_some_and(Identity::is_alive) {
                return result;
            }
            if tokio::time::Instant::now() >= deadline {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// When it cannot be done, such as starting what runs.
    pub async fn act(&self, supervisor: &Supervisor, action: PostgresAction) -> anyhow::Result<()> {
        match action {
            PostgresAction::Start => self.start(supervisor).await,
            PostgresAction::Stop => supervisor.stop(NAME).await,
            PostgresAction::Kill => supervisor.kill(NAME).await,
            PostgresAction::Restart => {
                supervisor.stop(NAME).await?;
                self.start(supervisor).await
            }
        }
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}
