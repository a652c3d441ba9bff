//! `stack.json`: what tests and scripts read to find their way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::deploy::Deployment;
use crate::layout::{Layout, write_private};
use crate::ports::Ports;
use crate::sandbox;
use crate::seed::Demo;

/// A running stack. There is a file as long as it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stack {
    /// The origin; the API's paths begin with `/api/v1`.
    pub api_url: String,
    /// The API's documentation, for people.
    pub docs_url: String,
    /// Where browsers connect for what happens live.
    pub websocket_url: String,
    /// The stand-in for third parties; its page is a customer's phone.
    pub sandbox_url: String,
    /// Mails that were sent: a page, or JSON for who does not ask for HTML.
    pub mail_url: String,
    /// The database as the application role.
    pub database_url: String,
    /// The database as the superuser.
    pub admin_database_url: String,
    /// The database as the role of schedules and the relay.
    pub system_database_url: String,
    /// The stand-in for AWS.
    pub aws_endpoint_url: String,
    /// The Python that it runs in, which has the SDK.
    pub emulator_python: PathBuf,
    /// Where providers call, by provider; followed by `/` and the connection's slug.
    pub webhook_urls: BTreeMap<String, String>,
    /// The demo company.
    pub demo: Demo,
    /// The template's outputs: names of queues, tables, bucket and bus.
    pub outputs: BTreeMap<String, String>,
    /// Processes by name; `local` is the launcher.
    pub pids: BTreeMap<String, u32>,
}

impl Stack {
    /// Describes a stack.
    pub fn new(
        ports: Ports,
        deployment: &Deployment,
        emulator_python: PathBuf,
        demo: Demo,
        mut pids: BTreeMap<String, u32>,
    ) -> Self {
        let origin = format!("http://127.0.0.1:{}", ports.front_door);
        pids.insert("local".to_owned(), std::process::id());
        let webhook = |provider: String| (provider.clone(), format!("{origin}/webhooks/{provider}"));
        Self {
            docs_url: format!("{origin}/docs"),
            websocket_url: format!("ws://127.0.0.1:{}/ws", ports.front_door),
            sandbox_url: sandbox::url(ports),
            mail_url: format!("{origin}/mail"),
            database_url: deployment.database.application.clone(),
            admin_database_url: deployment.database.admin.clone(),
            system_database_url: deployment.database.system.clone(),
            aws_endpoint_url: deployment.aws_endpoint_url.clone(),
            emulator_python,
            webhook_urls: deployment.webhooks().into_keys().map(webhook).collect(),
            demo,
            outputs: deployment.outputs.clone(),
            pids,
            api_url: origin,
        }
    }

    /// Writes it, for nobody else to read.
    ///
    /// # Errors
    /// When the state folder is not writable.
    pub fn save(&self, layout: &Layout) -> anyhow::Result<()> {
        write_private(&layout.stack(), &serde_json::to_vec_pretty(self)?)
    }

    /// The addresses that a person would open.
    pub fn print(&self, layout: &Layout) {
        let lines = [
            ("Customer's phone", self.sandbox_url.clone()),
            ("API and docs", self.docs_url.clone()),
            ("Log in as", format!("{}  {}", self.demo.email, self.demo.password)),
            ("API key", self.demo.api_key.clone()),
            ("WebSocket", format!("{}?token=<API key>", self.websocket_url)),
            ("Webhooks", self.webhook_urls.values().cloned().collect::<Vec<_>>().join("  ")),
            ("Mail", self.mail_url.clone()),
            ("PostgreSQL", self.database_url.clone()),
            ("AWS endpoint", self.aws_endpoint_url.clone()),
            ("For scripts", layout.stack().display().to_string()),
            ("Logs", layout.logs().display().to_string()),
        ];
        eprintln!();
        for (name, value) in lines {
            eprintln!("  {name:<17} {value}");
        }
        eprintln!("\n  Write something on the customer's phone. Ctrl-C stops everything.");
    }
}
