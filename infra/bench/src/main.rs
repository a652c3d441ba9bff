//! Every figure that the documentation quotes: start-up, throughput, processor time and memory of the functions, each
//! beside a baseline of the same run.
//!
//! Rooms: [`cold_start`], [`webhooks`], [`inbound`], [`imports`], [`accounts`], [`lists`] what is measured · [`worker`]
//! a function as a process · [`runtime_api`] what feeds it · [`aws_stand_in`] what it calls · [`load`] callers ·
//! [`payloads`] what they send · [`setup`], [`database`] what stands around · [`crowd`] who is looked through ·
//! [`measure`], [`report`] figures and what is written of them.
//!
//! No figure fails the run: only what does not work does.

mod accounts;
mod aws_stand_in;
mod cold_start;
mod crowd;
mod database;
mod http_server;
mod imports;
mod inbound;
mod lists;
mod load;
mod measure;
mod payloads;
mod report;
mod runtime_api;
mod setup;
mod webhooks;
mod worker;

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use app::Clock as _;
use runtime::clock::SystemClock;

use database::{BenchDatabase, ServerUrls};
use inbound::Size;
use measure::Machine;
use report::Report;
use setup::{Setup, checkout};
use webhooks::Calls;

const HELP: &str = "\
Measures the functions that stand beside this program, and writes infra/bench/RESULTS.md.

  bench [--quick] [cold-start|webhooks|inbound|imports|accounts|lists]

  --quick   seconds instead of minutes: shows that everything works, not how fast

The results are written only when all of it was measured, and not quickly.

Finds PostgreSQL by DATABASE_URL, SYSTEM_DATABASE_URL, OWNER_DATABASE_URL and ADMIN_DATABASE_URL, as `local database`
sets them; without ADMIN_DATABASE_URL it starts itself again beneath `local database`. Makes a database of its own
there and drops it.";

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    ColdStart,
    Webhooks,
    Inbound,
    Imports,
    Accounts,
    Lists,
}

/// How much is measured.
struct Plan {
    quick: bool,
    cold_starts: usize,
    rounds: usize,
    calls: [Calls; 3],
    inbound: Size,
    imports: imports::Size,
    accounts: accounts::Size,
    lists: lists::Size,
}

impl Plan {
    fn new(quick: bool) -> Self {
        let calls = |events, calls| Calls { events, calls };
        if quick {
            return Self {
                quick,
                cold_starts: 1,
                rounds: 1,
                calls: [calls(1, 50), calls(10, 20), calls(100, 10)],
                inbound: Size { messages: 2_000, events: 100, rounds: 1 },
                imports: imports::Size { rows: 12_000 },
                accounts: accounts::Size { log_ins: 10, requests: 100, rounds: 1 },
                lists: lists::Size {
                    crowd: crowd::Size {
                        contacts: 4_000,
                        conversations: 2_000,
                        messages: 20_000,
                        neighbours: 2,
                    },
                    requests: 40,
                },
            };
        }
        Self {
            quick,
            cold_starts: 41,
            rounds: 3,
            calls: [calls(1, 4_000), calls(10, 1_000), calls(100, 200)],
            inbound: Size { messages: 1_000_000, events: 3_000, rounds: 3 },
            imports: imports::Size { rows: 1_000_000 },
            accounts: accounts::Size { log_ins: 100, requests: 5_000, rounds: 3 },
            lists: lists::Size {
                crowd: crowd::Size {
                    contacts: 1_000_000,
                    conversations: 500_000,
                    messages: 5_000_000,
                    neighbours: 50,
                },
                requests: 400,
            },
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut quick, mut part) = (false, Part::All);
    for argument in &arguments {
        match argument.as_str() {
            "--quick" => quick = true,
            "cold-start" => part = Part::ColdStart,
            "webhooks" => part = Part::Webhooks,
            "inbound" => part = Part::Inbound,
            "imports" => part = Part::Imports,
            "accounts" => part = Part::Accounts,
            "lists" => part = Part::Lists,
            "--help" | "-h" | "help" => {
                println!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => bail!("unknown argument {other}; see bench --help"),
        }
    }
    let Some(server) = server_urls()? else { return beneath_local(&arguments).await };
    let plan = Plan::new(quick);
    let mut report = Report::new(
        if quick { "bench --quick" } else { "make bench" },
        &SystemClock.now().format("%Y-%m-%d").to_string(),
        &Machine::read(),
    );
    let mut setup = Setup::new(BenchDatabase::create(server).await?).await?;
    let outcome = measure_parts(&mut setup, &mut report, &plan, part).await;
    setup.database.drop().await?;
    outcome?;
    if !plan.quick && part == Part::All {
        report.write(&checkout().join("infra/bench/RESULTS.md"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure_parts(
    setup: &mut Setup,
    report: &mut Report,
    plan: &Plan,
    part: Part,
) -> anyhow::Result<()> {
    if matches!(part, Part::All | Part::ColdStart) {
        cold_start::measure(setup, report, plan.cold_starts).await?;
    }
    if matches!(part, Part::All | Part::Webhooks) {
        webhooks::measure(setup, report, &plan.calls, plan.rounds).await?;
    }
    if matches!(part, Part::All | Part::Inbound) {
        inbound::measure(setup, report, plan.inbound).await?;
    }
    if matches!(part, Part::All | Part::Imports) {
        imports::measure(setup, report, plan.imports).await?;
    }
    if matches!(part, Part::All | Part::Accounts) {
        accounts::measure(setup, report, plan.accounts).await?;
    }
    if matches!(part, Part::All | Part::Lists) {
        lists::measure(setup, report, plan.lists).await?;
    }
    Ok(())
}

/// The server that `local database` tells about; `None` when nobody did.
fn server_urls() -> anyhow::Result<Option<ServerUrls>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(admin) = variable("ADMIN_DATABASE_URL") else { return Ok(None) };
    let needed = |name: &str| variable(name).with_context(|| format!("{name} is not set"));
    Ok(Some(ServerUrls {
        application: needed("DATABASE_URL")?,
        system: needed("SYSTEM_DATABASE_URL")?,
        owner: needed("OWNER_DATABASE_URL")?,
        admin,
    }))
}

/// Runs this program again with a database; its exit code is ours.
async fn beneath_local(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let bench = std::env::current_exe()?;
    let local = bench.with_file_name("local");
    ensure!(
        local.is_file(),
        "`local` is not built: `make bench` builds it, or `cargo build --release -p local`"
    );
    let status = tokio::process::Command::new(local)
        .args(["database", "--state", ".local/bench", "--"])
        .arg(bench)
        .args(arguments)
        .current_dir(checkout())
        .status()
        .await?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
