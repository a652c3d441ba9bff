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

/// Our application at its Google.
pub const GOOGLE_CLIENT_ID: &str = "sandbox.apps.googleusercontent.com";
/// The key of it.
pub const GOOGLE_CLIENT_SECRET: &str = "sandbox-google-secret";
/// Our application at its Facebook.
pub const FACEBOOK_APP_ID: &str = "100000000000099";
/// The key of it.
pub const FACEBOOK_APP_SECRET: &str = "sandbox-facebook-secret";

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

/// Where it stands in for Twilio.
pub fn twilio_url(ports: Ports) -> String {
    format!("{}/twilio", url(ports))
}

/// Where it stands in for Google's log-in.
pub fn google_url(ports: Ports) -> String {
    format!("{}/google", url(ports))
}

/// Where it stands in for Facebook's.
pub fn facebook_url(ports: Ports) -> String {
    format!("{}/facebook", url(ports))
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
            ("SANDBOX_GOOGLE_CLIENT_ID", text(GOOGLE_CLIENT_ID)),
            ("SANDBOX_GOOGLE_CLIENT_SECRET", text(GOOGLE_CLIENT_SECRET)),
            ("SANDBOX_FACEBOOK_APP_ID", text(FACEBOOK_APP_ID)),
            ("SANDBOX_FACEBOOK_APP_SECRET", text(FACEBOOK_APP_SECRET)),
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
