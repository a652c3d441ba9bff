//! The stand-in for third parties, started with the demo company's credentials.

use std::time::Duration;

use rustix::process::Signal;

use crate::compile;
use crate::credentials::DemoCredentials;
use crate::layout::Layout;
use crate::ports::Ports;
use crate::process::Specification;
use crate::supervisor::Supervisor;

const NAME: &str = "sandbox";
const READY: Duration = Duration::from_secs(20);

/// The demo company's number at the Cloud API.
pub const PHONE_NUMBER_ID: &str = "100000000000002";
/// Its WhatsApp Business Account.
pub const WABA_ID: &str = "100000000000001";
/// The key that it takes in place of OpenAI's.
pub const OPENAI_KEY: &str = "sandbox";

/// Its origin: also the page that is a customer's phone.
pub fn url(ports: Ports) -> String {
    format!("http://127.0.0.1:{}", ports.sandbox)
}

/// Where it stands in for the Graph API.
pub fn graph_url(ports: Ports) -> String {
    format!("{}/graph", url(ports))
}

/// Where it stands in for OpenAI.
pub fn openai_url(ports: Ports) -> String {
    format!("{}/openai/v1", url(ports))
}

/// Starts it and waits until it answers.
///
/// # Errors
/// When it does not come up; with the end of its log.
pub async fn start(
    layout: &Layout,
    supervisor: &Supervisor,
    client: &reqwest::Client,
    ports: Ports,
    demo: &DemoCredentials,
) -> anyhow::Result<()> {
    let text = |text: &str| text.into();
    let webhook_url = format!("http://127.0.0.1:{}/webhooks/meta/{}", ports.front_door, demo.slug);
    supervisor.start(&Specification {
        name: NAME,
        program: compile::folder(layout).join("sandbox"),
        arguments: Vec::new(),
        environment: vec![
            ("SANDBOX_ADDRESS", format!("127.0.0.1:{}", ports.sandbox).into()),
            ("SANDBOX_WEBHOOK_URL", webhook_url.into()),
            ("SANDBOX_APP_SECRET", text(&demo.app_secret)),
            ("SANDBOX_VERIFY_TOKEN", text(&demo.verify_token)),
            ("SANDBOX_ACCESS_TOKEN", text(&demo.access_token)),
            ("SANDBOX_PHONE_NUMBER_ID", text(PHONE_NUMBER_ID)),
            ("SANDBOX_WABA_ID", text(WABA_ID)),
            ("SANDBOX_OPENAI_KEY", text(OPENAI_KEY)),
        ],
        directory: layout.state.clone(),
        log: layout.log(NAME),
        stop: Signal::TERM,
        orphaned: Some(Signal::KILL),
        user: None,
    })?;
    let health = format!("{}/_sandbox/health", url(ports));
    let ready = async || client.get(&health).send().await.is_ok_and(|answer| answer.status().is_success());
    supervisor.wait_until(NAME, READY, ready).await
}
