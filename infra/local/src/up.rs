//! The order of things: what `local up` and `local database` do, from nothing to a running stack and back.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc};

use crate::arguments::{DatabaseOptions, UpOptions};
use crate::credentials::Credentials;
use crate::database::{self, DatabaseUrls};
use crate::deploy::{self, Deployment};
use crate::front_door::{self, Control, Routes};
use crate::layout::{Layout, write_private};
use crate::ports::{self, Ports};
use crate::postgres::Postgres;
use crate::progress::{step, tail};
use crate::record::{Lock, Record};
use crate::seed::Demo;
use crate::stack::Stack;
use crate::supervisor::{Ended, Supervisor};
use crate::{compile, down, emulator, environment, sandbox, seed, tools};

/// Starts everything and stays until it is told to stop, or something stops by itself.
///
/// # Errors
/// When a step fails or a process ends unasked; everything is stopped before it returns.
pub async fn run(layout: &Layout, options: &UpOptions) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let begin = Instant::now();
    let ports = Ports::from_base(options.port_base);
    let _lock = Lock::take(layout)?;
    clean_up(layout).await?;
    ports.check()?;
    eprintln!("Master IA on {}", layout.state.display());
    let (supervisor, ends) = Supervisor::new(layout, Some(ports.front_door))?;
    let start = Start { layout, options, ports, supervisor: supervisor.clone() };
    let result = tokio::select! {
        result = start.run_until_ended(ends, begin) => result,
        () = stop => Ok(()),
    };
    finish(layout, &supervisor).await?;
    result
}

/// PostgreSQL alone: while a command runs, or until told to stop. Returns the command's exit code.
///
/// # Errors
/// When the server does not start, or the command cannot be started.
pub async fn database(layout: &Layout, options: &DatabaseOptions) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    let _lock = Lock::take(layout)?;
    clean_up(layout).await?;
    let port = match options.port_base {
        Some(base) => Ports::from_base(base).postgres,
        None => ports::any_free()?,
    };
    ports::check(port, "PostgreSQL")?;
    let (supervisor, mut ends) = Supervisor::new(layout, None)?;
    let work = async {
        let (credentials, fresh) = Credentials::load_or_create(layout)?;
        let server =
            Server::start(layout, &supervisor, port, &credentials, fresh, options.fast_unsafe_database);
        let server = step("PostgreSQL", server).await?;
        if options.command.is_empty() {
            for (name, url) in variables(&server.urls) {
                println!("{name}={url}");
            }
            let ended = unexpected_end(&supervisor, &mut ends).await;
            bail!("{} ended ({}); {}", ended.name, ended.how, tail(&layout.log(ended.name), 15));
        }
        run_beside(&server.urls, options).await
    };
    let result = tokio::select! {
        result = work => result,
        () = stop => Ok(ExitCode::SUCCESS),
    };
    finish(layout, &supervisor).await?;
    result
}

/// Brings the schema of a running stack up to date.
///
/// # Errors
/// When none runs, or a migration fails.
pub async fn migrate(layout: &Layout) -> anyhow::Result<()> {
    let deployment = running(layout)?;
    let count = database::migrate(layout, &deployment.database.owner).await?;
    println!("all {count} migrations are in");
    Ok(())
}

/// Writes the demo company into a running stack.
///
/// # Errors
/// When none runs, or it refuses.
pub async fn seed(layout: &Layout) -> anyhow::Result<()> {
    let (credentials, _) = Credentials::load_or_create(layout)?;
    let demo = seed::run(&running(layout)?, &credentials).await?;
    println!("{}  {}", demo.email, demo.password);
    Ok(())
}

/// The deployment of the stack that runs on this state.
fn running(layout: &Layout) -> anyhow::Result<Deployment> {
    let alive = Record::load(layout).launcher.is_some_and(|launcher| launcher.is_alive());
    let bytes = fs::read(deployment_file(layout));
    match bytes {
        Ok(bytes) if alive => serde_json::from_slice(&bytes).context("deployment.json is broken"),
        _ => bail!("no stack runs on {} (`local up` starts one)", layout.state.display()),
    }
}

fn deployment_file(layout: &Layout) -> PathBuf {
    layout.state.join("deployment.json")
}

/// The way to a running stack.
struct Start<'a> {
    layout: &'a Layout,
    options: &'a UpOptions,
    ports: Ports,
    supervisor: Arc<Supervisor>,
}

impl Start<'_> {
    async fn run_until_ended(
        &self,
        mut ends: mpsc::UnboundedReceiver<Ended>,
        begin: Instant,
    ) -> anyhow::Result<()> {
        let (stack, routes, control) = self.start().await?;
        let serving = front_door::serve(front_door::bind(self.ports.front_door).await?, routes, control);
        stack.save(self.layout)?;
        stack.print(self.layout);
        eprintln!("  Ready after {:.1} s.", begin.elapsed().as_secs_f64());
        tokio::select! {
            result = serving => result,
            ended = unexpected_end(&self.supervisor, &mut ends) => {
                bail!("{} ended ({}); {}", ended.name, ended.how, tail(&self.layout.log(ended.name), 15))
            }
        }
    }

    async fn start(&self) -> anyhow::Result<(Stack, Routes, Control)> {
        let (layout, ports, supervisor) = (self.layout, self.ports, &self.supervisor);
        let template = deploy::read_template(layout)?;
        let (credentials, fresh) = Credentials::load_or_create(layout)?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let (server, python, ()) = tokio::try_join!(
            step("PostgreSQL", self.server(&credentials, fresh)),
            step("AWS", self.emulator(&client)),
            step("Programs", self.programs(template.binaries()?)),
        )?;
        let sandbox = async {
            sandbox::start(layout, supervisor, &client, ports, &credentials.demo).await?;
            Ok(((), format!("stands in for Meta and OpenAI on {}", sandbox::url(ports))))
        };
        let deployment = async {
            let deployment = deploy::deploy(layout, &template, ports, &credentials, &server.urls).await?;
            write_private(&deployment_file(layout), &serde_json::to_vec_pretty(&deployment)?)?;
            let words = format!("{} functions of template.yaml deployed", template.binaries()?.len());
            Ok((deployment, words))
        };
        let (deployment, ()) = tokio::try_join!(step("Functions", deployment), step("Sandbox", sandbox))?;
        let demo = step("Demo", demo(&deployment, &credentials)).await?;
        let routes = Routes {
            http_api: deploy::http_api_url(&template, &deployment.aws_endpoint_url)?,
            websocket: deploy::websocket_url(&template, &deployment.aws_endpoint_url)?,
            webhooks: deployment.webhooks(),
        };
        let control = Control {
            supervisor: supervisor.clone(),
            postgres: server.managed.map(|postgres| Arc::new(Mutex::new(postgres))),
            state: layout.state.clone(),
            mail_source: front_door::mail::source(&deployment.aws_endpoint_url),
            client: client.clone(),
        };
        let stack = Stack::new(ports, &deployment, python, demo, supervisor.pids());
        Ok((stack, routes, control))
    }

    async fn server(&self, credentials: &Credentials, fresh: bool) -> anyhow::Result<(Server, String)> {
        let fast_unsafe = self.options.fast_unsafe_database;
        Server::start(self.layout, &self.supervisor, self.ports.postgres, credentials, fresh, fast_unsafe)
            .await
    }

    async fn emulator(&self, client: &reqwest::Client) -> anyhow::Result<(PathBuf, String)> {
        let python = tools::emulator(self.layout).await?;
        let port = self.ports.emulator;
        emulator::start(self.layout, &self.supervisor, client, &python, port).await?;
        Ok((python, format!("emulated on {}", emulator::url(port))))
    }

    async fn programs(&self, mut binaries: Vec<String>) -> anyhow::Result<((), String)> {
        binaries.push("sandbox".to_owned());
        if !self.options.no_build {
            compile::build(self.layout).await?;
        }
        compile::ensure_built(self.layout, &binaries)?;
        Ok(((), format!("{} built", binaries.len())))
    }
}

async fn demo(deployment: &Deployment, credentials: &Credentials) -> anyhow::Result<(Demo, String)> {
    let demo = seed::run(deployment, credentials).await?;
    let words = format!("company of {}", demo.email);
    Ok((demo, words))
}

/// A database server with our database in it.
struct Server {
    urls: DatabaseUrls,
    managed: Option<Postgres>,
}

impl Server {
    /// The server of `DATABASE_URL`, or one of our own, migrated.
    async fn start(
        layout: &Layout,
        supervisor: &Supervisor,
        port: u16,
        credentials: &Credentials,
        fresh: bool,
        fast_unsafe: bool,
    ) -> anyhow::Result<(Self, String)> {
        let (superuser_url, managed) = match environment::database_url() {
            Some(url) => (url, None),
            None => {
                let password = &credentials.superuser_password;
                let postgres = Postgres::prepare(layout, port, password, fresh, fast_unsafe).await?;
                postgres.start(supervisor).await?;
                (postgres.superuser_url("postgres"), Some(postgres))
            }
        };
        let urls = DatabaseUrls::new(&superuser_url, credentials)?;
        database::bootstrap(&superuser_url, &urls, credentials).await?;
        let count = database::migrate(layout, &urls.owner).await?;
        let place =
            if managed.is_some() { format!("on 127.0.0.1:{port}") } else { "of DATABASE_URL".to_owned() };
        Ok((Self { urls, managed }, format!("{place}, {count} migrations")))
    }
}

/// The environment of a command that runs beside a database.
fn variables(urls: &DatabaseUrls) -> [(&'static str, &str); 4] {
    [
        ("DATABASE_URL", &urls.application),
        ("SYSTEM_DATABASE_URL", &urls.system),
        ("OWNER_DATABASE_URL", &urls.owner),
        ("ADMIN_DATABASE_URL", &urls.admin),
    ]
}

async fn run_beside(urls: &DatabaseUrls, options: &DatabaseOptions) -> anyhow::Result<ExitCode> {
    let (program, arguments) = options.command.split_first().context("there is no command")?;
    let status = Command::new(program)
        .args(arguments)
        .envs(variables(urls))
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot start {}", Path::new(program).display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Waits for a process that ends without having been asked to.
async fn unexpected_end(supervisor: &Supervisor, ends: &mut mpsc::UnboundedReceiver<Ended>) -> Ended {
    while let Some(ended) = ends.recv().await {
        if supervisor.is_unexpected(&ended) {
            return ended;
        }
    }
    std::future::pending().await
}

/// Ends what a start that was killed left running, and puts its logs aside.
async fn clean_up(layout: &Layout) -> anyhow::Result<()> {
    let stale = Record::load(layout).stop_processes().await;
    if !stale.is_empty() {
        eprintln!("stopped what a previous start left running: {}", stale.join(", "));
    }
    down::forget(layout)?;
    layout.rotate_logs()
}

async fn finish(layout: &Layout, supervisor: &Supervisor) -> anyhow::Result<()> {
    // The terminal may be gone already, and printing to it must not keep us from stopping.
    writeln!(std::io::stderr(), "\nStopping …").ok();
    supervisor.stop_all().await?;
    down::forget(layout)
}

/// Resolves when this program is told to stop: Ctrl-C, SIGTERM, or its terminal is closed.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
