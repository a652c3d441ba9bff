//! The stand-in for AWS: one Python process, whose children are the running functions.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::layout::Layout;
use crate::process::{Identity, Specification, descendants, environment_variable};
use crate::supervisor::Supervisor;

const NAME: &str = "emulator";
const PROGRAM: &str = include_str!("../emulator.py");
const READY: Duration = Duration::from_secs(60);

/// The region that everything is in.
pub const REGION: &str = "us-east-1";
/// Key and secret of the account's root; as good as any, and known to everybody.
pub const ROOT_KEY: (&str, &str) = ("test", "test");

/// Where it answers.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Starts it with nothing in it, and waits until it answers.
///
/// # Errors
/// When it does not come up; with the end of its log.
pub async fn start(
    layout: &Layout,
    supervisor: &Supervisor,
    client: &reqwest::Client,
    python: &Path,
    port: u16,
) -> anyhow::Result<()> {
    let home = layout.emulator();
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    let temporary = home.join("tmp");
    fs::create_dir_all(&temporary)?;
    let program = home.join("emulator.py");
    fs::write(&program, PROGRAM)?;
    let text = |text: &str| text.into();
    supervisor.start(&Specification {
        name: NAME,
        program: python.to_owned(),
        arguments: vec![program.into(), layout.log("functions").into()],
        // The functions inherit it.
        environment: vec![
            ("HOME", home.clone().into()),
            ("TMPDIR", temporary.into()),
            ("PYTHONUNBUFFERED", text("1")),
            ("AUTH", text("true")),
            ("BIND_HOST", text("127.0.0.1")),
            ("MINISTACK_HOST", text("127.0.0.1")),
            ("MINISTACK_REGION", text(REGION)),
            ("GATEWAY_PORT", port.to_string().into()),
            ("IOT_MTLS_ENABLED", text("0")),
            // Without it the functions would talk to the real AWS.
            ("AWS_ENDPOINT_URL", url(port).into()),
        ],
        directory: home,
        log: layout.log(NAME),
        // Nothing in it outlives it anyway.
        stop: Signal::KILL,
        orphaned: None,
        user: None,
    })?;
    let health = format!("{}/_ministack/health", url(port));
    let ready = async || client.get(&health).send().await.is_ok_and(|answer| answer.status().is_success());
    supervisor.wait_until(NAME, READY, ready).await
}

/// The running processes of one function, by its binary's name (`consume-inbound`) or its full name.
pub fn workers(supervisor: &Supervisor, function: &str) -> Vec<Identity> {
    let Some(emulator) = supervisor.identity(NAME) else { return Vec::new() };
    let name_of = |process| environment_variable(process, "AWS_LAMBDA_FUNCTION_NAME");
    let ending = format!("-{function}");
    descendants(emulator.pid)
        .into_iter()
        .filter(|process| name_of(*process).is_some_and(|name| name == function || name.ends_with(&ending)))
        .collect()
}
