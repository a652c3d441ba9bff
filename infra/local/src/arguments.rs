//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::layout::Layout;
use crate::ports::DEFAULT_BASE;

/// What `local help` prints.
pub const HELP: &str = "\
Master IA on this machine.

  local up        [--state DIR] [--port-base N] [--no-build] [--fast-unsafe-database]
                  start everything and stay in the foreground; Ctrl-C stops everything
  local down      [--state DIR]
                  stop a stack, also one whose `up` was killed
  local postgres  stop|start|kill|restart [--state DIR]
                  do that to the PostgreSQL of a running stack (kill is SIGKILL)
  local migrate   [--state DIR]    bring a running stack's schema up to date
  local seed      [--state DIR]    bring back the demo company of a running stack
  local database  [--state DIR] [--port-base N] [--fast-unsafe-database] [-- COMMAND …]
                  PostgreSQL alone, migrated, until SIGTERM or Ctrl-C; or as long as COMMAND runs, which finds
                  DATABASE_URL (application role), SYSTEM_DATABASE_URL, OWNER_DATABASE_URL and
                  ADMIN_DATABASE_URL (superuser) in its environment

  --state DIR     where data, logs and stack.json are (default .local; of `database`: .local/database)
  --port-base N   front door N, sandbox N+1, AWS emulator N+2, PostgreSQL N+3 (default 8700; `database` takes any
                  free port unless told)
  --no-build      run the binaries that are in target/debug already
  --fast-unsafe-database
                  fsync off: for tests, loses the data when the machine stops
  DATABASE_URL    set to a superuser's URL: use that PostgreSQL (16, with pgvector) and start none";

/// What to do, and on which state.
#[derive(Debug, PartialEq)]
pub struct Arguments {
    /// The subcommand with its own options.
    pub command: Command,
    /// `--state`, as given.
    pub state: Option<PathBuf>,
}

/// A subcommand.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Start everything.
    Up(UpOptions),
    /// Stop everything.
    Down,
    /// Ask a running stack to do something to its PostgreSQL.
    Postgres(PostgresAction),
    /// Run the migrations against a running stack.
    Migrate,
    /// Write the demo company into a running stack.
    Seed,
    /// PostgreSQL alone.
    Database(DatabaseOptions),
}

/// Options of `up`.
#[derive(Debug, PartialEq)]
pub struct UpOptions {
    /// The first of four ports.
    pub port_base: u16,
    /// Whether `cargo build` is left out.
    pub no_build: bool,
    /// Whether PostgreSQL runs without fsync.
    pub fast_unsafe_database: bool,
}

/// Options of `database`.
#[derive(Debug, PartialEq)]
pub struct DatabaseOptions {
    /// PostgreSQL listens on this plus three; on any free port when absent.
    pub port_base: Option<u16>,
    /// Whether PostgreSQL runs without fsync.
    pub fast_unsafe_database: bool,
    /// What to run beside it; nothing: stay until told to stop.
    pub command: Vec<OsString>,
}

/// What can be done to the PostgreSQL of a running stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresAction {
    /// Start it again.
    Start,
    /// Fast shutdown: open transactions are rolled back, nothing needs recovery.
    Stop,
    /// SIGKILL to the server and its backends: recovery follows.
    Kill,
    /// Stop and start.
    Restart,
}

impl PostgresAction {
    /// The action called `word`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "kill" => Self::Kill,
            "restart" => Self::Restart,
            _ => return None,
        })
    }

    /// Its word, on the command line and in the control endpoint's path.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Restart => "restart",
        }
    }
}

/// Every option there is; which of them a subcommand takes is checked afterwards.
#[derive(Default)]
struct Options {
    state: Option<PathBuf>,
    port_base: Option<u16>,
    no_build: bool,
    fast_unsafe_database: bool,
    words: Vec<String>,
    command: Vec<OsString>,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// For an unknown word or option, and for an option that the subcommand does not take.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Self> {
        let mut arguments = arguments.into_iter();
        let Some(name) = arguments.next() else {
            return Ok(Self { command: Command::Help, state: None });
        };
        let name = name.to_string_lossy().into_owned();
        let options = Options::parse(arguments)?;
        let command = match (name.as_str(), options.words.as_slice()) {
            ("help" | "--help" | "-h", _) => Command::Help,
            ("up", []) => Command::Up(UpOptions {
                port_base: options.port_base.unwrap_or(DEFAULT_BASE),
                no_build: options.no_build,
                fast_unsafe_database: options.fast_unsafe_database,
            }),
            ("down", []) => Command::Down,
            ("migrate", []) => Command::Migrate,
            ("seed", []) => Command::Seed,
            ("postgres", [word]) => Command::Postgres(
                PostgresAction::parse(word)
                    .with_context(|| format!("`{word}` is none of start, stop, kill, restart"))?,
            ),
            ("postgres", _) => bail!("`postgres` takes one of start, stop, kill, restart"),
            ("database", []) => Command::Database(DatabaseOptions {
                port_base: options.port_base,
                fast_unsafe_database: options.fast_unsafe_database,
                command: options.command.clone(),
            }),
            ("up" | "down" | "migrate" | "seed" | "database", words) => {
                bail!("`{name}` takes no `{}`", words.join(" "))
            }
            _ => bail!("there is no command `{name}`"),
        };
        options.refuse_strangers(&name, &command)?;
        Ok(Self { command, state: options.state })
    }

    /// Where the checkout and the state are.
    ///
    /// # Errors
    /// Outside a checkout.
    pub fn layout(&self) -> anyhow::Result<Layout> {
        let default = match self.command {
            Command::Database(_) => ".local/database",
            _ => ".local",
        };
        Layout::find(self.state.as_deref(), default)
    }
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy().into_owned();
            let (name, inline) = match text.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (text, None),
            };
            let mut value = || -> anyhow::Result<OsString> {
                match &inline {
                    Some(value) => Ok(value.into()),
                    None => arguments.next().with_context(|| format!("{name} needs a value")),
                }
            };
            match name.as_str() {
                "--state" => options.state = Some(PathBuf::from(value()?)),
                "--port-base" => options.port_base = Some(port_base(&value()?.to_string_lossy())?),
                "--no-build" => options.no_build = true,
                "--fast-unsafe-database" => options.fast_unsafe_database = true,
                "--" => options.command = arguments.by_ref().collect(),
                _ if name.starts_with('-') => bail!("there is no option {name}"),
                _ => options.words.push(name),
            }
        }
        Ok(options)
    }

    /// An option that would be ignored is a mistake of the person who gave it.
    fn refuse_strangers(&self, name: &str, command: &Command) -> anyhow::Result<()> {
        let starts = matches!(command, Command::Up(_) | Command::Database(_) | Command::Help);
        let strangers = [
            (self.no_build && !matches!(command, Command::Up(_) | Command::Help), "--no-build"),
            (self.port_base.is_some() && !starts, "--port-base"),
            (self.fast_unsafe_database && !starts, "--fast-unsafe-database"),
            (!self.command.is_empty() && !matches!(command, Command::Database(_)), "-- COMMAND"),
        ];
        match strangers.iter().find(|(given, _)| *given) {
            Some((_, option)) => bail!("`{name}` takes no {option}"),
            None => Ok(()),
        }
    }
}

fn port_base(text: &str) -> anyhow::Result<u16> {
    let base = text.parse().with_context(|| format!("--port-base {text} is not a number"))?;
    if !(1024..=65_000).contains(&base) {
        bail!("--port-base must be between 1024 and 65000, not {base}");
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Arguments> {
        Arguments::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn up_has_defaults() {
        let options = UpOptions { port_base: 8700, no_build: false, fast_unsafe_database: false };
        let arguments = parse("up").expect("valid");
        assert_eq!(arguments, Arguments { command: Command::Up(options), state: None });
    }

    #[test]
    fn values_stand_after_a_space_or_an_equals_sign() {
        for line in ["up --state x --port-base 9000 --no-build", "up --port-base=9000 --no-build --state=x"] {
            let arguments = parse(line).expect("valid");
            let options = UpOptions { port_base: 9000, no_build: true, fast_unsafe_database: false };
            assert_eq!(arguments, Arguments { command: Command::Up(options), state: Some("x".into()) });
        }
    }

    #[test]
    fn what_follows_two_dashes_is_the_command() {
        let arguments = parse("database --port-base 9000 -- cargo check --all-targets").expect("valid");
        let Command::Database(options) = arguments.command else { panic!("{arguments:?}") };
        assert_eq!(options.command, ["cargo", "check", "--all-targets"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("upp", "`upp`"),
            ("up --stat x", "--stat"),
            ("up now", "`now`"),
            ("up --port-base", "--port-base needs a value"),
            ("up --port-base 80", "between 1024"),
            ("up -- ls", "-- COMMAND"),
            ("postgres explode", "`explode`"),
            ("postgres", "start, stop"),
            ("down --port-base 9000", "--port-base"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
