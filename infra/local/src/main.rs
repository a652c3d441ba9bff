//! Starts and stops the local stack. `local help` says how.

use std::process::ExitCode;

use local::arguments::{Arguments, Command, HELP};

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => run(arguments).await,
        Err(error) => Err(error.context("see `local help`")),
    };
    result.unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Help => println!("{HELP}"),
        Command::Up(options) => local::up::run(&arguments.layout()?, options).await?,
        Command::Down => local::down::run(&arguments.layout()?).await?,
        Command::Postgres(action) => local::front_door::ask(&arguments.layout()?, *action).await?,
        Command::Migrate => local::up::migrate(&arguments.layout()?).await?,
        Command::Seed => local::up::seed(&arguments.layout()?).await?,
        Command::Database(options) => return local::up::database(&arguments.layout()?, options).await,
    }
    Ok(ExitCode::SUCCESS)
}
